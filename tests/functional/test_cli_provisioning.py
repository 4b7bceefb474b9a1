"""`up`, `status` and `down` as commands."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.moto_api._internal import moto_api_backend
from moto.server import ThreadedMotoServer

from imgpipe_cli.aws.names import Names
from tests.support.cli import NAMES, PROGRAM, REGION, Cli, Printed, make_bucket, remember

S3 = f"http://s3.{REGION}.amazonaws.com"
HERE = ("--project", "demo", "--region", REGION)


@pytest.fixture
def cli(account: None, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """On an account of moto's. Without TLS to S3, since moto knows no conditions in a bucket's policy; and as
    at an endpoint that is not AWS's own, since nobody answers at the URL of the API."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", S3)
    monkeypatch.setattr("imgpipe_cli.aws.client.is_aws", lambda _url: False)
    return cli


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account that commands in processes of their own reach too."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
        ("AWS_ACCESS_KEY_ID", "AKIATEST"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ):
        monkeypatch.setenv(name, value)
    yield
    server.stop()
    moto_api_backend.reset()


def client(service: str) -> Any:
    made: Any = boto3.client  # its stubs know each service's name as a literal of its own
    return made(service, region_name=REGION)


def done(printed: Printed) -> Any:
    assert printed.code == 0, printed.err
    return printed.document["data"]


def test_down_unasked_does_not_follow_another_terminals_project(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for project in ("alpha", "beta"):
        remember(f"{S3}/prod", project=project, endpoint=S3)
    _queue_of_ours("beta")
    refused = cli("down", "--yes", "--json")
    assert (refused.code, refused.error) == (2, "several_pipelines")
    assert "alpha" in refused.document["errors"][0]["message"]
    assert done(cli("down", "--yes", "--project", "alpha", "--json"))["removed"] == []
    for project in ("alpha", "beta"):
        remember(f"{S3}/prod", project=project, endpoint=S3)
    (tmp_path / "imgpipe.toml").write_text('project = "alpha"\n')
    assert done(cli("down", "--yes", "--json"))["removed"] == []
    remember(f"{S3}/prod", project="alpha", endpoint=S3)
    monkeypatch.setenv("IMGPIPE_PROJECT", "beta")
    assert done(cli("down", "--yes", "--json"))["removed"] == ["queue"]


def _queue_of_ours(project: str) -> None:
    names = Names(project, NAMES.account, REGION)
    client("sqs").create_queue(QueueName=names.queue, tags=names.tags)


def _bucket_of_ours() -> Any:
    s3 = make_bucket(client("s3"))
    s3.put_bucket_tagging(Bucket=NAMES.bucket, Tagging={"TagSet": NAMES.tag_list})
    return s3


def test_what_is_left_is_named_at_the_end(cli: Cli) -> None:
    s3, sqs = _bucket_of_ours(), client("sqs")
    sqs.create_queue(QueueName=NAMES.queue, tags={"Owner": "somebody else"})
    theirs = {"resource": "queue", "what": f"queue {NAMES.queue}", "why": "foreign"}
    kept = {"resource": "bucket", "what": f"bucket {NAMES.bucket}", "why": "kept"}
    down = ("down", *HERE, "--yes")
    assert done(cli(*down, "--dry-run", "--json"))["skipped"] == [theirs]
    data = done(cli(*down, "--keep-bucket", "--json"))
    assert sorted(data["skipped"], key=str) == sorted((theirs, kept), key=str)
    words = f"Everything of imgpipe's is gone; left alone: queue {NAMES.queue}"
    assert f"{words}; kept: bucket {NAMES.bucket}." in cli(*down, "--keep-bucket").out
    assert f"{words}." in cli(*down).out
    assert NAMES.bucket not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=NAMES.queue)["QueueUrl"])
    assert "no pipeline is there" in cli(*down).out


def test_an_empty_bucket_without_tags_is_named_with_the_way_to_remove_it(cli: Cli) -> None:
    make_bucket(client("s3"))
    printed = cli("down", *HERE, "--yes")
    assert printed.code == 0
    assert f"delete-bucket --bucket {NAMES.bucket}." in printed.err
    assert f"left alone: bucket {NAMES.bucket}." in printed.out


@pytest.mark.usefixtures("served")
def test_a_picture_that_comes_while_the_question_stands_is_asked_about() -> None:
    s3 = _bucket_of_ours()

    def upload_and_agree() -> str:
        s3.put_object(Bucket=NAMES.bucket, Key="late.jpg", Body=b"picture")
        return "y"

    answers = {"Remove it? [y/N]": upload_and_agree, f"({NAMES.project}) to remove it:": lambda: "y"}
    code, screen = on_a_terminal(("down", *HERE), answers)
    assert (code, answers) == (1, {}), screen
    assert "Pictures came in meanwhile" in screen and "Nothing was removed" in screen
    assert s3.head_object(Bucket=NAMES.bucket, Key="late.jpg")


def test_quiet_tells_what_came_of_it_only(cli: Cli) -> None:
    _queue_of_ours("demo")
    make_bucket(client("s3"))  # not ours
    asked = cli("down", *HERE, "--dry-run", "--quiet")
    assert f"queue {NAMES.queue}" in asked.err  # what was asked for
    gone = cli("down", *HERE, "--yes", "--quiet")
    assert (gone.code, gone.err) == (0, "")
    assert f"left alone: bucket {NAMES.bucket}" in gone.out
    policy = cli("policy", "--for", "result", "--project", "demo", "--quiet")
    assert (policy.code, policy.err) == (0, "")


