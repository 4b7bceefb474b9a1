"""Putting objects into one bucket, side by side: fast through AWS's own C library, safely through the SDK.

The first object goes through the SDK alone. So a missing bucket, wrong keys, a proxy or an untrusted
certificate is met once, at once, and in the SDK's words; and one picture needs no second library. From the
second one on crt_puts.py sends. Whatever it gives up on goes once more through the SDK, whose error is the
one reported.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.put import Answer, Cancel, OnAnswer, Put, Stored
from imgpipe_cli.aws.sdk_errors import AwsError
from imgpipe_cli.system.threads import Pool

# Threads of the SDK share one interpreter lock: more of them send nothing faster.
_SDK_THREADS = 16


def exists(error: AwsError) -> bool:
    """Whether S3 refused an `only_new` because the key is there, or is being written just now."""
    return error.code in ("PreconditionFailed", "ConditionalRequestConflict", "412")


class ObjectPuts:
    """Sends objects; each ends in one call of its `on_answer`, in any thread.

    on_slow: told why, once, where all go through the SDK although there are several.
    """

    def __init__(self, aws: Aws, on_slow: Callable[[str], None]) -> None:
        self._aws = aws
        self._on_slow = on_slow
        self._pool = Pool(_SDK_THREADS, thread_name_prefix="send")
        self._fast: Any = None
        self._begun = False
        self._closed = False

    def put(self, put: Put, on_answer: OnAnswer) -> Cancel:
        """Begin to send; what is returned cancels it. Raises AwsError where there are no credentials."""
        first, self._begun = not self._begun, True
        if first or self._fast is None:
            return self._put_by_sdk(put, on_answer)

        def answered(answer: Answer | None) -> None:
            if answer is not None:
                on_answer(answer)
            elif not self._closed:
                with contextlib.suppress(RuntimeError):  # it is closed at this moment
                    self._put_by_sdk(put, on_answer)

        cancel: Cancel = self._fast.put(put, answered)
        return cancel

    def quicken(self) -> None:
        """From now on send the fast way, where that can be."""
        from imgpipe_cli.aws import crt_puts

        try:
            self._fast = crt_puts.connect(self._aws)
        except crt_puts.NotUsable as why:
            if why.is_worth_saying:
                self._on_slow(str(why))

    def close(self) -> None:
        """Begin nothing more, and wait for nothing."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _put_by_sdk(self, put: Put, on_answer: OnAnswer) -> Cancel:
        def send() -> None:
            answer: Answer
            try:
                answer = _stored(self._aws.call("s3", "put_object", **_parameters(put)))
            except Exception as error:  # told to whoever waits for it
                answer = error
            on_answer(answer)

        return self._pool.submit(send).cancel


def _parameters(put: Put) -> dict[str, Any]:
    """As boto3 has them."""
    parameters: dict[str, Any] = {
        "Bucket": put.bucket,
        "Key": put.key,
        "Body": put.data,
        "ContentType": put.content_type,
        "ChecksumSHA256": put.checksum,
        "ExpectedBucketOwner": put.owner,
    }
    parameters |= {"Metadata": dict(put.metadata)} if put.metadata else {}
    return parameters | ({"IfNoneMatch": "*"} if put.only_new else {})


def _stored(answer: dict[str, Any]) -> Stored:
    return Stored(str(answer.get("ETag", "")).strip('"'), answer.get("VersionId"))
