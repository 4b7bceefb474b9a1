"""What `imgpipe upload --wait` shows of few and of many pictures, and the report."""

from __future__ import annotations

import json
import shutil
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.aws.object_puts import ObjectPuts
from tests.support.api_server import Answer, FakeApi, Request, failed, item
from tests.support.cli import NAMES, Cli

EXAMPLES = Path(__file__).parents[2] / "examples"
CAT = {"Name": "Cat", "Confidence": 98.0}
UNSURE = {"Name": "Dog", "Confidence": 51.0}


@pytest.fixture
def analyzing(played: FakeApi, bucket: Any) -> FakeApi:
    """The API as if the pipeline had analyzed whatever is in the bucket, but for what is slow."""

    def analyze(_request: Request) -> None:
        for one in bucket.list_object_versions(Bucket=NAMES.bucket).get("Versions", []):
            key, version = one["Key"], one["VersionId"]
            if one["IsLatest"] and "slow" not in key:
                bad = failed(key, retryable=False, version=version)
                played.store(bad if "bad" in key else item(key, version, labels=[CAT, UNSURE]))

    played.before = analyze
    return played


def folder(*names: str, refused: bool = False) -> None:
    Path("pics").mkdir()
    for name in names:
        shutil.copy(EXAMPLES / "cat.jpg", f"pics/{name}.jpg")
    if refused:
        Path("pics/words.jpg").write_text("no picture")


def report() -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]


def test_ten_pictures_have_their_tables(cli: Cli, analyzing: FakeApi) -> None:
    folder(*(f"{number}" for number in range(10)))
    printed = cli("upload", "pics", "--wait")
    assert printed.out.count(" Label   Confidence") == 10
    assert "Labels: " not in printed.out
    assert printed.out.endswith("10 sent, 10 analyzed.\n")


def test_eleven_have_a_line_each_and_a_summary_by_label_and_by_reason(cli: Cli, analyzing: FakeApi) -> None:
    folder(*(f"{number}" for number in range(9)), "bad-1", "bad-2")
    printed = cli("upload", "pics", "--wait")
    *lines, labels, reasons, total = printed.out.splitlines()
    assert sorted(line.partition("  ")[2] for line in lines) == [
        *(f"pics/{number}.jpg  Cat 98 %" for number in range(9)),
        "pics/bad-1.jpg  failed: Too busy.",
        "pics/bad-2.jpg  failed: Too busy.",
    ]
    assert labels == "Labels: Cat 9."
    assert reasons == "Failed: throttled 2."
    assert total == "11 sent, 9 analyzed, 2 failed."
    assert printed.code == 1


@pytest.mark.parametrize(
    ("faces", "told"), [((), "2 analyzed (1 reused)"), (("faces",), "2 analyzed")], ids=["all", "a part"]
)
def test_the_summary_counts_those_that_reuse_an_analysis(
    cli: Cli, analyzing: FakeApi, faces: tuple[str, ...], told: str
) -> None:
    """Where a part had to be asked for, it was not reused."""
    folder("a", "copy")
    analyze = analyzing.before

    def before(request: Request) -> None:
        analyze(request)
        found = analyzing.stored["pics/copy.jpg"]
        more: Any = {"features": ["labels", *faces], **{one: [] for one in faces}}
        analyzing.store({**found, **more, "reusedFrom": {"labels": {"objectKey": "pics/a.jpg"}}})

    analyzing.before = before
    assert cli("upload", "pics", "--wait").out.endswith(f"2 sent, {told}.\n")


