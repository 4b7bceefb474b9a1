"""What a key of the upload bucket holds now."""

from __future__ import annotations

from typing import Any

from imgpipe_cli.aws import Aws


def head(aws: Aws, bucket: str, key: str) -> dict[str, Any] | None:
    """S3's HeadObject of the current version; None for nothing, or a delete marker. Raises AwsError."""
    return aws.find("s3", "head_object", missing=("404", "NoSuchKey", "NotFound"), Bucket=bucket, Key=key)
