"""`imgpipe rm`: remove pictures, and with them their results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe_cli.commands import completion
from imgpipe_cli.commands.runtime import Run, command, need_confirmation
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.pictures.keys import argument, check_key
from imgpipe_cli.result import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgpipe_cli.pictures.removing import Count, Done, Wanted


def register(app: typer.Typer) -> None:
    @command(app)
    def rm(
        run: Run,
        keys: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="[KEY...]",
                help="The keys of pictures in the bucket, or quoted patterns such as 'a/*.jpg'.",
                autocompletion=completion.keys,
            ),
        ] = None,
        prefix: Annotated[
            str | None, typer.Option("--prefix", metavar="PREFIX", help="All keys that begin so.")
        ] = None,
        purge: Annotated[
            bool, typer.Option("--purge", help="Remove all versions, at once and for good.")
        ] = False,
        yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    ) -> Result:
        """Remove pictures and their results."""
        from imgpipe_cli.aws.client import AwsError
        from imgpipe_cli.deploy.pipeline_info import not_set_up
        from imgpipe_cli.pictures import removing

        words, prefix = _words(keys, prefix)
        connection = run.connect()
        aws, bucket = connection.aws, connection.names.bucket
        try:
            with run.screen.progress.busy("counting"):
                meant = removing.read(aws, bucket, words)
                meant += [] if prefix is None else [removing.Wanted(prefix, "prefix")]
                found = removing.count(aws, bucket, meant, purge=purge)
            _ask(run, meant, found, yes=yes, purge=purge)
            with run.screen.progress.busy("removing"):
                hidden = removing.hide(aws, bucket, meant, found.latest)
                purged = None
                if purge:
                    but = {one.key for one in hidden.refused}
                    purged = removing.purge(aws, bucket, meant, found.latest, but=but)
        except AwsError as error:
            if error.code == "NoSuchBucket":
                raise not_set_up(connection.names.project) from error
            raise
        run.save()
        return _answer(run, found, hidden, purged)


def _words(keys: list[str] | None, prefix: str | None) -> tuple[list[str], str | None]:
    """The keys and patterns, and the prefix, as UTF-8. Raises a usage Problem."""
    if prefix == "":
        # A script's unset variable must not remove all.
        raise _usage("An empty prefix means every picture.", "To remove them all: imgpipe rm '*'.")
    if bool(keys) == (prefix is not None):
        raise _usage("Name keys, or a prefix.", "See imgpipe rm --help.")
    return [check_key(key) for key in keys or ()], None if prefix is None else check_key(prefix)


def _usage(message: str, hint: str) -> Problem:
    return Problem("bad_usage", message, hint=hint, exit_code=ExitCode.USAGE)


def _ask(run: Run, meant: Sequence[Wanted], found: Count, *, yes: bool, purge: bool) -> None:
    """Single pictures that can be had back go without a question."""
    from imgpipe_cli.render.text import count

    is_plain = not purge and all(one.kind == "key" for one in meant)
    if yes or is_plain or not (found.pictures or found.versions):
        return
    need_confirmation(yes, "Removing many pictures, or all versions,")
    what = count(found.pictures, "picture")
    if purge:
        what += f" and all {found.versions:,} versions, for good"
    if (run.screen.ask(f"Remove {what}? [y/N]") or "").lower() not in ("y", "yes"):
        raise Problem("not_confirmed", "Nothing was removed.")


def _answer(run: Run, found: Count, hidden: Done, purged: Done | None) -> Result:
    from imgpipe_cli.render import removals
    from imgpipe_cli.render.screen import problem_data

    problems = [_missing(one) for one in found.missing]
    problems += [
        Problem("not_removed", f"S3 keeps {one.key}: {one.message}", hint="")
        for one in (*hidden.refused, *(purged.refused if purged else ()))
    ]
    if not run.options.json:
        for problem in problems:
            run.screen.problem(run.command, problem)
    versions = purged.number if purged else None
    return Result(
        data={"removed": hidden.number, "versions": versions},
        errors=[problem_data(problem) for problem in problems],
        exit_code=ExitCode.FAILED if problems else ExitCode.DONE,
        show=lambda screen: screen.line(removals.words(hidden.number, versions)),
    )


def _missing(one: Wanted) -> Problem:
    if one.kind == "key":
        hint = f"See the keys with imgpipe list, or ask: imgpipe explain {argument(one.text)}"
        return Problem("not_found", f"There is no picture {one.text} in the bucket.", hint=hint)
    what = "begins with" if one.kind == "prefix" else "matches"
    return Problem(
        "not_found", f"No picture's key {what} {one.text}.", hint="See the keys with imgpipe list."
    )
