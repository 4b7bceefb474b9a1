"""Waiting for verdicts that are still to come, and which of them are the last word."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from imgpipe_cli.pictures.api import PAGE, Api, ApiUnavailable

if TYPE_CHECKING:
    from shared.result_item import ResultItem

# Up to so many pictures are asked for one by one; more are looked for in the list of newest results.
_FEW = 4
# Mostly all verdicts are there by then; what takes longer is asked after now and then.
_ASK_EVERY_S = 5.0
# Well over the three minutes that Lambda's own tries take.
TRIED_FOR = timedelta(minutes=10)


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
        on_silence: Callable[[ApiUnavailable], None] = lambda _error: None,
    ) -> None:
        """on_silence: told of each look without an answer; it may raise why there will be none."""
        self._api = api
        self._on_silence = on_silence
        self._sleep = sleep
        self._clock = clock

    def wait(
        self,
        versions: Mapping[str, str | None],
        on_verdict: Callable[[ResultItem], None],
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

    def _look(self, pending: Mapping[str, str | None], rounds: int) -> list[ResultItem]:
        try:
            # Every tenth look asks by key, should the list by time have missed one.
            if len(pending) <= _FEW or rounds % 10 == 9 or not self._api.has_token:
                return self._by_key(list(pending)[:PAGE])
            return self._newest(len(pending))
        except ApiUnavailable as error:
            if error.status in (403, 404):
                raise
            self._on_silence(error)
            return []  # a passing fault of the network or the API: look again

    def _by_key(self, keys: list[str]) -> list[ResultItem]:
        """The results there are; a key whose read fails hides none of the others. Raises ApiUnavailable."""
        if len(keys) > _FEW:
            return [found for found in self._api.many(keys).values() if isinstance(found, Mapping)]
        found: list[ResultItem] = []
        refused: list[ApiUnavailable] = []
        for key in keys:  # over the one connection that is open
            try:
                item = self._api.result(key)
            except ApiUnavailable as error:
                refused.append(error)
            else:
                found += [item] if item is not None else []
        if len(refused) == len(keys):
            raise refused[0]
        return found

    def _newest(self, count: int) -> list[ResultItem]:
        found: list[ResultItem] = []
        after: str | None = None
        while len(found) < count + PAGE:
            try:
                items, after = self._api.results(after=after)
            except ApiUnavailable:
                if not found:
                    raise
                break  # the next look reads further
            found += items
            if after is None:  # a page may be empty although more follows
                break
        return found


def is_final(item: ResultItem, version_id: str | None) -> bool:
    """True if this is the verdict of that version, and not one that will be tried again."""
    if version_id not in (None, item.get("versionId")):
        return False
    return not (item.get("status") == "failed" and item.get("error", {}).get("retryable"))


def is_retrying(item: ResultItem, now: datetime | None = None) -> bool:
    """True while a failed picture may still get another try: Lambda's two come one and two minutes later.

    The last failure is stored like those before it; what is older than that stays as it is.
    """
    if item.get("status") != "failed" or not item.get("error", {}).get("retryable"):
        return False
    age = (now or datetime.now(UTC)) - datetime.fromisoformat(item["analyzedAt"])
    return age < TRIED_FOR
