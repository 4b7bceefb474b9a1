"""`imgpipe export` against a played API, from a file, and into sidecars beside real pictures."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imgpipe_cli.pictures.sending.journal import Entry, Journal
from tests.support.api_server import Answer, FakeApi, failed, item
from tests.support.cli import NAMES, Cli

EXIFTOOL = shutil.which("exiftool")
CAT = [
    {"Name": "Cat", "Confidence": 98.5, "Parents": [{"Name": "Animal"}]},
    {"Name": "Animal", "Confidence": 98.5},
    {"Name": "Sofa", "Confidence": 60.0},
]
DOG = [{"Name": "Dog", "Confidence": 98.5}]


def result(key: str, labels: list[Any] = CAT, **more: Any) -> Any:
    return item(key, labels=labels, bucket=NAMES.bucket, **more)


def recorded(*items: Any) -> str:
    Path("r.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in items))
    return "r.jsonl"


def picture(name: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"a picture")
    return path


def sent(key: str, path: Path, version: str | None = "v1") -> None:
    journal = Journal(NAMES.bucket)
    journal.write(Entry(key, 9, "s", "t", "e", version, str(path.absolute())))
    journal.close()


def keywords(sidecar: str) -> list[str]:
    """As imgpipe writes them."""
    text = Path(sidecar).read_text(encoding="utf-8")
    bag = text.partition("<dc:subject>")[2].partition("</dc:subject>")[0]
    return [part.partition("</rdf:li>")[0] for part in bag.split("<rdf:li>")[1:]]


# --- tables ------------------------------------------------------------------------------------


def test_all_pages_are_in_the_table_and_their_number_is_told(cli: Cli, played: FakeApi) -> None:
    played.store(*(result(f"{n:03}.jpg") for n in range(150)), failed("bad.jpg", retryable=False))
    printed = cli("export", "--to", "csv", "--out", "r.csv")
    assert (printed.code, printed.out) == (0, "151 results in r.csv.\n")
    rows = list(csv.DictReader(io.StringIO(Path("r.csv").read_text(encoding="utf-8"), newline="")))
    assert len(rows) == 151
    # What is less sure than the pipeline's threshold is in none.
    assert {row["labels"] for row in rows if row["status"] == "done"} == {"Cat; Animal"}


def test_without_a_file_the_text_goes_to_standard_output(cli: Cli, played: FakeApi) -> None:
    played.store(result("a.jpg"), result("b.jpg"))
    assert [row["key"] for row in csv.DictReader(io.StringIO(cli("export", "--to", "csv").out))] == [
        "a.jpg",
        "b.jpg",
    ]
    lines = cli("export", "--to", "jsonl").lines
    assert [one["objectKey"] for one in lines] == ["a.jpg", "b.jpg"]
    assert len(lines[0]["labels"]) == 3, "JSON lines are whole, as in the list"
    assert len(cli("export", "--to", "jsonl", "--min-confidence", "70").lines[0]["labels"]) == 2


def test_the_filters_are_those_of_the_list(cli: Cli, played: FakeApi) -> None:
    played.store(result("a/1.jpg"), result("b/2.jpg", DOG), failed("a/3.jpg", retryable=False))

    def exported(*options: str) -> list[str]:
        return [one["objectKey"] for one in cli("export", "--to", "jsonl", *options).lines]

    assert exported("--label", "dog") == ["b/2.jpg"]
    assert exported("--label", "sofa") == [], "it is less sure than the threshold"
    assert exported("--status", "failed") == ["a/3.jpg"]
    assert exported("--prefix", "a/", "--status", "done") == ["a/1.jpg"]
    assert exported("--since", "2027-01-01") == []
    assert played.asked[-2].query["prefix"] == "a/"


def test_words_are_found_through_the_index(cli: Cli, played: FakeApi) -> None:
    # The best first, so an old one does not end it.
    items = [result("old.jpg", at="2020-01-01T00:00:00.000Z"), result("new.jpg")]
    index = {"complete": False, "filled": 5, "of": 9}
    played.found = lambda _request: Answer(body={"items": items, "next": None, "index": index})
    options = ("--text", "open", "--name", "shop", "--label", "cat", "--since", "2026-01-01")
    printed = cli("export", "--to", "jsonl", *options)
    assert [one["objectKey"] for one in printed.lines] == ["new.jpg"]
    asked = played.asked[-1].every
    assert (asked["text"], asked["name"], asked["label"]) == (["open"], ["shop"], ["cat"])
    assert "5 of 9" in printed.err


def test_a_file_of_results_needs_no_pipeline(cli: Cli) -> None:
    file = recorded(result("a.jpg"), {"version": 1}, result("b.jpg", DOG))
    printed = cli("export", "--to", "sqlite", "--from", file, "--out", "r.db", "--json")
    assert printed.code == 1, "not all of it are results"
    assert printed.document["data"] == {"to": "sqlite", "out": "r.db", "results": 2}
    assert printed.error == "not_results"
    assert "r.jsonl, line 2" in cli("export", "--to", "csv", "--from", file).err


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--to", "pdf"),
        ("--to", "sqlite"),
        ("--to", "csv", "--json"),
        ("--to", "csv", "--out", "."),
        ("--to", "csv", "--map", "a=."),
        ("--to", "coco", "--sidecar", "darktable"),
        ("--to", "xmp", "--out", "a"),
        ("--to", "xmp", "--map", "nothing"),
        ("--to", "xmp", "--map", "a=no-folder"),
        ("--to", "xmp", "--sidecar", "paint"),
        ("--to", "csv", "--status", "late"),
        ("--to", "csv", "--from", "missing.jsonl"),
        ("--to", "csv", "--from", "missing.jsonl", "--text", "open"),
    ],
)
def test_wrong_usage_writes_nothing(cli: Cli, played: FakeApi, options: tuple[str, ...]) -> None:
    assert cli("export", *options).code == 2
    assert played.asked == []
    assert list(Path().iterdir()) == []


def test_an_export_that_fails_leaves_the_file_before_it(cli: Cli, played: FakeApi) -> None:
    played.store(*(result(f"{n:03}.jpg") for n in range(150)))
    Path("r.csv").write_text("before")
    played.busy = lambda request: bool(request.query.get("after"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imgpipe_cli.pictures.api._PAUSES_S", (0.0,) * 4)
        assert cli("export", "--to", "csv", "--out", "r.csv").code == 1
    assert Path("r.csv").read_text() == "before"
    assert [one.name for one in Path().iterdir()] == ["r.csv"]
    assert cli("export", "--to", "csv", "--out", "no-folder/r.csv", "--json").error == "not_exported"


# --- sidecars ----------------------------------------------------------------------------------


def test_pictures_that_were_sent_from_here_get_keywords_beside_them(cli: Cli, played: FakeApi) -> None:
    played.store(result("p/a.jpg"), result("p/b.jpg"), result("other.jpg"), failed("c", retryable=False))
    sent("p/a.jpg", picture("elsewhere/a.jpg"))
    sent("p/b.jpg", picture("elsewhere/b.jpg"), version="v2")  # sent again, and not analyzed yet
    printed = cli("export", "--to", "xmp", "--json")
    assert printed.code == 0
    assert printed.document["data"] == {
        "to": "xmp",
        "results": 4,
        "written": 1,
        "unchanged": 0,
        "withoutLabels": 1,
        "notHere": 1,
        "anotherVersion": 1,
        "refused": 0,
    }
    assert keywords("elsewhere/a.jpg.xmp") == ["Cat", "Animal"]
    assert "--map" in cli("export", "--to", "xmp").err


def test_a_picture_that_is_gone_gets_none(cli: Cli) -> None:
    sent("a.jpg", Path("gone.jpg"))
    assert "1 not on this machine" in cli("export", "--to", "xmp", "--from", recorded(result("a.jpg"))).out


def test_upload_notes_where_a_picture_lies_also_if_it_is_there_already(
    cli: Cli, bucket: Any, played: FakeApi
) -> None:
    data = (Path(__file__).parents[2] / "examples" / "cat.jpg").read_bytes()
    Path("pics").mkdir()
    Path("pics/a.jpg").write_bytes(data)
    assert cli("upload", "pics").code == 0
    Path("pics").rename("moved")
    assert cli("upload", "moved", "--key", "pics/a.jpg").code == 0
    places = [one.path for one in Journal(NAMES.bucket).entries()]
    assert places == [str(Path(folder).absolute() / "a.jpg") for folder in ("pics", "moved")]
    assert cli("upload", "moved", "--key", "pics/a.jpg").code == 0
    assert len(list(Journal(NAMES.bucket).entries())) == 2


def test_a_converted_picture_has_its_sidecar_beside_the_original(
    cli: Cli, bucket: Any, played: FakeApi
) -> None:
    Image.new("RGB", (100, 100)).save("a.tif")
    assert cli("upload", "a.tif").code == 0
    version = bucket.head_object(Bucket=NAMES.bucket, Key="a.tif.jpg")["VersionId"]
    played.store(result("a.tif.jpg", versionId=version))
    assert cli("export", "--to", "xmp").out == "1 sidecar written.\n"
    assert keywords("a.tif.xmp") == ["Cat", "Animal"]


def test_folders_that_are_named_have_the_pictures_of_their_keys(cli: Cli) -> None:
    picture("2026/a.jpg")
    picture("2026/b.HEIC")
    picture("best/c.jpg")
    file = recorded(result("x/2026/a.jpg"), result("x/2026/b.HEIC.jpg"), result("x/2026/best/c.jpg"))
    printed = cli(
        "export", "--to", "xmp", "--from", file, "--map", "x/2026/=2026", "--map", "x/2026/best=best"
    )
    assert printed.out == "3 sidecars written.\n"
    assert all(Path(one).exists() for one in ("2026/a.jpg.xmp", "2026/b.HEIC.xmp", "best/c.jpg.xmp"))


@pytest.mark.parametrize("key", ["x/../secret.jpg", "x//secret.jpg", "x/./a.jpg", "x/", "x", "x/\0"])
def test_no_key_leads_out_of_its_folder(cli: Cli, key: str) -> None:
    picture("folder/a.jpg")
    picture("secret.jpg")
    assert cli("export", "--to", "xmp", "--from", recorded(result(key)), "--map", "x=folder").code == 0
    assert not list(Path().rglob("*.xmp"))


@pytest.mark.parametrize(
    ("options", "there", "written"),
    [
        ((), (), "IMG_1.xmp"),
        ((), ("IMG_1.CR2.xmp",), "IMG_1.CR2.xmp"),
        ((), ("IMG_1.CR2.xmp", "IMG_1.xmp"), "IMG_1.xmp"),
        (("--sidecar", "lightroom"), ("IMG_1.CR2.xmp",), "IMG_1.xmp"),
        (("--sidecar", "darktable"), ("IMG_1.xmp",), "IMG_1.CR2.xmp"),
        (("--sidecar", "digikam"), (), "IMG_1.CR2.xmp"),
    ],
)
def test_a_raw_picture_has_the_sidecar_that_its_tool_expects(
    cli: Cli, options: tuple[str, ...], there: tuple[str, ...], written: str
) -> None:
    picture("IMG_1.CR2")
    picture("IMG_1.jpg")
    other = recorded(result("IMG_1.jpg", DOG))
    cli("export", "--to", "xmp", "--from", other, "--map", "=.")
    for name in there:
        shutil.copy("IMG_1.jpg.xmp", name)
    file = recorded(result("IMG_1.CR2.jpg"))
    assert cli("export", "--to", "xmp", "--from", file, "--map", "=.", *options).code == 0
    assert keywords(written) == ["Cat", "Animal"]
    assert keywords("IMG_1.jpg.xmp") == ["Dog"], "the JPEG beside it has its own"
    assert all(keywords(name) == ["Dog"] for name in there if name != written)


def test_one_sidecar_that_cannot_be_changed_keeps_no_other_from_it(cli: Cli) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        picture(name)
    Path("a.jpg.xmp").write_text('<!DOCTYPE x [<!ENTITY e SYSTEM "r.jsonl">]><x>&e;</x>')
    Path("b.jpg.xmp").mkdir()
    file = recorded(*map(result, ("a.jpg", "b.jpg", "c.jpg")))
    printed = cli("export", "--to", "xmp", "--from", file, "--map", "=.")
    assert printed.code == 1
    assert "left alone a.jpg.xmp: it declares a document type" in printed.err
    assert "left alone b.jpg.xmp" in printed.err
    assert "1 sidecar written, 2 left alone." in printed.out
    assert "&e;" in Path("a.jpg.xmp").read_text()


def test_a_link_is_not_written_through(cli: Cli) -> None:
    picture("a.jpg")
    Path("other").write_text("other")
    try:
        Path("a.jpg.xmp").symlink_to("other")
    except OSError:
        pytest.skip("this system lets nobody make links")
    assert cli("export", "--to", "xmp", "--from", recorded(result("a.jpg")), "--map", "=.").code == 1
    assert Path("a.jpg.xmp").is_symlink()
    assert Path("other").read_text() == "other"


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_a_sidecar_keeps_its_mode_and_is_untouched_where_nothing_changes(cli: Cli) -> None:
    picture("a.jpg")
    arguments = ("export", "--to", "xmp", "--map", "=.", "--from")
    cli(*arguments, recorded(result("a.jpg")))
    Path("a.jpg.xmp").chmod(0o640)
    before = Path("a.jpg.xmp").stat()
    assert "0 sidecars written, 1 unchanged." in cli(*arguments, recorded(result("a.jpg"))).out
    assert Path("a.jpg.xmp").stat().st_ino == before.st_ino
    cli(*arguments, recorded(result("a.jpg", DOG)))
    assert Path("a.jpg.xmp").stat().st_mode == before.st_mode
    assert keywords("a.jpg.xmp") == ["Dog"]


@pytest.mark.skipif(EXIFTOOL is None, reason="ExifTool is missing: apt-get install libimage-exiftool-perl")
def test_exiftool_reads_the_sidecars_and_keywords_that_it_writes_survive(cli: Cli) -> None:
    assert EXIFTOOL is not None

    def exiftool(*arguments: str) -> str:
        done = subprocess.run([str(EXIFTOOL), *arguments], capture_output=True, text=True, check=True)
        return done.stdout

    def subjects() -> Any:
        (found,) = json.loads(exiftool("-json", "-XMP-dc:Subject", "-XMP-lr:all", "a.jpg.xmp"))
        return found

    picture("a.jpg")
    arguments = ("export", "--to", "xmp", "--map", "=.", "--from")
    cli(*arguments, recorded(result("a.jpg")))
    found = subjects()
    assert (found["Subject"], found["HierarchicalSubject"]) == (["Cat", "Animal"], ["Animal|Cat", "Animal"])
    # ExifTool writes the whole file anew, in its own form.
    exiftool("-overwrite_original", "-XMP-dc:Subject+=Müller & Söhne", "-XMP:Rating=4", "a.jpg.xmp")
    for labels in (DOG, CAT, DOG):
        assert cli(*arguments, recorded(result("a.jpg", labels))).code == 0
    found = subjects()
    assert (found["Subject"], found["HierarchicalSubject"]) == (["Müller & Söhne", "Dog"], "Dog")
    assert "4" in exiftool("-XMP:Rating", "a.jpg.xmp")
    assert "error" not in exiftool("-validate", "-warning", "-error", "-a", "a.jpg.xmp").lower()
