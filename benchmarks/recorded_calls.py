"""One AWS call as the proxy saw it on the wire: which operation, of which resource, from when to when."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.operations import is_read

_SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/(?P<service>[^/]+)/aws4_request")


@dataclass(frozen=True)
class Request:
    """What identifies an operation, whichever of AWS's protocols it came in."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def service(self) -> str:
        """The service that the signature is for; an unsigned request goes to the pipeline's own API."""
        found = _SCOPE.search(self.headers.get("authorization", ""))
        return found["service"] if found else "execute-api"

    @property
    def operation(self) -> str:
        """`GetRole` where the protocol names it, else method, path and sub-resource."""
        if target := self.headers.get("x-amz-target"):
            return target.rsplit(".", 1)[-1]
        if self.service in ("iam", "sts"):
            return parse_qs(self.body.decode()).get("Action", ["?"])[0]
        parts = urlsplit(self.path)
        sub = parts.query.split("&", 1)[0] if self.service == "s3" else ""
        return f"{self.method} {unquote(parts.path)}{'?' + sub if sub else ''}"

    @property
    def subject(self) -> str:
        """The part of the request that names the resource."""
        if self.service in ("s3", "apigateway", "execute-api"):
            return self.path
        if self.service == "lambda":
            # CreateFunction alone has the name in its body, beside the zip.
            created = self.method == "POST" and self.path.endswith("/functions")
            return f"/functions/{json.loads(self.body)['FunctionName']}" if created else self.path
        return unquote(self.body.decode(errors="replace"))


@dataclass(frozen=True)
class RecordedCall:
    """Seconds on one clock. served_s: how long the emulator itself took, without the added latency."""

    service: str
    operation: str
    subject: str
    method: str
    status: int
    start_s: float
    end_s: float
    served_s: float
    connection: int

    @property
    def is_write(self) -> bool:
        if " " in self.operation:
            return self.method not in ("GET", "HEAD")
        return not is_read(self.operation)
