"""What S3, the files and the credentials may do meanwhile costs no picture, and is reported."""

from __future__ import annotations

import itertools
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.aws.client import Aws, AwsError, Place
from imgpipe_cli.aws.object_puts import ObjectPuts
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Event, Note, Refused
from imgpipe_cli.pictures.sending.send import Outcome, send
from imgpipe_cli.pictures.sources import Source
from tests.functional.sending.conftest import CAT, NAMES, pictures, sent
from tests.support.account import nothing
from tests.support.loopback_s3 import Asked, LoopbackS3

pytestmark = pytest.mark.usefixtures("quick_sending")


@pytest.fixture
def files(tmp_path: Path) -> list[Source]:
    """Pictures in files, of which one has a name that is no UTF-8."""
    made = [tmp_path / f"{number}.jpg" for number in range(5)]
    made += [Path(os.fsdecode(os.fsencode(tmp_path / "caf") + b"\xe9.jpg"))] if os.name == "posix" else []
    for number, path in enumerate(made):
        path.write_bytes(CAT + b"%d" % number)
    return [Source(f"{number}.jpg", str(path), path) for number, path in enumerate(made)]


def test_files_arrive_whatever_their_names_are(s3: LoopbackS3, files: list[Source]) -> None:
    assert sent(files) == Outcome(sent=len(files))
    assert [s3.newest(one.key) for one in files] == [CAT + b"%d" % number for number in range(len(files))]
    assert [one.by_crt for one in s3.puts()].count(False) == 1


@pytest.mark.parametrize("change", ["other", "longer", "shorter", "gone"])
def test_a_file_that_changes_once_it_was_checked_arrives_as_it_was(
    s3: LoopbackS3, files: list[Source], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The second one has been read by then, and is not sent yet."""
    path, before = files[1].path, CAT + b"1"
    assert path is not None
    quicken = ObjectPuts.quicken

    def changed(puts: ObjectPuts) -> None:
        if change == "gone":
            path.unlink()
        else:
            path.write_bytes({"other": CAT + b"9", "longer": before + b"9", "shorter": CAT}[change])
        quicken(puts)

    monkeypatch.setattr(ObjectPuts, "quicken", changed)
    assert sent(files) == Outcome(sent=len(files))
    assert s3.newest("1.jpg") == before
    assert len(s3.keys["1.jpg"]) == 1


def test_a_wave_of_throttling_loses_no_picture(s3: LoopbackS3) -> None:
    """Its usual way to try again would give up: each failure costs all others their attempts."""
    met: Counter[str] = Counter()

    def slow_down(asked: Asked) -> tuple[int, str] | None:
        met[asked.key] += 1
        return (503, "SlowDown") if asked.by_crt and met[asked.key] <= 2 else None

    s3.fault = slow_down
    assert sent(pictures(90)) == Outcome(sent=90)
    assert len(s3.keys) == 90
    assert all(len(versions) == 1 for versions in s3.keys.values())


def test_where_the_library_gives_up_the_sdk_sends_once_more(s3: LoopbackS3) -> None:
    s3.fault = lambda asked: (403, "AccessDenied") if asked.by_crt else None
    assert sent(pictures(10)) == Outcome(sent=10)
    assert len(s3.keys) == 10


def test_the_error_that_is_reported_is_the_sdks(s3: LoopbackS3) -> None:
    s3.fault = lambda asked: (400, "InvalidArgument") if asked.key.endswith("5.jpg") else None
    told: list[Event] = []
    assert sent(pictures(10), told) == Outcome(sent=9)
    (refused,) = [one for one in told if isinstance(one, Refused)]
    assert (refused.source, refused.code) == ("5.jpg", "key_refused")


def test_no_bucket_is_met_by_the_first_picture_alone(s3: LoopbackS3) -> None:
    s3.fault = lambda _asked: (404, "NoSuchBucket")
    with pytest.raises(Problem) as caught:
        sent(pictures(50))
    assert caught.value.code == "not_set_up"
    assert len(s3.puts()) == 1


def test_credentials_that_cannot_be_renewed_are_reported_with_their_own_words(s3: LoopbackS3) -> None:
    class Expiring(Aws):
        left = 5

        def signing_keys(self) -> tuple[str, str, str | None]:
            self.left -= 1
            if self.left < 0:
                raise AwsError("ExpiredToken", "The SSO session is over.", status=400)
            return super().signing_keys()

    hours = itertools.count(step=3600).__next__
    with pytest.raises(Problem) as caught:
        send(Expiring(Place(region=NAMES.region), clock=hours), NAMES, pictures(50), nothing)
    assert caught.value.code == "expired_token"
    assert len(s3.keys) < 50


def test_new_credentials_are_used_at_once(s3: LoopbackS3) -> None:
    class Renewing(Aws):
        asked = 0

        def signing_keys(self) -> tuple[str, str, str | None]:
            self.asked += 1
            return f"AKID{self.asked}", "secret", None

    hours = itertools.count(step=3600).__next__
    send(Renewing(Place(region=NAMES.region), clock=hours), NAMES, pictures(12), nothing)
    later = [one.headers["authorization"] for one in s3.puts() if one.by_crt]
    assert len({one.partition("Credential=")[2].partition("/")[0] for one in later}) == 11


def test_a_fault_that_nobody_has_thought_of_ends_the_upload(s3: LoopbackS3) -> None:
    class Broken(Aws):
        def call(self, *_what: Any, **_parameters: Any) -> dict[str, Any]:
            raise TypeError("nobody has thought of it")

    with pytest.raises(TypeError):
        send(Broken(Place(region=NAMES.region)), NAMES, pictures(5), nothing)


def test_where_the_library_is_not_there_the_sdk_sends_all_and_that_is_said(
    s3: LoopbackS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "awscrt.s3", None)
    told: list[Event] = []
    assert sent(pictures(20), told) == Outcome(sent=20)
    assert not any(one.by_crt for one in s3.puts())
    assert [one.code for one in told if isinstance(one, Note)] == ["sent_slowly"]
