"""`imgpipe labels`: the labels that pictures have."""

from __future__ import annotations

from typing import Annotated

import typer

from imgpipe_cli.commands.asking import answered, shown_from
from imgpipe_cli.commands.options import MinConfidenceOption
from imgpipe_cli.commands.runtime import Run, command
from imgpipe_cli.result import Result


def register(app: typer.Typer) -> None:
    @command(app)
    def labels(
        run: Run,
        prefix: Annotated[
            str, typer.Option("--prefix", metavar="PREFIX", help="Only labels whose names begin so.")
        ] = "",
        min_confidence: MinConfidenceOption = None,
    ) -> Result:
        """Show the labels that pictures have, the most frequent first, with the number of pictures."""
        from imgpipe_cli.pictures.api import Api
        from imgpipe_cli.pictures.finding import labels as listed
        from imgpipe_cli.render import labels as drawn

        least = shown_from(run, min_confidence, run.pipeline())
        found = answered(
            run, lambda pipeline: list(listed(Api(pipeline.api_url, pipeline.token), prefix, least))
        )
        found.sort(key=lambda label: (-label["count"], label["name"]))
        if not found:
            asked = prefix or min_confidence is not None
            run.note("no_labels_match" if asked else "no_labels", _asked_for(prefix, least))
        return Result(data={"labels": found}, show=lambda screen: drawn.show(screen, found))


def _asked_for(prefix: str, least: float) -> str:
    """Also how sure: the pipeline's own setting hides labels, too."""
    begins = f"that begins with {prefix} " if prefix else ""
    return f"{begins}is at least {least:g} % sure"
