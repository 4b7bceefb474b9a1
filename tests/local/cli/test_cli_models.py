"""Models that come after pictures were finished: each command says so, and how to analyze them again."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest

from tests.support.machine import EXAMPLES, Machine, machine_in

HERE = ("--project", "models", "--local")
PICTURES = [EXAMPLES / "cat.jpg", EXAMPLES / "astronaut.jpg"]


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine whose user wanted no models at first; two pictures are finished. The models lie in a pack."""
    with machine_in(tmp_path_factory.mktemp("late")) as found:
        found.imgpipe("local", "models", "pack", "models.zip")
        shutil.rmtree(found.state / "models")
        found.imgpipe("up", *HERE, "--no-models", "--features", "labels,faces")
        found.imgpipe("upload", *HERE, *PICTURES, "--wait")
        yield found


def models_of(machine: Machine) -> dict[str, str]:
    (item,) = machine.imgpipe("result", *HERE, "cat.jpg", "--json").json()["data"]
    return dict(item["models"])


def test_models_that_come_later_are_told_with_the_way_to_have_pictures_analyzed_again(late: Machine) -> None:
    up = late.imgpipe("up", *HERE, "--json").json()["data"]
    assert up["missing"] == ["no_object_model", "no_class_model", "no_face_model"]
    assert up["lacking"] is None
    shown = late.imgpipe("up", *HERE).out
    missing = re.findall(r"^  Missing   No (\w+) model is installed", shown, re.MULTILINE)
    assert missing == ["object", "class", "face"]
    status = late.imgpipe("status", *HERE)
    assert "  Missing   No face model is installed" in status.out
    before = late.imgpipe("result", *HERE, "cat.jpg").out
    assert "Labels: nothing found" in before
    assert "Missing models: face, object, class (imgpipe local models fetch)" in before

    fetched = late.imgpipe("local", "models", "fetch", "--from", "models.zip").out
    way = "imgpipe retry --all --again"
    assert f"Project models: 2 finished pictures lack labels, faces: {way} --project models" in fetched
    assert "no-object-model" in models_of(late)["labels"]  # nothing is analyzed again unasked

    late.imgpipe("retry", *HERE, "--all", "--again")
    assert "no-object-model" not in models_of(late)["labels"]
    assert "Cat" in late.imgpipe("result", *HERE, "cat.jpg").out
    (late.state / "models" / "yolox_nano.onnx").unlink()
    again = late.imgpipe("local", "models", "fetch", "--from", "models.zip", "--json").json()["data"]
    assert again["lacking"] == {}

    late.imgpipe("local", "stop")  # nobody counts then
    (late.state / "models" / "yolox_nano.onnx").unlink()
    told = late.imgpipe("local", "models", "fetch", "--from", "models.zip").out
    assert f"imgpipe local start, then {way} --project models" in told
