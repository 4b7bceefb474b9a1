"""Reading results over the HTTP API: one by key, many by time, and waiting for those still to come.

Standard library only, so that `imgpipe result` starts fast.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from imgpipe_cli.problems import ExitCode, Problem

Item = Mapping[str, Any]
_TIMEOUT_S = 20.0
_READERS = 16
# Up to so many pictures are asked for one by one; more are looked for in the list of newest results.
_FEW = 4
_PAGE = 100
# The index by time follows the table after a moment, so each look reaches back over the last ones.
_OVERLAP_S = 30.0
# Mostly all verdicts are there by then; what takes longer is asked after now and then.
_ASK_EVERY_S = 5.0
# Well over the three minutes that Lambda's own tries take.
TRIED_FOR = timedelta(minutes=10)


class ApiUnavailable(Exception):
    """The API gave no usable answer; detail says what happened. status: 0 without an answer."""

    def __init__(self, detail: str, *, status: int = 0) -> None:
        super().__init__(detail)
        self.status = status


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

    # --- requests ------------------------------------------------------------------------------

    def get(self, path: str, query: Mapping[str, Any]) -> tuple[int, Any]:
        """(status, JSON document). Raises ApiUnavailable for what is not JSON, and without an answer."""
        headers = {"Accept": "application/json", "Host": self._parts.netloc}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        target = f"{self._parts.path}{path}?{urlencode(query)}"
        status, body = self._exchange(target, headers)
        try:
            return status, json.loads(body)
        except (ValueError, RecursionError):
            raise ApiUnavailable(f"HTTP {status} without JSON", status=status) from None

    def _exchange(self, target: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """One exchange over a kept connection; a connection that went stale is opened again once."""
        for attempt in (1, 2):
            connection = getattr(self._connections, "open", None)
            fresh = connection is None
            if connection is None:
                connection = self._connections.open = self._connect()
            try:
                connection.request("GET", target, headers=dict(headers))
                answer = connection.getresponse()
                return answer.status, answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._connections.open = None
                if fresh or attempt == 2:
                    raise ApiUnavailable(f"{type(error).__name__}: {error}") from error
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

    def result(self, key: str, *, min_confidence: float | None = None) -> Item | None:
        """The result of one picture, None if there is none (yet). Raises ApiUnavailable, Problem."""
        query: dict[str, Any] = {"key": key}
        if min_confidence is not None:
            query["min_confidence"] = f"{min_confidence:g}"
        status, document = self.get("/result", query)
        if status == 200:
            return dict(document)
        if status == 404 and _code(document) == "not_found":
            return None
        raise _refusal(status, document)

    def results(self, *, limit: int = _PAGE, after: str | None = None) -> tuple[list[Item], str | None]:
        """A page of results, newest first, and the cursor of the next. Needs the token."""
        query: dict[str, Any] = {"limit": limit}
        if after:
            query["after"] = after
        status, document = self.get("/results", query)
        if status == 200:
            return list(document["items"]), document.get("next")
        raise _refusal(status, document)

    def many(self, keys: list[str]) -> dict[str, Item | None]:
        """Several results, read side by side."""
        if len(keys) == 1:
            return {keys[0]: self.result(keys[0])}
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(_READERS, len(keys)), thread_name_prefix="result") as pool:
            return dict(zip(keys, pool.map(self.result, keys), strict=True))


def _code(document: Any) -> str:
    error = document.get("error", {}) if isinstance(document, dict) else {}
    return str(error.get("code", "")) if isinstance(error, dict) else ""


def _refusal(status: int, document: Any) -> Exception:
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


# --- waiting -------------------------------------------------------------------------------------


class Waiter:
    """Waits for the verdicts of pictures that were just sent: exactly those versions, never older ones.

    sleep and clock are arguments so that tests wait for nothing.
    """

    def __init__(
        self,
        api: Api,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._sleep = sleep
        self._clock = clock

    def wait(
        self,
        versions: Mapping[str, str | None],
        on_verdict: Callable[[Item], None],
        *,
        timeout_s: float,
        is_over: Callable[[str], bool] = lambda _key: False,
    ) -> list[str]:
        """Call on_verdict once for each key as its verdict arrives; the keys still pending at the end.

        versions: key -> the version that was sent, None where the bucket has no versions. is_over: tells of a
        key that takes long that no verdict will come any more; then it is not waited for.
        """
        pending = dict(versions)
        deadline = self._clock() + timeout_s
        ask_at = self._clock() + _ASK_EVERY_S
        pause_s = 0.05
        rounds = 0
        while pending:
            for item in self._look(pending, rounds):
                key = item["objectKey"]
                if key in pending and is_final(item, pending[key]):
                    del pending[key]
                    on_verdict(item)
                    pause_s = 0.05
            if self._clock() >= ask_at and len(pending) <= _FEW:
                pending = {key: version for key, version in pending.items() if not is_over(key)}
                ask_at = self._clock() + _ASK_EVERY_S
            left_s = deadline - self._clock()
            if not pending or left_s <= 0:
                break
            self._sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 1.5, 2.0)
            rounds += 1
        return list(pending)

    def _look(self, pending: Mapping[str, str | None], rounds: int) -> list[Item]:
        try:
            # Every tenth look asks by key, should the list by time have missed one.
            if len(pending) <= _FEW or rounds % 10 == 9:
                return self._one_by_one(list(pending)[:_PAGE])
            return self._newest(len(pending))
        except ApiUnavailable as error:
            if error.status in (403, 404):
                raise
            return []  # a passing fault of the network or the API: look again

    def _one_by_one(self, keys: list[str]) -> list[Item]:
        """The results there are; a key whose read fails hides none of the others."""
        found: list[Item] = []
        refused: list[ApiUnavailable] = []
        for key in keys:
            try:
                item = self._api.result(key)
            except ApiUnavailable as error:
                refused.append(error)
            else:
                found += [item] if item is not None else []
        if len(refused) == len(keys):
            raise refused[0]
        return found

    def _newest(self, count: int) -> list[Item]:
        found: list[Item] = []
        after: str | None = None
        while len(found) < count + _PAGE:
            items, after = self._api.results(after=after)
            found += items
            if after is None:  # a page may be empty although more follows
                break
        return found


def is_final(item: Item, version_id: str | None) -> bool:
    """True if this is the verdict of that version, and not one that will be tried again."""
    if version_id not in (None, item.get("versionId")):
        return False
    return not (item.get("status") == "failed" and item.get("error", {}).get("retryable"))


def is_retrying(item: Item, now: datetime | None = None) -> bool:
    """True while a failed picture may still get another try: Lambda's two come one and two minutes later.

    The last failure is stored like those before it; what is older than that stays as it is.
    """
    if item.get("status") != "failed" or not item.get("error", {}).get("retryable"):
        return False
    age = (now or datetime.now(UTC)) - datetime.fromisoformat(item["analyzedAt"])
    return age < TRIED_FOR


class Feed:
    """The verdicts of a pipeline as they arrive, from whoever uploaded the picture."""

    def __init__(self, api: Api, *, since: str) -> None:
        """since: ISO 8601 UTC; what was analyzed before is not told."""
        self._api = api
        self._since = since
        self._told: dict[tuple[str, str], str] = {}

    def new(self) -> Iterator[Item]:
        """What is new since the last call, oldest first. Raises ApiUnavailable, Problem."""
        fresh: list[Item] = []
        after: str | None = None
        # A page without results covers at least a day more: so many reach back to the moment asked for.
        days = (datetime.now(UTC) - datetime.fromisoformat(self._since)).days + 2
        while days:
            items, after = self._api.results(after=after)
            recent = [item for item in items if item["analyzedAt"] >= self._since]
            fresh += recent
            if after is None or len(recent) < len(items):
                break
            days -= not items
        for item in reversed(fresh):
            mark = (item["objectKey"], item["analyzedAt"])
            if mark not in self._told:
                self._told[mark] = item["analyzedAt"]
                yield item
        self._move_on()

    def _move_on(self) -> None:
        """Keep a short overlap, and forget what lies before it."""
        if not self._told:
            return
        newest = max(self._told.values())
        self._since = max(self._since, _earlier(newest, _OVERLAP_S))
        self._told = {mark: at for mark, at in self._told.items() if at >= self._since}


def _earlier(moment: str, seconds: float) -> str:
    earlier = datetime.fromisoformat(moment) - timedelta(seconds=seconds)
    return earlier.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def filtered(item: Item, min_confidence: float) -> Item:
    """The item without what is less sure; stored results keep everything above a low floor.

    Properties are about the whole picture and have no confidence: they stay.
    """
    kept = dict(item)
    for feature in ("labels", "moderation", "faces", "text"):
        if feature in item:
            kept[feature] = [entry for entry in item[feature] if entry["Confidence"] >= min_confidence]
    return kept
