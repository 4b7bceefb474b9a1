"""What others added that matters and is not ours to undo: `status` names it, `up` leaves it, `down` tells."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.deploy import observe, plan
from imgpipe_cli.deploy.resource import Context
from imgpipe_cli.deploy.resources.external_access import external_access
from imgpipe_cli.deploy.resources.lambda_retries import Retries
from imgpipe_cli.events import Event, Skipped
from tests.support import cli
from tests.support.account import (
    NAMES,
    REGION,
    SETTINGS,
    RecordingAws,
    down,
    finished,
    fresh_account,
    inventory,
    nothing,
    pipeline,
    up,
)
from tests.support.drift_actions import INDEX, INGEST, ROLE, WEB, Do, api_id, call, each, gateway, queue

TABLE = NAMES.table
EVERYBODY = {"Effect": "Allow", "Principal": "*", "Action": "sqs:ReceiveMessage"}
PUBLIC = json.dumps({"Statement": [{**EVERYBODY, "Sid": "open", "Resource": NAMES.queue_arn}]})


@pytest.fixture(autouse=True)
def account() -> Iterator[None]:
    with fresh_account():
        yield


def policy(effect: str) -> str:
    statement = {"Effect": effect, "Action": "*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def managed(effect: str) -> tuple[Do, str]:
    """Make a policy of their own, and its ARN."""
    make = call("iam", "create_policy", PolicyName="theirs", PolicyDocument=policy(effect))
    return make, f"arn:aws:iam::{NAMES.account}:policy/theirs"


def permit(function: str, principal: str) -> Do:
    return call(
        *("lambda", "add_permission"),
        FunctionName=function,
        StatementId="theirs",
        Action="lambda:InvokeFunction",
        Principal=principal,
    )


def function_url(aws: Aws) -> None:
    client = aws.client("lambda")
    client.create_function_url_config(FunctionName=WEB, AuthType="NONE")
    client.add_permission(
        FunctionName=WEB,
        StatementId="url",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
    )


def whole_items(aws: Aws) -> None:
    """The index of the table made anew, with all that is in it."""
    index: dict[str, Any] = {**INDEX, "Projection": {"ProjectionType": "ALL"}}
    kinds = [{"AttributeName": k, "AttributeType": "S"} for k in ("objectKey", "day", "analyzedAt")]
    for change in ({"Delete": {"IndexName": index["IndexName"]}}, {"Create": index}):
        aws.client("dynamodb").update_table(
            TableName=TABLE, AttributeDefinitions=kinds, GlobalSecondaryIndexUpdates=[change]
        )


BOUNDARY, LIMIT = managed("Deny")
ADMIN, ALL = managed("Allow")
# What they do, and what is then told of which resource.
ADDED: Mapping[str, tuple[Do, str, str]] = {
    "permissions boundary": (
        each(
            BOUNDARY, call("iam", "put_role_permissions_boundary", RoleName=ROLE, PermissionsBoundary=LIMIT)
        ),
        "role.ingest",
        f"role {ROLE} has the permissions boundary {LIMIT}",
    ),
    "inline policy": (
        call("iam", "put_role_policy", RoleName=ROLE, PolicyName="no", PolicyDocument=policy("Deny")),
        "role.ingest",
        f"role {ROLE} has the inline policy no, which imgpipe did not make",
    ),
    "attached policy": (
        each(ADMIN, call("iam", "attach_role_policy", RoleName=ROLE, PolicyArn=ALL)),
        "role.ingest",
        f"role {ROLE} has the policy {ALL}, which imgpipe did not attach",
    ),
    "function for everybody": (
        permit(INGEST, "*"),
        "permission.bucket",
        f"statement theirs lets everybody call function {INGEST}",
    ),
    "function for another account": (
        permit(WEB, "arn:aws:iam::999999999999:root"),
        "permission.api.web",
        f"statement theirs lets arn:aws:iam::999999999999:root call function {WEB}",
    ),
    "public URL of a function": (
        function_url,
        "permission.api.web",
        f"statement url lets everybody call function {WEB}",
    ),
    "queue for everybody": (
        queue("set_queue_attributes", Attributes={"Policy": PUBLIC}),
        "queue",
        f"statement open lets everybody use queue {NAMES.queue}",
    ),
    "index with whole items": (
        whole_items,
        "table",
        f"index by-time of table {TABLE} keeps more than keys (projection ALL)",
    ),
}


def told() -> dict[str, tuple[str, ...]]:
    line = pipeline(RecordingAws())
    snapshot = observe.snapshot(line, nothing)
    return plan.unmanaged_changes(line, snapshot)


def states() -> set[str]:
    line = pipeline(RecordingAws())
    return {state.state for state in plan.states(line, observe.snapshot(line, nothing), SETTINGS)}


@pytest.mark.parametrize(("do", "resource", "sentence"), ADDED.values(), ids=ADDED.keys())
def test_what_others_added_is_told_and_stays(do: Do, resource: str, sentence: str) -> None:
    finished()
    assert told() == {}
    do(RecordingAws())
    assert told() == {resource: (sentence,)}
    assert states() == {"ready"}
    idle = RecordingAws()
    up(idle)
    assert idle.writes == []
    assert told() == {resource: (sentence,)}


def test_an_api_of_ours_under_another_name_is_told_and_stays() -> None:
    empty = inventory()
    finished()
    renamed = api_id(RecordingAws())
    gateway("update_api", Name="theirs")(RecordingAws())
    sentence = (
        f"API theirs ({renamed}) carries this pipeline's tags under another name: "
        f"remove it, or name it {NAMES.api}"
    )
    assert told() == {"api": (sentence,)}
    up(RecordingAws())
    assert told() == {"api": (sentence,)}
    for _ in range(2):  # also when nothing else is there
        events: list[Event] = []
        assert down(RecordingAws(), emit=events.append) == []
        assert [e.what for e in events if isinstance(e, Skipped)] == [sentence]
    (left,) = inventory().keys() - empty.keys()
    assert left.startswith("api theirs")


def test_status_and_down_tell_it_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    imgpipe = cli.runner(capsys)
    where = ("--project", NAMES.project, "--region", REGION)
    finished()
    aws = RecordingAws()
    stray = aws.call("apigatewayv2", "create_api", Name="theirs", ProtocolType="HTTP", Tags=NAMES.tags)
    sentence = f"API theirs ({stray['ApiId']}) carries this pipeline's tags under another name"
    printed = imgpipe("status", *where, "--json")
    parts = {part["name"]: part for step in printed.document["data"]["steps"] for part in step["resources"]}
    assert (printed.code, parts["api"]["state"]) == (0, "ready")
    assert parts["api"]["additions"] == [f"{sentence}: remove it, or name it {NAMES.api}"]
    assert {name for name, part in parts.items() if part["additions"]} == {"api"}
    assert f"Left as it is: {sentence}" in imgpipe("status", *where).out
    assert sentence in imgpipe("down", *where, "--yes").err


@pytest.mark.parametrize(
    ("principal", "condition", "who"),
    [
        ("*", {}, ["everybody"]),
        ({"AWS": "*"}, {}, ["everybody"]),
        ({"AWS": ["999999999999", NAMES.account]}, {}, ["999999999999"]),
        ({"AWS": f"arn:aws:iam::{NAMES.account}:root"}, {}, []),
        ({"Service": "events.amazonaws.com"}, {}, []),
        ("*", {"StringEquals": {"AWS:SourceAccount": NAMES.account}}, []),
        ("*", {"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}, []),
        ("*", {"StringNotEquals": {"aws:SourceAccount": NAMES.account}}, ["everybody"]),
        ("*", {"ArnLike": {"aws:SourceArn": "*"}}, ["everybody"]),
        ("*", {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}}, ["everybody"]),
    ],
)
def test_a_stranger_is_whom_no_condition_binds(principal: Any, condition: Any, who: list[str]) -> None:
    statement = {"Sid": "s", "Effect": "Allow", "Principal": principal, "Condition": condition}
    for statements in (statement, [statement]):
        assert list(external_access({"Statement": statements}, NAMES.account)) == [("s", one) for one in who]
    assert list(external_access({"Statement": [{**statement, "Effect": "Deny"}]}, NAMES.account)) == []


@pytest.mark.parametrize(("attempts", "repairs"), [(2, 0), (0, 1)])
def test_a_repair_of_the_retries_keeps_where_successes_go(attempts: int, repairs: int) -> None:
    """moto keeps the first of these documents for ever, so that what is sent is looked at."""
    finished()
    client, where = RecordingAws().client("lambda"), {"FunctionName": INGEST}
    theirs = {"Destination": f"arn:aws:sqs:{REGION}:{NAMES.account}:theirs"}
    both = {"OnFailure": {"Destination": NAMES.queue_arn}, "OnSuccess": theirs}
    client.delete_function_event_invoke_config(**where)
    client.put_function_event_invoke_config(
        **where, MaximumRetryAttempts=attempts, MaximumEventAgeInSeconds=6 * 3600, DestinationConfig=both
    )
    changes = list(Retries().diff(Context(Retries().observe(RecordingAws(), NAMES), NAMES, SETTINGS)))
    assert len(changes) == repairs
    for change in changes:
        assert change.call.params["MaximumRetryAttempts"] == 2
        assert change.call.params["DestinationConfig"] == both
