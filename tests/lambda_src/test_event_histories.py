"""No picture without a result, whatever becomes of its events; see `event_history.py` for what is played.

`make test` looks at few histories, always the same; `make test-all` at more, and each slice of it at others.
`IMGPIPE_HISTORIES=5000 pytest tests/lambda_src/test_event_histories.py` looks at so many, new ones each time,
and takes minutes to make one that fails shorter. With `--exhaustive 5/12` it shortens the one of that slice.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Literal, get_args

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.lambda_src.event_history import Beside, Delivery, Event, History, Place, Trouble
from tests.support import exhaustive
from tests.support.function_cloud import Cloud
from tests.support.gateway import Call
from tests.support.picture_heads import jpeg
from web import app as web_app

_MANY = int(os.environ.get("IMGPIPE_HISTORIES", "0"))
_FEW = 80 if exhaustive.share.everything else 20
_SETTINGS = settings(
    max_examples=_MANY or _FEW,
    derandomize=not _MANY and not exhaustive.share.of,
    stateful_step_count=20,
    deadline=None,
    database=None,
    phases=tuple(Phase) if _MANY else (Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)

# The second and third differ in their Unicode normal form only: two keys in S3, two pictures.
KEYS = ("a.jpg", "caf\u00e9 +%.jpg", "cafe\u0301 +%.jpg")
BODIES = (None, None, None, jpeg(40, 40), b"no picture")
_ERRORS = ("throttled", "broken", "denied", "lost", "killed before", "killed after")
PLACES = get_args(Place)

troubles = st.one_of(
    st.builds(Trouble, place=st.sampled_from(PLACES), how=st.sampled_from(_ERRORS), nth=st.integers(1, 2)),
    st.builds(Trouble, place=st.sampled_from(("labels", "faces")), how=st.just("refused")),
)
numbers = st.integers(0, 7)


class Histories(RuleBasedStateMachine):
    """Every order of changes, deliveries and troubles."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        super().__init__()
        self.history = History(cloud, name)

    def _stored(self) -> list[str]:
        return [key for key in KEYS if self.history.stack(key)]

    def _arrivals(self) -> list[Delivery]:
        """Those on their way that bring nothing else. A lost removal is noticed by nobody."""
        return [
            one
            for one in self.history.waiting
            if all(is_arrival(record) for event in one.events for record in event["Records"])
        ]

    def _one(self, number: int) -> Delivery:
        return self.history.waiting[number % len(self.history.waiting)]

    @rule(key=st.sampled_from(KEYS), body=st.sampled_from(BODIES))
    def put(self, key: str, body: bytes | None) -> None:
        self.history.put(key, body)

    @precondition(lambda self: self._stored())
    @rule(number=numbers)
    def delete(self, number: int) -> None:
        self.history.delete(self._stored()[number % len(self._stored())])

    @precondition(lambda self: self._stored())
    @rule(number=numbers, place=st.integers(0, 3))
    def delete_for_good(self, number: int, place: int) -> None:
        key = self._stored()[number % len(self._stored())]
        self.history.delete_for_good(key, -1 - place % len(self.history.stack(key)))

    @precondition(lambda self: self.history.waiting)
    @rule(number=numbers, troubles=st.lists(troubles, max_size=2))
    def deliver(self, number: int, troubles: list[Trouble]) -> None:
        self.history.deliver(self._one(number), *troubles)

    @precondition(lambda self: self.history.sent)
    @rule(number=numbers)
    def duplicate(self, number: int) -> None:
        event = self.history.sent[-1 - number % len(self.history.sent)]
        self.history.waiting.append(Delivery([event]))

    @precondition(lambda self: self.history.waiting)
    @rule(
        first=numbers,
        second=numbers,
        place=st.sampled_from(PLACES),
        nth=st.integers(1, 2),
        firsts=st.lists(troubles, max_size=1),
        seconds=st.lists(troubles, max_size=1),
    )
    def two_at_once(
        self, first: int, second: int, place: Place, nth: int, firsts: list[Trouble], seconds: list[Trouble]
    ) -> None:
        beside = Beside(place=place, delivery=self._one(second), nth=nth, troubles=tuple(seconds))
        self.history.deliver(self._one(first), *firsts, beside)

    @precondition(lambda self: len(self.history.waiting) > 1)
    @rule(bad=st.sampled_from(["unknown shape", "undecodable key", "another bucket"]))
    def several_records_and_a_bad_one(self, bad: str) -> None:
        self.history.several_in_one(broken(bad, self.history.waiting[0].events[0]))

    @precondition(lambda self: self._stored())
    @rule(number=numbers, troubles=st.lists(troubles, max_size=1))
    def retry_by_hand(self, number: int, troubles: list[Trouble]) -> None:
        key = list(self.history.versions)[number % len(self.history.versions)]
        self.history.by_hand(key, *troubles)

    @precondition(lambda self: self._arrivals())
    @rule(number=numbers)
    def lose(self, number: int) -> None:
        arrivals = self._arrivals()
        self.history.lose(arrivals[number % len(arrivals)])

    @rule()
    def switch_features(self) -> None:
        self.history.features = "labels" if "faces" in self.history.features else "labels,faces"

    @precondition(lambda self: self.history.sent)
    @rule(number=numbers)
    def replay(self, number: int) -> None:
        self.history.replay(self.history.sent[-1 - number % len(self.history.sent)])

    def teardown(self) -> None:
        self.history.run_out()
        self.history.check_end()
        self.history.redrive()
        for key in list(self.history.unknown):
            self.history.by_hand(key)
        for key in self.history.versions:
            self.history.check_final(key)


