"""The whole job on real AWS: set up, send, read, take away; and nothing is left.

Needs credentials and a region with Rekognition (AWS_PROFILE, AWS_REGION or their like). Four pictures with
four features each are sixteen analyses, under two US cents at list price. Never run here: no account.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

pytestmark = pytest.mark.live

EXAMPLES = Path(__file__).parents[2] / "examples"
PICTURES = ["astronaut.jpg", "cat.jpg", "coffee.jpg", "sign.png"]


def imgpipe(*arguments: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
    """One whole command, as a user types it."""
    command = [sys.executable, "-m", "imgpipe_cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if expect is not None:
        assert done.returncode == expect, f"{arguments}: {done.stdout}\n{done.stderr}"
    return done


def data(*arguments: str, expect: int | None = 0) -> Any:
    return json.loads(imgpipe(*arguments, "--json", expect=expect).stdout)["data"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A pipeline of a name nobody has; taken away whatever happens."""
    name = f"live-{secrets.token_hex(4)}"
    os.environ["IMGPIPE_PROJECT"] = name
    os.environ["IMGPIPE_STATE_DIR"] = str(tmp_path_factory.mktemp("state"))
    try:
        imgpipe("up", "--aws", "--features", "labels,moderation,faces,text")
        yield name
    finally:
        imgpipe("down", "--yes", expect=None)
        again = imgpipe("down", "--yes", expect=None)
        os.environ.pop("IMGPIPE_PROJECT")
        os.environ.pop("IMGPIPE_STATE_DIR")
        assert again.returncode == 0, again.stderr
        assert left_over(name) == []


def left_over(project: str) -> list[str]:
    """What carries our tag or name, asked of the services themselves: the tagging API lags behind."""
    session = boto3.Session()
    found: list[str] = []
    buckets = session.client("s3").list_buckets()["Buckets"]
    found += [b["Name"] for b in buckets if b["Name"].startswith(f"{project}-")]
    found += [t for t in session.client("dynamodb").list_tables()["TableNames"] if t.startswith(project)]
    for page in session.client("iam").get_paginator("list_roles").paginate():
        found += [role["RoleName"] for role in page["Roles"] if role["RoleName"].startswith(f"{project}-")]
    for functions in session.client("lambda").get_paginator("list_functions").paginate():
        names = [function["FunctionName"] for function in functions["Functions"]]
        found += [name for name in names if name.startswith(f"{project}-")]
    logs = session.client("logs")
    for prefix in (f"/aws/lambda/{project}-", f"/aws/vendedlogs/imgpipe/{project}-"):
        groups = logs.describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
        found += [group["logGroupName"] for group in groups]
    found += session.client("sqs").list_queues(QueueNamePrefix=f"{project}-").get("QueueUrls", [])
    answer = session.client("ssm").get_parameters_by_path(Path=f"/imgpipe/{project}", Recursive=True)
    found += [parameter["Name"] for parameter in answer["Parameters"]]
    apis = session.client("apigatewayv2").get_apis()["Items"]
    return found + [api["Name"] for api in apis if api["Name"].startswith(f"{project}-")]


def test_every_step_is_ready(project: str) -> None:
    assert {step["state"] for step in data("status")["steps"]} == {"ready"}


def test_a_second_up_changes_nothing(project: str) -> None:
    assert data("up")["changed"] == []


def test_pictures_get_true_verdicts(project: str) -> None:
    paths = [str(EXAMPLES / name) for name in PICTURES]
    lines = imgpipe("upload", *paths, "--wait", "--timeout", "300", "--json").stdout.splitlines()
    verdicts = {item["objectKey"]: item for item in map(json.loads, lines)}
    assert set(verdicts) == set(PICTURES)
    assert {item["status"] for item in verdicts.values()} == {"done"}
    names = {key: {label["Name"] for label in item["labels"]} for key, item in verdicts.items()}
    assert "Cat" in names["cat.jpg"]
    assert {"Person", "Face"} & names["astronaut.jpg"]
    assert {"Cup", "Coffee", "Coffee Cup"} & names["coffee.jpg"]
    assert len(verdicts["astronaut.jpg"]["faces"]) == 1
    lines_read = {t["DetectedText"] for t in verdicts["sign.png"]["text"] if t["Type"] == "LINE"}
    assert "Harbour Street Books" in lines_read
    assert all(isinstance(item["moderation"], list) for item in verdicts.values())


def test_a_result_is_readable_by_plain_http(project: str) -> None:
    url = data("status")["outputs"]["resultUrl"]
    with urllib.request.urlopen(f"{url}cat.jpg", timeout=30) as answer:
        assert json.load(answer)["objectKey"] == "cat.jpg"
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(f"{url}nothing.jpg", timeout=30)
    assert missing.value.code == 404


def test_a_picture_that_rekognition_refuses_gets_a_failed_verdict(project: str) -> None:
    bucket = data("status")["outputs"]["bucket"]
    boto3.client("s3").put_object(Bucket=bucket, Key="note.jpg", Body=b"no picture at all")
    done = imgpipe("result", "note.jpg", "--wait", "--json", expect=1)
    (item,) = json.loads(done.stdout)["data"]
    assert (item["status"], item["error"]["code"]) == ("failed", "unsupported_format")


def test_a_missing_version_is_told_from_a_denied_one(project: str) -> None:
    """The ingest role may list the bucket, so that S3 says 404 and not 403 for what is gone."""
    bucket = data("status")["outputs"]["bucket"]
    s3 = boto3.client("s3")
    version = s3.put_object(Bucket=bucket, Key="gone.jpg", Body=(EXAMPLES / "cat.jpg").read_bytes())[
        "VersionId"
    ]
    s3.delete_object(Bucket=bucket, Key="gone.jpg", VersionId=version)
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        done = imgpipe("result", "gone.jpg", "--json", expect=None)
        items = json.loads(done.stdout)["data"] or []
        codes = {item.get("error", {}).get("code") for item in items}
        assert "access_denied" not in codes
        if items:
            return
        time.sleep(5)


def test_a_private_pipeline_needs_the_token(project: str) -> None:
    data("up", "--private")
    url = data("status")["outputs"]["resultUrl"]
    deadline = time.monotonic() + 60
    code = 0
    while code != 401 and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{url}cat.jpg", timeout=30).close()
        except urllib.error.HTTPError as refused:
            code = refused.code
        time.sleep(1)
    assert code == 401
    assert imgpipe("result", "cat.jpg").returncode == 0
