"""Installing a model: whole or not at all, whatever the network and the disk do."""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.local.models import lite0
from imgpipe_cli.local.models.catalogue import BETTER_OBJECTS, CLASSES, MODELS
from imgpipe_cli.local.models.download import download
from imgpipe_cli.local.models.install import cannot_write, install_file
from imgpipe_cli.local.models.store import ModelFolder, models_folder
from imgpipe_cli.local.process.lock import FileLock
from tests.local.rekognition.stand_in import stand_in_model
from tests.support.models_server import Shop, serving

CONTENT = bytes(range(256)) * 4000  # a megabyte: several chunks of the download
MODEL = stand_in_model(CONTENT)


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    return ModelFolder(tmp_path / "state" / "models")


@pytest.fixture
def shop() -> Iterator[Shop]:
    with serving(Shop(CONTENT)) as found:
        yield found


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def fetch(folder: ModelFolder, shop: Shop, **options: float) -> list[int]:
    """Download; what the progress bar would have been told."""
    heard: list[int] = []
    download(folder, MODEL, heard.append, url=shop.url, **options)
    return heard


def refusal(folder: ModelFolder, shop: Shop, **options: float) -> Problem:
    with pytest.raises(Problem) as refused:
        fetch(folder, shop, **options)
    assert refused.value.hint
    assert folder.condition(MODEL) == "missing"
    return refused.value


def part_of(folder: ModelFolder) -> Path:
    return folder.folder / "stand_in.onnx.part"


def left_over(folder: ModelFolder) -> list[str]:
    return sorted(path.name for path in folder.folder.iterdir() if path.name != "install.lock")


def test_a_complete_download_is_installed_and_progress_ends_at_its_size(
    folder: ModelFolder, shop: Shop
) -> None:
    assert folder.condition(MODEL) == "missing"
    heard = fetch(folder, shop)
    assert heard == sorted(heard)
    assert heard[-1] == len(CONTENT)
    assert folder.condition(MODEL) == "installed"
    assert folder.read(MODEL) == CONTENT
    assert left_over(folder) == ["stand_in.onnx"]


def test_a_connection_that_breaks_is_taken_up_where_it_broke(folder: ModelFolder, shop: Shop) -> None:
    shop.cuts = [300_000, 200_000]
    heard = fetch(folder, shop)
    assert shop.asked == [None, "bytes=300000-", "bytes=500000-"]
    assert heard == sorted(heard)
    assert folder.condition(MODEL) == "installed"


def test_a_server_that_ignores_ranges_makes_it_start_again(folder: ModelFolder, shop: Shop) -> None:
    shop.cuts, shop.ranges = [300_000], False
    heard = fetch(folder, shop)
    assert heard != sorted(heard)
    assert folder.read(MODEL) == CONTENT


def test_a_piece_from_elsewhere_in_the_file_is_not_appended(folder: ModelFolder, shop: Shop) -> None:
    shop.cuts, shop.wrong_start = [300_000], True
    fetch(folder, shop)
    assert folder.read(MODEL) == CONTENT


def test_an_interrupted_download_is_no_model_and_the_next_one_goes_on(
    folder: ModelFolder, shop: Shop
) -> None:
    def interrupted(done: int) -> None:
        if done > 400_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(folder, MODEL, interrupted, url=shop.url)
    assert folder.condition(MODEL) == "missing"
    have = part_of(folder).stat().st_size
    assert 400_000 < have < len(CONTENT)
    fetch(folder, shop)
    assert shop.asked[-1] == f"bytes={have}-"
    assert left_over(folder) == ["stand_in.onnx"]


def test_a_server_that_always_breaks_off_leaves_what_came(folder: ModelFolder, shop: Shop) -> None:
    shop.cuts = [250_000, 0, 0, 0]
    problem = refusal(folder, shop)
    assert problem.code == "no_network"
    assert part_of(folder).stat().st_size == 250_000
    fetch(folder, shop)
    assert folder.condition(MODEL) == "installed"


def test_a_part_that_is_complete_needs_no_network(folder: ModelFolder, shop: Shop) -> None:
    folder.folder.mkdir(parents=True)
    part_of(folder).write_bytes(CONTENT)
    fetch(folder, shop)
    assert shop.asked == []
    assert folder.condition(MODEL) == "installed"


@pytest.mark.parametrize("stale", [b"x" * 1000, b"x" * len(CONTENT), b"x" * (len(CONTENT) + 5)])
def test_a_stale_part_costs_one_more_try_and_nothing_else(
    folder: ModelFolder, shop: Shop, stale: bytes
) -> None:
    folder.folder.mkdir(parents=True)
    part_of(folder).write_bytes(stale)
    fetch(folder, shop)
    assert folder.read(MODEL) == CONTENT


def test_a_wrong_hash_is_refused_and_nothing_is_kept(folder: ModelFolder, shop: Shop) -> None:
    shop.content = CONTENT[:-1] + b"!"
    problem = refusal(folder, shop)
    assert problem.code == "model_wrong_hash"
    assert MODEL.sha256 in problem.message
    assert left_over(folder) == []


@pytest.mark.parametrize("content", [b"<html>Please log in</html>", CONTENT + b"more"])
@pytest.mark.parametrize("announced", [True, False])
def test_another_size_is_refused(folder: ModelFolder, shop: Shop, content: bytes, announced: bool) -> None:
    shop.content, shop.announced = content, announced
    problem = refusal(folder, shop)
    # Without a length, a short answer looks like a broken connection.
    short = len(content) < len(CONTENT) and not announced
    assert problem.code == ("no_network" if short else "model_wrong_size")
    assert folder.condition(MODEL) == "missing"


