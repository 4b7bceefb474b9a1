"""`imgpipe explain`: where a picture's result is, and what to do if it does not come."""

from __future__ import annotations

from typing import Annotated

import typer

from imgpipe_cli.commands import completion
from imgpipe_cli.commands.runtime import Run, command
from imgpipe_cli.errors import ExitCode
from imgpipe_cli.pictures.keys import check_key, composed
from imgpipe_cli.result import Result


def register(app: typer.Typer) -> None:
    @command(app)
    def explain(
        run: Run,
        key: Annotated[
            str,
            typer.Argument(
                metavar="KEY",
                help="The key of a picture in the bucket.",
                autocompletion=completion.keys,
            ),
        ],
    ) -> Result:
        """Show a picture's story step by step, and the next step."""
        from imgpipe_cli.deploy.steps import SERVICES
        from imgpipe_cli.diagnose.explain import explanation
        from imgpipe_cli.diagnose.explain.evidence import gather
        from imgpipe_cli.diagnose.explain.timeline import timeline
        from imgpipe_cli.pictures.api import ApiUnavailable
        from imgpipe_cli.render import explanations

        connection = run.connect(services=SERVICES)
        # A name as some systems hand it out, then as uploads write it.
        for spelled in dict.fromkeys((check_key(key), composed(key))):
            found = gather(connection, run.remembered, spelled)
            conclusion = explanation.conclusion(found)
            if found.result_error and (trouble := run.trouble(ApiUnavailable(found.result_error))):
                conclusion = explanation.Conclusion("failed", trouble.code, trouble.message, trouble.hint)
            if conclusion.state != "not_found":
                break
        moments = timeline(found)
        verbose = run.options.verbose
        code = explanation.EXIT_CODES[conclusion.state]
        error = {"code": conclusion.cause, "message": conclusion.why, "hint": conclusion.advice}
        return Result(
            data=explanations.document(found, conclusion, moments),
            show=lambda screen: explanations.show(screen, found, conclusion, moments, verbose=verbose),
            exit_code=code,
            errors=[error] if code is not ExitCode.DONE else [],
        )
