"""Before more than 100 analyses on AWS `upload` and `watch` say what they cost, and ask."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from imgpipe_cli.commands import watch
from imgpipe_cli.commands.chosen import Options
from imgpipe_cli.commands.runtime import Run
from imgpipe_cli.commands.watch import _Sender
from imgpipe_cli.deploy import pipeline_info
from imgpipe_cli.errors import Problem
from imgpipe_cli.pictures.sending.picture import Rules
from imgpipe_cli.pictures.sources import Source
from imgpipe_cli.render.screen import Screen
from imgpipe_cli.session.connection import Connection
from imgpipe_cli.session.remembered import Targets
from imgpipe_cli.session.settings import Settings
from tests.support.api_server import Answer, FakeApi
from tests.support.cli import NAMES, REGION, Cli, Printed
from tests.support.picture_heads import jpeg

PRICE = "about $0.15 by its list price of October 2026: labels 150."


class Keyboard(io.TextIOWrapper):
    """Standard input on which this is typed."""

    def __init__(self, typed: str, *, terminal: bool = True) -> None:
        super().__init__(io.BytesIO(typed.encode()))
        self._is_terminal = terminal

    def isatty(self) -> bool:
        return self._is_terminal


def features(*names: str, limit: int = 0) -> None:
    """Those of the pipeline, and its monthly limit."""
    ssm: Any = boto3.client("ssm", region_name=REGION)
    ssm.put_parameter(
        Name=NAMES.settings_parameter,
        Type="String",
        Value=replace(Settings(), features=names, monthly_limit=limit).to_json(),
        Tags=NAMES.tag_list,
    )


def files(folder: str, count: int, *, copies: int = 0) -> None:
    """So many pictures, and copies of the first ones."""
    Path(folder).mkdir(exist_ok=True)
    for number in range(count):
        (Path(folder) / f"{number:03}.jpg").write_bytes(jpeg(tail=number.to_bytes(4, "big")))
    for number in range(copies):
        (Path(folder) / f"copy{number:03}.jpg").write_bytes(jpeg(tail=number.to_bytes(4, "big")))


def sent(bucket: Any) -> int:
    return sum(
        len(page.get("Versions", []))
        for page in bucket.get_paginator("list_object_versions").paginate(Bucket=NAMES.bucket)
    )


@pytest.fixture
def asked(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Printed]:
    """Run a command at a terminal on which this is typed."""

    def run(typed: str, *arguments: str) -> Printed:
        monkeypatch.setattr("sys.stdin", Keyboard(typed))
        return cli(*arguments)

    return run


def test_many_are_sent_after_a_yes_to_number_features_copies_and_price(
    asked: Callable[..., Printed], played: FakeApi, bucket: Any
) -> None:
    features("labels")
    files("pics", 150, copies=30)
    printed = asked("n\n", "upload", "pics")
    told = " ".join(printed.err.split())
    assert f"Rekognition is asked at most 150 times, {PRICE}" in told
    assert "imgpipe pays nothing for 30 copies among them. Send the pictures? [y/N]" in told
    assert (printed.code, sent(bucket)) == (1, 0)
    assert "Nothing was sent." in told
    assert asked("y\n", "upload", "pics").code == 0
    assert sent(bucket) == 180


def test_the_end_of_input_is_a_no_and_ends_the_line_of_the_question(
    asked: Callable[..., Printed], played: FakeApi, bucket: Any
) -> None:
    features("labels")
    files("pics", 101)
    printed = asked("", "upload", "pics")
    assert (printed.code, sent(bucket)) == (1, 0)
    assert "[y/N] \nError: Nothing was sent." in printed.err


def test_what_is_there_already_is_not_asked_about(
    asked: Callable[..., Printed], played: FakeApi, bucket: Any
) -> None:
    features("labels")
    files("pics", 110)
    assert asked("", "upload", "pics", "--yes").code == 0
    again = asked("", "upload", "pics")
    assert (again.code, again.out) == (0, "0 sent, 110 unchanged.\n")
    forced = asked("n\n", "upload", "pics", "--force")
    assert "asked at most 110 times" in forced.err


@pytest.mark.parametrize(
    ("count", "copies", "chosen"), [(100, 0, ("labels",)), (60, 60, ("labels",)), (50, 0, ("labels", "text"))]
)
def test_a_hundred_analyses_need_no_answer(
    asked: Callable[..., Printed], played: FakeApi, bucket: Any, count: int, copies: int, chosen: Any
) -> None:
    features(*chosen)
    files("pics", count, copies=copies)
    assert asked("", "upload", "pics").code == 0
    assert sent(bucket) == count + copies


def test_each_feature_counts(asked: Callable[..., Printed], played: FakeApi, bucket: Any) -> None:
    features("labels", "properties")
    files("pics", 51)
    told = " ".join(asked("n\n", "upload", "pics").err.split())
    assert "asked at most 102 times, about $0.089 by its list price of October 2026: labels 51, prop" in told


def test_where_nobody_can_be_asked_it_is_a_usage_error_that_says_the_price(
    cli: Cli, played: FakeApi, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Keyboard("", terminal=False))
    features("labels")
    files("pics", 150)
    printed = cli("upload", "pics", "--json")
    assert (printed.code, printed.error, sent(bucket)) == (2, "not_confirmed", 0)
    assert PRICE in " ".join(printed.err.split())


LEFT = "The monthly limit of 500 analyses leaves 40."


def usage(*, limit: int | None = 500) -> Answer:
    """What the API says of the month."""
    counters = {"pictures": 460, "analyses": 460, "analyzed": {"labels": 460}, "reused": {}}
    left = 40 if limit else None
    return Answer(body={"month": "2026-11", **counters, "limit": limit, "left": left})


def asked_for_usage(api: FakeApi) -> int:
    return sum(request.path.endswith("/usage") for request in api.asked)


def test_the_question_says_what_the_monthly_limit_leaves(
    asked: Callable[..., Printed], played: FakeApi, bucket: Any
) -> None:
    features("labels", limit=500)
    files("pics", 150)
    played.usage = usage()
    printed = asked("n\n", "upload", "pics")
    assert f"{PRICE} {LEFT} Send the pictures? [y/N]" in " ".join(printed.err.split())
    assert asked_for_usage(played) == 1


@pytest.mark.parametrize("told", [None, usage(limit=None)], ids=["no counter", "no limit any more"])
def test_the_question_says_nothing_of_a_limit_that_nobody_tells_of(
    asked: Callable[..., Printed], played: FakeApi, bucket: Any, told: Answer | None
) -> None:
    features("labels", limit=500)
    files("pics", 150)
    played.usage = told
    printed = asked("n\n", "upload", "pics")
    assert f"{PRICE} Send the pictures? [y/N]" in " ".join(printed.err.split())


@pytest.mark.parametrize(
    ("pictures", "limit", "arguments"),
    [(100, 500, ()), (150, 500, ("--yes",)), (150, 0, ())],
    ids=["a hundred", "not asked", "no limit"],
)
def test_nobody_is_asked_what_is_left_where_no_question_says_it(
    asked: Callable[..., Printed],
    played: FakeApi,
    bucket: Any,
    pictures: int,
    limit: int,
    arguments: tuple[str, ...],
) -> None:
    features("labels", limit=limit)
    files("pics", pictures)
    played.usage = usage()
    assert asked("y\n", "upload", "pics", *arguments).code == 0
    assert asked_for_usage(played) == 0


# --- watch -----------------------------------------------------------------------------------------


@pytest.fixture
def inbox(played: FakeApi, bucket: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder to watch, and nobody who could answer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", Keyboard("", terminal=False))
    features("labels", limit=500)
    files("inbox", 0)


def sender(monkeypatch: pytest.MonkeyPatch, *, existing: bool = False, every_s: int = 100) -> _Sender:
    """Of a folder whose files are complete at each look; what it sends is only named."""
    clock = SimpleNamespace(monotonic=count(0, every_s).__next__)
    monkeypatch.setattr("imgpipe_cli.commands.watch.time", clock)
    monkeypatch.chdir("inbox")
    run = Run("watch", Options(project="demo", region=REGION), Screen())
    return _Sender(run, run.connect(), Path(), Rules(), existing=existing, yes=False)


@pytest.mark.usefixtures("inbox")
@pytest.mark.parametrize(("typed", "count"), [("y\n", 101), ("n\n", 0)])
def test_many_new_ones_at_once_wait_for_a_yes(
    bucket: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: str,
    count: int,
) -> None:
    watching = sender(monkeypatch)
    files(".", 101)
    monkeypatch.setattr("sys.stdin", Keyboard(typed))
    for _ in range(3):
        watching.look()
    assert sent(bucket) == count
    err = " ".join(capsys.readouterr().err.split())
    assert "asked at most 101 times" in err
    assert ("Not sent, nor what follows while so many come" in err) == (count == 0)
    assert Targets().read()[1]


@pytest.mark.usefixtures("inbox")
@pytest.mark.parametrize(("typed", "count"), [("y\n", 180), ("n\n", 100)])
def test_new_ones_that_come_a_few_at_a_time_are_asked_about_once(
    bucket: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: str,
    count: int,
) -> None:
    watching = sender(monkeypatch, every_s=2)
    monkeypatch.setattr("sys.stdin", Keyboard(typed))
    for there in range(0, 181, 20):
        files(".", there)
        watching.look()
    for _ in range(6):
        watching.look()
    assert sent(bucket) == count
    err = " ".join(capsys.readouterr().err.split())
    assert err.count("[y/N]") == 1
    assert "asked at most 20 times" in err and "100 pictures came within the minute before." in err


@pytest.mark.usefixtures("inbox")
def test_a_burst_reads_the_settings_once_and_its_question_says_what_the_limit_leaves(
    played: FakeApi, bucket: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    played.usage = usage()
    read, reads = pipeline_info.settings, []

    def counted(connection: Connection) -> Settings | None:
        reads.append(connection)
        return read(connection)

    monkeypatch.setattr(pipeline_info, "settings", counted)
    watching = sender(monkeypatch, every_s=2)
    monkeypatch.setattr("sys.stdin", Keyboard("y\n"))
    for there in range(0, 181, 20):
        files(".", there)
        watching.look()
    for _ in range(6):
        watching.look()
    assert (sent(bucket), len(reads), asked_for_usage(played)) == (180, 1, 1)
    err = " ".join(capsys.readouterr().err.split())
    assert f"came within the minute before. {LEFT} Send the pictures? [y/N]" in err


@pytest.mark.usefixtures("inbox")
def test_one_that_cannot_be_sent_again_and_again_counts_once(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = sender(monkeypatch, every_s=2)
    send, outage = watching._send, [True]

    def unreachable(source: Source) -> None:
        if outage:
            raise Problem("unreachable", "S3 does not answer.")
        send(source)

    monkeypatch.setattr(watching, "_send", unreachable)
    files(".", 60)
    for _ in range(10):
        watching.look()
    outage.clear()
    watching.look()
    assert sent(bucket) == 60


@pytest.mark.usefixtures("inbox")
def test_those_of_another_minute_are_counted_anew(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    watching = sender(monkeypatch, every_s=70)
    for there in (0, 60, 120):
        files(".", there)
        watching.look()
    watching.look()
    assert sent(bucket) == 120


@pytest.mark.usefixtures("inbox")
def test_each_picture_counts_for_a_minute(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long before them the first one came."""
    watching = sender(monkeypatch, every_s=25)
    for there in (1, 61, 121):
        files(".", there)
        watching.look()
    watching.look()
    assert sent(bucket) == 61


