"""`imgpipe local models`, the offer in `up --local`, and a running cloud that gets a model."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imgpipe_cli.cli import main
from imgpipe_cli.commands.object_model import offer
from imgpipe_cli.events import Downloaded, Event
from imgpipe_cli.local.models import catalogue
from imgpipe_cli.local.models.store import ModelFolder
from imgpipe_cli.local.process import control
from imgpipe_cli.render.text import note
from tests.local.rekognition.stand_in import stand_in, stand_in_model
from tests.support.models_server import Shop, serving

SERVER = (sys.executable, "-P", str(Path(__file__).parents[1] / "support/stand_in_server.py"))

Told = Callable[..., dict[str, Any]]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's state folder, and a catalogue that holds the stand-in."""
    folder = tmp_path / "state"
    monkeypatch.setenv("IMGPIPE_STATE_DIR", str(folder))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "IMGPIPE_JSON"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(catalogue, "OBJECTS", stand_in_model())
    return folder


@pytest.fixture
def shop(state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """The place that the catalogue names."""
    with serving(Shop(stand_in())) as found:
        monkeypatch.setattr(catalogue, "OBJECTS", stand_in_model(release=found.url))
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


WORDS = ("local", "models", "fetch")


def test_the_list_tells_license_size_hash_and_who_confirmed_it(
    state: Path, told: Told, capfd: pytest.CaptureFixture[str]
) -> None:
    (model,) = told("local", "models")["data"]["models"]
    assert model["condition"] == "missing"
    assert model["file"] == str(state / "models" / "stand_in.onnx")
    assert model["sha256"] == stand_in_model().sha256
    assert {"license", "sizeBytes", "source", "confirmed"} <= set(model)
    assert main(["local", "models"]) == 0
    shown = capfd.readouterr().out
    assert "not installed: imgpipe local models fetch" in shown
    assert all(model[name] in shown for name in ("sha256", "license", "source", "confirmed"))


def test_fetch_installs_once(shop: Shop, told: Told) -> None:
    assert told("local", "models", "fetch")["data"]["changed"] is True
    assert told("local", "models", "fetch")["data"]["changed"] is False
    assert len(shop.asked) == 1
    assert told("local", "models")["data"]["models"][0]["condition"] == "installed"


def test_fetch_takes_a_mirror_or_a_file(state: Path, told: Told, tmp_path: Path) -> None:
    with serving(Shop(stand_in())) as mirror:
        told("local", "models", "fetch", "--url", mirror.url)
    assert mirror.asked == [None]
    source = tmp_path / "model"
    source.write_bytes(stand_in())
    (state / "models" / "stand_in.onnx").write_bytes(b"damaged")
    assert told("local", "models", "fetch", "--from", str(source))["data"]["condition"] == "installed"


def test_what_is_not_the_model_is_refused(state: Path, shop: Shop, told: Told) -> None:
    shop.content = bytes(len(stand_in()))
    (error,) = told("local", "models", "fetch", code=1)["errors"]
    assert error["code"] == "model_wrong_hash"
    assert "--from FILE" in error["hint"]
    assert told("local", "models")["data"]["models"][0]["condition"] == "missing"
    assert told("local", "models", "fetch", "--from", "a", "--url", "b", code=2)["errors"]


PROGRAM = """
import sys
from imgpipe_cli.cli import main
from imgpipe_cli.local.models import catalogue
from tests.local.rekognition.stand_in import stand_in_model
catalogue.OBJECTS = stand_in_model(release=sys.argv[1])
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_sees_a_bar_and_a_pipe_only_lines(state: Path, shop: Shop) -> None:
    import pty

    command = [sys.executable, "-c", PROGRAM, shop.url, "local", "models", "fetch"]
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
    assert line.startswith("Downloading stand_in.onnx (")


@dataclass
class Terminal:
    """As much of a Run and its screen as the offer uses; says `answer` when asked."""

    answer: str | None = ""
    interactive: bool = True
    json: bool = False
    questions: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @property
    def screen(self) -> Terminal:
        return self

    def ask(self, question: str) -> str | None:
        self.questions.append(question)
        return self.answer

    def note(self, code: str, detail: str = "") -> None:
        self.notes.append(code)
        assert "\n" not in note(code, detail)

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None:
        pass


class _Keyboard(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Terminal]:
    """What happened on a terminal where `up --local` ran."""

    def run(
        answer: str | None = "", *, yes: bool = False, declined: bool = False, at_one: bool = True
    ) -> Terminal:
        terminal = Terminal(answer, interactive=at_one)
        monkeypatch.setattr(sys, "stdin", _Keyboard() if at_one else io.StringIO())
        offer(terminal, yes=yes, declined=declined)  # type: ignore[arg-type]  # all that it uses of a Run
        return terminal

    return run


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of POSIX")
@pytest.mark.timeout(20)
def test_a_pipe_in_the_place_of_the_answer_is_no_answer(
    state: Path, offered: Callable[..., Terminal]
) -> None:
    (state / "models").mkdir(parents=True)
    os.mkfifo(state / "models" / "asked")
    offered(declined=True)
    assert (state / "models" / "asked").read_text() == "no"


def installed(state: Path) -> bool:
    return ModelFolder(state / "models").condition(stand_in_model()) == "installed"


def test_on_a_terminal_the_download_is_offered_and_enter_accepts(
    state: Path, shop: Shop, offered: Callable[..., Terminal]
) -> None:
    terminal = offered()
    (question,) = terminal.questions
    assert all(part in question for part in ("stand-in", "ours", "127.0.0.1", "[Y/n]"))
    assert installed(state)
    last = terminal.events[-1]
    assert isinstance(last, Downloaded)
    assert last.done_bytes == last.total_bytes
    assert offered() == Terminal()


def test_whoever_says_no_is_asked_once_and_left_alone(
    state: Path, shop: Shop, offered: Callable[..., Terminal]
) -> None:
    assert offered("n").questions
    assert offered() == Terminal()
    assert shop.asked == []
    assert offered(yes=True).notes == ["model_installed"]
    assert installed(state)


def test_an_input_that_ends_is_no_answer_and_not_remembered(
    state: Path, shop: Shop, offered: Callable[..., Terminal]
) -> None:
    assert offered(None).notes == ["no_object_model"]
    assert shop.asked == []
    assert offered("n").questions


def test_no_model_declines_for_good_without_a_word(
    state: Path, shop: Shop, offered: Callable[..., Terminal]
) -> None:
    assert offered(declined=True) == Terminal()
    assert offered() == Terminal()
    assert not installed(state)


def test_offline_it_is_one_line_and_asked_once(
    state: Path, shop: Shop, offered: Callable[..., Terminal]
) -> None:
    shop.status = 503
    first = offered()
    assert (len(first.questions), first.notes) == (1, ["model_not_fetched"])
    again = offered()
    assert (again.questions, again.notes) == ([], ["no_object_model"])


def test_away_from_a_terminal_nothing_is_downloaded_unless_yes(
    state: Path, shop: Shop, offered: Callable[..., Terminal]
) -> None:
    terminal = offered(at_one=False)
    assert (terminal.questions, terminal.notes) == ([], ["no_object_model"])
    assert shop.asked == []
    assert offered(at_one=False, yes=True).questions == []
    assert installed(state)


def test_a_running_cloud_uses_a_model_from_the_moment_it_is_fetched_and_after_a_restart(
    state: Path, shop: Shop, told: Told, connect: Callable[..., Any]
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
        assert before["LabelModelVersion"].endswith("no-object-model")
        told("local", "models", "fetch")
        after = labels()
        assert [label["Name"] for label in after["Labels"]] == ["Animal", "Cat", "Mammal", "Pet"]
        box = after["Labels"][1]["Instances"][0]["BoundingBox"]
        assert (box["Left"], box["Top"]) == pytest.approx((0.25, 0.25), abs=0.01)
        assert after["LabelModelVersion"].endswith(stand_in_model().version)
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
    stub_folder: Path, stub_cloud: control.LocalCloud, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setenv("IMGPIPE_STATE_DIR", str(stub_folder))
    assert main(["local", "faults", "--tps", "5", "--latency", "20", "--operation", "DetectText"]) == 0
    shown = capfd.readouterr().out
    assert "at most 5 calls a second of each operation, 20 ms slower (DetectText only)" in shown
    assert main(["local", "status"]) == 0
    assert "at most 5 calls a second" in capfd.readouterr().out
    assert main(["local", "faults", "--off", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["data"]["faults"] is None
