"""What S3's errors mean to an upload: whether they are about one picture, or about all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import is_about_all, problem
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.events import Emit, Refused
from imgpipe_cli.pictures.sources import Source

if TYPE_CHECKING:
    from imgpipe_cli.aws.names import Names

# The local cloud's.
NO_ROOM = "InsufficientStorage"
# So many are denied one after the other, and none is taken: it is not about single pictures.
DENIED_TO_ALL = 64


class NoneTaken(Problem):
    """S3 took none of the pictures, for a reason that may be that of their keys alone."""


class Refusals:
    """Tells of the pictures that S3 does not take, or raises where it concerns all of them."""

    def __init__(self, names: Names, emit: Emit) -> None:
        self._names = names
        self._emit = emit
        self._some_taken = False
        self._denied: list[tuple[Source, AwsError]] = []

    def take(self, source: Source, error: AwsError) -> None:
        """Raises Problem."""
        if (refused := _REFUSED_ALONE.get(error.code)) is not None:
            self._emit(refused(source, error))
            return
        if not 400 <= error.status < 500 or is_about_all(error):
            raise not_sent(error, source, self._names) from error
        self._denied.append((source, error))
        if self._some_taken:
            self._tell()
        elif len(self._denied) >= DENIED_TO_ALL:
            self.end()

    def one_taken(self) -> None:
        """One is in the bucket: so what was denied is about single pictures."""
        self._some_taken = True
        self._tell()

    def end(self) -> None:
        """Raises NoneTaken if all were denied."""
        if self._denied:
            source, error = self._denied[0]
            found = not_sent(error, source, self._names)
            raise NoneTaken(found.code, found.message, hint=found.hint, exit_code=found.exit_code)

    def _tell(self) -> None:
        for source, error in self._denied:
            found = not_sent(error, source, self._names)
            self._emit(Refused(source.name, found.code, found.message, found.hint))
        self._denied.clear()


def _key_refused(source: Source, error: AwsError) -> Refused:
    message = f"The bucket does not take the key {source.key!r}: {error.message}"
    return Refused(source.name, "key_refused", message, "Send it under another one with --key.")


def _no_room(source: Source, error: AwsError) -> Refused:
    hint = "Make room on it, then send it again; see imgpipe local status."
    return Refused(source.name, "local_disk_full", error.message, hint)


# What concerns one picture and none of the others; not every endpoint takes all keys that S3 does.
_REFUSED_ALONE: dict[str, Callable[[Source, AwsError], Refused]] = {
    **dict.fromkeys(("InvalidArgument", "KeyTooLongError", "InvalidObjectName"), _key_refused),
    # The local cloud's; another picture may be small enough.
    NO_ROOM: _no_room,
}


def not_sent(error: AwsError, source: Source, names: Names) -> Problem:
    """Why this picture, and perhaps all of them, cannot be sent."""
    if error.code in ("NoSuchBucket", "404"):
        return Problem(
            "not_set_up",
            f"There is no bucket {names.bucket}: the pipeline is not set up.",
            hint="Run imgpipe up first.",
            exit_code=ExitCode.NOT_SET_UP,
        )
    return problem(error, f"send {source.name}")
