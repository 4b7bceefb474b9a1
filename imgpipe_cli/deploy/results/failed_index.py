"""The index of failed results, filled once where a pipeline is older than the index.

The ingest function keeps it from then on. So the function that lists results is told of it last: after the
ingest function has its new code, no run of the old code is left, and all failed results of before are in it.
That it was told is all there is to remember. Until then it finds failed results among all others.
"""

from __future__ import annotations

from imgpipe_cli.deploy.observe import Snapshot
from imgpipe_cli.deploy.pipeline import Pipeline
from imgpipe_cli.deploy.resource import Change, Routine
from imgpipe_cli.deploy.resources.lambda_configuration import FAILED_INDEX_VARIABLE
from imgpipe_cli.deploy.results import old_runs, reindex
from imgpipe_cli.deploy.results.store import store
from imgpipe_cli.events import Emit, Note
from imgpipe_cli.session.settings import Settings

_STORES = ("table", "results_bucket")
_OLD_RUNS = "pictures begun before the update may still fail"
_OPERATIONS = (
    "dynamodb.scan",
    "dynamodb.put_item",
    "s3.list_objects_v2",
    "s3.get_object",
    "s3.put_object",
    "s3.delete_object",
)


def is_complete(snapshot: Snapshot) -> bool:
    """Whether the index holds all failed results; it does before there are any."""
    web = snapshot["function.web"]
    if web.exists:
        return FAILED_INDEX_VARIABLE in web.facts["configuration"].get("Environment", {}).get("Variables", {})
    return not any(snapshot[name].exists and snapshot[name].owned for name in _STORES)


def fill(pipeline: Pipeline, settings: Settings, emit: Emit) -> None:
    """Put all failed results that are stored into the index. Raises Problem."""
    where = store(settings.results, pipeline.aws, pipeline.names)
    if not reindex.repair(where).read:
        return
    if list(old_runs.while_they_may_last(pipeline.aws, emit, _OLD_RUNS)):
        reindex.repair(where)
    emit(Note("failed_indexed", where.name))


def planned(pipeline: Pipeline, settings: Settings) -> Change:
    """What a dry run says of it."""
    where = store(settings.results, pipeline.aws, pipeline.names).name
    service = "dynamodb." if settings.results == "table" else "s3."
    operations = tuple(one for one in _OPERATIONS if one.startswith(service))
    what = f"failed results of {where} to their index"
    return Change("add", what, Routine("index_failed", operations, lambda _aws, _emit: None))
