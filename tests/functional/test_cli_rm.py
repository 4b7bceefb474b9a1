"""`imgpipe rm` on a bucket of moto's: markers, patterns, versions, and what is left when it is stopped."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto import mock_aws

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.pictures import removing
from imgpipe_cli.pictures.removing import Wanted
from tests.support.account import RecordingAws
from tests.support.cli import NAMES, Cli, remember

BUCKET = NAMES.bucket


@pytest.fixture(autouse=True)
def target() -> None:
    remember("http://127.0.0.1:9/prod")


def put(s3: Any, *keys: str) -> None:
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")


def there(s3: Any) -> list[str]:
    return [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def versions(s3: Any) -> list[tuple[str, str]]:
    """(key, "version" or "marker"), all of them."""
    found = s3.list_object_versions(Bucket=BUCKET)
    return sorted(
        [(one["Key"], "version") for one in found.get("Versions", [])]
        + [(one["Key"], "marker") for one in found.get("DeleteMarkers", [])]
    )


def answering(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Somebody sits at a terminal and types this."""
    typed = io.StringIO(f"{text}\n")
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", typed)


def test_single_pictures_go_without_a_question_and_can_be_had_back(cli: Cli, bucket: Any) -> None:
    put(bucket, "a.jpg", "a.jpg.png", "b.jpg")
    printed = cli("rm", "a.jpg", "a.jpg")
    assert printed.code == 0
    assert printed.out.startswith("1 picture removed. Its result goes within seconds. ")
    assert "30 days" in printed.out
    assert there(bucket) == ["a.jpg.png", "b.jpg"]
    assert ("a.jpg", "version") in versions(bucket)


def test_many_results_are_not_said_to_go_within_seconds(cli: Cli, bucket: Any) -> None:
    put(bucket, *(f"{number}.jpg" for number in range(101)))
    assert "101 pictures removed. Their results go within minutes. " in cli("rm", "*.jpg", "--yes").out


def test_a_key_that_is_not_there_fails_and_the_others_go(cli: Cli, bucket: Any) -> None:
    put(bucket, "a.jpg")
    printed = cli("rm", "a.jp", "a.jpg", "--json")
    assert printed.code == 1
    assert printed.document["data"] == {"removed": 1, "versions": None}
    assert printed.error == "not_found"
    assert there(bucket) == []
    # Where nothing is, no marker is left behind.
    assert versions(bucket) == [("a.jpg", "marker"), ("a.jpg", "version")]
    assert "There is no picture a.jpg" in cli("rm", "a.jpg").err


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (("p/*.jpg",), ["p/b.png", "q[1].jpg", "r.jpg"]),
        (("--prefix", "p/"), ["q[1].jpg", "r.jpg"]),
        (("?.jpg", "r.jpg", "p/*", "*.png"), ["q[1].jpg"]),
        (("q[1].jpg",), ["p/a.jpg", "p/b.png", "p/c/d.jpg", "r.jpg"]),
        (("[qr]*",), ["p/a.jpg", "p/b.png", "p/c/d.jpg"]),
    ],
)
def test_patterns_and_prefixes(cli: Cli, bucket: Any, words: tuple[str, ...], left: list[str]) -> None:
    put(bucket, "p/a.jpg", "p/b.png", "p/c/d.jpg", "q[1].jpg", "r.jpg")
    assert cli("rm", "--yes", *words).code == 0
    assert there(bucket) == left


