"""One look answers all who ask at the same time, and what was not there is looked for again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.system.single_flight import SingleFlight


@pytest.fixture
def known() -> SingleFlight[str | None]:
    return SingleFlight()


class Look:
    """A look that answers when it is told to, and counts."""

    def __init__(self, *answers: str | None) -> None:
        self._answers = list(answers)
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.count = 0

    def __call__(self) -> str | None:
        self.count += 1
        self.begun.set()
        assert self.go_on.wait(60)
        return self._answers.pop(0)


def _both(first: Callable[[], str | None], second: Callable[[], str | None], look: Look) -> list[str | None]:
    """Ask twice, the second time while the first answer is on its way."""
    with ThreadPoolExecutor(2) as pool:
        asked: list[Future[str | None]] = [pool.submit(first)]
        assert look.begun.wait(60)
        asked.append(pool.submit(second))
        look.go_on.set()
        return [future.result(60) for future in asked]


@pytest.mark.parametrize("answer", ["an id", None])
def test_who_asks_while_an_answer_is_on_its_way_gets_that_answer(
    known: SingleFlight[str | None], answer: str | None
) -> None:
    look = Look(answer, answer)
    # The owner of the value always looks; who only wants to know it joins.
    told = _both(lambda: known.learn("api", look), lambda: known.get("api", look), look)
    assert told == [answer, answer]
    assert look.count <= 1 + (answer is None)


def test_a_value_is_remembered_and_its_absence_is_not(known: SingleFlight[str | None]) -> None:
    look = Look(None, "an id")
    look.go_on.set()
    assert known.get("api", look) is None
    assert [known.get("api", look) for _ in range(3)] == ["an id"] * 3
    assert look.count == 2


def test_the_owners_look_replaces_what_is_remembered(known: SingleFlight[str | None]) -> None:
    look = Look("old", "new", None, "again")
    look.go_on.set()
    assert known.get("api", look) == "old"
    assert known.learn("api", look) == "new"
    assert known.get("api", look) == "new"
    assert known.learn("api", look) is None
    assert known.get("api", look) == "again"


def test_an_older_answer_that_comes_late_does_not_replace_a_newer_one(
    known: SingleFlight[str | None],
) -> None:
    slow, quick = Look("old"), Look("new")
    quick.go_on.set()
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(known.learn, "api", slow)
        assert slow.begun.wait(60)
        assert known.learn("api", quick) == "new"
        slow.go_on.set()
        assert late.result(60) == "old"
    assert known.get("api", slow) == "new"


def test_a_failed_look_fails_for_all_who_wait_and_is_not_remembered(known: SingleFlight[str | None]) -> None:
    def fails() -> str | None:
        raise AwsError("Throttling", "too fast")

    with pytest.raises(AwsError):
        known.get("api", fails)
    assert known.get("api", lambda: "an id") == "an id"


def test_eight_threads_that_ask_at_once_look_once() -> None:
    found: SingleFlight[str] = SingleFlight(4)
    together, computed = threading.Barrier(8), []

    def compute() -> str:
        computed.append(threading.get_ident())
        return "found"

    def ask() -> str:
        together.wait()
        return found.get("digest", compute)

    with ThreadPoolExecutor(8) as pool:
        answers = [answer.result() for answer in [pool.submit(ask) for _ in range(8)]]
    assert answers == ["found"] * 8
    assert len(computed) == 1


def test_only_the_latest_outcomes_are_kept() -> None:
    found: SingleFlight[str] = SingleFlight(2)
    computed: list[str] = []

    def computing(key: str) -> Callable[[], str]:
        def compute() -> str:
            computed.append(key)
            return key

        return compute

    for key in ("a", "b", "a", "c", "a", "b"):
        assert found.get(key, computing(key)) == key
    assert computed == ["a", "b", "c", "b"]


def test_a_value_that_was_told_outlives_a_look_that_finds_nothing_yet(
    known: SingleFlight[str | None],
) -> None:
    look = Look(None, "another id", None)
    look.go_on.set()
    known.tell("api", "an id")
    assert known.learn("api", look) is None
    assert known.get("api", look) == "an id"
    assert known.learn("api", look) == "another id"
    assert known.learn("api", look) is None  # from now on looks count
    look = Look("a third id")
    look.go_on.set()
    assert known.get("api", look) == "a third id"


def test_a_value_that_was_told_can_be_forgotten(known: SingleFlight[str | None]) -> None:
    look = Look("another id")
    look.go_on.set()
    known.tell("api", "an id")
    known.forget("api")
    assert known.get("api", look) == "another id"
