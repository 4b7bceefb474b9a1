"""A change of the token, a move of the results and an upload meet each other, `up` or `down`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.deploy import pipeline_info, token_rotation
from imgpipe_cli.deploy.resources.token_parameter import fingerprint
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Event, Sent
from imgpipe_cli.pictures.sending.send import send
from imgpipe_cli.pictures.sources import Source
from imgpipe_cli.session.connection import Connection
from imgpipe_cli.session.settings import Settings, moved_to
from imgpipe_cli.session.target import Target
from tests.functional.two_at_once.conftest import (
    EXAMPLES,
    OTHER,
    WHEN,
    Clean,
    meeting,
    stored,
)
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
    up,
)
from tests.support.interleaving import SharedAws


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
