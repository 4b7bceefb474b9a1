"""The rules between the two models of labels, and the tables that they follow."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest

from imgpipe_cli.local.models.catalogue import FACES
from imgpipe_cli.local.models.lite0 import CLASSES
from imgpipe_cli.local.rekognition.backing import BACKING
from imgpipe_cli.local.rekognition.classifier import Shares
from imgpipe_cli.local.rekognition.coco import ANIMALS, LABELS
from imgpipe_cli.local.rekognition.combined import borne_out, concepts
from imgpipe_cli.local.rekognition.concepts import CONCEPTS
from imgpipe_cli.local.rekognition.faces import FaceFinder
from imgpipe_cli.local.rekognition.geometry import Box
from imgpipe_cli.local.rekognition.objects import Thing
from imgpipe_cli.local.rekognition.picture import decode
from tests.support.model_files import model_folder

BOX = Box(0.1, 0.1, 0.6, 0.8)
TABBY, BEE, CLOCK, ESPRESSO = 281, 309, 409, 967


def shares(**percent: float) -> Shares:
    found = np.zeros(CLASSES, np.float32)
    for name, value in percent.items():
        found[{"tabby": TABBY, "bee": BEE, "clock": CLOCK, "espresso": ESPRESSO}[name]] = value
    return found


@pytest.mark.parametrize(
    ("name", "seen", "has_face", "left"),
    [
        ("Clock", shares(tabby=90), False, 56),
        ("Clock", shares(clock=1.5), False, 80),
        ("Person", shares(tabby=80), False, 56),
        ("Person", shares(tabby=80), True, 80),
        ("Person", shares(clock=80), False, 80),
        ("Car", shares(tabby=90), False, 80),
        ("Dog", shares(clock=90), False, 80),
        ("Clock", None, False, 80),
    ],
)
def test_a_thing_that_the_other_model_does_not_bear_out_loses_three_tenths(
    name: str, seen: Shares | None, has_face: bool, left: float
) -> None:
    (thing,) = borne_out([Thing(name, 80, BOX)], seen, has_face=has_face)
    assert thing.confidence == pytest.approx(left)
    assert thing.box == BOX


def test_a_label_is_the_sum_of_its_classes() -> None:
    found = dict(concepts(shares(espresso=60, tabby=31), 0.0))
    assert found["Coffee"] == found["Cup"] == pytest.approx(60)
    assert found["Cat"] == found["Animal"] == pytest.approx(31)
    assert "Car" not in found


def test_insects_are_doubted_and_pages_of_text_have_no_concepts() -> None:
    assert dict(concepts(shares(bee=80), 0.0))["Bee"] == pytest.approx(60)
    assert list(concepts(shares(tabby=99), 0.11)) == []


@pytest.mark.parametrize(
    ("things", "of_an_animal", "faces"),
    [
        ([], False, 1),
        ([], True, 0),
        ([Thing("Person", 80, BOX)], True, 1),
        ([Thing("Person", 80, BOX), Thing("Dog", 90, BOX)], True, 0),
        ([Thing("Person", 80, BOX), Thing("Dog", 90, BOX)], False, 1),
    ],
)
def test_in_a_picture_of_an_animal_a_face_counts_only_where_a_person_is_surer(
    sample: Callable[[str], bytes], things: list[Thing], of_an_animal: bool, faces: int
) -> None:
    finder = FaceFinder("real", (model_folder() / FACES.file).read_bytes(), 1)
    frame = decode(sample("astronaut.jpg"), nullcontext())
    assert len(finder.find(frame, things, lambda: of_an_animal)) == faces


def test_the_tables_hold_classes_that_exist_and_labels_that_can_be_seen() -> None:
    assert 60 <= len(CONCEPTS) <= 120
    for numbers in (*CONCEPTS.values(), *BACKING.values()):
        assert numbers and 0 <= min(numbers) <= max(numbers) < CLASSES
    vehicles = set(LABELS[1:9])
    assert set(BACKING) <= set(LABELS) - ANIMALS - vehicles - {"Person"}
    assert {"Bicycle", "Truck", "Boat"} <= vehicles and {"Bird", "Giraffe"} <= ANIMALS


def test_a_part_is_never_more_than_its_whole() -> None:
    """Animal for Cat, Vehicle for Car: what stands in the narrow group stands in the wide one."""
    wholes = {
        "Animal": "Mammal Bird Fish Reptile Insect Dog Cat Lion Bear Spider Crab Snail Jellyfish Frog",
        "Mammal": "Canine Dog Wolf Fox Cat Lion Tiger Bear Elephant Horse Rabbit Monkey Whale Kangaroo",
        "Vehicle": "Car Truck Bus Train Motorcycle Bicycle Airplane Boat Tractor",
        "Food": "Pizza Burger Bread Fruit Apple Banana Vegetable Broccoli",
        "Building": "Castle Church Mosque",
        "Musical Instrument": "Guitar Piano Violin",
    }
    for whole, parts in wholes.items():
        for part in parts.split():
            assert set(CONCEPTS[part]) <= set(CONCEPTS[whole]), (part, whole)
