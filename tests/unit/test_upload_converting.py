"""Files that are converted before they are sent, into a bucket that moto plays."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imgpipe_cli.events import PassedOver, Refused, Unchanged
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures.converting import kinds, workers
from imgpipe_cli.pictures.converting.workers import Converted, Converter, NotConverted
from imgpipe_cli.pictures.sending.journal import forget
from imgpipe_cli.pictures.sending.picture import Rules
from tests.support import photos
from tests.support.uploads import NAMES, Account

CONVERTING = Rules()
MADE = {"HEIC": ".HEIC", "AVIF": ".avif", "WebP": ".webp", "TIFF": ".tif", "DNG": ".dng"}


@pytest.fixture(scope="module")
def converter() -> Iterator[Converter]:
    """One for all tests: starting its processes takes longer than most of them."""
    made = Converter(workers=2)
    yield made
    made.close()


@pytest.fixture
def account(account: Account, converter: Converter) -> Account:
    account.converter = converter
    return account


def photo(folder: Path, name: str = "IMG_1.HEIC", kind: str = "HEIC", orientation: int = 6) -> Path:
    path = folder / name
    path.write_bytes(photos.MADE[kind](orientation))
    return path


def unchanged(account: Account) -> list[str]:
    return [one.key for one in account.events if isinstance(one, Unchanged)]


def refused(account: Account) -> Refused:
    (found,) = (one for one in account.events if isinstance(one, Refused))
    return found


def test_a_folder_of_all_kinds_arrives_as_upright_jpegs_that_lead_back_to_their_files(
    account: Account, tmp_path: Path
) -> None:
    folder = tmp_path / "trip"
    folder.mkdir()
    files = {kind: photo(folder, f"photo{end}", kind) for kind, end in MADE.items()}
    (folder / "plain.jpg").write_bytes(photos.jpeg(6))
    (folder / "photo.xmp").write_text("<x:xmpmeta/>")
    (folder / "broken.heic").write_bytes(photos.MADE["HEIC"](1)[:900])
    sent = account.send(folder, rules=CONVERTING)
    assert {one.key: one.converted for one in sent} == {
        "trip/plain.jpg": None,
        **{f"trip/{path.name}.jpg": kind for kind, path in files.items()},
    }
    assert account.refused == {"broken.heic": "corrupt"}
    assert [Path(one.source).name for one in account.events if isinstance(one, PassedOver)] == ["photo.xmp"]
    for kind, path in files.items():
        stored = account.stored(f"trip/{path.name}.jpg")
        assert stored["ContentType"] == "image/jpeg"
        assert Image.open(io.BytesIO(stored["Body"].read())).size == photos.cat().size
        assert stored["Metadata"]["imgpipe-source-sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert functions.original.original(stored["Metadata"]) == {"kind": kind, "name": path.name}
    assert account.stored("trip/plain.jpg")["Metadata"] == {}


def no_converting(account: Account) -> None:
    """From now on."""
    account.converter = Converter(workers=1)
    account.converter.convert = lambda *_: pytest.fail("it is converted")  # type: ignore[method-assign]


@pytest.mark.parametrize("known", ["here", "elsewhere"])
def test_an_unchanged_file_is_neither_converted_nor_sent_again(
    account: Account, tmp_path: Path, known: str
) -> None:
    path = photo(tmp_path)
    (first,) = account.send(path, rules=CONVERTING)
    if known == "elsewhere":  # sent by another machine: only the bucket tells
        forget(NAMES.bucket)
    os.utime(path)
    working = account.converter
    no_converting(account)
    assert account.send(path, rules=CONVERTING) == []
    assert unchanged(account) == ["IMG_1.HEIC.jpg"]
    account.converter = working
    photo(tmp_path, orientation=3)
    (second,) = account.send(path, rules=CONVERTING)
    assert (first.replaced, second.replaced) == (False, True)
    (forced,) = account.send(path, rules=CONVERTING, force=True)
    assert forced.replaced


def test_a_named_key_is_that_of_the_jpeg(account: Account, tmp_path: Path) -> None:
    (sent,) = account.send(photo(tmp_path), rules=CONVERTING, key="cat.jpg")
    assert sent.key == "cat.jpg"
    assert functions.original.original(account.stored("cat.jpg")["Metadata"]) == {
        "kind": "HEIC",
        "name": "IMG_1.HEIC",
    }
    (piped,) = account.send(Path("-"), rules=CONVERTING, key="p.jpg", stdin=[photos.MADE["TIFF"](6)])
    assert (piped.key, piped.converted) == ("p.jpg", "TIFF")


def test_a_name_that_no_header_can_hold_arrives_whole(account: Account, tmp_path: Path) -> None:
    path = photo(tmp_path, "Mäuse & Käse\n%41.heic")
    (sent,) = account.send(path, rules=CONVERTING)
    metadata = account.stored(sent.key)["Metadata"]
    assert functions.original.original(metadata) == {"kind": "HEIC", "name": path.name}
    longest = functions.original.metadata("ü" * 255, "HEIC", "0" * 64)
    assert sum(len(name) + len(value) for name, value in longest.items()) <= 1024
    assert functions.original.original(longest) == {"kind": "HEIC"}


def test_a_file_whose_key_another_one_beside_it_has_is_refused(account: Account, tmp_path: Path) -> None:
    photo(tmp_path)
    (tmp_path / "IMG_1.HEIC.jpg").write_bytes(photos.jpeg(1))
    sent = account.send(tmp_path, rules=CONVERTING)
    assert [(one.key, one.converted) for one in sent] == [(f"{tmp_path.name}/IMG_1.HEIC.jpg", None)]
    assert account.refused == {"IMG_1.HEIC": "same_key"}


def test_a_key_that_gets_too_long_is_refused(account: Account, tmp_path: Path) -> None:
    account.send(photo(tmp_path), rules=CONVERTING, prefix="p" * (1024 - 11))
    assert "1024 bytes" in refused(account).message


def test_without_converting_it_is_refused_as_ever(account: Account, tmp_path: Path) -> None:
    assert account.send(photo(tmp_path), rules=Rules(convert=False)) == []
    assert refused(account).message == "It is neither JPEG nor PNG: it looks like a HEIC picture."


@pytest.mark.parametrize(
    ("lacking", "extras"), [({"PIL", "ministack"}, "photos"), ({"pi_heif"}, "local,photos")]
)
def test_where_the_extra_is_missing_the_refusal_says_so(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: set[str], extras: str
) -> None:
    """An extra that is there is named too: pipx would leave it out of the new environment."""
    monkeypatch.setattr(kinds, "find_spec", lambda name: None if name in lacking else object())
    cmyk = tmp_path / "cmyk.jpg"
    cmyk.write_bytes(photos.jpeg(1, image=photos.cat().convert("CMYK")))
    sent = account.send(photo(tmp_path), cmyk, rules=CONVERTING)
    assert refused(account).hint.endswith(f"pipx install --force '.[{extras}]'")
    # AWS may read it: it is only sent as it is where it cannot be converted.
    assert [(one.key, one.converted) for one in sent] == (
        [("cmyk.jpg", None)] if "PIL" in lacking else [("cmyk.jpg.jpg", "JPEG")]
    )


def test_on_windows_on_arm_no_extra_reads_heic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "find_spec", lambda name: None if name == "pi_heif" else object())
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setattr("platform.machine", lambda: "ARM64")
    assert kinds.missing("HEIC") == (
        "For Windows on ARM there is no package that reads HEIC: export it as JPEG."
    )


def test_what_is_too_large_gets_smaller(account: Account, tmp_path: Path) -> None:
    wide, heavy = tmp_path / "wide.png", tmp_path / "heavy.jpg"
    Image.new("RGB", (10_500, 210), "teal").save(wide)
    heavy.write_bytes(photos.jpeg(6) + bytes(functions.picture.MAX_BYTES))
    sent = account.send(wide, heavy, rules=CONVERTING)
    assert [(one.key, one.converted, one.is_smaller) for one in sent] == [
        ("heavy.jpg.jpg", "JPEG", False),
        ("wide.png.jpg", "PNG", True),
    ]
    found = Image.open(io.BytesIO(account.stored("heavy.jpg.jpg")["Body"].read()))
    assert found.size == photos.cat().size


def test_what_stays_too_small_is_refused_with_its_size(account: Account, tmp_path: Path) -> None:
    path = tmp_path / "small.webp"
    Image.new("RGB", (200, 79)).save(path)
    account.send(path, rules=CONVERTING)
    assert refused(account).message.startswith("It has 200 x 79 pixels")


def test_a_file_that_goes_away_while_it_waits_is_refused(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = photo(tmp_path)
    goes = Converter.convert

    def gone(self: Converter, file: Any, kind: str, on_answer: Any) -> Any:
        file.unlink()
        return goes(self, file, kind, on_answer)

    monkeypatch.setattr(Converter, "convert", gone)
    account.send(path, rules=CONVERTING)
    assert refused(account).code == "unreadable"


def test_stripped_pictures_go_without_metadata_and_are_unchanged_afterwards(
    account: Account, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 30.0)}
    path = tmp_path / "here.jpg"
    photos.cat().save(path, exif=exif)
    (told,) = account.send(path)
    assert told.tells_place
    (bare,) = account.send(path, rules=Rules(strip=True))
    assert (bare.replaced, bare.tells_place) == (True, False)
    assert b"Exif" not in account.stored("here.jpg")["Body"].read()
    assert account.send(path, rules=Rules(strip=True)) == []
    assert unchanged(account) == ["here.jpg"]
    path.write_bytes(path.read_bytes()[:20] + path.read_bytes())
    account.send(path, rules=Rules(strip=True))
    assert refused(account).code == "metadata_kept"


# --- the processes that convert --------------------------------------------------------------------


def answers(converter: Converter, *files: tuple[Path | bytes, str]) -> list[Converted | NotConverted]:
    found: dict[int, Converted | NotConverted] = {}
    for number, (file, kind) in enumerate(files):
        converter.convert(file, kind, partial(found.__setitem__, number))
    while len(found) < len(files):
        time.sleep(0.01)
    return [found[number] for number in range(len(files))]


def test_a_process_that_crashes_or_never_ends_loses_its_picture_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, time\n"
        "from imgpipe_cli.pictures.converting import decoding\n"
        "real = decoding.decoded\n"
        "def decoded(file, kind, before):\n"
        "    if kind == 'CRASH': os.abort()\n"
        "    if kind == 'LOOP':\n"
        "        before(1)\n"
        "        time.sleep(60)\n"
        "    return real(file, kind, before)\n"
        "decoding.decoded = decoded\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    good = (photos.MADE["TIFF"](6), "TIFF")
    converter = Converter(workers=1)
    try:
        first, crashed, after = answers(converter, good, (b"", "CRASH"), good)
        usual, converter.timeout_s = converter.timeout_s, 0.1
        (late,) = answers(converter, (b"", "LOOP"))
        converter.timeout_s = usual
        (last,) = answers(converter, good)
    finally:
        converter.close()
    assert crashed == NotConverted("corrupt", "what decodes it crashed")
    assert late == NotConverted("corrupt", "decoding it takes too long")
    assert isinstance(first, Converted)
    assert first == after == last


def test_what_the_processes_print_does_not_reach_the_answer(converter: Converter) -> None:
    head = struct.pack("<2sHI", b"II", 42, 8) + b"\xff" * 400  # libtiff complains about it
    (answer,) = answers(converter, (head, "TIFF"))
    assert isinstance(answer, NotConverted) and answer.code == "corrupt"


def test_no_more_pixels_are_decoded_at_once_than_the_largest_picture_has() -> None:
    pixels = workers._Pixels(100)
    order = []

    def further() -> None:
        with pixels.taken(60):
            order.append("waited")

    waiting = threading.Thread(target=further)
    with pixels.taken(60):
        waiting.start()
        with pixels.taken(40):
            order.append("at once")
    waiting.join()
    with pixels.taken(1000):  # more than all
        order.append("alone")
    assert order == ["at once", "waited", "alone"]
