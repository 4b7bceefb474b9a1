"""An account that several runs use at once, and a run that others meet at one of its changes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from imgpipe_cli.aws.client import AwsError
from tests.support.account import RecordingAws
from tests.support.operations import is_read

_adding = threading.Lock()


class SharedAws(RecordingAws):
    """As AWS, and unlike moto, refuses a second permission of the same id, which the second run meets."""

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        if operation != "add_permission":
            return super().call(service, operation, once=once, **params)
        with _adding:
            if params["StatementId"] in self._statements(params["FunctionName"]):
                raise AwsError(
                    "ResourceConflictException",
                    f"The statement id ({params['StatementId']}) provided already exists. Please provide "
                    "a new statement id, or remove the existing statement.",
                    service=service,
                    operation=operation,
                    status=409,
                )
            return super().call(service, operation, once=once, **params)

    def _statements(self, function: str) -> set[str]:
        missing = ("ResourceNotFoundException",)
        found = self.find("lambda", "get_policy", missing=missing, FunctionName=function)
        return {one["Sid"] for one in json.loads(found["Policy"])["Statement"]} if found else set()


class MeetingAws(SharedAws):
    """Lets `meanwhile` happen once: before change number `before`, or after number `after` (from 0)."""

    def __init__(
        self, meanwhile: Callable[[], Any], *, before: int | None = None, after: int | None = None
    ) -> None:
        super().__init__()
        self.met: tuple[str, str] | None = None
        self._meanwhile = meanwhile
        self._before = before
        self._after = after

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        if is_read(operation):
            return super().call(service, operation, once=once, **params)
        if self._before is not None and self._before <= len(self.writes):
            self._meet(service, operation)
        answer = super().call(service, operation, once=once, **params)
        if self._after is not None and self._after < len(self.writes):
            self._meet(service, operation)
        return answer

    def _meet(self, service: str, operation: str) -> None:
        if self.met is None:
            self.met = (service, operation)
            self._meanwhile()
