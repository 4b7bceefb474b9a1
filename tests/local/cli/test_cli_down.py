"""`down` removes all that `up` made and nothing else, and says what is lost before it acts."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.local.process import control
from tests.local.cli.conftest import Pipeline
from tests.support.inventory import inventory
from tests.support.machine import EXAMPLES, IMGPIPE, Machine, machine_in

PROJECT = "leaving"
HERE = ("--local", "--project", PROJECT)


@pytest.fixture
def leaving(machine: Machine, pipeline: Pipeline) -> Iterator[Pipeline]:
    done = machine.imgpipe("up", *HERE, "--json")
    yield Pipeline(machine, PROJECT, done.json()["data"], done)
    machine.imgpipe("down", *HERE, "--yes")
    assert inventory(machine.client, PROJECT) == {}


def on_a_terminal(machine: Machine, answer: str) -> tuple[int, str]:
    """`down` with a person at the keyboard: the exit code and all that the screen showed."""
    import pty  # not on Windows

    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*IMGPIPE, "down", *HERE],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=machine.environment({"TERM": "xterm"}),
        cwd=machine.folder,
    )
    os.close(slave)
    screen = ""
    answered = False
    try:
        while True:
            try:
                chunk = os.read(master, 4096)
            except OSError:  # EIO: the other side is closed
                break
            if not chunk:
                break
            screen += chunk.decode("utf-8", "replace")
            if not answered and ("to remove it:" in screen or "[y/N]" in screen):
                os.write(master, f"{answer}\n".encode())
                answered = True
        return process.wait(60), screen
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_without_a_terminal_it_needs_yes_and_a_dry_run_only_tells(leaving: Pipeline) -> None:
    leaving.imgpipe("upload", EXAMPLES / "cat.jpg", "--wait")
    before = inventory(leaving.machine.client, PROJECT)
    refused = leaving.imgpipe("down", code=2)
    assert "--yes" in refused.err
    told = leaving.imgpipe("down", "--dry-run")
    assert "1 object, 30.3 KB" in told.err and "1 result" in told.err
    assert "Nothing was removed." in told.out
    document = leaving.imgpipe("down", "--dry-run", "--json").json()
    assert document["data"]["contents"]["bucket"]["objects"] == 1
    assert set(document["data"]["wouldRemove"]) >= {"bucket", "table", "api", "function.ingest", "token"}
    assert inventory(leaving.machine.client, PROJECT) == before


def test_a_person_is_asked_for_the_projects_name_where_pictures_would_be_lost(leaving: Pipeline) -> None:
    code, screen = on_a_terminal(leaving.machine, "n")
    assert (code, "Remove it? [y/N]" in screen, "Nothing was removed." in screen) == (1, True, True)
    leaving.imgpipe("upload", EXAMPLES / "cat.jpg", "--wait")
    leaving.machine.finish_events()  # the local cloud makes a log group where there is none
    code, screen = on_a_terminal(leaving.machine, "yes")
    assert code == 1
    assert "Pictures will be lost" in screen and "Nothing was removed." in screen
    assert leaving.imgpipe("status")
    code, screen = on_a_terminal(leaving.machine, PROJECT)
    assert code == 0
    assert "Everything is gone" in screen
    leaving.imgpipe("status", code=3)


def test_twice_is_fine_and_then_the_commands_say_that_nothing_is_there(leaving: Pipeline) -> None:
    assert "Everything is gone" in leaving.imgpipe("down", "--yes").out
    assert "Nothing to remove" in leaving.imgpipe("down", "--yes").out
    document = leaving.imgpipe("down", "--yes", "--json").json()
    assert document["data"] == {"removed": [], "left": [], "skipped": []}
    assert "imgpipe up" in leaving.imgpipe("result", "cat.jpg", code=3).err


def test_versions_markers_and_open_uploads_in_any_number_go(leaving: Pipeline) -> None:
    s3, bucket = leaving.machine.client("s3"), leaving.bucket
    # Not to be analyzed: what matters here is only that they are there.
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: s3.put_object(Bucket=bucket, Key=f"k{n % 520}", Body=b"x"), range(1040)))
        list(pool.map(lambda n: s3.delete_object(Bucket=bucket, Key=f"k{n}"), range(15)))
    strange = ["a b+c/ü &<>'\"%41.jpg", "ends/", " "]
    for key in strange:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    for refused in ("control\x01sign", "line\nbreak"):  # the emulator could not list, or not let read, them
        with pytest.raises(s3.exceptions.ClientError, match="control characters"):
            s3.put_object(Bucket=bucket, Key=refused, Body=b"x")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="open")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="open", UploadId=upload, PartNumber=1, Body=b"part")
    counts = leaving.imgpipe("down", "--dry-run", "--json").json()["data"]["contents"]["bucket"]
    assert (counts["objects"], counts["versions"]) == (505 + len(strange), 535)
    assert (counts["markers"], counts["uploads"]) == (15, 1)
    told = leaving.imgpipe("down", "--yes").err
    for words in ("508 objects", "535 older versions", "15 delete markers", "1 unfinished upload"):
        assert words in told


def test_a_kept_bucket_keeps_its_pictures_and_what_others_were_notified_of(leaving: Pipeline) -> None:
    machine, bucket = leaving.machine, leaving.bucket
    s3, sqs = machine.client("s3"), machine.client("sqs")
    leaving.imgpipe("upload", EXAMPLES / "cat.jpg", "--wait")
    queue = sqs.create_queue(QueueName="somebody-elses")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "s3.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
            }
        ],
    }
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    document = s3.get_bucket_notification_configuration(Bucket=bucket)
    document.pop("ResponseMetadata")
    theirs = {"Id": "theirs", "QueueArn": arn, "Events": ["s3:ObjectRestore:*"]}
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={**document, "QueueConfigurations": [theirs]}
    )
    assert leaving.imgpipe("up", "--json").json()["data"]["changed"] == []
    done = leaving.imgpipe("down", "--keep-bucket", "--yes")
    assert "kept" in done.err
    left = s3.get_bucket_notification_configuration(Bucket=bucket)
    assert [entry["Id"] for entry in left["QueueConfigurations"]] == ["theirs"]
    assert "LambdaFunctionConfigurations" not in left
    assert s3.head_object(Bucket=bucket, Key="cat.jpg")["ContentLength"] == 30985
    assert list(inventory(machine.client, PROJECT)) == [f"bucket {bucket.replace(PROJECT, 'PROJECT')}"]
    leaving.imgpipe("up")  # takes its bucket back, with the picture in it
    assert leaving.imgpipe("upload", EXAMPLES / "sign.png", "--wait")
    sqs.delete_queue(QueueUrl=queue)  # and the entry that names it does not keep `down` from ending


def test_what_others_made_under_our_names_stays(leaving: Pipeline) -> None:
    machine = leaving.machine
    gateway, iam = machine.client("apigatewayv2"), machine.client("iam")
    twin = gateway.create_api(Name=f"{PROJECT}-api", ProtocolType="HTTP")["ApiId"]
    role = f"{PROJECT}-us-east-1-web"
    arn = iam.get_role(RoleName=role)["Role"]["Arn"]
    iam.untag_role(RoleName=role, TagKeys=["ManagedBy"])
    done = leaving.imgpipe("down", "--yes")
    assert "is not imgpipe's and is left alone" in done.err
    assert iam.get_role(RoleName=role)["Role"]["Arn"] == arn
    assert gateway.get_api(ApiId=twin)["Name"] == f"{PROJECT}-api"
    assert set(inventory(machine.client, PROJECT)) == {
        f"role {role.replace(PROJECT, 'PROJECT')}",
        "api PROJECT-api",
    }
    gateway.delete_api(ApiId=twin)
    iam.delete_role_policy(RoleName=role, PolicyName="imgpipe")
    iam.delete_role(RoleName=role)


def test_the_last_projects_down_stops_the_local_cloud(tmp_path: Path) -> None:
    stub = Path(__file__).parents[2] / "support/stub_server.py"
    with machine_in(tmp_path) as own:
        control.start(own.state, command=(IMGPIPE[0], "-P", str(stub)))
        for project in ("one", "two"):
            own.imgpipe("up", "--local", "--project", project)
        first = own.imgpipe("down", "--local", "--project", "one", "--yes")
        assert "stopped" not in first.err
        assert own.imgpipe("local", "status", "--json").json()["data"]["projects"] == ["two"]
        assert "the local cloud was stopped" in own.imgpipe("down", "--project", "two", "--yes").err
        assert control.running(own.state) is None
        own.imgpipe("local", "status", code=3)
        after: Any = own.imgpipe("status", code=3).err
        assert "imgpipe up --local" in after
