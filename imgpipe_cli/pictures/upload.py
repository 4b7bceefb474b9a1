"""Sending pictures: which files become which keys, what is refused and why, and the upload itself."""

from __future__ import annotations

import glob
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.aws.errors import is_about_all, problem
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.events import Emit, Note, PassedOver, Refused, Sent, Transferred
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures import keys
from imgpipe_cli.pictures.sources import Source, expanded, few, nothing, pictures_of_twins, told_apart
from imgpipe_cli.pictures.stored_picture import head
from imgpipe_cli.system import file_io
from imgpipe_cli.system.threads import Pool

if TYPE_CHECKING:
    from imgpipe_cli.aws.names import Names

STDIN = "-"
# The local cloud's.
NO_ROOM = "InsufficientStorage"
# So many are denied one after the other, and none is taken: it is not about single pictures.
DENIED_TO_ALL = 64
# Each worker holds one picture in memory, at most 15 MB.
_WORKERS = 16


# --- which files, under which keys ---------------------------------------------------------------


def plan(
    paths: Sequence[str],
    *,
    prefix: str = "",
    key: str | None = None,
    stdin: Iterable[bytes] = (),
    emit: Emit = nothing,
) -> tuple[list[Source], list[Refused]]:
    """The pictures to send, and what was named and cannot be. Raises a usage Problem.

    A file gives its base name, a folder the paths below it under the folder's name. Where these are the same,
    they keep the folders before them that make them differ. emit is told so, and of hidden files in folders.
    """
    _check_options(prefix=prefix, key=key)
    found: list[Source] = []
    refused: list[Refused] = []
    for text in paths:
        try:
            sources, faults = ([_standard_input(key, stdin)], []) if text == STDIN else _named(text, emit)
        except OSError as error:  # opened for writing only, for example
            sources, faults = [], [_unreadable("standard input", error)]
        found += sources
        refused += faults
    if key is not None and len(found) > 1:
        raise _usage("--key names one picture.", "Send several with --prefix instead.")
    if len(found) == 1:
        found = [replace(found[0], key=key or found[0].key)]
        _key(prefix, found[0])
    found = pictures_of_twins(found, emit)
    differing = told_apart(found)
    sources, unnamed = keyed(differing, prefix)
    _refuse_twins(sources)
    longer = {one.name for one, before in zip(differing, found, strict=True) if one.key != before.key}
    if kept := [source.key for source in sources if source.name in longer]:
        emit(Note("folders_kept", few(kept)))
    return sources, [*refused, *unnamed]


def _standard_input(key: str | None, stdin: Iterable[bytes]) -> Source:
    if key is None:
        raise _usage("Standard input has no name.", "Name the key: imgpipe upload - --key photo.jpg.")
    return Source(key=STDIN, name="standard input", data=_limited(stdin))


def _named(text: str, emit: Emit) -> tuple[list[Source], list[Refused]]:
    """What one argument means, and why not all of it can be sent."""
    if not text:
        # Path("") is the current folder: a script's unset variable must not send all of it.
        raise _usage("An empty name means no file.", "Name a file, or . for this folder.")
    faults: list[OSError] = []
    hidden: list[PassedOver] = []
    try:
        sources = list(expanded(text, faults.append, hidden.append))
    except OSError as error:
        sources, faults = [], [error]
    for one in hidden:
        emit(one)
    refused = [_unreadable(error.filename or text, error) for error in faults]
    if not (sources or refused or hidden):
        refused = [_nothing_there(text)]
    return sources, refused


def _check_options(**options: str | None) -> None:
    """Raise a usage Problem that names the option which is wrong, not the picture."""
    for name, text in options.items():
        try:
            keys.size_bytes(keys.decoded(text or ""))
        except UnicodeEncodeError as error:
            raise _usage(f"The {name} {text!r} is not valid Unicode.", f"Write --{name} in UTF-8.") from error
    if options["key"] == "":
        raise _usage("The key that is named is empty.", "Name one with --key, or leave it out.")


