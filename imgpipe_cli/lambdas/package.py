"""The zip of a function: its own folder of lambda_src and `shared/`, the same bytes on every machine."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
from pathlib import Path

from imgpipe_cli.errors import Problem

_SHARED = "shared"
# The oldest time a zip can hold: fixed, so that the hash follows from the content alone.
_TIME = (1980, 1, 1, 0, 0, 0)
_TEXT = {".py", ".html", ".css", ".js", ".svg", ".json", ".txt", ".md"}


def source() -> Path:
    """The folder lambda_src: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "lambda_src", package.parent / "lambda_src"):
        if (folder / _SHARED).is_dir():
            return folder
    raise Problem(
        "no_lambda_code",
        "The functions' code (lambda_src) is missing from this installation.",
        hint="Install imgpipe again from its checkout: pipx install --force .",
    )


@functools.cache
def build(function: str) -> bytes:
    """The zip of lambda_src/<function>. Stored, not compressed: zlib's output differs between builds."""
    import zipfile  # who only asks where the code is need not pay for loading it

    root = source()
    files = [
        path for part in (function, _SHARED) for path in (root / part).rglob("*") if _belongs(path, root)
    ]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files, key=lambda file: file.relative_to(root).as_posix()):
            info = zipfile.ZipInfo(path.relative_to(root).as_posix(), date_time=_TIME)
            info.create_system = 3  # Unix, also when made on Windows
            info.external_attr = 0o644 << 16  # readable for the user that Lambda runs as
            archive.writestr(info, _content(path))
    return buffer.getvalue()


@functools.cache
def code_sha256(function: str) -> str:
    """What Lambda reports as CodeSha256 once this zip is deployed."""
    return base64.b64encode(hashlib.sha256(build(function)).digest()).decode()


def _belongs(path: Path, root: Path) -> bool:
    hidden = any(part.startswith((".", "__pycache__")) for part in path.relative_to(root).parts)
    return path.is_file() and not hidden and path.suffix != ".pyc"


def _content(path: Path) -> bytes:
    data = path.read_bytes()
    # A checkout on Windows may have CRLF line ends; the zip never has.
    return data.replace(b"\r\n", b"\n") if path.suffix in _TEXT else data
