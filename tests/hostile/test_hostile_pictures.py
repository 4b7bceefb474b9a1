"""A file of any content is refused with the reason, or sent, looked at, and given its result."""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.local.rekognition import Rekognition
from imgpipe_cli.pictures.converting import kinds
from imgpipe_cli.pictures.converting.decoding import NotDecoded, decoded
from imgpipe_cli.pictures.converting.encoding import encoded
from tests.hostile.expectations import ROW_TIMEOUT_S, calm, rows
from tests.hostile.pictures import BAD_FORMAT, PICTURES, TOO_LARGE, PictureRow
from tests.hostile.pipeline import Pipeline, pipeline
from tests.local.rekognition.conftest import nothing_in_s3
from tests.support.cli import Cli, runner
from tests.support.function_cloud import ANSWERS, BUCKET

pytestmark = [
    pytest.mark.timeout(ROW_TIMEOUT_S),
    pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Metadata Warning"),
]
RESULTS = {BAD_FORMAT: "corrupt", TOO_LARGE: "too_large"}
"""What the pipeline says of a picture when Rekognition refuses it."""

_MOST_CONVERTED = 1_700_000_000
"""What 200 million pixels may take."""

_MOST_MEMORY = 350_000_000
"""More than the analysis may ever add; the bombs here would take from 300 MB to 1.2 GB in full."""


@pytest.fixture(scope="module")
def line() -> Iterator[Pipeline]:
    with pipeline("table") as found:
        yield found


@pytest.fixture(scope="module")
def analysis() -> Rekognition:
    return Rekognition()


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return runner(capsys)


@rows(PICTURES)
def test_a_file_of_any_content_has_its_result(
    cli: Cli, line: Pipeline, analysis: Rekognition, row: PictureRow
) -> None:
    line.remember()
    data = row.make()
    key = f"{row.id}.jpg"
    Path(key).write_bytes(data)
    printed = calm(cli("upload", key, "--no-convert"))
    if row.refused:
        assert (printed.code, printed.out) == (1, "0 sent, 1 refused.\n")
        assert cli("upload", key, "--no-convert", "--json").error == row.refused
    else:
        assert (printed.code, printed.out) == (0, "1 sent.\n")
        stored = line.cloud.s3.get_object(Bucket=BUCKET, Key=key)
        assert stored["Body"].read() == data
        code = _analyzed(analysis, data)
        assert code == row.analysis
        line.cloud.answers = {**ANSWERS, **({"DetectLabels": code} if code else {})}
    # By another way than the command line: the function decides the same.
    line.cloud.asked.clear()
    assert line.cloud.ingest(line.cloud.put(key, data)) == {"records": 1, "overLimit": 0}
    item = line.result(key).json
    assert item.get("error", {}).get("code", "") == (row.refused or RESULTS.get(row.analysis, ""))
    assert item["status"] == ("failed" if row.refused or row.analysis else "done")
    assert line.cloud.operations == ([] if row.refused else ["DetectLabels"])
    assert calm(cli("result", key)).code == (1 if item["status"] == "failed" else 0)


@rows(PICTURES)
def test_a_file_of_any_content_is_converted_or_refused_with_a_reason(row: PictureRow) -> None:
    data = row.make()
    kind = kinds.to_convert(data, functions.picture.refusal(data))
    if kind is None:
        return
    before = _memory()
    try:
        made = encoded(decoded(io.BytesIO(data), kind).image)
    except NotDecoded as error:
        assert error.code in ("corrupt", "too_many_pixels", "unsupported_format", "no_preview")
        assert str(error).isprintable()
    else:
        assert made.startswith(b"\xff\xd8")
    assert _memory() - before < _MOST_CONVERTED


def _analyzed(analysis: Rekognition, data: bytes) -> str:
    """The code with which the local Rekognition refuses a picture, "" if it does not."""
    before = _memory()
    request: dict[str, Any] = {
        "Image": {"Bytes": base64.b64encode(data[: 5 << 20]).decode()},
        "Features": ["IMAGE_PROPERTIES"],
    }
    status, body = analysis.answer("DetectLabels", request, nothing_in_s3)
    assert _memory() - before < _MOST_MEMORY
    assert status in (200, 400)
    return "" if status == 200 else str(body["Code"])


def _memory() -> int:
    """The most that this process ever held, in bytes; 0 on Windows, which does not tell."""
    if sys.platform == "win32":
        return 0
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
