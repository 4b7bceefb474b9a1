"""What a key of the upload bucket holds now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.aws.sdk_errors import errors_of
from imgpipe_cli.errors import Problem
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures.keys import argument

if TYPE_CHECKING:
    from shared.result_item import ResultItem


def head(aws: Aws, bucket: str, key: str, *, checksum: bool = False) -> dict[str, Any] | None:
    """S3's HeadObject of the current version; None for nothing, or a delete marker. Raises AwsError.

    checksum: also that of the bytes, where S3 keeps one.

    For 15 minutes after a bucket's versioning was first enabled, S3 may answer 404 for what is there: the
    list of versions, which does not lag, decides.
    """
    mode = {"ChecksumMode": "ENABLED"} if checksum else {}
    missing = ("404", "NoSuchKey", "NotFound")
    found = aws.find("s3", "head_object", missing=missing, Bucket=bucket, Key=key, **mode)
    return found or _listed(aws, bucket, key)


def look(aws: Aws, bucket: str, key: str, *, checksum: bool = False) -> dict[str, Any] | None:
    """The same, also of an object that S3 lets nobody look at without its own key, or us not at all: then the
    list of versions tells of it. Raises AwsError."""
    try:
        return head(aws, bucket, key, checksum=checksum)
    except AwsError as error:
        # It has no body to say why. If it is about more than this object, the list is refused with words.
        if not 400 <= error.status < 500:
            raise
    return _listed(aws, bucket, key)


def content(aws: Aws, bucket: str, item: ResultItem) -> bytes:
    """The picture that a result is about. Raises Problem where it is gone, or another one by now."""
    key = item["objectKey"]
    try:
        answer = aws.find("s3", "get_object", missing=("NoSuchKey", "404"), Bucket=bucket, Key=key)
        if answer is None:
            raise Problem("picture_gone", f"The picture {key} is not in the bucket any more.")
        if item.get("versionId", answer.get("VersionId")) != answer.get("VersionId"):
            hint = f"See its new result first: imgpipe result --wait {argument(key)}"
            raise Problem("picture_replaced", f"{key} is another picture since this result.", hint=hint)
        with errors_of("s3", "get_object"):
            data: bytes = answer["Body"].read(functions.picture.MAX_BYTES + 1)
    except AwsError as error:
        raise problem(error, f"read {key}") from error
    return data


def is_current(aws: Aws, bucket: str, key: str, version_id: str | None) -> bool:
    """False once another version, or nothing, has taken the place of the one sent; True where that cannot be
    asked."""
    try:
        found = head(aws, bucket, key)
    except AwsError:
        return True
    return version_id is None or (found is not None and found.get("VersionId") == version_id)


def _listed(aws: Aws, bucket: str, key: str) -> dict[str, Any] | None:
    """What the list of versions tells of the current one, in HeadObject's words."""
    first = {"Bucket": bucket, "Prefix": key, "MaxKeys": 1}
    found = aws.find("s3", "list_object_versions", missing=("NoSuchBucket",), **first) or {}
    for version in found.get("Versions", []):
        if version["Key"] == key and version["IsLatest"]:
            return {**version, "ContentLength": version["Size"]}
    return None
