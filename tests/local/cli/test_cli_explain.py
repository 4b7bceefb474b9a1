"""`explain` names the cause and the cure of everything that keeps a result away.

The tutorial's four cases of trouble are the first four tests.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.local.cli.conftest import Pipeline
from tests.support.machine import Machine, jpeg, until

PROJECT = "explained"
INGEST = f"{PROJECT}-ingest"
GET_RESULT = f"{PROJECT}-get-result"
ROLE = f"{PROJECT}-us-east-1-ingest"


@pytest.fixture(scope="module")
def explained(machine: Machine, pipeline: Pipeline) -> Iterator[Pipeline]:
    done = machine.imgpipe("up", "--local", "--project", PROJECT, "--json")
    yield Pipeline(machine, PROJECT, done.json()["data"], done)
    machine.imgpipe("down", "--local", "--project", PROJECT, "--yes")


def send(pipeline: Pipeline, key: str, number: int = 1) -> str:
    """Put a picture into the bucket as any uploader would; its version."""
    s3 = pipeline.machine.client("s3")
    return str(s3.put_object(Bucket=pipeline.bucket, Key=key, Body=jpeg(number))["VersionId"])


def story(pipeline: Pipeline, key: str) -> dict[str, Any]:
    done = pipeline.imgpipe("explain", key, "--json", code=None)
    document = done.json()
    state = document["data"]["verdict"]["state"]
    assert done.code == {"done": 0, "failed": 1, "not_found": 1, "pending": 4}[state]
    assert document["status"] == {0: "done", 1: "failed", 4: "pending"}[done.code]
    assert bool(document["errors"]) == (done.code != 0)
    return dict(document["data"])


def story_when(pipeline: Pipeline, key: str, state: str) -> dict[str, Any]:
    def told() -> dict[str, Any] | None:
        found = story(pipeline, key)
        return found if found["verdict"]["state"] == state else None

    return dict(until(told, what=f"{key} is {state}"))


def story_in_queue(pipeline: Pipeline, key: str) -> dict[str, Any]:
    """The story once no attempt is left and the event is in the failure queue."""

    def told() -> dict[str, Any] | None:
        found = story(pipeline, key)
        return found if found["failureQueue"]["events"] else None

    return dict(until(told, what=f"{key} is in the failure queue"))


def kinds(found: dict[str, Any]) -> list[str]:
    return [moment["kind"] for moment in found["timeline"]]


@contextmanager
def configured(pipeline: Pipeline, function: str, **changes: Any) -> Iterator[None]:
    """A function with another configuration; `up` puts it right at the end."""
    client = pipeline.machine.client("lambda")
    client.update_function_configuration(FunctionName=function, **changes)
    client.get_waiter("function_updated_v2").wait(FunctionName=function)
    try:
        yield
    finally:
        pipeline.imgpipe("up")


def variables(pipeline: Pipeline, function: str, **changes: str) -> dict[str, Any]:
    found = pipeline.machine.client("lambda").get_function_configuration(FunctionName=function)
    return {"Variables": {**found["Environment"]["Variables"], **changes}}


# --- the tutorial's four cases -------------------------------------------------------------------


def test_404_because_of_another_key(explained: Pipeline) -> None:
    send(explained, "holiday/beach.jpg")
    explained.imgpipe("result", "holiday/beach.jpg", "--wait")
    found = story(explained, "beach.jpg")
    assert found["verdict"]["state"] == "not_found"
    assert found["near"][0] == "holiday/beach.jpg"  # what other tests have sent may be near too
    shown = explained.imgpipe("explain", "beach.jpg", code=1)
    assert "There is no picture beach.jpg in the bucket." in shown.out
    assert "Did you mean holiday/beach.jpg" in shown.out


@contextmanager
def silent_service() -> Iterator[str]:
    """A service that takes every connection and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_the_function_runs_out_of_its_time(explained: Pipeline) -> None:
    with silent_service() as url:
        environment = variables(explained, INGEST, AWS_ENDPOINT_URL_REKOGNITION=url)
        with configured(explained, INGEST, Timeout=2, Environment=environment):
            send(explained, "slow.jpg", 3)  # bytes that are not analyzed yet
            found = story_in_queue(explained, "slow.jpg")
            shown = explained.imgpipe("explain", "slow.jpg", code=1).out
    assert found["verdict"]["cause"] == "function_ingest_differs"
    assert found["verdict"]["state"] == "failed"
    assert "Task timed out after 2.00 seconds" in shown
    assert "timeout" in found["verdict"]["why"]
    assert "imgpipe up" in found["verdict"]["advice"]
    again = send(explained, "slow.jpg", 4)
    explained.imgpipe("result", "slow.jpg", "--wait")
    assert story(explained, "slow.jpg")["result"]["versionId"] == again