def keyed(sources: Sequence[Source], prefix: str = "") -> tuple[list[Source], list[Refused]]:
    """With their whole keys; one that can have none is refused, and the others still go."""
    having: list[Source] = []
    refused: list[Refused] = []
    for source in sources:
        try:
            having.append(replace(source, key=_key(prefix, source)))
        except Problem as error:
            refused.append(Refused(source.name, error.code, error.message, error.hint))
    return having, refused


def _limited(stream: Iterable[bytes]) -> bytes:
    """What comes in, at most a little more than a picture may have: enough to see that it is too large."""
    data = bytearray()
    for part in stream:
        data += part
        if len(data) > functions.picture.MAX_BYTES:
            break
    return bytes(data)


def _key(prefix: str, source: Source) -> str:
    """The S3 key: NFC, so that a name typed by hand finds what another system wrote decomposed."""
    start = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    key = keys.composed(f"{start}{source.key}")
    try:
        size = keys.size_bytes(key)
    except UnicodeEncodeError as error:
        raise _usage(f"The name of {source.name!r} is not valid Unicode.", "Rename it.") from error
    if not 1 <= size <= keys.MAX_BYTES:
        raise _usage(
            f"The key of {source.name!r} has {size} bytes; S3 allows 1 to {keys.MAX_BYTES}.",
            "Choose a shorter one with --key, or a shorter --prefix.",
        )
    return key


def _refuse_twins(sources: Sequence[Source]) -> None:
    first: dict[str, str] = {}
    for source in sources:
        if source.key in first:
            raise _usage(
                f"{first[source.key]!r} and {source.name!r} would both become {source.key!r}.",
                "Nothing was sent. Send one of them with --prefix or --key.",
            )
        first[source.key] = source.name


def _usage(message: str, hint: str) -> Problem:
    return Problem("bad_usage", message, hint=hint, exit_code=ExitCode.USAGE)


def _nothing_there(text: str) -> Refused:
    if Path(text).is_dir():
        return Refused(text, "empty_folder", "There is no file in this folder.", "Name another one.")
    if glob.has_magic(text):
        message = "There is no such file, and no file matches it as a pattern."
        return Refused(text, "not_found", message, "Check the spelling.")
    return Refused(text, "not_found", "There is no such file or folder.", "Check the spelling.")


def _unreadable(name: str, error: OSError) -> Refused:
    why = error.strerror or str(error)
    if isinstance(error, file_io.NotRegular):
        hint = "Send what comes out of it through standard input: imgpipe upload - --key photo.jpg."
        return Refused(name, "not_a_file", f"It cannot be read: {why}.", hint)
    return Refused(name, "unreadable", f"It cannot be read: {why}.", "Check its permissions.")


# --- sending -------------------------------------------------------------------------------------


class NoneTaken(Problem):
    """S3 took none of the pictures, for a reason that may be that of their keys alone."""


def send(
    aws: Aws, names: Names, sources: Sequence[Source], emit: Emit, *, workers: int = _WORKERS
) -> list[Sent]:
    """Send the pictures side by side; each ends in one Sent or Refused event.

    Raises Problem for what concerns all of them: no bucket, no access (NoneTaken), no network.
    """
    if not sources:
        return []
    sent: list[Sent] = []
    denied: list[_Denied] = []
    with Pool(min(workers, len(sources)), thread_name_prefix="send") as pool:
        futures = [pool.submit(_send_one, aws, names, source, emit) for source in sources]
        try:
            for future in futures:
                answer = future.result()
                sent += [answer] if isinstance(answer, Sent) else []
                denied += [answer] if isinstance(answer, _Denied) else []
                if not sent and len(denied) >= DENIED_TO_ALL:
                    break
            if denied and not sent:  # so it is about none of them
                first = denied[0].problem
                raise NoneTaken(first.code, first.message, hint=first.hint, exit_code=first.exit_code)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    for one in denied:
        emit(Refused(one.source.name, one.problem.code, one.problem.message, one.problem.hint))
    return sent


@dataclass(frozen=True)
class _Denied:
    """A picture that S3 did not take, for a reason that may be its key's alone."""

    source: Source
    problem: Problem


