"""Hostile requests to the HTTP API, and the answer to each."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TOKEN_HEADER: Mapping[str, str] | None = None
KEY = "a b+c.jpg"
"""The one picture that has a result, beside those whose keys wrong decoding would make of a request."""

TEMPTING = ("a b c.jpg", "\ufffd.jpg", "a/b.jpg", "A%2FB", "\ufffd\ufffd.jpg")


@dataclass(frozen=True)
class RequestRow:
    """code: that of the error, "" for an answer. key: of the result that is answered.

    headers: None for the right token.
    """

    id: str
    target: str
    status: int
    code: str = ""
    key: str = ""
    method: str = "GET"
    body: bytes = b""
    headers: Mapping[str, str] | None = TOKEN_HEADER


def _result(name: str, query: str, status: int, code: str = "", key: str = "") -> RequestRow:
    return RequestRow(f"http-{name}", f"/result?{query}", status, code, key)


def _list(name: str, query: str, status: int, code: str = "") -> RequestRow:
    return RequestRow(f"http-{name}", f"/results?{query}", status, code)


def _upload(name: str, body: bytes, code: str, status: int = 400) -> RequestRow:
    return RequestRow(f"http-{name}", "/uploads", status, code, method="POST", body=body)


def _keys(name: str, keys: Any, code: str, status: int = 400) -> RequestRow:
    body = keys if isinstance(keys, bytes) else json.dumps({"keys": keys}).encode()
    return RequestRow(f"http-keys-{name}", "/results", status, code, method="POST", body=body)


def _wish(**changes: Any) -> bytes:
    wish = {"key": "a.jpg", "sizeBytes": 5, "contentType": "image/jpeg", **changes}
    return json.dumps({name: value for name, value in wish.items() if value is not ...}).encode()


def _cursor(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def _token(name: str, value: str | None) -> RequestRow:
    given = {} if value is None else {"Authorization": value}
    return RequestRow(f"http-{name}", "/results", 401, "unauthorized", headers=given)


_NO_TIME = "2026-11-22T99:99:99.999Z"
_DAY, _AT = "2026-11-22", "2026-11-22T10:00:00.000Z"

REQUESTS = (
    # The key.
    _result("key-missing", "", 400, "missing_key"),
    _result("key-empty", "key=", 400, "missing_key"),
    _result("key-of-another-case", "KEY=a", 400, "missing_key"),
    _result("key-encoded", "key=a%20b%2Bc.jpg", 200, key=KEY),
    _result("key-with-plus-as-space", "key=a+b%2Bc.jpg", 200, key=KEY),
    _result("key-with-plus-as-plus", "key=a%20b+c.jpg", 200, key="a b c.jpg"),
    _result("key-encoded-twice", "key=a%2520b%252Bc.jpg", 404, "not_found"),
    _result("key-given-twice", "key=a%20b%2Bc.jpg&key=other", 200, key=KEY),
    _result("key-given-twice-the-other-first", "key=other&key=a%20b%2Bc.jpg", 404, "not_found"),
    _result("key-as-a-list", "key[]=a%20b%2Bc.jpg", 400, "missing_key"),
    _result("key-with-a-semicolon", "key=a%20b%2Bc.jpg;min_confidence=5", 404, "not_found"),
    _result("key-with-a-comma", "key=a%20b%2Bc.jpg,other", 404, "not_found"),
    _result("key-of-wrong-percents", "key=%zz%4", 404, "not_found"),
    _result("key-of-wrong-bytes", "key=%ff.jpg", 400, "invalid_query"),
    _result("key-overlong", "key=a%C0%AFb.jpg", 400, "invalid_query"),
    _result("key-half-a-character", "key=%ED%A0%80.jpg", 400, "invalid_query"),
    _result("key-of-nothing", "key=%00", 404, "not_found"),
    _result("key-ends-with-nothing", "key=a%20b%2Bc.jpg%00", 404, "not_found"),
    _result("key-with-line-ends", "key=a%0d%0aX-Injected:%201", 404, "not_found"),
    _result("key-of-1024-bytes", f"key={'x' * 1024}", 404, "not_found"),
    _result("key-of-1025-bytes", f"key={'x' * 1025}", 404, "not_found"),
    _result("key-of-5000-bytes", f"key={'%F0%9F%98%80' * 1250}", 404, "not_found"),
    _result("key-up-and-away", "key=../../etc/passwd", 404, "not_found"),
    _result("key-of-a-store-itself", "key=results/a%20b%2Bc.jpg.json", 404, "not_found"),
    # The rest of the query.
    _result("parameter-unknown", "key=a%20b%2Bc.jpg&debug=true&__proto__=x", 200, key=KEY),
    _result("parameters-by-the-hundred", f"key=a{'&a=b' * 100}", 400, "invalid_query"),
    _result("parameters-of-nothing", "&&=&=x&key=a%20b%2Bc.jpg", 200, key=KEY),
    _result("confidence-empty", "key=a&min_confidence=", 400, "invalid_min_confidence"),
    _result("confidence-nan", "key=a&min_confidence=nan", 400, "invalid_min_confidence"),
    _result("confidence-infinite", "key=a&min_confidence=1e999", 400, "invalid_min_confidence"),
    _result("confidence-negative", "key=a&min_confidence=-0.1", 400, "invalid_min_confidence"),
    _result("confidence-of-other-digits", "key=a&min_confidence=%D9%A1", 400, "invalid_min_confidence"),
    _result("confidence-with-underscore", "key=a&min_confidence=1_0", 400, "invalid_min_confidence"),
    _result("confidence-in-hexadecimal", "key=a&min_confidence=0x10", 400, "invalid_min_confidence"),
    _result("confidence-of-5000-digits", f"key=a&min_confidence={'9' * 5000}", 400, "invalid_min_confidence"),
    _list("limit-zero", "limit=0", 400, "invalid_limit"),
    _list("limit-negative", "limit=-1", 400, "invalid_limit"),
    _list("limit-too-high", "limit=101", 400, "invalid_limit"),
    _list("limit-huge", f"limit={'9' * 5000}", 400, "invalid_limit"),
    _list("limit-a-fraction", "limit=1.0", 400, "invalid_limit"),
    _list("limit-of-other-digits", "limit=%D9%A1", 400, "invalid_limit"),
    _list("limit-raised", "limit=%C2%B2", 400, "invalid_limit"),
    _list("limit-empty", "limit=", 400, "invalid_limit"),
    _list("limit-nan", "limit=nan", 400, "invalid_limit"),
    _list("cursor-garbage", "after=%%%", 400, "invalid_cursor"),
    _list("cursor-of-no-base64", "after=%C3%A9", 400, "invalid_cursor"),
    _list("cursor-of-no-list", f"after={_cursor({'day': _DAY})}", 400, "invalid_cursor"),
    _list("cursor-of-numbers", f"after={_cursor([1, 2, 3])}", 400, "invalid_cursor"),
    _list("cursor-of-too-many", f"after={_cursor([_DAY, _AT, 'a', 'b'])}", 400, "invalid_cursor"),
    _list("cursor-of-half-an-entry", f"after={_cursor([_DAY, _AT, None])}", 400, "invalid_cursor"),
    _list("cursor-of-another-day", f"after={_cursor(['2026-11-21', _AT, 'a'])}", 400, "invalid_cursor"),
    _list("cursor-of-no-time", f"after={_cursor([_DAY, _NO_TIME, 'a'])}", 400, "invalid_cursor"),
    _list("cursor-of-no-day", f"after={_cursor(['2026-02-30', None, None])}", 400, "invalid_cursor"),
    _list("cursor-of-no-key", f"after={_cursor([_DAY, _AT, ''])}", 400, "invalid_cursor"),
    _list("cursor-of-half-a-character", f"after={_cursor([_DAY, _AT, chr(0xD800)])}", 400, "invalid_cursor"),
    _list("cursor-of-a-long-key", f"after={_cursor([_DAY, _AT, 'x' * 1025])}", 400, "invalid_cursor"),
    _list("cursor-deep", f"after={base64.b64encode(b'[' * 3000).decode()}", 400, "invalid_cursor"),
    _list("cursor-huge", f"after={'A' * 6000}", 400, "invalid_cursor"),
    _list("cursor-of-the-first-day", f"after={_cursor(['0001-01-01', None, None])}", 200),
    _list("cursor-of-the-last-day", f"after={_cursor(['9999-12-31', None, None])}", 200),
    _list("cursor-of-a-foreign-key", f"after={_cursor([_DAY, _AT, 'nobody/knows.jpg'])}", 200),
    _list("status-unknown", "status=removed", 400, "invalid_status"),
    _list("prefix-with-a-quote", "prefix=%27%22%29%20OR%20%281%3D1", 200),
    _list("images-neither-yes-nor-no", "images=maybe", 400, "invalid_images"),
    RequestRow("http-image-of-nothing", "/image?key=", 400, "missing_key"),
    RequestRow("http-image-unknown", "/image?key=..%2F..%2Fsecret", 404, "not_found"),
    RequestRow("http-image-of-wrong-bytes", "/image?key=%ff", 400, "invalid_query"),
    RequestRow("http-no-such-route", "/admin", 404, "not_found"),
    RequestRow("http-up-in-the-path", "/assets/../app.py", 404, "not_found"),
    # The token.
    _token("token-missing", None),
    _token("token-empty", ""),
    _token("token-without-a-scheme", "correct horse battery staple"),
    _token("token-of-another-scheme", "Basic correct horse battery staple"),
    _token("token-in-another-case", "Bearer CORRECT HORSE BATTERY STAPLE"),
    _token("token-cut", "Bearer correct horse battery"),
    _token("token-twice", "Bearer correct horse battery staple, Bearer correct horse battery staple"),
    _token("token-of-other-letters", "Bearer c\u00f6rrect"),
    _token("token-its-own-hash", "Bearer c4bbcb1fbec99d65bf59d85c8cb62ee2db963f0fe106f483d9afa73bd4e39a8a"),
    _token("token-huge", f"Bearer {'x' * 30_000}"),
    # Wishes for an upload.
    # Several results by their keys.
    _keys("body-empty", b"", "invalid_body"),
    _keys("body-a-list", b'["a.jpg"]', "invalid_body"),
    _keys("body-deep", b'{"keys":' * 2000 + b"1" + b"}" * 2000, "invalid_body"),
    _keys("body-too-large", ["x" * 2000] * 70, "invalid_body"),
    _keys("not-there", b"{}", "invalid_keys"),
    _keys("a-text", "a.jpg", "invalid_keys"),
    _keys("an-object", {"a.jpg": 1}, "invalid_keys"),
    _keys("none", [], "invalid_keys"),
    _keys("101", [f"{number}.jpg" for number in range(101)], "invalid_keys"),
    _keys("a-number-among-them", ["a.jpg", 5], "invalid_keys"),
    _keys("a-list-among-them", ["a.jpg", ["b.jpg"]], "invalid_keys"),
    _keys("an-empty-one", ["a.jpg", ""], "invalid_keys"),
    _keys("half-a-character", ["\ud800.jpg"], "invalid_keys"),
    _keys("100-of-1024-bytes", [f"{number:03}".ljust(1024, "x") for number in range(100)], "", 200),
    _keys("longer-than-s3-takes", ["\u00fc" * 600, "\x00"], "", 200),
    # The form for an upload.
    _upload("body-empty", b"", "invalid_body"),
    _upload("body-no-json", b"key=a.jpg", "invalid_body"),
    _upload("body-no-object", b'["a.jpg"]', "invalid_body"),
    _upload("body-deep", b'{"key":' * 2000 + b"1" + b"}" * 2000, "invalid_body"),
    _upload("body-too-large", _wish(key="x" * 20_000), "invalid_body"),
    _upload("body-of-wrong-bytes", b'{"key": "\xff", "sizeBytes": 5, "contentType": "image/jpeg"}', "", 201),
    _upload("key-not-there", _wish(key=...), "missing_key"),
    _upload("key-null", _wish(key=None), "missing_key"),
    _upload("key-a-list", _wish(key=["a.jpg"]), "missing_key"),
    _upload("size-not-there", _wish(sizeBytes=...), "invalid_size"),
    _upload("size-nan", _wish(sizeBytes=float("nan")), "invalid_size"),
    _upload("size-infinite", _wish(sizeBytes=float("inf")), "invalid_size"),
    _upload("size-true", _wish(sizeBytes=True), "invalid_size"),
    _upload("size-zero", _wish(sizeBytes=0), "invalid_size"),
    _upload("size-negative", _wish(sizeBytes=-5), "invalid_size"),
    _upload("size-a-text", _wish(sizeBytes="5"), "invalid_size"),
    _upload("size-too-large", _wish(sizeBytes=15 * 1024 * 1024 + 1), "too_large"),
    _upload("size-of-400-digits", _wish(sizeBytes=10**400), "too_large"),
    _upload("type-not-there", _wish(contentType=...), "unsupported_format"),
    _upload("type-of-a-page", _wish(contentType="text/html"), "unsupported_format"),
    _upload("type-with-more", _wish(contentType="image/jpeg\r\nX-Evil: 1"), "unsupported_format"),
    _upload("type-a-list", _wish(contentType=["image/jpeg"]), "unsupported_format"),
    _upload("fields-unknown", _wish(bucket="other", acl="public-read"), "", 201),
)
