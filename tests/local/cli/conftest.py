"""One machine with one finished pipeline for the tests that only read; others make projects of their own."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.support.machine import EXAMPLES, Done, Machine, machine_in

FEATURES = "labels,moderation,faces,text"
SAMPLES = [EXAMPLES / name for name in ("astronaut.jpg", "cat.jpg", "coffee.jpg", "sign.png")]


@dataclass(frozen=True)
class Pipeline:
    """A project on a machine. outputs: the data of `up --json`. upload: how the samples were sent."""

    machine: Machine
    project: str
    outputs: dict[str, Any]
    upload: Done

    def imgpipe(self, command: str, *arguments: str | Path, **options: Any) -> Done:
        return self.machine.imgpipe(command, "--project", self.project, "--local", *arguments, **options)

    @property
    def bucket(self) -> str:
        return str(self.outputs["bucket"])


@pytest.fixture(scope="session", autouse=True)
def _terminated_is_interrupted() -> None:
    """A test run that is told to end still stops what it started."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine_in(tmp_path_factory.mktemp("machine")) as found:
        yield found


@pytest.fixture(scope="session")
def pipeline(machine: Machine) -> Pipeline:
    """The project `shared` with the sample pictures; keeps the machine's local cloud running."""
    up = machine.imgpipe("up", "--local", "--project", "shared", "--features", FEATURES, "--json")
    sent = machine.imgpipe("upload", *SAMPLES, "--wait", "--project", "shared", "--local")
    return Pipeline(machine, "shared", up.json()["data"], sent)


@pytest.fixture(autouse=True)
def _nothing_goes_on(machine: Machine) -> Iterator[None]:
    """What a test started and did not stop ends with it."""
    yield
    machine.stop_all()
