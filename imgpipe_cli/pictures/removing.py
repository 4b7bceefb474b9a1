"""Removing pictures: a delete marker on each, or all that the bucket has of them.

The results go by themselves: S3 tells the ingest function of each marker. A stop in between brings nothing
old back: a picture is hidden by its marker first, then its versions go, and the markers last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import partial
from itertools import groupby
from typing import Any, Literal, TypeVar

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.object_deletes import AT_ONCE, Refused, delete
from imgpipe_cli.system.threads import Pool

Listed = dict[str, Any]
"""An object, a version or a delete marker as S3 lists it; a marker has no Size."""

_Thing = TypeVar("_Thing")
_PAGE = 1000
_MAGIC = "*?["
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Wanted:
    """Which pictures are meant: one key, those that match a pattern, or those that begin so.

    The `*` of a pattern stands for slashes, too.
    """

    text: str
    kind: Literal["key", "pattern", "prefix"] = "key"

    @property
    def prefix(self) -> str:
        """All keys that may be meant begin so."""
        if self.kind != "pattern":
            return self.text
        return self.text[: min(self.text.find(sign) for sign in _MAGIC if sign in self.text)]

    def means(self, key: str) -> bool:
        if self.kind == "pattern":
            return fnmatchcase(key, self.text)
        return key == self.text if self.kind == "key" else key.startswith(self.text)


@dataclass
class Count:
    """What is meant, as one look through the bucket found it.

    pictures: those that are there. versions: all, also of pictures that were removed before; counted for a
    purge only. missing: those that mean nothing. latest: when the newest of it came, by S3's clock: what
    comes later is not meant.
    """

    pictures: int = 0
    versions: int = 0
    missing: Sequence[Wanted] = ()
    latest: datetime = _BEFORE_ALL


@dataclass
class Done:
    """How many went, and what S3 refused."""

    number: int = 0
    refused: list[Refused] = field(default_factory=list)


def read(aws: Aws, bucket: str, words: Sequence[str]) -> list[Wanted]:
    """What these words mean. A key may hold the signs of a pattern: a picture of that very name is meant
    alone. Raises AwsError."""

    def one(word: str) -> Wanted:
        is_pattern = any(sign in word for sign in _MAGIC) and not any(_of_key(aws, bucket, word))
        return Wanted(word, "pattern" if is_pattern else "key")

    words = list(dict.fromkeys(words))
    return list(aws.together({word: partial(one, word) for word in words}).values())


def count(aws: Aws, bucket: str, meant: Sequence[Wanted], *, purge: bool) -> Count:
    """Raises AwsError."""
    found = Count()
    something: set[Wanted] = set()
    for one, entry, is_first in _all(aws, bucket, meant, versions=purge):
        something.add(one)
        if not is_first:
            continue
        found.versions += purge and "Size" in entry
        found.pictures += "Size" in entry and entry.get("IsLatest", True)
        found.latest = max(found.latest, entry["LastModified"])
    found.missing = [one for one in meant if one not in something]
    return found


def hide(aws: Aws, bucket: str, meant: Sequence[Wanted], latest: datetime) -> Done:
    """A delete marker on each picture that came no later. Raises AwsError for what concerns all."""
    entries = (
        {"Key": entry["Key"]}
        for entry in _entries(aws, bucket, meant, versions=False)
        if entry["LastModified"] <= latest
    )
    return _side_by_side(entries, partial(_delete, aws, bucket), lambda _entry: 1)


def _delete(aws: Aws, bucket: str, entries: Sequence[dict[str, str]]) -> Done:
    refused = delete(aws, bucket, entries)
    return Done(len(entries) - len(refused), refused)


def purge(aws: Aws, bucket: str, meant: Sequence[Wanted], latest: datetime, *, but: Collection[str]) -> Done:
    """All versions of hidden pictures, then their markers; the number is that of the versions.

    but: keys that could not be hidden. Raises AwsError for what concerns all.
    """
    entries = _entries(aws, bucket, meant, versions=True)
    keys = (list(group) for _, group in groupby(entries, key=lambda entry: entry["Key"]))
    going = (group for group in map(partial(_going, latest), keys) if group and group[0]["Key"] not in but)
    return _side_by_side(going, partial(_purge, aws, bucket), len)


def _going(latest: datetime, group: list[Listed]) -> list[Listed]:
    """Of the versions and markers of one key; where it was sent again since, only the older versions."""
    is_new = any("Size" in one and one["LastModified"] > latest for one in group)
    return [one for one in group if "Size" in one and one["LastModified"] <= latest] if is_new else group


def _purge(aws: Aws, bucket: str, groups: Sequence[Sequence[Listed]]) -> Done:
    """The versions first: without its marker, one that is left would show again."""

    def named(entries: Iterable[Listed]) -> list[dict[str, str]]:
        return [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in entries]

    done = _delete(aws, bucket, named(one for group in groups for one in group if "Size" in one))
    kept = {one.key for one in done.refused}
    markers = (one for group in groups for one in group if "Size" not in one and one["Key"] not in kept)
    return Done(done.number, done.refused + delete(aws, bucket, named(markers)))


def _side_by_side(
    things: Iterable[_Thing],
    work: Callable[[Sequence[_Thing]], Done],
    size: Callable[[_Thing], int],
) -> Done:
    """Work on page after page of them while the next ones are listed. size: how many a thing counts for."""
    whole = Done()
    running: deque[Future[Done]] = deque()

    def take() -> None:
        done = running.popleft().result()
        whole.number += done.number
        whole.refused += done.refused

    with Pool(AT_ONCE, thread_name_prefix="remove") as pool:
        for page in _pages(things, size):
            running.append(pool.submit(work, page))
            if len(running) >= AT_ONCE:
                take()
        while running:
            take()
    return whole


def _pages(things: Iterable[_Thing], size: Callable[[_Thing], int]) -> Iterator[list[_Thing]]:
    """Each once the next thing is listed: the listing goes on behind the last one of its own page, which some
    endpoints must still find."""
    page: list[_Thing] = []
    room = _PAGE
    for thing in things:
        if room <= 0:
            yield page
            page, room = [], _PAGE
        page.append(thing)
        room -= size(thing)
    if page:
        yield page


# --- what is listed ------------------------------------------------------------------------------


def _entries(aws: Aws, bucket: str, meant: Sequence[Wanted], *, versions: bool) -> Iterator[Listed]:
    """All that is listed of what is meant, each once."""
    return (entry for _, entry, is_first in _all(aws, bucket, meant, versions=versions) if is_first)


def _all(
    aws: Aws, bucket: str, meant: Sequence[Wanted], *, versions: bool
) -> Iterator[tuple[Wanted, Listed, bool]]:
    """What means it, what is listed, and whether it is the first that means it."""
    keys = [one for one in meant if one.kind == "key"]
    # A request each: side by side.
    found = aws.together(
        {one.text: partial(_of_key, aws, bucket, one.text, versions=versions) for one in keys}
    )
    for place, one in enumerate(meant):
        entries = found[one.text] if one.kind == "key" else _below(aws, bucket, one.prefix, versions=versions)
        for entry in entries:
            key = entry["Key"]
            if one.means(key):
                yield one, entry, not any(before.means(key) for before in meant[:place])


def _of_key(aws: Aws, bucket: str, key: str, *, versions: bool = False) -> list[Listed]:
    """The object of a key, or all its versions and markers."""
    if not versions:
        page = aws.call("s3", "list_objects_v2", Bucket=bucket, Prefix=key, MaxKeys=1)
        return [one for one in page.get("Contents", []) if one["Key"] == key]
    found = []
    for entry in _below(aws, bucket, key, versions=True):
        if entry["Key"] != key:
            break
        found.append(entry)
    return found


def _below(aws: Aws, bucket: str, prefix: str, *, versions: bool) -> Iterator[Listed]:
    """The objects whose keys begin so; versions: all versions and markers, those of one key together."""
    if not versions:
        for page in aws.pages("s3", "list_objects_v2", Bucket=bucket, Prefix=prefix):
            yield from page.get("Contents", [])
        return
    for page in aws.pages("s3", "list_object_versions", Bucket=bucket, Prefix=prefix):
        entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        yield from sorted(entries, key=lambda entry: entry["Key"].encode())
