"""The user's terminal: results on stdout, progress and notes on stderr."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any

from imgpipe_cli.errors import ExitCode, Problem, Unwritable
from imgpipe_cli.render.console import colored, console, fitting, obeys, size
from imgpipe_cli.render.progress import Progress
from imgpipe_cli.render.text import is_shown, lines, safe, short

if TYPE_CHECKING:
    from imgpipe_cli.render.styled import Drawn
    from imgpipe_cli.result import Result
    from imgpipe_cli.session.target import Target

ENVELOPE_VERSION = 1


class Screen:
    """One command's output. Thread-safe for events."""

    def __init__(
        self, *, json: bool = False, verbose: bool = False, quiet: bool = False, stream: bool = False
    ) -> None:
        """quiet: results and errors only. stream: JSON documents stand in a line each, errors too."""
        self.json = json
        self.stream = stream
        self.verbose = verbose
        self.quiet = quiet
        self.lock = threading.RLock()
        self._target_told = False
        self.progress = Progress(self)

    def __enter__(self) -> Screen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if error is not None and not isinstance(error, Exception) and self.interactive:
            # Interrupted, perhaps between the cursor's going and our knowing what has hidden it.
            tell("\x1b[?25h", end="")

    def close(self) -> None:
        """End what is drawn live; what was drawn stays."""
        self.progress.close()

    # --- where things go -----------------------------------------------------------------------

    @property
    def interactive(self) -> bool:
        """True if progress may move on stderr."""
        return obeys(sys.stderr)

    def note(self, text: str) -> None:
        """Text on stderr, above whatever moves there."""
        self._note(lines(text))

    def aside(self, text: str) -> None:
        """A note that --quiet leaves out."""
        if not self.quiet:
            self.note(text)

    def _note(self, text: str) -> None:
        with self.lock:
            if not self.progress.above(text):
                tell(text)

    def line(self, text: str, *, exact: bool = False) -> None:
        """Text on stdout. exact: it is to be copied, so a terminal gets it without line breaks of ours."""
        shown = lines(text)
        with self.lock, self.progress.paused(), _to_stdout():
            print(shown if exact else fitting(shown, sys.stdout), flush=True)

    def show(self, drawn: Drawn) -> None:
        """A table or text on stdout; what moves on stderr stands aside meanwhile."""
        with self.lock, self.progress.paused(), _to_stdout():
            columns = size(sys.stdout)[0]
            if obeys(sys.stdout):
                from imgpipe_cli.render.rich_drawing import renderable

                console(sys.stdout).print(renderable(drawn, columns), crop=False)  # a key stays whole
            else:
                print("\n".join(line.plain.rstrip(" ") for line in drawn.lines(columns)), flush=True)

    def write(self, text: str, /) -> int:
        """A part of a stream on stdout. Programs get it as it is."""
        with self.lock, _to_stdout():
            return sys.stdout.write(lines(text) if obeys(sys.stdout) else text)

    def flush(self) -> None:
        """What was written is there."""
        with _to_stdout():
            sys.stdout.flush()

    def json_line(self, document: Any) -> None:
        with self.lock, _to_stdout():
            print(json_text(document), flush=True)

    def target(self, target: Target, account: str, region: str, endpoint: str | None) -> None:
        """The one dim line that says where the command goes."""
        if self._target_told or self.quiet:
            return
        self._target_told = True
        place = f"local cloud {endpoint}" if target.local else f"AWS {account}"
        if endpoint and not target.local:
            place = f"{endpoint} (account {account})"
        profile = f" · profile {target.profile}" if target.profile else ""
        text = fitting(safe(f"project {target.project} · {place} · {region}{profile}"), sys.stderr)
        dim = colored(sys.stderr)
        self._note(f"\x1b[2m{text}\x1b[0m" if dim else text)

    # --- results -------------------------------------------------------------------------------

    def result(self, command: str, result: Result) -> None:
        """Print what a command found out."""
        if result.streamed:
            return
        if self.json:
            self._envelope(command, result.exit_code, result.data, result.errors, result.more)
        elif result.show is not None:
            result.show(self)

    def problem(self, command: str, problem: Problem) -> None:
        """Print an expected error: at most three lines, or the same envelope as a success."""
        self.close()
        if self.json:
            self._envelope(command, problem.exit_code, None, [problem_data(problem)])
            return
        text = fitting(f"Error: {short(safe(problem.message))}", sys.stderr)
        tell(f"\x1b[31m{text}\x1b[0m" if colored(sys.stderr) else text)
        if problem.hint:
            tell(f"Hint: {short(safe(problem.hint))}")

    def _envelope(
        self,
        command: str,
        exit_code: ExitCode,
        data: Any,
        errors: Sequence[Mapping[str, Any]],
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        document = {
            "version": ENVELOPE_VERSION,
            "command": command,
            "status": exit_code.name.lower(),
            "data": data,
            "errors": list(errors),
            **more,
        }
        with _to_stdout():
            print(json_text(document, indent=None if self.stream else 2), flush=True)

    def ask(self, question: str) -> str | None:
        """What the user types after the question, which goes to stderr; None for Ctrl-D."""
        self.close()
        tell(question, end=" ")
        typed = sys.stdin.readline()
        if not typed:
            tell("")  # the question's line has no end yet
        return typed.strip() if typed else None


def tell(text: str, *, end: str = "\n") -> None:
    """Print on stderr. No work ends because nobody reads, or can store, what is told about it."""
    shown = text if "\x1b" in text else fitting(text, sys.stderr)
    try:
        print(shown, end=end, file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


def silence(stream: Any) -> None:
    """Lead what is left of a stream nowhere: the interpreter's last flush must not fail on it again."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def _to_stdout() -> Iterator[None]:
    """Raise Unwritable where what is printed in between cannot be."""
    try:
        yield
    except OSError as error:
        raise Unwritable(error) from error


def json_text(document: Any, *, indent: int | None = None) -> str:
    """As JSON in which everything that a terminal would obey is escaped; read back it is the same."""
    text = json.dumps(document, ensure_ascii=False, indent=indent)
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(char if char == "\n" or is_shown(char) else json.dumps(char)[1:-1] for char in text)


def problem_data(problem: Problem) -> dict[str, Any]:
    return {"code": problem.code, "message": problem.message, "hint": problem.hint}