def is_arrival(record: Event) -> bool:
    return str(record["eventName"]).startswith("ObjectCreated:") and "versionId" in record["s3"].get(
        "object", {}
    )


def broken(how: str, event: Event) -> Event:
    """A record that S3 would never send to this function."""
    record = event["Records"][0]
    thing = record["s3"]["object"]
    match how:
        case "unknown shape":
            bad: dict[str, Any] = {**record, "s3": {"bucket": record["s3"]["bucket"]}}
        case "undecodable key":
            bad = {**record, "s3": {**record["s3"], "object": {**thing, "key": thing["key"] + "%FF"}}}
        case _:
            there = {
                "bucket": {"name": "another-bucket"},
                "object": {**thing, "key": f"of+another/{thing['key']}"},
            }
            bad = {**record, "s3": {**record["s3"], **there}}
    return {"Records": [bad]}


@pytest.mark.loops
def test_every_history_ends_with_every_result(cloud: Cloud, call: Call) -> None:
    names = itertools.count()
    keys: set[str] = set()

    class Here(Histories):
        def __init__(self) -> None:
            super().__init__(cloud, f"h{next(names)}")

        def teardown(self) -> None:
            super().teardown()
            keys.update(self.history.versions)

    seeded = seed(exhaustive.share.slice)(Here) if exhaustive.share.of else Here
    run_state_machine_as_test(seeded, settings=_SETTINGS)
    there = [key for key in keys if cloud.results.get(key)]
    assert there
    # What events tell of another bucket's pictures is nobody's to list or not.
    assert sorted(key for key in listed(cloud, call) if key in keys) == sorted(there)


def listed(cloud: Cloud, call: Call) -> Iterator[str]:
    """The keys that GET /results tells, page by page."""
    needs = cloud.web(first_day=cloud.now.date() - timedelta(days=3))
    query = {"limit": "100"}
    while True:
        page = call(web_app.serve, needs, "GET /results", query).json
        yield from (str(item["objectKey"]) for item in page["items"])
        if page["next"] is None:
            return
        query["after"] = page["next"]


Change = Literal["put", "delete", "newest", "oldest"]
"""What happens to a key; "newest" and "oldest" is the version or delete marker that is deleted for good."""


def change(history: History, what: str) -> None:
    match what:
        case "put":
            history.put("a.jpg")
        case "delete":
            history.delete("a.jpg")
        case "newest":
            history.delete_for_good("a.jpg", -1)
        case "oldest":
            history.delete_for_good("a.jpg", 0)


@pytest.mark.parametrize("length", [1, 2, exhaustive.only(3), exhaustive.only(4, minutes=True)])
def test_every_order_of_every_short_history(cloud: Cloud, length: int) -> None:
    """Every order of the events, the first one twice; all has happened in the bucket before that."""
    for number, changes in enumerate(itertools.product(get_args(Change), repeat=length - 1)):
        in_any_order(cloud, ("put", *changes), f"h{number}")


@pytest.mark.parametrize(
    "history",
    exhaustive.cases(
        (
            "put-put-delete-put",
            "put-put-delete-newest",
            "put-put-newest-newest",
            "put-delete-put-newest",
            "put-delete-newest-put",
        ),
        keep=2,
    ),
)
def test_every_order_of_four_events(cloud: Cloud, history: str) -> None:
    in_any_order(cloud, history.split("-"), "h")


def in_any_order(cloud: Cloud, changes: Sequence[str], name: str) -> None:
    for number, order in enumerate(itertools.permutations(range(len(changes)))):
        history = History(cloud, f"{name}/{number}")
        for what in changes:
            if what == "put" or history.stack("a.jpg"):
                change(history, what)
        deliveries = list(history.waiting)
        for place in order:
            if place < len(deliveries):
                history.deliver(deliveries[place])
        history.waiting.append(Delivery(deliveries[order[0] % len(deliveries)].events))
        history.run_out()
        history.check_end()