def test_access_is_denied_because_the_roles_policy_was_narrowed(explained: Pipeline) -> None:
    iam = explained.machine.client("iam")
    document = iam.get_role_policy(RoleName=ROLE, PolicyName="imgpipe")["PolicyDocument"]
    kept = [one for one in document["Statement"] if one["Sid"] != "ReadPictures"]
    narrowed = json.dumps({**document, "Statement": kept})
    iam.put_role_policy(RoleName=ROLE, PolicyName="imgpipe", PolicyDocument=narrowed)
    try:
        send(explained, "denied.jpg")
        found = story_in_queue(explained, "denied.jpg")
        shown = explained.imgpipe("explain", "denied.jpg", code=1).out
    finally:
        explained.imgpipe("up")
    assert found["verdict"]["cause"] == "role_ingest_differs"
    assert "s3:GetObject" in found["verdict"]["why"]
    assert kinds(found).count("received") == 3
    assert kinds(found)[-1] == "queued"
    assert "attempt 3 failed" in shown
    assert "Run imgpipe up, which repairs it, then imgpipe retry denied.jpg." in shown


def test_the_api_answers_500_because_the_functions_table_name_is_wrong(explained: Pipeline) -> None:
    send(explained, "unread.jpg")
    explained.imgpipe("result", "unread.jpg", "--wait")
    explained.machine.finish_events()
    environment = variables(explained, GET_RESULT, TABLE_NAME="no-such-table")
    with configured(explained, GET_RESULT, Environment=environment):
        found = story(explained, "unread.jpg")
        shown = explained.imgpipe("explain", "unread.jpg", code=1).out
    assert found["verdict"]["cause"] == "function_get_result_differs"
    assert "500" in found["verdict"]["why"]
    assert "ended" in kinds(found)  # it was analyzed, only reading fails
    assert "request failed" in shown
    assert "dynamodb:GetItem" in shown
    assert story(explained, "unread.jpg")["verdict"]["state"] == "done"


# --- a picture that is well ----------------------------------------------------------------------


def test_a_pictures_whole_story_is_told_in_order(explained: Pipeline) -> None:
    first = send(explained, "story.jpg")
    explained.imgpipe("result", "story.jpg", "--wait")
    second = send(explained, "story.jpg", 2)
    story_when(explained, "story.jpg", "done")
    explained.machine.finish_events()
    found = story(explained, "story.jpg")
    assert [one["at"] for one in found["timeline"]] == sorted(one["at"] for one in found["timeline"])
    assert [one["versionId"] for one in found["timeline"] if one["kind"] == "uploaded"] == [first, second]
    (ended,) = [one for one in found["timeline"] if one["kind"] == "ended" and one["versionId"] == second]
    assert (ended["ending"], ended["outcome"]) == ("handled", "done")
    (answered,) = [
        one for one in found["timeline"] if one["kind"] == "answered" and one["versionId"] == second
    ]
    assert answered["found"] == {"labels": 0}
    assert found["parts"] == []
    shown = explained.imgpipe("explain", "story.jpg").out
    assert ended["requestId"] in shown
    assert "Rekognition answered: labels 0" in shown
    assert "record handled" in shown
    assert "Done:" in shown


def test_a_picture_that_is_none_is_refused_with_the_reason(explained: Pipeline) -> None:
    explained.machine.client("s3").put_object(Bucket=explained.bucket, Key="notes.txt", Body=b"no picture")
    found = story_when(explained, "notes.txt", "failed")
    assert found["verdict"]["cause"] == found["result"]["error"]["code"]
    assert found["verdict"]["advice"].rstrip(".") == found["result"]["error"]["hint"].rstrip(".")


