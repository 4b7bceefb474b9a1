"""The fast way to put objects: `awscrt`, AWS's own C library, which sends without Python's threads.

Each of its traps is handled here:
- its usual way to try again gives up under a wave of 503: exponential back-off is asked for;
- it opens few connections unless it is told of a fast network;
- above its part size it sends in parts, whose checksum and ETag are not those of the bytes;
- one client speaks to one host and port only: there is one for each run of `upload`;
- it reads no AWS_CA_BUNDLE and no settings of the SDK: the certificates that the SDK trusts are passed on,
  without the keys that may stand beside them, which it cannot read;
- what goes wrong while it asks for credentials is printed, and lost: they are renewed in the caller's
  thread, and each request gets those at hand;
- it reads a file without Python, but nobody knows what it reads: S3 refuses what has another SHA-256, and the
  SDK sends the bytes that were checked;
- a file that is gone, or has no name in UTF-8, raises: it gets those bytes at once;
- a request that it gives up on has no status: None is answered, and the SDK sends that one;
- a child of a fork would hang in its parent's client: nothing here forks.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.put import Cancel, Put, Stored
from imgpipe_cli.aws.sdk_errors import AwsError

# No picture is larger, so that each goes in one request.
_PART_BYTES = 16 * 1024 * 1024
# At ten, the default, 25 connections are opened.
_NETWORK_GBPS = 50.0
_CONNECTIONS = 128
_FILES = 1024
_CONNECT_TIMEOUT_MS = 5_000
# The SDK renews them minutes before they end.
_RENEW_EVERY_S = 1.0
# Beside letters and digits.
_UNQUOTED = "-._~/"
_PRECONDITION_FAILED = 412
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class NotUsable(Exception):
    """Objects cannot be sent this way. is_worth_saying: the user can do something about it."""

    def __init__(self, why: str, *, is_worth_saying: bool) -> None:
        super().__init__(why)
        self.is_worth_saying = is_worth_saying


class OnEnd(Protocol):
    def __call__(self, answer: Stored | AwsError | None, /) -> None:
        """Take what came of a request; None: the library gave up, and does not say why."""


def connect(aws: Aws) -> CrtPuts:
    """Raises NotUsable, and AwsError where there are no credentials."""
    _allow_files()
    try:
        import awscrt.s3  # noqa: F401 - there may be none for this system
    except ImportError as error:
        raise NotUsable(str(error), is_worth_saying=True) from error
    url = aws.endpoint("s3")
    if aws.place.is_local and aws.proxy_variable(url) is not None:
        # The library would go through the user's proxy, and cannot be told not to.
        raise NotUsable("a proxy is set", is_worth_saying=False)
    try:
        return CrtPuts(aws)
    except AwsError:
        raise
    except Exception as error:  # the library has no class of its own for what it cannot begin with
        raise NotUsable(str(error), is_worth_saying=True) from error


class CrtPuts:
    """One client of the library, for one bucket's host."""

    def __init__(self, aws: Aws) -> None:
        from awscrt import s3

        self._aws = aws
        self._bases: dict[str, tuple[str, str]] = {}
        self._keys: Any = None
        self._credentials: Any = None
        self._renew_at = 0.0
        self._renew()
        url = urlsplit(aws.endpoint("s3"))
        region = aws.client("s3").meta.region_name
        self._client = s3.S3Client(
            region=region,
            signing_config=s3.create_default_s3_signing_config(
                region=region, credential_provider=self._credentials
            ),
            tls_mode=s3.S3RequestTlsMode.ENABLED if url.scheme == "https" else s3.S3RequestTlsMode.DISABLED,
            tls_connection_options=_tls(aws) if url.scheme == "https" else None,
            part_size=_PART_BYTES,
            multipart_upload_threshold=_PART_BYTES,
            throughput_target_gbps=_NETWORK_GBPS,
            max_active_connections_override=_CONNECTIONS,
            retry_config=s3.S3RetryConfig(retry_mode=s3.S3RetryMode.EXPONENTIAL_BACKOFF),
            connect_timeout_ms=_CONNECT_TIMEOUT_MS,
        )

    def put(self, put: Put, on_end: OnEnd) -> Cancel:
        """Begin to send; what is returned cancels it, and has to be kept until the end. Raises AwsError where
        there are no credentials."""
        from awscrt import s3

        self._renew()
        told: dict[str, str] = {}

        def on_headers(headers: list[tuple[str, str]], **_more: Any) -> None:
            told.update((name.lower(), value) for name, value in headers)

        def on_done(error: Exception | None, status_code: int | None = None, **_more: Any) -> None:
            if error is None:
                on_end(Stored(told.get("etag", "").strip('"'), told.get("x-amz-version-id")))
            elif status_code == _PRECONDITION_FAILED:
                on_end(AwsError(str(status_code), "the key exists", service="s3", status=status_code))
            else:
                on_end(None)

        def begin(path: str | None) -> Cancel:
            request = self._client.make_request(
                type=s3.S3RequestType.PUT_OBJECT,
                request=self._request(put, None if path else io.BytesIO(put.data)),
                send_filepath=path,
                credential_provider=self._credentials,
                on_headers=on_headers,
                on_done=on_done,
            )
            cancel: Cancel = request.cancel
            return cancel

        try:
            return begin(put.path)
        except (RuntimeError, UnicodeEncodeError):
            return begin(None)

    def _request(self, put: Put, body: io.BytesIO | None) -> Any:
        from awscrt.http import HttpHeaders, HttpRequest

        host, folder = self._base(put.bucket)
        headers = [
            ("Host", host),
            ("Content-Length", str(len(put.data))),
            ("Content-Type", put.content_type),
            ("x-amz-checksum-sha256", put.checksum),
            ("x-amz-expected-bucket-owner", put.owner),
        ]
        headers += [(f"x-amz-meta-{name}", value) for name, value in put.metadata.items()]
        headers += [("If-None-Match", "*")] if put.only_new else []
        return HttpRequest("PUT", f"{folder}{quote(put.key, safe=_UNQUOTED)}", HttpHeaders(headers), body)

    def _base(self, bucket: str) -> tuple[str, str]:
        """The host of the bucket, and its path with a final slash, as the SDK would send to it with all the
        user's settings."""
        if bucket not in self._bases:
            url = self._aws.client("s3").generate_presigned_url(
                "put_object", Params={"Bucket": bucket, "Key": "-"}
            )
            parts = urlsplit(url.partition("?")[0].removesuffix("-"))
            self._bases[bucket] = parts.netloc, parts.path
        return self._bases[bucket]

    def _renew(self) -> None:
        """Have fresh credentials at hand. Raises AwsError."""
        from awscrt.auth import AwsCredentialsProvider

        if (now := self._aws.clock()) < self._renew_at:
            return
        self._renew_at = now + _RENEW_EVERY_S
        keys = self._aws.signing_keys()
        if keys != self._keys:
            self._keys, self._credentials = keys, AwsCredentialsProvider.new_static(*keys)


def _allow_files() -> None:
    """Each request has a connection and a file; macOS lets a program open 256 unless it asks for more."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < most:
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _tls(aws: Aws) -> Any:
    from awscrt import io as crt_io

    options = crt_io.TlsContextOptions()
    found = _CERTIFICATE.findall(Path(aws.trusted_certificates()).read_bytes())
    options.override_default_trust_store(b"\n".join(found))
    return crt_io.ClientTlsContext(options).new_connection_options()