def test_each_picture_has_exactly_one_line_in_the_report(cli: Cli, analyzing: FakeApi) -> None:
    folder(*(f"{number}" for number in range(11)), "bad", "slow", refused=True)
    shutil.copy(EXAMPLES / "cat.jpg", "there.jpg")
    assert cli("upload", "there.jpg").code == 0
    printed = cli(
        "upload", "pics", "there.jpg", "nope.jpg", "--wait", "--timeout", "1", "--report", "out.jsonl"
    )
    assert printed.code == 1
    assert printed.out.endswith("13 sent, 12 analyzed, 1 unchanged, 1 failed, 1 pending, 2 refused.\n")
    found = report()
    assert Counter(one["state"] for one in found) == {"done": 12, "failed": 1, "pending": 1, "refused": 2}
    assert len({one["source"] for one in found}) == len(found) == 16
    by_key = {one["key"]: one for one in found if "key" in one}
    assert by_key["pics/3.jpg"]["result"]["labels"][0]["Name"] == "Cat"
    assert by_key["pics/3.jpg"]["versionId"] == by_key["pics/3.jpg"]["result"]["versionId"]
    assert by_key["there.jpg"]["state"] == "done"
    assert by_key["pics/bad.jpg"]["result"]["error"]["code"] == "throttled"
    assert by_key["pics/slow.jpg"]["state"] == "pending"
    errors = {one["source"]: one["error"]["code"] for one in found if one["state"] == "refused"}
    assert errors == {"pics/words.jpg": "unsupported_format", "nope.jpg": "not_found"}


def test_without_waiting_the_report_says_what_was_sent(cli: Cli, analyzing: FakeApi) -> None:
    folder("a", "b", refused=True)
    cli("upload", "pics/a.jpg", "--key", "pics/a.jpg")
    cli("upload", "pics", "--report", "out.jsonl")
    assert {one["source"]: one["state"] for one in report()} == {
        "pics/a.jpg": "unchanged",
        "pics/b.jpg": "sent",
        "pics/words.jpg": "refused",
    }
    # It is written anew by the next run.
    cli("upload", "pics/a.jpg", "--report", "out.jsonl")
    assert len(report()) == 1


def test_a_picture_that_was_replaced_is_one_in_the_report(cli: Cli, played: FakeApi, bucket: Any) -> None:
    folder("a")
    played.before = lambda _request: bucket.delete_object(Bucket=NAMES.bucket, Key="a.jpg")
    cli("upload", "pics/a.jpg", "--wait", "--report", "out.jsonl")
    assert [one["state"] for one in report()] == ["replaced"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("pics/a.jpg", "file_exists"),
        ("no/such/folder/out", "report_not_written"),
        ("pics", "report_not_written"),
    ],
)
def test_a_report_never_takes_the_place_of_a_picture(
    cli: Cli, analyzing: FakeApi, name: str, code: str
) -> None:
    folder("a")
    before = Path("pics/a.jpg").read_bytes()
    printed = cli("upload", "pics/a.jpg", "--report", name, "--json")
    assert printed.error == code
    assert Path("pics/a.jpg").read_bytes() == before


def test_a_report_of_an_upload_that_ends_early_has_the_pictures_that_were_sent(
    cli: Cli, analyzing: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the API is gone while they are waited for."""
    folder("a", "b")
    analyzing.instead = [Answer(404, {"message": "Not Found"})] * 4
    printed = cli("upload", "pics", "--wait", "--report", "out.jsonl")
    assert printed.code == 1
    assert {one["key"]: one["state"] for one in report()} == {
        "pics/a.jpg": "pending",
        "pics/b.jpg": "pending",
    }


def test_results_are_shown_while_others_are_still_sent(
    cli: Cli, analyzing: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second picture goes only once the API has been asked for the first."""
    asked = threading.Event()
    analyze, put = analyzing.before, ObjectPuts.put
    puts = 0

    def before(request: Request) -> None:
        analyze(request)
        asked.set()

    def hold(self: ObjectPuts, *arguments: Any) -> Any:
        nonlocal puts
        puts += 1
        assert puts == 1 or asked.wait(60)
        return put(self, *arguments)

    analyzing.before = before
    monkeypatch.setattr(ObjectPuts, "put", hold)
    folder("a", "b")
    printed = cli("upload", "pics", "--wait")
    assert (printed.code, puts) == (0, 2)
    assert printed.out.endswith("2 sent, 2 analyzed.\n")
