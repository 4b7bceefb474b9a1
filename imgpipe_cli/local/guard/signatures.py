"""Verifies a request's signature before MiniStack gets to see the request, with MiniStack's own arithmetic.

MiniStack verifies too, but only on the ways through it that it thought of.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Protocol
from urllib.parse import parse_qs

from imgpipe_cli.local.emulator.environment import ACCOUNT
from imgpipe_cli.local.guard.access import Signed

Answer = tuple[int, dict[str, str], bytes]


class Verify(Protocol):
    """The refusal, in the service's words, of a request whose signature is not right; else None."""

    def __call__(self, scope: Any, signed: Signed, body: bytes) -> Answer | None: ...


class Signatures:
    """Stands on the parts of MiniStack that recompute a signature."""

    def __init__(self, app: Any, iam_evaluator: Any, s3: Any) -> None:
        self._app = app
        self._evaluator = iam_evaluator
        self._s3 = s3

    def __call__(self, scope: Any, signed: Signed, body: bytes) -> Answer | None:
        query = parse_qs(scope["query_string"].decode("utf-8", "replace"), keep_blank_values=True)
        headers: dict[str, str] = {}
        for raw_name, value in scope["headers"]:
            name, text = raw_name.decode("latin-1").lower(), self._app.decode_header_value(value)
            headers[name] = f"{headers[name]}, {text}" if name in headers else text
        if signed.in_query:
            refused: Answer | None = self._s3._verify_presigned_sigv4(
                scope["method"], scope["path"], headers, query
            )
            return refused
        raw_path = scope["raw_path"].decode("latin-1")
        self._evaluator.pin_signed_request(scope["method"], raw_path, query, scope["headers"])
        self._evaluator.pin_signed_body(body)
        found = self._evaluator.authenticate(signed.access_key_id, ACCOUNT)
        verified = isinstance(found, self._evaluator.ResolvedCredential)
        if verified and _is_the_body(body, headers.get("x-amz-content-sha256", "")):
            return None
        # Not an error: nothing was verified, which no request that access.py lets through should come to.
        wrong = self._evaluator.AuthError(
            "SignatureDoesNotMatch", "The request is not the one that was signed."
        )
        failure = found if isinstance(found, self._evaluator.AuthError) else wrong
        answer: Answer = self._app._credential_failure(signed.service, "", "", failure, headers)
        return answer


def keep_headers(app: Any) -> None:
    """A body sent in chunks may end with further headers. MiniStack takes any, after everything was verified;
    here only the checksums that S3 has at that place."""
    decode = app._decode_aws_chunked_body

    def decoded(body: bytes, headers: dict[str, str]) -> Any:
        before = frozenset(headers)
        answer = decode(body, headers)
        for name in headers.keys() - before:
            if not name.startswith("x-amz-checksum-"):
                del headers[name]
        return answer

    app._decode_aws_chunked_body = decoded


def _is_the_body(body: bytes, digest: str) -> bool:
    """Whether this is the body whose SHA-256 was signed; S3 may also be told that none was."""
    return re.fullmatch("[0-9a-f]{64}", digest) is None or hashlib.sha256(body).hexdigest() == digest
