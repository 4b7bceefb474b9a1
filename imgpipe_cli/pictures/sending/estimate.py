"""How many pictures an upload would have analyzed, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.pictures.converting.kinds import MAX_FILE_BYTES
from imgpipe_cli.pictures.sending.journal import Journal
from imgpipe_cli.pictures.sending.picture import Picture, Rules, is_there, prepared
from imgpipe_cli.pictures.sending.plan import Planned
from imgpipe_cli.pictures.sending.unchanged import Listing
from imgpipe_cli.pictures.sources import Source


@dataclass(frozen=True)
class Estimate:
    """pictures: with other bytes than all before them. copies: with the bytes of one of these.

    unchanged: the bucket holds them already. What cannot be read, or is refused, is in none of them.
    """

    pictures: int = 0
    copies: int = 0
    unchanged: int = 0


def count(planned: Iterable[Planned], at_most: int) -> int:
    """How many files there are, up to one more than at_most."""
    found = 0
    for item in planned:
        found += isinstance(item, Source)
        if found > at_most:
            break
    return found


def estimate(aws: Aws, bucket: str, planned: Iterable[Planned], rules: Rules, *, force: bool) -> Estimate:
    """Read all files, and the bucket's list of their keys.

    force: unchanged ones and copies are paid for too. Where the list cannot be read, none is unchanged.
    """
    seen: set[bytes] = set()
    copies = unchanged = forced = 0
    there = _There(aws, bucket)
    for source in (item for item in planned if isinstance(item, Source)):
        picture = _hashed(source, rules)
        if picture is None:
            continue
        if force:
            forced += 1
        elif there.holds(picture):
            unchanged += 1
        elif picture.source_sha256 in seen:
            copies += 1
        else:
            seen.add(picture.source_sha256)
    return Estimate(forced or len(seen), copies, unchanged)


def _hashed(source: Source, rules: Rules) -> Picture | None:
    """None for what is not sent; that is told when its turn comes."""
    picture = prepared(source, rules)
    if not isinstance(picture, Picture) or picture.is_ready:
        return picture if isinstance(picture, Picture) else None
    try:
        return replace(picture, source_sha256=source.sha256(MAX_FILE_BYTES))
    except OSError:
        return None


class _There:
    """What the bucket holds, as far as it can be read."""

    def __init__(self, aws: Aws, bucket: str) -> None:
        self._listing: Listing | None = Listing(aws, bucket)
        self._journal = Journal(bucket)

    def holds(self, picture: Picture) -> bool:
        try:
            there = None if self._listing is None else self._listing.at(picture.source.key)
        except AwsError:  # sending will meet it, and say so
            self._listing = None
            return False
        return there is not None and bool(is_there(picture, there, self._journal))
