"""The user's answer to the offer of a model, kept for the next time."""

from __future__ import annotations

from pathlib import Path

from imgpipe_cli.system import file_io


class Consent:
    """answer: "yes", "no", or None before the user was asked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.answer: str | None = None
        try:
            self.answer = file_io.read(path, at_most=16).decode("ascii").strip() or None
        except (OSError, ValueError):
            self.answer = None

    def remember(self, answer: str) -> None:
        self.answer = answer
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file_io.write(self._path, answer)
        except OSError:
            return  # then it is asked again
