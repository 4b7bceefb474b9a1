"""A picture's key comes back byte for byte from every command and route, or is refused with the reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest

from ingest.app import Unfinished
from tests.hostile.expectations import ROW_TIMEOUT_S, calm, harmless, rows
from tests.hostile.object_keys import KEYS, KeyRow
from tests.hostile.pipeline import Pipeline, pipeline
from tests.support.cli import Cli, runner
from tests.support.function_cloud import BUCKET
from tests.support.gateway import TOKEN
from tests.support.picture_heads import jpeg

pytestmark = pytest.mark.timeout(ROW_TIMEOUT_S)
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
STORED = [row for row in KEYS if row.stored is not None]
REFUSED = [row for row in KEYS if row.stored is None]


@pytest.fixture(scope="module")
def line() -> Iterator[Pipeline]:
    """With its results in a bucket, where the keys of pictures become parts of other objects' keys."""
    with pipeline("bucket") as found:
        yield found


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    Path("cat.jpg").write_bytes(jpeg())
    return runner(capsys)


@rows(STORED)
def test_a_key_comes_back_byte_for_byte(cli: Cli, line: Pipeline, row: KeyRow) -> None:
    line.remember()
    assert row.stored is not None
    sent = calm(cli("upload", "cat.jpg", f"--key={row.key}"))
    assert (sent.code, sent.out) == (0, "1 sent.\n")
    head = line.cloud.s3.head_object(Bucket=BUCKET, Key=row.stored)
    event = line.cloud.event(
        "ObjectCreated:Put", row.stored, version=head["VersionId"], size=head["ContentLength"]
    )
    assert line.cloud.ingest(event) == {"records": 1, "overLimit": 0}

    shown = cli("result", "--json", "--", row.key)
    assert shown.code == 0
    (found,) = shown.document["data"]
    assert (found["objectKey"], found["versionId"]) == (row.stored, head["VersionId"])
    harmless(shown.out)
    (listed,) = cli("list", "--json", "--limit=1", f"--prefix={row.stored}").lines
    assert listed["objectKey"] == row.stored
    assert line.result(row.stored).json["objectKey"] == row.stored
    assert _linked(line, row.stored) == row.stored


def _linked(line: Pipeline, key: str) -> str:
    """The key that the link to a picture is about."""
    found = urlsplit(line.ask(f"/image?key={quote(key, safe='')}").json["url"])
    assert found.netloc.startswith(f"{BUCKET}.s3.")
    return unquote(found.path).removeprefix("/")


@rows(REFUSED)
def test_a_key_that_nothing_can_have_is_refused(cli: Cli, line: Pipeline, row: KeyRow) -> None:
    line.remember()
    for arguments in (("upload", "cat.jpg", f"--key={row.key}"), ("result", row.key), ("explain", row.key)):
        printed = calm(cli(*arguments))
        assert (printed.code, printed.out) == (2, "")
        assert "key" in printed.err.lower() or "Unicode" in printed.err
        assert cli(*arguments, "--json").error == "bad_usage"


@rows(REFUSED)
def test_an_event_of_such_a_key_is_left_for_the_failure_queue(line: Pipeline, row: KeyRow) -> None:
    event = line.cloud.event("ObjectCreated:Put", "x", size=1)
    event["Records"][0]["s3"]["object"]["key"] = "".join(
        f"%{byte:02X}" for byte in row.key.encode("utf-8", "surrogatepass")
    )
    with pytest.raises(Unfinished, match="cannot be read"):
        line.cloud.ingest(event)


@rows(KEYS)
def test_a_wish_for_any_name_gives_a_harmless_key(line: Pipeline, row: KeyRow) -> None:
    wish = json.dumps({"key": row.key, "sizeBytes": 5, "contentType": "image/jpeg"}).encode()
    given = line.ask("/uploads", method="POST", body=wish)
    if row.key == "" or len(wish) > 16 * 1024:
        assert (given.status, given.code) == (400, "missing_key" if row.key == "" else "invalid_body")
        return
    assert given.status == 201
    key = given.json["key"]
    assert given.json["fields"]["key"] == key
    folder, _, name = harmless(key).partition("/")
    assert folder == "web"
    assert name.isprintable()
    assert not set(name) & set("/\\ \t\n'\"`$;&|<>*?[]{}%#:~")
    assert len(key.encode()) <= 255
    assert not name.startswith((".", "-"))
    assert TOKEN not in given.body.decode()


def test_keys_that_are_not_there_are_only_shown(cli: Cli, line: Pipeline) -> None:
    line.remember()
    # moto's lists hold no prefix that XML cannot; S3 answers it percent-encoded.
    stored = [str(row.stored) for row in STORED if not _NO_XML.search(str(row.stored))]
    keys = [f"nowhere/{key}" for key in stored if len(key.encode()) < 1000]
    printed = calm(cli("result", "--", *keys))
    assert printed.code == 1
    assert printed.err.count("There is no picture nowhere/") == len(set(keys))
    calm(cli("result", "--verbose", "--", *keys[:3]))
