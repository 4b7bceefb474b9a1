"""Asynchronous events: bounded, retried, sent to the failure queue, never lost."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.local.emulator.async_events import Again, AsyncEvent, EventQueue
from imgpipe_cli.local.emulator.invocations import AsyncInvocations
from imgpipe_cli.local.process import control
from imgpipe_cli.local.process.running_cloud import LocalCloud
from tests.local.conftest import zipped

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"


# A shared machine may be slow; a test that passes never waits so long.
PATIENCE_S = 60


def wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def event(number: int = 0) -> AsyncEvent:
    return AsyncEvent(ARN, {"number": number}, accepted_at=time.time())


def test_never_more_than_its_workers_run_and_none_is_lost() -> None:
    lock, together = threading.Lock(), threading.Barrier(3)
    running, peak, done = 0, 0, 0

    def attempt(one: AsyncEvent) -> None:
        nonlocal running, peak, done
        with lock:
            running += 1
            peak = max(peak, running)
        if one.payload["number"] < 3:  # the first three meet
            together.wait(PATIENCE_S)
        time.sleep(0.001)
        with lock:
            running -= 1
            done += 1

    queue = EventQueue(attempt, workers=3)
    queue.start()
    for number in range(500):
        queue.put(event(number))
    wait_until(lambda: done == 500)
    assert peak == 3
    wait_until(lambda: queue.depth() == {"waiting": 0, "running": 0, "workers": 3})


def test_a_retry_waits_without_holding_a_worker() -> None:
    seen: list[int] = []

    def attempt(one: AsyncEvent) -> Again | None:
        seen.append(one.payload["number"])
        return Again(AsyncEvent(ARN, {"number": 9}, 0), 0.2) if one.payload["number"] == 0 else None

    queue = EventQueue(attempt, workers=1)
    for number in range(3):
        queue.put(event(number))
    queue.start()
    wait_until(lambda: len(seen) == 4)
    assert seen == [0, 1, 2, 9]


def test_a_defect_in_one_attempt_stops_nothing() -> None:
    seen: list[int] = []

    def attempt(one: AsyncEvent) -> None:
        seen.append(one.payload["number"])
        raise KeyError("private name")

    queue = EventQueue(attempt, workers=1)
    queue.start()
    queue.put(event(1))
    queue.put(event(2))
    wait_until(lambda: seen == [1, 2])


def test_what_is_not_finished_is_kept_and_restored() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def attempt(_: AsyncEvent) -> None:
        begun.set()
        go_on.wait(PATIENCE_S)

    queue = EventQueue(attempt, workers=1)
    queue.start()
    queue.put(event(1))
    queue.put(event(2), delay_s=60)
    assert begun.wait(PATIENCE_S)
    queue.close(0.01)
    records = queue.records()
    kept = {record["payload"]["number"]: record["request_id"] for record in records}
    assert list(kept) == [1, 2] and len(set(kept.values())) == 2
    go_on.set()

    seen: dict[int, str] = {}
    again = EventQueue(lambda one: seen.update({one.payload["number"]: one.request_id}), workers=1)
    assert again.restore(records) == 2
    again.start()
    wait_until(lambda: seen == kept)


class Lambda:
    """What AsyncInvocations asks of MiniStack's lambda service, with a script of results."""

    def __init__(self, *results: dict[str, Any], configured: dict[str, Any] | None = None) -> None:
        self.results = list(results)
        self.configured = configured or {}
        self.attempts = 0
        self.sent: list[tuple[Any, ...]] = []
        self.reserved: int | None = None
        self.in_flight = 0

    def _run_with_function_config_scope(self, _config: Any, call: Callable[..., Any], *arguments: Any) -> Any:
        return call(*arguments)

    def _get_func_record_for_ref(self, arn: str) -> tuple[Any, Any, str]:
        return {"name": "f"}, {"FunctionName": "f", "FunctionArn": arn}, "f"

    def _execution_record_for_config(self, func: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
        return {**func, "config": config}

    def _execute_function_with_config_scope(self, _func: Any, _payload: Any) -> dict[str, Any]:
        self.attempts += 1
        return self.results.pop(0) if len(self.results) > 1 else self.results[0]

    def _execute_function_dispatch(self, *_arguments: Any) -> dict[str, Any]:
        raise AssertionError("not called here")

    def _lambda_function_name_and_qualifier_from_arn(self, _arn: str) -> tuple[str, str | None]:
        return "f", None

    def _event_invoke_config(self, _func: Any, qualifier: str | None) -> dict[str, Any] | None:
        return self.configured if qualifier is None else None

    def _route_async_failure(self, *arguments: Any) -> None:
        self.sent.append(arguments)

    def _reserved_concurrency(self, _func: Any, _config: Any) -> int | None:
        return self.reserved

    def _inflight_key(self, config: dict[str, Any]) -> str:
        return str(config["FunctionName"])

    def executions_in_flight(self) -> tuple[int, dict[str, int]]:
        return self.in_flight, {"f": self.in_flight}


TO_QUEUE = {"DestinationConfig": {"OnFailure": {"Destination": "arn:queue"}}}


@pytest.mark.parametrize(
    ("configured", "results", "attempts", "sent"),
    [
        ({}, [{"error": True}, {}], 2, 0),
        (TO_QUEUE, [{"error": True}], 3, 1),
        ({**TO_QUEUE, "MaximumRetryAttempts": 0}, [{"error": True}], 1, 1),
        ({}, [{"error": True}], 3, 0),
        ({**TO_QUEUE, "MaximumRetryAttempts": 0}, [{"error": True, "throttle": True}] * 3 + [{}], 4, 0),
        ({**TO_QUEUE, "MaximumEventAgeInSeconds": 0.001}, [{"error": True, "throttle": True}], 1, 1),
    ],
)
def test_retries_as_lambda_does(
    configured: dict[str, Any],
    results: list[dict[str, Any]],
    attempts: int,
    sent: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("imgpipe_cli.local.emulator.invocations._RETRY_BASE_S", 0.01)
    service = Lambda(*results, configured=configured)
    invocations = AsyncInvocations(service, workers=1, on_change=lambda: None)
    invocations.queue.start()
    invocations.accept({"config": {"FunctionArn": ARN}}, {"a": 1})
    wait_until(lambda: service.attempts == attempts and not any(invocations.queue.records()))
    assert len(service.sent) == sent


def test_a_burst_ends_in_as_many_results_with_few_processes(
    stub_cloud: LocalCloud, stub_folder: Path, pipelines: Callable[..., Any]
) -> None:
    pipeline = pipelines(stub_cloud, "burst")
    keys = {f"{number} ü+.jpg" for number in range(60)}
    threads = [threading.Thread(target=pipeline.put, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pipeline.wait_for(keys)
    queue = control.status(stub_folder).queue
    assert queue is not None
    assert queue["workers"] <= 4
    assert len({item["process"]["N"] for item in pipeline.items()}) <= queue["workers"]


def test_a_picture_that_always_fails_reaches_the_failure_queue(
    stub_cloud: LocalCloud, pipelines: Callable[..., Any]
) -> None:
    pipeline = pipelines(stub_cloud, "failing")
    pipeline.put("bad.jpg")
    pipeline.put("good.jpg")
    pipeline.wait_for({"good.jpg"})
    queue = pipeline.connect("sqs").get_queue_url(QueueName="failing-failed")["QueueUrl"]
    messages: list[Any] = []
    deadline = time.monotonic() + PATIENCE_S
    while not messages:
        assert time.monotonic() < deadline
        messages = (
            pipeline.connect("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", [])
        )
    assert "bad.jpg" in messages[0]["Body"]
    assert "RetriesExhausted" in messages[0]["Body"]


def test_waiting_events_run_the_code_that_is_deployed_when_their_turn_comes(
    stub_cloud: LocalCloud, pipelines: Callable[..., Any]
) -> None:
    pipeline = pipelines(stub_cloud, "updated")
    pipeline.put("first.jpg")
    pipeline.wait_for({"first.jpg"})
    functions = pipeline.connect("lambda")
    # Until the code is there the function may not run: then no attempt counts.
    functions.put_function_concurrency(FunctionName="updated", ReservedConcurrentExecutions=0)
    pipeline.put("bad-then-good.jpg")
    code = (
        "import boto3\ntable = boto3.client('dynamodb')\n"
        "def handler(event, context):\n"
        "    key = event['Records'][0]['s3']['object']['key']\n"
        "    table.put_item(TableName='updated', Item={'key': {'S': key}})\n"
    )
    functions.update_function_code(FunctionName="updated", ZipFile=zipped({"ingest/app.py": code}))
    functions.delete_function_concurrency(FunctionName="updated")
    pipeline.wait_for({"bad-then-good.jpg"})


def test_each_attempt_at_an_event_has_its_request_id_and_each_event_another(
    stub_cloud: LocalCloud, pipelines: Callable[..., Any]
) -> None:
    pipeline = pipelines(stub_cloud, "numbered")
    code = (
        "import boto3, uuid\ntable = boto3.client('dynamodb')\n"
        "def handler(event, context):\n"
        "    found = {'id': {'S': context.aws_request_id}, 'key': {'S': str(uuid.uuid4())}}\n"
        "    table.put_item(TableName='numbered', Item=found)\n"
        "    raise ValueError\n"
    )
    pipeline.connect("lambda").update_function_code(
        FunctionName="numbered", ZipFile=zipped({"ingest/app.py": code})
    )
    pipeline.put("one.jpg")
    pipeline.put("two.jpg")
    pipeline.connect("lambda").invoke(FunctionName="numbered", Payload=b"{}")
    pipeline.connect("lambda").invoke(FunctionName="numbered", Payload=b"{}")
    wait_until(lambda: len(pipeline.items()) == 8)
    ids = Counter(item["id"]["S"] for item in pipeline.items())
    assert sorted(ids.values()) == [1, 1, 3, 3]


# --- a function at its cap -------------------------------------------------------------------------


def named(function: str, number: int) -> AsyncEvent:
    return AsyncEvent(f"{ARN}-{function}", {"number": number}, accepted_at=time.time())


def test_events_of_a_function_at_its_cap_wait_and_others_pass_them() -> None:
    """On every free run the next event begins: none is refused, and none comes back later."""
    lock = threading.Lock()
    running, peak, done = 0, 0, 0
    go_on = threading.Event()
    passed = threading.Event()

    def attempt(one: AsyncEvent) -> None:
        nonlocal running, peak, done
        if one.function.endswith("-free"):
            passed.set()
            return
        with lock:
            running += 1
            peak = max(peak, running)
        assert go_on.wait(PATIENCE_S)
        with lock:
            running -= 1
            done += 1

    queue = EventQueue(attempt, workers=8, room=lambda function, here: function.endswith("-free") or here < 2)
    queue.start()
    for number in range(60):
        queue.put(named("capped", number))
    wait_until(lambda: queue.depth()["running"] == 2)
    queue.put(named("free", 0))
    assert passed.wait(PATIENCE_S)
    assert queue.depth()["running"] <= 3
    go_on.set()
    wait_until(lambda: done == 60)
    assert peak == 2


def test_a_run_that_is_none_of_the_queues_is_waited_for() -> None:
    """Nobody tells the queue when a call ends whose answer somebody waits for."""
    in_the_way, done = [True], threading.Event()
    queue = EventQueue(lambda _one: done.set(), workers=1, room=lambda _function, _here: not in_the_way[0])
    queue.start()
    queue.put(event(1))
    assert not done.wait(0.01)
    in_the_way[0] = False
    assert done.wait(PATIENCE_S)


def test_events_of_all_functions_are_kept_in_the_order_in_which_they_are_due() -> None:
    queue = EventQueue(lambda _one: None, workers=1)
    for number, function in enumerate("abab"):
        queue.put(named(function, number))
    queue.put(named("a", 9), delay_s=60)
    assert [record["payload"]["number"] for record in queue.records()] == [0, 1, 2, 3, 9]
    assert queue.depth()["waiting"] == 5


@pytest.mark.parametrize(
    ("reserved", "in_flight", "running", "room"),
    [
        (None, 9, 9, True),
        (2, 0, 0, True),
        (2, 1, 1, True),
        (2, 2, 1, False),  # one of them is not the queue's
        (2, 1, 2, False),  # taken, and not begun yet
        (0, 0, 0, True),  # throttled to nothing: Lambda's own refusal makes the event old
    ],
)
def test_a_cap_counts_calls_and_events(
    reserved: int | None, in_flight: int, running: int, room: bool
) -> None:
    service = Lambda({})
    service.reserved, service.in_flight = reserved, in_flight
    invocations = AsyncInvocations(service, workers=1, on_change=lambda: None)
    assert invocations._has_room(ARN, running) is room


def test_what_cannot_be_looked_up_is_told_in_its_turn() -> None:
    class Broken(Lambda):
        def _get_func_record_for_ref(self, arn: str) -> tuple[Any, Any, str]:
            raise ValueError(arn)

    assert AsyncInvocations(Broken({}), workers=1, on_change=lambda: None)._has_room("no arn", 5)
