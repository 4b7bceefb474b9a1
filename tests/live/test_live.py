"""The whole job on real AWS: set up, send, read, take away; and nothing is left.

Needs credentials and a region with Rekognition (AWS_PROFILE, AWS_REGION or their like). Four pictures with
four features each are sixteen analyses, under two US cents at list price. Never run here: no account.
Should the machine go down in the middle: `make live-clean` takes away what was left.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.aws.client import Aws
from tests.live import leftovers

# A time limit would reach the clean-up too. Each command and each wait has its own instead.
pytestmark = [pytest.mark.live, pytest.mark.timeout(0)]

EXAMPLES = Path(__file__).parents[2] / "examples"
PICTURES = ["astronaut.jpg", "cat.jpg", "coffee.jpg", "sign.png"]


def imgpipe(
    *arguments: str, expect: int | None = 0, limit_s: float | None = 900
) -> subprocess.CompletedProcess[str]:
    """One whole command, as a user types it."""
    command = [sys.executable, "-m", "imgpipe_cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    if expect is not None:
        assert done.returncode == expect, f"{arguments}: {done.stdout}\n{done.stderr}"
    return done


def data(*arguments: str, expect: int | None = 0) -> Any:
    return json.loads(imgpipe(*arguments, "--json", expect=expect).stdout)["data"]


@dataclass(frozen=True)
class Live:
    """A pipeline on AWS, and the clients of its own account and region."""

    aws: Aws
    bucket: str

    def client(self, service: str) -> Any:
        return self.aws.client(service)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A pipeline of a name nobody has; taken away whatever happens."""
    place = leftovers.home()
    name = f"{leftovers.PREFIX}{secrets.token_hex(4)}"
    of_ours = {
        "IMGPIPE_PROJECT": name,
        "IMGPIPE_REGION": place.region,
        "IMGPIPE_STATE_DIR": str(tmp_path_factory.mktemp("state")),
    }
    os.environ |= of_ours
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the clean-up comes
    try:
        made = data("up", "--aws", "--features", "labels,moderation,faces,text")
        assert (made["account"], made["region"]) == (place.account, place.region)
        yield Live(place.aws, made["bucket"])
    finally:
        imgpipe("down", "--yes", "--aws", expect=None, limit_s=None)
        again = imgpipe("down", "--yes", "--aws", expect=None, limit_s=None)
        signal.signal(signal.SIGTERM, before)
        for variable in of_ours:
            os.environ.pop(variable)
        left = leftovers.left_over(place.aws, name)
        assert left == [], f"run make live-clean: {again.stderr}"
        assert again.returncode == 0, again.stderr


def test_every_step_is_ready(project: Live) -> None:
    assert {step["state"] for step in data("status")["steps"]} == {"ready"}


def test_a_second_up_changes_nothing(project: Live) -> None:
    assert data("up")["changed"] == []


def test_pictures_get_true_results(project: Live) -> None:
    paths = [str(EXAMPLES / name) for name in PICTURES]
    lines = imgpipe("upload", *paths, "--wait", "--timeout", "300", "--json").stdout.splitlines()
    results = {item["objectKey"]: item for item in map(json.loads, lines)}
    assert set(results) == set(PICTURES)
    assert {item["status"] for item in results.values()} == {"done"}
    names = {key: {label["Name"] for label in item["labels"]} for key, item in results.items()}
    assert "Cat" in names["cat.jpg"]
    assert {"Person", "Face"} & names["astronaut.jpg"]
    assert {"Cup", "Coffee", "Coffee Cup"} & names["coffee.jpg"]
    assert len(results["astronaut.jpg"]["faces"]) == 1
    lines_read = {t["DetectedText"] for t in results["sign.png"]["text"] if t["Type"] == "LINE"}
    assert "Harbour Street Books" in lines_read
    assert all(isinstance(item["moderation"], list) for item in results.values())


def test_a_result_is_readable_by_plain_http(project: Live) -> None:
    url = data("status")["outputs"]["resultUrl"]
    with urllib.request.urlopen(f"{url}cat.jpg", timeout=30) as answer:
        assert json.load(answer)["objectKey"] == "cat.jpg"
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(f"{url}nothing.jpg", timeout=30)
    assert missing.value.code == 404


def test_a_picture_that_rekognition_refuses_gets_a_failed_result(project: Live) -> None:
    project.client("s3").put_object(Bucket=project.bucket, Key="note.jpg", Body=b"no picture at all")
    done = imgpipe("result", "note.jpg", "--wait", "--json", expect=1)
    (item,) = json.loads(done.stdout)["data"]
    assert (item["status"], item["error"]["code"]) == ("failed", "unsupported_format")


def test_a_missing_version_is_told_from_a_denied_one(project: Live) -> None:
    """The ingest role may list the bucket, so that S3 says 404 and not 403 for what is gone."""
    s3, picture = project.client("s3"), (EXAMPLES / "cat.jpg").read_bytes()
    version = s3.put_object(Bucket=project.bucket, Key="gone.jpg", Body=picture)["VersionId"]
    s3.delete_object(Bucket=project.bucket, Key="gone.jpg", VersionId=version)
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        done = imgpipe("result", "gone.jpg", "--json", expect=None)
        items = json.loads(done.stdout)["data"] or []
        codes = {item.get("error", {}).get("code") for item in items}
        assert "access_denied" not in codes
        if items:
            return
        time.sleep(5)


def test_a_private_pipeline_needs_the_token(project: Live) -> None:
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
