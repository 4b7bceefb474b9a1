"""Every picture put into the bucket, or removed from it, calls the ingest function."""

from __future__ import annotations

from imgpipe_cli.deploy.resource import Step
from imgpipe_cli.deploy.resources.bucket_notification import Notification
from imgpipe_cli.deploy.resources.lambda_permission import Permission

STEP = Step(
    "trigger",
    "Trigger",
    (
        Permission(
            "permission.bucket",
            "the bucket's permission to call the ingest function",
            "ingest",
            service="s3.amazonaws.com",
            # A bucket's ARN has no account: the permission names the account as well, so that nobody
            # else's bucket of the same name can call the function.
            source_arn=lambda _aws, names: names.bucket_arn,
            source_account=True,
        ),
        Notification(),
    ),
)
