"""No test sees the environment of whoever runs it: no credentials, no settings, no remembered target."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.aws import crt_puts, sdk_import

# Before the first import of the SDK, as in the program.
sdk_import.without_crt()

from tests.support import exhaustive, warm_process  # noqa: E402
from tests.support.faster_emulation import MOTO, SDK  # noqa: E402

_OURS = ("AWS_", "IMGPIPE_")
# They would change what is drawn, or send what is meant for this machine elsewhere.
_OTHERS = {
    "NO_COLOR",
    "FORCE_COLOR",
    "TTY_COMPATIBLE",
    "TTY_INTERACTIVE",
    "COLUMNS",
    "LINES",
    "XDG_STATE_HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
}

# One browser serves all its files, and the crash matrix brings processes enough of its own.
_IN_ONE_WORKER = ("/browser/", "/crash_matrix/")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--live",
        action="store_true",
        help="also run tests/live: needs an AWS account, costs under two US cents",
    )
    parser.addoption(
        "--exhaustive",
        default="",
        metavar="all|K/N",
        help="all: every exhaustive case too. K/N: only those, and of them only slice K of N",
    )


def pytest_configure(config: pytest.Config) -> None:
    if asked := config.getoption("--exhaustive"):
        try:
            exhaustive.share = exhaustive.Share.parse(asked)
        except ValueError as error:
            raise pytest.UsageError(str(error)) from error


def pytest_sessionstart() -> None:
    """A shell has background jobs ignore Ctrl-C, nohup has them ignore a closed terminal, and commands that
    the tests interrupt would do the same. Signals that are handled here are not ignored there."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    hangup = getattr(signal, "SIGHUP", None)  # not on Windows
    if hangup is not None and signal.getsignal(hangup) is signal.SIG_IGN:
        signal.signal(hangup, lambda _number, _frame: None)


def pytest_collection_finish() -> None:
    """What is there now stays to the end: the garbage collector need not walk through it again and again.

    Nor through what a test makes; by itself it took a sixth of the processor time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    live = Path(__file__).parent / "live"
    return True if live in (collection_path, *collection_path.parents) and not _live(config) else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Three for two cores: many tests wait for other processes, and leave a core idle meanwhile."""
    cores = os.cpu_count() or 1
    return cores + cores // 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests of one file share what is made for the file, such as a local cloud: one worker runs them.

    One worker runs all files of _IN_ONE_WORKER.
    """
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # without types
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return next((folder for folder in _IN_ONE_WORKER if folder in file), file)

    # In the order of _mixed, and not those of the most tests first: the slowest files have few.
    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = [item for item in items if exhaustive.is_chosen(item)]
    config.hook.pytest_deselected(items=[item for item in items if not exhaustive.is_chosen(item)])
    items[:] = _mixed(chosen)


def _mixed(items: list[pytest.Item]) -> list[pytest.Item]:
    """Files whose tests wait for other processes beside files whose tests compute, so no core is idle."""
    waiting: dict[str, list[pytest.Item]] = {}
    computing: dict[str, list[pytest.Item]] = {}
    for item in items:
        file = item.nodeid.partition("::")[0]
        waits = any(folder in file for folder in ("/local/", *_IN_ONE_WORKER))
        (waiting if waits else computing).setdefault(file, []).append(item)
    placed = [
        (number / len(group), tests)
        for group in (waiting, computing)
        for number, tests in enumerate(group.values())
    ]
    return [item for _, tests in sorted(placed, key=lambda one: one[0]) for item in tests]


def pytest_sessionfinish() -> None:
    warm_process.end()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The workers have ended by now, with all processes but those that left them, as local clouds do."""
    used = os.times()
    total_s = used.user + used.system + used.children_user + used.children_system
    terminalreporter.write_line(f"processor time: {total_s / 60:.1f} minutes, user and system")


def pytest_report_header(config: pytest.Config) -> str:
    return "live: on, this uses your AWS account" if _live(config) else "live: off (tests/live needs --live)"


def _live(config: pytest.Config) -> bool:
    return bool(config.getoption("--live"))


@pytest.fixture(scope="session", autouse=True)
def scrubbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For the session, so that what lives as long (a local cloud) starts in a clean environment too."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        if _live(request.config):  # the one tier that is meant to use the user's own credentials
            patch.setenv("IMGPIPE_STATE_DIR", str(home / "state"))
            yield
            return
        for name in list(os.environ):
            if name.startswith(_OURS) or name.upper() in _OTHERS:
                patch.delenv(name)
        patch.setenv("HOME", str(home))
        patch.setenv("USERPROFILE", str(home))
        patch.setenv("IMGPIPE_STATE_DIR", str(home / "state"))
        # No test fetches 29 MB by the way: those that need models say so.
        patch.setenv("IMGPIPE_NO_MODELS", "1")
        # Nobody asks the network for credentials.
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session", autouse=True)
def faster_emulation() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, replacement in (*SDK, *MOTO):
            patch.setattr(name, replacement)
        yield


@pytest.fixture
def quick_sending() -> None:
    """For tests whose S3 answers at an address: AWS's C library may send there, as everywhere else."""


@pytest.fixture(autouse=True)
def sending(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto answers inside of the SDK only: in this process the C library would go to the network."""
    if "quick_sending" in request.fixturenames:
        return

    def none(_aws: object) -> object:
        raise crt_puts.NotUsable("not in this test", is_worth_saying=False)

    monkeypatch.setattr(crt_puts, "connect", none)


@pytest.fixture(autouse=True)
def own_credentials(scrubbed: None) -> Iterator[None]:
    """No test inherits credentials. monkeypatch alone would leave some: where a test sets them in an account
    of moto's, it puts moto's back after that account has ended."""
    before = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    yield
    for name in [name for name in os.environ if name.startswith("AWS_") and name not in before]:
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(autouse=True)
def state(
    request: pytest.FixtureRequest,
    own_credentials: None,  # before monkeypatch, so that it ends after it
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The folder of imgpipe's own files, new for each test; live tests share theirs for a whole module."""
    if request.node.get_closest_marker("live") is not None:
        return Path(os.environ["IMGPIPE_STATE_DIR"])
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("IMGPIPE_STATE_DIR", str(folder))
    return folder
