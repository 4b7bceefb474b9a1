"""`imgpipe local models`, the models in `up --local`, and a running cloud that gets a model."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imgpipe_cli.cli import main
from imgpipe_cli.commands import model_fetch
from imgpipe_cli.events import Downloaded, Event
from imgpipe_cli.local.models import catalogue
from imgpipe_cli.local.models.store import ModelFolder
from imgpipe_cli.local.process import control
from imgpipe_cli.local.process.running_cloud import LocalCloud
from imgpipe_cli.render.text import note
from tests.local.rekognition.stand_in import stand_in, stand_in_model
from tests.support.models_server import Shop
from tests.support.models_server import serving as shop_serving
from tests.support.package_index import Index, packaged, serving

SERVER = (sys.executable, "-P", str(Path(__file__).parents[1] / "support/stand_in_server.py"))

Told = Callable[..., dict[str, Any]]

CATS, WHEEL = packaged("cats", stand_in(), file="stand_in.onnx")
EXTRA = stand_in_model(b"a model that few need", name="extra", file="extra.onnx", optional=True)
assert CATS.wheel is not None
NAME = CATS.wheel.file


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configured: Callable[[str], None]) -> Path:
    """A user's state folder, a catalogue with the stand-in, and a package index that does not answer."""
    folder = tmp_path / "state"
    monkeypatch.setenv("IMGPIPE_STATE_DIR", str(folder))
    monkeypatch.setattr(catalogue, "MODELS", (CATS, EXTRA))
    configured("http://127.0.0.1:9/simple")
    return folder


@pytest.fixture
def index(state: Path, configured: Callable[[str], None]) -> Iterator[Index]:
    """The package index that pip is set up for."""
    with serving(Index({NAME: WHEEL})) as found:
        configured(found.url())
        yield found


@pytest.fixture
def told(capfd: pytest.CaptureFixture[str]) -> Told:
    """The JSON document of a command that must end with `code`."""

    def run(*arguments: str, code: int = 0) -> dict[str, Any]:
        assert main([*arguments, "--json"]) == code
        document: dict[str, Any] = json.loads(capfd.readouterr().out)
        assert document["command"] == " ".join(word for word in arguments if word in WORDS)
        return document

    return run


WORDS = ("local", "models", "fetch", "pack")


def condition(told: Told) -> list[str]:
    return [model["condition"] for model in told("local", "models")["data"]["models"]]


def test_the_list_tells_state_use_size_license_hash_and_source(
    state: Path, told: Told, capfd: pytest.CaptureFixture[str]
) -> None:
    model, extra = told("local", "models")["data"]["models"]
    assert (model["condition"], model["optional"], extra["optional"]) == ("missing", False, True)
    assert model["file"] == str(state / "models" / "stand_in.onnx")
    assert (model["package"], extra["package"]) == ("packaged-cats==1.0", None)
    assert {"license", "sizeBytes", "fetchedBytes", "source", "confirmed"} <= set(model)
    assert main(["local", "models"]) == 0
    shown = capfd.readouterr().out
    assert "cats  not installed: imgpipe local models fetch\n" in shown
    assert "extra  not installed, optional: imgpipe local models fetch extra\n" in shown
    assert all(model[name] in shown for name in ("sha256", "license", "source", "confirmed", "does"))


def test_fetch_installs_once_and_leaves_the_optional_out(index: Index, told: Told) -> None:
    assert told("local", "models", "fetch")["data"]["changed"] is True
    assert told("local", "models", "fetch")["data"]["changed"] is False
    assert len(index.asked) == 2
    assert condition(told) == ["installed", "missing"]