@pytest.mark.usefixtures("inbox")
def test_those_that_come_while_others_are_sent_count_with_them(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = sender(monkeypatch, every_s=10)
    send = watching._send

    def slowly(source: Source) -> None:
        send(source)
        for _ in range(10):
            vars(watch)["time"].monotonic()

    monkeypatch.setattr(watching, "_send", slowly)
    for there in (60, 120):
        files(".", there)
        watching.look()
        watching.look()
    assert sent(bucket) == 60


@pytest.mark.usefixtures("inbox")
def test_what_the_bucket_holds_already_does_not_count(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = sender(monkeypatch)
    first._yes = True
    files(".", 101)
    first.look()
    first.look()
    assert sent(bucket) == 101
    for one in Path().iterdir():
        one.unlink()
    monkeypatch.chdir("..")
    again = sender(monkeypatch, every_s=10)
    for there in (101, 102):
        files(".", there)
        again.look()
        again.look()
    assert sent(bucket) == 102


@pytest.mark.usefixtures("inbox")
def test_after_many_that_are_left_a_few_are_sent_again(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where each comes within a minute of another."""
    watching = sender(monkeypatch, every_s=25)
    for there in (101, 102, 103, 104):
        files(".", there)
        watching.look()
    watching.look()
    assert sent(bucket) == 1


@pytest.mark.usefixtures("inbox")
def test_an_outage_while_the_price_is_looked_for_ends_nothing(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = sender(monkeypatch, every_s=2)
    ask, outage = pipeline_info.settings, [True]

    def unreachable(connection: Connection) -> Settings | None:
        if outage:
            raise Problem("unreachable", "SSM does not answer.")
        return ask(connection)

    monkeypatch.setattr(pipeline_info, "settings", unreachable)
    files(".", 60)
    for _ in range(3):
        watching.look()
    assert sent(bucket) == 0
    outage.clear()
    watching.look()
    assert sent(bucket) == 60


def test_many_that_are_there_at_the_start_are_agreed_to_once(
    played: FakeApi, bucket: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    features("labels")
    files("inbox", 101)
    monkeypatch.setattr("sys.stdin", Keyboard("y\n"))
    watching = sender(monkeypatch, existing=True)
    for _ in range(3):
        watching.look()
    assert sent(bucket) == 101
