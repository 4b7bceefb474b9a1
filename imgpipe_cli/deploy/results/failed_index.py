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
from imgpipe_cli.deploy.resource import Change, Observed, Routine
from imgpipe_cli.deploy.resources.lambda_environment import FAILED_INDEX_VARIABLE
from imgpipe_cli.deploy.results import old_runs, reindex
from imgpipe_cli.deploy.results.row_index import RowIndex
from imgpipe_cli.deploy.results.store import BucketStore, TableStore, store
from imgpipe_cli.events import Copied, Emit, Note
from imgpipe_cli.session.settings import Settings

INDEX = "index_table"
STORES = ("table", "results_bucket")
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


def is_complete(snapshot: Snapshot) -> bool:
    """Whether the indexes hold all results; they do before there are any. Where no function lists results, a
    first `up` was stopped, or somebody removed it."""
    web, has_index = snapshot["function.web"], _stays(snapshot[INDEX])
    if web.exists:
        return has_index and is_told(web)
    return has_index or not _has_store(snapshot)


def needs(snapshot: Snapshot) -> Mapping[str, Collection[str]]:
    """By a resource's name, those that come before it because of the indexes.

    Where the index table is gone, there has to be a function that does not take a new one for complete before
    there is one: else a stop in between would leave the new one empty for good.
    """
    web, table = snapshot.get("function.web"), snapshot.get(INDEX)
    if not web or not table or _stays(table):
        return {}
    is_first = is_told(web) if web.exists else _has_store(snapshot)
    return {INDEX: ["function.web"]} if is_first else {}


def _has_store(snapshot: Snapshot) -> bool:
    return any(snapshot[name].exists and snapshot[name].owned for name in STORES)


def _stays(table: Observed) -> bool:
    return table.exists and table.detail != "deleting"


def is_told(web: Observed) -> bool:
    """Whether the function that lists results, which is there, reads the indexes."""
    return FAILED_INDEX_VARIABLE in web.facts["configuration"].get("Environment", {}).get("Variables", {})


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
    rows = RowIndex(pipeline.aws, pipeline.names.index_table, where)
    try:
        rows.fill(lambda seen: emit(Copied("table", "index_table", seen, "indexed")), of=count)
    except AwsError as error:
        raise problem(error, f"add the results in {where.name} to table {rows.table}") from error


def planned(pipeline: Pipeline, settings: Settings) -> Change:
    """What a dry run says of it."""
    where = store(settings.results, pipeline.aws, pipeline.names).name
    others = "s3." if settings.results == "table" else "dynamodb.scan"
    operations = tuple(one for one in _OPERATIONS if not one.startswith(others))
    what = f"results of {where} to their indexes"
    return Change("add", what, Routine("index_results", operations, lambda _aws, _emit: None))