def test_a_removed_picture_is_said_to_be_removed(explained: Pipeline) -> None:
    send(explained, "gone.jpg")
    explained.imgpipe("result", "gone.jpg", "--wait")
    explained.machine.client("s3").delete_object(Bucket=explained.bucket, Key="gone.jpg")
    found = story(explained, "gone.jpg")
    assert found["verdict"]["cause"] == "removed"
    assert "removed" in kinds(found)


# --- parts that are missing ----------------------------------------------------------------------


def test_without_the_trigger_the_trigger_is_the_cause(explained: Pipeline) -> None:
    s3 = explained.machine.client("s3")
    s3.put_bucket_notification_configuration(Bucket=explained.bucket, NotificationConfiguration={})
    send(explained, "unseen.jpg")
    found = story(explained, "unseen.jpg")
    explained.imgpipe("up")
    assert found["verdict"]["cause"] == "notification_missing"
    assert "imgpipe retry unseen.jpg" in found["verdict"]["advice"]


def test_without_the_function_the_function_is_the_cause(explained: Pipeline) -> None:
    explained.machine.client("lambda").delete_function(FunctionName=INGEST)
    send(explained, "lost.jpg")
    found = story(explained, "lost.jpg")
    explained.imgpipe("up")
    assert found["verdict"]["cause"] == "function_ingest_missing"


def test_without_a_log_group_the_story_is_shorter(explained: Pipeline) -> None:
    send(explained, "unlogged.jpg")
    explained.imgpipe("result", "unlogged.jpg", "--wait")
    explained.machine.finish_events()  # the local cloud makes a log group where there is none
    explained.machine.client("logs").delete_log_group(logGroupName=f"/aws/lambda/{INGEST}")
    found = story(explained, "unlogged.jpg")
    explained.imgpipe("up")
    assert found["verdict"]["state"] == "done"
    assert kinds(found) == ["uploaded", "result"]
    assert [part["name"] for part in found["parts"]] == ["logs.ingest"]


def test_without_the_table_the_table_is_the_cause(explained: Pipeline) -> None:
    explained.machine.client("dynamodb").delete_table(TableName=f"{PROJECT}-results")
    send(explained, "unstored.jpg")
    found = story_when(explained, "unstored.jpg", "failed")
    explained.imgpipe("up")
    assert found["verdict"]["cause"] == "table_missing"


def test_without_the_api_the_api_is_the_cause(explained: Pipeline) -> None:
    send(explained, "unasked.jpg")
    explained.imgpipe("result", "unasked.jpg", "--wait")
    apis = explained.machine.client("apigatewayv2")
    (own,) = [api for api in apis.get_apis()["Items"] if api["Name"] == f"{PROJECT}-api"]
    apis.delete_api(ApiId=own["ApiId"])
    found = story(explained, "unasked.jpg")
    explained.imgpipe("up")
    assert found["verdict"]["cause"] == "api_missing"


def test_what_was_never_set_up_is_no_story(explained: Pipeline) -> None:
    done = explained.machine.imgpipe("explain", "a.jpg", "--local", "--project", "nowhere", code=3)
    assert "not set up" in done.err


def test_looking_into_the_failure_queue_takes_nothing_out(explained: Pipeline, tmp_path: Path) -> None:
    sqs = explained.machine.client("sqs")
    url = sqs.get_queue_url(QueueName=f"{PROJECT}-failed")["QueueUrl"]
    explained.machine.finish_events()  # what fails now would join them
    sqs.purge_queue(QueueUrl=url)
    for number in range(15):
        sqs.send_message(QueueUrl=url, MessageBody=f"not from Lambda {number}")
    send(explained, "queued.jpg")
    for _ in range(2):
        found = story(explained, "queued.jpg")
        assert found["failureQueue"] == {"events": 0, "searched": 15, "waiting": 15, "complete": True}
    sqs.purge_queue(QueueUrl=url)
