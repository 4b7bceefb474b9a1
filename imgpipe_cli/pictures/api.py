"""Reading results over the HTTP API: one by key, many by time.

Standard library only, so that `imgpipe result` starts fast.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlencode, urlsplit

from imgpipe_cli.errors import ExitCode, Problem

if TYPE_CHECKING:
    from shared.result_item import ResultItem

Answer = TypeVar("Answer")
PAGE = 100
"""So many results are asked for at once, by time or by key."""

_NAMES_THE_OBJECT = frozenset({"versionId", "eTag", "sequencer"})
_TIMEOUT_S = 20.0
# While it is too busy to answer, it is asked again after these, unless it took longer than anybody waits.
_PAUSES_S = (1.0, 2.0, 4.0, 8.0)
_PATIENCE_S = 45.0
_READERS = 16
# The way there, not the question, was wrong.
_BROKEN = (TimeoutError, ConnectionResetError, http.client.HTTPException)


class ApiUnavailable(Exception):
    """The API gave no usable answer; detail says what happened. status: 0 without an answer.

    broken: the connection was there, and the answer did not come, or not all of it.
    """

    def __init__(self, detail: str, *, status: int = 0, broken: bool = False) -> None:
        super().__init__(detail)
        self.status = status
        self.broken = broken

    @property
    def problem(self) -> Problem:
        """As an error that the user can act on."""
        return Problem(
            "api_unavailable",
            f"The pipeline's API does not answer as expected: {self}.",
            hint="See imgpipe status; imgpipe up repairs what is missing.",
        )

    @property
    def passing(self) -> bool:
        """Whether the same question may well be answered a little later."""
        return self.broken or self.status == 429 or self.status >= 500


@dataclass(frozen=True)
class ByKey:
    """The results of several keys. absent: keys without one (yet). rest: to be asked for again."""

    items: Sequence[ResultItem]
    absent: Sequence[str]
    rest: Sequence[str]


@dataclass(frozen=True)
class Usage:
    """A month's counters. analyzed, reused: by feature. left: what the limit leaves; None without one."""

    month: str
    pictures: int
    analyses: int
    analyzed: Mapping[str, int]
    reused: Mapping[str, int]
    limit: int | None
    left: int | None


