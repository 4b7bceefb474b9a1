"""A warm Rekognition with models and one without, for all tests, asked the way the server asks it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imgpipe_cli.local.models.store import ModelFolder
from imgpipe_cli.local.rekognition import Rekognition
from tests.support.model_files import model_folder

EXAMPLES = Path(__file__).parents[3] / "examples"

Ask = Callable[..., dict[str, Any]]
Refuse = Callable[..., str]


def nothing_in_s3(bucket: str, key: str, version: str | None) -> bytes:
    raise KeyError(key)


@pytest.fixture(scope="session")
def rekognition() -> Rekognition:
    """Without a model: it reads text and codes."""
    service = Rekognition()
    service.warm()
    return service


@pytest.fixture(scope="session")
def seeing() -> Rekognition:
    """With the real models, as users have it; skips the test where they cannot be had."""
    service = Rekognition(models=ModelFolder(model_folder()))
    service.warm()
    return service


@pytest.fixture(scope="session")
def sample() -> Callable[[str], bytes]:
    return lambda name: (EXAMPLES / name).read_bytes()


@pytest.fixture(scope="session")
def encoded() -> Callable[..., bytes]:
    """A Pillow image as the bytes of a file."""

    def encode(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
        stream = BytesIO()
        picture.save(stream, kind, **options)
        return stream.getvalue()

    return encode


def asking(service: Rekognition) -> Ask:
    """The answer to an operation on some bytes, which must be given."""

    def answer(operation: str, data: bytes, **request: Any) -> dict[str, Any]:
        image = {"Bytes": base64.b64encode(data).decode()}
        status, body = service.answer(operation, {"Image": image, **request}, nothing_in_s3)
        assert status == 200, body
        return body

    return answer


@pytest.fixture(scope="session")
def ask(rekognition: Rekognition) -> Ask:
    """Without a model."""
    return asking(rekognition)


@pytest.fixture(scope="session")
def look(seeing: Rekognition) -> Ask:
    """With the real models."""
    return asking(seeing)


@pytest.fixture(scope="session")
def refuse(rekognition: Rekognition) -> Refuse:
    """The code with which a request is refused; the shape of the refusal is checked here once for all."""

    def code(operation: str, request: dict[str, Any], read_object: Any = nothing_in_s3) -> str:
        status, body = rekognition.answer(operation, request, read_object)
        assert status == 400, body
        assert sorted(body) == ["Code", "Message", "__type"]
        assert body["__type"] == body["Code"]
        assert body["Message"]
        return str(body["Code"])

    return code
