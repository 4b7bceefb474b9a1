"""How buckets and tables really behave. In brackets what says so: see behaviours_of_functions.py."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any

from tests.support.account import RecordingAws
from tests.support.behaving_aws import BehavingAccount, Behaviour, Call, Refusal

_PARTS = (
    "BucketTagging",
    "BucketVersioning",
    "BucketEncryption",
    "PublicAccessBlock",
    "BucketOwnershipControls",
    "BucketPolicy",
    "BucketLifecycleConfiguration",
    "BucketCors",
    "BucketNotificationConfiguration",
)
_PUTS = tuple(f"Put{part}" for part in _PARTS)
_GETS = tuple(f"Get{part}" for part in _PARTS)
_ABORTED = Refusal(
    "OperationAborted",
    "A conflicting conditional operation is currently in progress against this resource. Please try again.",
    409,
)

# --- S3 ------------------------------------------------------------------------------------------


class BucketDefaults(Behaviour):
    """A new bucket has the tags of its create call, encryption, and no public access.
    [S3:create-bucket-faq; bc:s3/CreateBucketConfiguration]"""

    def after(self, account: BehavingAccount, call: Call) -> None:
        if call.operation != "CreateBucket":
            return
        s3, bucket = RecordingAws().client("s3"), call.params["Bucket"]
        tags = call.params.get("CreateBucketConfiguration", {}).get("Tags", [])
        s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
        blocks = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(blocks, True))
        account.met[self.name] += 1


class FreshBucket(Behaviour):
    """A new bucket is missing to HeadBucket for a moment, and to what sets or reads its parts for longer.
    [TF:s3/bucket.go, bucket_notification.go]"""

    lag = 4.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        age = account.ago("CreateBucket", Bucket=call.params.get("Bucket"))
        if call.operation == "HeadBucket" and age < self.lag / 2:
            return Refusal("404", "Not Found", 404)
        others = (*_PUTS, *_GETS, "ListObjectVersions")
        if call.operation in others and age < self.lag:
            return Refusal("NoSuchBucket", "The specified bucket does not exist", 404)
        return None


class PartsCollide(Behaviour):
    """Two parts of a bucket set at the same time: one is aborted. [TF:s3/service_package.go]"""

    lag = 0.5

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        bucket = call.params.get("Bucket")
        if call.operation not in _PUTS:
            return None
        return _ABORTED if min(account.ago(put, Bucket=bucket) for put in _PUTS) < self.lag else None


class PartsLag(Behaviour):
    """A bucket's configuration is eventually consistent: reads answer what was before. [S3:Welcome]"""

    lag = 4.0

    def looks_back(self, account: BehavingAccount, call: Call) -> bool:
        if call.operation not in _GETS:
            return False
        return account.ago("Put" + call.operation[3:], Bucket=call.params["Bucket"]) < self.lag


class BucketRecreated(Behaviour):
    """The name of a deleted bucket is busy for a while. [TF:s3/bucket.go; how long: unsourced]"""

    lag = 90.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        bucket = call.params.get("Bucket")
        if call.operation == "CreateBucket" and account.ago("DeleteBucket", Bucket=bucket) < self.lag:
            return _ABORTED
        return None


class DeletedBucketSeen(Behaviour):
    """A deleted bucket is shown for a while. [S3:Welcome]"""

    lag = 5.0

    def looks_back(self, account: BehavingAccount, call: Call) -> bool:
        bucket = call.params.get("Bucket")
        return call.operation == "HeadBucket" and account.ago("DeleteBucket", Bucket=bucket) < self.lag


class BucketNames(Behaviour):
    """S3 checks a bucket's name and place. [S3:bucketnamingrules]"""

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if call.operation != "CreateBucket":
            return None
        name = call.params["Bucket"]
        if not re.fullmatch(r"(?!xn--)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?<!-s3alias)(?<!--ol-s3)", name):
            return Refusal("InvalidBucketName", "The specified bucket is not valid.")
        place = call.params.get("CreateBucketConfiguration", {}).get("LocationConstraint")
        if place != (None if account.region == "us-east-1" else account.region):
            code = (
                "InvalidLocationConstraint" if place == "us-east-1" else "IllegalLocationConstraintException"
            )
            return Refusal(code, "The specified location-constraint is not valid")
        return None


