"""Asynchronous invocations of functions: MiniStack's execution behind our bounded queue.

The semantics are Lambda's: a failed event is tried MaximumRetryAttempts times more (default 2), a
throttled one until it is too old, and what has failed for good goes to the on-failure destination. Waits
are seconds where AWS waits minutes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from imgpipe_cli.local.emulator.async_events import (
    Again,
    AsyncEvent,
    EventQueue,
    failed_once_more,
    throttled_once_more,
)

LOGGER = logging.getLogger("imgpipe.local.events")

# Lambda waits 1 and 2 minutes between the attempts; on a laptop nobody should.
_RETRY_BASE_S = 1.0
_RETRY_MAX_S = 30.0
# Lambda's defaults: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
_RETRIES = 2
_MAX_AGE_S = 21_600

# Of the event that this thread runs. MiniStack would give each attempt another one.
_request_id: ContextVar[str] = ContextVar("request_id")


@dataclass(frozen=True)
class _Policy:
    retries: int
    max_age_s: int
    on_failure: str


class AsyncInvocations:
    """Stands in for `lambda_svc.invoke_async_with_retry`; one for each process."""

    def __init__(self, lambda_svc: Any, *, workers: int, on_change: Callable[[], None]) -> None:
        self._lambda = lambda_svc
        self._dispatch = lambda_svc._execute_function_dispatch
        self._stopping = False
        self.queue = EventQueue(self._attempt, workers=workers, room=self._has_room, on_change=on_change)

    def drain(self, timeout_s: float) -> None:
        """Start no more events and wait for the running ones; what fails after that is kept, not counted."""
        self.queue.close(timeout_s)
        self._stopping = True

    def accept(self, func: dict[str, Any], event: Any) -> None:
        """Queue an event for a function record; called from the event loop and from S3's delivery threads."""
        config = func.get("config") or func
        self.queue.put(AsyncEvent(config["FunctionArn"], event, time.time()))

    def dispatch(self, func: Any, config: Any, event: Any, request_id: str, started: float) -> dict[str, Any]:
        """Stands in for `lambda_svc._execute_function_dispatch`, which also runs what somebody waits for."""
        found: dict[str, Any] = self._dispatch(func, config, event, _request_id.get(request_id), started)
        return found

    def _attempt(self, event: AsyncEvent) -> Again | None:
        # The record is looked up now, not when the event came in: behind a long queue the function may
        # have new code, and a worker started from the old code would be kept warm and answer for the new
        # one.
        func = self._record(event.function)
        if func is None:
            LOGGER.warning("dropped an event: %s is gone", event.function)
            return None
        _request_id.set(event.request_id)
        result = self._lambda._execute_function_with_config_scope(func, event.payload)
        if not result.get("error"):
            return None
        if self._stopping:
            # Its worker was taken away; the next start runs it again.
            return Again(event, 0)
        policy = _policy(func, self._qualifier(event.function), self._lambda)
        retry = _retry(event, policy, throttled=bool(result.get("throttle")), now=time.time())
        if retry is None and policy.on_failure:
            self._lambda._run_with_function_config_scope(
                func,
                self._lambda._route_async_failure,
                policy.on_failure,
                func["config"]["FunctionName"],
                event.payload,
                result,
            )
        return retry

    def _has_room(self, arn: str, running: int) -> bool:
        """Whether the function's reserved concurrency has room for one more event.

        Whoever waits for the answer to a call, such as `retry`, takes of it as well. A function that is
        throttled to nothing gets its events all the same: the refusals make them old, as on AWS.
        """
        try:
            func = self._record(arn)
            reserved = func and self._lambda._reserved_concurrency(func, func["config"])
            if not (func and reserved):
                return True
            _, in_flight = self._lambda.executions_in_flight()
            in_use: int = in_flight.get(self._lambda._inflight_key(func["config"]), 0)
        except Exception:  # its own turn tells what is wrong with the event
            return True
        return max(running, in_use) < int(reserved)

    def _record(self, arn: str) -> dict[str, Any] | None:
        found = self._lambda._run_with_function_config_scope(
            {"FunctionArn": arn}, self._lambda._get_func_record_for_ref, arn
        )
        func, config, _ = found
        if not func or not config:
            return None
        # A version's own configuration carries the unqualified ARN's function name; the ARN invoked stays.
        record: dict[str, Any] = self._lambda._execution_record_for_config(
            func, {**config, "FunctionArn": arn}
        )
        return record

    def _qualifier(self, arn: str) -> str | None:
        _, qualifier = self._lambda._lambda_function_name_and_qualifier_from_arn(arn)
        return qualifier or None


def _policy(func: dict[str, Any], qualifier: str | None, lambda_svc: Any) -> _Policy:
    configured = (
        lambda_svc._event_invoke_config(func, qualifier)
        or lambda_svc._event_invoke_config(func, "$LATEST")
        or {}
    )
    destination = (configured.get("DestinationConfig") or {}).get("OnFailure") or {}
    dead_letters = (func.get("config") or {}).get("DeadLetterConfig") or {}
    retries = configured.get("MaximumRetryAttempts")
    return _Policy(
        retries=_RETRIES if retries is None else int(retries),
        max_age_s=int(configured.get("MaximumEventAgeInSeconds") or _MAX_AGE_S),
        on_failure=destination.get("Destination") or dead_letters.get("TargetArn") or "",
    )


def _retry(event: AsyncEvent, policy: _Policy, *, throttled: bool, now: float) -> Again | None:
    """The next attempt, or None when the event has failed for good."""
    if throttled:
        # A throttle is not the function's failure: it costs no attempt, only time.
        delay_s = min(_RETRY_BASE_S * 2.0 ** min(event.throttles, 10), _RETRY_MAX_S)
        following = throttled_once_more(event)
    elif event.failures < policy.retries:
        delay_s = min(_RETRY_BASE_S * 2.0**event.failures, _RETRY_MAX_S)
        following = failed_once_more(event)
    else:
        return None
    if now - event.accepted_at + delay_s > policy.max_age_s:
        return None
    return Again(following, delay_s)
