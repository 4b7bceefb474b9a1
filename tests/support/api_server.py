"""A server on loopback that plays the HTTP contract of a pipeline's API."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from shared.result_item import ResultItem
from tests.support import loopback
from tests.support.loopback import Handler

TOKEN = "correct-horse"


@dataclass(frozen=True)
class Request:
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    document: Any = None
    """The body of a POST."""
    every: Mapping[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """body: JSON unless it is bytes. drop: how many bytes of it arrive before the connection breaks."""

    status: int = 200
    body: Any = None
    drop: int | None = None


Page = Callable[[str | None], tuple[list[ResultItem], str | None]]


def item(
    key: str, version: str | None = "v1", at: str = "2026-11-22T10:00:00.000Z", **more: Any
) -> ResultItem:
    """A result as the API gives it, as far as commands read it."""
    found = {"objectKey": key, "status": "done", "versionId": version, "analyzedAt": at}
    return cast("ResultItem", {**found, "features": ["labels"], "labels": [], **more})


def failed(key: str, *, retryable: bool, tries_left: int | None = None, **more: Any) -> ResultItem:
    """tries_left: None as an older pipeline writes it."""
    error = {"code": "throttled", "message": "Too busy.", "hint": "Wait.", "retryable": retryable}
    error |= {} if tries_left is None else {"triesLeft": tries_left}
    return item(key, status="failed", error=error, **more)


@dataclass
class FakeApi:
    """The stored results, and answers that come first instead. Requests are kept in `asked`.

    busy: which requests the gateway refuses for now. takes_keys: False for a pipeline that an older imgpipe
    has set up, without POST /results. room: of how many results an answer by keys has room.
    """

    stored: dict[str, ResultItem] = field(default_factory=dict)
    instead: list[Answer] = field(default_factory=list)
    private: bool = False
    takes_keys: bool = True
    page_size: int = 100
    room: int = 100
    pages: Page | None = None
    asked: list[Request] = field(default_factory=list)
    before: Callable[[Request], None] = lambda _request: None
    busy: Callable[[Request], bool] = lambda _request: False
    connections: int = 0
    usage: Answer | None = None
    found: Callable[[Request], Answer] | None = None
    labels: list[Answer] = field(default_factory=list)
    closing: bool = False
    url: str = ""

    def store(self, *items: ResultItem) -> None:
        self.stored |= {one["objectKey"]: one for one in items}

    def answer(self, request: Request) -> Answer:
        self.asked.append(request)
        self.before(request)
        if self.instead:
            return self.instead.pop(0)
        if self.busy(request):
            return Answer(503, {"message": "Service Unavailable"})
        # The gateway's own words.
        no_route = Answer(404, {"message": "Not Found"})
        if request.document is not None and not self.takes_keys:
            return no_route
        if (self.private or request.path != "/prod/result") and not self._allowed(request):
            return Answer(401, {"error": {"code": "unauthorized", "message": "Needs the token."}})
        return self._routed(request) or no_route

    def _routed(self, request: Request) -> Answer | None:
        match request.path:
            case "/prod/result":
                return self._result(request)
            case "/prod/results":
                return self._results(request)
            case "/prod/usage":
                return self.usage
            case "/prod/labels" if self.labels:
                return self.labels.pop(0)
        return None

    def _results(self, request: Request) -> Answer:
        if self.found is not None and {"label", "text", "name"} & request.query.keys():
            return self.found(request)
        if request.document is not None:
            return self._by_key(request.document["keys"])
        limit = min(int(request.query["limit"]), self.page_size)
        items, following = (self.pages or self._newest(limit, request.query))(request.query.get("after"))
        return Answer(body={"items": items, "next": following})

    def _allowed(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Bearer {TOKEN}"

    def _result(self, request: Request) -> Answer:
        if "key" not in request.query:
            return Answer(400, {"error": {"code": "missing_key", "message": "Name a key."}})
        found = self.stored.get(request.query["key"])
        if found is None:
            return Answer(404, {"error": {"code": "not_found", "message": "No result."}})
        return Answer(body=found)

    def _by_key(self, keys: list[str]) -> Answer:
        assert 1 <= len(keys) <= 100
        found = [self.stored[key] for key in keys if key in self.stored]
        absent = [key for key in keys if key not in self.stored]
        rest = [one["objectKey"] for one in found[self.room :]]
        return Answer(body={"items": found[: self.room], "absent": absent, "rest": rest})

    def _newest(self, limit: int, query: Mapping[str, str]) -> Page:
        """Of those that are asked for; an older pipeline knows no such question."""
        status, prefix = (query.get(name, "") if self.takes_keys else "" for name in ("status", "prefix"))

        def page(after: str | None) -> tuple[list[ResultItem], str | None]:
            wanted = [
                one
                for one in list(self.stored.values())  # others store meanwhile
                if status in ("", one["status"]) and one["objectKey"].startswith(prefix)
            ]
            newest = sorted(wanted, key=lambda one: str(one["analyzedAt"]), reverse=True)
            start = int(after or 0)
            end = start + limit
            return newest[start:end], str(end) if end < len(newest) else None

        return page


@contextmanager
def serving() -> Iterator[FakeApi]:
    """The API on a free port of loopback; `url` is its base with the stage."""
    api = FakeApi()

    class FakeHandler(Handler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            api.connections += 1
            super().setup()

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            every = parse_qs(parts.query, keep_blank_values=True)
            query = {name: values[0] for name, values in every.items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            document = json.loads(self.body()) if self.command == "POST" else None
            self._answer(api.answer(Request(parts.path, query, headers, document, every)))

        do_POST = do_GET

        def _answer(self, answer: Answer) -> None:
            body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: answer.drop])
            # Closed without a word, as gateways do with a connection that was quiet for long.
            self.close_connection = answer.drop is not None or api.closing
            if answer.drop == 0:
                # Not even an orderly end.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with loopback.serving(FakeHandler) as url:
        api.url = f"{url}/prod"
        yield api


@dataclass
class Clock:
    """Time that passes only by sleeping."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)
    each: Callable[[], None] = lambda: None

    def sleep(self, duration_s: float) -> None:
        self.slept.append(duration_s)
        self.now += duration_s
        self.each()

    def __call__(self) -> float:
        return self.now
