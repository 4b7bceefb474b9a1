"""`imgpipe down`: take everything away that `up` made, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe_cli.commands.options import WorkersOption
from imgpipe_cli.commands.runtime import Run, command, need_confirmation, nothing
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.result import Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from imgpipe_cli.deploy.destroy import Removal
    from imgpipe_cli.events import Emit, Event, Skipped
    from imgpipe_cli.session.connection import Connection


LEFT = {
    "foreign": " is not imgpipe's and is left alone",
    "unmarked": " is empty and without tags, so nothing says whose it is: it is left alone. "
    "If it is yours: aws s3api delete-bucket --bucket {name}",
    "untagged": " has no tags, so nothing says whose it is: it is left alone. "
    "imgpipe status names the tags that it needs if it is yours",
    "kept": " is kept",
    "stray": "",
}


def register(app: typer.Typer) -> None:
    @command(app)
    def down(
        run: Run,
        yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be removed.")] = False,
        keep_bucket: Annotated[
            bool, typer.Option("--keep-bucket", help="Leave the bucket and the pictures in it.")
        ] = False,
        workers: WorkersOption = 16,
    ) -> Result:
        """Remove the pipeline: show what will go, ask, remove it, check again."""
        from imgpipe_cli.deploy import destroy, observe
        from imgpipe_cli.deploy.pipeline import Pipeline
        from imgpipe_cli.deploy.steps import SERVICES, STEPS
        from imgpipe_cli.render import reports

        if yes and not dry_run:
            run.refuse_unnamed()
        connection = run.connect(start_local=True, services=SERVICES)
        pipeline = Pipeline(STEPS, connection.aws, connection.names, workers)
        keep = frozenset({"bucket"} if keep_bucket else ())

        def plan(emit: Emit) -> list[Removal]:
            return destroy.planned_removals(pipeline, observe.snapshot(pipeline, nothing), emit, keep=keep)

        skipped: list[Skipped] = []
        going = plan(_tell_skipped(run, skipped))
        if not going:
            return _finished(run, connection, [], skipped)
        if dry_run:
            reports.removals(run.screen, going, connection.names)
            names = [removal.resource.name for removal in going]
            return Result(
                data={"wouldRemove": names, "contents": _contents(going), "skipped": _data(skipped)},
                show=lambda screen: screen.line("Nothing was removed."),
            )
        if not (yes and run.screen.quiet):
            reports.removals(run.screen, going, connection.names)
        if not yes:
            going = _confirmed(run, going, connection, lambda: plan(nothing))
        run.screen.progress.steps([step for step in STEPS if any(r.step is step for r in going)])
        run.screen.progress.only({removal.resource.name for removal in going})
        left = destroy.destroy(pipeline, going, run.emit, keep=keep)
        run.screen.close()
        if left:
            raise Problem(
                "left_over",
                f"Still there after the removal: {', '.join(left)}.",
                hint="Another run of imgpipe may have made it meanwhile: run imgpipe down again.",
            )
        return _finished(run, connection, [r.resource.name for r in going], skipped)


def _tell_skipped(run: Run, skipped: list[Skipped]) -> Emit:
    from imgpipe_cli.events import Skipped

    def tell(event: Event) -> None:
        if isinstance(event, Skipped):
            skipped.append(event)
            why = LEFT[event.why].format(name=event.what.split()[-1])
            run.screen.aside(f"{event.what}{why}.")

    return tell


def _data(skipped: list[Skipped]) -> list[dict[str, str]]:
    return [{"resource": one.resource, "what": one.what, "why": one.why} for one in skipped]


def _contents(going: list[Removal]) -> dict[str, dict[str, int]]:
    return {removal.resource.name: dict(removal.contents) for removal in going if removal.contents}


def _confirmed(
    run: Run, going: list[Removal], connection: Connection, plan: Callable[[], list[Removal]]
) -> list[Removal]:
    """What goes, after a yes, or the project's name where pictures would be lost; also where they came while
    the question stood there."""
    from imgpipe_cli.render import reports

    need_confirmation(False, "Removing a pipeline")
    _ask(run, connection.target.project, pictures=_pictures(going))
    latest = plan()
    if _pictures(latest) and not _pictures(going):
        run.screen.note("Pictures came in meanwhile.")
        reports.removals(run.screen, latest, connection.names)
        return _confirmed(run, latest, connection, plan)
    return latest


def _pictures(going: list[Removal]) -> bool:
    return any(r.contents.get("objects") or r.contents.get("versions") for r in going)


def _ask(run: Run, project: str, *, pictures: bool) -> None:
    if pictures:
        answer = run.screen.ask(f"Pictures will be lost. Type the project's name ({project}) to remove it:")
        agreed = answer == project
    else:
        agreed = (run.screen.ask("Remove it? [y/N]") or "").lower() in ("y", "yes")
    if not agreed:
        raise Problem("not_confirmed", "Nothing was removed.", exit_code=ExitCode.FAILED)


def _finished(run: Run, connection: Connection, removed: list[str], skipped: list[Skipped]) -> Result:
    from imgpipe_cli.pictures.sending import journal
    from imgpipe_cli.session import recent_keys

    run.forget(connection.target)
    journal.forget(connection.names.bucket)
    recent_keys.forget(connection.target, run.target)
    run.save()
    if connection.target.local:
        _stop_unused_cloud(run)
    words = _last_words(bool(removed), skipped)
    data = {"removed": removed, "left": [], "skipped": _data(skipped)}
    return Result(data=data, show=lambda screen: screen.line(words))


def _last_words(removed: bool, skipped: list[Skipped]) -> str:
    """How it ended, with what is still there."""
    if not skipped:
        found = "Everything is gone: a fresh look found nothing left."
        return found if removed else "Nothing to remove: no pipeline is there."
    kept = ", ".join(one.what for one in skipped if one.why == "kept")
    others = ", ".join(one.what for one in skipped if one.why != "kept")
    ends = ("Everything of imgpipe's is gone", others and f"left alone: {others}", kept and f"kept: {kept}")
    return "; ".join(end for end in ends if end) + "."


def _stop_unused_cloud(run: Run) -> None:
    """The local cloud runs for its pipelines: with the last one gone it stops."""
    from imgpipe_cli.local.process import control

    # None: it did not say; what may still have pipelines keeps running.
    if control.status().projects == () and control.stop():
        run.note("local_stopped")
