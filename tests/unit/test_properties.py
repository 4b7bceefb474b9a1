"""The feature `properties` on the command line's side: permission, price, table and feed."""

from __future__ import annotations

from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resources.iam_role import permissions
from imgpipe_cli.pictures.listing import filtered
from imgpipe_cli.render.results import line, tables
from imgpipe_cli.session import prices
from imgpipe_cli.session.settings import FEATURES, Settings
from shared.result_item import ResultItem

ITEM: ResultItem = {
    "objectKey": "a.jpg",
    "bucket": "any",
    "models": {},
    "durationMs": 250,
    "status": "done",
    "analyzedAt": "2026-11-22T18:30:05.250Z",
    "features": ["properties"],
    "properties": {
        "Quality": {"Brightness": 47.25, "Sharpness": 88.5, "Contrast": 61.0},
        "DominantColors": [
            {
                "Red": 47,
                "Green": 79,
                "Blue": 79,
                "HexCode": "#2f4f4f",
                "PixelPercent": 75.0,
                "CSSColor": "darkslategrey",
            },
            {
                "Red": 255,
                "Green": 215,
                "Blue": 0,
                "HexCode": "#ffd700",
                "PixelPercent": 25.0,
                "CSSColor": "",
            },
        ],
    },
}


def actions(*features: str) -> list[str]:
    names = Names("demo", "123456789012", "eu-west-1", "aws")
    statements = permissions("ingest", names, Settings(features=features))["Statement"]
    (detect,) = [one["Action"] for one in statements if one["Sid"] == "AnalyzePictures"]
    return list(detect)


def test_labels_and_properties_need_one_action_between_them() -> None:
    assert actions("labels", "properties") == ["rekognition:DetectLabels"]
    assert actions("properties") == ["rekognition:DetectLabels"]
    assert len(actions(*FEATURES)) == 4


def test_properties_cost_three_quarters_of_a_picture() -> None:
    assert prices.per_1000(("properties",)) == 0.75
    assert prices.per_1000(("labels", "properties")) == 1.75


def test_the_table_shows_quality_and_colors_by_their_share() -> None:
    shown = "\n".join(line.plain.rstrip(" ") for line in tables(ITEM, 70).lines(100))
    rows = [row.split() for row in shown.splitlines() if "%" in row or "of 100" in row]
    assert [row[0] for row in rows] == ["Brightness", "Sharpness", "Contrast", "darkslategrey", "#ffd700"]
    assert "47.2 of 100" in shown
    assert "75.0 %" in shown


def test_the_feed_names_the_first_colors() -> None:
    assert line(ITEM, 70).endswith("colors: darkslategrey, #ffd700")


def test_no_threshold_takes_properties_away() -> None:
    assert filtered(ITEM, 100) == ITEM