def on_a_terminal(arguments: tuple[str, ...], answers: dict[str, Callable[[], str]]) -> tuple[int, str]:
    """A command with a person at the keyboard, who answers each question once; exit code and screen."""
    pty = pytest.importorskip("pty")  # not on Windows
    master, slave = pty.openpty()
    process = subprocess.Popen([*PROGRAM, *arguments], stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    screen = ""
    try:
        while chunk := _read(master):
            screen += chunk
            for question in [question for question in answers if question in screen]:
                os.write(master, f"{answers.pop(question)()}\n".encode())
        return process.wait(60), screen
    finally:
        process.kill()
        process.wait()
        os.close(master)


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 4096).decode("utf-8", "replace")
    except OSError:  # EIO: the other side is closed
        return ""


def test_removed_settings_come_back_from_the_functions(cli: Cli) -> None:
    asked = ("--private", "--features", "labels,moderation", "--min-confidence", "85")
    assert done(cli("up", *HERE, *asked, "--json"))["settings"]["concurrency"] == 20
    first = done(cli("up", *HERE, *asked, "--json"))["settings"]
    ssm = client("ssm")
    value = ssm.get_parameter(Name=NAMES.settings_parameter)["Parameter"]["Value"]
    ssm.delete_parameter(Name=NAMES.settings_parameter)
    states = [
        (resource["name"], resource["state"])
        for step in cli("status", *HERE, "--json").document["data"]["steps"]
        for resource in step["resources"]
        if resource["state"] != "ready"
    ]
    assert states == [("settings", "missing")]
    again = cli("up", *HERE, "--json")
    assert (done(again)["settings"], done(again)["changed"]) == (first, ["settings"])
    assert ssm.get_parameter(Name=NAMES.settings_parameter)["Parameter"]["Value"] == value


def test_up_names_what_the_repair_of_the_index_could_not_read(cli: Cli) -> None:
    done(cli("up", *HERE, "--results", "s3", "--json"))
    s3, bucket = client("s3"), NAMES.results_bucket
    for key, body in (("results/notes.json", b"{"), ("index/nonsense", b"")):
        s3.put_object(Bucket=bucket, Key=key, Body=body)
    repaired = cli("up", *HERE, "--repair-index")
    assert repaired.code == 1
    assert "Entries of the indexes: 0 added, 1 removed." in repaired.err
    assert "the results of 'notes' in bucket" in repaired.err
    assert cli("up", *HERE, "--repair-index", "--json").error == "aws_error"
    s3.delete_object(Bucket=bucket, Key="results/notes.json")
    assert cli("up", *HERE, "--repair-index").code == 0


def test_lost_settings_are_asked_for_before_anything_is_changed(cli: Cli) -> None:
    done(cli("up", *HERE, "--private", "--json"))
    ssm, functions = client("ssm"), client("lambda")
    ssm.delete_parameter(Name=NAMES.settings_parameter)
    functions.delete_function(FunctionName=NAMES.function("web"))
    result = {
        "objectKey": {"S": "a.jpg"},
        "status": {"S": "done"},
        "day": {"S": "2026-02-01"},
        "analyzedAt": {"S": "2026-02-01T10:00"},
        "sequencer": {"S": "1"},
    }
    client("dynamodb").put_item(TableName=NAMES.table, Item=result)
    refused = cli("up", *HERE, "--features", "labels", "--json")
    assert (refused.code, refused.error) == (1, "settings_lost")
    assert NAMES.function("web") not in [
        one["FunctionName"] for one in functions.list_functions()["Functions"]
    ]
    all_of_them = ("--features", "labels", "--min-confidence", "70", "--private", "--results", "table")
    assert done(cli("up", *HERE, *all_of_them, "--json"))["settings"]["private"] is True


def test_up_without_flags_goes_on_with_a_function_that_a_removal_left(cli: Cli) -> None:
    """Without pictures there is nothing that the defaults could open."""
    done(cli("up", *HERE, "--private", "--json"))
    client("ssm").delete_parameter(Name=NAMES.settings_parameter)
    client("lambda").delete_function(FunctionName=NAMES.function("web"))
    assert done(cli("up", *HERE, "--json"))["settings"]["private"] is False
    assert cli("status", *HERE).code == 0


def test_status_tells_that_trust_policies_go_without_the_account(cli: Cli) -> None:
    done(cli("up", *HERE, "--json"))
    said = "Left out of the roles' trust policies: aws:SourceAccount"
    assert said not in cli("status", *HERE).out
    ssm = client("ssm")
    stored = json.loads(ssm.get_parameter(Name=NAMES.settings_parameter)["Parameter"]["Value"])
    value = json.dumps({**stored, "source_account": False}, sort_keys=True)
    ssm.put_parameter(Name=NAMES.settings_parameter, Value=value, Overwrite=True)
    held = [f"{kind}.{one}" for kind in ("function", "role") for one in ("get_result", "ingest", "web")]
    changed = done(cli("up", *HERE, "--json"))["changed"]
    assert sorted(changed) == held
    assert done(cli("up", *HERE, "--json"))["changed"] == []
    told = cli("status", *HERE)
    assert (told.code, said in told.out) == (0, True)
    assert "imgpipe up --source-account tries again" in told.out
    assert cli("status", *HERE, "--json").document["data"]["settings"]["sourceAccount"] is False
    # The way back, and, once more, the way out.
    for flag, named in (("--source-account", True), ("--no-source-account", False)):
        again = done(cli("up", *HERE, flag, "--json"))
        assert (again["settings"]["sourceAccount"], sorted(again["changed"])) == (
            named,
            sorted(["settings", *held]),
        )
        assert done(cli("up", *HERE, "--json"))["changed"] == []
        assert (said in cli("status", *HERE).out) is not named