def test_the_optional_model_comes_by_its_name_from_its_release_page_or_a_mirror(
    state: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shop_serving(Shop(b"a model that few need")) as page:
        monkeypatch.setattr(catalogue, "MODELS", (CATS, replace(EXTRA, release=page.url)))
        (model,) = told("local", "models", "fetch", "extra")["data"]["models"]
        assert (model["name"], model["condition"]) == ("extra", "installed")
        (state / "models" / "extra.onnx").write_bytes(b"damaged")
        told("local", "models", "fetch", "extra", "--url", page.url)
    assert condition(told) == ["missing", "installed"]


def test_a_pack_brings_the_models_to_a_machine_without_network(
    state: Path, index: Index, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = tmp_path / "models.zip"
    told("local", "models", "fetch")
    assert told("local", "models", "pack", str(pack))["data"]["models"] == ["cats"]
    index.files = {}
    monkeypatch.setenv("IMGPIPE_STATE_DIR", str(tmp_path / "another machine"))
    assert condition(told) == ["missing", "missing"]
    assert told("local", "models", "fetch", "--from", str(pack))["data"]["changed"] is True
    assert condition(told) == ["installed", "missing"]


def test_another_file_is_refused(state: Path, index: Index, told: Told) -> None:
    index.files = {NAME: packaged("cats", bytes(len(stand_in())), file="stand_in.onnx")[1]}
    (error,) = told("local", "models", "fetch", code=1)["errors"]
    assert error["code"] == "model_wrong_hash"
    assert "--from FILE" in error["hint"]
    assert condition(told) == ["missing", "missing"]


@pytest.mark.parametrize(
    "arguments",
    [("no-such-model",), ("--from", "a", "--url", "b"), ("--from", "a", "extra"), ("--url", "http://a/b")],
)
def test_usage_that_has_no_meaning_is_refused(state: Path, told: Told, arguments: tuple[str, ...]) -> None:
    (error,) = told("local", "models", "fetch", *arguments, code=2)["errors"]
    assert error["hint"]


PROGRAM = """
import sys
from imgpipe_cli.cli import main
from imgpipe_cli.local.models import catalogue
from tests.local.test_local_models_command import CATS
catalogue.MODELS = (CATS,)
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_sees_a_bar_and_a_pipe_only_lines(state: Path, index: Index) -> None:
    import pty

    command = [sys.executable, "-c", PROGRAM, "local", "models", "fetch"]
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb") as screen:
        ended = subprocess.run(command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, check=True)
        os.close(theirs)
        drawn = bytearray()
        with contextlib.suppress(OSError):  # what Linux says at the end of a pseudo-terminal
            while chunk := os.read(screen.fileno(), 65_536):
                drawn += chunk
    assert b"is installed" in ended.stdout
    assert "━" in drawn.decode()
    (state / "models" / "stand_in.onnx").unlink()
    piped = subprocess.run(command, capture_output=True, text=True, check=True)
    (line,) = piped.stderr.splitlines()
    assert line.startswith("Fetching cats from the package index: ")


@dataclass
class Terminal:
    """As much of a Run and its screen as `up` uses for the models."""

    notes: list[tuple[str, str]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @property
    def screen(self) -> Terminal:
        return self

    @property
    def codes(self) -> list[str]:
        return [code for code, _ in self.notes]

    def note(self, code: str, detail: str = "") -> None:
        self.notes.append((code, detail))
        assert "\n" not in note(code, detail)

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        pass


def in_up(*, declined: bool = False) -> Terminal:
    """What `up --local` showed of the models."""
    terminal = Terminal()
    model_fetch.in_up(terminal, declined=declined)  # type: ignore[arg-type]  # all that it uses of a Run
    return terminal


def installed(state: Path) -> bool:
    return ModelFolder(state / "models").condition(CATS) == "installed"


def test_up_fetches_the_base_models_once_says_how_much_and_shows_progress(state: Path, index: Index) -> None:
    terminal = in_up()
    assert terminal.codes == ["fetching_models", "models_installed"]
    assert "kept" in terminal.notes[0][1]
    assert "cats (ours)" in terminal.notes[1][1]
    last = terminal.events[-1]
    assert isinstance(last, Downloaded)
    assert last.done_bytes == last.total_bytes == len(WHEEL)
    assert installed(state)
    assert in_up() == Terminal()


def test_no_models_is_remembered_until_models_are_fetched(state: Path, index: Index, told: Told) -> None:
    assert in_up(declined=True) == Terminal()
    assert in_up() == Terminal()
    assert index.asked == []
    told("local", "models", "fetch")
    (state / "models" / "stand_in.onnx").unlink()
    assert in_up().codes == ["fetching_models", "models_installed"]


def test_offline_it_is_one_line_and_tried_again_by_the_next_up(
    state: Path, index: Index, configured: Callable[[str], None]
) -> None:
    configured("http://user:s3cret@127.0.0.1:9/simple")
    terminal = in_up()
    assert terminal.codes == ["fetching_models", "models_not_fetched"]
    assert "127.0.0.1 cannot be reached" in terminal.notes[1][1]
    assert "s3cret" not in str(terminal.notes)
    configured(index.url())
    assert in_up().codes == ["fetching_models", "models_installed"]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
def test_a_pipe_in_the_place_of_the_choice_is_no_choice(state: Path, index: Index) -> None:
    (state / "models").mkdir(parents=True)
    os.mkfifo(state / "models" / "declined")
    assert in_up().codes == ["fetching_models", "models_installed"]
    in_up(declined=True)
    assert (state / "models" / "declined").is_file()


def test_a_choice_that_cannot_be_kept_is_said_and_up_goes_on(state: Path) -> None:
    state.mkdir()
    (state / "models").write_text("no folder")
    assert in_up(declined=True).codes == ["decline_not_kept"]


def test_a_running_cloud_uses_a_model_from_the_moment_it_is_fetched_and_after_a_restart(
    state: Path, index: Index, told: Told, connect: Callable[..., Any]
) -> None:
    picture = Image.new("RGB", (400, 300), "white")
    picture.paste("red", (100, 75, 200, 150))
    stream = io.BytesIO()
    picture.save(stream, "PNG")

    def labels() -> dict[str, Any]:
        client = connect(control.start(state, command=SERVER), "rekognition")
        answer: dict[str, Any] = client.detect_labels(Image={"Bytes": stream.getvalue()})
        return answer

    try:
        before = labels()
        assert before["Labels"] == []
        assert "no-object-model" in before["LabelModelVersion"]
        told("local", "models", "fetch")
        after = labels()
        assert [label["Name"] for label in after["Labels"]] == ["Animal", "Cat", "Mammal", "Pet"]
        box = after["Labels"][1]["Instances"][0]["BoundingBox"]
        assert (box["Left"], box["Top"]) == pytest.approx((0.25, 0.25), abs=0.01)
        assert stand_in_model().version in after["LabelModelVersion"]
        headers = after["ResponseMetadata"]["HTTPHeaders"]
        assert headers["x-model-version"] == after["LabelModelVersion"]
        capabilities = control.status(state).capabilities
        assert capabilities is not None
        assert capabilities["models"]["labels"] == after["LabelModelVersion"]
        control.stop(state)
        assert labels()["LabelModelVersion"] == after["LabelModelVersion"]
    finally:
        control.stop(state)


def test_the_faults_command_refuses_what_has_no_meaning(
    state: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for arguments in (
        ("--throttle", "101"),
        ("--tps", "0"),
        ("--operation", "DetectCats", "--tps", "5"),
        ("--operation", "DetectText"),
        ("--off", "--tps", "5"),
    ):
        assert main(["local", "faults", *arguments]) == 2
        assert capfd.readouterr().err.count("\n") == 2
    assert main(["local", "faults"]) == 3
    assert main(["local", "faults", "--off"]) == 3


def test_the_faults_command_switches_shows_and_ends_faults(
    stub_folder: Path, stub_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setenv("IMGPIPE_STATE_DIR", str(stub_folder))
    assert main(["local", "faults", "--tps", "5", "--latency", "20", "--operation", "DetectText"]) == 0
    shown = capfd.readouterr().out
    assert "at most 5 calls a second of each operation, 20 ms slower (DetectText only)" in shown
    assert main(["local", "status"]) == 0
    assert "at most 5 calls a second" in capfd.readouterr().out
    assert main(["local", "faults", "--off", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["data"]["faults"] is None
