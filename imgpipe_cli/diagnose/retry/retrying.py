"""Having failed pictures looked at again: the ingest function is called by hand, a few calls at a time.

The calls are synchronous: each tells at once how it ended, Lambda adds no tries and no further entries to the
failure queue, and no more of the account's concurrency is used than there are calls. What has its result
leaves the queue in a pass of its own at the end, after a fresh look; killed before, nothing has left it.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.pipeline_info import not_set_up
from imgpipe_cli.deploy.resources.settings_parameter import SettingsParameter, stored_settings
from imgpipe_cli.deploy.resources.sqs_queue import FailureQueue
from imgpipe_cli.diagnose.retry import failure_queue
from imgpipe_cli.diagnose.retry.again import expected_now
from imgpipe_cli.diagnose.retry.failure_queue import Contents, Entry, FailedEvent
from imgpipe_cli.diagnose.retry.failures import Look, Places, Refusal, not_told, survey
from imgpipe_cli.diagnose.retry.judging import Current, Picture, judged, settled, with_outdated
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures.api import Api
from imgpipe_cli.session.settings import Settings
from imgpipe_cli.session.target import Connection
from imgpipe_cli.session.times import iso

if TYPE_CHECKING:
    from shared.result_item import ResultItem

# A new account may run ten functions at once; the page, the API and new pictures need some of them.
_AT_ONCE = 4
# Lambda refused the call, it did not run: the concurrency of the function or of the account is used up, or
# AWS's own trouble.
_BUSY = ("TooManyRequestsException", "EC2ThrottledException", "ResourceConflictException")
_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 15.0
# When the answer to a call was lost, its result is looked for as long as the function may run.
_LONGEST_RUN_S = 250.0


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


# --- what there is to do -------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """What failed, and where it stands. queue_url: None while the failure queue is missing.

    again: whether finished pictures that lack something are among the pictures.
    """

    places: Places
    settings: Settings
    queue_url: str | None
    contents: Contents
    pictures: tuple[Picture, ...]
    again: bool = False


def find(
    connection: Connection,
    api: Api,
    keys: Sequence[str],
    *,
    missing: bool = False,
    again: bool = False,
) -> Found:
    """How the keys stand; without any: all that failed, or are in the failure queue.

    missing: or have no result at all. again: or are finished and lack something. A key that nobody knows is
    not among the pictures. Raises ApiUnavailable, Problem.
    """
    aws, names = connection.aws, connection.names
    try:
        deployed, queue = SettingsParameter().observe(aws, names), FailureQueue().observe(aws, names)
    except AwsError as error:
        raise problem(error, "look for the pipeline") from error
    if not (deployed.exists and deployed.owned):
        raise not_set_up(names.project)
    places = Places(aws, names.bucket, api)
    url = str(queue.facts["url"]) if queue.exists and queue.owned else None
    contents = failure_queue.read(aws, url, names.bucket) if url else Contents()
    settings = stored_settings(deployed, names)
    expected = expected_now(settings.features, local=connection.target.local)
    found = survey(places, contents.entries, keys, missing=missing, expected=expected if again else None)
    pictures = tuple(with_outdated(one, expected) for one in found)
    return Found(places, settings, url, contents, pictures, again)


def at_once(settings: Settings) -> int:
    """How many calls at once: of the runs that the function may have, new pictures keep half."""
    return max(1, min(_AT_ONCE, settings.runs // 2))


# --- running -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Retry:
    """What became of the pictures. left: those for whose outcome nobody waited any longer.

    cleared: None while the failure queue is missing.
    """

    outcomes: tuple[Picture, ...]
    left: tuple[Picture, ...]
    cleared: Cleared | None


def run_again(
    places: Places,
    names: Names,
    pictures: Sequence[Picture],
    on_outcome: Callable[[Picture], None],
    *,
    timeout_s: float,
    at_once: int = _AT_ONCE,
    on_lost: Callable[[AwsError], None] = lambda _error: None,
) -> list[Picture]:
    """Have them all looked at again, so many at once; on_outcome is told of each as it stands then.
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
    pending = {picture.key: picture for picture in pictures}
    try:
        while pending:
            outcome = caller.outcomes.get(timeout=timeout_s)
            if isinstance(outcome, Exception):
                raise outcome
            del pending[outcome.key]
            on_outcome(outcome)
    except Empty:
        return list(pending.values())
    finally:
        caller.stop.set()
    return []