class BucketTaken(Behaviour):
    """Somebody else's account has the name. seen: whether HeadBucket says so. [bc:s3/CreateBucket]"""

    def __init__(self, *, seen: bool) -> None:
        super().__init__()
        self._seen = seen

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if call.operation == "CreateBucket":
            text = (
                "The requested bucket name is not available. The bucket namespace is shared by all users of "
                "the system. Please select a different name and try again."
            )
            return Refusal("BucketAlreadyExists", text, 409)
        if call.operation == "HeadBucket" and self._seen and account.ago("CreateBucket") == float("inf"):
            return Refusal("403", "Forbidden", 403)
        return None


class PermissionNotVisible(Behaviour):
    """S3 checks that it may call the functions of a notification, and knows of new permissions late; a
    function that is gone is refused for ever. [gh:zappa/Zappa#1441]"""

    lag = 10.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        skip = call.params.get("SkipDestinationValidation")
        if call.operation != "PutBucketNotificationConfiguration" or skip:
            return None
        document = call.params["NotificationConfiguration"]
        for rule in document.get("LambdaFunctionConfigurations", []):
            function = rule["LambdaFunctionArn"].rsplit(":", 1)[1]
            where = {"FunctionName": function, "Principal": "s3.amazonaws.com"}
            where["SourceArn"] = f"arn:aws:s3:::{call.params['Bucket']}"
            there = account.is_there("AddPermission", "DeleteFunction", FunctionName=function)
            if not there or not self.lag <= account.ago("AddPermission", **where) < float("inf"):
                text = "Unable to validate the following destination configurations"
                return Refusal("InvalidArgument", text, about=rule["LambdaFunctionArn"])
        return None


