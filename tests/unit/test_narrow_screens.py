"""Terminals of 80 and 60 columns: no word is cut, keys stay whole; and what --quiet leaves out."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import SimpleNamespace
from typing import Any, cast

import pytest

from imgpipe_cli.deploy.steps import STEPS
from imgpipe_cli.diagnose.doctor.checks import Check
from imgpipe_cli.diagnose.retry.judging import Picture
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Arrived, Changing, Downloaded, Note, Refused, Sent
from imgpipe_cli.render import examinations, failures, listings, policies, results
from imgpipe_cli.render.columns import Column, Columns
from imgpipe_cli.render.live import TransferView
from imgpipe_cli.render.screen import Screen
from imgpipe_cli.render.styled import Drawn, Text
from imgpipe_cli.render.text import fitted, whole_words
from imgpipe_cli.render.transfer import Transfer
from tests.support.api_server import failed, item

KEY = "holidays/2026/august/by-the-sea/IMG_20260811_142355_HDR_edited_final.jpg"
LABELS: list[dict[str, Any]] = [
    {"Name": "Person", "Confidence": 99.2, "Categories": [{"Name": "Person Description"}], "Instances": [{}]},
    {"Name": "Transportation Vehicle", "Confidence": 93.2, "Parents": [{"Name": "Transportation"}]},
    {"Name": "Car", "Confidence": 91.2, "Categories": [{"Name": "Vehicles and Automotive"}]},
]
FACE = {
    "Confidence": 99.0,
    "AgeRange": {"Low": 20, "High": 30},
    "Emotions": [{"Type": "HAPPY", "Confidence": 9}],
}
TEXT: list[dict[str, Any]] = [
    {"DetectedText": "see https://example.com/a/long/address/index.html", "Type": "LINE", "Confidence": 98.0}
]
MODERATION: list[dict[str, Any]] = [
    {"Name": "Exposed Body", "ParentName": "Non-Explicit Nudity of Intimate Parts", "Confidence": 91.0}
]
COLORS = {
    "Quality": {"Brightness": 70.1},
    "DominantColors": [
        {
            "Red": 1,
            "Green": 2,
            "Blue": 3,
            "HexCode": "#010203",
            "CSSColor": "lightgoldenrodyellow",
            "PixelPercent": 4,
        }
    ],
}
EVERYTHING = item(
    KEY,
    features=["labels", "moderation", "faces", "text", "properties"],
    labels=LABELS,
    moderation=MODERATION,
    faces=[FACE],
    text=TEXT,
    properties=COLORS,
    width=640,
    height=480,
    sizeBytes=60270,
    durationMs=412,
)
DENIED = "The ingest function is not allowed: rekognition:DetectModerationLabels."
CHECKS = [
    Check("python", "ok", "3.14.0 on linux"),
    Check(
        "permissions", "failed", "Denied to arn:aws:iam::123456789012:user/somebody.", "Ask an administrator."
    ),
    Check("local_cloud", "not_checked", "It does not run."),
]
WIDTHS = pytest.mark.parametrize("columns", [60, 80, 100])


class Terminal(io.StringIO):
    """A stream of a terminal whose size only the variables tell."""

    def isatty(self) -> bool:
        return True


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch, *, columns: int = 60, term: str = "dumb") -> Iterator[Any]:
    """Standard output and error as a terminal: of text only, or one that moves."""
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    told = SimpleNamespace(out=Terminal(), err=Terminal())
    with redirect_stdout(told.out), redirect_stderr(told.err):
        yield told


def _drawn(drawing: Drawn, columns: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    with terminal(monkeypatch, columns=columns) as told:
        Screen().show(drawing)
    lines: list[str] = told.out.getvalue().splitlines()
    return lines


def _not_whole(lines: list[str], *texts: str) -> list[str]:
    """The words of these texts that stand in no line."""
    return [word for text in texts for word in text.split() if not any(word in line for line in lines)]


def _too_long(lines: list[str], columns: int) -> list[str]:
    return [line for line in lines if len(line.rstrip()) > columns and line.strip() != KEY]


@WIDTHS
def test_a_result_has_whole_words(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = _drawn(results.tables(EVERYTHING, 70.0), columns, monkeypatch)
    assert lines[0].startswith(KEY)
    said = [
        "Person",
        "Transportation",
        "Vehicle",
        "Car",
        "99.2 %",
        MODERATION[0]["Name"],
        "happy",
        "lightgoldenrodyellow",
    ]
    assert _not_whole(lines, *said, MODERATION[0]["ParentName"], TEXT[0]["DetectedText"], "0.4 s") == []
    assert _too_long(lines, columns) == []
    assert ("Boxes" in "\n".join(lines)) == (columns >= 80)


def test_a_label_stays_whole_while_other_columns_can_go(monkeypatch: pytest.MonkeyPatch) -> None:
    cup = {"Name": "Coffee Cup", "Confidence": 78.3, "Categories": [{"Name": "Kitchen and Dining"}]}
    lines = _drawn(results.tables(item("a.jpg", labels=[cup]), 70.0), 60, monkeypatch)
    assert "\n Coffee Cup " in "\n".join(lines)


@pytest.mark.parametrize("columns", [60, 80])
def test_the_line_of_an_upload_shows_what_became_of_the_pictures(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10_000, 10))
    total = SimpleNamespace(files=3000, size_bytes=0, is_known=True)
    with terminal(monkeypatch, columns=columns, term="xterm") as told:
        transfer = Transfer(total, lambda: next(clock))
        for number in range(1500):
            transfer.take(Sent(f"k/{number}", f"{number}", "v", replaced=False, size_bytes=40_000))
        for status in ("failed", "done"):
            transfer.take(Arrived(cast("Any", {"status": status})))
        TransferView(transfer).stop()
    assert re.search(r"1,500 of 3,000, \d+:\d+ left, 1 analyzed, 1 failed", told.err.getvalue())
    assert " 57.2 …" not in told.err.getvalue()  # a size goes with its unit


@WIDTHS
def test_a_list_has_whole_keys(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [EVERYTHING, item("cat.jpg", labels=LABELS), failed(KEY, retryable=False)]
    lines = _drawn(listings.table(items, 70.0), columns, monkeypatch)
    assert [line.strip() for line in lines].count(KEY) == 2
    assert (
        _not_whole(lines, "cat.jpg", "Transportation Vehicle 93 %", TEXT[0]["DetectedText"], "Too busy.")
        == []
    )
    assert _too_long(lines, columns) == []


@WIDTHS
def test_short_keys_stand_in_a_table(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = _drawn(listings.table([item("cat.jpg", labels=LABELS)], 70.0), columns, monkeypatch)
    assert lines[1].split() == ["Analyzed", "Key", "Status", "Found"]


@WIDTHS
def test_reasons_checks_and_permissions_have_whole_words(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture: Any = Picture(KEY, "failed", "access_denied", DENIED, "Wait.", True, None, None, (), ())
    found: Any = SimpleNamespace(pictures=[picture], queue_url="q", contents=_NOTHING, again=False)
    target: Any = SimpleNamespace(local=True)
    with terminal(monkeypatch, columns=columns) as told:
        failures.show(Screen(), found, every_key=True)
        examinations.show(Screen(), CHECKS, target, verbose=True)
        policies.explain(Screen(), policies.explanation(["up"]))
    lines = told.out.getvalue().splitlines()
    assert _not_whole(lines, DENIED, "access_denied", KEY, "arn:aws:iam::123456789012:user/somebody.") == []
    assert (
        _not_whole(lines, "s3.get_bucket_notification_configuration", "s3:PutBucketOwnershipControls") == []
    )
    assert _not_whole(lines, "not checked", "administrator.", "imgpipe doctor --aws") == []
    assert _too_long(lines, columns) == []


_NOTHING = SimpleNamespace(entries=[], elsewhere=0, complete=True)


def test_what_became_of_a_retried_picture_stays_in_its_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    failed_again: Any = Picture(KEY, "failed", "access_denied", DENIED, DENIED, True, None, None, (), ())
    done: Any = Picture(KEY, "done", "", "", "", False, None, EVERYTHING, (), ())
    settings: Any = SimpleNamespace(features=("labels",))
    with terminal(monkeypatch, columns=60) as told:
        failures.outcome(Screen(), failed_again, 70.0)
        failures.finished(Screen(), done, settings)
    lines = told.out.getvalue().splitlines()
    assert [line[:14] for line in lines if line[:8].strip()] == [
        *(KEY[:14], "  failed  The ", "  hint    The "),
        *(KEY[:14], "  done  Analyz", "  hint  It lac"),
    ]
    assert _too_long(lines, 60) == []


def test_where_there_is_room_nothing_goes_and_nothing_is_stacked(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Columns(Column("Name", whole=True), Column("Spare", spare=1), Column(alone="Spare", whole=True))
    table.add_row(Text("a-long-name"), Text("####"), Text("12 %"))
    assert [line.split() for line in _drawn(table, 60, monkeypatch)[1::2]] == [
        ["Name", "Spare"],
        ["a-long-name", "####", "12", "%"],
    ]


# --- lines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("short", "short"),
        ("one two three four five", "one two three four\n  five"),
        ("  Bucket  one two three four", "  Bucket  one two\n          three four"),
        ("    one two three four", "    one two three\n      four"),
        ("a\nb c d e f g h i j k l m", "a\nb c d e f g h i j k\n  l m"),
        ("see /a/path/that/is/longer/than/a/line now", "see /a/path/that/is/longer/than/a/line\n  now"),
        ("10:00:00  an-id-of-19-letters", "10:00:00\n an-id-of-19-letters"),
        ("Cat 96 %, Animal 98 %, Pet", "Cat 96 %, Animal\n  98 %, Pet"),  # a number keeps its sign
        ("", ""),
        ("写真 の 名前 は 長い です", "写真 の 名前 は 長い\n  です"),  # two columns each
        ("cafe\u0301 one two three four", "cafe\u0301 one two three\n  four"),  # the accent takes none
    ],
)
def test_lines_are_broken_between_words(text: str, shown: str) -> None:
    assert fitted(text, 20) == shown
    assert fitted(text, 1000) == text


def test_of_progress_that_is_too_long_the_first_words_are_shown() -> None:
    assert whole_words("created bucket imgpipe-uploads", 40) == "created bucket imgpipe-uploads"
    assert whole_words("created bucket imgpipe-uploads", 20) == "created bucket …"
    assert whole_words("created 写真の入れ物 imgpipe", 21) == "created …"
    assert whole_words("created 写真の入れ物 imgpipe", 22) == "created 写真の入れ物 …"
    assert whole_words("27 of 27, 3 refused, 5.7 MB", 26, ", ") == "27 of 27, 3 refused …"


LONG = "The pipeline of this project was set up in another region than the one that is asked for now."


@WIDTHS
def test_notes_results_and_errors_have_whole_words(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch, columns=columns) as told:
        screen = Screen()
        screen.line(LONG)
        screen.note(LONG)
        screen.progress.event(Refused("a.gif", "x", LONG, LONG))
        screen.problem("up", Problem("x", LONG, hint=LONG))
    lines = (told.out.getvalue() + told.err.getvalue()).splitlines()
    assert _too_long(lines, columns) == []
    words = " ".join(lines).split()
    assert words.count("pipeline") == words.count("now.") == 6


def test_what_is_to_be_copied_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as told:
        Screen().line(LONG, exact=True)
    assert told.out.getvalue() == f"{LONG}\n"


def test_away_from_a_terminal_lines_are_left_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    screen.line(f"{LONG} {LONG}")
    screen.note(f"{LONG} {LONG}")
    assert tuple(capsys.readouterr()) == (f"{LONG} {LONG}\n", f"{LONG} {LONG}\n")


# --- quiet, busy ---------------------------------------------------------------------------------

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
ALL_OF_NONE = SimpleNamespace(files=0, size_bytes=0, is_known=True)
ALL_OF_ONE = SimpleNamespace(files=1, size_bytes=9, is_known=True)
PROGRESS = (
    Note("starting_local"),
    Sent("a.jpg", "a.jpg", "v", replaced=False),
    Downloaded("m", 1, 2),
    Changing("bucket", "bucket", "create", "bucket x"),
)


def test_of_an_upload_of_nothing_no_bar_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch, term="xterm") as told, Screen() as screen:
        screen.progress.transfers(ALL_OF_NONE)
        screen.progress.event(Refused("a.jpg", "not_found", "There is no such file.", ""))
    assert told.err.getvalue() == "refused a.jpg: There is no such file.\n"


@pytest.mark.parametrize("term", ["dumb", "xterm"])
def test_quiet_shows_results_and_errors_only(term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target: Any = SimpleNamespace(local=False, project="p", profile=None)
    with terminal(monkeypatch, term=term) as told, Screen(quiet=True) as screen:
        screen.target(target, "1", "r", None)
        screen.progress.steps(STEPS)
        screen.progress.transfers(ALL_OF_ONE)
        for event in PROGRESS:
            screen.progress.event(event)
        screen.aside("By the way.")
        screen.progress.waiting(3)
        with screen.progress.busy("starting_local"):
            pass
        assert told.err.getvalue() == ""
        screen.progress.event(Refused("a.gif", "x", "It is a GIF.", "Convert it."))
        screen.problem("up", Problem("x", "It failed."))
        screen.line("1 sent.")
    assert told.err.getvalue() == "refused a.gif: It is a GIF. Convert it.\nError: It failed.\n"
    assert told.out.getvalue() == "1 sent.\n"


@pytest.mark.parametrize(("term", "moves"), [("dumb", False), ("xterm", True)])
def test_what_takes_a_while_says_so_with_a_spinner_where_one_can_move(
    term: str, moves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with terminal(monkeypatch, term=term) as told, Screen() as screen, screen.progress.busy("starting_local"):
        pass
    shown = told.err.getvalue()
    assert "Starting the local cloud on this machine." in shown
    # The cursor hides while something moves, and comes back.
    assert (HIDE in shown, SHOW in shown) == (moves, moves)


def test_a_spinner_ends_also_where_what_it_stands_for_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        terminal(monkeypatch, term="xterm") as told,
        pytest.raises(Problem),
        Screen().progress.busy("starting_local"),
    ):
        raise Problem("x", "It did not start.")
    assert told.err.getvalue().count(SHOW) == 1
