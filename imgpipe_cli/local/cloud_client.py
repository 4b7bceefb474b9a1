"""What a command asks the cloud's process over HTTP, with the standard library only."""

from __future__ import annotations

import json
from typing import Any

TOKEN_HEADER = "x-imgpipe-token"  # noqa: S105 (a header's name)


def ask(
    port: int,
    path: str,
    *,
    method: str = "GET",
    token: str = "",
    timeout_s: float = 5,
    body: dict[str, Any] | None = None,
) -> dict[str, Any] | None:
    """The JSON answer of one of our own routes, or None when nothing of ours answers there.

    Raises TimeoutError when something accepts the connection and then stays silent: a busy cloud is not a
    missing one.
    """
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, headers={TOKEN_HEADER: token} if token else {})
        response = connection.getresponse()
        received = response.read(1_000_000)
    except TimeoutError:
        raise
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    try:
        answer = json.loads(received)
    except ValueError:
        return None
    return answer if response.status == 200 and isinstance(answer, dict) else None
