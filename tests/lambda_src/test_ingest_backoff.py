"""Within one run: what is tried again, for how long, and what is never sent twice."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from ingest import app as ingest_app
from ingest import timeouts
from ingest.app import Unfinished
from ingest.backoff import LONGEST_PAUSE_S, Backoff
from ingest.faults import is_passing

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud

URL = "https://example.com"


def status_of(cloud: Cloud, key: str) -> str:
    item = cloud.stored(key)
    assert item is not None
    return str(item["status"])


def after(cloud: Cloud, pauses: int, what: Any) -> None:
    """It happens at the end of so many pauses."""

    def asleep() -> None:
        if len(cloud.slept) == pauses:
            what()

    cloud.while_asleep = asleep


# --- Rekognition ---------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["ThrottlingException", "ProvisionedThroughputExceededException"])
def test_a_throttled_picture_is_asked_for_until_it_is_answered(
    cloud: Cloud, pictures: SimpleNamespace, code: str
) -> None:
    good = cloud.answers["DetectLabels"]
    cloud.answers["DetectLabels"] = code
    after(cloud, 9, lambda: cloud.answers.update(DetectLabels=good))
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    assert status_of(cloud, "a.jpg") == "done"
    assert len(cloud.asked) == 10


def test_time_is_left_for_a_last_call_at_its_worst_and_for_the_result(
    cloud: Cloud, pictures: SimpleNamespace
) -> None:
    cloud.answers["DetectLabels"] = "ThrottlingException"
    with pytest.raises(Unfinished, match="throttled"):
        cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    assert status_of(cloud, "a.jpg") == "failed"
    left_s = timeouts.TRYING_S - sum(cloud.slept)
    assert 0 <= left_s - timeouts.ASKING_S - timeouts.STORING_S <= LONGEST_PAUSE_S


def test_the_time_is_what_lambda_says(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.answers["DetectLabels"] = "ThrottlingException"
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 20_000)
    with pytest.raises(Unfinished, match="throttled"):
        cloud.ingest(cloud.put("a.jpg", pictures.jpeg()), context=context)
    assert (len(cloud.asked), cloud.slept) == (1, [])


def test_an_outage_is_left_to_lambda_soon(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.answers["DetectLabels"] = "InternalServerError"
    with pytest.raises(Unfinished, match="service_error"):
        cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    assert len(cloud.asked) == 3


@pytest.mark.parametrize("code", ["AccessDeniedException", "InvalidParameterException", "SomethingNew"])
def test_what_no_second_try_changes_is_asked_once(cloud: Cloud, pictures: SimpleNamespace, code: str) -> None:
    cloud.answers["DetectLabels"] = code
    try:
        cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    except Unfinished:
        assert code != "InvalidParameterException"
    assert (len(cloud.asked), cloud.slept) == (1, [])


def test_an_answer_that_does_not_come_in_time_is_not_asked_for_again(
    cloud: Cloud, pictures: SimpleNamespace
) -> None:
    """AWS may have looked at the picture, and will bill it then."""

    def slow(_asked: dict[str, Any]) -> dict[str, Any]:
        raise ReadTimeoutError(endpoint_url=URL)

    cloud.answers["DetectLabels"] = slow
    with pytest.raises(Unfinished, match="service_unreachable"):
        cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    assert len(cloud.asked) == 1


def test_a_connection_that_was_closed_meanwhile_is_opened_again() -> None:
    """As when the function has slept for minutes between two events."""
    assert is_passing(ConnectionClosedError(endpoint_url=URL))
    assert not is_passing(ReadTimeoutError(endpoint_url=URL))


def test_the_sdk_sends_no_picture_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TABLE_NAME": "t", "INDEX_TABLE": "i", "FEATURES": "labels"}.items():
        monkeypatch.setenv(name, value)
    ingest_app.needs.cache_clear()
    client: Any = ingest_app.needs().rekognition
    ingest_app.needs.cache_clear()
    assert client.meta.config.retries["total_max_attempts"] == 1
    assert client.meta.config.read_timeout == 30


def test_the_pauses_grow_and_differ() -> None:
    slept: list[float] = []
    throttled = {"Error": {"Code": "ThrottlingException", "Message": "no"}}

    def call() -> None:
        from botocore.exceptions import ClientError

        raise ClientError(throttled, "DetectLabels")  # type: ignore[arg-type]

    chances = iter([0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0])
    backoff = Backoff(left_s=lambda: 100 - sum(slept), sleep=slept.append, chance=lambda: next(chances))
    with pytest.raises(Exception, match="ThrottlingException"):
        backoff.call(call, keep_s=75)
    assert slept == [0.375, 1.5, 1.5, 6.0, 4.0, 8.0]


# --- the store -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "code"), [(400, "ThrottlingException"), (500, "InternalServerError")])
def test_what_was_bought_is_stored_once_the_store_takes_it(
    cloud: Cloud, pictures: SimpleNamespace, status: int, code: str
) -> None:
    store, write = cloud.results_client, cloud.operation("write")
    cloud.fail(store, write, status, code)
    after(cloud, 6, lambda: cloud.heal(store, write))
    cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    assert status_of(cloud, "a.jpg") == "done"
    assert len(cloud.asked) == 1


def test_a_store_that_takes_nothing_is_tried_until_the_time_is_over(
    cloud: Cloud, pictures: SimpleNamespace
) -> None:
    cloud.fail(cloud.results_client, cloud.operation("write"), 400, "ThrottlingException")
    with pytest.raises(Unfinished, match="ThrottlingException"):
        cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    assert 0 <= timeouts.TRYING_S - sum(cloud.slept) - timeouts.STORING_S <= LONGEST_PAUSE_S


def test_what_was_bought_outlives_a_read_that_fails_after_another_was_faster(
    cloud: Cloud, pictures: SimpleNamespace
) -> None:
    """Another version's result comes between the answer and the result, and then the store is throttled."""
    store, read, write = cloud.results_client, cloud.operation("read"), cloud.operation("write")
    service = store.meta.service_model.service_name
    event = cloud.put("a.jpg", pictures.jpeg())

    def another_is_faster(**_context: Any) -> None:
        store.meta.events.unregister(f"before-call.{service}.{write}", unique_id="once")
        cloud.store("a.jpg", "2026-11-22T18:00:00.000Z", versionId="older", eTag="e")
        cloud.fail(store, read, 400, "ThrottlingException")

    store.meta.events.register_first(f"before-call.{service}.{write}", another_is_faster, unique_id="once")
    after(cloud, 3, lambda: cloud.heal(store, read))
    cloud.ingest(event)
    assert status_of(cloud, "a.jpg") == "done"
    assert len(cloud.asked) == 1


def test_with_nothing_to_lose_the_store_is_left_to_lambda(cloud: Cloud, pictures: SimpleNamespace) -> None:
    cloud.fail(cloud.results_client, cloud.operation("read"), 400, "ThrottlingException")
    with pytest.raises(Unfinished):
        cloud.ingest(cloud.put("a.jpg", pictures.jpeg()))
    assert (cloud.asked, cloud.slept) == ([], [])