@pytest.mark.parametrize("status", [403, 404, 503])
def test_an_error_of_the_server_is_told_with_its_number(folder: ModelFolder, shop: Shop, status: int) -> None:
    shop.status = status
    problem = refusal(folder, shop)
    assert problem.code == "model_not_there"
    assert f"answers {status}" in problem.message


def test_nobody_there_is_no_network(folder: ModelFolder) -> None:
    with serving(Shop(CONTENT)) as gone:
        pass
    assert refusal(folder, gone).code == "no_network"


def test_a_host_that_does_not_answer_is_given_up_in_time(folder: ModelFolder, shop: Shop) -> None:
    shop.silent = threading.Event()
    problem = refusal(folder, shop, answer_within_s=0.2)
    assert (problem.code, "0.2 s" in problem.message) == ("no_network", True)


def test_the_proxy_of_the_environment_is_used(
    folder: ModelFolder, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{shop.port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    download(folder, MODEL, lambda _: None, url="http://models.example/stand_in.onnx")
    assert shop.paths == ["http://models.example/stand_in.onnx"]
    assert folder.condition(MODEL) == "installed"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/a", "stand_in.onnx"])
def test_other_addresses_than_http_are_refused(folder: ModelFolder, url: str) -> None:
    with pytest.raises(Problem) as refused:
        download(folder, MODEL, lambda _: None, url=url)
    assert (refused.value.code, refused.value.exit_code) == ("bad_url", ExitCode.USAGE)


def test_two_commands_at_once_do_not_write_one_file(folder: ModelFolder, shop: Shop) -> None:
    folder.folder.mkdir(parents=True)
    other = FileLock(folder.folder / "install.lock")
    assert other.acquire()
    try:
        assert refusal(folder, shop).code == "model_busy"
    finally:
        other.release()


def test_a_file_at_hand_is_installed_and_stays_where_it_was(folder: ModelFolder, tmp_path: Path) -> None:
    source = tmp_path / "downloaded elsewhere"
    source.write_bytes(CONTENT)
    heard: list[int] = []
    install_file(folder, MODEL, source, heard.append)
    assert (folder.condition(MODEL), heard[-1]) == ("installed", len(CONTENT))
    assert source.exists()
    assert left_over(folder) == ["stand_in.onnx"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (CONTENT[:-1], "model_wrong_size"),
        (CONTENT[:-1] + b"!", "model_wrong_hash"),
        (None, "model_file_unreadable"),
    ],
)
def test_another_file_is_refused_and_an_installed_one_stays(
    folder: ModelFolder, tmp_path: Path, content: bytes | None, code: str
) -> None:
    good, source = tmp_path / "good", tmp_path / "source"
    good.write_bytes(CONTENT)
    install_file(folder, MODEL, good, lambda _: None)
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(Problem) as refused:
        install_file(folder, MODEL, source, lambda _: None)
    assert refused.value.code == code
    assert folder.condition(MODEL) == "installed"
    assert left_over(folder) == ["stand_in.onnx"]


def test_a_damaged_file_is_seen_and_replaced(folder: ModelFolder, shop: Shop) -> None:
    fetch(folder, shop)
    folder.path(MODEL).write_bytes(CONTENT[:-1] + b"!")
    assert folder.condition(MODEL) == "damaged"
    assert folder.read(MODEL) is None
    fetch(folder, shop)
    assert folder.condition(MODEL) == "installed"


def test_a_full_disk_is_told_as_one(tmp_path: Path) -> None:
    problem = cannot_write(tmp_path / "x.part", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert problem.code == "no_space"
    huge = stand_in_model(CONTENT, size_bytes=2**60)
    with pytest.raises(Problem) as refused:
        download(ModelFolder(tmp_path), huge, lambda _: None, url="http://127.0.0.1:9/")
    assert refused.value.code == "no_space"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_fills_up_during_the_download_is_told_and_nothing_is_installed(
    folder: ModelFolder, shop: Shop
) -> None:
    folder.folder.mkdir(parents=True)
    part_of(folder).symlink_to("/dev/full")
    assert refusal(folder, shop).code == "no_space"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, shop: Shop) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Problem) as refused:
        fetch(ModelFolder(tmp_path / "models"), shop)
    assert refused.value.code == "state_dir_unusable"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_the_folder_is_the_users_alone(folder: ModelFolder, shop: Shop) -> None:
    fetch(folder, shop)
    assert stat.S_IMODE(folder.folder.stat().st_mode) == 0o700


def test_the_pinned_models_are_the_ones_that_were_measured() -> None:
    pinned = {model.name: (model.file, model.size_bytes, model.version) for model in MODELS}
    assert pinned == {
        "yolox-nano": ("yolox_nano.onnx", 3_659_407, "yolox-nano@c789161e"),
        "efficientnet-lite0": ("efficientnet_lite0.onnx", 18_537_217, "efficientnet-lite0@f4cda865"),
        "blazeface": ("blazeface_short_range.tflite", 229_032, "blazeface@3bc182eb"),
        "yolox-tiny": ("yolox_tiny.onnx", 20_219_662, "yolox-tiny@427cc366"),
    }
    assert {model.license for model in MODELS} == {"Apache-2.0"}
    assert (CLASSES.size_bytes, CLASSES.sha256) == (lite0.ONNX_BYTES, lite0.ONNX_SHA256)


def test_only_the_optional_model_comes_from_no_package() -> None:
    assert [model.name for model in MODELS if model.wheel is None] == ["yolox-tiny"]
    assert [model.name for model in MODELS if model.optional] == ["yolox-tiny"]
    assert "third parties only" in BETTER_OBJECTS.confirmed


def test_models_lie_in_the_users_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGPIPE_STATE_DIR", str(tmp_path))
    assert models_folder() == tmp_path / "models"
