"""A picture's result as tables, or as one line of a feed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imgpipe_cli.pictures.keys import argument
from imgpipe_cli.pictures.listing import filtered
from imgpipe_cli.pictures.waiting import is_retrying
from imgpipe_cli.render.columns import SENTENCE, Column, Columns
from imgpipe_cli.render.styled import Drawn, Labeled, Stack, Text
from imgpipe_cli.render.text import safe, seconds, size

if TYPE_CHECKING:
    from shared.result_item import (
        Color,
        Face,
        Label,
        Moderation,
        Named,
        Properties,
        ResultItem,
        TextDetection,
    )

_BAR = 20
_SHORT_BAR = 8  # leaves room for the words on a narrow terminal
_WIDE = 100
_EIGHTHS = " ▏▎▍▌▋▊▉"
_FEATURE_TITLES = {
    "labels": "Labels",
    "moderation": "Moderation",
    "faces": "Faces",
    "text": "Text",
    "properties": "Properties",
}


def tables(item: ResultItem, min_confidence: float) -> Drawn:
    """The whole result: a heading, then a table for each feature that was asked for."""
    parts: list[Drawn] = [_heading(item)]
    if item["status"] == "failed":
        parts.append(_failure(item))
    else:
        shown = filtered(item, min_confidence)
        for feature in item.get("features", []):
            parts += _feature(feature, item, shown, min_confidence)
        parts += _missing_models(item)
        parts += _reused(item)
    return Stack(*parts, Text())


def _said(text: Text) -> Drawn:
    """Below a key, and all of it a little further in."""
    return Labeled((Text(), text))


class _Heading:
    """A key, whole, and beside it, or below it where the line is too short, what the picture is."""

    def __init__(self, key: str, facts: str) -> None:
        self._key = Text(key, "bold")
        self._facts = Text(facts, "dim")

    def lines(self, columns: int) -> Iterator[Text]:
        beside = self._key + Text("  ") + self._facts
        if self._facts.plain and beside.width <= columns:
            yield beside
            return
        yield self._key
        if self._facts.plain:
            yield from _said(self._facts).lines(columns)


def _heading(item: ResultItem) -> _Heading:
    facts = []
    if item.get("width") and item.get("height"):
        facts.append(f"{item['width']:g} x {item['height']:g}")
    if item.get("sizeBytes") is not None:
        facts.append(size(item["sizeBytes"]))
    if original := item.get("original"):
        facts.append(f"converted from {safe(original['kind'])}")
    if item["status"] == "done" and item.get("durationMs") is not None:
        # What is reused may take less, and 0.0 s would read like a fault.
        facts.append(f"analyzed in {seconds(max(item['durationMs'], 100) / 1000)}")
    return _Heading(safe(item["objectKey"]), ", ".join(facts))


def _failure(item: ResultItem) -> Drawn:
    error = item["error"]
    retrying = "retrying: " if is_retrying(item) else ""
    # "It is tried again by itself" was true as long as there were tries.
    over = error.get("retryable") and not retrying
    hint = after_all_tries(item["objectKey"]) if over else error["hint"]
    return Labeled(
        (Text("failed", "red"), Text(f"{retrying}{safe(error['message'])}", "red")),
        (Text("hint"), Text(safe(hint))),
    )


def after_all_tries(key: str) -> str:
    """What to do about a failure that may pass, once nothing is tried again by itself."""
    return f"See imgpipe explain {argument(key)}; once the cause is gone, run imgpipe retry."


def _feature(feature: str, item: ResultItem, shown: ResultItem, min_confidence: float) -> Iterator[Drawn]:
    title = _FEATURE_TITLES.get(feature, feature)
    if feature in item.get("unavailable", {}):
        reason = item["unavailable"][feature]
        yield _said(Text(f"{title}: not available here ({safe(reason['message'])})", "yellow"))
        return
    if feature not in shown:
        return
    if feature == "properties":
        yield _properties(shown["properties"])
        return
    if not _told(feature, shown):
        below = len(_told(feature, item))
        more = f" at {min_confidence:g} % or more ({below} less sure)" if below else ""
        yield _said(Text(f"{title}: nothing found{more}{_looked_for(feature, item)}"))
        return
    yield _TABLES[feature](_told(feature, shown))
    if only := _looked_for(feature, item):
        yield _said(Text(f"{title}{only}"))


def _told(feature: str, item: Mapping[str, Any]) -> list[Any]:
    """What people are told of: of a text its lines, not each word of them once more."""
    return [entry for entry in item[feature] if feature != "text" or entry.get("Type") == "LINE"]


def _looked_for(feature: str, item: ResultItem) -> str:
    """The local moderation says in its version that it knows one label only."""
    narrow = "explicit-only" in item.get("models", {}).get(feature, "")
    return "; only Explicit is looked for" if narrow else ""


def _missing_models(item: ResultItem) -> Iterator[Drawn]:
    """The local analysis says in its version which models it had to do without, such as no-object-model."""
    missing = re.findall(r"\bno-(\w+)-model\b", item.get("models", {}).get("labels", ""))
    if missing:
        names = ", ".join(missing)
        yield _said(Text(f"Missing models: {names} (imgpipe local models fetch)", "yellow"))


def _reused(item: ResultItem) -> Iterator[Drawn]:
    """Whose analyses these are, in the order of the features: imgpipe pays once for the same bytes."""
    origins: dict[str, list[str]] = {}
    for feature in item.get("features", ()):
        if origin := item.get("reusedFrom", {}).get(feature):
            origins.setdefault(origin["objectKey"], []).append(feature)
    for key, reused in origins.items():
        yield _said(
            Text(f"Reused from {safe(key)}, which has the same bytes: {safe(', '.join(reused))}", "dim")
        )


def _table(first: str, *others: Column) -> Columns:
    """What was found, how sure that is as a bar and a number, and what else there is to say."""
    bar = Column("Confidence", whole=True, spare=9)
    return Columns(Column(first, least=SENTENCE), bar, Column(whole=True, alone="Confidence"), *others)


def _labels(labels: Sequence[Label]) -> Columns:
    table = _table("Label", Column("Parents", spare=6), Column("Category", spare=7), Column("Boxes", spare=8))
    for label in labels:
        boxes = len(label.get("Instances", []))
        table.add_row(
            Text(safe(label["Name"])),
            *_confidence(label["Confidence"]),
            Text(_names(label.get("Parents", []))),
            Text(_names(label.get("Categories", []))),
            Text(str(boxes) if boxes else ""),
        )
    return table


def _moderation(labels: Sequence[Moderation]) -> Columns:
    table = _table("Moderation", Column("Under"))
    for label in labels:
        table.add_row(
            Text(safe(label["Name"])),
            *_confidence(label["Confidence"]),
            Text(safe(label.get("ParentName", ""))),
        )
    return table


def _faces(faces: Sequence[Face]) -> Columns:
    table = _table("Face", Column("Seen in it", least=SENTENCE))
    for number, face in enumerate(faces, start=1):
        table.add_row(Text(f"{number}"), *_confidence(face["Confidence"]), Text(", ".join(_face_facts(face))))
    return table


def _face_facts(face: Face) -> Iterator[str]:
    if "AgeRange" in face:
        yield f"age {face['AgeRange']['Low']:g} to {face['AgeRange']['High']:g}"
    if face.get("Emotions"):
        strongest = max(face["Emotions"], key=lambda emotion: float(emotion["Confidence"]))
        yield safe(str(strongest["Type"]).lower())
    traits = {
        "smile": face.get("Smile"),
        "glasses": face.get("Eyeglasses"),
        "sunglasses": face.get("Sunglasses"),
    }
    yield from (words for words, trait in traits.items() if trait and trait["Value"])
    box_ = face.get("BoundingBox")
    if box_:
        yield f"{box_['Width'] * 100:.0f} % x {box_['Height'] * 100:.0f} % of the picture"


def _text(detections: Sequence[TextDetection]) -> Columns:
    table = _table("Text")
    for detection in detections:
        table.add_row(Text(safe(detection["DetectedText"])), *_confidence(detection["Confidence"]))
    return table


def _properties(properties: Properties) -> Columns:
    """How the picture as a whole is, and its colors by the share of the picture that they take."""
    table = Columns(Column("Properties"), Column(whole=True, spare=1), Column(whole=True))
    quality: Mapping[str, Any] = properties.get("Quality", {})
    for name in ("Brightness", "Sharpness", "Contrast"):
        if (value := quality.get(name)) is not None:
            table.add_row(Text(name), _bar(value, "cyan"), Text(f"{value:.1f} of 100"))
    for color in properties.get("DominantColors", []):
        shade = f"rgb({color['Red']:g},{color['Green']:g},{color['Blue']:g})"
        share = Text(f"{color['PixelPercent']:.1f} %")
        table.add_row(Text(_color(color)), _bar(color["PixelPercent"], shade), share)
    return table


def _color(color: Color) -> str:
    return safe(color.get("CSSColor") or color["HexCode"])


_TABLES: Mapping[str, Callable[[list[Any]], Columns]] = {
    "labels": _labels,
    "moderation": _moderation,
    "faces": _faces,
    "text": _text,
}


def _names(entries: Sequence[Named]) -> str:
    return safe(", ".join(str(entry["Name"]) for entry in entries))


def _confidence(percent: float) -> tuple[Text, Text]:
    """A bar a person reads at a glance, and the number."""
    color = "green" if percent >= 90 else "yellow" if percent >= 70 else "red"
    return _bar(percent, color), Text(f"{percent:.1f} %")


def _bar(percent: float, color: str) -> Text:
    width = _BAR if shutil.get_terminal_size((_WIDE, 24)).columns >= _WIDE else _SHORT_BAR
    eighths = round(max(0.0, min(percent, 100.0)) / 100 * width * 8)
    bar = "█" * (eighths // 8) + (_EIGHTHS[eighths % 8].strip() if eighths % 8 else "")
    return Text(bar.ljust(width), color)


def line(item: ResultItem, min_confidence: float) -> str:
    """One result as one line of a feed."""
    key = safe(item["objectKey"])
    at = item["analyzedAt"][11:19]
    if item["status"] == "failed":
        error = item["error"]
        return f"{at}  {key}  {'retrying' if is_retrying(item) else 'failed'}: {safe(error['message'])}"
    shown = filtered(item, min_confidence)
    return f"{at}  {key}  {'; '.join(brief(shown)) or 'nothing found'}"


def brief(item: ResultItem) -> Iterator[str]:
    """What was found, each feature in a few words."""
    if item.get("labels"):
        yield ", ".join(f"{safe(label['Name'])} {label['Confidence']:.0f} %" for label in item["labels"][:6])
    if item.get("moderation"):
        yield "moderation: " + ", ".join(safe(label["Name"]) for label in item["moderation"][:3])
    if item.get("faces"):
        yield f"{len(item['faces'])} face{'s' if len(item['faces']) > 1 else ''}"
    lines = [entry["DetectedText"] for entry in item.get("text", []) if entry.get("Type") == "LINE"]
    if lines:
        yield "text: " + safe(" / ".join(lines[:3]))
    colors = item.get("properties", {}).get("DominantColors", [])
    if colors:
        yield "colors: " + ", ".join(_color(color) for color in colors[:3])
    if item.get("unavailable"):
        yield f"not available here: {', '.join(item['unavailable'])}"
