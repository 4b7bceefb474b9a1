"""Reading the functions' log groups: every line once, in time order, and slowly enough for CloudWatch.

FilterLogEvents may answer an empty page with a token, so only the missing token ends a reading. No limit is
sent, since some endpoints cut there without a token, and a pattern to AWS only: others misread it.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.aws.names import Names
from imgpipe_cli.diagnose.logs.lines import Line, in_order, line
from imgpipe_cli.errors import ExitCode, Problem

FOLLOW_PAUSE_S = 2.0
"""Between two looks of `logs --follow`."""

# CloudWatch allows 5 calls a second in an account and region; one is left to others.
_CALLS = 4
# Lines may become visible late, so each look reaches back over the last ones.
_OVERLAP_MS = 30_000


class Pace:
    """At most so many calls begin in any second. Thread-safe."""

    def __init__(self, *, sleep: Callable[[float], None], clock: Callable[[], float]) -> None:
        self._sleep = sleep
        self._clock = clock
        self._starts: deque[float] = deque(maxlen=_CALLS)
        self._lock = threading.Lock()

    def wait(self) -> None:
        with self._lock:
            now = self._clock()
            due = max(now, self._starts[0] + 1.0) if len(self._starts) == _CALLS else now
            self._starts.append(due)
        if due > now:
            self._sleep(due - now)


class LogReader:
    """The log groups of one pipeline."""

    def __init__(self, aws: Aws, names: Names) -> None:
        self._aws = aws
        self._names = names
        self._pace = Pace(sleep=aws.sleep, clock=aws.clock)
        self.cut = False
        """Whether a reading ended at its number of pages, with more to come."""

    @property
    def filters(self) -> bool:
        """Whether the endpoint keeps to a pattern."""
        return self._aws.custom_endpoint is None

    def events(
        self,
        functions: Iterable[str],
        start_ms: int,
        end_ms: int | None = None,
        *,
        pages: int | None = None,
        phrase: str = "",
    ) -> dict[str, list[dict[str, Any]] | None]:
        """The raw events of each function's group, read side by side; None: there is no such group.

        pages: read at most so many of each group. phrase: only events with this text, where the endpoint
        filters; printable ASCII without a quotation mark or backslash. Raises Problem.
        """
        reads = {
            function: partial(self._group, function, start_ms, end_ms, pages, phrase)
            for function in functions
        }
        try:
            return self._aws.together(reads)
        except AwsError as error:
            raise problem(error, "read the logs") from error

    def _group(
        self, function: str, start_ms: int, end_ms: int | None, pages: int | None, phrase: str
    ) -> list[dict[str, Any]] | None:
        found: list[dict[str, Any]] = []
        try:
            for number, page in enumerate(self._pages(function, start_ms, end_ms, phrase), start=1):
                if pages is not None and number > pages:
                    self.cut = True
                    break
                found += page
        except AwsError as error:
            if error.code == "ResourceNotFoundException":
                return None
            raise
        return found

    def _pages(
        self, function: str, start_ms: int, end_ms: int | None, phrase: str
    ) -> Iterator[list[dict[str, Any]]]:
        params: dict[str, Any] = {
            "logGroupName": self._names.log_group(function),
            "startTime": max(start_ms, 0),
        }
        if end_ms is not None:
            params["endTime"] = end_ms
        if phrase and self.filters:
            params["filterPattern"] = f'"{phrase}"'
        while True:
            self._pace.wait()
            answer = self._aws.call("logs", "filter_log_events", **params)
            yield answer.get("events", [])
            token = answer.get("nextToken")
            if not token or token == params.get("nextToken"):
                return
            params["nextToken"] = token


class Tail:
    """The lines of some functions as they come, each told once."""

    def __init__(self, reader: LogReader, names: Names, functions: Iterable[str], *, start_ms: int) -> None:
        self._reader = reader
        self._names = names
        self._functions = tuple(functions)
        self._start_ms = start_ms
        self._told: dict[tuple[Any, ...], int] = {}

    def new(self) -> list[Line]:
        """What is new since the last call, oldest first. Raises Problem, also for a missing group."""
        groups = self._reader.events(self._functions, self._start_ms)
        fresh: list[Line] = []
        for function, events in groups.items():
            if events is None:
                raise missing_group(self._names, function)
            for mark, event in marked(function, events):
                if mark not in self._told:
                    self._told[mark] = event["timestamp"]
                    fresh.append(line(function, event))
        self._move_on()
        return in_order(fresh)

    def _move_on(self) -> None:
        """Keep a short overlap, and forget what lies before it."""
        if self._told:
            self._start_ms = max(self._start_ms, max(self._told.values()) - _OVERLAP_MS)
            self._told = {mark: at for mark, at in self._told.items() if at >= self._start_ms}


def marked(
    function: str, events: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[tuple[Any, ...], Mapping[str, Any]]]:
    """Each event with what tells it from all others: its id, or on endpoints without ids its place and
    text, and which one of several alike it is."""
    alike: Counter[tuple[Any, ...]] = Counter()
    for event in events:
        if event.get("eventId"):
            yield (function, event["eventId"]), event
            continue
        same = (function, event.get("logStreamName"), event["timestamp"], event["message"])
        alike[same] += 1
        yield (*same, alike[same]), event


def missing_group(names: Names, function: str) -> Problem:
    return Problem(
        "not_set_up",
        f"There is no log group {names.log_group(function)}.",
        hint="Run imgpipe up: it makes what is missing. --project names another pipeline.",
        exit_code=ExitCode.NOT_SET_UP,
    )
