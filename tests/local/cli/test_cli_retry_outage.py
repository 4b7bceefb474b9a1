"""`retry` end to end: Rekognition is down, pictures fail, it comes back, and every one gets its result."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.local.process import control
from imgpipe_cli.local.rekognition.faults import Faults
from tests.local.cli.conftest import Pipeline
from tests.local.conftest import STUB
from tests.support import exhaustive
from tests.support.machine import Machine, jpeg, machine_in, until

PROJECT = "outage"


@pytest.fixture(scope="module", params=["table", exhaustive.only("s3")])
def outage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A pipeline on a machine of its own, where Rekognition only counts; once for each store of results."""
    with machine_in(tmp_path_factory.mktemp("outage")) as machine:
        control.start(machine.state, command=STUB)
        up = ("up", "--local", "--project", PROJECT, "--no-models", "--results", request.param, "--json")
        done = machine.imgpipe(*up)
        fails_at_once(machine, f"{PROJECT}-ingest")
        yield Pipeline(machine, PROJECT, done.json()["data"], done)


def fails_at_once(machine: Machine, name: str, *, tries: int = 1) -> None:
    """Leave the function too little time to try again within a run. Lambda calls it again only if told so,
    since a process of the function ends with each failure."""
    functions = machine.client("lambda")
    functions.update_function_configuration(FunctionName=name, Timeout=60)
    kept = functions.get_function_event_invoke_config(FunctionName=name)["DestinationConfig"]
    functions.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=tries - 1, DestinationConfig=kept
    )


@pytest.fixture(autouse=True)
def _up_again(outage: Pipeline) -> Iterator[None]:
    yield
    control.turn_faults(Faults(), outage.machine.state)


def send(pipeline: Pipeline, folder: Path, numbers: range) -> list[str]:
    """Upload as many pictures, with keys that need care; their keys."""
    folder.mkdir()
    for number in numbers:
        (folder / f"{number} +100%#ü.jpg").write_bytes(jpeg(number))
    pipeline.imgpipe("upload", folder)
    return sorted(f"{folder.name}/{number} +100%#ü.jpg" for number in numbers)


def queued(machine: Machine) -> int:
    sqs = machine.client("sqs")
    (url,) = sqs.list_queues(QueueNamePrefix=PROJECT)["QueueUrls"]
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return sum(map(int, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values()))


def answered(machine: Machine, operation: str = "DetectLabels") -> int:
    """How many calls Rekognition has answered, each of which costs."""
    calls = control.status(machine.state).calls
    assert calls is not None
    return calls.get(operation, {}).get("answered", 0)


def fail(pipeline: Pipeline, folder: Path, numbers: range) -> list[str]:
    """Send pictures while Rekognition is down, until all their events are in the failure queue."""
    control.turn_faults(Faults(error_percent=100), pipeline.machine.state)
    keys = send(pipeline, folder, numbers)
    until(
        lambda: queued(pipeline.machine) == len(keys), what="all events are in the failure queue", limit_s=240
    )
    return keys


# It dies by itself: from outside, a kill may come too late.
_KILLED = """
import os, signal
from imgpipe_cli.render import failures
told = failures.outcome
def outcome(*arguments):
    told(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
failures.outcome = outcome
"""


def killed_in_the_middle(pipeline: Pipeline, folder: Path, *command: str) -> None:
    """Run the command, and kill it once it has told of the first picture."""
    own = folder / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text(_KILLED)
    here = ("--project", PROJECT, "--local")
    process = pipeline.machine.start(*command, *here, env={"PYTHONPATH": str(own)})
    assert "analyzed in" in process.communicate()[0]
    assert process.returncode == -signal.SIGKILL


def states(document: dict[str, Any]) -> dict[str, str]:
    return {one["key"]: one["state"] for one in document["data"]["pictures"]}


def test_after_an_outage_every_picture_gets_its_result_and_the_queue_is_empty(
    outage: Pipeline, tmp_path: Path
) -> None:
    machine = outage.machine
    keys = fail(outage, tmp_path / "down", range(5))
    before = answered(machine)
    listed = outage.imgpipe("retry", "--dry-run", "--json").json()["data"]
    assert [(one["reason"], one["pictures"], one["queued"]) for one in listed["reasons"]] == [
        ("service_error", 5, 5)
    ]
    assert "imgpipe retry" in outage.imgpipe("explain", keys[0], code=1).out

    still = outage.imgpipe("retry", *keys[:2], "--json", code=1).json()
    assert (states(still), queued(machine)) == (dict.fromkeys(keys[:2], "failed"), 5)

    control.turn_faults(Faults(), machine.state)
    done = outage.imgpipe("retry", "--yes", "--json").json()
    assert states(done) == dict.fromkeys(keys, "done")
    assert (queued(machine), answered(machine) - before) == (0, 5)
    assert outage.imgpipe("retry").out == "Nothing has failed.\n"
    assert answered(machine) - before == 5


