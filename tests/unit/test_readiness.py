"""The wait after `up` until the API really answers: deploying and fresh permissions take AWS a while."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from imgpipe_cli.aws.client import Aws, Place
from imgpipe_cli.deploy import pipeline_info
from imgpipe_cli.deploy.readiness import LIMIT_S, FirstRequest, wait_until_answering
from imgpipe_cli.deploy.resource import Observed
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.events import Event, Waiting
from imgpipe_cli.session.connection import Connection
from imgpipe_cli.session.settings import Settings
from imgpipe_cli.session.target import Remembered, Target
from tests.support.api_server import TOKEN, Answer, Clock, FakeApi
from tests.support.cli import NAMES

# What API Gateway says before the stage is deployed, while it may not call the function, and under load.
_NOT_DEPLOYED = Answer(404, {"message": "Not Found"})
_NOT_PERMITTED = Answer(500, {"message": "Internal Server Error"})
_NOT_THERE = Answer(503, {"message": "Service Unavailable"})


class Wait:
    """One wait for that API on a clock of its own, and what it told."""

    def __init__(self, played: FakeApi) -> None:
        self.clock = Clock()
        self.told: list[Event] = []
        self._found = Remembered(
            target=Target(project="demo"),
            account="123456789012",
            region="eu-west-1",
            endpoint=None,
            bucket="bucket",
            api_url=played.url,
            token=TOKEN,
            private=False,
            min_confidence=70.0,
        )

    def __call__(self, limit_s: float = LIMIT_S, **more: Any) -> None:
        how = {"sleep": self.clock.sleep, "clock": self.clock, **more}
        wait_until_answering(self._found, self.told.append, limit_s=limit_s, **how)


def test_an_api_that_answers_needs_no_pause(played: FakeApi) -> None:
    wait = Wait(played)
    wait()
    assert wait.clock.slept == []
    assert wait.told == []


@pytest.mark.parametrize("private", [False, True])
def test_a_deployment_and_a_permission_that_come_late_are_waited_for(played: FakeApi, private: bool) -> None:
    played.private = private
    played.instead = [*[_NOT_DEPLOYED] * 5, *[_NOT_PERMITTED] * 4, _NOT_THERE, Answer(404, b"<html>")]
    wait = Wait(played)
    wait()
    assert played.instead == []
    why = [event.detail for event in wait.told if isinstance(event, Waiting)]
    assert [text for text in why if "HTTP 404" in text]
    assert [text for text in why if "HTTP 500" in text]


def test_an_api_that_is_never_deployed_ends_the_wait_within_a_minute(played: FakeApi) -> None:
    played.instead = [_NOT_DEPLOYED] * 1000
    wait = Wait(played)
    with pytest.raises(Problem) as told:
        wait()
    assert 60 <= wait.clock.now < 63
    assert (told.value.code, told.value.exit_code) == ("api_not_answering", ExitCode.PENDING)
    assert played.url in told.value.message and "HTTP 404" in told.value.message


def test_what_was_not_changed_is_asked_once(played: FakeApi) -> None:
    Wait(played)(limit_s=0)
    played.instead = [_NOT_PERMITTED] * 2
    wait = Wait(played)
    with pytest.raises(Problem, match="HTTP 500"):
        wait(limit_s=0)
    assert len(played.instead) == 1
    assert wait.clock.slept == []


def test_the_cause_of_a_late_answer_is_looked_for_and_told_instead(played: FakeApi) -> None:
    """Another run may have removed the pipeline."""
    played.instead = [_NOT_DEPLOYED] * 1000
    wait = Wait(played)

    def removed() -> None:
        raise Problem("removed_meanwhile", "The pipeline was removed by imgpipe down while this ran.")

    with pytest.raises(Problem) as told:
        wait(late=removed)
    assert told.value.code == "removed_meanwhile"
    assert 5 <= wait.clock.now < 8


class First:
    """A first request to that API, while the resources of its pipeline become right one after the other."""

    def __init__(self, played: FakeApi) -> None:
        endpoint = f"http://127.0.0.1:{urlsplit(played.url).port}"
        place = Place(region="eu-west-1", endpoint=endpoint, access_key_id="a", secret_access_key="b")
        self._connection = Connection(Target(project="demo"), Aws(place), NAMES)
        self._url = played.url
        self.request = FirstRequest(self._connection)

    def note(self, *names: str, token: str = TOKEN) -> Remembered | None:
        """These are right now; what the user gets, once it is known."""
        facts = {
            "settings": {"value": Settings(first_day="2026-01-01").to_json()},
            "token": {"value": token},
            "api": {"id": "a1", "endpoint": self._url.removesuffix("/prod")},
        }
        observed = {name: Observed(exists=True, facts=facts.get(name, {})) for name in names}
        for name, one in observed.items():
            self.request.note(name, one)
        return pipeline_info.of(self._connection, observed) if observed.keys() >= facts.keys() else None


_ALL = (
    *("settings", "token", "api", "api.routes", "api.stage"),
    *("function.get_result", "permission.api.get_result"),
)


def test_the_first_request_is_sent_once_all_is_there_that_answers_it(played: FakeApi) -> None:
    first = First(played)
    first.note(*_ALL[:-1], "notification")
    assert played.asked == []
    found = first.note(*_ALL)
    assert found is not None
    assert first.request.is_answered(found)
    first.note("function.get_result")
    assert len(played.asked) == 1


def test_the_first_request_counts_only_with_the_token_that_is_in_force(played: FakeApi) -> None:
    first = First(played)
    before = first.note(*_ALL)
    now = first.note(*_ALL, token="another")
    assert before is not None and now is not None
    assert first.request.is_answered(now)
    assert not first.request.is_answered(before)


def test_a_first_request_that_the_gateway_answers_is_no_answer(played: FakeApi) -> None:
    played.instead = [_NOT_DEPLOYED]
    first = First(played)
    found = first.note(*_ALL)
    assert found is not None
    assert not first.request.is_answered(found)
