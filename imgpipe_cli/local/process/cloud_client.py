"""What a command asks the cloud's process over HTTP, with the standard library only."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

TOKEN_HEADER = "x-imgpipe-token"  # noqa: S105 (a header's name)
NONCE_HEADER = "x-imgpipe-nonce"


def proof(token: str, port: int, nonce: str) -> str:
    """What only the process knows that was told this token, about the port that it serves."""
    import hmac

    return hmac.digest(token.encode(), f"{port}:{nonce}".encode(), "sha256").hex()


def is_ours(port: int, token: str) -> bool:
    """Whether the process with this token serves this port; the token itself is not sent.

    Raises TimeoutError, as `ask`.
    """
    import hmac

    nonce = os.urandom(16).hex()
    answer = ask(port, "/_imgpipe/health", headers={NONCE_HEADER: nonce})
    return answer is not None and hmac.compare_digest(
        str(answer.get("proof")).encode(), proof(token, port, nonce).encode()
    )


def ask(
    port: int,
    path: str,
    *,
    method: str = "GET",
    token: str = "",
    timeout_s: float = 5,
    body: dict[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any] | None:
    """The JSON answer of one of our own routes, or None when nothing of ours answers there.

    Raises TimeoutError when something accepts the connection and then stays silent: a busy cloud is not a
    missing one.
    """
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        content = None if body is None else json.dumps(body)
        sent = {**(headers or {}), **({TOKEN_HEADER: token} if token else {})}
        connection.request(method, path, content, headers=sent)
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
