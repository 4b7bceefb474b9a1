"""`up` meets another `up`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from moto.backends import get_backend

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.deploy import conflicts, observe
from imgpipe_cli.errors import Problem
from imgpipe_cli.session.settings import Settings
from tests.functional.two_at_once.conftest import (
    KEEP,
    OTHER,
    WHEN,
    Clean,
    apis,
    meeting,
    points,
    stored,
)
from tests.support import exhaustive
from tests.support.account import (
    IN_S3,
    NAMES,
    SETTINGS,
    finished,
    fresh_account,
    inventory,
    nothing,
    pipeline,
    up,
)
from tests.support.interleaving import SharedAws


@pytest.mark.loops
@WHEN
def test_two_up_with_the_same_settings_both_end_well_with_one_of_everything(clean: Clean, when: str) -> None:
    for number in points(clean.changes, when):
        with fresh_account():
            first = meeting(lambda: up(SharedAws(), workers=1), when, number)
            up(first, workers=1)
            assert inventory() == clean.there[SETTINGS], f"met {when} change {number}: {first.met}"
            again = SharedAws()
            up(again)
            assert again.writes == [], f"met {when} change {number}: {first.met}"


@pytest.mark.loops
@WHEN
def test_two_up_with_different_settings_end_with_those_written_last(clean: Clean, when: str) -> None:
    """Never with a mix; and the one whose settings they are not is told so."""
    for number in points(clean.changes, when):
        with fresh_account():
            first = meeting(lambda: up(SharedAws(), OTHER, workers=1), when, number)
            up(first, SETTINGS, workers=1)
            # Before its first change the first one has not written its settings: then it is the later one.
            assert stored() == (SETTINGS if (when, number) == ("before", 0) else OTHER)
            assert inventory() == clean.there[stored()], f"met {when} change {number}: {first.met}"


def test_whose_settings_came_first_is_told_which_differ() -> None:
    conflicts.refuse_other_settings(SETTINGS, Settings(first_day="2026-01-02"))
    with pytest.raises(Problem) as told:
        conflicts.refuse_other_settings(SETTINGS, OTHER)
    assert told.value.code == "overtaken"
    assert "features is labels,text, not labels; min-confidence is 55, not 70; private is yes, not no" in (
        told.value.message
    )
    assert "again" in told.value.hint
    with pytest.raises(Problem, match="results is table, not s3"):
        conflicts.refuse_other_settings(IN_S3, SETTINGS)


@pytest.mark.loops
def test_an_update_and_another_update_end_with_the_later_one(clean: Clean) -> None:
    for number in exhaustive.points(6, keep=2):
        with fresh_account():
            finished()
            first = meeting(lambda: up(SharedAws(), SETTINGS, workers=1), "before", number)
            up(first, OTHER, workers=1)
            assert inventory() == clean.there[stored()], f"met before change {number}: {first.met}"


@pytest.mark.loops
def test_who_loses_its_api_to_an_older_one_goes_on_with_that(clean: Clean) -> None:
    """Both made one and did not see the other's; the younger goes while its maker still works on it."""

    def older_one() -> None:
        made = SharedAws().call(
            "apigatewayv2", "create_api", Name=NAMES.api, ProtocolType="HTTP", Tags=NAMES.tags
        )
        backend = get_backend("apigatewayv2")[NAMES.account][NAMES.region]
        backend.apis[made["ApiId"]].created_date = datetime(2020, 1, 1, tzinfo=UTC)
        kept.append(made["ApiId"])
        up(SharedAws(), workers=1)

    with fresh_account():
        undisturbed = SharedAws()
        up(undisturbed, workers=1)
    start = undisturbed.writes.index(("apigatewayv2", "create_api"))
    for number in exhaustive.points(len(undisturbed.writes) - start, keep=KEEP):
        with fresh_account():
            kept: list[str] = []
            first = meeting(older_one, "after", start + number)
            outcomes = up(first, workers=1)
            assert apis() == kept, f"met after change {number}: {first.met}"
            assert outcomes["api"].observed.facts["id"] == kept[0]
            assert inventory() == clean.there[SETTINGS], f"met after change {number}: {first.met}"


@pytest.mark.loops
@pytest.mark.parametrize("other", [SETTINGS, OTHER], ids=["same", "different"])
def test_two_up_side_by_side_end_well(clean: Clean, other: Settings) -> None:
    for _ in exhaustive.points(4, keep=2):
        with fresh_account(), ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(up, SharedAws(), settings) for settings in (SETTINGS, other)]
            got = {
                Settings.from_json(run.result()["settings"].observed.facts["value"]).features for run in runs
            }
            assert stored().features in got
            assert inventory() == clean.there[stored()]


class JustMadeAws(SharedAws):
    """Another run makes the pipeline while this one looks: the first answers about its settings and the tags
    of its token are from before."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: set[str] = set()

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        answer = super().call(service, operation, once=once, **params)
        name = f"{operation} {params.get('Name') or params.get('ResourceId')}"
        is_first = name not in self._asked
        self._asked.add(name)
        if is_first and name == f"get_parameter {NAMES.settings_parameter}":
            raise AwsError("ParameterNotFound", "", service=service, operation=operation)
        if is_first and name == f"list_tags_for_resource {NAMES.token_parameter}":
            return {**answer, "TagList": []}
        return answer


@pytest.mark.parametrize("local", [False, True])
def test_a_pipeline_that_is_made_during_the_look_is_neither_lost_nor_somebody_elses(local: bool) -> None:
    with fresh_account():
        finished()
        aws = JustMadeAws()
        if not local:
            aws.place = replace(aws.place, access_key_id=None, secret_access_key=None)
        assert aws.place.is_local == local
        snapshot = observe.snapshot(pipeline(aws), nothing)
        assert snapshot["settings"].exists
        assert snapshot["token"].owned


def test_an_idle_up_sends_no_call_more_than_one_look() -> None:
    with fresh_account():
        finished()
        idle = CountingAws()
        up(idle)
        assert idle.calls == CountingAws.one_look()


class CountingAws(SharedAws):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        self.calls += 1
        return super().call(service, operation, once=once, **params)

    @classmethod
    def one_look(cls) -> int:
        aws = cls()
        observe.snapshot(pipeline(aws), nothing)
        return aws.calls
