"""Having failed pictures analyzed again: the ingest function is called by hand, a few calls at a time.

The calls are synchronous: each tells at once how it ended, Lambda adds no tries and no further entries to the
failure queue, and no more of the account's concurrency is used than there are calls. The results are read
together, at the pace at which an upload waits for its own.
"""

from __future__ import annotations

import contextlib
import json
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.aws.names import Names
from imgpipe_cli.diagnose.retry.failure_queue import FailedEvent
from imgpipe_cli.diagnose.retry.failures import Look, Places, Refusal, not_told
from imgpipe_cli.diagnose.retry.judging import Current, Picture, judged, over_limit
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures.api import PAGE
from imgpipe_cli.pictures.pace import Pace
from imgpipe_cli.session.times import iso

if TYPE_CHECKING:
    from shared.result_item import ResultItem

# A new account may run ten functions at once; the page, the API and new pictures need some of them.
AT_ONCE = 4
# Lambda refused the call, it did not run: the concurrency of the function or of the account is used up, or
# AWS's own trouble.
_BUSY = ("TooManyRequestsException", "EC2ThrottledException", "ResourceConflictException")
_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 15.0
# When the answer to a call was lost, its result is looked for as long as the function may run.
_LONGEST_RUN_S = 250.0
# A call takes a second; the results of those that end within this time are read in one request.
_TOGETHER_S = 2.0


def run_again(
    places: Places,
    names: Names,
    pictures: Sequence[Picture],
    on_outcome: Callable[[Picture], None],
    *,
    timeout_s: float,
    at_once: int = AT_ONCE,
    on_lost: Callable[[AwsError], None] = lambda _error: None,
) -> list[Picture]:
    """Have them all analyzed again, so many at once; on_outcome is told of each as it stands then.
    on_lost: told of an answer that got lost; it may raise why there will be none.

    Returns those still open when no outcome came for timeout_s. Raises Problem for what would stop every
    call, such as a missing permission.
    """
    todo: SimpleQueue[Picture] = SimpleQueue()
    for picture in pictures:
        todo.put(picture)
    caller = _Caller(places, names, todo, on_lost)
    for number in range(min(at_once, len(pictures))):
        # They end with the process: a call that was sent cannot be taken back, only not be waited for.
        threading.Thread(target=caller.work, name=f"retry-{number}", daemon=True).start()
    try:
        return _wait(caller, {picture.key: picture for picture in pictures}, on_outcome, timeout_s)
    finally:
        caller.stop.set()


def _wait(
    caller: _Caller, open_: dict[str, Picture], on_outcome: Callable[[Picture], None], timeout_s: float
) -> list[Picture]:
    """Read the results of calls that have ended, together; those still open as `run_again` says."""
    aws = caller.places.aws
    pace, heard_at = Pace(aws.sleep, aws.clock), aws.clock()
    ended: list[_Ended] = []
    while open_:
        pace.turn(math.inf)
        news = caller.news(0 if ended else timeout_s, len(open_) - len(ended))
        if not news and (not ended or aws.clock() - heard_at > timeout_s):
            break
        ended += [one for one in news if isinstance(one, _Ended)]
        seen = caller.places.gather(one.picture.key for one in ended)
        for one in ended:
            if outcome := one.outcome(seen[one.picture.key], aws.clock()):
                heard_at = aws.clock()
                one.is_known.set()
                del open_[outcome.key]
                on_outcome(outcome)
        ended = [one for one in ended if not one.is_known.is_set()]
        for error in news:
            if isinstance(error, Exception):
                raise error
    return list(open_.values())


@dataclass(frozen=True)
class _Ended:
    """A call that has ended. events: those of the picture, with the call itself where it failed.

    lost_until: until when the result is looked for, on the clock, where the answer was lost: the function
    may have run or still run. None for an answer. over_limit: whether it says that the month has no room for
    what a finished picture lacks. is_known: set with the outcome.
    """

    picture: Picture
    events: tuple[FailedEvent, ...]
    lost_until: float | None = None
    over_limit: bool = False
    is_known: threading.Event = field(default_factory=threading.Event)

    def outcome(self, seen: Look | Refusal, now_s: float) -> Picture | None:
        """How the picture stands by a fresh look; None while the result of a lost answer may still come."""
        before = self.picture
        if isinstance(seen, Exception):
            found = not_told(before, seen)
        else:
            found = judged(before.key, *seen, self.events, datetime.now(UTC))
        if self.over_limit and found.state == "done":
            found = over_limit(found, before)
        if self.lost_until is None or found.state == "gone" or _written(found.item) != _written(before.item):
            return found
        if now_s < self.lost_until:
            return None
        why = "The answer of the ingest function was lost, and no result has come."
        return replace(before, state="pending", code="answer_lost", why=why)


