"""POST /uploads: permission to send one picture straight to the bucket.

The answer is a form for S3. S3 itself checks that exactly this key, type and size is sent, so its holder
cannot touch any other picture. Until it ends the form may be used again: each use is a new version of the
same picture, and one more analysis.
"""

from __future__ import annotations

import secrets
import unicodedata
from datetime import datetime

from shared.http_api import ApiError, Request, Response, json_object, json_response
from web.needs import Needs

MAX_BYTES = 15 * 1024 * 1024
"""Rekognition's limit for a picture in S3."""

FORM_S = 120
"""How long S3 accepts the form, in seconds; the page asks for one right before it sends."""

_ENDINGS = {"image/jpeg": ".jpg", "image/png": ".png"}
_MAX_BODY_BYTES = 16 * 1024
_MAX_NAME_BYTES = 200
_SIGNS = "._-+(),="


def new_upload(request: Request, needs: Needs) -> Response:
    """201 `{url, fields, key}`; ApiError 400.

    The body is `{key, sizeBytes, contentType}`. Its `key` is only a wish for the name: the answer's `key` is
    the one to use, new for each upload.
    """
    wish, size_bytes, content_type = _read(request.body)
    key = f"{needs.config.upload_prefix}{ulid(needs.now())}-{safe_name(wish, _ENDINGS[content_type])}"
    form = needs.s3.generate_presigned_post(
        needs.config.bucket,
        key,
        Fields={"Content-Type": content_type},
        Conditions=[{"Content-Type": content_type}, ["content-length-range", size_bytes, size_bytes]],
        ExpiresIn=FORM_S,
    )
    return json_response(201, {"url": form["url"], "fields": form["fields"], "key": key})


def _read(body: bytes) -> tuple[str, int, str]:
    document = json_object(body, _MAX_BODY_BYTES, "key, sizeBytes and contentType")
    key, size_bytes, content_type = (document.get(name) for name in ("key", "sizeBytes", "contentType"))
    if not isinstance(key, str) or not key:
        raise ApiError(400, "missing_key", "key is the picture's name, a text that is not empty.")
    if not isinstance(content_type, str) or content_type not in _ENDINGS:
        raise ApiError(400, "unsupported_format", "contentType is image/jpeg or image/png.")
    if isinstance(size_bytes, float) and size_bytes.is_integer():  # JSON has one kind of number: 5 is 5.0
        size_bytes = int(size_bytes)
    if not isinstance(size_bytes, int) or isinstance(size_bytes, bool) or size_bytes < 1:
        raise ApiError(400, "invalid_size", "sizeBytes is the file's size, a whole number from 1.")
    if size_bytes > MAX_BYTES:
        raise ApiError(400, "too_large", f"A picture may have at most {MAX_BYTES:,} bytes (15 MB).")
    return key, size_bytes, content_type


def safe_name(wish: str, ending: str) -> str:
    """A file name that is harmless in a URL, a shell, a form and a terminal, and still the one people know.

    Letters of all scripts stay. A path loses its folders; everything else that is no letter, digit or one of
    a few signs becomes a hyphen. A name of which nothing is left becomes "picture".
    """
    base = unicodedata.normalize("NFC", wish).replace("\\", "/").rstrip("/").rpartition("/")[2]
    letters = "".join(c if unicodedata.category(c)[0] in "LMN" or c in _SIGNS else "-" for c in base)
    stem, dot, last = letters.rpartition(".")
    known = last.lower() in ("jpg", "jpeg", "png")
    stem, ending = (stem, dot + last) if known else (letters, ending)
    words = "-".join(part for part in stem.split("-") if part).strip(".-")
    # Cut by bytes: a key is limited to 1,024 of them, and some letters take four.
    short = words.encode()[: _MAX_NAME_BYTES - len(ending)].decode("utf-8", "ignore")
    return (short or "picture") + ending


_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(now: datetime) -> str:
    """A name that sorts by time and is never given twice.

    48 bits of milliseconds and 80 random bits, in base 32: https://github.com/ulid/spec
    """
    number = int(now.timestamp() * 1000) << 80 | secrets.randbits(80)
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -5, -5))
