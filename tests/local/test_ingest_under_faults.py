"""The real ingest function while Rekognition throttles and fails.

Every picture ends in a result, and none is paid twice without need.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.local.process import control
from imgpipe_cli.local.rekognition.faults import Faults
from shared.dynamo_types import from_attributes
from tests.local.conftest import STUB
from tests.support.machine import Machine, jpeg, machine_in, until

PROJECT = "faulty"
SHORT_S = 65


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine whose local cloud has the counting Rekognition, and a pipeline for labels and text."""
    with machine_in(tmp_path_factory.mktemp("faulty")) as found:
        control.start(found.state, command=STUB)
        found.imgpipe("up", "--local", "--project", PROJECT, "--features", "labels,text", "--no-models")
        # Of the time that Lambda gives it, the function tries again for a few seconds only, not for a minute.
        function = found.client("lambda")
        function.update_function_configuration(FunctionName=f"{PROJECT}-ingest", Timeout=SHORT_S)
        yield found


@pytest.fixture(autouse=True)
def _off_again(machine: Machine) -> Iterator[None]:
    yield
    control.turn_faults(Faults(), machine.state)
    machine.finish_events()
    sqs = machine.client("sqs")  # what failed here would be retried, and counted, by another test
    for url in sqs.list_queues(QueueNamePrefix=PROJECT)["QueueUrls"]:
        sqs.purge_queue(QueueUrl=url)


def send(machine: Machine, folder: Path, count: int, first: int) -> set[str]:
    """Upload so many pictures that nobody has sent before; their keys."""
    folder.mkdir()
    for number in range(first, first + count):
        (folder / f"{number}.jpg").write_bytes(jpeg(number))
    machine.imgpipe("upload", folder, "--project", PROJECT, "--local")
    return {f"{folder.name}/{number}.jpg" for number in range(first, first + count)}


def results(machine: Machine, keys: set[str]) -> dict[str, dict[str, Any]]:
    done = machine.imgpipe("result", *sorted(keys), "--json", "--project", PROJECT, "--local", code=None)
    return {item["objectKey"]: item for item in done.json()["data"] or []}


def stored(machine: Machine, keys: set[str]) -> list[dict[str, Any]]:
    """The results, read from the table; none while one is lacking."""
    items = machine.client("dynamodb").scan(TableName=f"{PROJECT}-results", ConsistentRead=True)["Items"]
    found = {item["objectKey"]: item for item in map(from_attributes, items)}
    return [found[key] for key in keys] if keys <= found.keys() else []


def failed(machine: Machine, keys: set[str]) -> list[dict[str, Any]]:
    """The results, once all are failures."""
    found = stored(machine, keys)
    return found if {item["status"] for item in found} == {"failed"} else []


def queued(machine: Machine) -> int:
    sqs = machine.client("sqs")
    (url,) = sqs.list_queues(QueueNamePrefix=PROJECT)["QueueUrls"]
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def calls(machine: Machine) -> dict[str, dict[str, int]]:
    found = control.status(machine.state).calls
    assert found is not None
    return found


def count(counted: dict[str, dict[str, int]], operation: str, outcome: str) -> int:
    return counted.get(operation, {}).get(outcome, 0)


def test_a_burst_under_5_calls_a_second_gets_all_its_results_and_pays_each_picture_once(
    machine: Machine, tmp_path: Path
) -> None:
    before, lost_before = calls(machine), queued(machine)
    # Of what would pass, a third is throttled too: a slow machine may send less than 5 calls a second.
    control.turn_faults(Faults(tps=5, throttle_percent=33), machine.state)
    keys = send(machine, tmp_path / "burst", 24, first=1000)
    until(lambda: stored(machine, keys), what="all results")
    machine.finish_events()
    items = results(machine, keys)
    done = {key for key, item in items.items() if item["status"] == "done"}
    retryable = {key for key, item in items.items() if item["status"] == "failed"}
    assert done | retryable == keys
    assert done, "the function waits for its turn"
    assert all(items[key]["error"]["retryable"] for key in retryable)
    assert queued(machine) - lost_before == len(retryable)
    after = calls(machine)
    assert sum(count(after, operation, "throttled") for operation in after) > 0
    for feature, operation in (("labels", "DetectLabels"), ("text", "DetectText")):
        answered = sum(feature in item for item in items.values())
        assert count(after, operation, "answered") - count(before, operation, "answered") == answered
    control.turn_faults(Faults(), machine.state)
    machine.imgpipe("retry", "--yes", "--project", PROJECT, "--local")
    assert {item["status"] for item in results(machine, keys).values()} == {"done"}
    after = calls(machine)
    for operation in ("DetectLabels", "DetectText"):
        assert count(after, operation, "answered") - count(before, operation, "answered") == len(keys)


def test_only_the_throttled_feature_is_asked_again(machine: Machine, tmp_path: Path) -> None:
    before = calls(machine)
    control.turn_faults(Faults(throttle_percent=100, operations=("DetectText",)), machine.state)
    keys = send(machine, tmp_path / "text", 2, first=2000)
    # Throttled, it is tried again for a while before that is said.
    items = until(lambda: failed(machine, keys), what="first results", limit_s=240)
    control.turn_faults(Faults(), machine.state)  # at once: only two tries more will follow
    for item in items:
        assert item["error"]["code"] == "throttled"
        assert item["error"]["retryable"]
        assert item["labels"]
    machine.finish_events()
    assert {item["status"] for item in stored(machine, keys)} == {"done"}
    after = calls(machine)
    for operation in ("DetectLabels", "DetectText"):
        assert count(after, operation, "answered") - count(before, operation, "answered") == 2


def test_a_picture_that_meets_only_server_errors_says_so_and_its_event_is_kept(
    machine: Machine, tmp_path: Path
) -> None:
    lost_before = queued(machine)
    control.turn_faults(Faults(error_percent=100), machine.state)
    keys = send(machine, tmp_path / "errors", 1, first=3000)
    until(lambda: queued(machine) == lost_before + 1, what="the event in the failure queue")
    (item,) = results(machine, keys).values()
    assert (item["status"], item["error"]["code"]) == ("failed", "service_error")
    assert item["error"]["retryable"]


def test_a_slow_rekognition_is_only_slow(machine: Machine, tmp_path: Path) -> None:
    control.turn_faults(Faults(latency_ms=300), machine.state)
    keys = send(machine, tmp_path / "slow", 2, first=4000)
    until(lambda: stored(machine, keys), what="results")
    items = results(machine, keys)
    assert {item["status"] for item in items.values()} == {"done"}
    assert all(item["durationMs"] >= 300 for item in items.values())
