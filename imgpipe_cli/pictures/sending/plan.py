"""Which files an upload sends, under which keys, and what is refused and why: found while it is sending."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.events import Note, PassedOver, Refused
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures import keys
from imgpipe_cli.pictures.patterns import ALL, Patterns
from imgpipe_cli.pictures.sources import (
    Argument,
    Source,
    arguments,
    few,
    pictures_of_twins,
    told_apart,
)
from imgpipe_cli.system import file_io

STDIN = "-"

Planned = Source | Refused | PassedOver | Note
"""A picture to send, or what is to be told on the way to the next one."""


class Plan:
    """The pictures to send, in order; each walk through it reads the folders anew and keeps no file of them.

    A file gives its base name, a folder the paths below it under the folder's name. Where two arguments have
    the same name, all files are found first: those that would have the same key keep the folders before them
    that make them differ.
    """

    def __init__(
        self,
        paths: Sequence[str],
        *,
        prefix: str = "",
        key: str | None = None,
        stdin: Iterable[bytes] = (),
        patterns: Patterns = ALL,
    ) -> None:
        """Raises a usage Problem; all that can be known to be wrong before a file is sent."""
        _check_options(prefix=prefix, key=key)
        self._prefix = prefix
        self._patterns = patterns
        self._named = [one for text in paths for one in _meant(text, key, stdin)]
        self._known: list[Planned] | None = None
        if key is not None:
            self._known = self._one_named(key)
        elif len(self._named) == 1 and not _is_folder(self._named[0]):
            self._known = [self._whole(one, or_raise=True) for one in self._found()]
        elif self._may_have_twins():
            self._known = list(self._all_told_apart())

    def __iter__(self) -> Iterator[Planned]:
        return map(self._whole, self._found()) if self._known is None else iter(self._known)

    def sizes(self) -> Iterator[int]:
        """The bytes of each file that may be sent, as the file system tells."""
        for found in self._found() if self._known is None else self._known:
            if isinstance(found, Source):
                yield found.size_bytes()

    def _found(self) -> Iterator[Planned]:
        """All in their order, with keys that lack the prefix."""
        for one in self._named:
            if isinstance(one, Argument):
                yield from _in_argument(one, self._patterns)
            else:
                yield one

    def _whole(self, found: Planned, *, or_raise: bool = False) -> Planned:
        """With its whole key; what can have none is refused, and the others still go."""
        if not isinstance(found, Source):
            return found
        return with_key(found, self._prefix, or_raise=or_raise)

    def _may_have_twins(self) -> bool:
        names = [keys.composed(one.name) for one in self._named if isinstance(one, Argument)]
        return len(set(names)) < len(names)

    def _one_named(self, key: str) -> list[Planned]:
        planned: list[Planned] = []
        for found in self._found():
            if not isinstance(found, Source):
                planned.append(found)
            elif any(isinstance(one, Source) for one in planned):
                raise _usage("--key names one picture.", "Send several with --prefix instead.")
            else:
                planned.append(self._whole(replace(found, key=key, is_key_named=True), or_raise=True))
        return planned

    def _all_told_apart(self) -> Iterator[Planned]:
        told, found = _parted(self._found())
        beside, pictures = _parted(pictures_of_twins(found))
        differing = told_apart(pictures)
        refused, sources = _parted(map(self._whole, differing))
        _refuse_twins(sources)
        longer = {one.name for one, before in zip(differing, pictures, strict=True) if one.key != before.key}
        if kept := [source.key for source in sources if source.name in longer]:
            yield Note("folders_kept", few(kept))
        yield from (*told, *beside, *refused, *sources)


def _parted(planned: Iterable[Planned]) -> tuple[list[Planned], list[Source]]:
    """What is to be told, and the pictures."""
    told: list[Planned] = []
    sources: list[Source] = []
    for one in planned:
        if isinstance(one, Source):
            sources.append(one)
        else:
            told.append(one)
    return told, sources


def _is_folder(one: Argument | Source | Refused) -> bool:
    return isinstance(one, Argument) and one.is_folder


def _meant(text: str, key: str | None, stdin: Iterable[bytes]) -> Iterator[Argument | Source | Refused]:
    """What one word of the command line means. Raises a usage Problem."""
    if not text:
        # Path("") is the current folder: a script's unset variable must not send all of it.
        raise _usage("An empty name means no file.", "Name a file, or . for this folder.")
    if text == STDIN and key is None:
        raise _usage("Standard input has no name.", "Name the key: imgpipe upload - --key photo.jpg.")
    name = "standard input" if text == STDIN else text
    try:
        if text == STDIN:
            yield Source(STDIN, name, data=_limited(stdin))
            return
        found = list(arguments(text))
    except OSError as error:  # standard input that is opened for writing only, for example
        yield unreadable(name, error)
        return
    yield from found
    if not found:
        yield _nothing_there(text)


def _in_argument(argument: Argument, patterns: Patterns) -> Iterator[Planned]:
    is_empty = True
    for found in argument.walk(patterns):
        is_empty = is_empty and patterns != ALL and isinstance(found, PassedOver)
        if isinstance(found, OSError):
            yield unreadable(found.filename or argument.text, found)
        elif isinstance(found, Source) and found.twin:
            yield _twin(found)
        else:
            yield found
    if is_empty:
        yield _empty(argument.text, patterns)


def _check_options(**options: str | None) -> None:
    """Raise a usage Problem that names the option which is wrong, not the picture."""
    for name, text in options.items():
        try:
            keys.size_bytes(keys.decoded(text or ""))
        except UnicodeEncodeError as error:
            raise _usage(f"The {name} {text!r} is not valid Unicode.", f"Write --{name} in UTF-8.") from error
    if options["key"] == "":
        raise _usage("The key that is named is empty.", "Name one with --key, or leave it out.")


def with_key(source: Source, prefix: str = "", *, or_raise: bool = False) -> Source | Refused:
    """With the key that it is sent under; refused where it can have none. or_raise: a usage Problem
    instead."""
    try:
        key = _key(prefix, source)
        return source if key == source.key else replace(source, key=key)
    except Problem as error:
        if or_raise:
            raise
        return Refused(source.name, error.code, error.message, error.hint)


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


def _twin(source: Source) -> Refused | PassedOver:
    """Of a file or folder whose name looks like that of another one in its folder."""
    try:
        if source.is_beside_pictures():
            return PassedOver(source.name)
    except OSError:  # it is refused all the same
        pass
    return Refused(
        source.name,
        "same_key",
        f"{source.twin!r} and {source.name!r} would both become {keys.composed(source.key)!r}.",
        "It was not sent. Rename it, or send it with --prefix or --key.",
    )


def _usage(message: str, hint: str) -> Problem:
    return Problem("bad_usage", message, hint=hint, exit_code=ExitCode.USAGE)


def _nothing_there(text: str) -> Refused:
    if glob.has_magic(text):
        message = "There is no such file, and no file matches it as a pattern."
        return Refused(text, "not_found", message, "Check the spelling.")
    return Refused(text, "not_found", "There is no such file or folder.", "Check the spelling.")


def _empty(text: str, patterns: Patterns) -> Refused:
    if patterns != ALL:
        message = "No file in this folder passes --include and --exclude."
        return Refused(text, "empty_folder", message, "Check the patterns, or name another folder.")
    return Refused(text, "empty_folder", "There is no file in this folder.", "Name another one.")


def unreadable(name: str, error: OSError) -> Refused:
    """Of a file that the system does not hand out."""
    why = error.strerror or str(error)
    if isinstance(error, file_io.NotRegular):
        hint = "Send what comes out of it through standard input: imgpipe upload - --key photo.jpg."
        return Refused(name, "not_a_file", f"It cannot be read: {why}.", hint)
    return Refused(name, "unreadable", f"It cannot be read: {why}.", "Check its permissions.")