def repeated(
    ask: Callable[[], Answer],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Answer:
    """The API's answer, asked for again while it is too busy, or too slow, to give one."""
    give_up = clock() + _PATIENCE_S
    for pause_s in _PAUSES_S:
        try:
            return ask()
        except ApiUnavailable as error:
            if not error.passing or clock() >= give_up:
                raise
        sleep(pause_s)
    return ask()


class Api:
    """The pipeline's HTTP API. url: base with the stage, such as https://x.execute-api.../prod."""

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url.rstrip("/")
        self._token = token
        try:
            self._parts = urlsplit(self.url)
            _ = self._parts.port
        except ValueError as error:
            raise ApiUnavailable(f"{self.url!r} is no URL") from error
        self._connections = threading.local()

    @property
    def has_token(self) -> bool:
        return bool(self._token)

    # --- requests ------------------------------------------------------------------------------

    def get(self, path: str, query: Mapping[str, Any]) -> tuple[int, Any]:
        """(status, JSON document). Raises ApiUnavailable for what is not JSON, and without an answer."""
        return self._document("GET", f"{path}?{urlencode(query, doseq=True)}")

    def post(self, path: str, document: Any) -> tuple[int, Any]:
        """The same for a question that is a JSON document."""
        return self._document("POST", path, json.dumps(document, ensure_ascii=False).encode())

    def _document(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        headers = {"Accept": "application/json", "Host": self._parts.netloc}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        status, answer = self._exchange(method, f"{self._parts.path}{path}", headers, body)
        try:
            return status, json.loads(answer)
        except (ValueError, RecursionError):
            raise ApiUnavailable(f"HTTP {status} without JSON", status=status) from None

    def _exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, bytes]:
        """One exchange over a kept connection; a connection that went stale is opened again once.

        Every question only reads, so it may be sent twice.
        """
        for attempt in (1, 2):
            connection = getattr(self._connections, "open", None)
            fresh = connection is None
            if connection is None:
                connection = self._connections.open = self._connect()
            try:
                connection.request(method, target, body, dict(headers))
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._connections.open = None
                if fresh or attempt == 2:
                    broken = isinstance(error, _BROKEN) and not isinstance(error, http.client.InvalidURL)
                    raise ApiUnavailable(f"{type(error).__name__}: {error}", broken=broken) from error
            except ValueError as error:
                # Its own words repeat the token.
                raise ApiUnavailable("the remembered address or token cannot be sent") from error
        raise AssertionError("unreachable")

    def _connect(self) -> http.client.HTTPConnection:
        host = self._parts.hostname or ""
        # Names under .localhost mean this machine, but not every resolver knows that.
        address = "127.0.0.1" if host == "localhost" or host.endswith(".localhost") else host
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(address, self._parts.port, timeout=_TIMEOUT_S)
        return http.client.HTTPConnection(address, self._parts.port, timeout=_TIMEOUT_S)

    # --- results -------------------------------------------------------------------------------

    def result(self, key: str) -> ResultItem | None:
        """The result of one picture, None if there is none (yet). Raises ApiUnavailable, Problem."""
        status, document = self.get("/result", {"key": key})
        if status == 200:
            item = cast("ResultItem", document)
            if self._token and not is_whole(item):
                raise refusal(401, document)  # a wrong token opens no more than none
            return item
        if status == 404 and _code(document) == "not_found":
            return None
        raise refusal(status, document)

    def results(
        self, *, limit: int = PAGE, after: str | None = None, **only: str
    ) -> tuple[list[ResultItem], str | None]:
        """A page of results, newest first, and the cursor of the next. Needs the token.

        only: the API's parameters `status`, `prefix`, `with_label` and `min_confidence`. "": all; a pipeline
        that is older than these gives all.
        """
        asked = {"limit": limit, "after": after, **only}
        query = {name: value for name, value in asked.items() if value}
        http_status, document = self.get("/results", query)
        if http_status == 200 and isinstance(document, dict) and isinstance(document.get("items"), list):
            return document["items"], document.get("next")
        raise refusal(http_status, document)

    def by_key(self, keys: Sequence[str]) -> ByKey:
        """The results of at most PAGE keys in one request. Needs the token.

        Raises ApiUnavailable, with status 404 by a pipeline that is older than this request, and Problem.
        """
        status, document = self.post("/results", {"keys": list(keys)})
        if status == 200 and isinstance(document, dict) and {"items", "absent", "rest"} <= document.keys():
            return ByKey(document["items"], document["absent"], document["rest"])
        raise refusal(status, document)

    def usage(self) -> Usage:
        """What was analyzed this month. Needs the token. Raises ApiUnavailable, Problem."""
        status, document = self.get("/usage", {})
        if status == 200:
            return Usage(**{one.name: document[one.name] for one in fields(Usage)})
        if status == 404:
            raise Problem(
                "older_pipeline",
                "This pipeline was set up by an older imgpipe, which counts no analyses.",
                hint="Run imgpipe up: it counts from then on.",
            )
        raise refusal(status, document)

    def many(
        self, keys: list[str], *, patient: bool = False
    ) -> dict[str, ResultItem | ApiUnavailable | None]:
        """Several results, read side by side; of one that cannot be read the reason, which hides no other.

        patient: each is asked for again while the API is busy. Raises ApiUnavailable where none can be read,
        and Problem.
        """

        def one(key: str) -> ResultItem | ApiUnavailable | None:
            try:
                return repeated(lambda: self.result(key)) if patient else self.result(key)
            except ApiUnavailable as error:
                return error

        if len(keys) == 1:
            found = {keys[0]: one(keys[0])}
        else:
            from imgpipe_cli.system.threads import Pool

            with Pool(min(_READERS, len(keys)), thread_name_prefix="result") as pool:
                found = dict(zip(keys, pool.map(one, keys), strict=True))
        refused = [answer for answer in found.values() if isinstance(answer, ApiUnavailable)]
        if refused and len(refused) == len(keys):
            raise refused[0]
        return found


def is_whole(item: ResultItem) -> bool:
    """False for what the API answers without the token: without all that names the very object."""
    return not _NAMES_THE_OBJECT.isdisjoint(item)


def left_out(item: ResultItem) -> list[str]:
    """What an answer without the token does not hold of this picture."""
    if is_whole(item):
        return []
    there = {*item, *item.get("unavailable", {})}
    asked = item.get("features", ()) if item.get("status") != "failed" else ()
    return [*(feature for feature in asked if feature not in there), *sorted(_NAMES_THE_OBJECT)]


def _code(document: Any) -> str:
    error = document.get("error", {}) if isinstance(document, dict) else {}
    return str(error.get("code", "")) if isinstance(error, dict) else ""


def refusal(status: int, document: Any) -> Exception:
    """The Problem or ApiUnavailable that an answer means which is no success."""
    code = _code(document)
    if status == 401:
        return Problem(
            "unauthorized",
            "The API does not accept the access token.",
            hint="Run imgpipe up again: it fetches the token of this pipeline.",
        )
    if status == 400 and code:
        message = document["error"].get("message", code)
        return Problem(code, str(message), hint="", exit_code=ExitCode.USAGE)
    # The gateway's own answers ({"message": ...}) and everything else that is not one of ours.
    return ApiUnavailable(f"HTTP {status} {code or json.dumps(document)[:200]}", status=status)
