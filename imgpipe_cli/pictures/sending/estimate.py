"""How many pictures an upload would have analyzed, before anything is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures.sending.journal import Journal
from imgpipe_cli.pictures.sending.plan import Planned
from imgpipe_cli.pictures.sending.unchanged import Listing, is_same
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


def estimate(aws: Aws, bucket: str, planned: Iterable[Planned], *, force: bool) -> Estimate:
    """Read all files, and the bucket's list of their keys.

    force: unchanged ones and copies are paid for too. Where the list cannot be read, none is unchanged.
    """
    seen: set[bytes] = set()
    copies = unchanged = forced = 0
    there = _There(aws, bucket)
    for source in (item for item in planned if isinstance(item, Source)):
        try:
            data = b"" if source.is_beside_pictures() else source.read()
        except OSError:  # it is told when its turn comes
            continue
        if not data or functions.picture.refusal(data, size_bytes=max(len(data), source.size_bytes())):
            continue
        sha256 = hashlib.sha256(data).digest()
        if force:
            forced += 1
        elif there.holds(source.key, data, sha256):
            unchanged += 1
        elif sha256 in seen:
            copies += 1
        else:
            seen.add(sha256)
    return Estimate(forced or len(seen), copies, unchanged)


class _There:
    """What the bucket holds, as far as it can be read."""

    def __init__(self, aws: Aws, bucket: str) -> None:
        self._listing: Listing | None = Listing(aws, bucket)
        self._journal = Journal(bucket)

    def holds(self, key: str, data: bytes, sha256: bytes) -> bool:
        try:
            there = None if self._listing is None else self._listing.at(key)
        except AwsError:  # sending will meet it, and say so
            self._listing = None
            return False
        return there is not None and bool(is_same(there, key, data, sha256, self._journal))
