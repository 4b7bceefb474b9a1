"""The main job with real pictures: send them, see what is in them, ask again."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.local.cli.conftest import Pipeline
from tests.support.machine import EXAMPLES, jpeg

SIGN = ["Harbour Street Books", "Receipt No. 20417", "3 paperbacks 24.60 EUR", "1 city map 6.95 EUR"]


def test_the_astronaut_is_a_face_a_head_and_a_person(pipeline: Pipeline) -> None:
    item = pipeline.imgpipe("result", "astronaut.jpg", "--json").json()["data"][0]
    assert [label["Name"] for label in item["labels"]] == ["Face", "Head", "Person"]
    assert len(item["faces"]) == 1
    assert item["text"] == []
    assert (item["width"], item["height"], item["contentType"]) == (512, 512, "image/jpeg")


def test_waiting_for_uploads_shows_true_tables(pipeline: Pipeline) -> None:
    shown = pipeline.upload.out
    for word in ("astronaut.jpg", "Face", "Head", "Person", "96.0 %", "Cat", "Coffee Cup", *SIGN):
        assert word in shown
    assert "Missing models" not in shown
    assert shown.count("Moderation: nothing found; only Explicit is looked for") == 4
    assert shown.rstrip().endswith("4 sent, 4 analyzed.")
    assert "\x1b" not in shown + pipeline.upload.err


def test_the_sign_is_read_line_by_line(pipeline: Pipeline) -> None:
    item = pipeline.imgpipe("result", "sign.png", "--json").json()["data"][0]
    lines = [entry["DetectedText"] for entry in item["text"] if entry["Type"] == "LINE"]
    assert lines == [*SIGN, "Total paid 31.55 EUR"]
    assert item["moderation"] == []
    assert item["models"]["moderation"].endswith(";explicit-only")
    assert "unavailable" not in item


@pytest.mark.parametrize(("name", "labels"), [("cat.jpg", "Cat Animal"), ("coffee.jpg", "Cup Coffee")])
def test_what_is_in_a_picture_is_named_and_no_more(pipeline: Pipeline, name: str, labels: str) -> None:
    shown = pipeline.imgpipe("result", name).out
    for label in labels.split():
        assert re.search(rf"^ *{label} ", shown, re.MULTILINE), shown
    assert "Faces: nothing found" in shown
    assert "Text: nothing found" in shown


def test_a_threshold_hides_what_is_less_sure_on_reading(pipeline: Pipeline) -> None:
    shown = pipeline.imgpipe("result", "astronaut.jpg", "--min-confidence", "99").out
    assert "nothing found at 99 % or more (3 less sure)" in shown
    filtered = pipeline.imgpipe("result", "astronaut.jpg", "--min-confidence", "99", "--json").json()
    assert filtered["data"][0]["labels"] == []
    assert pipeline.imgpipe("result", "astronaut.jpg", "--json").json()["data"][0]["labels"]


def test_several_results_come_in_the_order_asked(pipeline: Pipeline) -> None:
    keys = ["sign.png", "astronaut.jpg", "cat.jpg", "coffee.jpg"]
    asked = [*keys, "cat.jpg"]
    document = pipeline.imgpipe("result", *asked, "--json").json()
    assert [item["objectKey"] for item in document["data"]] == keys
    assert (document["command"], document["status"], document["errors"]) == ("result", "done", [])


def test_a_key_that_is_not_there_names_the_nearest(pipeline: Pipeline) -> None:
    found = pipeline.imgpipe("result", "astronaut.jpeg", code=1)
    assert "There is no picture astronaut.jpeg in the bucket." in found.err
    assert "astronaut.jpg" in found.err
    assert found.out == ""
    both = pipeline.imgpipe("result", "cat.jpg", "nobody.jpg", "--json", code=1).json()
    assert [item["objectKey"] for item in both["data"]] == ["cat.jpg"]
    assert [error["code"] for error in both["errors"]] == ["not_found"]
    assert both["status"] == "failed"


def test_each_result_is_one_line_of_json(pipeline: Pipeline) -> None:
    sent = pipeline.imgpipe(
        "upload", EXAMPLES / "astronaut.jpg", EXAMPLES / "cat.jpg", "--prefix", "lines", "--wait", "--json"
    )
    items = sent.lines()
    assert {item["objectKey"] for item in items} == {"lines/astronaut.jpg", "lines/cat.jpg"}
    assert {item["status"] for item in items} == {"done"}


def test_a_folder_keeps_its_relative_paths(pipeline: Pipeline, tmp_path: Path) -> None:
    folder = tmp_path / "Ferien 2026" / "tag+1"
    folder.mkdir(parents=True)
    (folder / "é&ü 100%.jpg").write_bytes(jpeg(1))
    (tmp_path / "Ferien 2026" / "top.jpg").write_bytes(jpeg(2))
    (tmp_path / "Ferien 2026" / ".hidden.jpg").write_bytes(jpeg(3))
    sent = pipeline.imgpipe("upload", tmp_path / "Ferien 2026", "--wait", "--json").lines()
    keys = {item["objectKey"] for item in sent}
    assert keys == {"Ferien 2026/tag+1/é&ü 100%.jpg", "Ferien 2026/top.jpg"}
    asked = pipeline.imgpipe("result", "Ferien 2026/tag+1/é&ü 100%.jpg", "--json").json()
    assert asked["data"][0]["status"] == "done"


def test_standard_input_needs_a_key_and_gets_it(pipeline: Pipeline) -> None:
    data = (EXAMPLES / "astronaut.jpg").read_bytes()
    assert "has no name" in pipeline.imgpipe("upload", "-", stdin=data, code=2).err
    sent = pipeline.imgpipe("upload", "-", "--key", "in/piped.jpg", "--wait", "--json", stdin=data).lines()
    assert [item["objectKey"] for item in sent] == ["in/piped.jpg"]
    assert sent[0]["labels"][0]["Name"] == "Face"


def test_the_same_key_again_is_a_new_version_and_gets_its_own_result(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    picture = tmp_path / "same.jpg"
    versions = []
    for number, said in ((1, ""), (2, "Sent as a new version: same.jpg.")):
        picture.write_bytes(jpeg(number))
        done = pipeline.imgpipe("upload", picture, "--wait", "--json")
        versions.append(done.lines()[0]["versionId"])
        picture.write_bytes(jpeg(number + 10))
        assert said in pipeline.imgpipe("upload", picture).err
    assert len(set(versions)) == 2


def test_what_is_no_picture_is_refused_and_the_others_go(pipeline: Pipeline, tmp_path: Path) -> None:
    gif, pdf, empty, small = (tmp_path / f"{n}.jpg" for n in ("gif", "pdf", "empty", "small"))
    Image.new("P", (200, 200)).save(gif, "GIF")
    pdf.write_bytes(b"%PDF-1.7\n" + b"x" * 4000)
    empty.write_bytes(b"")
    buffer = io.BytesIO()
    Image.new("RGB", (79, 200)).save(buffer, "JPEG")
    small.write_bytes(buffer.getvalue())
    good = tmp_path / "good.txt"
    shutil.copy(EXAMPLES / "cat.jpg", good)
    files = [gif, pdf, empty, small, tmp_path / "nothere.jpg", good]
    done = pipeline.imgpipe("upload", *files, "--no-convert", "--wait", code=1)
    for name, why in (
        ("gif.jpg", "GIF"),
        ("pdf.jpg", "PDF"),
        ("empty.jpg", "empty"),
        ("small.jpg", "79"),
        ("nothere.jpg", "no such file"),
    ):
        line = next(line for line in done.err.splitlines() if name in line)
        assert line.startswith("refused") and why in line, line
    assert done.out.rstrip().endswith("1 sent, 1 analyzed (1 reused), 5 refused.")
    document = pipeline.imgpipe("upload", gif, good, "--no-convert", "--json", "--force", code=1).json()
    assert [one["key"] for one in document["data"]] == ["good.txt"]
    assert len(document["errors"]) == 1


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("document.pdf", b"%PDF-1.7\n" + b"x" * 4000, "PDF"),
        ("cut.jpg", (EXAMPLES / "cat.jpg").read_bytes()[:9000], ""),
        ("nothing.jpg", b"", "empty"),
    ],
)
def test_what_another_uploader_sent_and_cannot_be_analyzed_fails_with_reason_and_hint(
    pipeline: Pipeline, name: str, body: bytes, reason: str
) -> None:
    put = pipeline.machine.client("s3").put_object(Bucket=pipeline.bucket, Key=name, Body=body)
    document = pipeline.imgpipe("result", name, "--wait", "--json", code=1).json()
    item = document["data"][0]
    assert (item["status"], item["versionId"]) == ("failed", put["VersionId"])
    assert not item["error"]["retryable"]
    assert item["error"]["hint"] and reason in item["error"]["message"]
    shown = pipeline.imgpipe("result", name, code=1).out
    assert "failed" in shown and "hint" in shown


def test_wrong_usage_ends_with_2_and_says_what_is_right(pipeline: Pipeline) -> None:
    for arguments in (
        ("upload",),
        ("result",),
        ("result", "x", "--min-confidence", "101"),
        ("upload", str(EXAMPLES / "cat.jpg"), str(EXAMPLES / "sign.png"), "--key", "one.jpg"),
        ("up", "--features", "labels,dreams"),
        ("up", "--project", "Not_A_Name"),
        ("nonsense",),
    ):
        done = pipeline.machine.imgpipe(*arguments, "--local", code=2)
        assert done.err.count("\n") <= 4, done.err
        assert "--help" in done.err or "Hint:" in done.err
        told = pipeline.machine.imgpipe(*arguments, "--local", "--json", code=2).json()
        assert (told["status"], len(told["errors"])) == ("usage", 1)
