"""`imgpipe upload` and `imgpipe watch FOLDER` into a bucket of moto's, with a played API."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.server import ThreadedMotoServer
from PIL import Image

from tests.support import photos
from tests.support.api_server import FakeApi, Request, failed, item
from tests.support.cli import NAMES, PROGRAM, REGION, Cli, Printed, make_bucket, remember, runner

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    for name in ("cat.jpg", "coffee.jpg"):
        shutil.copy(EXAMPLES / name, tmp_path)
    Path("words.jpg").write_text("no picture")
    return runner(capsys)


def _versions(bucket: Any) -> dict[str, str]:
    listed = bucket.list_object_versions(Bucket=NAMES.bucket).get("Versions", [])
    return {one["Key"]: one["VersionId"] for one in listed if one["IsLatest"]}


@pytest.fixture
def analyzing(played: FakeApi, bucket: Any) -> FakeApi:
    """The API as if the pipeline had analyzed whatever is in the bucket."""

    def analyze(_request: Request) -> None:
        for key, version in _versions(bucket).items():
            played.store(
                failed(key, retryable=False, version=version) if "bad" in key else item(key, version)
            )

    played.before = analyze
    return played


def test_a_picture_is_sent_under_its_name(cli: Cli, played: FakeApi, bucket: Any) -> None:
    printed = cli("upload", "cat.jpg", "--verbose")
    assert (printed.code, printed.out) == (0, "1 sent.\n")
    assert "sent cat.jpg as cat.jpg" in printed.err
    assert list(_versions(bucket)) == ["cat.jpg"]


@pytest.mark.parametrize(
    "flags", [("upload", "--quiet"), ("--quiet", "upload"), ("upload", "--quiet", "--verbose")]
)
def test_quiet_tells_nothing_but_the_result(
    cli: Cli, played: FakeApi, bucket: Any, flags: tuple[str, ...]
) -> None:
    assert cli(*flags, "cat.jpg") == Printed(0, "1 sent.\n", "")
    refused = cli(*flags, "words.jpg")
    assert (refused.code, refused.out) == (1, "0 sent, 1 refused.\n")
    assert refused.err.startswith("refused words.jpg: ")
    assert refused.err.count("\n") == 1


def test_quiet_may_be_a_variable(
    cli: Cli, played: FakeApi, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGPIPE_QUIET", "1")
    assert cli("upload", "cat.jpg").err == ""


def test_a_folder_keeps_its_paths_under_the_prefix(cli: Cli, played: FakeApi, bucket: Any) -> None:
    (Path("pics") / "deep").mkdir(parents=True)
    shutil.copy("cat.jpg", "pics/deep/cat.jpg")
    assert cli("upload", "pics", "coffee.jpg", "--prefix", "trip").code == 0
    assert sorted(_versions(bucket)) == ["trip/coffee.jpg", "trip/pics/deep/cat.jpg"]


def test_what_is_refused_exits_1_and_the_others_go(cli: Cli, played: FakeApi, bucket: Any) -> None:
    printed = cli("upload", "cat.jpg", "words.jpg", "nope.jpg")
    assert (printed.code, printed.out) == (1, "1 sent, 2 refused.\n")
    assert "refused words.jpg: It is neither JPEG nor PNG: it looks like a text file." in printed.err
    assert "refused nope.jpg: There is no such file or folder." in printed.err
    assert list(_versions(bucket)) == ["cat.jpg"]


def test_in_json_what_was_sent_and_refused_is_one_document(cli: Cli, played: FakeApi, bucket: Any) -> None:
    cli("upload", "cat.jpg")
    shutil.copy("coffee.jpg", "cat.jpg")
    printed = cli("upload", "cat.jpg", "words.jpg", "--json")
    assert printed.code == 1
    version = _versions(bucket)["cat.jpg"]
    assert printed.document["data"] == [
        {
            **{"key": "cat.jpg", "source": "cat.jpg", "versionId": version, "replaced": True},
            **{"converted": None, "smaller": False},
        }
    ]
    assert printed.error == "unsupported_format"


def test_standard_input_is_a_picture_too(
    cli: Cli, played: FakeApi, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(Path("cat.jpg").read_bytes())))
    assert cli("upload", "-", "--key", "in/cat.jpg").code == 0
    stored = bucket.get_object(Bucket=NAMES.bucket, Key="in/cat.jpg")
    assert stored["Body"].read() == Path("cat.jpg").read_bytes()


def test_a_program_without_standard_input_can_send_files(
    cli: Cli, played: FakeApi, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert cli("upload", "cat.jpg").code == 0


def test_two_of_one_key_are_refused_before_anything_is_sent(cli: Cli, played: FakeApi, bucket: Any) -> None:
    assert cli("upload", "cat.jpg", "./cat.jpg").code == 2
    assert _versions(bucket) == {}


def test_two_of_one_name_keep_their_folders_and_it_is_said(cli: Cli, played: FakeApi, bucket: Any) -> None:
    Path("other").mkdir()
    shutil.copy("coffee.jpg", "other/cat.jpg")
    printed = cli("upload", "cat.jpg", "other/cat.jpg")
    assert (printed.code, printed.out) == (0, "2 sent.\n")
    assert "Files of the same name keep their folders: other/cat.jpg.\n" in printed.err
    assert sorted(_versions(bucket)) == ["cat.jpg", "other/cat.jpg"]


def _camera_card() -> None:
    """Pictures, and what lies beside them."""
    card = Path("card")
    card.mkdir()
    shutil.copy("cat.jpg", card / "1.JPG")
    for name, data in {
        ".DS_Store": b"\0\0\0\x01Bud1",
        "._1.JPG": b"\0\x05\x16\x07",
        "Thumbs.db": b"\xd0\xcf\x11\xe0",
        "1.xmp": b"<x:xmpmeta/>",
        "notes.txt": b"by the sea",
        "empty": b"",
        "2.MOV": b"\0\0\0\x14ftypqt  ",
    }.items():
        (card / name).write_bytes(data)


def test_what_is_no_picture_in_a_folder_is_skipped_and_counted(
    cli: Cli, played: FakeApi, bucket: Any
) -> None:
    _camera_card()
    printed = cli("upload", "card")
    assert (printed.code, printed.out) == (0, "1 sent, 7 skipped.\n")
    assert list(_versions(bucket)) == ["card/1.JPG"]
    assert "refused" not in printed.err
    (said,) = [line for line in printed.err.splitlines() if line.startswith("Skipped")]
    assert said.startswith("Skipped, since hidden or no picture: card/.DS_Store, card/._1.JPG, card/")
    assert said.endswith(" and 4 more.")
    printed = cli("upload", "card", "--json", "--force")
    assert (printed.code, printed.document["errors"], len(printed.document["data"])) == (0, [], 1)
    assert printed.document["skipped"] == {"hidden": 2, "no_picture": 5}
    assert "skipped" not in cli("upload", "card/1.JPG", "--json", "--force").document


def test_an_unchanged_picture_is_not_sent_again_unless_it_is_asked_for(
    cli: Cli, played: FakeApi, bucket: Any
) -> None:
    assert cli("upload", "cat.jpg", "coffee.jpg").out == "2 sent.\n"
    before = _versions(bucket)
    assert cli("upload", "cat.jpg", "coffee.jpg").out == "0 sent, 2 unchanged.\n"
    printed = cli("upload", "cat.jpg", "coffee.jpg", "--json")
    assert (printed.code, printed.document["data"]) == (0, [])
    assert printed.document["skipped"] == {"unchanged": 2}
    assert _versions(bucket) == before
    printed = cli("upload", "cat.jpg", "--force")
    assert printed.out == "1 sent.\n"
    assert "Sent as a new version: cat.jpg.\n" in printed.err
    assert _versions(bucket)["cat.jpg"] != before["cat.jpg"]


def test_a_picture_that_changed_is_a_new_version_and_is_named(cli: Cli, played: FakeApi, bucket: Any) -> None:
    cli("upload", "cat.jpg")
    shutil.copy("coffee.jpg", "cat.jpg")
    printed = cli("upload", "cat.jpg")
    assert printed.out == "1 sent.\n"
    assert "Sent as a new version: cat.jpg.\n" in printed.err


def test_an_unchanged_picture_is_waited_for_as_well(cli: Cli, analyzing: FakeApi, bucket: Any) -> None:
    """Its first upload may have been stopped before the result came."""
    cli("upload", "cat.jpg")
    printed = cli("upload", "cat.jpg", "--wait")
    assert printed.code == 0
    assert printed.out.endswith("0 sent, 1 analyzed, 1 unchanged.\n")


def test_patterns_choose_what_of_a_folder_is_sent(cli: Cli, played: FakeApi, bucket: Any) -> None:
    _camera_card()
    shutil.copy("coffee.jpg", "card/2.jpg")
    printed = cli("upload", "card", "--include", "*.jpg", "--exclude", "1.*")
    assert (printed.code, printed.out) == (0, "1 sent, 2 skipped.\n")
    assert list(_versions(bucket)) == ["card/2.jpg"]


def test_a_link_out_of_the_folder_is_named(cli: Cli, played: FakeApi, bucket: Any) -> None:
    Path("album").mkdir()
    (Path("album") / "a.jpg").symlink_to(Path("cat.jpg").absolute())
    printed = cli("upload", "album", "--json")
    assert (printed.code, printed.document["skipped"]) == (0, {"link": 1})
    assert "Skipped, since the link leads out of the folder: album/a.jpg." in printed.err


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("raw.CR3", b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom"),
        ("phone.heic", b"\0\0\0\x18ftypheic"),
        ("2.gif", b"GIF89a"),
        ("download.jpg", b"<!doctype html>"),
        ("nothing.png", b""),
        ("cut.jpg", b"\xff\xd8\xff\xe0"),
    ],
)
def test_a_picture_in_a_folder_that_cannot_be_sent_is_refused(
    cli: Cli, played: FakeApi, bucket: Any, name: str, data: bytes
) -> None:
    _camera_card()
    (Path("card") / name).write_bytes(data)
    printed = cli("upload", "card")
    assert (printed.code, printed.out) == (1, "1 sent, 1 refused, 7 skipped.\n")
    assert f"refused card/{name}: " in printed.err


def test_what_is_no_picture_and_named_is_refused(cli: Cli, played: FakeApi, bucket: Any) -> None:
    _camera_card()
    printed = cli("upload", "card/notes.txt", "card/.DS_Store")
    assert (printed.code, printed.out) == (1, "0 sent, 2 refused.\n")


def test_a_file_that_is_too_large_is_refused_with_its_own_size(
    cli: Cli, played: FakeApi, bucket: Any
) -> None:
    with Path("cat.jpg").open("r+b") as file:
        file.truncate(27 * 1024 * 1024)
    printed = cli("upload", "cat.jpg", "--no-convert")
    assert printed.code == 1
    assert "refused cat.jpg: It has 27 MB (28,311,552 bytes); Rekognition takes at most 15 MB" in printed.err


def test_of_standard_input_that_is_too_large_no_size_is_made_up(
    cli: Cli, played: FakeApi, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Path("cat.jpg").read_bytes() + bytes(27 * 1024 * 1024)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert "It has more than 15 MB (15,728,640 bytes); " in cli("upload", "-", "--key", "k.jpg").err


def test_one_line_tells_what_was_converted_and_one_that_places_are_sent(
    cli: Cli, played: FakeApi, bucket: Any
) -> None:
    Path("a.heic").write_bytes(photos.MADE["HEIC"](6))
    Path("b.dng").write_bytes(photos.MADE["DNG"](6))
    Path("c.heic").write_bytes(photos.MADE["HEIC"](1))
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 30.0)}
    for name in ("here.jpg", "there.jpg"):
        photos.cat().save(name, exif=exif)
    files = ("a.heic", "b.dng", "c.heic", "here.jpg", "there.jpg")
    printed = cli("upload", *files)
    assert (printed.code, printed.out) == (0, "5 sent.\n")
    assert printed.err.count("Converted before sending: 2 HEIC, 1 DNG.\n") == 1
    assert (
        printed.err.count("Sent with the place where it was taken: 2 pictures. --strip-metadata leaves") == 1
    )
    again = cli("upload", *files)
    assert (again.out, "Converted" in again.err, "place" in again.err) == (
        "0 sent, 5 unchanged.\n",
        False,
        False,
    )
    stripped = cli("upload", "here.jpg", "a.heic", "--strip-metadata", "--force", "--json")
    assert [(one["key"], one["converted"]) for one in stripped.document["data"]] == [
        ("here.jpg", None),
        ("a.heic.jpg", "HEIC"),
    ]
    assert "place" not in stripped.err


def test_waiting_shows_each_result(cli: Cli, analyzing: FakeApi, bucket: Any) -> None:
    printed = cli("upload", "cat.jpg", "coffee.jpg", "--wait")
    assert printed.code == 0
    assert printed.out.count("Labels: nothing found") == 2
    assert printed.out.endswith("2 sent, 2 analyzed.\n")


def test_a_failed_result_exits_1(cli: Cli, analyzing: FakeApi, bucket: Any) -> None:
    printed = cli("upload", "cat.jpg", "--key", "bad.jpg", "--wait")
    assert printed.code == 1
    assert printed.out.endswith("1 sent, 0 analyzed, 1 failed.\n")


@pytest.mark.parametrize("what", ["replaced", "removed"])
def test_a_picture_that_is_no_longer_there_is_not_waited_for(
    cli: Cli, played: FakeApi, bucket: Any, what: str
) -> None:
    def somebody_else(_request: Request) -> None:
        if not played.stored and what == "replaced":
            bucket.put_object(Bucket=NAMES.bucket, Key="cat.jpg", Body=b"another")
            played.store(item("cat.jpg", _versions(bucket)["cat.jpg"]))
        if what == "removed":
            bucket.delete_object(Bucket=NAMES.bucket, Key="cat.jpg")

    played.before = somebody_else
    printed = cli("upload", "cat.jpg", "--wait")
    assert (printed.code, printed.out) == (1, "1 sent, 0 analyzed, 1 replaced.\n")
    assert "cat.jpg: replaced or removed since it was sent" in printed.err


def test_in_json_waiting_prints_one_result_a_line(cli: Cli, analyzing: FakeApi, bucket: Any) -> None:
    printed = cli("upload", "cat.jpg", "coffee.jpg", "--wait", "--json")
    assert printed.code == 0
    assert {one["objectKey"]: one["versionId"] for one in printed.lines} == _versions(bucket)


def test_an_older_result_is_not_taken_for_the_new_picture(cli: Cli, played: FakeApi, bucket: Any) -> None:
    played.store(item("cat.jpg", "an older version"))
    printed = cli("upload", "cat.jpg", "--wait", "--timeout", "0")
    assert printed.code == 4
    assert printed.out == "1 sent, 0 analyzed, 1 pending.\n"
    assert "cat.jpg still without a result" in printed.err


def test_without_a_bucket_it_exits_3(cli: Cli, played: FakeApi) -> None:
    with mock_aws():
        printed = cli("upload", "cat.jpg", "--json")
    assert printed.code == 3
    assert printed.error == "not_set_up"


def test_a_watched_folder_sends_what_is_put_there_and_shows_its_result(
    cli: Cli, played: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    inbox = Path("inbox")
    inbox.mkdir()
    shutil.copy("coffee.jpg", inbox / "old.jpg")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        bucket = make_bucket(boto3.client("s3", region_name=REGION))
        remember(played.url, endpoint=f"http://{host}:{port}")

        def analyze(_request: Request) -> None:
            for key, version in _versions(bucket).items():
                played.store(item(key, version, at="2999-01-01T00:00:00.000Z"))

        played.before = analyze
        with subprocess.Popen(
            [*PROGRAM, "watch", "inbox"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        ) as started:
            assert started.stdout is not None and started.stderr is not None
            while "Watching" not in (line := started.stderr.readline()):
                assert line
            shutil.copy("cat.jpg", inbox)
            (inbox / "print.jpg").write_bytes(photos.jpeg(6, image=photos.cat().convert("CMYK")))
            results = sorted(started.stdout.readline() for _ in range(2))
            started.send_signal(signal.SIGINT)
            err = started.stderr.read()
        assert "inbox/cat.jpg  nothing found" in results[0]
        assert "inbox/print.jpg.jpg  nothing found" in results[1]
        assert "sent inbox/cat.jpg as inbox/cat.jpg\n" in err
        assert "sent inbox/print.jpg as inbox/print.jpg.jpg, converted from JPEG\n" in err
        assert started.returncode == 130
        assert sorted(_versions(bucket)) == ["inbox/cat.jpg", "inbox/print.jpg.jpg"]
    finally:
        server.stop()
