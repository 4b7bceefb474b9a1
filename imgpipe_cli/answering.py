"""Waiting until a freshly deployed HTTP API really answers from its function."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

from imgpipe_cli.api import Api, ApiUnavailable
from imgpipe_cli.events import Emit, Note, Waiting
from imgpipe_cli.target import Remembered

# Auto-deploy and fresh permissions take seconds; after this the next command says what is wrong.
_LIMIT_S = 60.0


def wait_until_answering(
    found: Remembered,
    emit: Emit,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Ask for a result without a key until the function itself refuses that. False after a minute."""
    if not callable_at_its_url(found):
        return True
    api, started, pause_s = Api(found.api_url, found.token), clock(), 0.1
    while clock() - started < _LIMIT_S:
        detail = refusal(api)
        if detail is None:
            return True
        emit(Waiting("api", "api", f"the API does not answer yet ({detail})", clock() - started))
        sleep(pause_s)
        pause_s = min(pause_s * 1.5, 2.0)
    emit(Note("api_not_answering", found.api_url))
    return False


def callable_at_its_url(found: Remembered) -> bool:
    """False for an emulator that names AWS's own hosts: its APIs are not called there."""
    host = urlsplit(found.api_url).hostname or ""
    return found.endpoint is None or host.endswith("localhost") or host.startswith("127.")


def refusal(api: Api) -> str | None:
    """What stands between us and the function, None if it answered itself."""
    try:
        status, document = api.get("/result", {})
    except ApiUnavailable as error:
        return str(error)
    ours = isinstance(document, dict) and isinstance(document.get("error"), dict)
    return None if ours and status < 500 else f"HTTP {status}"