def _send_one(aws: Aws, names: Names, source: Source, emit: Emit) -> Sent | _Denied | None:
    try:
        if source.is_beside_pictures():
            emit(PassedOver(source.name))
            return None
        data = source.read()
    except OSError as error:
        emit(_unreadable(source.name, error))
        return None
    if refusal := _refusal(source, data):
        emit(Refused(source.name, refusal.code, refusal.message, refusal.hint))
        return None
    params: dict[str, Any] = {
        "Bucket": names.bucket,
        "Key": source.key,
        "ContentType": functions.picture.content_type(data),
        "ExpectedBucketOwner": names.account,
    }
    try:
        answer, replaced = _put(aws, _Body(data, source.key, emit), params)
    except AwsError as error:
        if (refused := _REFUSED_ALONE.get(error.code)) is not None:
            emit(refused(source, error))
            return None
        if 400 <= error.status < 500 and not is_about_all(error):
            return _Denied(source, _not_sent(error, source, names))
        raise _not_sent(error, source, names) from error
    sent = Sent(source.key, source.name, answer.get("VersionId"), replaced)
    emit(sent)
    return sent


def _put(aws: Aws, body: _Body, params: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """S3's answer, and whether the key existed. Raises AwsError."""
    try:
        # With the condition S3 tells, before any byte is sent, that the key exists.
        return aws.call("s3", "put_object", Body=body, IfNoneMatch="*", **params), False
    except AwsError as error:
        if error.code not in ("PreconditionFailed", "ConditionalRequestConflict", "412"):
            raise
    body.seek(0)
    return aws.call("s3", "put_object", Body=body, **params), True


def _refusal(source: Source, data: bytes) -> functions.picture.Refusal | None:
    if len(data) <= functions.picture.MAX_BYTES:
        return functions.picture.refusal(data)
    # Of standard input only so much was read.
    size = source.size_bytes()
    return functions.picture.refusal(data, size_bytes=max(size, len(data)), cut=size < len(data))


def is_current(aws: Aws, names: Names, key: str, version_id: str | None) -> bool:
    """False once another version, or nothing, has taken the place of the one sent; True where that cannot be
    asked."""
    try:
        found = head(aws, names.bucket, key)
    except AwsError:
        return True
    return version_id is None or (found is not None and found.get("VersionId") == version_id)


def _key_refused(source: Source, error: AwsError) -> Refused:
    message = f"The bucket does not take the key {source.key!r}: {error.message}"
    return Refused(source.name, "key_refused", message, "Send it under another one with --key.")


def _no_room(source: Source, error: AwsError) -> Refused:
    hint = "Make room on it, then send it again; see imgpipe local status."
    return Refused(source.name, "local_disk_full", error.message, hint)


# What concerns one picture and none of the others; not every endpoint takes all keys that S3 does.
_REFUSED_ALONE = {
    **dict.fromkeys(("InvalidArgument", "KeyTooLongError", "InvalidObjectName"), _key_refused),
    # The local cloud's; another picture may be small enough.
    NO_ROOM: _no_room,
}


def _not_sent(error: AwsError, source: Source, names: Names) -> Problem:
    if error.code in ("NoSuchBucket", "404"):
        return Problem(
            "not_set_up",
            f"There is no bucket {names.bucket}: the pipeline is not set up.",
            hint="Run imgpipe up first.",
            exit_code=ExitCode.NOT_SET_UP,
        )
    return problem(error, f"send {source.name}")


class _Body(io.BytesIO):
    """A picture's bytes that tell how far they were read. The SDK may read them more than once
    (for a checksum, or again after a fault), so going back is told as a negative amount."""

    def __init__(self, data: bytes, key: str, emit: Emit) -> None:
        super().__init__(data)
        self._key = key
        self._emit = emit
        self._told = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._tell()
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        position = super().seek(offset, whence)
        if position < self._told:
            self._tell()
        return position

    def _tell(self) -> None:
        moved = self.tell() - self._told
        if moved:
            self._told += moved
            self._emit(Transferred(self._key, moved))
