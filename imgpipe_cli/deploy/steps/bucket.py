"""The bucket that pictures are uploaded to."""

from __future__ import annotations

from imgpipe_cli.deploy.resource import Step
from imgpipe_cli.deploy.resources.upload_bucket import Bucket

STEP = Step("bucket", "Upload bucket", (Bucket(),))
