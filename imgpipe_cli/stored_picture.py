"""What a key of the upload bucket holds now."""

from __future__ import annotations

from typing import Any

from imgpipe_cli.aws import Aws, AwsError


def head(aws: Aws, bucket: str, key: str) -> dict[str, Any] | None:
    """S3's HeadObject of the current version; None for nothing, or a delete marker. Raises AwsError."""
    return aws.find("s3", "head_object", missing=("404", "NoSuchKey", "NotFound"), Bucket=bucket, Key=key)


def look(aws: Aws, bucket: str, key: str) -> dict[str, Any] | None:
    """The same, also of an object that S3 lets nobody look at without its own key, or us not at all: what the
    bucket's list says of it, which is all but the version. Raises AwsError."""
    try:
        return head(aws, bucket, key)
    except AwsError as error:
        # It has no body to say why. If it is about more than this object, the list is refused with words.
        if not 400 <= error.status < 500:
            raise
    page = aws.call("s3", "list_objects_v2", Bucket=bucket, Prefix=key, MaxKeys=1)
    # Of all keys that begin so, the key itself comes first.
    entry = next(iter(page.get("Contents", [])), None)
    if entry is None or entry["Key"] != key:
        return None
    return {**entry, "ContentLength": entry["Size"]}
