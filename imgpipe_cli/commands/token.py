"""`imgpipe token`: the secret that opens the page and the closed routes of the API."""

from __future__ import annotations

from typing import Annotated

import typer

from imgpipe_cli.commands.runtime import Run, command, nothing
from imgpipe_cli.result import Result


def register(app: typer.Typer) -> None:
    @command(app)
    def token(
        run: Run,
        rotate: Annotated[
            bool, typer.Option("--rotate", help="Replace it by a new one; the old one stops working.")
        ] = False,
    ) -> Result:
        """Print the access token, and nothing else, on standard output."""
        from imgpipe_cli.deploy import pipeline_info

        # Asked of the cloud each time: another machine may have replaced it.
        connection = run.connect()
        found = pipeline_info.discover(connection)
        if rotate:
            from imgpipe_cli.deploy import token_rotation

            old = found.token
            found = token_rotation.rotate(connection, nothing)
            run.keep(found)
            run.save()
            aws = connection.aws
            if token_rotation.in_force(old, found, sleep=aws.sleep, clock=aws.clock):
                run.screen.aside("The token was replaced; the old one is refused from now on.")
                run.screen.aside("Links and forms it was given before still work, for five minutes at most.")
            else:
                run.screen.aside(
                    "The token was replaced. The API does not answer with it yet; see imgpipe status."
                )
        else:
            run.keep(found)
        return Result(
            data={"token": found.token, "rotated": rotate},
            show=lambda screen: screen.line(found.token, exact=True),
        )
