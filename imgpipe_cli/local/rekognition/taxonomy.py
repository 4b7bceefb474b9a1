"""What Rekognition's label taxonomy says about the labels found here.

Only what was seen in recorded answers of the service or in its documentation; where a category or an alias
is not known it is left out, never guessed. "QR Code" is our own name: AWS's was not seen. Parents are all
ancestors, sorted by name.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    parents: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


_UNKNOWN = Kind()
_PERSON = ("Person Description",)

TAXONOMY = {
    "Person": Kind(aliases=("Human",), categories=_PERSON),
    "Head": Kind(parents=("Person",), categories=_PERSON),
    "Face": Kind(parents=("Head", "Person"), categories=_PERSON),
    "Text": Kind(categories=("Text and Documents",)),
    "QR Code": _UNKNOWN,
}


def kind_of(name: str) -> Kind:
    return TAXONOMY.get(name, _UNKNOWN)
