"""The fast way to put objects: `awscrt`, AWS's own C library, which sends without Python's threads.

Each of its traps is handled here:
- its usual way to try again gives up under a wave of 503: exponential back-off is asked for;
- it opens few connections unless it is told of a fast network;
- above its part size it sends in parts, whose checksum and ETag are not those of the bytes;
- one client speaks to one host and port only: there is one for each run of `upload`;
- it reads no AWS_CA_BUNDLE and no settings of the SDK: the certificates that the SDK trusts are passed on,
  without the keys that may stand beside them, which it cannot read;
- it asks for credentials at every request, prints what goes wrong then, and loses it: they are renewed
  before a picture is sent, in the caller's thread, and handed over from memory;
- a file name that is not UTF-8 raises, a file that grows is cut: it gets the bytes, which were checked;
- a request that it gives up on has no status: None is answered, and the SDK sends that one;
- a child of a fork would hang in its parent's client: nothing here forks.
"""

from __future__ import annotations

import io
import re
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
_CONNECT_TIMEOUT_MS = 5_000
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
        from awscrt import auth, s3

        self._aws = aws
        self._bases: dict[str, str] = {}
        self._keys: Any = None
        self._credentials: Any = None
        self._renew()
        url = urlsplit(aws.endpoint("s3"))
        provider = auth.AwsCredentialsProvider.new_delegate(lambda: self._credentials)
        region = aws.client("s3").meta.region_name
        self._client = s3.S3Client(
            region=region,
            signing_config=s3.create_default_s3_signing_config(region=region, credential_provider=provider),
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

        request = self._client.make_request(
            type=s3.S3RequestType.PUT_OBJECT,
            request=self._request(put),
            on_headers=on_headers,
            on_done=on_done,
        )
        cancel: Cancel = request.cancel
        return cancel

    def _request(self, put: Put) -> Any:
        from awscrt.http import HttpHeaders, HttpRequest

        base = urlsplit(self._base(put.bucket))
        headers = [
            ("Host", base.netloc),
            ("Content-Length", str(len(put.data))),
            ("Content-Type", put.content_type),
            ("x-amz-checksum-sha256", put.checksum),
            ("x-amz-expected-bucket-owner", put.owner),
        ]
        headers += [(f"x-amz-meta-{name}", value) for name, value in put.metadata.items()]
        headers += [("If-None-Match", "*")] if put.only_new else []
        path = f"{base.path}{quote(put.key, safe=_UNQUOTED)}"
        return HttpRequest("PUT", path, HttpHeaders(headers), io.BytesIO(put.data))

    def _base(self, bucket: str) -> str:
        """The URL of the bucket, with a final slash, as the SDK would send to it with all the user's
        settings."""
        if bucket not in self._bases:
            url = self._aws.client("s3").generate_presigned_url(
                "put_object", Params={"Bucket": bucket, "Key": "-"}
            )
            self._bases[bucket] = url.partition("?")[0].removesuffix("-")
        return self._bases[bucket]

    def _renew(self) -> None:
        """Have fresh credentials at hand. Raises AwsError."""
        from awscrt.auth import AwsCredentials

        keys = self._aws.signing_keys()
        if keys != self._keys:
            self._keys, self._credentials = keys, AwsCredentials(*keys)


def _tls(aws: Aws) -> Any:
    from awscrt import io as crt_io

    options = crt_io.TlsContextOptions()
    found = _CERTIFICATE.findall(Path(aws.trusted_certificates()).read_bytes())
    options.override_default_trust_store(b"\n".join(found))
    return crt_io.ClientTlsContext(options).new_connection_options()
