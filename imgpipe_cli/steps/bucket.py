"""Step 1: the bucket that pictures are uploaded to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from imgpipe_cli.aws import Aws, AwsError
from imgpipe_cli.events import Emit
from imgpipe_cli.names import Names
from imgpipe_cli.settings import Settings
from imgpipe_cli.steps.base import MISSING, Call, Change, Passing, Resource, Routine, Seen, Step
from imgpipe_cli.steps.emptying import count_versions, empty_bucket

_BLOCK_ALL = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
_ENCRYPTION = "AES256"
_OWNERSHIP = "BucketOwnerEnforced"
_LIFECYCLE = (
    {
        "ID": "imgpipe-abort-multipart",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        # Parts of an upload that never ended are invisible and billed.
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    },
    {
        "ID": "imgpipe-old-versions",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
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
_TLS_ONLY = "DenyPlainHttp"

# A bucket that is seconds old (or was deleted a moment ago) answers these for a while.
_FRESH = (
    Passing("NoSuchBucket", why="the new bucket is not visible everywhere yet"),
    Passing("OperationAborted", why="S3 is still working on another change of this bucket", limit_s=300),
)


class Bucket(Resource):
    """Versioned, encrypted, private, TLS only."""

    name = "bucket"
    needs = ("settings",)
    side_by_side = True  # S3 may say that another change is under way: that passes

    def observe(self, aws: Aws, names: Names) -> Seen:
        try:
            found = aws.together(_reads(aws, names))
        except AwsError as error:
            # The name is ours by account and region, so a bucket that we may not see is foreign.
            if error.operation == "head_bucket" and error.code in ("403", "301", "AccessDenied"):
                return Seen(exists=True, owned=False, detail=f"S3 answers {error.code}")
            raise
        if found.pop("head") is None:
            return MISSING
        found["plain_http"] = aws.endpoint("s3").startswith("http://") and not aws.place.is_local
        owned = names.owns(found["tags"])
        if not owned and not found["tags"]:
            # Some endpoints drop the tags of the create call: an empty bucket with this name is ours.
            owned = not aws.call("s3", "list_object_versions", Bucket=names.bucket, MaxKeys=1).keys() & {
                "Versions",
                "DeleteMarkers",
            }
        return Seen(exists=True, owned=owned, facts=found)

    def changes(self, seen: Seen, names: Names, settings: Settings) -> Iterator[Change]:  # noqa: ARG002
        if not seen.exists:
            yield Change("create", f"bucket {names.bucket}", _create(names))
            return
        for what, differs, operation, params in _configuration(seen.facts, names):
            if differs:
                call = Call("s3", operation, {"Bucket": names.bucket, **params}, passing=_FRESH)
                yield Change("set", f"{what} of bucket {names.bucket}", call)

    def removals(self, seen: Seen, names: Names) -> Iterator[Change]:  # noqa: ARG002
        def empty(aws: Aws, emit: Emit) -> None:
            empty_bucket(aws, names.bucket, emit, step=STEP.name, resource=self.name)

        operations = ("list_object_versions", "delete_objects", "abort_multipart_upload")
        yield Change("empty", f"bucket {names.bucket}", Routine("empty_bucket", operations, empty))
        # Something was uploaded meanwhile: look and empty again.
        late = (Passing("BucketNotEmpty", why="something was uploaded meanwhile"), *_FRESH[1:])
        call = Call("s3", "delete_bucket", {"Bucket": names.bucket}, passing=late)
        yield Change("delete", f"bucket {names.bucket}", call)

    def contents(self, aws: Aws, names: Names, seen: Seen) -> Mapping[str, int]:  # noqa: ARG002
        return count_versions(aws, names.bucket)


def _reads(aws: Aws, names: Names) -> dict[str, Callable[[], Any]]:
    """Name -> a read of one part of the bucket's configuration, in the form that is compared."""

    def part(operation: str, absent: str, key: str, default: Any = None) -> Any:
        answer = aws.find("s3", operation, missing=(absent, "NoSuchBucket"), Bucket=names.bucket)
        return default if answer is None else answer.get(key, default)

    def head() -> Any:
        return aws.find(
            "s3",
            "head_bucket",
            missing=("404", "NoSuchBucket"),
            Bucket=names.bucket,
            ExpectedBucketOwner=names.account,
        )

    def tags() -> dict[str, str]:
        pairs = part("get_bucket_tagging", "NoSuchTagSet", "TagSet", [])
        return {pair["Key"]: pair["Value"] for pair in pairs}

    access = "NoSuchPublicAccessBlockConfiguration"
    encryption = "ServerSideEncryptionConfigurationNotFoundError"
    return {
        "head": head,
        "tags": tags,
        "versioning": partial(part, "get_bucket_versioning", "", "Status"),
        "encryption": partial(part, "get_bucket_encryption", encryption, "ServerSideEncryptionConfiguration"),
        "access": partial(part, "get_public_access_block", access, "PublicAccessBlockConfiguration"),
        "ownership": partial(
            part, "get_bucket_ownership_controls", "OwnershipControlsNotFoundError", "OwnershipControls"
        ),
        "policy": partial(part, "get_bucket_policy", "NoSuchBucketPolicy", "Policy"),
        "lifecycle": partial(
            part, "get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration", "Rules", []
        ),
        "cors": partial(part, "get_bucket_cors", "NoSuchCORSConfiguration", "CORSRules", []),
    }


