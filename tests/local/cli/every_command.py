"""The whole use of imgpipe by one operator: every command and every repair, so every call that they send."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from imgpipe_cli.aws import object_deletes
from imgpipe_cli.aws.client import Aws, AwsError, Place
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy import ingest_cap
from imgpipe_cli.deploy.resource import ConflictError
from imgpipe_cli.deploy.resources.emptying import empty_bucket
from imgpipe_cli.deploy.resources.settings_parameter import Overwrite
from imgpipe_cli.deploy.results import store
from imgpipe_cli.pictures.sending.unchanged import Listing, asked
from imgpipe_cli.pictures.stored_picture import is_current
from imgpipe_cli.session.settings import Settings
from tests.local.cli import drift
from tests.local.cli.operator_user import Operator
from tests.support import account
from tests.support.machine import EXAMPLES, Machine, jpeg, until

CAT = str(EXAMPLES / "cat.jpg")
PUT = ("s3", "put_object")
# They read over the API.
READING = (
    ("result", "cat.jpg"),
    ("list",),
    ("find", "cat"),
    ("labels",),
    ("cost",),
    ("open", "--print"),
)


def use(operator: Operator, machine: Machine) -> None:
    """From nothing to nothing. Fails where a command does not end as it should."""
    _set_up(operator, machine)
    _use(operator, machine)
    _move_to_bucket(operator, machine)
    _move_to_table(operator, machine)
    _ask_for_limits(operator, machine)
    _take_down(operator, machine)
    _use_another_s3(operator)


def _set_up(operator: Operator, machine: Machine) -> None:
    names = operator.names
    operator.run("up", "--no-models", "--yes")
    drift.of_new_bucket(machine, names.bucket)
    drift.of_table(machine, names)
    for function in ("ingest", "web"):
        drift.of_function(machine, names, function)
    drift.of_the_rest(machine, names)
    drift.of_api(machine, names)
    operator.run("status", code=1)
    # A bucket without tags is looked into, by all that look at it.
    operator.run("explain", "dog.jpg", code=1)
    operator.run("up", "--no-models", "--features", "labels,text")
    assert "Nothing had to be changed" in operator.run("up", "--no-models").out


def _use(operator: Operator, machine: Machine) -> None:
    operator.forget()
    operator.run("upload", CAT, CAT, "--wait", code=2)
    operator.run("upload", CAT, "--wait")
    operator.run("upload", CAT)
    for line in READING:
        operator.forget()
        operator.run(*line)
    operator.run("result", "dog.jpg", code=1)
    _hand_out(operator, machine)
    _watch(operator, machine)
    _fail_once(operator, machine)
    operator.run("explain", "cat.jpg")
    operator.run("explain", "dog.jpg", code=1)
    operator.forget()
    operator.run("retry", "dog.jpg", code=1)
    operator.run("retry", "failed.jpg", "--yes")
    # What was sent may be removed while its result is waited for.
    aws = _aws(operator, machine)
    assert not operator.during("upload", lambda: is_current(aws, operator.names.bucket, "dog.jpg", "1"))
    operator.run("logs", "--since", "1h")
    operator.run("status")
    operator.forget()
    operator.run("token")
    # On a private pipeline get_result checks the token too.
    operator.run("up", "--no-models", "--private")
    drift.of_function(machine, operator.names, "get_result")
    operator.run("token", "--rotate")
    operator.run("up", "--no-models", "--public")


def _hand_out(operator: Operator, machine: Machine) -> None:
    """To other tools, and away."""
    pictures = operator.state / "pictures"
    pictures.mkdir()
    shutil.copy(CAT, pictures)
    operator.run("result", "cat.jpg", "--annotate", str(operator.state / "drawn.jpg"))
    operator.forget()
    assert "cat.jpg,done" in operator.run("export", "--to", "csv").out
    assert "not on this machine" not in operator.run("export", "--to", "xmp", "--map", f"={pictures}").out
    for key in ("one.jpg", "two.jpg"):
        operator.run("upload", CAT, "--key", key)
    operator.run("rm", "one.jpg")
    operator.run("rm", "[ot]*.jpg", "--purge", "--yes")
    # Keys that XML cannot hold go so; the local cloud cannot list them.
    aws, bucket = _aws(operator, machine), operator.names.bucket
    for version in ({}, {"VersionId": "null"}):
        operator.during("rm", partial(object_deletes._delete_alone, aws, bucket, {"Key": "odd", **version}))
    until(lambda: "one.jpg" not in operator.run("list").out, what="the results of removed pictures are gone")


def _watch(operator: Operator, machine: Machine) -> None:
    """A picture that was in the folder before is sent; then Ctrl-C."""
    folder = operator.state / "watched"
    folder.mkdir()
    (folder / "new.jpg").write_bytes(jpeg(7))
    operator.forget()
    operator.run("watch", str(folder), "--existing", code=130, until=PUT)
    # What is there already is asked for one by one, and listed where the pictures are many.
    aws, bucket = _aws(operator, machine), operator.names.bucket
    operator.during("watch", lambda: asked(aws, bucket, "dog.jpg"))
    operator.during("watch", lambda: Listing(aws, bucket).at("dog.jpg"))


def _fail_once(operator: Operator, machine: Machine) -> None:
    """A picture whose every try failed, since somebody took a right from the function."""
    names, iam, sqs = operator.names, machine.client("iam"), machine.client("sqs")
    role = {"RoleName": names.role("ingest"), "PolicyName": "imgpipe"}
    policy = iam.get_role_policy(**role)["PolicyDocument"]
    less = [one for one in policy["Statement"] if one["Sid"] != "AnalyzePictures"]
    iam.put_role_policy(**role, PolicyDocument=json.dumps({**policy, "Statement": less}))
    # Other bytes than those of pictures before: the analysis of the same ones would be reused.
    failing = operator.state / "failed.jpg"
    failing.write_bytes(jpeg(8))
    operator.run("upload", str(failing), "--wait", code=1)
    url = sqs.get_queue_url(QueueName=names.queue)["QueueUrl"]

    def waiting() -> bool:
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        return bool(found["Attributes"]["ApproximateNumberOfMessages"] != "0")

    until(waiting, what="the event is in the failure queue")
    operator.run("up", "--no-models")


def _move_to_bucket(operator: Operator, machine: Machine) -> None:
    """A mark of a removed picture goes along."""
    names, dynamodb = operator.names, machine.client("dynamodb")
    operator.run("upload", CAT, "--key", "gone.jpg", "--wait")
    machine.client("s3").delete_object(Bucket=names.bucket, Key="gone.jpg")

    def marked() -> bool:
        found = dynamodb.scan(TableName=names.table)["Items"]
        return any(item["status"]["S"] == "removed" for item in found)

    until(marked, what="the removed picture is marked")
    operator.run("up", "--no-models", "--results", "s3", "--dry-run")
    operator.run("up", "--no-models", "--results", "s3", "--yes")
    s3 = machine.client("s3")
    entry, *_ = s3.list_objects_v2(Bucket=names.results_bucket, Prefix="index/")["Contents"]
    s3.delete_object(Bucket=names.results_bucket, Key=entry["Key"])
    s3.put_object(Bucket=names.results_bucket, Key=_left_over(entry["Key"]), Body=b"")
    # A row by which the picture is found is gone, and there is one of a picture that is.
    (lost,) = [row for row in _rows(machine, names) if row["pk"]["S"] == "name#cat"]
    place = {name: lost[name] for name in ("pk", "sk")}
    dynamodb.delete_item(TableName=names.index_table, Key=place)
    over = {**lost, "pk": {"S": "name#gone"}, "at": {"N": "1"}}
    dynamodb.put_item(TableName=names.index_table, Item=over)
    operator.run("up", "--no-models", "--repair-index")
    assert lost in _rows(machine, names) and over not in _rows(machine, names)
    assert [
        one["Key"] for one in s3.list_objects_v2(Bucket=names.results_bucket, Prefix="index/")["Contents"]
    ]


def _rows(machine: Machine, names: Names) -> list[Any]:
    return list(machine.client("dynamodb").scan(TableName=names.index_table)["Items"])


def _left_over(entry: str) -> str:
    """An entry of the index that has no result, and is old enough not to be one that is just coming."""
    from imgpipe_cli.lambdas.source import result_objects as rules

    found = rules.parse_index(entry)
    assert found
    return rules.index_object("2026-01-01T00:00:00.000Z", found[1])


def _move_to_table(operator: Operator, machine: Machine) -> None:
    """An upload into the results bucket that never ended goes with it."""
    names = operator.names
    machine.client("s3").create_multipart_upload(Bucket=names.results_bucket, Key="never-ended")
    operator.run("up", "--no-models", "--results", "table", "--yes")
    # When the pipeline writes a result just while it is copied, the copy looks again.
    table = store.store("table", _aws(operator, machine), names)
    (item,) = [one for one in table.items({}) if one["objectKey"] == "cat.jpg"]
    assert not operator.during("up", lambda: table.put(item, absent=False))


def _aws(operator: Operator, machine: Machine) -> Aws:
    """The door to the local cloud for what is tried without the command line."""
    place = Place(
        region=operator.names.region,
        endpoint=machine.cloud().endpoint,
        access_key_id=operator.key["AccessKeyId"],
        secret_access_key=operator.key["SecretAccessKey"],
    )
    return Aws(place)


def _overwrite_what_is_gone(operator: Operator, machine: Machine) -> None:
    """Another run removes a parameter just before its new value is written."""
    names, aws = operator.names, _aws(operator, machine)
    for command, name in (("up", names.settings_parameter), ("token", names.token_parameter)):
        params = {"Name": name, "Type": "SecureString", "Value": "new", "Overwrite": True}
        overwrite = Overwrite("ssm", "put_parameter", params, tags=names.tag_list)
        with pytest.raises(ConflictError):
            operator.during(command, partial(overwrite.run, aws, account.nothing))
        machine.client("ssm").delete_parameter(Name=name)


def _ask_for_limits(operator: Operator, machine: Machine) -> None:
    """What `up` asks AWS, and AWS alone: the local cloud knows neither quotas nor limits to users."""
    aws, unknown = _aws(operator, machine), Settings(capped=False)
    found = operator.during("up", lambda: ingest_cap.determined(aws, unknown))
    assert found == replace(unknown, tps_from="quota")
    for listing in ("list_service_quotas", "list_aws_default_service_quotas"):
        with pytest.raises(AwsError):
            operator.during("up", partial(aws.call, "service-quotas", listing, ServiceCode="rekognition"))


def _take_down(operator: Operator, machine: Machine) -> None:
    names, iam, s3 = operator.names, machine.client("iam"), machine.client("s3")
    statement = {"Effect": "Deny", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    arn = iam.create_policy(PolicyName=f"of-others-{names.project}", PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=names.role("web"), PolicyArn=arn)
    s3.create_multipart_upload(Bucket=names.bucket, Key="never-ended")
    operator.run("down", "--yes")
    iam.delete_policy(PolicyArn=arn)
    operator.run("status", code=3)
    _overwrite_what_is_gone(operator, machine)
    # Once more, with the other store; its new bucket is repaired too.
    operator.run("up", "--no-models", "--yes", "--results", "s3")
    drift.of_new_bucket(machine, names.results_bucket)
    operator.run("up", "--no-models")
    operator.run("down", "--yes")


class _OddKey(account.PlainHttpAws):
    """Lists a key that XML cannot hold: AWS takes such keys, moto and the local cloud cannot list them."""

    def pages(self, service: str, operation: str, **params: Any) -> Iterator[dict[str, Any]]:
        if operation == "list_object_versions":
            yield {"Versions": [{"Key": "a\x01b", "VersionId": "null"}]}
        else:
            yield from super().pages(service, operation, **params)


def _use_another_s3(operator: Operator) -> None:
    """moto's buckets begin without encryption."""
    with account.fresh_account():
        operator.during("up", lambda: account.up(account.PlainHttpAws()))
        bucket = account.NAMES.bucket
        operator.during(
            "down", lambda: empty_bucket(_OddKey(), bucket, account.nothing, step="", resource="")
        )
