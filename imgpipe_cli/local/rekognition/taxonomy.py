"""What Rekognition's label taxonomy says about the labels found here.

Only what was seen in recorded answers of the service (label model 3.0) or in its documentation; what is not
known is left empty, never guessed, so most objects have neither parents nor a category. "QR Code" is our own
name: AWS's was not seen. Parents are all ancestors, sorted by name.
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
_ANIMAL = ("Animals and Pets",)
_WORN = ("Apparel and Accessories",)
_FURNITURE = ("Furniture and Furnishings",)

TAXONOMY = {
    "Person": Kind(aliases=("Human",), categories=_PERSON),
    "Head": Kind(parents=("Person",), categories=_PERSON),
    "Face": Kind(parents=("Head", "Person"), categories=_PERSON),
    "Text": Kind(categories=("Text and Documents",)),
    "QR Code": _UNKNOWN,
    # Objects.
    "Animal": Kind(categories=_ANIMAL),
    "Mammal": Kind(parents=("Animal",), categories=_ANIMAL),
    "Pet": Kind(parents=("Animal",), categories=_ANIMAL),
    "Canine": Kind(parents=("Animal", "Mammal"), categories=_ANIMAL),
    "Cat": Kind(parents=("Animal", "Mammal", "Pet"), categories=_ANIMAL),
    "Dog": Kind(parents=("Animal", "Canine", "Mammal", "Pet"), categories=_ANIMAL),
    "Transportation": _UNKNOWN,
    "Vehicle": Kind(parents=("Transportation",)),
    "Car": Kind(
        parents=("Transportation", "Vehicle"),
        aliases=("Automobile",),
        categories=("Vehicles and Automotive",),
    ),
    "Hydrant": Kind(categories=("Tools and Machinery",)),
    "Fire Hydrant": Kind(parents=("Hydrant",), categories=("Public Safety",)),
    "Phone": _UNKNOWN,
    "Mobile Phone": Kind(
        parents=("Phone",), aliases=("Cell Phone",), categories=("Technology and Computing",)
    ),
    "Cup": Kind(aliases=("Mug",), categories=("Kitchen and Dining",)),
    "Furniture": Kind(categories=_FURNITURE),
    "Chair": Kind(parents=("Furniture",), categories=_FURNITURE),
    "Couch": Kind(parents=("Furniture",), categories=_FURNITURE),
    "Accessories": Kind(aliases=("Accessory",), categories=_WORN),
    "Formal Wear": Kind(categories=_WORN),
    "Tie": Kind(parents=("Accessories", "Formal Wear"), categories=_WORN),
}


def kind_of(name: str) -> Kind:
    return TAXONOMY.get(name, _UNKNOWN)
