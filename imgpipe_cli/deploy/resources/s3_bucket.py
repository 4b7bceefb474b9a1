"""What every bucket of a pipeline has in common: how it is looked at, configured, emptied and removed."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.aws.iam.scopes import BUCKETS, OBJECTS, Scope
from imgpipe_cli.aws.iam.uses import DOWN, LOOK, UP, Op, Use, uses
from imgpipe_cli.aws.names import Names
from imgpipe_cli.aws.not_found import codes_of
from imgpipe_cli.deploy.resource import (
    MISSING,
    Call,
    Change,
    Context,
    Observed,
    Resource,
    Routine,
    TransientError,
)
from imgpipe_cli.deploy.resources.emptying import count_versions, empty_bucket
from imgpipe_cli.deploy.resources.policy_document import statements
from imgpipe_cli.events import Emit

_BLOCK_ALL = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
_ENCRYPTION = "AES256"
_OWNERSHIP = "BucketOwnerEnforced"
ABORT_MULTIPART: Mapping[str, Any] = {
    "ID": "imgpipe-abort-multipart",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},
    # Parts of an upload that never ended are invisible and billed.
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
}
_TLS_ONLY = "DenyPlainHttp"
# HeadBucket of a bucket in another region, where none of ours ever is.
_NOT_OURS = ("301",)
_DENIED = ("403", "AccessDenied")

# A bucket that is seconds old (or was deleted a moment ago) answers these for a while.
_NEW = TransientError("NoSuchBucket", why="the new bucket is not visible everywhere yet")
BUSY = TransientError(
    "OperationAborted", why="S3 is still working on another change of this bucket", limit_s=300
)
# Something was uploaded meanwhile: look and empty again.
_NOT_EMPTY = TransientError("BucketNotEmpty", why="something was uploaded meanwhile")

_NAMESPACE = "whether a bucket in the account's own namespace needs more than other buckets is not known"


def uses_of_removal(commands: tuple[str, ...], buckets: Scope, objects: Scope) -> tuple[Use, ...]:
    """What it takes to empty these buckets and to remove them."""
    # Of a bucket without versions too: the list of its versions names them all "null".
    versions = ("s3:DeleteObjectVersion",)
    return (
        *uses(commands, objects, Op("s3.delete_object", versions), Op("s3.delete_objects", versions)),
        *uses(commands, objects, "s3.abort_multipart_upload"),
        *uses(commands, buckets, "s3.delete_bucket"),
    )


class S3Bucket(Resource):
    """Encrypted, private, ACLs off, TLS only.

    step: the name of the step it is part of, for what is told while it is being emptied.
    """

    iam: ClassVar[tuple[Use, ...]] = (
        *uses(LOOK, BUCKETS, "s3.head_bucket", "s3.get_bucket_tagging", "s3.get_bucket_versioning"),
        *uses(LOOK, BUCKETS, "s3.get_bucket_encryption", "s3.get_public_access_block"),
        *uses(LOOK, BUCKETS, "s3.get_bucket_ownership_controls", "s3.get_bucket_policy"),
        *uses(LOOK, BUCKETS, "s3.get_bucket_lifecycle_configuration", "s3.get_bucket_cors"),
        *uses(LOOK, BUCKETS, "s3.list_object_versions", "s3.list_multipart_uploads"),
        *uses(
            UP,
            BUCKETS,
            Op(
                "s3.create_bucket",
                also=("s3:PutBucketOwnershipControls", "s3:TagResource"),
                unverified=_NAMESPACE,
            ),
        ),
        *uses(UP, BUCKETS, "s3.put_bucket_tagging", "s3.put_bucket_encryption", "s3.put_bucket_policy"),
        *uses(UP, BUCKETS, "s3.put_public_access_block", "s3.put_bucket_ownership_controls"),
        *uses(UP, BUCKETS, "s3.put_bucket_lifecycle_configuration"),
        *uses_of_removal(DOWN, BUCKETS, OBJECTS),
    )
    needs = ("settings",)
    step: str
    versioned: bool
    lifecycle: ClassVar[tuple[Mapping[str, Any], ...]]
    cors: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    parallel = True

    @abstractmethod
    def bucket(self, names: Names) -> str:
        """The bucket's name."""

    def exists(self, aws: Aws, names: Names) -> bool:
        """Whether there is a bucket of that name, ours or not."""
        try:
            return _head(aws, names, self.bucket(names)) is not None
        except AwsError as error:
            if error.code in _NOT_OURS:
                return True
            raise

    def observe(self, aws: Aws, names: Names) -> Observed:
        bucket = self.bucket(names)
        try:
            found = aws.together(_reads(aws, names, bucket))
        except AwsError as error:
            if error.operation == "head_bucket" and error.code in _NOT_OURS:
                return Observed(exists=True, owned=False, detail=f"S3 answers {error.code}")
            raise
        if found.pop("head") is None:
            return MISSING
        found["plain_http"] = aws.endpoint("s3").startswith("http://") and not aws.place.is_local
        # Some endpoints drop the tags of the create call: an empty bucket without any may be ours.
        used = True if found["tags"] else _is_used(aws, bucket)
        if used is None:
            return MISSING  # it went while it was looked at
        return Observed(exists=True, owned=names.owns(found["tags"]), unclaimed=not used, facts=found)

    def diff(self, context: Context) -> Iterator[Change]:
        names = context.names
        bucket = self.bucket(names)
        if not context.observed.exists:
            yield Change("create", f"bucket {bucket}", _create(bucket, names))
            return
        for what, differs, operation, params in self._configuration(context.observed.facts, names):
            if differs:
                call = Call("s3", operation, {"Bucket": bucket, **params}, (_NEW, BUSY))
                yield Change("set", f"{what} of bucket {bucket}", call)

    def _configuration(
        self, facts: Mapping[str, Any], names: Names
    ) -> Iterator[tuple[str, bool, str, dict[str, Any]]]:
        """(what, whether it differs, operation, parameters) of each part of the configuration."""
        yield (
            "tags",
            not names.owns(facts["tags"]),
            "put_bucket_tagging",
            {"Tagging": {"TagSet": _tag_set({**facts["tags"], **names.tags})}},
        )
        # Where ours does without, somebody's own wish for versions stays.
        if self.versioned:
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
        yield _policy(facts, f"arn:{names.partition}:s3:::{self.bucket(names)}")
        rules = _merged(facts["lifecycle"], self.lifecycle)
        yield (
            "lifecycle",
            rules != facts["lifecycle"],
            "put_bucket_lifecycle_configuration",
            {"LifecycleConfiguration": {"Rules": rules}},
        )
        cors = _merged(facts["cors"], self.cors)
        yield ("CORS", cors != facts["cors"], "put_bucket_cors", {"CORSConfiguration": {"CORSRules": cors}})

    def removals(self, context: Context) -> Iterator[Change]:
        bucket = self.bucket(context.names)

        def empty(aws: Aws, emit: Emit) -> None:
            empty_bucket(aws, bucket, emit, step=self.step, resource=self.name)

        operations = (
            "s3.list_object_versions",
            "s3.delete_objects",
            "s3.delete_object",
            "s3.list_multipart_uploads",
            "s3.abort_multipart_upload",
        )
        yield Change("empty", f"bucket {bucket}", Routine("empty_bucket", operations, empty))
        call = Call("s3", "delete_bucket", {"Bucket": bucket}, (_NOT_EMPTY, BUSY))
        yield Change("delete", f"bucket {bucket}", call)

    def contents(self, aws: Aws, names: Names, _seen: Observed) -> Mapping[str, int]:
        return count_versions(aws, self.bucket(names))