@dataclass(frozen=True)
class _Caller:
    """What a thread does: calls for one picture after the other."""

    places: Places
    names: Names
    todo: SimpleQueue[Picture]
    on_lost: Callable[[AwsError], None]
    stop: threading.Event = field(default_factory=threading.Event)
    _news: SimpleQueue[_Ended | Exception] = field(default_factory=SimpleQueue)

    def news(self, wait_s: float, expected: int) -> list[_Ended | Exception]:
        """Calls that have ended since, and what ended a thread; it waits so long for the first.

        Then it waits a moment for others, until there are as many as expected, or as are read at once.
        """
        found: list[_Ended | Exception] = []
        with contextlib.suppress(Empty):
            found.append(self._news.get(timeout=wait_s))
            until = time.monotonic() + _TOGETHER_S
            while len(found) < min(expected, PAGE) and isinstance(found[-1], _Ended):
                found.append(self._news.get(timeout=max(until - time.monotonic(), 0)))
        return found

    def work(self) -> None:
        with contextlib.suppress(Empty):
            while not self.stop.is_set():
                picture = self.todo.get_nowait()
                try:
                    ended = self._again(picture)
                    self._news.put(ended)
                    # The answer to the next call would most likely be lost as well.
                    while ended.lost_until and not (ended.is_known.wait(_PAUSE_S) or self.stop.is_set()):
                        pass
                except Exception as error:  # whoever waits for the outcome must not wait for ever
                    self._news.put(error)

    def _again(self, picture: Picture) -> _Ended:
        payload = json.dumps(event_of(picture, self.names)).encode()
        try:
            answer = self._call(payload)
        except AwsError as error:
            if not error.lost:
                raise self._hopeless(error) from error
            self.on_lost(error)
            return _Ended(picture, picture.events, self.places.aws.clock() + _LONGEST_RUN_S)
        said = _said(answer)
        if "FunctionError" in answer:
            return _Ended(picture, (*picture.events, _failed_just_now(picture, answer, said)))
        return _Ended(picture, picture.events, over_limit=bool(said.get("overLimit")))

    def _call(self, payload: bytes) -> dict[str, Any]:
        """Call the function once, however often Lambda refuses before it does. Raises AwsError."""
        pause_s = _PAUSE_S
        while True:
            try:
                return self.places.aws.call(
                    "lambda",
                    "invoke",
                    once=True,  # sent twice, a picture could be paid twice
                    FunctionName=self.names.function("ingest"),
                    InvocationType="RequestResponse",
                    Payload=payload,
                )
            except AwsError as error:
                if error.code not in _BUSY or self.stop.is_set():
                    raise
            self.places.aws.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _hopeless(self, error: AwsError) -> Problem:
        if error.code == "ResourceNotFoundException":
            return Problem(
                "function_missing",
                "The ingest function is missing.",
                hint="Run imgpipe up, which repairs it, then imgpipe retry again.",
                exit_code=ExitCode.NOT_SET_UP,
            )
        return problem(error, "call the ingest function")


def _written(item: ResultItem | None) -> object:
    return item and item["analyzedAt"]


def _said(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What the function itself answered."""
    try:
        said = json.loads(answer["Payload"].read())
    except ValueError:
        said = {}
    return said if isinstance(said, dict) else {"errorMessage": said}


def _failed_just_now(picture: Picture, answer: Mapping[str, Any], said: Mapping[str, Any]) -> FailedEvent:
    """The call itself as one more failed event of the picture."""
    return FailedEvent(
        since=datetime.now(UTC),
        version_id=picture.current.version_id if picture.current else None,
        request_id=None,
        attempts=1,
        condition="",
        error=str(said.get("errorMessage") or answer["FunctionError"]),
        key=picture.key,
    )


# --- the event of a call ---


def event_of(picture: Picture, names: Names) -> dict[str, Any]:
    """The event to call the ingest function with: S3's own form, marked as made by hand.

    Removals that failed are repeated as they were. An arrival names the current object.
    """
    current = picture.current
    if current is None:
        return {"Records": [event.record for event in picture.removals]}
    record = _arrival(picture.key, current, _sequencer(picture, current), names)
    again = {functions.events.AGAIN: dict(picture.outdated)} if picture.outdated else {}
    return {"Records": [{**record, **again}]}


def _sequencer(picture: Picture, current: Current) -> str:
    """That of the event of this very version, where the queue has it."""
    own = (event for event in picture.events if event.kind == "arrival")
    return next((e.sequencer for e in own if current.version_id and e.version_id == current.version_id), "")


def _arrival(key: str, current: Current, sequencer: str, names: Names) -> dict[str, Any]:
    thing: dict[str, Any] = {
        "key": quote_plus(key, safe="/"),
        "size": current.size_bytes,
        "eTag": current.etag,
    }
    if current.version_id is not None:
        thing["versionId"] = current.version_id
    if sequencer:
        thing["sequencer"] = sequencer
    return {
        **functions.events.BY_HAND,
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": names.region,
        "eventTime": iso(current.at),
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": names.bucket, "arn": names.bucket_arn},
            "object": thing,
        },
    }