def _create(names: Names) -> Call:
    configuration: dict[str, Any] = {"Tags": names.tag_list}
    if names.region != "us-east-1":  # the one region that must not be named
        configuration["LocationConstraint"] = names.region
    params = {
        "Bucket": names.bucket,
        "BucketNamespace": "account-regional",
        "ObjectOwnership": _OWNERSHIP,
        "CreateBucketConfiguration": configuration,
    }
    return Call("s3", "create_bucket", params, passing=_FRESH[1:])


def _configuration(facts: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool, str, dict[str, Any]]]:
    """(what, whether it differs, operation, parameters) of each part of the configuration."""
    yield (
        "tags",
        not names.owns(facts["tags"]),
        "put_bucket_tagging",
        {"Tagging": {"TagSet": _tag_set({**facts["tags"], **names.tags})}},
    )
    yield (
        "versioning",
        facts["versioning"] != "Enabled",
        "put_bucket_versioning",
        {"VersioningConfiguration": {"Status": "Enabled"}},
    )
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": _ENCRYPTION}}
    yield (
        "encryption",
        # An account's own choice of a KMS key is encryption too, and stays.
        not facts["encryption"],
        "put_bucket_encryption",
        {"ServerSideEncryptionConfiguration": {"Rules": [rule]}},
    )
    yield (
        "public access block",
        facts["access"] != _BLOCK_ALL,
        "put_public_access_block",
        {"PublicAccessBlockConfiguration": _BLOCK_ALL},
    )
    controls = {"Rules": [{"ObjectOwnership": _OWNERSHIP}]}
    yield (
        "ownership (ACLs off)",
        facts["ownership"] != controls,
        "put_bucket_ownership_controls",
        {"OwnershipControls": controls},
    )
    yield _policy(facts, names)
    rules = _merged(facts["lifecycle"], _LIFECYCLE)
    yield (
        "lifecycle",
        rules != facts["lifecycle"],
        "put_bucket_lifecycle_configuration",
        {"LifecycleConfiguration": {"Rules": rules}},
    )
    cors = _merged(facts["cors"], _CORS)
    yield ("CORS", cors != facts["cors"], "put_bucket_cors", {"CORSConfiguration": {"CORSRules": cors}})


def _policy(facts: Mapping[str, Any], names: Names) -> tuple[str, bool, str, dict[str, Any]]:
    """TLS only, unless the endpoint itself is plain http: there the statement would lock everyone out."""
    statement = {
        "Sid": _TLS_ONLY,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [names.bucket_arn, f"{names.bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    empty = {"Version": "2012-10-17", "Statement": []}
    document: dict[str, Any] = json.loads(facts["policy"]) if facts["policy"] else empty
    statements: list[dict[str, Any]] = document["Statement"]
    others = [item for item in statements if item.get("Sid") != _TLS_ONLY]
    differs = statement not in statements and not facts["plain_http"]
    wanted = {**document, "Statement": [*others, statement]}
    return "policy (TLS only)", differs, "put_bucket_policy", {"Policy": json.dumps(wanted, sort_keys=True)}


def _tag_set(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _merged(found: list[dict[str, Any]], ours: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    """The rules found, each of ours in its place (or at the end): what others added stays."""
    wanted = {rule["ID"]: rule for rule in ours}
    kept = [wanted.pop(rule.get("ID", ""), rule) for rule in found]
    return [*kept, *wanted.values()]


STEP = Step("bucket", "Upload bucket", (Bucket(),))
