"""What becomes of a file: it is sent as it is, converted before, refused, or passed over."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from imgpipe_cli.events import PassedOver, Refused
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures import keys
from imgpipe_cli.pictures.converting import kinds, metadata
from imgpipe_cli.pictures.converting.workers import Converted, NotConverted
from imgpipe_cli.pictures.sending.journal import Journal
from imgpipe_cli.pictures.sending.plan import unreadable
from imgpipe_cli.pictures.sending.unchanged import There, is_from, is_same
from imgpipe_cli.pictures.sources import Source

# In bytes; of the converted picture nothing is known yet, and most are smaller.
_CONVERTING_BYTES = 4 * 1024 * 1024
_MAX_BYTES = functions.picture.MAX_BYTES
_EXPORT = "Open it in a photo program, export it as JPEG, and upload that."


@dataclass(frozen=True)
class Rules:
    """convert: make a JPEG of what Rekognition does not take. strip: send no metadata."""

    convert: bool = True
    strip: bool = False


@dataclass(frozen=True)
class Picture:
    """size_bytes: of the file. data: to send; b"" for what is still to be converted. sha256: of data.
    source_sha256: of the file; b"" as long as it is not known. kind: of a file that is converted. again: S3
    has said that its key exists. there: what the list of keys says.
    """

    source: Source
    size_bytes: int
    data: bytes = b""
    sha256: bytes = b""
    source_sha256: bytes = b""
    kind: str | None = None
    is_smaller: bool = False
    tells_place: bool = False
    again: bool = False
    there: There | None = field(default=None, compare=False)

    @property
    def weight(self) -> int:
        """The bytes that it takes, or is going to take."""
        return len(self.data) or _CONVERTING_BYTES

    @property
    def is_ready(self) -> bool:
        return bool(self.data)

    @property
    def path(self) -> str | None:
        """Of the file that holds these very bytes."""
        return str(self.source.path) if self.source.path and self.sha256 is self.source_sha256 else None

    @property
    def metadata(self) -> Mapping[str, str]:
        """Of a converted picture: what leads back to the file."""
        if self.kind is None:
            return {}
        name = Path(self.source.name).name if self.source.path else self.source.key.rpartition("/")[2]
        return functions.original.metadata(keys.composed(name), self.kind, self.source_sha256.hex())


def prepared(source: Source, rules: Rules) -> Picture | Refused | PassedOver:
    """The picture of a file, if it can be sent."""
    try:
        if source.is_beside_pictures():
            return PassedOver(source.name)
        data, size_bytes = source.read()
    except OSError as error:
        return unreadable(source.name, error)
    # Of standard input only so much was read.
    cut = size_bytes > _MAX_BYTES and source.path is None
    refusal = functions.picture.refusal(data, size_bytes=size_bytes, cut=cut)
    kind = kinds.to_convert(data, refusal) if rules.convert else None
    if kind is not None and not cut:
        missing = kinds.missing(kind)
        if missing is None:
            return _to_convert(source, kind, size_bytes)
        if refusal is not None:
            return Refused(source.name, refusal.code, refusal.message, missing)
    if refusal is not None:
        return Refused(source.name, refusal.code, refusal.message, refusal.hint)
    return _as_it_is(source, data, rules)


def _to_convert(source: Source, kind: str, size_bytes: int) -> Picture | Refused:
    if size_bytes > kinds.MAX_FILE_BYTES:
        most = functions.picture.size_text(kinds.MAX_FILE_BYTES)
        message = f"It has {functions.picture.size_text(size_bytes)}; imgpipe converts files up to {most}."
        return Refused(source.name, "too_large", message, _EXPORT)
    if source.is_key_named:
        return Picture(source, size_bytes, kind=kind)
    key = source.key + keys.CONVERTED
    if source.path is not None and source.path.with_name(source.path.name + keys.CONVERTED).exists():
        other = source.path.name + keys.CONVERTED
        message = f"Converted it would become {key!r}, and so would {other!r} beside it."
        return Refused(source.name, "same_key", message, "It was not sent. Rename it, or send it with --key.")
    if keys.size_bytes(key) > keys.MAX_BYTES:
        message = f"Converted it has the key {key!r}, which is longer than the {keys.MAX_BYTES} bytes of S3."
        return Refused(source.name, "bad_usage", message, "Choose a shorter one with --key.")
    return Picture(replace(source, key=key), size_bytes, kind=kind)


def _as_it_is(source: Source, data: bytes, rules: Rules) -> Picture | Refused:
    sha256 = hashlib.sha256(data).digest()
    tells_place = not rules.strip and metadata.tells_place(data)
    picture = Picture(source, len(data), data, sha256, source_sha256=sha256, tells_place=tells_place)
    if not rules.strip:
        return picture
    try:
        stripped = metadata.stripped(data)
    except metadata.NotStripped as error:
        message = f"Its metadata cannot be removed for certain: {error}."
        return Refused(
            source.name, "metadata_kept", message, "Save it again as JPEG or PNG, and upload that."
        )
    return replace(picture, data=stripped, sha256=hashlib.sha256(stripped).digest())


def is_there(picture: Picture, there: There, journal: Journal) -> bool | None:
    """Whether the bucket holds this picture already; None where what is known of it does not tell."""
    key = picture.source.key
    if picture.kind is not None:
        return is_from(there, key, picture.source_sha256, journal)
    return is_same(there, key, picture.data, picture.sha256, journal)


def converted(picture: Picture, answer: Converted | NotConverted) -> Picture | Refused:
    """What came of converting it: the picture to send, if Rekognition takes it."""
    name = picture.source.name
    if isinstance(answer, NotConverted):
        message = f"It cannot be converted to JPEG: {answer.reason}."
        return Refused(name, answer.code, message, _EXPORT)
    if refusal := functions.picture.refusal(answer.jpeg):
        return Refused(name, refusal.code, refusal.message, refusal.hint)
    sha256 = hashlib.sha256(answer.jpeg).digest()
    return replace(picture, data=answer.jpeg, sha256=sha256, is_smaller=answer.is_smaller)
