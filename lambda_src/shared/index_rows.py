"""The rows of the index table, by which pictures are found. Pure.

A row is (pk, sk). Standard library only: the command line loads this very file, under another package name.

  pk                          sk                          one for
  label#<lower name>          <rank>#<hash of the key>    each label and parent of a picture
  text#<word>                 <rank>#<hash of the key>    each word seen in it, at most 50
  name#<word>                 <rank>#<hash of the key>    each word of its key, at most 20
  labels                      <lower name>                each label's name, as Rekognition writes it
  aliases                     <lower alias>#<lower name>  each other name of a label
  sha256#<hex>#<feature>      <model>#<hash of the key>   each answer that a picture of these bytes has
  asking#<hex>                -, or one for a picture     who asks Rekognition about these bytes
  model#<feature>             -                           the newest model seen
  month#<yyyy-mm>             -                           counters
  index                       state                       how far the index is

The rank makes the most certain come first; <model> is a mark of five characters. Rows of a picture have its
`key`, since keys and sort keys may both have 1,024 bytes, and `at`: milliseconds since 1970, more with each
writing of the picture's rows.

`indexed` of a result lists its rows. It is written before rows that the result did not have, and the rows
are written before the result they are about; what is left over is removed after it. So whatever stops in
between, no row of a result is missing, and readers check each row against its result.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from .results import FEATURES

FORMAT = "2"
"""Another one whenever results have other rows than before: `up` then makes those of older pipelines anew."""

LABELS = "labels"
ALIASES = "aliases"
ONE = "-"
"""The sk where a pk has one row."""
STATE = ("index", "state")

MAX_BATCH = 25
"""Rows in one BatchWriteItem."""

_MAX_WORDS = 50
_MAX_KEY_WORDS = 20
"""The most certain words, and the end of the key. Of labels, Rekognition is asked for at most 100."""

_MAX_NAME = 120
"""Characters of a name that count: two names have room in a sort key of 1,024 bytes."""
_MAX_WORD = 64
_WORD = re.compile(r"[^\W_]+")
_RANK_DIGITS = 5


def folded(text: str) -> str:
    """A name as it is compared: without case, and with single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())[:_MAX_NAME].rstrip()


def words(text: str) -> list[str]:
    """The words of a text as they are compared, each once, in their order."""
    return list(dict.fromkeys(_every_word(text)))


def _every_word(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).casefold()
    return [word[:_MAX_WORD] for word in _WORD.findall(plain)]


def label_pk(name: str) -> str:
    return f"label#{folded(name)}"


def text_pk(word: str) -> str:
    """word: one of `words`."""
    return f"text#{word}"


def name_pk(word: str) -> str:
    """word: one of `words`."""
    return f"name#{word}"


def alias_beginning(alias: str) -> str:
    """How the sk of a row of an alias begins."""
    return f"{folded(alias)}#"


def sha256_pk(digest: str, feature: str) -> str:
    """digest: hexadecimal."""
    return f"sha256#{digest}#{feature}"


def asking_pk(digest: str) -> str:
    """digest: hexadecimal."""
    return f"asking#{digest}"


def model_pk(feature: str) -> str:
    return f"model#{feature}"


def month_pk(month: str) -> str:
    """month: such as 2026-11."""
    return f"month#{month}"


def rank(confidence: float) -> str:
    """Five characters, the smaller the more certain. confidence: 0 to 100.

    Cut off to hundredths, never rounded up: so no row that is counted from 70 on is of 69.996.
    """
    hundredths = math.floor(round(float(confidence) * 100, 6))  # 64.1 * 100 is a little less than 6410
    return f"{min(max(10_000 - hundredths, 0), 9_999) / 100:05.2f}"


def mark_of(model: str) -> str:
    """Five characters for a model: its answers stand together among those of others. model: "" for none."""
    return hashlib.sha256(model.encode()).hexdigest()[:_RANK_DIGITS]


