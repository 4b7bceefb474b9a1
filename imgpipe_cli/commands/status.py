"""`imgpipe status`: how each step stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from imgpipe_cli.commands.base import Result, Run, command, nothing
from imgpipe_cli.problems import ExitCode

if TYPE_CHECKING:
    from imgpipe_cli.render.screen import Screen


def register(app: typer.Typer) -> None:
    @command(app)
    def status(run: Run) -> Result:
        """Show each step: ready, busy, missing, differs or not ours; and the outputs."""
        from imgpipe_cli import outputs, runner
        from imgpipe_cli.commands.up import output_data
        from imgpipe_cli.render import reports
        from imgpipe_cli.settings import Settings
        from imgpipe_cli.steps import SERVICES, STEPS

        connection = run.connect(services=SERVICES)
        pipeline = runner.Pipeline(STEPS, connection.aws, connection.names)
        looks = runner.look(pipeline, nothing)
        stored = looks["settings"]
        readable = stored.exists and stored.owned
        settings = Settings.from_json(stored.facts["value"]) if readable else Settings()
        found = runner.states(pipeline, looks, settings)
        output = outputs.of(connection, looks)
        if all(state.state in ("missing", "foreign") for state in found):
            code = ExitCode.NOT_SET_UP
        else:
            ready = all(state.state == "ready" for state in found)
            code = ExitCode.DONE if ready else ExitCode.FAILED
        data = {
            "steps": [
                {
                    "step": step.name,
                    "title": step.title,
                    "state": reports.step_state([s for s in found if s.step == step.name]),
                    "resources": [
                        {"name": s.resource, "state": s.state, "differences": list(s.differences)}
                        for s in found
                        if s.step == step.name
                    ],
                }
                for step in STEPS
            ],
            "outputs": output_data(output) if output else None,
        }

        def show(screen: Screen) -> None:
            screen.states(STEPS, found)
            if output is not None:
                screen.outputs_only(output, settings)
            elif code is ExitCode.NOT_SET_UP:
                screen.line(f"{connection.target.project} is not set up here. Run imgpipe up.")

        return Result(data=data, show=show, exit_code=code)
