"""`up` with a choice of stores: results move from one to the other without being lost or paid for again.

A move has three parts, each written into the settings before it begins, so that `up` goes on where an
interrupted one stopped:

- copy: the other store is made and filled; the functions still use the old one.
- switch: the functions use the new store; what reached the old one meanwhile is copied as well.
- close: no function may use the old store any more. After a pass over both that finds nothing to copy it
  goes.

Copying never puts an older result over a newer one, so it may be repeated, and turned round, at any point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.deploy import conflicts, plan
from imgpipe_cli.deploy.destroy import Removal, remove_all
from imgpipe_cli.deploy.observe import Snapshot
from imgpipe_cli.deploy.pipeline import Pipeline
from imgpipe_cli.deploy.resource import MISSING, Change, Context, Resource, Routine, Step
from imgpipe_cli.deploy.results import failed_index, old_runs
from imgpipe_cli.deploy.results.failed_index import STORES
from imgpipe_cli.deploy.results.store import (
    PARALLEL,
    REFUSED_TO_ALL,
    ResultStore,
    batches,
    is_about_one,
    name_of,
    store,
)
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Copied, Emit, Note
from imgpipe_cli.pictures.sources import few
from imgpipe_cli.session.settings import Settings
from imgpipe_cli.system.threads import Pool

if TYPE_CHECKING:
    from shared.result_item import Stored

# The resources of each store, outermost first: they go when the results have moved.
_RESOURCES = {"table": (STORES["table"], "table.ttl"), "s3": (STORES["s3"],)}
# Results that come in while the others are copied make another pass; so many would be no end.
_PASSES = 10
_OLD_RUNS = "pictures begun before the switch may still bring results"


def begin(pipeline: Pipeline, settings: Settings, snapshot: Snapshot) -> Settings:
    """The settings to carry out, in view of what is there: a store that was never made needs no move, one
    that is left over is moved from before it goes, and the indexes may have to be filled. Raises Problem."""
    settings = replace(settings, failed_index=failed_index.is_complete(pipeline, snapshot))
    if settings.move == "copy" and not _owned(snapshot, settings.results):
        return replace(settings, results=settings.other_store, move="")
    if settings.move in ("", "switch", "close"):
        there = _owned(snapshot, settings.other_store)
        return replace(settings, move=(settings.move or "switch") if there else "")
    return settings


def _owned(snapshot: Snapshot, kind: str) -> bool:
    observed = snapshot[STORES[kind]]
    # What is being removed was copied before.
    return failed_index.stays(observed) and observed.owned


def source(settings: Settings) -> str:
    """The store that a move takes the results from."""
    return settings.results if settings.move == "copy" else settings.other_store


def store_names(pipeline: Pipeline, settings: Settings) -> tuple[str, str]:
    """What people read for the store that a move takes the results from, and for the one it takes them to."""
    kinds = (source(settings), settings.destination)
    old, new = (store(kind, pipeline.aws, pipeline.names).name for kind in kinds)
    return old, new


def results_to_move(pipeline: Pipeline, snapshot: Snapshot, settings: Settings) -> int:
    """How many results are in the store that a move takes them from. Raises Problem."""
    resource = _outermost(pipeline, source(settings))[1]
    try:
        counted = resource.contents(pipeline.aws, pipeline.names, snapshot[resource.name])
    except AwsError as error:
        raise problem(error, f"count what is in {resource.name}") from error
    return counted["results"]


def refuse_lasting(pipeline: Pipeline, snapshot: Snapshot, settings: Settings) -> None:
    """Raise a Problem where the store that a move takes the results from could not go at its end."""
    for _, resource in pipeline.resources():
        if settings.move and resource.name in _RESOURCES[source(settings)] and snapshot[resource.name].exists:
            list(resource.removals(Context(snapshot[resource.name], pipeline.names)))


def _outermost(pipeline: Pipeline, kind: str) -> tuple[Step, Resource]:
    return _resource(pipeline, STORES[kind])


def _resource(pipeline: Pipeline, name: str) -> tuple[Step, Resource]:
    return next(found for found in pipeline.resources() if found[1].name == name)


def stages(settings: Settings) -> list[Settings]:
    """The settings to carry out one after the other; the last are those of the pipeline at rest."""
    rest = settings.at_rest
    stages = [settings, replace(rest, move="switch"), replace(rest, move="close"), rest]
    found = stages[{"copy": 0, "switch": 1, "close": 2, "": 3}[settings.move] :]
    return found if settings.failed_index else [*found, replace(rest, failed_index=True)]


# --- one stage after the other ---------------------------------------------------------------------


def carry_out(pipeline: Pipeline, snapshot: Snapshot, stage: Settings, emit: Emit) -> None:
    """Do the work of one stage of a move, once its resources are right; the snapshot is kept up to date.

    Raises Problem, and ConflictError."""
    aws, names = pipeline.aws, pipeline.names
    old, new = store(source(stage), aws, names), store(stage.destination, aws, names)
    if stage.move == "copy":
        copied = copy(old, new, emit)
        refuse_conflict(pipeline, snapshot)
        emit(Note("results_copied", f"{copied} from {old.name} to {new.name}"))
    elif stage.move == "switch":
        emit(Note("results_switched", new.name))
        copy(old, new, emit)
        for _ in old_runs.while_they_may_last(aws, emit, _OLD_RUNS):
            copy(old, new, emit)
        refuse_conflict(pipeline, snapshot)
    else:
        count = _until_quiet(old, new, emit)
        # Another run may have turned the move round: the old store may be the one in use again.
        refuse_conflict(pipeline, snapshot)
        emit(Note("results_verified", f"{count} from {old.name} are in {new.name}"))
        _take_away(pipeline, snapshot, source(stage), emit)
        emit(Note("store_removed", old.name))


def refuse_conflict(pipeline: Pipeline, snapshot: Snapshot) -> None:
    """Raises ConflictError where the settings are not those that this run has written for this part."""
    conflicts.refuse_conflict(pipeline, {"settings": snapshot["settings"]})


def _until_quiet(old: ResultStore, new: ResultStore, emit: Emit) -> int:
    """Copy until a pass over both stores finds everything of the old one in the new; how much that is."""
    for _ in range(_PASSES):
        if copy(old, new, emit) == 0:
            return len(_read(old))
    raise Problem(
        "still_written",
        f"Results still arrive in {old.name}, which nothing should use any more.",
        hint="Is another program writing to it? Stop that, then run imgpipe up again: it continues here.",
    )


def _take_away(pipeline: Pipeline, snapshot: Snapshot, kind: str, emit: Emit) -> None:
    going = [
        Removal(step, resource, snapshot[resource.name])
        for step, resource in pipeline.resources()
        if resource.name in _RESOURCES[kind] and snapshot[resource.name].exists
    ]
    remove_all(pipeline, going, emit)
    snapshot.update(dict.fromkeys(_RESOURCES[kind], MISSING))


# --- copying -------------------------------------------------------------------------------------


def copy(old: ResultStore, new: ResultStore, emit: Emit) -> int:
    """Put into `new` what `old` has newer, or alone; how many results that were.

    Raises Problem; where single results are refused, after all others are copied.
    """
    known = _read(new)
    done = 0
    refused: dict[str, AwsError] = {}

    def refuse(name: str, error: AwsError) -> None:
        refused[name] = error
        if not done and len(refused) >= REFUSED_TO_ALL:
            raise error

    def put(item: Stored) -> bool:
        try:
            return new.put(item, absent=name_of(item) not in known)
        except AwsError as error:
            if not is_about_one(error):
                raise
            refuse(name_of(item), error)
            return False

    try:
        with Pool(PARALLEL, thread_name_prefix="copy") as pool:
            for some in batches(old.items(known, refuse)):
                done += sum(pool.map(put, some))
                emit(Copied("table", _RESOURCES["table"][0], done))
    except AwsError as error:
        raise problem(error, f"copy the results from {old.name} to {new.name}") from error
    if refused:
        raise _not_copied(refused, old, new)
    return done


def _not_copied(refused: Mapping[str, AwsError], old: ResultStore, new: ResultStore) -> Problem:
    names = few([repr(name) for name in sorted(refused)])
    first = refused[min(refused)]
    found = problem(first, f"copy the results of {names} from {old.name} to {new.name}")
    hint = "Nothing is lost. Remove the cause, or these results, then run imgpipe up again: it continues."
    return Problem(found.code, found.message, hint=hint)


def _read(one: ResultStore) -> Mapping[str, str]:
    try:
        return one.digests()
    except AwsError as error:
        raise problem(error, f"read the results in {one.name}") from error


# --- dry run -------------------------------------------------------------------------------------


def planned(
    pipeline: Pipeline, snapshot: Snapshot, settings: Settings
) -> list[tuple[Step, Resource, Change]]:
    """Every call that `up` would send, in the order in which it would; copying and removing as one each."""
    changes: list[tuple[Step, Resource, Change]] = []
    told: dict[str, list[Change]] = {}
    if failed_index.has_outlived(snapshot):
        cleared = _resource(pipeline, failed_index.INDEX)
        changes.append((*cleared, failed_index.planned_clear(pipeline)))
    for stage in stages(settings):
        for step, resource, change in plan.planned(pipeline, snapshot, stage):
            earlier = told.setdefault(resource.name, [])
            # What an earlier part of the move does is not done again, and nothing is created twice.
            again = change in earlier or (
                change.verb == "create" and any(c.verb == "create" for c in earlier)
            )
            if not again:
                earlier.append(change)
                changes.append((step, resource, change))
        if stage.move and stage == stages(settings)[0]:
            changes.append(_planned_copy(pipeline, snapshot, stage))
        if not stage.move and not stage.failed_index:
            filled = _outermost(pipeline, stage.results)
            changes.append((*filled, failed_index.planned(pipeline, stage)))
        if stage.move == "close":
            changes += [
                (step, resource, change)
                for step, resource in pipeline.resources()
                if resource.name in _RESOURCES[source(stage)]
                for change in resource.removals(Context(snapshot[resource.name], pipeline.names))
            ]
    return changes


def _planned_copy(pipeline: Pipeline, snapshot: Snapshot, stage: Settings) -> tuple[Step, Resource, Change]:
    count = results_to_move(pipeline, snapshot, stage)
    old, new = store_names(pipeline, stage)
    what = f"{count} result{'' if count == 1 else 's'} from {old} to {new}"
    operations = (
        "dynamodb.scan",
        "s3.list_objects_v2",
        "s3.get_object",
        "dynamodb.put_item",
        "s3.put_object",
    )
    step, resource = _outermost(pipeline, stage.destination)
    return step, resource, Change("copy", what, Routine("copy_results", operations, lambda _aws, _emit: None))
