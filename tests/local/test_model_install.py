"""Installing a model: whole or not at all, from a release page or a file, whatever the disk does."""

from __future__ import annotations

import errno
import os
import stat
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.local.models import catalogue, conversions, fetch
from imgpipe_cli.local.models.catalogue import BETTER_OBJECTS, CLASSES, MODELS, Model
from imgpipe_cli.local.models.install import cannot_write, install, preparing
from imgpipe_cli.local.models.pack import pack
from imgpipe_cli.local.models.store import ModelFolder, models_folder
from imgpipe_cli.system.process_lock import FileLock
from tests.local.model_folder import left_over
from tests.local.rekognition.stand_in import stand_in_model
from tests.support.models_server import Shop, serving
from tests.support.package_index import CONTENT, Index, packaged
from tests.support.package_index import serving as index_serving

MODEL = stand_in_model(CONTENT)


def reversed_bytes(member: bytes) -> bytes:
    return member[::-1]


PACKAGED, WHEEL = packaged("cats", CONTENT, converted=reversed_bytes)


@pytest.fixture
def shop() -> Iterator[Shop]:
    with serving(Shop(CONTENT)) as found:
        yield found


@pytest.fixture(autouse=True)
def _catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "MODELS", (PACKAGED, MODEL))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def refusal(folder: ModelFolder, model: Model, url: str | None = None) -> Problem:
    with pytest.raises(Problem) as refused:
        fetch.fetch(folder, [model], lambda _: None, url=url)
    assert refused.value.hint
    assert folder.condition(model) == "missing"
    return refused.value


# --- From a release page ------------------------------------------------------------------------------


