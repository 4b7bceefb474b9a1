"""Two runs at the same time: whatever one does between two calls of the other, the end is consistent.

One run is held before (or after) one of its changes while another runs whole: at some of its changes, or in
the exhaustive tests at each.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from moto.backends import get_backend

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.deploy import conflicts, observe, pipeline_info, token_rotation
from imgpipe_cli.deploy.resource import MISSING, Context
from imgpipe_cli.deploy.resources.settings_parameter import SettingsParameter
from imgpipe_cli.deploy.resources.token_parameter import fingerprint
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Event, Sent
from imgpipe_cli.pictures.sending.send import send
from imgpipe_cli.pictures.sources import Source
from imgpipe_cli.session.connection import Connection
from imgpipe_cli.session.settings import Settings, moved_to
from imgpipe_cli.session.target import Target
from imgpipe_cli.system.single_flight import SingleFlight
from tests.support import exhaustive
from tests.support.account import (
    IN_S3,
    NAMES,
    SETTINGS,
    PlainHttpAws,
    down,
    finished,
    fresh_account,
    inventory,
    nothing,
    pipeline,
    up,
)
from tests.support.interleaving import MeetingAws, SharedAws

OTHER = Settings(features=("labels", "text"), private=True, min_confidence=55, first_day="2026-01-01")
KEEP = 2
EXAMPLES = Path(__file__).parents[2] / "examples"
WHEN = pytest.mark.parametrize("when", ["before", "after"])


@dataclass(frozen=True)
class Clean:
    """What is there after one undisturbed `up`, and how many changes that and an undisturbed `down` take."""

    there: dict[Settings, dict[str, Any]]
    changes: int
    removals: int


@pytest.fixture(scope="module")
def clean() -> Clean:
    there = {}
    for settings in (OTHER, IN_S3):
        with fresh_account():
            finished(settings)
            there[settings] = inventory()
    with fresh_account():
        first, last = SharedAws(), SharedAws()
        up(first, SETTINGS, workers=1)
        there[SETTINGS] = inventory()
        down(last, workers=1)
    return Clean(there, len(first.writes), len(last.writes))


@pytest.fixture
def empty() -> dict[str, Any]:
    with fresh_account():
        return inventory()


def stored() -> Settings:
    return Settings.from_json(SettingsParameter().observe(SharedAws(), NAMES).facts["value"])


def apis() -> list[str]:
    return [api["ApiId"] for api in SharedAws().call("apigatewayv2", "get_apis")["Items"]]


def points(count: int, when: str) -> Sequence[int]:
    """The changes to meet: before the first and the last, after one in the middle."""
    return exhaustive.points(count, keep=KEEP if when == "before" else 1)


def meeting(meanwhile: Callable[[], Any], when: str, number: int) -> MeetingAws:
    return MeetingAws(meanwhile, **{when: number})


# --- up and up -----------------------------------------------------------------------------------


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


# --- up and down ---------------------------------------------------------------------------------


@pytest.mark.loops
@WHEN
def test_down_during_up_is_told_and_one_more_up_or_down_makes_it_right(
    clean: Clean, empty: dict[str, Any], when: str
) -> None:
    for place, number in enumerate(points(clean.changes, when)):
        then = (up, down)[place % 2]
        with fresh_account():
            first = meeting(lambda: down(SharedAws(), workers=1), when, number)
            try:
                up(first, workers=1)
            except Problem as told:
                assert told.code == "removed_meanwhile", told
                assert "imgpipe down" in told.message and "imgpipe up" in told.hint
            else:
                assert (when, number) == ("before", 0)  # nothing was there for `down` to remove
            then(SharedAws(), workers=1)
            right = clean.there[SETTINGS] if then is up else empty
            assert inventory() == right, f"met {when} change {number}: {first.met}"


@pytest.mark.loops
@WHEN
def test_down_during_an_update_is_told_too(clean: Clean, when: str) -> None:
    for number in points(5, when):
        with fresh_account():
            finished()
            first = meeting(lambda: down(SharedAws(), workers=1), when, number)
            try:
                up(first, OTHER, workers=1)
            except Problem as told:
                assert told.code == "removed_meanwhile", f"met {when} change {number}: {first.met}"
            else:  # the new settings came after the removal: everything is made again
                assert (when, number) == ("before", 0)
            up(SharedAws(), OTHER)
            assert inventory() == clean.there[OTHER]


class AskedFirst(SingleFlight[str | None]):
    """What lives inside the API has asked for its id before the look at the API begins. told: the answers."""

    def __init__(self, api: str) -> None:
        super().__init__()
        super().get("api", lambda: api)
        self.told: set[str | None] = set()
        self._asked = threading.Event()

    def get(self, key: Hashable, find: Callable[[], str | None]) -> str | None:
        found = super().get(key, find)
        if key == "api":
            self.told.add(found)
            self._asked.set()
        return found

    def learn(self, key: Hashable, find: Callable[[], str | None]) -> str | None:
        assert key != "api" or self._asked.wait(60)
        return super().learn(key, find)


def test_a_fresh_look_knows_nothing_of_an_api_that_was_removed() -> None:
    with fresh_account():
        finished()
        aws = SharedAws()
        aws.known = known = AskedFirst(*apis())
        down(SharedAws())
        for change in SettingsParameter().diff(Context(MISSING, NAMES, SETTINGS)):
            change.call.run(SharedAws(), nothing)
        conflicts.observe_again(pipeline(aws), nothing)
        assert known.told == {None}


@pytest.mark.loops
def test_up_during_down_is_left_over_or_gone_and_never_twice(clean: Clean, empty: dict[str, Any]) -> None:
    for place, number in enumerate(exhaustive.points(clean.removals, keep=KEEP)):
        then = (up, down)[place % 2]
        with fresh_account():
            finished()
            first = meeting(lambda: up(SharedAws(), workers=1), "after", number)
            left = down(first, workers=1)
            there = inventory()
            assert bool(left) == (there != empty), f"met after removal {number}: {first.met}"
            assert len(apis()) <= 1
            then(SharedAws(), workers=1)
            assert inventory() == (clean.there[SETTINGS] if then is up else empty)


def _down_into(lefts: list[list[str]]) -> None:
    lefts.append(down(SharedAws(), workers=1))


@pytest.mark.loops
def test_two_down_at_once_leave_nothing_and_both_end_well(clean: Clean, empty: dict[str, Any]) -> None:
    for number in exhaustive.points(clean.removals, keep=KEEP):
        with fresh_account():
            finished()
            seconds: list[list[str]] = []
            first = meeting(partial(_down_into, seconds), "before", number)
            assert (down(first, workers=1), seconds) == ([], [[]])
            assert inventory() == empty, f"met before removal {number}: {first.met}"


def test_up_and_down_side_by_side_leave_what_one_more_run_makes_right(
    clean: Clean, empty: dict[str, Any]
) -> None:
    for then in (up, down) * (2 if exhaustive.share.everything else 1):
        with fresh_account(), ThreadPoolExecutor(2) as pool:
            finished(OTHER)
            runs = [pool.submit(up, SharedAws(), SETTINGS), pool.submit(down, SharedAws())]
            for run in runs:
                error = run.exception()
                assert error is None or (isinstance(error, Problem) and error.code == "removed_meanwhile")
            assert len(apis()) <= 1
            then(SharedAws())
            assert inventory() == (clean.there[SETTINGS] if then is up else empty)


def test_a_removal_that_is_still_at_work_is_told_as_one() -> None:
    """`down` removes the settings last: with the API gone they do not mean that the pipeline is there."""
    with fresh_account():
        finished()
        conflicts.refuse_removal(pipeline(SharedAws()), nothing)
        for api in apis():
            SharedAws().call("apigatewayv2", "delete_api", ApiId=api)
        with pytest.raises(Problem) as told:
            conflicts.refuse_removal(pipeline(SharedAws()), nothing)
        assert told.value.code == "removed_meanwhile"
        assert "still there: " in told.value.message and "settings" in told.value.message


# --- other commands ------------------------------------------------------------------------------


def connection(aws: Aws) -> Connection:
    return Connection(Target(NAMES.project), aws, NAMES)


def held_hashes() -> set[str]:
    functions = SharedAws().client("lambda")
    found = [functions.get_function(FunctionName=NAMES.function(one)) for one in ("web", "get_result")]
    return {one["Configuration"]["Environment"]["Variables"]["TOKEN_SHA256"] for one in found}


@pytest.mark.usefixtures("account")
@WHEN
def test_two_rotations_end_with_one_token_that_the_functions_hold(when: str) -> None:
    finished(OTHER)
    # Both functions are changed side by side, so before the third change there may be none to meet.
    for number in range(3 if when == "after" else 2):
        tokens: list[str] = []

        def rotate(aws: Aws) -> str:
            return token_rotation.rotate(connection(aws), nothing).token

        first = meeting(lambda tokens=tokens: tokens.append(rotate(SharedAws())), when, number)  # type: ignore[misc]
        tokens.append(rotate(first))
        assert first.met is not None
        now = pipeline_info.discover(connection(SharedAws())).token
        assert tokens[-1] == now
        assert held_hashes() == {fingerprint(now)}, f"met {when} change {number}: {first.met}"


@pytest.mark.usefixtures("account")
def test_a_rotation_during_up_leaves_the_functions_with_the_new_token() -> None:
    finished(Settings(first_day="2026-01-01", private=True))
    for number, confidence in enumerate((60, 61, 62)):
        settings = Settings(first_day="2026-01-01", private=number % 2 == 0, min_confidence=confidence)
        first = meeting(
            lambda: token_rotation.rotate(connection(SharedAws()), nothing), "before", min(number, 1)
        )
        up(first, settings, workers=1)
        assert first.met is not None
        now = pipeline_info.discover(connection(SharedAws())).token
        assert held_hashes() <= {fingerprint(now), ""}
        assert stored() == settings


@pytest.mark.usefixtures("account")
def test_down_during_a_rotation_is_told() -> None:
    finished()
    first = meeting(lambda: down(SharedAws()), "after", 0)
    with pytest.raises(Problem) as told:
        token_rotation.rotate(connection(first), nothing)
    assert told.value.code == "not_set_up"


@pytest.mark.loops
def test_a_move_met_by_the_same_move_or_by_one_back_ends_consistently(clean: Clean) -> None:
    """What comes is done by both, what is turned round is turned round by both."""
    for end in (IN_S3, SETTINGS):
        for number in exhaustive.points(17, keep=2):
            with fresh_account():
                finished()
                first = meeting(
                    lambda end=end: up(SharedAws(), moved_to(end.results, stored()), workers=1),  # type: ignore[misc]
                    "after",
                    number,
                )
                up(first, moved_to("s3", SETTINGS), workers=1)
                assert first.met is not None
                assert stored() == end, f"met after change {number}: {first.met}"
                assert inventory() == clean.there[end], f"met after change {number}: {first.met}"


@pytest.mark.usefixtures("account")
def test_two_uploads_of_one_key_keep_both_versions_and_one_is_told_it_replaced() -> None:
    finished(kind=PlainHttpAws)
    pictures = [(EXAMPLES / name).read_bytes() for name in ("cat.jpg", "coffee.jpg")]

    def sent_of(data: bytes) -> Sent:
        told: list[Event] = []
        source = Source("same.jpg", "same.jpg", data=data)
        send(PlainHttpAws(), NAMES, [source], told.append, force=True)
        (sent,) = told
        assert isinstance(sent, Sent)
        return sent

    s3 = PlainHttpAws().client("s3")
    for number in range(5):
        with ThreadPoolExecutor(2) as pool:
            sent = list(pool.map(sent_of, pictures))
        versions = s3.list_object_versions(Bucket=NAMES.bucket)["Versions"]
        assert len(versions) == 2 * (number + 1)
        bodies = {
            s3.get_object(Bucket=NAMES.bucket, Key="same.jpg", VersionId=one.version_id)["Body"].read()
            for one in sent
        }
        assert bodies == set(pictures)
        assert sorted(one.replaced for one in sent) == [number > 0, True]
