"""`status` says how each step stands, and a result that does not come is said to be pending."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.local.cli.conftest import Pipeline
from tests.support.machine import EXAMPLES, Machine, jpeg

PROJECT = "looked-at"
ROLE = f"{PROJECT}-us-east-1-ingest"


@pytest.fixture(scope="module")
def looked_at(machine: Machine, pipeline: Pipeline) -> Iterator[Pipeline]:
    done = machine.imgpipe("up", "--local", "--project", PROJECT, "--json")
    yield Pipeline(machine, PROJECT, done.json()["data"], done)
    machine.imgpipe("down", "--local", "--project", PROJECT, "--yes")


def states(pipeline: Pipeline, *, code: int) -> dict[str, tuple[str, list[str]]]:
    """Resource -> (state, differences) of everything that is not ready."""
    document = pipeline.imgpipe("status", "--json", code=code).json()
    return {
        resource["name"]: (resource["state"], resource["differences"])
        for step in document["data"]["steps"]
        for resource in step["resources"]
        if resource["state"] != "ready"
    }


def repaired(pipeline: Pipeline) -> set[str]:
    """What `up` changed; afterwards everything is ready."""
    changed = set(pipeline.imgpipe("up", "--json").json()["data"]["changed"])
    assert states(pipeline, code=0) == {}
    return changed


def test_a_finished_pipeline_is_ready_in_every_step(looked_at: Pipeline) -> None:
    document = looked_at.imgpipe("status", "--json").json()
    assert [step["state"] for step in document["data"]["steps"]] == ["ready"] * 9
    outputs = document["data"]["outputs"]
    assert outputs["bucket"] == looked_at.bucket
    assert outputs["apiUrl"] == looked_at.outputs["apiUrl"]
    shown = looked_at.imgpipe("status")
    assert shown.out.count("ready") == 9
    for title in ("Upload bucket", "Roles", "Trigger", "HTTP API", looked_at.bucket):
        assert title in shown.out
    assert "local cloud http://127.0.0.1:" in shown.err


def test_what_is_not_there_is_not_set_up(looked_at: Pipeline) -> None:
    machine = looked_at.machine
    nowhere = ("--local", "--project", "nowhere")
    assert "Run imgpipe up" in machine.imgpipe("status", *nowhere, code=3).out
    document = machine.imgpipe("status", *nowhere, "--json", code=3).json()
    assert {step["state"] for step in document["data"]["steps"]} == {"missing"}
    assert document["data"]["outputs"] is None
    for command in (("result", "x.jpg"), ("upload", str(EXAMPLES / "cat.jpg")), ("watch",)):
        done = machine.imgpipe(*command, *nowhere, code=3)
        assert "imgpipe up" in done.err, done.err


def test_what_was_changed_by_hand_is_named_and_mended(looked_at: Pipeline) -> None:
    machine = looked_at.machine
    iam, gateway = machine.client("iam"), machine.client("apigatewayv2")
    machine.client("s3").put_bucket_notification_configuration(
        Bucket=looked_at.bucket, NotificationConfiguration={}
    )
    policy = iam.get_role_policy(RoleName=ROLE, PolicyName="imgpipe")["PolicyDocument"]
    policy["Statement"].append({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    iam.put_role_policy(RoleName=ROLE, PolicyName="imgpipe", PolicyDocument=json.dumps(policy))
    api = looked_at.outputs["apiUrl"].split("/")[-2]
    routes = {route["RouteKey"]: route for route in gateway.get_routes(ApiId=api)["Items"]}
    wrong = {"RouteId": routes["GET /result"]["RouteId"], "Target": routes["GET /results"]["Target"]}
    gateway.update_route(ApiId=api, **wrong)
    gateway.delete_route(ApiId=api, RouteId=routes["GET /image"]["RouteId"])

    found = states(looked_at, code=1)
    assert {name: state for name, (state, _) in found.items()} == {
        "notification": "missing",
        "role.ingest": "drifted",
        "api.routes": "drifted",
    }
    assert found["role.ingest"][1] == [f"set policy of role {ROLE}"]
    assert sorted(found["api.routes"][1]) == ["create route GET /image", "update route GET /result"]
    shown = looked_at.imgpipe("status", code=1).out
    for words in ("missing", "drifted", f"set policy of role {ROLE}", "create route GET /image"):
        assert words in shown
    assert repaired(looked_at) == {"notification", "role.ingest", "api.routes"}


def test_whatever_is_taken_away_comes_back(looked_at: Pipeline) -> None:
    machine, bucket = looked_at.machine, looked_at.bucket
    s3, sqs = machine.client("s3"), machine.client("sqs")
    s3.delete_bucket_cors(Bucket=bucket)
    s3.delete_bucket_policy(Bucket=bucket)
    machine.client("lambda").delete_function(FunctionName=f"{PROJECT}-web")
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=f"{PROJECT}-failed")["QueueUrl"])
    machine.client("logs").delete_log_group(logGroupName=f"/aws/lambda/{PROJECT}-ingest")
    machine.client("ssm").delete_parameter(Name=f"/imgpipe/{PROJECT}/token")
    gone = {"bucket", "function.web", "queue", "logs.ingest", "token"}
    assert gone <= states(looked_at, code=1).keys()
    assert gone <= repaired(looked_at)
    sent = looked_at.imgpipe("upload", EXAMPLES / "astronaut.jpg", "--wait", "--json").lines()
    assert sent[0]["status"] == "done"


def test_what_somebody_else_made_under_our_name_is_not_ours_and_stops_up(
    machine: Machine, pipeline: Pipeline
) -> None:
    dynamodb = machine.client("dynamodb")
    keys: dict[str, Any] = {
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    }
    dynamodb.create_table(TableName="taken-results", BillingMode="PAY_PER_REQUEST", **keys)
    project = ("--local", "--project", "taken")
    up = machine.imgpipe("up", *project, code=1)
    assert "imgpipe did not make" in up.err and "table" in up.err and "--project" in up.err
    document = machine.imgpipe("status", *project, "--json", code=3).json()
    shown = [step["state"] for step in document["data"]["steps"]]
    assert (shown.count("not_owned"), set(shown)) == (1, {"not_owned", "missing"})
    assert "not owned" in machine.imgpipe("status", *project, code=3).out
    machine.imgpipe("down", *project, "--yes")
    assert dynamodb.describe_table(TableName="taken-results")["Table"]["TableStatus"] == "ACTIVE"
    dynamodb.delete_table(TableName="taken-results")


def test_a_picture_without_a_result_is_pending_also_when_an_older_version_has_one(
    looked_at: Pipeline,
) -> None:
    looked_at.imgpipe("upload", EXAMPLES / "cat.jpg", "--wait")
    s3 = looked_at.machine.client("s3")
    s3.put_bucket_notification_configuration(Bucket=looked_at.bucket, NotificationConfiguration={})
    s3.put_object(Bucket=looked_at.bucket, Key="waits.jpg", Body=jpeg(1))
    done = looked_at.imgpipe("result", "waits.jpg", code=4)
    assert "waits.jpg is in the bucket since" in done.err and "no result yet" in done.err
    document = looked_at.imgpipe("result", "waits.jpg", "--wait", "--timeout", "0.3", "--json", code=4).json()
    assert (document["status"], document["errors"][0]["code"]) == ("pending", "pending")
    both = looked_at.imgpipe("result", "waits.jpg", "no-such.jpg", "--json", code=1).json()
    assert [error["code"] for error in both["errors"]] == ["pending", "not_found"]
    sent = looked_at.imgpipe("upload", EXAMPLES / "cat.jpg", "--force", "--wait", "--timeout", "0.3", code=4)
    assert "1 sent, 0 analyzed, 1 pending." in sent.out
    assert "cat.jpg still without a result" in sent.err
    repaired(looked_at)
    sent = looked_at.imgpipe("upload", EXAMPLES / "cat.jpg", "--force", "--wait", "--json")
    assert sent.lines()[0]["status"] == "done"
