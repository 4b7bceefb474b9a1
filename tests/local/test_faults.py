"""The fault switch: what it injects, in whose words, and who may turn it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.local.files import LocalFiles, read_json
from imgpipe_cli.local.guard.access import Rules
from imgpipe_cli.local.guard.asgi import Receive, Scope, Send
from imgpipe_cli.local.guard.guard import Guard
from imgpipe_cli.local.guard.storage import Storage
from imgpipe_cli.local.process import control
from imgpipe_cli.local.process.cloud_client import ask
from imgpipe_cli.local.process.running_cloud import LocalCloud
from imgpipe_cli.local.rekognition.faults import OVER_QUOTA, SERVER_ERROR, THROTTLED, Faults, FaultSwitch
from tests.local.conftest import STUB
from tests.support.own_loop import finish

PICTURE = {"Bytes": b"picture"}
SIGNED = (
    b"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/rekognition/aws4_request, "
    b"SignedHeaders=host;x-amz-date, Signature=" + b"0" * 64
)


@pytest.fixture(autouse=True)
def _off_again(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "stub_cloud" in request.fixturenames:
        control.turn_faults(Faults(), request.getfixturevalue("stub_folder"))


def rekognition(cloud: LocalCloud, connect: Callable[..., Any]) -> Any:
    return connect(cloud, "rekognition", retries={"total_max_attempts": 1})


def refusal(call: Callable[..., Any], **parameters: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as refused:
        call(Image=PICTURE, **parameters)
    answer = refused.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def test_a_rate_lets_so_many_calls_pass_each_second_and_counts_each_operation_for_itself() -> None:
    now = 100.0
    switch = FaultSwitch(clock=lambda: now)
    switch.turn(Faults(tps=5))
    assert [switch.injected("DetectLabels") for _ in range(7)] == [None] * 5 + [OVER_QUOTA] * 2
    assert switch.injected("DetectText") is None
    now = 100.2
    assert [switch.injected("DetectLabels") for _ in range(2)] == [None, OVER_QUOTA]
    now = 200.0
    assert [switch.injected("DetectLabels") for _ in range(6)] == [None] * 5 + [OVER_QUOTA]


def test_a_rate_below_one_is_one_call_in_several_seconds() -> None:
    now = 0.0
    switch = FaultSwitch(clock=lambda: now)
    switch.turn(Faults(tps=0.5))
    assert [switch.injected("DetectFaces") for _ in range(2)] == [None, OVER_QUOTA]
    now = 2.0
    assert switch.injected("DetectFaces") is None


def test_shares_are_drawn_for_each_call() -> None:
    chances = iter([0.1, 0.5, 0.1, 0.5, 0.5])
    switch = FaultSwitch(chance=lambda: next(chances))
    switch.turn(Faults(throttle_percent=20, error_percent=30))
    assert switch.injected("DetectText") == THROTTLED
    assert switch.injected("DetectText") == SERVER_ERROR
    assert switch.injected("DetectText") is None


def test_faults_concern_the_operations_that_are_named() -> None:
    switch = FaultSwitch()
    switch.turn(Faults(throttle_percent=100, latency_ms=50, operations=("DetectText",)))
    assert switch.injected("DetectLabels") is None
    assert switch.latency_s("DetectLabels") == 0
    assert switch.injected("DetectText") == THROTTLED
    assert switch.latency_s("DetectText") == 0.05


@pytest.mark.parametrize(
    "values",
    [
        {"tps": 0},
        {"tps": -1},
        {"throttle_percent": 101},
        {"error_percent": -1},
        {"latency_ms": 10**9},
        {"operations": ["DetectCats"]},
        {"dreams": 1},
        {"tps": "5"},
        [],
    ],
)
def test_what_has_no_meaning_is_refused(values: Any) -> None:
    with pytest.raises(ValueError):
        Faults.from_json(values)


def test_throttling_has_rekognitions_own_code_and_message(
    stub_cloud: LocalCloud, stub_folder: Path, connect: Callable[..., Any]
) -> None:
    client = rekognition(stub_cloud, connect)
    control.turn_faults(Faults(throttle_percent=100), stub_folder)
    assert refusal(client.detect_labels) == (
        400,
        "ThrottlingException",
        "Slow down; sudden increase in rate of requests.",
    )
    control.turn_faults(Faults(error_percent=100), stub_folder)
    assert refusal(client.detect_labels)[:2] == (500, "InternalServerError")
    control.turn_faults(Faults(tps=0.001), stub_folder)
    assert client.detect_labels(Image=PICTURE)["Labels"]
    assert refusal(client.detect_labels) == (
        400,
        "ProvisionedThroughputExceededException",
        "Provisioned Rate exceeded.",
    )


def test_an_sdk_retries_what_is_injected_and_gets_its_answer(
    stub_cloud: LocalCloud, stub_folder: Path, connect: Callable[..., Any]
) -> None:
    client = connect(stub_cloud, "rekognition", retries={"mode": "standard", "total_max_attempts": 5})
    over_quota = Faults(throttle_percent=100)
    before = control.turn_faults(over_quota, stub_folder)["calls"].get("DetectLabels", {})

    def until_refused(**_answer: Any) -> None:
        control.turn_faults(Faults(), stub_folder)

    client.meta.events.register("needs-retry.rekognition.DetectLabels", until_refused)
    assert client.detect_labels(Image=PICTURE)["Labels"]
    after = control.status(stub_folder).calls
    assert after is not None
    for outcome in ("answered", "throttled"):
        assert after["DetectLabels"][outcome] - before.get(outcome, 0) == 1


def test_status_shows_what_is_on_and_a_restart_switches_it_off(tmp_path: Path) -> None:
    control.start(tmp_path, command=STUB)
    try:
        assert control.status(tmp_path).faults is None
        control.turn_faults(Faults(tps=5, operations=("DetectText",)), tmp_path)
        shown = control.status(tmp_path).faults
        assert shown is not None
        assert (shown["tps"], shown["operations"]) == (5, ["DetectText"])
        control.stop(tmp_path)
        control.start(tmp_path, command=STUB)
        assert control.status(tmp_path).faults is None
    finally:
        control.stop(tmp_path)


def test_without_a_cloud_there_is_nothing_to_switch(tmp_path: Path) -> None:
    with pytest.raises(Problem) as refused:
        control.turn_faults(Faults(tps=5), tmp_path)
    assert (refused.value.code, refused.value.exit_code) == ("local_not_running", ExitCode.NOT_SET_UP)


def test_the_switch_needs_the_token_and_good_sense(stub_cloud: LocalCloud, stub_folder: Path) -> None:
    written = read_json(LocalFiles(stub_folder / "local").cloud)
    assert written is not None
    port, route = written["port"], "/_imgpipe/faults"
    assert ask(port, route, method="POST", token="guessed", body={"tps": 1}) is None
    assert ask(port, route, method="POST", token=written["token"], body={"tps": -1}) is None
    assert ask(port, route, method="POST", token=written["token"], body={"x": "y" * 50_000}) is None
    assert control.status(stub_folder).faults is None


def test_calls_are_counted_by_what_became_of_them(
    stub_cloud: LocalCloud, stub_folder: Path, connect: Callable[..., Any]
) -> None:
    client = rekognition(stub_cloud, connect)
    before = control.turn_faults(Faults(), stub_folder)["calls"].get("DetectFaces", {})
    refusal(client.detect_faces)  # the stub's defect
    after = control.turn_faults(Faults(), stub_folder)["calls"]["DetectFaces"]
    assert after["failed"] == before.get("failed", 0) + 1


def test_only_so_many_pictures_are_at_rekognition_at_once() -> None:
    inside = most = 0
    read: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await receive()
        await asyncio.sleep(0.001)
        inside -= 1
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def call() -> None:
        async def receive() -> dict[str, Any]:
            read.append(inside)
            return {"type": "http.request", "body": b"{}"}

        async def send(_message: Any) -> None:
            return None

        headers = [
            (b"host", b"127.0.0.1:1"),
            (b"x-amz-target", b"RekognitionService.DetectLabels"),
            (b"authorization", SIGNED),
            (b"content-type", b"application/x-amz-json-1.1"),
        ]
        line = {"type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b""}
        await guard({**line, "headers": headers}, receive, send)

    async def burst() -> None:
        await asyncio.gather(*(call() for _ in range(50)))

    rules = Rules(1, lambda _key: True, lambda _bucket: False, lambda _api: False)
    guard = Guard(
        app,
        rules,
        app,
        verify=lambda _scope, _signed, _body: None,
        storage=Storage(Path(), unsaved=lambda: "", sizes=lambda: (0, 0)),
        api_slots=1,
        rekognition_slots=3,
        on_write=lambda: None,
    )
    finish(burst())
    assert len(read) == 50
    assert most == 3
