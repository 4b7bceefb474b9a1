"""Whether the HTTP API really answers from its function, which a fresh deployment does after a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.events import Emit, Waiting
from imgpipe_cli.pictures.api import Api, ApiUnavailable
from imgpipe_cli.session.target import Remembered

# Auto-deploy and fresh permissions take seconds.
LIMIT_S = 60.0
_USUAL_S = 5.0


def wait_until_answering(
    found: Remembered,
    emit: Emit,
    *,
    limit_s: float = LIMIT_S,
    late: Callable[[], object] = lambda: None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Ask for a result without a key until the function itself refuses that. Raises Problem if it does not
    within so many seconds; with 0 after the first request.

    late: called once the API takes longer than usual, and once more before giving up; it may raise the cause.
    """
    if not callable_at_its_url(found):
        return
    api, started, pause_s = Api(found.api_url, found.token), clock(), 0.1
    usual_s = _USUAL_S
    while (detail := refusal(api)) is not None:
        waited = clock() - started
        if waited >= min(usual_s, limit_s):
            late()
            usual_s = limit_s
        if waited >= limit_s:
            raise Problem(
                "api_not_answering",
                f"The pipeline is set up, but its API at {found.api_url} does not answer: {detail}.",
                hint="Run imgpipe up again in a minute: it looks again. See imgpipe logs too.",
                exit_code=ExitCode.PENDING,
            )
        emit(Waiting("api", "api", f"the API does not answer yet ({detail})", waited))
        sleep(pause_s)
        pause_s = min(pause_s * 1.5, 2.0)


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
