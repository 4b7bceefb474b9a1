"""Who may ask the local cloud what: a pure decision on one request's line and headers.

The threats are a web page open in the user's browser (it can send requests to 127.0.0.1 without a
preflight, and with DNS rebinding it can even read the answers), another user of the machine, and a function
that is to do no more than its role may.

Only what is recognized passes. A caller is named in one place, by one credential of Signature Version 4, in
the one spelling that the SDKs send: MiniStack reads several, from several places, and would take one for the
caller and check the signature of another. Without a credential pass only an API's own routes, a form (or its
preflight) to a bucket that exists, and the cloud's own routes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs

OWN_NAMES = ("127.0.0.1", "localhost")
_API_PATH = re.compile(r"/_aws/execute-api/([a-z0-9]{8,12})(/.*)?", re.DOTALL)
_API_HOST = re.compile(r"([a-z0-9]{8,12})\.execute-api\.localhost")
_BUCKET = r"([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])"
_BUCKET_PATH = re.compile(rf"/{_BUCKET}/?")
_BUCKET_HOST = re.compile(rf"{_BUCKET.replace('.-', '-')}(\.s3(\.[a-z0-9-]+)?)?\.localhost")
_SCOPE = r"([^/,\s]+)/\d{8}/[a-z0-9-]+/([a-z0-9-]+)/aws4_request"
_HEADER = re.compile(
    rf"AWS4-HMAC-SHA256 Credential={_SCOPE}, ?SignedHeaders=([a-z0-9;_-]+), ?Signature=[0-9a-f]{{64}}",
    re.ASCII,
)
_QUERY_SCOPE = re.compile(_SCOPE, re.ASCII)
_QUERY = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders")
_QUERY_NAMES = {*_QUERY, "X-Amz-Signature", "X-Amz-Security-Token"}
# Whatever MiniStack might take a key from, in any case of letters.
_CREDENTIAL_NAMES = {name.lower() for name in (*_QUERY_NAMES, "AWSAccessKeyId")}
_KEY_MAX_BYTES = 1024
NEVER_IN_KEYS = re.compile("[\x00-\x08\x0a-\x1f\ufffe\uffff]")


@dataclass(frozen=True)
class Asked:
    """What a decision needs of a request. Header names are lower case; query names are as MiniStack reads
    them, which tells capitals apart."""

    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    headers: Mapping[str, Sequence[str]]

    @classmethod
    def of(
        cls, method: str, path: str, query_string: bytes, raw_headers: Sequence[tuple[bytes, bytes]]
    ) -> Asked:
        headers: dict[str, list[str]] = {}
        for name, value in raw_headers:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        query = parse_qs(query_string.decode("utf-8", "replace"), keep_blank_values=True)
        return cls(method, path, query, headers)

    def header(self, name: str) -> str:
        return ", ".join(self.headers.get(name, ()))


@dataclass(frozen=True)
class Refused:
    """Why not, in words that name no secret."""

    code: str
    message: str
    status: int = 403


@dataclass(frozen=True)
class Signed:
    """Whose signature is to be verified, and for which service it claims to be."""

    access_key_id: str
    service: str
    in_query: bool = False


@dataclass(frozen=True)
class Allowed:
    """What may pass once the signature, if there is one, is verified.

    api: the API's id where one is asked, api_host where by its own host name. bucket: that of a form.
    """

    to: Literal["own", "api", "form", "service"]
    signed: Signed | None = None
    api: str = ""
    api_host: bool = False
    bucket: str = ""


@dataclass(frozen=True)
class Rules:
    """The rules for one port. known_key tells keys that were really issued here from all others."""

    port: int
    known_key: Callable[[str], bool]
    bucket_exists: Callable[[str], bool]
    api_exists: Callable[[str], bool]

    def decide(self, asked: Asked) -> Allowed | Refused:
        host = self._host(asked)
        if host is None or not asked.path.startswith("/"):
            return Refused("AccessDenied", "The request must name a path, and Host this machine and port.")
        if api := _API_HOST.fullmatch(host) or (host in OWN_NAMES and _API_PATH.fullmatch(asked.path)):
            return self._api(asked, api[1], by_host=host not in OWN_NAMES)
        if refused := self._browser(asked) or _closed_path(asked.path, host) or _never_listed(asked):
            return refused
        if asked.path.startswith("/_imgpipe/") and host in OWN_NAMES:
            return Allowed("own")
        return self._service(asked, host)

    def bucket(self, asked: Asked) -> str | None:
        """The bucket that a request to S3 is about as a whole, if there is such a one."""
        by_host = _BUCKET_HOST.fullmatch(self._host(asked) or "") if asked.path == "/" else None
        found = by_host or _BUCKET_PATH.fullmatch(asked.path)
        return found[1] if found and self.bucket_exists(found[1]) else None

    def _host(self, asked: Asked) -> str | None:
        """The host name asked for, without the port; None when it is not ours (DNS rebinding)."""
        hosts = asked.headers.get("host", ())
        if len(hosts) != 1:
            return None
        name, _, port = hosts[0].lower().rpartition(":")
        ours = name in OWN_NAMES or name.endswith(".localhost")
        return name if ours and port == str(self.port) else None

    def _api(self, asked: Asked, api: str, *, by_host: bool) -> Allowed | Refused:
        if not self.api_exists(api):
            return Refused("NotFound", "Not Found", 404)
        signed = self._signed(asked)
        return signed if isinstance(signed, Refused) else Allowed("api", signed, api, by_host)

    def _service(self, asked: Asked, host: str) -> Allowed | Refused:
        signed = self._signed(asked)
        if isinstance(signed, Refused):
            return signed
        if signed is None:
            return self._form(asked, host)
        by_host = signed.service == "s3" and _BUCKET_HOST.fullmatch(host) is not None
        if signed.service == "s3" and (refused := _key_too_long(asked.path, by_host=by_host)):
            return refused
        if host in OWN_NAMES or by_host:
            return Allowed("service", signed)
        return Refused("AccessDenied", "This host name is that of no bucket and no API.")

    def _browser(self, asked: Asked) -> Refused | None:
        """Refuse what a browser sends for a page that is not ours."""
        if origins := asked.headers.get("origin"):
            if all(self._own_origin(origin) for origin in origins):
                return None
            return Refused("AccessDenied", "Requests from other web pages are refused.")
        # same-site too: a page on another port of localhost is someone else's.
        if {"cross-site", "same-site"} & {
            site.strip().lower() for site in asked.headers.get("sec-fetch-site", ())
        }:
            return Refused("AccessDenied", "Requests from other web pages are refused.")
        return None

    def _own_origin(self, origin: str) -> bool:
        scheme, _, rest = origin.lower().partition("://")
        name, _, port = rest.rpartition(":")
        ours = name in OWN_NAMES or _API_HOST.fullmatch(name) is not None
        return scheme == "http" and ours and port == str(self.port)

    def _signed(self, asked: Asked) -> Signed | Refused | None:
        """The one credential that names the caller; None when there is none at all."""
        given = asked.headers.get("authorization", ())
        names = [name for name in asked.query if name.lower() in _CREDENTIAL_NAMES]
        is_aws = any(value.lstrip().upper().startswith("AWS") for value in given)
        if not names and not is_aws and len(given) < 2:
            return None
        signed = None
        if not names and len(given) == 1 and (found := _HEADER.fullmatch(given[0])):
            signed = Signed(found[1], found[2]) if "host" in found[3].split(";") else None
        elif names and not given:
            signed = _presigned(asked, names)
        if signed is None:
            return Refused(
                "AccessDenied",
                "The request must be signed once, with Signature Version 4: in the Authorization header or, "
                "for S3, in the query.",
            )
        if not self.known_key(signed.access_key_id):
            return Refused(
                "InvalidClientTokenId",
                "The access key is not one of this local cloud; `imgpipe local env` prints them.",
            )
        return signed

    def _form(self, asked: Asked, host: str) -> Allowed | Refused:
        """A browser's form to a bucket, and the preflight that may come before it. The form carries its own
        signature, which S3 verifies; form_uploads.py sees to it that one without is refused."""
        by_host = _BUCKET_HOST.fullmatch(host) if asked.path == "/" else None
        by_path = _BUCKET_PATH.fullmatch(asked.path) if host in OWN_NAMES else None
        bucket = by_host or by_path
        is_form = asked.header("content-type").lower().startswith("multipart/form-data")
        asks = asked.method == "OPTIONS" or (asked.method == "POST" and is_form)
        # An API's route takes any Authorization header; here it would only leave doubt about who asks.
        plain = not asked.query and "authorization" not in asked.headers
        if bucket and asks and plain and self.bucket_exists(bucket[1]):
            return Allowed("form", bucket=bucket[1])
        return Refused(
            "MissingAuthenticationToken", "The request must be signed with a key of this local cloud."
        )


def _presigned(asked: Asked, names: Sequence[str]) -> Signed | None:
    """The caller of an S3 link; None for what is spelled in another way, doubled or incomplete."""
    values = {name: asked.query[name] for name in names}
    exact = {*_QUERY, "X-Amz-Signature"} <= values.keys() <= _QUERY_NAMES
    if not exact or any(len(value) != 1 or not value[0] for value in values.values()):
        return None
    scope = _QUERY_SCOPE.fullmatch(values["X-Amz-Credential"][0])
    # As S3 does: a link's holder must not add, say, what to copy instead of what is sent.
    must_be_signed = {name for name in asked.headers if name.startswith("x-amz-")} - {"x-amz-content-sha256"}
    unsigned = {"host", *must_be_signed} - set(values["X-Amz-SignedHeaders"][0].split(";"))
    if values["X-Amz-Algorithm"][0] != "AWS4-HMAC-SHA256" or unsigned:
        return None
    return Signed(scope[1], "s3", in_query=True) if scope and scope[2] == "s3" else None


def _closed_path(path: str, host: str) -> Refused | None:
    """MiniStack's own routes (reset, config) answer without a key; no bucket's name starts with `_`."""
    own_names = host in OWN_NAMES
    if path.startswith("/_imgpipe/") and own_names:
        return None
    closed = "/_" if own_names else ("/_ministack", "/_localstack", "/_imgpipe", "/_aws")
    if path.startswith(closed):
        return Refused("AccessDenied", "This route is closed.")
    return None


def _key_too_long(path: str, *, by_host: bool) -> Refused | None:
    """As S3 answers and MiniStack does not. The path is `/bucket/key`, or `/key` at a bucket's own host."""
    key = path[1:] if by_host else path[1:].partition("/")[2]
    if len(key.encode("utf-8", "surrogatepass")) > _KEY_MAX_BYTES:
        return Refused("KeyTooLongError", "Your key is too long", 400)
    return None


def _never_listed(asked: Asked) -> Refused | None:
    """MiniStack lists versions without url encoding: one key that XML cannot hold breaks every list of its
    bucket, and the bucket could never be emptied again. And to its IAM no "*" stands for the end of a line:
    no role could read such a key."""
    if asked.method in ("PUT", "POST") and NEVER_IN_KEYS.search(asked.path):
        return Refused("InvalidArgument", "The local cloud takes no keys with control characters.")
    return None
