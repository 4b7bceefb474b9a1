"""The shape of a step: what one look found, and what is to be done about it.

A resource only answers three questions: what is there (`observe`), what is missing or differs
(`diff`, pure), what has to be sent to take it away (`removals`). The engine alone acts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.iam.uses import Use
from imgpipe_cli.aws.names import Names
from imgpipe_cli.aws.not_found import ANY
from imgpipe_cli.deploy.transient import IAM_DELAY, Fallback, Outlasted, TransientError
from imgpipe_cli.events import REMOVING, Emit, Verb
from imgpipe_cli.session.settings import Settings

__all__ = [
    "GONE",
    "IAM_DELAY",
    "MISSING",
    "Call",
    "Change",
    "Computed",
    "ConflictError",
    "Context",
    "Fallback",
    "NewSecret",
    "Observed",
    "Outlasted",
    "Resource",
    "Routine",
    "Step",
    "TransientError",
    "indeterminate",
]


class ConflictError(Exception):
    """Another run has changed what this one counts on: only a fresh look at everything helps.

    stored: the settings that it wrote, if this run's were made without them: what was asked for is to be
    resolved over those.
    """

    def __init__(self, stored: str = "") -> None:
        super().__init__(stored)
        self.stored = stored


@dataclass(frozen=True)
class Observed:
    """What one look at a resource found.

    ready: False while AWS is still working on it; detail then says what AWS said.
    owned: whether it is provably ours; what is not ours is never touched.
    indeterminate: it was being made or removed, so its tags could not be read; a later look tells more.
    tags: what it is tagged with, where the look tells that; None where it does not.
    unclaimed: nothing says whose it is and nothing is in it: `up` may take it, nobody may remove it.
    orphans: what carries our tags and is not where ours is: never touched, told by `status` and `down`.
    facts: what `changes` compares, in the resource's own words; also there when it does not exist.
    """

    exists: bool
    ready: bool = True
    owned: bool = True
    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    indeterminate: bool = False
    tags: Mapping[str, str] | None = field(default=None, compare=False)
    unclaimed: bool = False
    orphans: tuple[str, ...] = field(default=(), compare=False)

    @property
    def untagged(self) -> bool:
        """Whether something of its name has no tags: somebody else's, or ours, and its tags show later."""
        return self.tags is not None and not self.tags

    @property
    def not_owned(self) -> bool:
        """Whether it is there and not ours: somebody else's, or nobody's."""
        return self.exists and not self.owned and not self.indeterminate


MISSING = Observed(exists=False)


def indeterminate(facts: Mapping[str, Any]) -> Observed:
    """What is there, and has no tags that could be read."""
    return Observed(
        exists=True,
        ready=False,
        owned=False,
        detail="it is just being made or removed",
        facts=facts,
        indeterminate=True,
    )


@dataclass(frozen=True)
class NewSecret:
    """A value made when the call is sent; never printed."""

    label: str
    make: Callable[[], str]

    def __repr__(self) -> str:
        return f"<{self.label}>"


class Computed(str):
    """A value that only AWS can give, such as the id of an API that is not there yet.

    A dry run prints it; a change that holds one cannot be sent before the next look.
    """

    def __new__(cls, label: str) -> Computed:
        return super().__new__(cls, f"<{label}>")

    def __repr__(self) -> str:
        return str(self)


# "Not found" in the words of the services: a removal that meets one of these is done.
GONE = ANY


@dataclass(frozen=True)
class Call:
    """One AWS operation as data: it can be printed, compared and sent.

    once: the operation has no idempotency token, so the SDK must not send it twice by itself.
    """

    service: str
    operation: str
    params: Mapping[str, Any]
    transient: tuple[TransientError, ...] = ()
    once: bool = False

    @property
    def label(self) -> str:
        return f"{self.service}.{self.operation}"

    def run(self, aws: Aws, _emit: Emit) -> Mapping[str, Any]:
        """Send it; the answer. Raises AwsError."""
        return self.send(aws)

    def send(self, aws: Aws) -> Mapping[str, Any]:
        """The answer. Raises AwsError."""
        return aws.call(self.service, self.operation, once=self.once, **_with_secrets(self.params))