def test_a_picture_is_retrying_for_as_long_as_tries_are_left(outage: Pipeline, tmp_path: Path) -> None:
    machine, name = outage.machine, f"{PROJECT}-ingest"
    fails_at_once(machine, name, tries=3)
    (key,) = fail(outage, tmp_path / "spent", range(50, 51))
    fails_at_once(machine, name)

    def listed(status: str) -> list[str]:
        found = outage.imgpipe("list", "--status", status, "--json").lines()
        return [one["objectKey"] for one in found]

    assert (listed("retrying"), listed("failed")) == ([], [key])
    assert "retrying" not in outage.imgpipe("result", key, code=1).out
    assert "No attempt is left" in outage.imgpipe("explain", key, code=1).out
    # A call by hand is followed by none, either.
    outage.imgpipe("retry", key, code=1)
    assert (listed("retrying"), listed("failed")) == ([], [key])
    control.turn_faults(Faults(), machine.state)
    outage.imgpipe("retry", "--yes")


def test_killed_in_the_middle_it_goes_on_and_pays_nothing_twice(outage: Pipeline, tmp_path: Path) -> None:
    machine = outage.machine
    keys = fail(outage, tmp_path / "killed", range(100, 107))
    before = answered(machine)
    # Slow enough that some pictures have their result and others do not.
    control.turn_faults(Faults(latency_ms=400), machine.state)
    killed_in_the_middle(outage, tmp_path, "retry", "--yes")
    assert queued(machine) == 7  # nothing leaves the queue before the end
    done = outage.imgpipe("retry", "--yes", "--json").json()
    assert set(states(done).values()) == {"done"}
    assert set(states(done)) == set(keys)
    assert (queued(machine), answered(machine) - before) == (0, 7)


def test_what_was_overwritten_or_removed_meanwhile_has_its_right_end(
    outage: Pipeline, tmp_path: Path
) -> None:
    machine, s3 = outage.machine, outage.machine.client("s3")
    replaced, removed, left = fail(outage, tmp_path / "changed", range(200, 203))
    before = answered(machine)
    s3.delete_object(Bucket=outage.bucket, Key=removed)
    control.turn_faults(Faults(), machine.state)
    version = s3.put_object(Bucket=outage.bucket, Key=replaced, Body=jpeg(203))["VersionId"]
    outage.imgpipe("result", replaced, "--wait")
    done = outage.imgpipe("retry", "--yes", "--json").json()
    assert states(done)[left] == "done"
    assert (queued(machine), answered(machine) - before) == (0, 2)
    assert outage.imgpipe("result", replaced, "--json").json()["data"][0]["versionId"] == version
    assert outage.imgpipe("result", removed, code=None).code == 1


def test_again_killed_in_the_middle_goes_on_and_pays_nothing_twice(outage: Pipeline, tmp_path: Path) -> None:
    machine = outage.machine
    keys = send(outage, tmp_path / "again", range(300, 307))
    outage.imgpipe("result", *keys, "--wait")
    up = outage.imgpipe("up", "--features", "labels,text", "--no-models", "--json").json()["data"]
    labels, texts = answered(machine), answered(machine, "DetectText")
    assert up["lacking"]["pictures"] >= len(keys)
    control.turn_faults(Faults(latency_ms=400), machine.state)
    killed_in_the_middle(outage, tmp_path, "retry", "--all", "--again")
    outage.imgpipe("retry", "--all", "--again")
    found = outage.imgpipe("result", *keys, "--json").json()["data"]
    assert all({"labels", "text"} <= one.keys() for one in found)
    assert (answered(machine), answered(machine, "DetectText") - texts) == (labels, up["lacking"]["pictures"])
    assert "no finished picture lacks anything" in outage.imgpipe("retry", "--all", "--again").out
    outage.imgpipe("up", "--features", "labels", "--no-models")
