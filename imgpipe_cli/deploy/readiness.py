"""Whether the HTTP API really answers from its function, which a fresh deployment does after a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from urllib.parse import urlsplit

from imgpipe_cli.deploy import pipeline_info
from imgpipe_cli.deploy.resource import Observed
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.events import Emit, Waiting
from imgpipe_cli.pictures.api import Api, ApiUnavailable
from imgpipe_cli.session.connection import Connection
from imgpipe_cli.session.target import Remembered
from imgpipe_cli.system.threads import Pool

# What answers a request for a result, by resource name.
_ANSWERING = frozenset(
    {
        "settings",
        "token",
        "api",
        "api.routes",
        "api.stage",
        "function.get_result",
        "permission.api.get_result",
    }
)
# Auto-deploy and fresh permissions take seconds.
LIMIT_S = 60.0
_USUAL_S = 5.0


class FirstRequest:
    """The first request to the API, sent while `up` still does the rest; it also starts the function."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._observed: dict[str, Observed] = {}
        self._noting = threading.Lock()
        self._asked: Remembered | None = None
        self._refusal: Future[str | None] | None = None

    def note(self, name: str, observed: Observed) -> None:
        """A resource is right. Sends the request once all is there that answers it, and another one where
        that has another address or token by now."""
        with self._noting:
            self._observed[name] = observed
            if not self._observed.keys() >= _ANSWERING:
                return
            found = pipeline_info.of(self._connection, self._observed)
            if found is not None and found != self._asked and callable_at_its_url(found):
                self._asked = found
                pool = Pool(1, thread_name_prefix="first request")
                self._refusal = pool.submit(refusal, Api(found.api_url, found.token))
                pool.shutdown(wait=False)

    def is_answered(self, found: Remembered) -> bool:
        """Whether the API there has answered from its function, or does so now."""
        return self._refusal is not None and self._asked == found and self._refusal.result() is None


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