@dataclass(frozen=True)
class _Caller:
    """What a thread does: calls for one picture after the other."""

    places: Places
    names: Names
    todo: SimpleQueue[Picture]
    on_lost: Callable[[AwsError], None]
    outcomes: SimpleQueue[Picture | Exception] = field(default_factory=SimpleQueue)
    stop: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        with contextlib.suppress(Empty):
            while not self.stop.is_set():
                picture = self.todo.get_nowait()
                try:
                    self.outcomes.put(self._again(picture))
                except Exception as error:  # whoever waits for the outcome must not wait for ever
                    self.outcomes.put(error)

    def _again(self, picture: Picture) -> Picture:
        payload = json.dumps(event_of(picture, self.names)).encode()
        try:
            answer = self._call(payload)
        except AwsError as error:
            if not error.lost:
                raise self._hopeless(error) from error
            self.on_lost(error)
            return self._found_later(picture)
        if "FunctionError" not in answer:
            return self._now(picture, picture.events)
        return self._now(picture, (*picture.events, _failed_just_now(picture, answer)))

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

    def _found_later(self, picture: Picture) -> Picture:
        """The function may have run or still run, only its answer is lost."""
        aws = self.places.aws
        deadline = aws.clock() + _LONGEST_RUN_S
        before = _written(picture.item)
        while aws.clock() < deadline and not self.stop.is_set():
            found = self._now(picture, picture.events)
            if found.state == "gone" or _written(found.item) != before:
                return found
            aws.sleep(_PAUSE_S)
        why = "The answer of the ingest function was lost, and no result has come."
        return replace(picture, state="pending", code="answer_lost", why=why)

    def _now(self, picture: Picture, events: Sequence[FailedEvent]) -> Picture:
        """How the picture stands by a fresh look. Raises Problem for a token that is not accepted."""
        (seen,) = self.places.gather([picture.key]).values()
        if isinstance(seen, Exception):
            return not_told(picture, seen)
        return judged(picture.key, *seen, events, datetime.now(UTC))


def _written(item: ResultItem | None) -> object:
    return item and item["analyzedAt"]


def _failed_just_now(picture: Picture, answer: Mapping[str, Any]) -> FailedEvent:
    """The call itself as one more failed event of the picture."""
    try:
        said = json.loads(answer["Payload"].read())
    except ValueError:
        said = {}
    error = said.get("errorMessage") if isinstance(said, dict) else said
    return FailedEvent(
        since=datetime.now(UTC),
        version_id=picture.current.version_id if picture.current else None,
        request_id=None,
        attempts=1,
        condition="",
        error=str(error or answer["FunctionError"]),
        key=picture.key,
    )


# --- the failure queue ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Cleared:
    """What a pass over the failure queue did. left: the entries still there. contents: what was seen."""

    taken: int
    left: tuple[Entry, ...]
    contents: Contents


def clear(places: Places, url: str, keys: Iterable[str] | None) -> Cleared:
    """Take out of the queue what has its result by a fresh look, and nothing else. Raises Problem.

    keys: only entries about these; None: all.
    """
    only = None if keys is None else frozenset(keys)
    with failure_queue.held(places.aws, url, places.bucket) as contents:
        concerned = [entry for entry in contents.entries if not entry.trouble and _about(entry, only)]
        snapshot = places.gather({event.key for entry in concerned for event in entry.events})
        finished = [entry for entry in concerned if _is_over(entry, snapshot)]
        gone = failure_queue.take_out(places.aws, url, finished)
    left = tuple(entry for entry in contents.entries if entry.message_id not in gone)
    return Cleared(len(gone), left, contents)


def _about(entry: Entry, only: frozenset[str] | None) -> bool:
    return only is None or all(event.key in only for event in entry.events)


def _is_over(entry: Entry, snapshot: Mapping[str, Look | Refusal]) -> bool:
    """Whether every event of the entry is settled; what could not be looked at is not."""
    found = [(event, snapshot[event.key]) for event in entry.events]
    return all(not isinstance(seen, Exception) and settled(event, *seen) for event, seen in found)
