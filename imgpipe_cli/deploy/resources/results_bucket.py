"""The bucket that holds one JSON object for each picture: a part of step 2."""

from __future__ import annotations

from collections.abc import Mapping

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.iam.scopes import RESULTS, STORED
from imgpipe_cli.aws.iam.uses import UP, UP_AND_DOWN, uses
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resource import MISSING, Observed
from imgpipe_cli.deploy.resources.s3_bucket import ABORT_MULTIPART, S3Bucket, uses_of_removal
from imgpipe_cli.session.settings import Settings

# As lambda_src/shared/result_objects.py has them: by time, and of failed results.
INDEX, FAILED_INDEX = "index/", "fails/"
# The tag of the same.
_TOMBSTONES = {
    "ID": "imgpipe-tombstones",
    "Status": "Enabled",
    "Filter": {"Tag": {"Key": "imgpipe", "Value": "tombstone"}},
    # Longer than any event can be late.
    "Expiration": {"Days": 7},
}


class ResultsBucket(S3Bucket):
    """Encrypted, private, TLS only; without versions.

    A result is written anew only when its picture is, and then the old one is of no use: versions would be
    storage that nobody reads. The conditional writes that keep the order need none.
    """

    name = "results_bucket"
    title = "the results bucket"
    iam = (
        *S3Bucket.iam,
        *uses(UP_AND_DOWN, RESULTS, "s3.list_objects_v2"),
        # `up` removes it once its results are in the table.
        *uses_of_removal(UP, RESULTS, STORED),
    )
    step = "table"
    versioned = False
    lifecycle = (ABORT_MULTIPART, _TOMBSTONES)

    def bucket(self, names: Names) -> str:
        return names.results_bucket

    def wanted(self, settings: Settings) -> bool:
        return "s3" in settings.stores

    def observe(self, aws: Aws, names: Names) -> Observed:
        # Most pipelines have none: one call says so, where the configuration takes eight more.
        return super().observe(aws, names) if self.exists(aws, names) else MISSING

    def contents(self, aws: Aws, names: Names, _seen: Observed) -> Mapping[str, int]:
        """Counted in the index, as with the table: the marks of removed pictures are no results."""
        pages = aws.pages("s3", "list_objects_v2", Bucket=names.results_bucket, Prefix=INDEX)
        return {"results": sum(page.get("KeyCount", 0) for page in pages)}
