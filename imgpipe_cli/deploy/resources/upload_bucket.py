"""The bucket that pictures are uploaded to."""

from __future__ import annotations

from imgpipe_cli.aws.iam.scopes import UPLOADS
from imgpipe_cli.aws.iam.uses import UP, uses
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resources.s3_bucket import ABORT_MULTIPART, S3Bucket

KEPT_DAYS = 30
"""So long the older versions of a picture stay, and those of a removed one."""

_LIFECYCLE = (
    ABORT_MULTIPART,
    {
        "ID": "imgpipe-old-versions",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": KEPT_DAYS},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
    },
)
_CORS = (
    {
        "ID": "imgpipe-page",
        # Any origin: no cookies are involved, and each upload needs a form that the API signed.
        "AllowedOrigins": ["*"],
        "AllowedMethods": ["POST", "GET"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag", "x-amz-version-id"],
        "MaxAgeSeconds": 3600,
    },
)


class Bucket(S3Bucket):
    """Versioned, encrypted, private, TLS only."""

    name = "bucket"
    title = "the upload bucket"
    iam = (*S3Bucket.iam, *uses(UP, UPLOADS, "s3.put_bucket_versioning", "s3.put_bucket_cors"))
    step = "bucket"
    versioned = True
    lifecycle = _LIFECYCLE
    cors = _CORS

    def bucket(self, names: Names) -> str:
        return names.bucket
