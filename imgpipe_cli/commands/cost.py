"""`imgpipe cost`: what was analyzed this month, and what that costs."""

from __future__ import annotations

import typer

from imgpipe_cli.commands.asking import answered
from imgpipe_cli.commands.runtime import Run, command
from imgpipe_cli.result import Result


def register(app: typer.Typer) -> None:
    @command(app)
    def cost(run: Run) -> Result:
        """Show this month's pictures, analyses and dollars by feature, and what the monthly limit leaves."""
        from imgpipe_cli.pictures.api import Api, repeated
        from imgpipe_cli.render import costs

        found = answered(
            run, lambda pipeline: repeated(lambda: Api(pipeline.api_url, pipeline.token).usage())
        )
        local = run.target.local
        return Result(
            data=costs.document(found, local=local),
            show=lambda screen: costs.show(screen, found, local=local),
        )
