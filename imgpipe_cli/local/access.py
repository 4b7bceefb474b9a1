"""Who may ask the local cloud what: a pure decision on one request's line and headers.

The threats are a web page open in the user's browser (it can send requests to 127.0.0.1 without a
preflight, and with DNS rebinding it can even read the answers), and any key that MiniStack takes for root
without a signature.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

_API_PATH = re.compile(r"/_aws/execute-api/[a-z0-9]{8,12}(/|$)")
_API_HOST = re.compile(r"([a-z0-9]{8,12})\.execute-api\.localhost")
# MiniStack takes these for root and checks no signature: https://github.com/ministackorg/ministack
# (iam_evaluator).
_WELL_KNOWN_KEY = re.compile(r"test|\d{12}|")
_HEADER_KEY = re.compile(r"Credential=([^/,\s]*)")
_KEY_PARAMETERS = ("x-amz-credential", "awsaccesskeyid")
_NEVER_IN_KEYS = re.compile("[\x00-\x08\x0a-\x1f\ufffe\uffff]")
_BUCKET_PATH = re.compile(r"/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/?")


@dataclass(frozen=True)
class Asked:
    """What a decision needs of a request; header and query names are lower case."""

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
        query: dict[str, list[str]] = {}
        for parameter, values in parse_qs(query_string.decode("latin-1"), keep_blank_values=True).items():
            query.setdefault(parameter.lower(), []).extend(values)
        return cls(method, path, query, headers)

    def header(self, name: str) -> str:
        return ", ".join(self.headers.get(name, ()))


@dataclass(frozen=True)
class Refused:
    """Why not, in words that name no secret."""

    code: str
    message: str


@dataclass(frozen=True)
class Allowed:
    """api_id is set when the request goes to an HTTP API by its own host name."""

    to_api: bool = False
    own_route: bool = False
    api_id: str = ""


@dataclass(frozen=True)
class Rules:
    """The rules for one port. known_key tells keys that were really issued here from all others."""

    port: int
    known_key: Callable[[str], bool]

    def decide(self, asked: Asked) -> Allowed | Refused:
        host = self._host(asked)
        if host is None:
            return Refused("AccessDenied", "The Host header must name this machine and port.")
        if len(asked.headers.get("authorization", ())) > 1:
            return Refused("AccessDenied", "More than one Authorization header.")
        api_host = _API_HOST.fullmatch(host)
        if api_host or _API_PATH.match(asked.path):
            return self._keys(asked) or Allowed(to_api=True, api_id=api_host[1] if api_host else "")
        if refused := self._browser(asked) or _closed_path(asked.path, host) or _never_listed(asked):
            return refused
        if asked.path.startswith("/_imgpipe/"):
            return Allowed(own_route=True)
        return self._keys(asked) or (Allowed() if _key_ids(asked) else _keyless(asked))

    def _host(self, asked: Asked) -> str | None:
        """The host name asked for, without the port; None when it is not ours (DNS rebinding)."""
        hosts = asked.headers.get("host", ())
        if len(hosts) != 1:
            return None
        name, _, port = hosts[0].lower().rpartition(":")
        ours = name in ("127.0.0.1", "localhost") or name.endswith(".localhost")
        return name if ours and port == str(self.port) else None

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
        ours = name in ("127.0.0.1", "localhost") or _API_HOST.fullmatch(name) is not None
        return scheme == "http" and ours and port == str(self.port)

    def _keys(self, asked: Asked) -> Refused | None:
        """Refuse a key that was not issued here; None when there is no key or a known one."""
        keys = _key_ids(asked)
        if len(keys) > 1:
            return Refused("AccessDenied", "The request names more than one access key.")
        for key in keys:
            if _WELL_KNOWN_KEY.fullmatch(key) or not self.known_key(key):
                return Refused(
                    "InvalidClientTokenId",
                    "The access key is not one of this local cloud; `imgpipe local env` prints them.",
                )
        return None


def _key_ids(asked: Asked) -> set[str]:
    """Every access key id that a request names anywhere; an empty one counts."""
    keys: set[str] = set()
    for value in asked.headers.get("authorization", ()):
        if value.startswith("AWS4-"):
            keys.update(_HEADER_KEY.findall(value) or [""])
        elif value.startswith("AWS "):
            keys.add(value[4:].partition(":")[0].strip())
    for name in _KEY_PARAMETERS:
        keys.update(value.partition("/")[0] for value in asked.query.get(name, ()))
    return keys


def _closed_path(path: str, host: str) -> Refused | None:
    """MiniStack's own routes (reset, config) answer without a key; no bucket's name starts with `_`."""
    own_names = host in ("127.0.0.1", "localhost")
    if path.startswith("/_imgpipe/") and own_names:
        return None
    if path.startswith(("/_ministack", "/_localstack", "/_imgpipe")) or (own_names and path.startswith("/_")):
        return Refused("AccessDenied", "This route is closed.")
    return None


def _never_listed(asked: Asked) -> Refused | None:
    """MiniStack lists versions without url encoding: one key that XML cannot hold breaks every list of its
    bucket, and the bucket could never be emptied again. And to its IAM no "*" stands for the end of a line:
    no role could read such a key."""
    if asked.method in ("PUT", "POST") and _NEVER_IN_KEYS.search(asked.path):
        return Refused("InvalidArgument", "The local cloud takes no keys with control characters.")
    return None


def _keyless(asked: Asked) -> Allowed | Refused:
    """What needs no key in its line or headers: a preflight, and a browser's form upload to a bucket.

    The form carries its own signature; form_uploads.py sees to it that one without is refused.
    """
    if asked.method == "OPTIONS":
        return Allowed()
    is_form = asked.header("content-type").lower().startswith("multipart/form-data")
    to_bucket = asked.path == "/" or _BUCKET_PATH.fullmatch(asked.path) is not None
    signed_otherwise = {"authorization", "x-amz-target", "x-amz-request-route"} & asked.headers.keys()
    if asked.method == "POST" and is_form and to_bucket and not asked.query and not signed_otherwise:
        return Allowed()
    return Refused("MissingAuthenticationToken", "The request must be signed with a key of this local cloud.")
