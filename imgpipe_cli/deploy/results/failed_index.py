"""The indexes of failed results and of what is in pictures, filled once where a pipeline is older than them.

The ingest function keeps them from then on. So the function that lists results is told of them last: after
the ingest function has its new code, no run of the old code is left, and all results of before are in them.
That it was told is all there is to remember. Until then it finds failed results among all others, and says
how far the index of what is in pictures is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.deploy.observe import Snapshot
from imgpipe_cli.deploy.pipeline import Pipeline
from imgpipe_cli.deploy.resource import GONE, Change, Observed, Routine
from imgpipe_cli.deploy.resources.lambda_environment import has_complete_indexes
from imgpipe_cli.deploy.results import old_runs, reindex
from imgpipe_cli.deploy.results.row_index import RowIndex
from imgpipe_cli.deploy.results.store import BucketStore, TableStore, store
from imgpipe_cli.events import Copied, Emit, Note
from imgpipe_cli.session.settings import Settings

INDEX = "index_table"
# The work that comes before a store is made anew.
CLEARED = "the index, cleared"
# By kind of store, the resource that holds the results.
STORES = {"table": "table", "s3": "results_bucket"}
_OLD_RUNS = "pictures begun before the update may still fail"
_OPERATIONS = (
    "dynamodb.describe_table",
    "dynamodb.scan",
    "dynamodb.batch_write_item",
    "dynamodb.put_item",
    "s3.list_objects_v2",
    "s3.get_object",
    "s3.put_object",
    "s3.delete_object",
)


def is_complete(pipeline: Pipeline, snapshot: Snapshot) -> bool:
    """Whether the indexes are known to hold all results; they do before there are any. Raises Problem.

    Where no function lists results, nothing tells: a first `up` or a `down` was stopped, or somebody removed
    it.
    """
    web = snapshot["function.web"]
    if web.exists:
        return stays(snapshot[INDEX]) and is_told(web)
    there = [kind for kind, name in STORES.items() if snapshot[name].exists and snapshot[name].owned]
    return all(_is_empty(store(kind, pipeline.aws, pipeline.names)) for kind in there)


def _is_empty(where: TableStore | BucketStore) -> bool:
    try:
        return where.is_empty()
    except AwsError as error:
        if error.code in GONE:  # it is just being made or removed
            return True
        raise problem(error, f"read the results in {where.name}") from error


def needs(snapshot: Snapshot) -> Mapping[str, Collection[str]]:
    """By a resource's name, or CLEARED, those that come before it because of the indexes.

    Where the index table is gone, no function may take a new one for complete, or for the one of before, once
    there is one: else a stop in between would leave rows missing for good.
    """
    if has_outlived(snapshot):
        return {CLEARED: [INDEX], **dict.fromkeys(STORES.values(), (CLEARED,))}
    web, table = snapshot.get("function.web"), snapshot.get(INDEX)
    if not web or not table or stays(table):
        return {}
    return {INDEX: ["function.web", "function.ingest"]} if web.exists and is_told(web) else {}


def has_outlived(snapshot: Snapshot) -> bool:
    """Whether the index is there and no store of results is: its rows are of results that are gone."""
    there = {name for name in (INDEX, *STORES.values()) if name in snapshot and stays(snapshot[name])}
    return there == {INDEX}


def clear(pipeline: Pipeline, snapshot: Snapshot, settings: Settings, emit: Emit) -> None:
    """Remove the rows of results that are gone, if any are. Raises Problem.

    It ends before a store is made anew: so the next `up` repeats it after a stop, and meets no row of a new
    result.
    """
    if not has_outlived(snapshot):
        return
    rows = _rows(pipeline, store(settings.results, pipeline.aws, pipeline.names))
    try:
        removed = rows.clear()
    except AwsError as error:
        raise problem(error, f"remove rows of table {rows.table}") from error
    if removed:
        emit(Note("index_repaired", f"0 added, {removed} removed"))


def stays(observed: Observed) -> bool:
    """Whether it is there, and is not just being removed."""
    return observed.exists and observed.detail != "deleting"


def is_told(web: Observed) -> bool:
    """Whether the function that lists results, which is there, reads the indexes."""
    return has_complete_indexes(web.facts["configuration"].get("Environment", {}).get("Variables", {}))


def fill(pipeline: Pipeline, settings: Settings, emit: Emit) -> None:
    """Put all results that are stored into the indexes. Raises Problem."""
    where = store(settings.results, pipeline.aws, pipeline.names)
    count = reindex.repair(where).read
    if not count:
        return
    _fill_rows(pipeline, where, count, emit)
    if list(old_runs.while_they_may_last(pipeline.aws, emit, _OLD_RUNS)):
        reindex.repair(where)
        _fill_rows(pipeline, where, count, emit)
    emit(Note("indexed", where.name))


def _fill_rows(pipeline: Pipeline, where: TableStore | BucketStore, count: int, emit: Emit) -> None:
    rows = _rows(pipeline, where)
    try:
        rows.fill(lambda seen: emit(Copied("table", "index_table", seen, "indexed")), of=count)
    except AwsError as error:
        raise problem(error, f"add the results in {where.name} to table {rows.table}") from error


def _rows(pipeline: Pipeline, where: TableStore | BucketStore) -> RowIndex:
    return RowIndex(pipeline.aws, pipeline.names.index_table, where)


def planned_clear(pipeline: Pipeline) -> Change:
    """What a dry run says of it."""
    what = f"rows of results that are gone from table {pipeline.names.index_table}"
    operations = ("dynamodb.scan", "dynamodb.delete_item")
    return Change("remove", what, Routine("clear_index", operations, lambda _aws, _emit: None))


def planned(pipeline: Pipeline, settings: Settings) -> Change:
    """What a dry run says of the filling."""
    where = store(settings.results, pipeline.aws, pipeline.names).name
    others = "s3." if settings.results == "table" else "dynamodb.scan"
    operations = tuple(one for one in _OPERATIONS if not one.startswith(others))
    what = f"results of {where} to their indexes"
    return Change("add", what, Routine("index_results", operations, lambda _aws, _emit: None))
