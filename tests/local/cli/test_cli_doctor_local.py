"""`imgpipe doctor` and the local cloud: healthy, stopped, killed, broken; and as an endpoint of one's own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from imgpipe_cli.aws.names import Names
from imgpipe_cli.local.files import LocalFiles
from imgpipe_cli.local.process import control
from tests.support.machine import Done, Machine, client, machine_in, until

NAMES = Names("ill", "000000000000", "us-east-1")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine of this module's own, since its cloud is stopped, killed and broken."""
    with machine_in(tmp_path_factory.mktemp("doctor")) as found:
        found.imgpipe("up", "--local", "--project", "ill", "--no-models", "--json")
        found.imgpipe("local", "stop")  # so that all of it is saved before anything is killed
        yield found


@pytest.fixture
def patient(own: Machine) -> Machine:
    """With its cloud running, whatever the test before did to it."""
    own.imgpipe("local", "start")
    return own


def checks(done: Done) -> dict[str, Any]:
    return {check["id"]: check for check in done.json()["data"]["checks"]}


def examined(machine: Machine, *, code: int = 0) -> dict[str, Any]:
    return checks(machine.imgpipe("doctor", "--json", code=code))


def test_a_healthy_local_cloud_and_its_pipeline(patient: Machine) -> None:
    done = patient.imgpipe("doctor", "--json")
    found = checks(done)
    assert {check["verdict"] for check in found.values()} == {"ok"}
    assert patient.cloud().endpoint in found["local_cloud"]["seen"]
    assert found["pipeline"]["seen"] == "ill answers; its failure queue is empty"
    # Nothing of AWS is asked, and no credentials are looked for.
    assert not found.keys() & {"credentials", "identity", "network", "concurrency", "permissions"}
    assert patient.cloud().secret_access_key not in done.out
    assert "project ill · local cloud" in done.err


def test_a_stopped_one_is_no_failure_and_the_way_to_start_it_is_told(patient: Machine) -> None:
    patient.imgpipe("local", "stop")
    found = examined(patient)
    assert (found["local_cloud"]["verdict"], found["local_cloud"]["seen"]) == (
        "ok",
        "not running (imgpipe local start)",
    )
    assert found["pipeline"]["verdict"] == "not_checked"


def test_a_killed_one_is_told_from_a_stopped_one(patient: Machine) -> None:
    cloud = patient.cloud()
    os.kill(cloud.pid, signal.SIGKILL)
    until(lambda: control.condition(patient.state) == "ended", what="the cloud is gone")
    found = examined(patient)["local_cloud"]
    assert (found["verdict"], found["fix"]) == ("warning", "imgpipe local start")
    patient.imgpipe("local", "start")
    assert examined(patient)["local_cloud"]["verdict"] == "ok"


def test_one_that_does_not_answer_fails_with_the_way_to_restart_it(patient: Machine) -> None:
    files = LocalFiles(patient.state / "local")
    written = files.cloud.read_text()
    try:
        # Nobody finds it any more, and its process goes on holding the lock.
        files.cloud.write_text("{")
        done = patient.imgpipe("doctor", "--json", code=1)
    finally:
        files.cloud.write_text(written)
    assert [error["code"] for error in done.json()["errors"]] == ["local_cloud"]
    assert checks(done)["local_cloud"]["fix"] == "imgpipe local stop, then imgpipe local start"


def test_failed_events_are_counted(patient: Machine) -> None:
    queues = patient.client("sqs")
    url = queues.get_queue_url(QueueName=NAMES.queue)["QueueUrl"]
    queues.send_message(QueueUrl=url, MessageBody="{}")
    try:
        found = examined(patient)["pipeline"]
    finally:
        queues.purge_queue(QueueUrl=url)
    assert (found["verdict"], found["seen"]) == ("warning", "ill answers; about 1 in its failure queue")


def test_an_api_that_is_gone_fails(patient: Machine) -> None:
    functions = patient.client("lambda")
    with contextlib.suppress(
        functions.exceptions.ResourceNotFoundException
    ):  # the SDK may have sent it twice
        functions.delete_function(FunctionName=NAMES.function("get_result"))
    found = examined(patient, code=1)["pipeline"]
    assert "its API does not answer" in found["seen"]
    patient.imgpipe("up", "--local", "--project", "ill", "--no-models")
    assert examined(patient)["pipeline"]["verdict"] == "ok"


# --- as an endpoint of one's own, with IAM's real evaluation of policies -----------------------------


def _user(machine: Machine, name: str, actions: list[str]) -> dict[str, str]:
    """The environment of a new user who may do this and nothing else."""
    cloud = machine.cloud()
    iam = client("iam", cloud.endpoint, cloud.access_key_id, cloud.secret_access_key)
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    keys = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    return machine.local_env() | keys


def _as(machine: Machine, env: dict[str, str], *, code: int) -> dict[str, Any]:
    return checks(machine.imgpipe("doctor", "--aws", "--project", "ill", "--json", env=env, code=code))


def test_the_administrator_lacks_nothing(patient: Machine) -> None:
    found = _as(patient, patient.local_env(), code=0)
    assert found["permissions"]["verdict"] == "ok"
    assert found["permissions"]["seen"].endswith("all allowed")
    endpoint = patient.cloud().endpoint
    assert found["endpoints"]["seen"] == f"all calls go to {endpoint}, not to AWS (AWS_ENDPOINT_URL)"


def test_what_a_users_policy_leaves_out_is_named(patient: Machine) -> None:
    rest = ["s3:*", "iam:*", "ssm:*", "apigateway:*", "sqs:*", "lambda:*", "logs:*", "dynamodb:Describe*"]
    found = _as(patient, _user(patient, "ann", rest), code=1)["permissions"]
    named = {line.split(" ")[0] for line in found["details"] if line.startswith("dynamodb:")}
    assert {"dynamodb:CreateTable", "dynamodb:DeleteTable"} <= named
    assert "dynamodb:DescribeTable" not in named
    assert {line.split(":")[0] for line in found["details"]} == {"dynamodb"}


def test_who_may_not_simulate_is_told_which_reads_are_denied(patient: Machine) -> None:
    found = _as(patient, _user(patient, "ben", ["s3:*", "ssm:*", "apigateway:*"]), code=1)["permissions"]
    assert "iam:SimulatePrincipalPolicy is not allowed" in found["seen"]
    named = {line.split(" ")[0] for line in found["details"]}
    assert {"dynamodb:DescribeTable", "iam:GetRole", "lambda:GetFunction", "sqs:GetQueueUrl"} <= named
    assert not any(name.startswith(("s3:", "ssm:")) for name in named)
