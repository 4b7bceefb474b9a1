"""`imgpipe status`: how each step stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from imgpipe_cli.commands.local_gaps import gaps
from imgpipe_cli.commands.runtime import Run, command, nothing
from imgpipe_cli.errors import ExitCode
from imgpipe_cli.result import Result

if TYPE_CHECKING:
    from imgpipe_cli.deploy.observe import Snapshot
    from imgpipe_cli.deploy.plan import State
    from imgpipe_cli.render.screen import Screen
    from imgpipe_cli.session.connection import Connection


def register(app: typer.Typer) -> None:
    @command(app)
    def status(run: Run) -> Result:
        """Show the state of each step (ready, busy, missing, drifted or not owned) and the outputs."""
        from imgpipe_cli.deploy import deployed, observe, pipeline_info, plan
        from imgpipe_cli.deploy.pipeline import Pipeline
        from imgpipe_cli.deploy.steps import SERVICES, STEPS
        from imgpipe_cli.render import reports
        from imgpipe_cli.render.text import safe
        from imgpipe_cli.session.settings import Settings

        connection = run.connect(services=SERVICES)
        pipeline = Pipeline(STEPS, connection.aws, connection.names)
        snapshot = observe.snapshot(pipeline, nothing)
        known = deployed.settings(snapshot, connection.names)
        settings = known or Settings()
        found = plan.states(pipeline, snapshot, settings)
        _note_own_keys(run, snapshot, connection)
        added = plan.unmanaged_changes(pipeline, snapshot)
        output = pipeline_info.of(connection, snapshot)
        missing = gaps(settings.features) if connection.target.local and known else []
        code = exit_code({state.state for state in found})
        data = {
            "steps": [
                {
                    "step": step.name,
                    "title": step.title,
                    "state": reports.step_state([s for s in found if s.step == step.name]),
                    "resources": [
                        {
                            "name": s.resource,
                            "state": s.state,
                            "differences": list(s.drift),
                            "additions": list(added.get(s.resource, ())),
                        }
                        for s in found
                        if s.step == step.name
                    ],
                }
                for step in STEPS
            ],
            "outputs": reports.outputs_document(output) if output else None,
            "settings": reports.settings_document(known) if known else None,
            "missing": [code for code, _ in missing],
        }

        def show(screen: Screen) -> None:
            reports.states(screen, STEPS, found)
            for told in added.values():
                for addition in told:
                    screen.line(f"Left as it is: {safe(addition)}.")
            if not settings.source_account:
                screen.line("Left out of the roles' trust policies: aws:SourceAccount.")
                screen.line("imgpipe up --source-account tries again to have it there.")
            if output is not None:
                reports.output_lines(screen, output, settings)
                reports.missing_lines(screen, missing)
            elif code is ExitCode.NOT_SET_UP:
                place = "imgpipe up --local" if connection.target.local else "imgpipe up"
                screen.line(f"{connection.target.project} is not set up here. Run {place}.")

        return Result(data=data, show=show, exit_code=code)


def exit_code(states: set[State]) -> ExitCode:
    """What a script is told of a pipeline with resources in these states."""
    if states <= {"missing", "not_owned"}:
        return ExitCode.NOT_SET_UP
    if states <= {"ready"}:
        return ExitCode.DONE
    # What AWS is still working on will be ready without anybody's doing.
    return ExitCode.PENDING if states <= {"ready", "busy"} else ExitCode.FAILED


def _note_own_keys(run: Run, snapshot: Snapshot, connection: Connection) -> None:
    """Tell which KMS keys the functions may not use by imgpipe's doing."""
    from imgpipe_cli.deploy.encryption_keys import own_keys

    if keys := list(own_keys(snapshot, connection.names)):
        run.note("own_key", ", ".join(keys))
