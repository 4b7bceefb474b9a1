"""The rows of the index table, by which pictures are found. Pure.

A row is (pk, sk). Standard library only: the command line loads this very file, under another package name.

  pk                          sk                          one for
  label#<lower name>          <rank>#<hash of the key>    each label and parent of a picture
  text#<word>                 <rank>#<hash of the key>    each word seen in it, at most 50
  name#<word>                 <rank>#<hash of the key>    each word of its key, at most 50
  labels                      <lower name>                each label's name, as Rekognition writes it
  aliases                     <lower alias>#<lower name>  each other name of a label
  sha256#<hex>#<feature>      <rank>#<hash of the key>    each answer that a picture of these bytes has
  asking#<hex>                -, or one for a picture     who asks Rekognition about these bytes
  model#<feature>             -                           the newest model seen
  month#<yyyy-mm>             -                           counters
  index                       state                       how far the index is

The rank makes the most certain come first. The first four have the picture's `key`, since keys and sort keys
may both have 1,024 bytes, and `at`: milliseconds since 1970, more with each writing of the picture's rows.

`indexed` of a result lists its rows. It is written before rows that the result did not have, and the rows
are written before the result they are about; what is left over is removed after it. So whatever stops in
between, no row of a result is missing, and readers check each row against its result.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from .results import FEATURES

LABELS = "labels"
ALIASES = "aliases"
ONE = "-"
"""The sk where a pk has one row."""
STATE = ("index", "state")

MAX_WORDS = 50
_MAX_WORD = 64
_WORD = re.compile(r"[^\W_]+")
_RANK_DIGITS = 5


def folded(text: str) -> str:
    """A name as it is compared: without case, and with single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def words(text: str) -> list[str]:
    """The words of a text as they are compared, each once, in their order."""
    return list(dict.fromkeys(word[:_MAX_WORD] for word in _WORD.findall(folded(text))))


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
    """Five characters, the smaller the more certain. confidence: 0 to 100."""
    return f"{min(max(99.99 - float(confidence), 0.0), 99.99):05.2f}"


def hash_of(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def sort_key(row_rank: str, key: str) -> str:
    return f"{row_rank}#{hash_of(key)}"


# --- of a result -----------------------------------------------------------------------------------


def certainties(item: Mapping[str, Any]) -> dict[str, float]:
    """By what a result is found: pk -> how certain it is of that, 0 to 100."""
    found: dict[str, float] = {}
    for label in item.get("labels", ()):
        for one in (label, *label.get("Parents", ())):
            _raise(found, label_pk(one["Name"]), label["Confidence"])
    seen: dict[str, float] = {}
    for detection in item.get("text", ()):
        for word in words(detection["DetectedText"]):
            _raise(seen, text_pk(word), detection["Confidence"])
    found |= dict(sorted(seen.items(), key=lambda one: -one[1])[:MAX_WORDS])
    # The last part of a path tells more than the folders before it.
    for word in words(item["objectKey"])[-MAX_WORDS:]:
        found[name_pk(word)] = 100.0
    if item["status"] == "done" and "sha256" in item:
        found |= {sha256_pk(item["sha256"], feature): 100.0 for feature in FEATURES if feature in item}
    return found


def _raise(found: dict[str, float], pk: str, confidence: Any) -> None:
    found[pk] = max(float(confidence), found.get(pk, 0.0))


def entries(item: Mapping[str, Any]) -> list[str]:
    """The rows of a result as `indexed` lists them."""
    return [f"{rank(certainty)} {pk}" for pk, certainty in sorted(certainties(item).items())]


def row_of(entry: str, key: str) -> tuple[str, str]:
    """(pk, sk) of an entry of `indexed`."""
    return entry[_RANK_DIGITS + 1 :], sort_key(entry[:_RANK_DIGITS], key)


def names_of(labels: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """The rows of the names that labels, their parents and aliases have: (pk, sk) -> the label's own name."""
    found: dict[tuple[str, str], str] = {}
    for label in labels:
        for one in (label, *label.get("Parents", ())):
            found[LABELS, folded(one["Name"])] = one["Name"]
        for alias in label.get("Aliases", ()):
            found[ALIASES, alias_beginning(alias["Name"]) + folded(label["Name"])] = label["Name"]
    return found
