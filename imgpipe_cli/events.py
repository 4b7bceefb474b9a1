"""What can be told about progress: small frozen facts without wording.

`Emit` is one callable; commands hand in a renderer's, tests hand in `list.append`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from shared.result_item import ResultItem

# What is done to a thing. "remove", "detach" and "empty" take something out of another thing.
Verb = Literal["create", "set", "update", "add", "open", "copy", "delete", "remove", "detach", "empty"]
REMOVING: frozenset[Verb] = frozenset({"delete", "remove", "detach", "empty"})


@dataclass(frozen=True)
class Looking:
    """A resource is being looked at for the first time in this run."""

    step: str
    resource: str


@dataclass(frozen=True)
class Changing:
    """A change is being sent."""

    step: str
    resource: str
    verb: Verb
    what: str


@dataclass(frozen=True)
class Waiting:
    """AWS is not there yet; `detail` is what was observed, or the error that passes with time."""

    step: str
    resource: str
    detail: str
    waited_s: float


@dataclass(frozen=True)
class Settled:
    """A resource is as it should be (`up`) or gone (`down`)."""

    step: str
    resource: str
    changed: bool


@dataclass(frozen=True)
class Skipped:
    """`down` leaves a resource alone; `why` is a code: foreign, untagged, unmarked (nobody's), kept, or
    stray, where `what` is a sentence."""

    step: str
    resource: str
    what: str
    why: str


@dataclass(frozen=True)
class Counted:
    """Things removed so far inside one removal, such as object versions of a bucket."""

    step: str
    resource: str
    done: int


@dataclass(frozen=True)
class Copied:
    """Results copied so far from one store to the other, or to the index."""

    step: str
    resource: str
    done: int
    verb: Literal["copied", "indexed"] = "copied"


@dataclass(frozen=True, slots=True)
class Sent:
    """A picture is in the bucket; `replaced` is True if the key had an older version.

    size_bytes: of the file. converted: its kind, if it was made a JPEG. is_smaller: that has fewer pixels.
    tells_place: the picture holds where it was taken.
    """

    key: str
    source: str
    version_id: str | None
    replaced: bool
    size_bytes: int = 0
    converted: str | None = None
    is_smaller: bool = False
    tells_place: bool = False


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The bucket holds this very picture under this key already: nothing was sent."""

    key: str
    source: str
    version_id: str | None
    size_bytes: int = 0


@dataclass(frozen=True)
class Stopped:
    """An upload ended before its end. sent, unchanged: pictures that are in the bucket now. under_way: those
    that S3 had not answered yet; some may be there.

    results: how many had come and how many were still to come, where only results were waited for.
    """

    sent: int
    unchanged: int
    under_way: int
    results: tuple[int, int] | None = None


@dataclass(frozen=True)
class Refused:
    """A picture that is not sent, or could not be."""

    source: str
    code: str
    message: str
    hint: str


@dataclass(frozen=True)
class PassedOver:
    """A file in a folder that nobody meant. reason: no_picture, hidden, or link (it leads out of the
    folder)."""

    source: str
    reason: str = field(default="no_picture", compare=False)


@dataclass(frozen=True)
class Arrived:
    """The stored result of one picture, as the HTTP API returns it."""

    item: ResultItem


@dataclass(frozen=True)
class Downloaded:
    """How far the download of a file to this machine is; it may start again from less."""

    name: str
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class Note:
    """Something worth knowing that is not progress; `code` names the wording, `detail` fills it."""

    code: str
    detail: str = ""


Event = (
    Looking
    | Changing
    | Waiting
    | Settled
    | Skipped
    | Counted
    | Copied
    | Sent
    | Unchanged
    | Stopped
    | Refused
    | PassedOver
    | Arrived
    | Downloaded
    | Note
)
Emit = Callable[[Event], None]