def test_many_are_counted_and_asked_for(cli: Cli, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put(bucket, "p/a.jpg", "p/b.jpg")
    assert cli("rm", "p/*", "--json").error == "not_confirmed"
    answering(monkeypatch, "n")
    printed = cli("rm", "--prefix", "p/")
    assert printed.code == 1
    assert "Remove 2 pictures? [y/N]" in printed.err
    answering(monkeypatch, "y")
    assert "Remove 2 pictures and all 2 versions, for good?" in cli("rm", "--prefix", "p/", "--purge").err
    assert versions(bucket) == []


@pytest.mark.parametrize(
    "words", [(), ("--prefix", ""), ("a", "--prefix", "b"), ("",), ("x" * 1025,), ("--prefix", "\udcff")]
)
def test_wrong_usage_asks_nothing(cli: Cli, words: tuple[str, ...]) -> None:
    with mock_aws():
        assert cli("rm", *words, "--yes").code == 2


@pytest.mark.parametrize(
    ("words", "why"), [(("p/*",), "matches p/*"), (("--prefix", "p/"), "begins with p/")]
)
def test_what_matches_nothing_is_said(cli: Cli, bucket: Any, words: tuple[str, ...], why: str) -> None:
    put(bucket, "a.jpg")
    printed = cli("rm", *words)
    assert printed.code == 1
    assert f"No picture's key {why}" in printed.err
    assert there(bucket) == ["a.jpg"]


def test_a_pipeline_that_is_not_set_up(cli: Cli) -> None:
    with mock_aws():
        printed = cli("rm", "a.jpg", "--json")
    assert (printed.code, printed.error) == (3, "not_set_up")


def test_a_purge_takes_all_versions_also_of_what_was_removed_before(cli: Cli, bucket: Any) -> None:
    put(bucket, "a", "a", "b", "ab", "c")
    cli("rm", "b")
    printed = cli("rm", "--purge", "--yes", "a", "b", "--json")
    assert printed.document["data"] == {"removed": 1, "versions": 3}
    assert versions(bucket) == [("ab", "version"), ("c", "version")]


def test_more_than_one_page(cli: Cli, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removing, "_PAGE", 3)
    put(bucket, *(f"p/{n:02}" for n in range(20)), *(f"p/{n:02}" for n in range(5)))
    assert cli("rm", "p/1*", "--yes", "--json").document["data"]["removed"] == 10
    printed = cli("rm", "--prefix", "p/", "--purge", "--yes", "--json")
    assert printed.document["data"] == {"removed": 10, "versions": 25}
    assert versions(bucket) == []


def test_a_key_that_xml_cannot_write_goes_alone(cli: Cli, bucket: Any) -> None:
    put(bucket, "a\rb", "c")
    assert cli("rm", "a\rb", "c").code == 0
    assert there(bucket) == []


# --- while it goes on --------------------------------------------------------------------------


class Stopped(BaseException):
    """The process is killed: nothing catches it."""


class Stopping(RecordingAws):
    """Dies before the change of this number; refuses keys that hold `kept`."""

    def __init__(self, *, before: int = 1 << 30, kept: str = "") -> None:
        super().__init__()
        self._left = before
        self._kept = kept

    def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        if operation != "delete_objects":
            return super().call(service, operation, **params)
        if self._left == 0:
            raise Stopped
        self._left -= 1
        entries = params["Delete"]["Objects"]
        kept = [one for one in entries if self._kept and self._kept in one["Key"] and "VersionId" in one]
        params["Delete"] = {"Objects": [one for one in entries if one not in kept], "Quiet": True}
        answer = super().call(service, operation, **params) if params["Delete"]["Objects"] else {}
        errors = [{**one, "Code": "AccessDenied", "Message": "Locked."} for one in kept]
        return {**answer, "Errors": [*answer.get("Errors", []), *errors]}


def purge(aws: Aws, *, latest: datetime | None = None) -> removing.Done:
    meant = [Wanted("", "prefix")]
    found = removing.count(aws, BUCKET, meant, purge=True)
    hidden = removing.hide(aws, BUCKET, meant, latest or found.latest)
    assert hidden.refused == []
    return removing.purge(aws, BUCKET, meant, latest or found.latest, but=())


@pytest.mark.parametrize("stop", range(3))
def test_whenever_a_purge_is_stopped_nothing_old_shows_again_and_it_can_go_on(bucket: Any, stop: int) -> None:
    put(bucket, "a", "a", "b", "b", "b")
    with pytest.raises(Stopped):
        purge(Stopping(before=stop))
    assert there(bucket) == ([] if stop else ["a", "b"])
    purge(RecordingAws())
    assert versions(bucket) == []


def test_a_version_that_s3_keeps_stays_hidden(bucket: Any) -> None:
    put(bucket, "a", "locked")
    done = purge(Stopping(kept="locked"))
    assert (done.number, [one.key for one in done.refused]) == (1, ["locked"])
    assert versions(bucket) == [("locked", "marker"), ("locked", "version")]
    assert there(bucket) == []


def test_a_picture_that_came_after_the_question_stays(bucket: Any) -> None:
    put(bucket, "a", "b")
    meant = [Wanted("", "prefix")]
    aws = RecordingAws()
    early = datetime.now(UTC) - timedelta(hours=1)
    assert removing.hide(aws, BUCKET, meant, early).number == 0
    assert removing.purge(aws, BUCKET, meant, early, but=()).number == 0
    assert there(bucket) == ["a", "b"]


def test_of_a_picture_that_was_sent_again_only_the_older_versions_go() -> None:
    now = datetime.now(UTC)
    group = [
        {"Key": "a", "VersionId": name, "LastModified": now + timedelta(hours=hours), **size}
        for name, hours, size in (("new", 1, {"Size": 1}), ("marker", 0, {}), ("old", -1, {"Size": 1}))
    ]
    assert [one["VersionId"] for one in removing._going(now, group)] == ["old"]
    assert removing._going(now, group[1:]) == group[1:]


def test_a_refusal_of_all_is_one_error(cli: Cli, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put(bucket, "a")

    def refuse(*_: Any) -> None:
        raise AwsError("AccessDenied", "not authorized to perform: s3:DeleteObject", service="s3", status=403)

    monkeypatch.setattr(removing, "delete", refuse)
    printed = cli("rm", "a", "--json")
    assert printed.code == 1
    assert "DeleteObject" in printed.document["errors"][0]["message"]