def hash_of(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def sort_key(row_rank: str, key: str) -> str:
    return f"{row_rank}#{hash_of(key)}"


# --- of a result -----------------------------------------------------------------------------------


def certainties(item: Mapping[str, Any]) -> dict[str, float]:
    """By what a result is found: pk -> how certain it is of that, 0 to 100."""
    labels: dict[str, float] = {}
    for label in item.get("labels", ()):
        for name in _names(label):
            _raise(labels, label_pk(name), label["Confidence"])
    text: dict[str, float] = {}
    for detection in item.get("text", ()):
        for word in words(detection.get("DetectedText", "")):
            _raise(text, text_pk(word), detection["Confidence"])
    # The last part of a path tells more than the folders before it, also where a word stands in both.
    last = list(dict.fromkeys(reversed(_every_word(item["objectKey"]))))[:_MAX_KEY_WORDS]
    key = {name_pk(word): 100.0 for word in last}
    return {**labels, **_most_certain(text, _MAX_WORDS), **key}


def _raise(found: dict[str, float], pk: str, confidence: Any) -> None:
    found[pk] = max(float(confidence), found.get(pk, 0.0))


def _most_certain(found: Mapping[str, float], count: int) -> dict[str, float]:
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0]))[:count])


def entries(item: Mapping[str, Any]) -> list[str]:
    """The rows of a result as `indexed` lists them."""
    places = {pk: rank(certainty) for pk, certainty in certainties(item).items()}
    if "sha256" in item:  # also of one that failed: what it has is paid for
        places |= {
            sha256_pk(item["sha256"], feature): mark_of(item["models"].get(feature, ""))
            for feature in FEATURES
            if feature in item
        }
    return [f"{place} {pk}" for pk, place in sorted(places.items())]


def row_of(entry: str, key: str) -> tuple[str, str]:
    """(pk, sk) of an entry of `indexed`."""
    return entry[_RANK_DIGITS + 1 :], sort_key(entry[:_RANK_DIGITS], key)


def is_indexed(stored: Mapping[str, Any]) -> bool:
    """Whether all rows of a stored item are there."""
    return "indexedAt" in stored


def is_settled(stored: Mapping[str, Any]) -> bool:
    """Whether all rows of a stored result are there, and it lists no others."""
    return is_indexed(stored) and set(stored.get("indexed", ())) == set(entries(stored))


def rows_of(item: Mapping[str, Any], listed: Iterable[str], at: int) -> list[dict[str, Any]]:
    """The rows of a result as they are written. listed: as in `indexed`."""
    places = (row_of(entry, item["objectKey"]) for entry in listed)
    return [{"pk": pk, "sk": sk, "key": item["objectKey"], "at": at} for pk, sk in places]


def rows_of_names(item: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """By (pk, sk), the rows of the names of its labels, their parents and aliases: the same for many results.

    `name` is how Rekognition writes the label; no row of these is ever removed.
    """
    found: dict[tuple[str, str], str] = {}
    for label in item.get("labels", ()):
        for name in _names(label):
            found[LABELS, folded(name)] = name
        for alias in label.get("Aliases", ()):
            found[ALIASES, alias_beginning(alias["Name"]) + folded(label["Name"])] = label["Name"]
    return {(pk, sk): {"pk": pk, "sk": sk, "name": name} for (pk, sk), name in found.items()}


def _names(label: Mapping[str, Any]) -> list[str]:
    """A label's name and those of its parents; none where an endpoint left them out."""
    named = (one.get("Name", "") for one in (label, *label.get("Parents", ())))
    return [name for name in named if folded(name)]


def unless_newer(at: int) -> dict[str, Any]:
    """DeleteItem's condition that a row was written before that time, for an earlier result."""
    return {
        "ConditionExpression": "#at < :at",
        "ExpressionAttributeNames": {"#at": "at"},
        "ExpressionAttributeValues": {":at": {"N": str(at)}},
    }
