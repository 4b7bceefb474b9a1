"""`imgpipe retry`: what failed, by reason, and having it looked at again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from imgpipe_cli.commands import completion
from imgpipe_cli.commands.asking import answered, shown_from
from imgpipe_cli.commands.month_limit import Room, room
from imgpipe_cli.commands.options import TIMEOUT_S, MinConfidenceOption, timeout_option
from imgpipe_cli.commands.runtime import Run, command, need_confirmation
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.pictures.keys import check_key
from imgpipe_cli.result import Result

if TYPE_CHECKING:
    from imgpipe_cli.diagnose.retry.judging import Picture
    from imgpipe_cli.diagnose.retry.retrying import Cleared, Found, Retry
    from shared.result_item import ResultItem


# So many pictures named one by one are looked at again without a question.
_UNASKED = 10


def register(app: typer.Typer) -> None:
    @command(app)
    def retry(
        run: Run,
        keys: Annotated[
            list[str] | None,
            typer.Argument(metavar="[KEY...]", help="Only these pictures.", autocompletion=completion.keys),
        ] = None,
        reason: Annotated[
            list[str] | None,
            typer.Option("--reason", metavar="REASON", help="Only what failed for it; repeatable."),
        ] = None,
        everything: Annotated[
            bool, typer.Option("--all", help="Also what will most likely fail again, such as a wrong format.")
        ] = False,
        missing: Annotated[
            bool,
            typer.Option(
                "--missing", help="Also pictures without any result, such as from before the trigger."
            ),
        ] = False,
        again: Annotated[
            bool,
            typer.Option(
                "--again",
                help="Also finished pictures that lack something: a feature added since, or a newer local "
                "model. With KEY; with --all only on the local cloud.",
            ),
        ] = False,
        yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Only list what failed; nothing is changed.")
        ] = False,
        timeout: Annotated[float, timeout_option("How long to wait for the next result (180).")] = TIMEOUT_S,
        min_confidence: MinConfidenceOption = None,
    ) -> Result:
        """List failed pictures by reason, and analyze them again.

        Without KEY, --reason and --all: what may end well this time. Events leave the failure queue once
        their pictures have a result.
        """
        from imgpipe_cli.render import failures as shown

        named = [check_key(key) for key in dict.fromkeys(keys or [])]
        reasons = list(dict.fromkeys(reason or []))
        _check(named, reasons, everything=everything, missing=missing)
        if again:
            _check_again(run, named, reasons, everything=everything, missing=missing)
        found = _find(run, named, missing=missing, again=again)
        _check_reasons(found.pictures, reasons)
        problems = _unknown(run, found, named)
        limit = room(run, found, _chosen(found, named, reasons, everything=everything))
        found, chosen = limit.found, limit.chosen
        price = shown.cost(chosen, found.settings, local=run.target.local)
        if limit.refused and not dry_run:
            problems.append(limit.refused)
        else:
            price = f"{price} {limit.told}".strip()
        if not run.options.json and (dry_run or not named):
            shown.show(run.screen, found, every_key=dry_run)
        if dry_run:
            _tell_finished(run, found, named, chosen)
            return _answer(run, limit, None, problems, price, named)
        if chosen and not yes and _needs_a_yes(run, found, named, chosen):
            need_confirmation(yes, "Analyzing pictures again")
            answer = run.screen.ask(shown.question(chosen, price)) or ""
            if answer.lower() not in ("y", "yes"):
                raise Problem("not_confirmed", "Nothing was changed.", exit_code=ExitCode.FAILED)
        elif price:
            run.screen.aside(price)
        done = _carry_out(run, found, chosen, named, timeout, min_confidence)
        return _answer(run, limit, done, problems, price, named)


def _check(named: Sequence[str], reasons: Sequence[str], *, everything: bool, missing: bool) -> None:
    if named and missing:
        raise Problem(
            "bad_usage",
            "--missing looks for pictures that are not named; a KEY is retried as it is.",
            hint="See imgpipe retry --help.",
            exit_code=ExitCode.USAGE,
        )
    if sum(map(bool, (named, reasons, everything))) > 1:
        raise Problem(
            "bad_usage",
            "KEY, --reason and --all each choose pictures; only one of them can be given.",
            hint="See imgpipe retry --help.",
            exit_code=ExitCode.USAGE,
        )


def _check_again(
    run: Run, named: Sequence[str], reasons: Sequence[str], *, everything: bool, missing: bool
) -> None:
    message = hint = ""
    if reasons or missing:
        message = "--again is about finished pictures, --reason and --missing are about others."
        hint = "Give them in two commands."
    elif everything and not run.target.local:
        message = "On AWS --again takes no --all: Rekognition bills each feature of each picture."
        hint = "Name the pictures: imgpipe retry KEY... --again."
    elif not named and not everything:
        message = "--again needs the keys of the pictures."
        hint = "imgpipe retry KEY... --again; on the local cloud also imgpipe retry --all --again."
    if message:
        raise Problem("bad_usage", message, hint=hint, exit_code=ExitCode.USAGE)


def _needs_a_yes(run: Run, found: Found, named: Sequence[str], chosen: Sequence[Picture]) -> bool:
    """A finished picture is paid for once more, where anything is paid at all."""
    if found.again and run.target.local:
        return False
    return not named or len(chosen) > _UNASKED or any(one.state == "done" for one in chosen)


def _check_reasons(pictures: Sequence[Picture], reasons: Sequence[str]) -> None:
    """A reason that nothing failed for is most likely a typing error, unless nothing failed at all."""
    there = list(dict.fromkeys(one.code for one in pictures if one.state == "failed"))
    unknown = [one for one in reasons if one not in there]
    if there and unknown:
        raise Problem(
            "unknown_reason",
            f"Nothing failed for the reason {', '.join(unknown)}.",
            hint=f"The reasons there are: {', '.join(there)}.",
            exit_code=ExitCode.USAGE,
        )


def _find(run: Run, named: Sequence[str], *, missing: bool, again: bool) -> Found:
    from imgpipe_cli.diagnose.retry.retrying import find
    from imgpipe_cli.pictures.api import Api

    connection = run.connect(services=("lambda", "sqs", "s3", "ssm"))
    return answered(
        run,
        lambda known: find(connection, Api(known.api_url, known.token), named, missing=missing, again=again),
    )


def _unknown(run: Run, found: Found, named: Sequence[str]) -> list[Problem]:
    """The errors of keys that nobody knows anything of."""
    from imgpipe_cli.diagnose.explain.missing import why_missing

    known = {picture.key for picture in found.pictures}
    absent = [key for key in named if key not in known]
    return [one.problem for one in why_missing(run.connect(), absent).values()] if absent else []


def _chosen(found: Found, named: Sequence[str], reasons: Sequence[str], *, everything: bool) -> list[Picture]:
    from imgpipe_cli.diagnose.retry.judging import asked_for

    pictures = found.pictures
    finished = [one for one in pictures if one.state == "done"] if found.again else []
    lacking = [one for one in finished if asked_for(one, found.settings.features)]
    if named:  # also what Lambda would try again by itself in a minute: somebody does not want to wait
        return [*(one for one in pictures if one.state == "failed" or one.code == "retrying"), *lacking]
    failed = [one for one in pictures if one.state == "failed"]
    if reasons:
        return [one for one in failed if one.code in reasons]
    return [*(one for one in failed if everything or one.helps), *lacking]


def _carry_out(
    run: Run,
    found: Found,
    chosen: Sequence[Picture],
    named: Sequence[str],
    timeout: float,
    min_confidence: float | None,
) -> Retry:
    """Have the chosen looked at again, wait for what comes by itself, and clear the queue."""
    from imgpipe_cli.diagnose.retry.calling import run_again
    from imgpipe_cli.diagnose.retry.retrying import Retry, at_once, clear
    from imgpipe_cli.render import failures as shown

    threshold = shown_from(run, min_confidence, run.pipeline())
    outcomes: list[Picture] = []

    def tell(picture: Picture) -> None:
        outcomes.append(picture)
        if not run.options.json:
            shown.outcome(run.screen, picture, threshold)

    def observe_again(pictures: Sequence[Picture]) -> list[Picture]:
        before = len(outcomes)

        def ended(picture: Picture) -> None:
            tell(picture)
            run.screen.progress.waiting(len(pictures) - (len(outcomes) - before))

        run.screen.progress.waiting(len(pictures))
        names, so_many = run.connect().names, at_once(found.settings)
        open_ = run_again(
            found.places,
            names,
            pictures,
            ended,
            timeout_s=timeout,
            at_once=so_many,
            on_lost=run.refuse_trouble,
        )
        run.screen.progress.waiting(0)
        return open_

    again = {picture.key for picture in chosen}
    # A failed one that was named is left out where the month's limit leaves nothing.
    others = [one for one in found.pictures if named and one.key not in again and one.state != "failed"]
    _tell_finished(run, found, named, chosen)
    for picture in others:
        if picture.state == "done":
            outcomes.append(picture)
        elif picture.state != "pending":
            tell(picture)

    def clear_queue() -> Cleared | None:
        return clear(found.places, found.queue_url, named or None) if found.queue_url else None

    try:
        left = observe_again(chosen)
        overdue, coming = _wait(run, [one for one in others if one.state == "pending"], timeout, tell)
        left += [*observe_again(overdue), *coming]
    except Problem:
        with contextlib.suppress(Problem):  # what has its result by now leaves the queue all the same
            clear_queue()
        raise
    cleared = clear_queue()
    return Retry(tuple(outcomes), tuple(left), cleared)


def _tell_finished(run: Run, found: Found, named: Sequence[str], chosen: Sequence[Picture]) -> None:
    """Pictures that were named and have their result already: nothing is to be done for them."""
    from imgpipe_cli.render import failures as shown

    again = {picture.key for picture in chosen}
    if named and not run.options.json:
        for picture in found.pictures:
            if picture.state == "done" and picture.key not in again:
                shown.finished(run.screen, picture, found.settings)


def _wait(
    run: Run, coming: Sequence[Picture], timeout: float, tell: Callable[[Picture], None]
) -> tuple[list[Picture], list[Picture]]:
    """Wait for the results of new pictures, whose events are still on the way as a rule.

    Returns those whose event does not come, and those that nobody waits for any longer.
    """
    if not coming:
        return [], []
    from imgpipe_cli.diagnose.retry.judging import event_due_s, with_result
    from imgpipe_cli.pictures.api import Api
    from imgpipe_cli.pictures.waiting import Waiter

    known = run.pipeline()
    waiting = {one.key: one for one in coming}
    versions = {one.key: one.current.version_id if one.current else None for one in coming}
    due_s = max(event_due_s(one, datetime.now(UTC)) for one in coming)

    def arrived(item: ResultItem) -> None:
        tell(with_result(waiting.pop(item["objectKey"]), item))
        run.screen.progress.waiting(len(waiting))

    run.screen.progress.waiting(len(waiting))
    waiter = Waiter(Api(known.api_url, known.token), on_silence=run.refuse_trouble)
    waiter.expect_all(versions)
    waiter.wait(arrived, timeout_s=min(due_s, timeout))
    run.screen.progress.waiting(0)
    left = list(waiting.values())
    return (left, []) if due_s <= timeout else ([], left)


def _answer(
    run: Run,
    limit: Room,
    done: Retry | None,
    problems: Sequence[Problem],
    price: str,
    named: Sequence[str],
) -> Result:
    from imgpipe_cli.render import failures as shown
    from imgpipe_cli.render.screen import problem_data

    found, chosen = limit.found, limit.chosen
    if not run.options.json:
        for problem in problems:
            run.screen.problem(run.command, problem)
    return Result(
        data={**shown.document(found, chosen, done), "left": limit.left},
        show=lambda screen: screen.line(shown.summary(found, chosen, done, price, named=bool(named))),
        exit_code=_exit_code(found, done, problems),
        errors=[*map(problem_data, problems), *(shown.errors(done) if done else ())],
    )


def _exit_code(found: Found, done: Retry | None, problems: Sequence[Problem]) -> ExitCode:
    """A failure beats one that is only still to come."""
    codes = {problem.exit_code for problem in problems}
    codes |= {ExitCode.FAILED for one in found.pictures if one.state == "unknown"}
    if done is not None:
        failed = ("failed", "gone", "unknown")
        codes |= {ExitCode.FAILED for one in done.outcomes if one.state in failed or one.is_over_limit}
        codes |= {ExitCode.PENDING for one in done.outcomes if one.state == "pending"}
        codes |= {ExitCode.PENDING for _ in done.left}
    return next((code for code in (ExitCode.FAILED, ExitCode.PENDING) if code in codes), ExitCode.DONE)