def test_a_complete_download_is_installed_and_progress_ends_at_its_size(
    folder: ModelFolder, shop: Shop
) -> None:
    heard: list[int] = []
    fetch.fetch(folder, [stand_in_model(CONTENT, release=shop.url)], heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == len(CONTENT)
    assert folder.read(MODEL) == CONTENT
    assert left_over(folder) == ["stand_in.onnx"]


def test_a_model_whose_wheel_is_gone_comes_from_its_release_page(
    folder: ModelFolder, configured: Any
) -> None:
    kept = reversed_bytes(CONTENT)
    with serving(Shop(kept)) as page, index_serving(Index()) as index:
        configured(index.url())
        model, _ = packaged("cats", CONTENT, converted=reversed_bytes, release=page.url)
        fetch.fetch(folder, [model], lambda _: None)
        assert (index.asked, page.paths) == (["/simple/packaged-cats/"], ["/files/stand_in.onnx"])
    assert folder.read(model) == kept


def test_one_model_that_is_gone_does_not_keep_the_next_from_coming(
    folder: ModelFolder, configured: Any
) -> None:
    """Its release page does not answer either; the message is about the index, which can be helped."""
    assert PACKAGED.wheel is not None
    with index_serving(Index({PACKAGED.wheel.file: WHEEL})) as index:
        configured(index.url())
        gone, _ = packaged("dogs", CONTENT, release="http://127.0.0.1:9/dogs.onnx")
        with pytest.raises(Problem) as refused:
            fetch.fetch(folder, [gone, PACKAGED], lambda _: None)
    assert (refused.value.code, "packaged-dogs" in refused.value.message) == ("not_there", True)
    assert folder.condition(PACKAGED) == "installed"


def test_a_cut_download_is_no_wrong_hash_and_the_next_one_begins_anew(
    folder: ModelFolder, shop: Shop
) -> None:
    shop.cuts = [300_000]
    problem = refusal(folder, MODEL, shop.url)
    assert (problem.code, "300,000 of 1,024,000" in problem.message) == ("transfer_cut", True)
    assert left_over(folder) == []
    fetch.fetch(folder, [MODEL], lambda _: None, url=shop.url)
    assert folder.condition(MODEL) == "installed"


def test_a_wrong_hash_is_refused_and_nothing_is_kept(folder: ModelFolder, shop: Shop) -> None:
    shop.content = CONTENT[:-1] + b"!"
    problem = refusal(folder, MODEL, shop.url)
    assert problem.code == "model_wrong_hash"
    assert MODEL.sha256 in problem.message
    assert left_over(folder) == []


@pytest.mark.parametrize("content", [b"<html>Please log in</html>", CONTENT + b"more"])
@pytest.mark.parametrize("announced", [True, False])
def test_another_size_is_refused(folder: ModelFolder, shop: Shop, content: bytes, announced: bool) -> None:
    shop.content, shop.announced = content, announced
    problem = refusal(folder, MODEL, shop.url)
    # Without a length, a short answer looks like a broken connection.
    short = len(content) < len(CONTENT) and not announced
    assert problem.code == ("transfer_cut" if short else "model_wrong_size")


@pytest.mark.parametrize(
    ("status", "code"), [(401, "source_refuses"), (404, "not_there"), (503, "source_fails")]
)
def test_the_status_of_an_answer_is_told_apart(
    folder: ModelFolder, shop: Shop, status: int, code: str
) -> None:
    shop.status = status
    assert refusal(folder, MODEL, shop.url).code == code


def test_the_proxy_of_the_environment_is_used(
    folder: ModelFolder, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{shop.port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    fetch.fetch(folder, [MODEL], lambda _: None, url="http://models.example/stand_in.onnx")
    assert shop.paths == ["http://models.example/stand_in.onnx"]
    assert folder.condition(MODEL) == "installed"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/a", "stand_in.onnx", "http://[half"])
def test_other_addresses_than_http_are_refused(folder: ModelFolder, url: str) -> None:
    problem = refusal(folder, MODEL, url)
    assert (problem.code, problem.exit_code) == ("bad_url", ExitCode.USAGE)


# --- From a file --------------------------------------------------------------------------------------


def test_a_model_a_packaged_file_a_wheel_and_a_pack_are_each_taken(
    folder: ModelFolder, tmp_path: Path
) -> None:
    source = tmp_path / "downloaded elsewhere"
    for content, expected in ((CONTENT[::-1], PACKAGED), (CONTENT, PACKAGED), (WHEEL, PACKAGED)):
        source.write_bytes(content)
        assert fetch.take(folder, source) == [expected]
        assert folder.condition(expected) == "installed"
        folder.path(expected).unlink()
    assert left_over(folder) == []


def test_a_pack_holds_everything_that_is_installed_and_has_the_same_bytes_each_time(
    folder: ModelFolder, tmp_path: Path
) -> None:
    for model, data in ((PACKAGED, CONTENT), (MODEL, CONTENT)):
        with preparing(folder, 0):
            install(folder, model, data, "the test")
    packs = [tmp_path / name for name in ("one.zip", "two.zip")]
    for file in packs:
        assert pack(folder, file) == [PACKAGED, MODEL]
    assert packs[0].read_bytes() == packs[1].read_bytes()
    there = ModelFolder(tmp_path / "another machine")
    assert fetch.take(there, packs[0]) == [PACKAGED, MODEL]
    assert {there.condition(model) for model in (PACKAGED, MODEL)} == {"installed"}


def test_a_pack_is_complete_or_is_not_written(folder: ModelFolder, tmp_path: Path) -> None:
    with pytest.raises(Problem) as refused:
        pack(folder, tmp_path / "models.zip")
    assert refused.value.code == "models_missing"
    assert "cats, stand-in are not installed" in refused.value.message
    assert not (tmp_path / "models.zip").exists()


def test_a_pack_that_cannot_be_written_is_an_error(folder: ModelFolder, tmp_path: Path) -> None:
    for model in (PACKAGED, MODEL):
        with preparing(folder, 0):
            install(folder, model, CONTENT, "the test")
    with pytest.raises(Problem) as refused:
        pack(folder, tmp_path / "no folder" / "models.zip")
    assert refused.value.code == "pack_unwritable"


def inflating_pack(file: Path) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MODEL.file, bytes(2 * MODEL.size_bytes + 1))


def damaged_pack(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(MODEL.file, CONTENT)
        archive.writestr(PACKAGED.file, CONTENT[:-1] + b"!")


@pytest.mark.parametrize(
    ("write", "code"),
    [
        (lambda file: file.write_bytes(CONTENT[:-1]), "model_wrong_hash"),
        (lambda file: file.write_bytes(WHEEL[:-1000]), "model_file_unreadable"),
        (damaged_pack, "model_wrong_hash"),
        (inflating_pack, "model_wrong_hash"),
        (lambda _file: None, "model_file_unreadable"),
        (lambda file: file.mkdir(), "model_file_unreadable"),
    ],
)
def test_another_file_is_refused_and_nothing_of_it_is_installed(
    folder: ModelFolder, tmp_path: Path, write: Callable[[Path], Any], code: str
) -> None:
    with preparing(folder, 0):
        install(folder, PACKAGED, CONTENT, "the test")
    write(tmp_path / "source")
    with pytest.raises(Problem) as refused:
        fetch.take(folder, tmp_path / "source")
    assert refused.value.code == code
    assert str(tmp_path / "source") in refused.value.message
    assert refused.value.hint
    assert folder.condition(PACKAGED) == "installed"
    assert left_over(folder) == ["cats.onnx"]


# --- The disk, and others -----------------------------------------------------------------------------


def test_two_commands_at_once_do_not_write_one_file(folder: ModelFolder, shop: Shop) -> None:
    folder.folder.mkdir(parents=True)
    other = FileLock(folder.folder / "install.lock")
    assert other.acquire()
    try:
        assert refusal(folder, MODEL, shop.url).code == "model_busy"
    finally:
        other.release()


def test_the_remains_of_a_killed_fetch_go_with_the_next_one(folder: ModelFolder, shop: Shop) -> None:
    (folder.folder / "fetching" / "0").mkdir(parents=True)
    (folder.folder / "fetching" / "0" / "half").write_bytes(CONTENT)
    fetch.fetch(folder, [MODEL], lambda _: None, url=shop.url)
    assert left_over(folder) == ["stand_in.onnx"]


def test_a_damaged_file_is_seen_and_replaced(folder: ModelFolder, shop: Shop) -> None:
    fetch.fetch(folder, [MODEL], lambda _: None, url=shop.url)
    folder.path(MODEL).write_bytes(CONTENT[:-1] + b"!")
    assert folder.condition(MODEL) == "damaged"
    assert folder.read(MODEL) is None
    fetch.fetch(folder, [MODEL], lambda _: None, url=shop.url)
    assert folder.condition(MODEL) == "installed"


def test_a_full_disk_is_told_as_one(folder: ModelFolder, shop: Shop) -> None:
    problem = cannot_write(folder.folder, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert problem.code == "no_space"
    assert refusal(folder, stand_in_model(CONTENT, size_bytes=2**60), shop.url).code == "no_space"
    assert shop.paths == []


def test_a_disk_that_fills_up_while_a_model_is_written_is_told_and_nothing_is_installed(
    folder: ModelFolder,
) -> None:
    with pytest.raises(Problem) as refused, preparing(folder, 0):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert refused.value.code == "no_space"
    assert left_over(folder) == []


def test_without_the_local_extra_the_hint_installs_it(folder: ModelFolder) -> None:
    def needs_a_library(member: bytes) -> bytes:
        raise ModuleNotFoundError("No module named 'numpy'", name="numpy")

    model, _ = packaged("cats", CONTENT, converted=reversed_bytes)
    model = replace(model, converted=needs_a_library)
    with pytest.raises(Problem) as refused, preparing(folder, 0):
        install(folder, model, CONTENT, "the test")
    assert refused.value.code == "local_not_installed"
    assert "numpy" in refused.value.message
    assert "[local]" in refused.value.hint


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, shop: Shop) -> None:
    tmp_path.chmod(0o500)
    problem = refusal(ModelFolder(tmp_path / "models"), MODEL, shop.url)
    assert problem.code == "state_dir_unusable"


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path, shop: Shop) -> None:
    (tmp_path / "models").write_text("")
    problem = refusal(ModelFolder(tmp_path / "models"), MODEL, shop.url)
    assert problem.code == "state_dir_unusable"
    assert str(tmp_path / "models") in problem.message


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_the_folder_and_its_files_are_the_users_alone(folder: ModelFolder, shop: Shop) -> None:
    fetch.fetch(folder, [MODEL], lambda _: None, url=shop.url)
    assert stat.S_IMODE(folder.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(folder.path(MODEL).stat().st_mode) == 0o600


# --- The catalogue ------------------------------------------------------------------------------------


def test_the_pinned_models_are_the_ones_that_were_measured() -> None:
    pinned = {model.name: (model.file, model.size_bytes, model.version) for model in MODELS}
    assert pinned == {
        "yolox-nano": ("yolox_nano.onnx", 3_659_407, "yolox-nano@c789161e"),
        "efficientnet-lite0": ("efficientnet_lite0.onnx", 18_537_217, "efficientnet-lite0@f4cda865"),
        "blazeface": ("blazeface_short_range.tflite", 229_032, "blazeface@3bc182eb"),
        "yolox-tiny": ("yolox_tiny.onnx", 20_219_662, "yolox-tiny@427cc366"),
    }
    assert {model.license for model in MODELS} == {"Apache-2.0"}
    assert CLASSES.sha256 == "f4cda86508357bc17ceecf6fb472d6c564a1de509d75cc830909effc537281f9"


def test_only_the_optional_model_comes_from_no_package() -> None:
    assert [model.name for model in MODELS if model.wheel is None] == ["yolox-tiny"]
    assert [model.name for model in MODELS if model.optional] == ["yolox-tiny"]
    assert "third parties only" in BETTER_OBJECTS.confirmed


def test_metadata_is_cut_off_an_onnx_file_wherever_it_stands() -> None:
    version, metadata, graph = b"\x08\x08", b"\x72\x03\x0a\x01x", b"\x3a\x02ok"
    assert conversions.without_metadata(version + metadata + graph + metadata) == version + graph
    for other in (b"\x0b", b"\x3a", b"\x3a\xff"):
        with pytest.raises(ValueError, match="ONNX"):
            conversions.without_metadata(other)


def test_models_lie_in_the_users_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGPIPE_STATE_DIR", str(tmp_path))
    assert models_folder() == tmp_path / "models"
