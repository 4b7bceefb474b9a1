"""`imgpipe open`: the web page in the browser, signed in; or saved as one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe_cli.commands.runtime import Run, command
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.result import Result

if TYPE_CHECKING:
    from imgpipe_cli.session.target import Remembered


def register(app: typer.Typer) -> None:
    @command(app, "open")
    def open_page(
        run: Run,
        save: Annotated[
            Path | None,
            typer.Option(
                "--save", metavar="FILE", help="Write the page as one file that works from disk or any host."
            ),
        ] = None,
        only_print: Annotated[
            bool, typer.Option("--print", help="Only print the page's address; open nothing.")
        ] = False,
    ) -> Result:
        """Open the web page in the browser, already signed in."""
        pipeline = _reachable(run)
        if save is not None:
            return _saved(pipeline, save)
        from imgpipe_cli.pictures import browser

        page_url = f"{pipeline.api_url}/"
        opened = (
            not only_print and browser.browser_there() and browser.open_signed_in(page_url, pipeline.token)
        )
        if opened:
            run.screen.aside("Opened in the browser, signed in. Should it show no page: the address is")
        elif not only_print:
            run.screen.aside("No browser can be opened here. Open this address yourself;")
            run.screen.aside("imgpipe token prints the token to sign in with.")
        return Result(data={"pageUrl": page_url, "opened": opened}, show=lambda screen: screen.line(page_url))


def _reachable(run: Run) -> Remembered:
    """The pipeline, with an API that answers and a token that it takes. Raises Problem, ApiUnavailable."""
    from imgpipe_cli.pictures.api import Api, ApiUnavailable

    pipeline = run.pipeline()
    try:
        Api(pipeline.api_url, pipeline.token).results(limit=1)
    except (ApiUnavailable, Problem):
        # Set up anew, or its token replaced, from another machine: what is remembered is out of date.
        if not run.look_up_again():
            raise
        pipeline = run.pipeline()
        Api(pipeline.api_url, pipeline.token).results(limit=1)
    return pipeline


def _saved(pipeline: Remembered, path: Path) -> Result:
    from imgpipe_cli.pictures.standalone_page import is_saved_page, saved_page
    from imgpipe_cli.system import file_io

    try:
        if path.exists() and not is_saved_page(path):
            raise Problem(
                "file_exists",
                f"{path} exists and is not a page that imgpipe saved; it was not touched.",
                hint="Choose another name.",
                exit_code=ExitCode.USAGE,
            )
        # It holds no token, so whoever may read the folder may read it.
        file_io.write(path, saved_page(pipeline), mode=0o666)
    except OSError as error:
        raise Problem(
            "not_saved",
            f"{path} cannot be written: {error.strerror or error}.",
            hint="Name a file in a folder that exists and may be written to.",
        ) from error
    return Result(data={"saved": str(path)}, show=lambda screen: screen.line(str(path)))
