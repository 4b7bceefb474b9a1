"""What may be asked inside MiniStack without a key: one named action of one request, and nothing else.

MiniStack takes an empty key, "test", any 12 digits and its configured key for its root, and lets root do
everything. Here none is: whoever gets past the guard without a key is still nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_allowed_action: ContextVar[str] = ContextVar("imgpipe_anonymous_action", default="")


@contextmanager
def anonymously(action: str) -> Iterator[None]:
    """The request that is handled inside may do this action without a key."""
    before = _allowed_action.set(action)
    try:
        yield
    finally:
        _allowed_action.reset(before)


def close_root(evaluator: Any) -> None:
    """Replace what makes a key root, and what asks whether a caller may do an action."""
    enforce = evaluator.enforce

    def enforced(access_key_id: str, iam_action: str, *others: Any, **more: Any) -> Any:
        if access_key_id:
            return enforce(access_key_id, iam_action, *others, **more)
        if iam_action and iam_action == _allowed_action.get():
            return None
        return evaluator.AuthError("MissingAuthenticationToken", "The request must be signed.")

    evaluator.is_root_access_key = lambda _key: False
    evaluator.enforce = enforced


def refuse_unknown_actions(
    app: Any, router: Any, iam_actions: Any, is_administrator: Callable[[str], bool]
) -> None:
    """A call that MiniStack finds no IAM action for is the administrator's alone: nobody's policy can have
    allowed it. MiniStack lets everyone do it who has a key."""
    authenticate_only = app._authenticate_only

    def refused(service: str, headers: Any, query: Any, request_id: str) -> Any:
        failure = authenticate_only(service, headers, query, request_id)
        key = router.extract_access_key_id(headers, query)
        if failure or is_administrator(key):
            return failure
        return iam_actions.access_denied_response(service, "this call", key, request_id, headers=headers)

    app._authenticate_only = refused
