"""Numbers, sizes and trimming: what may go into a DynamoDB item."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.trim import MAX_ITEM_BYTES, trimmed
from shared.dynamo_types import exact, from_attributes, stored_size, to_attributes

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud

numbers = st.integers(-(10**18), 10**18) | st.floats(-1e6, 1e6).filter(lambda x: x == 0 or abs(x) > 1e-90)
values = st.recursive(
    st.none() | st.booleans() | st.text(max_size=20) | numbers,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_every_value_comes_back_equal_and_as_json(value: Any) -> None:
    back = from_attributes(to_attributes({"value": value}))
    assert back == {"value": value}
    assert json.loads(json.dumps(back)) == back


def test_whole_numbers_stay_whole() -> None:
    back = from_attributes(to_attributes({"width": 640, "Confidence": 99.0, "Left": 0.1}))
    assert json.dumps(back) == '{"width": 640, "Confidence": 99, "Left": 0.1}'


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="cannot be stored"):
        exact({"labels": [{"Confidence": number}]})


def face(confidence: float) -> dict[str, Any]:
    points = [{"Type": f"point{n}", "X": 0.123456789 * n, "Y": 0.987654321 * n} for n in range(60)]
    return {"Confidence": confidence, "Landmarks": points}


def crowd() -> dict[str, Any]:
    faces = [face(50 + (n * 37 % 100) / 2) for n in range(100)]
    return {"objectKey": "a.jpg", "labels": [{"Name": "Crowd", "Confidence": 99.9}], "faces": faces}


def test_a_small_item_is_left_alone() -> None:
    item: Any = {"objectKey": "a.jpg", "labels": [{"Name": "Cat", "Confidence": 50}]}
    assert trimmed(item, {}) == item


def test_the_least_confident_findings_go_first() -> None:
    whole = crowd()
    item = trimmed(whole, {}, max_bytes=100_000)
    assert stored_size(item) <= 100_000
    assert item["labels"] == whole["labels"]
    kept = [entry["Confidence"] for entry in item["faces"]]
    lost = sorted(entry["Confidence"] for entry in whole["faces"])[: item["trimmed"]["faces"]]
    assert item["trimmed"] == {"faces": 100 - len(kept)}
    assert max(lost) <= min(kept)
    assert [entry for entry in whole["faces"] if entry in item["faces"]] == item["faces"]  # in their order
    # No more than needed: the next one would have been too much.
    assert stored_size(item) + stored_size(face(50.0)) > 100_000


def test_earlier_losses_are_counted_on() -> None:
    item = trimmed(crowd(), {"faces": 3, "text": 1}, max_bytes=100_000)
    assert item["trimmed"] == {"faces": 103 - len(item["faces"]), "text": 1}


def test_a_crowd_fits_into_the_table(cloud: Cloud, pictures: SimpleNamespace) -> None:
    emotions = [{"Type": "CALM" * 1200, "Confidence": 50.123456}]
    faces = [{"Confidence": 60 + n / 10, "Emotions": emotions} for n in range(100)]
    cloud.answers["DetectFaces"] = {"FaceDetails": faces}
    cloud.ingest(cloud.put("crowd.jpg", pictures.jpeg()), features="labels,faces")
    item = cloud.stored("crowd.jpg")
    assert item is not None
    assert item["status"] == "done"
    assert item["trimmed"]["faces"] == 100 - len(item["faces"]) > 0
    assert 0.95 * MAX_ITEM_BYTES < stored_size(item) <= MAX_ITEM_BYTES


def test_sizes_are_never_below_what_dynamodb_counts() -> None:
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    assert stored_size("é") == 2
    assert stored_size(True) == stored_size(None) == 1
    assert stored_size(27) >= 2
    assert stored_size(0.123456789012) >= 7
    assert stored_size([]) == stored_size({}) == 3
    assert stored_size({"ab": "c"}) == 3 + 1 + 2 + 1
    with pytest.raises(TypeError):
        stored_size(b"bytes")