@dataclass(frozen=True)
class Routine:
    """Work that needs a loop, such as emptying a bucket; printed by its name.

    operations: all that it may send, "s3.delete_objects".
    """

    name: str
    operations: tuple[str, ...]
    work: Callable[[Aws, Emit], None]
    transient: tuple[TransientError, ...] = ()
    once: ClassVar[bool] = False
    params: ClassVar[Mapping[str, Any]] = {}

    @property
    def label(self) -> str:
        return self.name

    def run(self, aws: Aws, emit: Emit) -> Mapping[str, Any]:
        """Do the work; it has no answer. Raises AwsError."""
        self.work(aws, emit)
        return {}


@dataclass(frozen=True)
class Change:
    """One thing to do. verb and what read as a phrase: "create", "table imgpipe-results"."""

    verb: Verb
    what: str
    call: Call | Routine

    @property
    def removes(self) -> bool:
        return self.verb in REMOVING

    @property
    def sendable(self) -> bool:
        """False while a parameter is known only after an earlier change."""
        return not _holds_unknown(self.call.params)


def _holds_unknown(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_holds_unknown(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(_holds_unknown(item) for item in value)
    return isinstance(value, Computed)


def _with_secrets(value: Any) -> Any:
    if isinstance(value, NewSecret):
        return value.make()
    if isinstance(value, Mapping):
        return {key: _with_secrets(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_secrets(item) for item in value]
    return value


@dataclass(frozen=True)
class Context:
    """All that a resource decides by. settings: what was asked for; a removal asks for nothing."""

    observed: Observed
    names: Names
    settings: Settings = field(default_factory=Settings)


class Resource(ABC):
    """One thing in AWS.

    name: unique among all resources. title: what it is to users, as the subject of a sentence.
    iam: every operation that is sent for it, with the IAM actions that this needs.
    needs: resources that must be right before this one is touched (this one is removed before they are).
    needs_shown: those of them that a look must have shown to be so, not only AWS's answer to a change.
    parent: the resource it lives inside; it goes when that goes, and is not ours when that is not ours.
    serialize: AWS takes one change at a time, then a new look.
    parallel: the changes of one look do not depend on each other (its removals always do). AWS itself
    refuses those that meet, so there they go one at a time.
    visible_within_s: how long a look may find nothing of what was made with success.
    last_writer_wins: what another run made of it after this one's change stays.
    """

    name: str
    title: str
    iam: ClassVar[tuple[Use, ...]]
    needs: tuple[str, ...] = ()
    needs_shown: tuple[str, ...] = ()
    parent: str | None = None
    serialize: bool = False
    parallel: bool = False
    visible_within_s: float = 120.0
    last_writer_wins: bool = False

    def wanted(self, _settings: Settings) -> bool:
        """Whether a pipeline with these settings has this resource."""
        return True

    @abstractmethod
    def observe(self, aws: Aws, names: Names) -> Observed:
        """Look, and only look. Raises AwsError."""

    @abstractmethod
    def diff(self, context: Context) -> Iterator[Change]:
        """What is missing or differs. Pure; raises Problem where no change can repair it."""

    def removals(self, _context: Context) -> Iterator[Change]:
        """What takes it away; nothing for what goes together with the resource it is within. Pure; raises
        Problem where AWS would refuse it for good."""
        yield from ()

    def completed(self, observed: Observed, _aws: Aws, _names: Names) -> Observed:
        """The same look with the Computed values that are known by now, because what this one needs has
        been made since. Sends no call: it saves the look that would find nothing else."""
        return observed

    def answered(
        self, _aws: Aws, _context: Context, _change: Change, _answer: Mapping[str, Any]
    ) -> Observed | None:
        """What a look would find after this change, by the answer to it; None where only a look tells.

        context: before the change. Sends no call. `up` goes on with it, and looks meanwhile.
        """
        return None

    def unmanaged_changes(self, _aws: Aws, _names: Names, _seen: Observed) -> Iterator[str]:
        """What others added to it that matters and that `up` leaves as it is, in words. It may read more
        than `observe` did, since only `status` asks."""
        yield from ()

    def contents(self, _aws: Aws, _names: Names, _seen: Observed) -> Mapping[str, int]:
        """What a user would lose with it, counted: {"objects": 3, "bytes": 120000}."""
        return {}


@dataclass(frozen=True)
class Step:
    """One user-visible step of the set-up."""

    name: str
    title: str
    resources: tuple[Resource, ...]