def _head(aws: Aws, names: Names, bucket: str) -> Any:
    """The bucket if there is one of that name in our account; raises AwsError for one that is not ours."""
    try:
        return aws.find(
            "s3",
            "head_bucket",
            Bucket=bucket,
            ExpectedBucketOwner=names.account,
        )
    except AwsError as error:
        if error.code not in _DENIED:
            raise
        # Nearly always a missing permission, since the name holds account and region; S3 answers the same for
        # a bucket of another account. HEAD has no text, so this is worded like the others.
        text = f"not authorized to perform: s3:ListBucket on resource: arn:{names.partition}:s3:::{bucket}"
        raise AwsError(
            error.code, text, service=error.service, operation=error.operation, status=error.status
        ) from error


def _is_used(aws: Aws, bucket: str) -> bool | None:
    """Whether anything is in it, or on its way into it; None where there is no such bucket any more."""
    snapshot: tuple[tuple[str, dict[str, Any], tuple[str, ...]], ...] = (
        ("list_object_versions", {"MaxKeys": 1}, ("Versions", "DeleteMarkers")),
        ("list_multipart_uploads", {"MaxUploads": 1}, ("Uploads",)),
    )
    for operation, limit, kinds in snapshot:
        found = aws.find("s3", operation, Bucket=bucket, **limit)
        if found is None:
            return None
        if any(found.get(kind) for kind in kinds):
            return True
    return False


def _reads(aws: Aws, names: Names, bucket: str) -> dict[str, Callable[[], Any]]:
    """Name -> a read of one part of the bucket's configuration, in the form that is compared."""

    def part(operation: str, absent: str, key: str, default: Any = None) -> Any:
        answer = aws.find("s3", operation, missing=(absent, *codes_of("s3")), Bucket=bucket)
        return default if answer is None else answer.get(key, default)

    def tags() -> dict[str, str]:
        pairs = part("get_bucket_tagging", "NoSuchTagSet", "TagSet", [])
        return {pair["Key"]: pair["Value"] for pair in pairs}

    access = "NoSuchPublicAccessBlockConfiguration"
    encryption = "ServerSideEncryptionConfigurationNotFoundError"
    return {
        "head": partial(_head, aws, names, bucket),
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


def _create(bucket: str, names: Names) -> Call:
    configuration: dict[str, Any] = {"Tags": names.tag_list}
    if names.region != "us-east-1":  # the one region that must not be named
        configuration["LocationConstraint"] = names.region
    params = {
        "Bucket": bucket,
        "BucketNamespace": "account-regional",
        "ObjectOwnership": _OWNERSHIP,
        "CreateBucketConfiguration": configuration,
    }
    return Call("s3", "create_bucket", params, (BUSY,))


def _policy(facts: Mapping[str, Any], arn: str) -> tuple[str, bool, str, dict[str, Any]]:
    """TLS only, unless the endpoint itself is plain http: there the statement would lock everyone out."""
    statement = {
        "Sid": _TLS_ONLY,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    empty = {"Version": "2012-10-17", "Statement": []}
    document: dict[str, Any] = json.loads(facts["policy"]) if facts["policy"] else empty
    there = statements(document)
    others = [item for item in there if item.get("Sid") != _TLS_ONLY]
    differs = statement not in there and not facts["plain_http"]
    wanted = {**document, "Statement": [*others, statement]}
    return "policy (TLS only)", differs, "put_bucket_policy", {"Policy": json.dumps(wanted, sort_keys=True)}


def _tag_set(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _merged(found: list[Mapping[str, Any]], owned: tuple[Mapping[str, Any], ...]) -> list[Mapping[str, Any]]:
    """The rules found, each of ours in its place (or at the end): what others added stays."""
    wanted = {rule["ID"]: rule for rule in owned}
    kept = [wanted.pop(rule.get("ID", ""), rule) for rule in found]
    return [*kept, *wanted.values()]
