"""A burst on a local cloud that works on more pictures at once than the ingest function may.

The whole of it, with 300 pictures, is `benchmarks/burst.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from imgpipe_cli.diagnose.retry import calling
from imgpipe_cli.errors import Problem
from imgpipe_cli.local.emulator import environment
from imgpipe_cli.local.process import control
from imgpipe_cli.local.rekognition.faults import Faults
from tests.local.conftest import STUB
from tests.support.machine import Machine, jpeg, machine_in, until

PROJECT = "capped"
HERE = ("--local", "--project", PROJECT)
AT_ONCE = 8


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Its local cloud has places for 8 runs, and the pipeline a cap of 2."""
    with machine_in(tmp_path_factory.mktemp("capped")) as found:
        control.start(found.state, command=STUB, concurrency=AT_ONCE)
        found.imgpipe("up", *HERE, "--no-models", "--rekognition-tps", "2")
        yield found


def queue(machine: Machine) -> dict[str, int]:
    found = control.status(machine.state).queue
    assert found is not None
    return found


def test_a_cloud_works_on_as_many_as_it_was_started_for(machine: Machine) -> None:
    assert queue(machine)["workers"] == AT_ONCE
    limit = machine.client("lambda").get_account_settings()["AccountLimit"]
    # Functions behind the API run beside them.
    assert limit["ConcurrentExecutions"] == AT_ONCE + environment._OTHER_RUNS
    done = machine.imgpipe("local", "start", "--json")
    assert done.json()["data"]["concurrency"] == AT_ONCE
    assert machine.imgpipe("local", "start", "--concurrency", str(AT_ONCE)).code == 0
    with pytest.raises(Problem) as refused:
        control.start(machine.state, concurrency=3)
    assert refused.value.code == "local_running_elsewhere"
    assert f"works on {AT_ONCE} events at once" in refused.value.message
    assert "local start --concurrency 3" in refused.value.hint


def test_a_burst_is_worked_on_as_the_cap_allows_and_none_is_lost(machine: Machine, tmp_path: Path) -> None:
    again = machine.imgpipe("up", *HERE, "--no-models", "--json").json()["data"]
    assert again["changed"] == []
    assert (again["settings"]["rekognitionTps"], again["settings"]["concurrency"]) == (2, 2)
    control.turn_faults(Faults(throttle_percent=100), machine.state)
    for number in range(16):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(number))
    machine.imgpipe("upload", tmp_path, *HERE)
    until(lambda: queue(machine)["running"] == 2, what="as many run as may")
    control.turn_faults(Faults(tps=4), machine.state)
    seen: set[int] = set()

    def at_rest() -> bool:
        now = queue(machine)
        seen.add(now["running"])
        return now["waiting"] == now["running"] == 0

    until(at_rest, what="all events ended")
    assert max(seen) <= 2, "with 8 places the queue runs as many as the function may"
    items = [line["status"] for line in machine.imgpipe("list", "--limit", "0", *HERE, "--json").lines()]
    assert items == ["done"] * 16
    calls = control.status(machine.state).calls
    assert calls is not None and calls["DetectLabels"]["answered"] == 16
    failed = machine.imgpipe("retry", "--dry-run", *HERE, "--json").json()["data"]
    assert failed["pictures"] == []


def test_a_cap_that_was_changed_by_hand_is_shown_and_mended(machine: Machine) -> None:
    client, function = machine.client("lambda"), f"{PROJECT}-ingest"
    client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    status = machine.imgpipe("status", *HERE, code=1)
    shown = f"set reserved concurrency 2 instead of 0 of function {function}"
    assert shown in " ".join(status.out.split())
    machine.imgpipe("up", *HERE, "--no-models")
    assert client.get_function_concurrency(FunctionName=function)["ReservedConcurrentExecutions"] == 2


def test_a_call_beyond_the_cap_is_refused_as_retry_expects_it(machine: Machine) -> None:
    """Which waits and calls again: `test_lambda_is_asked_again_while_it_is_too_busy`."""
    client, function = machine.client("lambda"), f"{PROJECT}-ingest"
    client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    with pytest.raises(client.exceptions.TooManyRequestsException) as refused:
        client.invoke(FunctionName=function, Payload=b"{}")
    assert refused.value.response["Error"]["Code"] in calling._BUSY
    client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=2)
    assert client.invoke(FunctionName=function, Payload=b"{}")["StatusCode"] == 200
