"""Objects: from the pixels through the decoder to labels with boxes, with a stand-in for the network."""

from __future__ import annotations

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imgpipe_cli.local.models.store import ModelFolder
from imgpipe_cli.local.rekognition import Rekognition, yolox
from imgpipe_cli.local.rekognition.analysis import Analysis
from imgpipe_cli.local.rekognition.coco import LABELS
from imgpipe_cli.local.rekognition.concepts import CONCEPTS
from imgpipe_cli.local.rekognition.installed import Finders
from imgpipe_cli.local.rekognition.objects import Detector, Thing
from imgpipe_cli.local.rekognition.picture import Frame
from imgpipe_cli.local.rekognition.taxonomy import TAXONOMY
from imgpipe_cli.local.rekognition.wire import Upload
from tests.local.rekognition.conftest import nothing_in_s3
from tests.local.rekognition.stand_in import COLOURS, stand_in, stand_in_model
from tests.support import exhaustive

Encoded = Callable[..., bytes]
Spot = tuple[float, float, float, float]
Labels = dict[str, dict[str, Any]]

# Left, top, width and height as ratios of the picture.
SPOT = (0.25, 0.4, 0.3, 0.2)


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Rekognition:
    """A Rekognition with the stand-in installed."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "stand_in.onnx").write_bytes(stand_in())
    return Rekognition(models=ModelFolder(folder), catalogue=[stand_in_model()])


def answer_of(service: Rekognition, data: bytes, **request: Any) -> dict[str, Any]:
    image = {"Bytes": base64.b64encode(data).decode()}
    status, body = service.answer("DetectLabels", {"Image": image, **request}, nothing_in_s3)
    assert status == 200, body
    return body


def labels_of(service: Rekognition, data: bytes, **request: Any) -> Labels:
    return {label["Name"]: label for label in answer_of(service, data, **request)["Labels"]}


def page(size: tuple[int, int], spots: dict[str, Spot], mode: str = "RGB") -> Image.Image:
    """A white picture with a rectangle of each color."""
    picture = Image.new("RGB", size, "white")
    for color, (left, top, width, height) in spots.items():
        edges = (left * size[0], top * size[1], (left + width) * size[0], (top + height) * size[1])
        left_x, top_y, right_x, bottom_y = (round(edge) for edge in edges)
        picture.paste(color, (left_x, top_y, right_x, bottom_y))
    return picture.convert(mode)


def box_of(label: dict[str, Any]) -> Spot:
    (instance,) = label["Instances"]
    box = instance["BoundingBox"]
    return box["Left"], box["Top"], box["Width"], box["Height"]


def near(size: tuple[int, int]) -> float:
    """Two pixels of what the network sees, as a ratio of the shorter side."""
    return 2 / (yolox.SIDE * min(size) / max(size))


_SHAPES = [(416, 416), (832, 832), (640, 427), (300, 451), (1200, 300), (200, 90), (2400, 1800)]


# Each color once, and each shape in one color.
@pytest.mark.parametrize(
    ("size", "color"),
    [
        *((size, "red") for size in _SHAPES),
        *((_SHAPES[0], color) for color in ("lime", "blue", "black")),
        *(exhaustive.only((size, color)) for size in _SHAPES[1:] for color in ("lime", "blue", "black")),
    ],
)
def test_a_thing_is_found_where_it_is_in_pictures_of_any_shape(
    seeing: Rekognition, encoded: Encoded, size: tuple[int, int], color: str
) -> None:
    found = labels_of(seeing, encoded(page(size, {color: SPOT})))
    assert box_of(found[COLOURS[color].label]) == pytest.approx(SPOT, abs=near(size))


# How the sensor holds an upright picture for which the camera writes that orientation.
LYING = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", LYING)
def test_the_box_is_that_of_the_upright_picture(
    seeing: Rekognition, encoded: Encoded, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = page((640, 400), {"red": SPOT}).transpose(LYING[orientation])
    found = labels_of(seeing, encoded(lying, "JPEG", exif=exif, quality=95))
    assert box_of(found["Cat"]) == pytest.approx(SPOT, abs=near((640, 400)))


@pytest.mark.parametrize(
    ("mode", "kind", "color"),
    [
        ("RGB", "JPEG", "red"),
        ("CMYK", "JPEG", "red"),
        ("CMYK", "JPEG", "black"),
        ("L", "JPEG", "black"),
        ("L", "PNG", "black"),
        ("LA", "PNG", "black"),
        ("1", "PNG", "black"),
        ("P", "PNG", "red"),
        ("RGBA", "PNG", "lime"),
    ],
)
def test_a_thing_is_found_in_every_color_mode(
    seeing: Rekognition, encoded: Encoded, mode: str, kind: str, color: str
) -> None:
    found = labels_of(seeing, encoded(page((640, 400), {color: SPOT}, mode), kind))
    assert box_of(found[COLOURS[color].label]) == pytest.approx(SPOT, abs=near((640, 400)))


def test_a_thing_is_found_in_16_bits(seeing: Rekognition, encoded: Encoded) -> None:
    deep = np.asarray(page((640, 400), {"black": SPOT}, "L")).astype(np.uint16) * 257
    found = labels_of(seeing, encoded(Image.fromarray(deep)))
    assert box_of(found["Dining Table"]) == pytest.approx(SPOT, abs=near((640, 400)))


def test_what_is_transparent_is_not_there(seeing: Rekognition, encoded: Encoded) -> None:
    picture = page((640, 400), {"red": SPOT}, "RGBA")
    picture.putalpha(Image.new("L", picture.size, 0))
    assert labels_of(seeing, encoded(picture)) == {}


def test_a_blank_picture_and_its_padding_hold_nothing(seeing: Rekognition, encoded: Encoded) -> None:
    assert labels_of(seeing, encoded(Image.new("RGB", (900, 100), "white")), MinConfidence=0) == {}


def test_several_things_are_found_at_once_each_by_one_name(seeing: Rekognition, encoded: Encoded) -> None:
    spots: dict[str, Spot] = {
        "red": (0.1, 0.1, 0.2, 0.2),
        "lime": (0.6, 0.1, 0.3, 0.3),
        "blue": (0.1, 0.6, 0.3, 0.3),
    }
    found = labels_of(seeing, encoded(page((600, 600), spots)))
    assert {"Cat", "Cup", "Mobile Phone"} <= set(found)
    assert "Laptop" not in found  # the second box over each of them
    for color, spot in spots.items():
        assert box_of(found[COLOURS[color].label]) == pytest.approx(spot, abs=0.01)


def test_a_box_over_the_edge_ends_at_the_edge(seeing: Rekognition, encoded: Encoded) -> None:
    found = labels_of(seeing, encoded(page((640, 400), {"red": (0.0, 0.0, 1.0, 1.0)})))
    left, top, width, height = box_of(found["Cat"])
    assert min(left, top) >= 0
    assert max(left + width, top + height) <= 1.000001


def test_an_object_brings_its_ancestors_its_alias_and_its_category(
    seeing: Rekognition, encoded: Encoded
) -> None:
    found = labels_of(seeing, encoded(page((600, 600), {"red": SPOT})))
    assert sorted(found) == ["Animal", "Cat", "Mammal", "Pet"]
    assert [parent["Name"] for parent in found["Cat"]["Parents"]] == ["Animal", "Mammal", "Pet"]
    assert found["Cat"]["Categories"] == [{"Name": "Animals and Pets"}]
    assert all(found[name]["Instances"] == [] for name in ("Animal", "Mammal", "Pet"))
    assert len({label["Confidence"] for label in found.values()}) == 1
    phone = labels_of(seeing, encoded(page((600, 600), {"blue": SPOT})))
    assert sorted(phone) == ["Mobile Phone", "Phone"]
    assert phone["Mobile Phone"]["Aliases"] == [{"Name": "Cell Phone"}]


def test_what_is_not_known_about_a_label_is_empty(seeing: Rekognition, encoded: Encoded) -> None:
    (table,) = labels_of(seeing, encoded(page((600, 600), {"black": SPOT}))).values()
    assert (table["Parents"], table["Aliases"], table["Categories"]) == ([], [], [])


def test_a_paler_thing_is_less_sure_and_the_threshold_decides(seeing: Rekognition, encoded: Encoded) -> None:
    pale = Image.new("RGB", (400, 400), "white")
    pale.paste((255, 100, 100), (100, 100, 200, 200))
    data = encoded(pale)
    cat = labels_of(seeing, data)["Cat"]
    assert cat["Confidence"] == pytest.approx(100 * 155 / 255, abs=0.1)
    assert "Cat" not in labels_of(seeing, data, MinConfidence=70)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"MaxLabels": 1}, ["Animal"]),
        ({"LabelInclusionFilters": ["Cat"]}, ["Cat"]),
        ({"LabelExclusionFilters": ["Animal", "Pet"]}, ["Cat", "Mammal"]),
        ({"LabelCategoryInclusionFilters": ["Animals and Pets"]}, ["Animal", "Cat", "Mammal", "Pet"]),
        ({"LabelCategoryExclusionFilters": ["Animals and Pets"]}, []),
    ],
)
def test_objects_are_chosen_like_any_label(
    seeing: Rekognition, encoded: Encoded, parameters: dict[str, Any], expected: list[str]
) -> None:
    filters = {key: value for key, value in parameters.items() if key.endswith("Filters")}
    rest = {key: value for key, value in parameters.items() if key not in filters}
    data = encoded(page((600, 600), {"red": SPOT}))
    found = labels_of(seeing, data, Settings={"GeneralLabels": filters}, **rest)
    assert sorted(found) == expected


def test_text_and_objects_share_an_answer_that_names_the_model(
    seeing: Rekognition, sample: Callable[[str], bytes], encoded: Encoded
) -> None:
    picture = Image.open(BytesIO(sample("sign.png"))).convert("RGB")
    picture.paste("lime", (0, 0, 60, 60))
    answer = answer_of(seeing, encoded(picture))
    names = [label["Name"] for label in answer["Labels"]]
    assert {"Text", "Cup"} <= set(names)
    assert answer["LabelModelVersion"].endswith(
        f";text+qr;no-face-model;{stand_in_model().version};no-class-model"
    )
    assert seeing.capabilities()["models"]["labels"] == answer["LabelModelVersion"]


def test_an_object_has_its_own_colors_when_both_features_are_asked_for(
    seeing: Rekognition, encoded: Encoded
) -> None:
    features = {"Features": ["GENERAL_LABELS", "IMAGE_PROPERTIES"]}
    found = labels_of(seeing, encoded(page((600, 600), {"red": SPOT})), **features)
    assert found["Cat"]["Instances"][0]["DominantColors"][0]["CSSColor"] == "red"


def test_a_model_is_used_from_the_moment_it_is_installed_until_it_is_removed(
    tmp_path: Path, encoded: Encoded
) -> None:
    service = Rekognition(models=ModelFolder(tmp_path), catalogue=[stand_in_model()])
    data = encoded(page((600, 600), {"red": SPOT}))
    assert answer_of(service, data)["LabelModelVersion"].endswith("no-object-model;no-class-model")
    assert "models fetch" in service.capabilities()["operations"]["DetectLabels"]["cannot"]
    (tmp_path / "stand_in.onnx").write_bytes(stand_in())
    assert "Cat" in labels_of(service, data)
    (tmp_path / "stand_in.onnx").unlink()
    assert labels_of(service, data) == {}


def test_a_file_that_is_not_the_pinned_one_is_never_loaded(tmp_path: Path, encoded: Encoded) -> None:
    (tmp_path / "stand_in.onnx").write_bytes(stand_in() + b"\0")
    service = Rekognition(models=ModelFolder(tmp_path), catalogue=[stand_in_model()])
    answer = answer_of(service, encoded(page((600, 600), {"red": SPOT})))
    assert answer["Labels"] == []
    assert answer["LabelModelVersion"].endswith("no-object-model;no-class-model")
    assert "damaged" in service.capabilities()["operations"]["DetectLabels"]["cannot"]


def test_a_pinned_file_that_is_no_network_leaves_the_other_finders_at_work(
    tmp_path: Path, sample: Callable[[str], bytes]
) -> None:
    (tmp_path / "stand_in.onnx").write_bytes(b"not a network")
    objects = stand_in_model(b"not a network")
    found = labels_of(Rekognition(models=ModelFolder(tmp_path), catalogue=[objects]), sample("sign.png"))
    assert sorted(found) == ["Text"]


def test_equal_bytes_go_through_the_network_once_for_each_model(encoded: Encoded) -> None:
    looked: list[str] = []

    class Counting(Detector):
        def find(self, frame: Frame) -> tuple[Thing, ...]:
            looked.append(self.version)
            return super().find(frame)

    one, other = Counting("one", stand_in()), Counting("other", stand_in())
    analysis = Analysis(threads=1)
    upload = Upload(encoded(page((300, 300), {"red": SPOT})), "digest")
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(analysis.things, upload, Finders(objects=one)) for _ in range(8)]
    assert len({call.result() for call in calls}) == 1
    assert analysis.things(upload, Finders(objects=other)) == calls[0].result()
    assert looked == ["one", "other"]


def test_there_are_80_labels_and_every_object_of_the_taxonomy_can_be_seen() -> None:
    assert len(set(LABELS)) == 80
    assert (LABELS[0], LABELS[15], LABELS[41], LABELS[67]) == ("Person", "Cat", "Cup", "Mobile Phone")
    ancestors = {parent for kind in TAXONOMY.values() for parent in kind.parents}
    seen_otherwise = {"Face", "Head", "Text", "QR Code"}
    assert set(TAXONOMY) <= set(LABELS) | set(CONCEPTS) | ancestors | seen_otherwise


def test_the_network_sees_the_picture_at_the_top_left_and_grey_elsewhere() -> None:
    wide, ratio = yolox.prepared(np.full((100, 200, 3), (10, 20, 30), np.uint8))
    assert (wide.shape, ratio) == ((1, 3, 416, 416), 2.08)
    assert wide[0, :, 207, 415].tolist() == [10, 20, 30]
    assert wide[0, :, 208, 0].tolist() == [114, 114, 114]


def test_of_boxes_that_overlap_the_surest_stays_and_others_keep_their_place() -> None:
    output = np.zeros((1, 3549, 85), np.float32)

    def put(cell: int, raw: tuple[float, float, float, float], number: int, score: float) -> None:
        output[0, cell, :4] = raw
        output[0, cell, 4] = 1
        output[0, cell, 5 + number] = score

    # Cells of the coarse grid, 32 pixels each: the first two share most of their boxes.
    put(3380 + 5 * 13 + 5, (0.5, 0.5, 1.0, 1.0), 15, 0.6)
    put(3380 + 5 * 13 + 6, (-0.4, 0.5, 1.0, 1.0), 16, 0.9)
    put(3380 + 11 * 13 + 11, (0.5, 0.5, 0.0, 0.0), 15, 0.5)
    put(3380, (0.5, 0.5, 0.0, 0.0), 15, 0.2)
    first, second = yolox.found(output, 0.5, 0.3)
    assert (first.number, second.number) == (16, 15)
    assert (second.left, second.top, second.right, second.bottom) == (704, 704, 768, 768)


def test_one_picture_at_a_time_is_in_the_network_and_all_get_their_own_answer() -> None:
    detector = Detector("stand-in", stand_in())
    frames = {color: Frame(np.asarray(page((300, 300), {color: SPOT}))[..., ::-1]) for color in COLOURS}
    with ThreadPoolExecutor(8) as pool:
        calls = [(color, pool.submit(detector.find, frames[color])) for color in list(frames) * 4]
    for color, call in calls:
        assert [thing.name for thing in call.result()] == [COLOURS[color].label]