class OverlappingRules(Behaviour):
    """Two rules of a notification that meet for the same event are refused.
    [S3:notification-how-to-filtering; text: gh:aws-solutions/aws-waf-security-automations#49]"""

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:  # noqa: ARG002
        if call.operation != "PutBucketNotificationConfiguration":
            return None
        document = call.params["NotificationConfiguration"]
        rules = [rule for kind in document.values() if isinstance(kind, list) for rule in kind]
        for one, other in itertools.combinations(rules, 2):
            if self._share_an_event(one, other) and self._share_a_key(one, other):
                text = (
                    "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if "
                    "the prefixes are overlapping for the same event type."
                )
                return Refusal("InvalidArgument", text)
        return None

    def _share_an_event(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        heads = [{event.rstrip("*") for event in rule["Events"]} for rule in (one, other)]
        return any(a.startswith(b) or b.startswith(a) for a in heads[0] for b in heads[1])

    def _share_a_key(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        def part(rule: Mapping[str, Any], name: str) -> str:
            rules = rule.get("Filter", {}).get("Key", {}).get("FilterRules", [])
            return next((str(r["Value"]) for r in rules if r["Name"].lower() == name), "")

        starts = [part(rule, "prefix") for rule in (one, other)]
        ends = [part(rule, "suffix")[::-1] for rule in (one, other)]
        return all(a.startswith(b) or b.startswith(a) for a, b in (starts, ends))


# --- DynamoDB ------------------------------------------------------------------------------------


class TableCreating(Behaviour):
    """A new table is CREATING, and takes no change meanwhile. [bc:dynamodb/CreateTable]"""

    lag = 20.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if call.operation in ("DeleteTable", "UpdateTable", "UpdateTimeToLive") and self._new(account, call):
            text = (
                f"Attempt to change a resource which is still in use: Table is being created: {_table(call)}"
            )
            return Refusal("ResourceInUseException", text)
        return None

    def alter(self, account: BehavingAccount, call: Call, answer: dict[str, Any]) -> bool:
        new = call.operation == "DescribeTable" and self._new(account, call)
        if new:
            answer["Table"]["TableStatus"] = "CREATING"
            for index in answer["Table"].get("GlobalSecondaryIndexes", []):
                index["IndexStatus"] = "CREATING"
        return new

    def _new(self, account: BehavingAccount, call: Call) -> bool:
        table = {"TableName": _table(call)}
        there = account.is_there("CreateTable", "DeleteTable", **table)
        return there and account.ago("CreateTable", **table) < self.lag


class TableDeleting(Behaviour):
    """A deleted table is DELETING for a while, and its name not free. [bc:dynamodb/DeleteTable]"""

    lag = 20.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if call.operation == "CreateTable" and self._deleting(account, call):
            text = (
                f"Attempt to change a resource which is still in use: Table is being deleted: {_table(call)}"
            )
            return Refusal("ResourceInUseException", text)
        return None

    def looks_back(self, account: BehavingAccount, call: Call) -> bool:
        return call.operation == "DescribeTable" and self._deleting(account, call)

    def alter(self, account: BehavingAccount, call: Call, answer: dict[str, Any]) -> bool:
        deleting = self.looks_back(account, call)
        if deleting:
            answer["Table"]["TableStatus"] = "DELETING"
        return deleting

    def _deleting(self, account: BehavingAccount, call: Call) -> bool:
        return account.ago("DeleteTable", TableName=_table(call)) < self.lag


class TableUpdating(Behaviour):
    """Time to live puts the table into UPDATING, is ENABLING for an hour, and takes no second change in that
    time. [DD:time-to-live-ttl-before-you-start; TF:dynamodb/table.go]"""

    lag = 6.0
    settling = 3600.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        if call.operation in ("DeleteTable", "UpdateTable") and self._ago(account, call) < self.lag:
            text = (
                f"Attempt to change a resource which is still in use: Table is being updated: {_table(call)}"
            )
            return Refusal("ResourceInUseException", text)
        if call.operation == "UpdateTimeToLive" and self._ago(account, call) < self.settling:
            text = "Time to live has been modified multiple times within a fixed interval"
            return Refusal("ValidationException", text)
        return None

    def alter(self, account: BehavingAccount, call: Call, answer: dict[str, Any]) -> bool:
        if call.operation == "DescribeTable" and self._ago(account, call) < self.lag:
            answer["Table"]["TableStatus"] = "UPDATING"
            return True
        if call.operation == "DescribeTimeToLive" and self._ago(account, call) < self.settling:
            answer["TimeToLiveDescription"]["TimeToLiveStatus"] = "ENABLING"
            return True
        return False

    def _ago(self, account: BehavingAccount, call: Call) -> float:
        table = {"TableName": _table(call)}
        there = account.is_there("UpdateTimeToLive", "DeleteTable", **table)
        return account.ago("UpdateTimeToLive", **table) if there else float("inf")


class IndexBuilding(Behaviour):
    """An index added to a table is CREATING while it is filled: nobody may read it, and no other index may be
    added. [DD:GSI.OnlineOps; bc:dynamodb/UpdateTable]"""

    lag = 30.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        building = self._building(account, call)
        if building is None:
            return None
        if call.operation in ("Query", "Scan") and call.params.get("IndexName") == building:
            text = f"Cannot read from backfilling global secondary index: {building}"
            return Refusal("ValidationException", text)
        if call.operation == "UpdateTable":
            text = "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously"
            return Refusal("LimitExceededException", text)
        return None

    def alter(self, account: BehavingAccount, call: Call, answer: dict[str, Any]) -> bool:
        building = self._building(account, call) if call.operation == "DescribeTable" else None
        for index in answer.get("Table", {}).get("GlobalSecondaryIndexes", []) if building else []:
            if index["IndexName"] == building:
                index |= {"IndexStatus": "CREATING", "Backfilling": True}
        return building is not None

    def _building(self, account: BehavingAccount, call: Call) -> str | None:
        last = account.last("UpdateTable", TableName=_table(call))
        if last is None or account.clock() - last.at >= self.lag:
            return None
        updates = last.params.get("GlobalSecondaryIndexUpdates", [])
        return next((str(one["Create"]["IndexName"]) for one in updates if "Create" in one), None)


def _table(call: Call) -> str:
    return str(call.params.get("TableName"))
