"""The ONNX file that is made from EfficientNet-Lite0's checkpoint."""

from __future__ import annotations

import hashlib
import pickle
from io import BytesIO
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator
from PIL import Image

from imgpipe_cli.local.models import catalogue, lite0
from tests.support import model_files

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def checkpoint() -> bytes:
    return model_files.checkpoint()


@pytest.fixture(scope="module")
def network(checkpoint: bytes) -> bytes:
    return lite0.onnx_of(checkpoint)


def test_the_file_has_the_pinned_bytes(network: bytes) -> None:
    assert len(network) == catalogue.CLASSES.size_bytes
    assert hashlib.sha256(network).hexdigest() == catalogue.CLASSES.sha256


def test_it_is_a_valid_model_and_runs_as_the_standard_says(network: bytes) -> None:
    model = onnx.load_from_string(network)
    onnx.checker.check_model(model, full_check=True)
    picture = Image.open(EXAMPLES / "cat.jpg").resize((lite0.SIDE, lite0.SIDE))
    values = (np.asarray(picture, np.float32).transpose(2, 0, 1)[None] - 127) / 128
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    (shares,) = session.run(None, {"images": values})
    (expected,) = ReferenceEvaluator(model).run(None, {"images": values})
    assert shares == pytest.approx(expected, abs=1e-5)
    assert shares.shape == (1, lite0.CLASSES)
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert shares.argmax() == 285  # Egyptian cat


def test_a_checkpoint_that_would_run_code_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    trace = tmp_path / "ran"

    class Harmful:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (trace,))

    file = BytesIO()
    parts: list[object] = [1, 1, 1, Harmful(), []]
    for part in parts:
        pickle.dump(part, file, protocol=2)
    with pytest.raises(ValueError, match="is no part of one"):
        lite0.onnx_of(file.getvalue())
    assert not trace.exists()


@pytest.mark.parametrize("spoil", ["empty", "page", "cut"])
def test_anything_else_is_refused(checkpoint: bytes, spoil: str) -> None:
    data = {"empty": b"", "page": b"<html>Sign in</html>", "cut": checkpoint[:-1000]}[spoil]
    with pytest.raises(ValueError, match="not a checkpoint of EfficientNet-Lite0"):
        lite0.onnx_of(data)
