"""A request's name: the same in every run, whatever ids the account has given out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.operations import is_read

_SCOPE = re.compile(r"Credential=[^/]+/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_IDS = re.compile(r"(apis/|integrations/|routes/|uploadId=)[^/?&]+")
# What tells two requests of one operation apart; the first word is the operation's own subject.
_SUBJECTS = (
    *("RoleName", "TableName", "QueueName", "QueueUrl", "logGroupName", "logGroupNamePrefix"),
    *("resourceArn", "ResourceArn", "ResourceId", "Name", "FunctionName"),
    *("StatementId", "StageName", "routeKey", "integrationUri"),
)


@dataclass(frozen=True)
class Request:
    """One request as it came over the wire. headers: names in lower case; path: with the query."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def service(self) -> str:
        """The service that the signature is for."""
        found = _SCOPE.search(self.headers.get("authorization", ""))
        return found["service"] if found else "unsigned"

    @property
    def region(self) -> str:
        """The region that the signature is for."""
        found = _SCOPE.search(self.headers.get("authorization", ""))
        return found["region"] if found else "us-east-1"

    @property
    def call(self) -> str:
        """One for all repetitions that the SDK sends of one call."""
        return self.headers.get("amz-sdk-invocation-id", "")

    @property
    def name(self) -> str:
        """Such as `iam.CreateRole.demo-ingest`; method and path where the protocol names no operation."""
        body = self._body()
        operation = self._operation(body)
        path = self.method + _IDS.sub(r"\1ID", unquote(self.path))
        subjects = (str(body[key]) for key in _SUBJECTS if isinstance(body.get(key), str))
        subject = next(subjects, "").rpartition("/" if "QueueUrl" in body else ":")[2].replace(" ", "_")
        return ".".join(part for part in (self.service, operation or path, subject) if part)

    @property
    def is_write(self) -> bool:
        operation = self._operation(self._body())
        return not is_read(operation) if operation else self.method not in ("GET", "HEAD")

    def _operation(self, body: Mapping[str, Any]) -> str:
        if target := self.headers.get("x-amz-target"):
            return target.rpartition(".")[2]
        return str(body.get("Action", "")) if self.service in ("iam", "sts") else ""

    def _body(self) -> Mapping[str, Any]:
        if self.service in ("iam", "sts"):
            return {key: values[0] for key, values in parse_qs(self.body.decode()).items()}
        if self.service == "s3" or not self.body:
            return {}
        document = json.loads(self.body)
        return document if isinstance(document, dict) else {}


def path_only(url: str) -> str:
    """The path with the query, of an absolute or a relative URL."""
    parts = urlsplit(url)
    return f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
