"""Reconcile one resource: observe, send what the diff holds, observe again, until no difference is left.

Where AWS's answer to a change tells what a look would find, what needs the resource goes on with that. The
look follows beside it: no resource counts as settled before a look has shown it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.deploy.observe import NO_TAGS, not_ours_hint, observe
from imgpipe_cli.deploy.pacing import Pacing
from imgpipe_cli.deploy.pipeline import Pipeline
from imgpipe_cli.deploy.resource import (
    GONE,
    Change,
    ConflictError,
    Context,
    Observed,
    Outlasted,
    Resource,
    Step,
    TransientError,
)
from imgpipe_cli.deploy.schedule import Outcome, Stopped
from imgpipe_cli.deploy.watch import OVERTAKEN_EVERY_S, Watch
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Changing, Emit, Settled, Waiting
from imgpipe_cli.session.settings import Settings
from imgpipe_cli.system.threads import Pool

# "It is there already": somebody's, or ours from a call whose answer got lost. The next look tells.
_EXISTS = frozenset(
    {
        "EntityAlreadyExists",
        "BucketAlreadyOwnedByYou",
        "BucketAlreadyExists",
        "ResourceInUseException",
        "ResourceAlreadyExistsException",
        "ParameterAlreadyExists",
        "QueueAlreadyExists",
        "QueueNameExists",
    }
)
_EXISTS_TEXT = "already exist"  # Lambda has one code for this and for being busy
_LOOK_AGAIN = TransientError("", why="it is there already, or its answer got lost: looking again", limit_s=60)
_BUSY_LIMIT_S = 600.0
# AWS shows a change that it has taken within seconds; after this time it is sent again.
_SHOWN_WITHIN_S = 30.0
# What was carried out although its answer got lost shows within this time; what does not is sent again.
_LOST_SHOWN_WITHIN_S = 10.0
# The same change asked for a third time in spite of two good answers is a defect of imgpipe.
_REPEATS = 3


class Reconciler:
    """One resource on its way to what it should be."""

    def __init__(
        self,
        pipeline: Pipeline,
        step: Step,
        resource: Resource,
        emit: Emit,
        stop: threading.Event,
        watch: Watch | None,
    ) -> None:
        self.pipeline = pipeline
        self.aws = pipeline.aws
        self.step = step
        self.resource = resource
        self.emit = emit
        self.stop = stop
        self.watch = watch
        self.changed = False
        # The changes that AWS took, and when; whether one made it; when AWS said that it is there already.
        self._taken: list[tuple[Change, float]] = []
        self._made = False
        # Those without an idempotency token whose answer got lost, and when; what was said last.
        self._lost: list[tuple[Change, float]] = []
        self._unanswered = _LOOK_AGAIN
        self._appeared, self._appeared_at = _LOOK_AGAIN, -math.inf
        # The changes sent last with their answers; whether a look has shown what is known, or only answers.
        self._replies: list[tuple[Change, Mapping[str, Any]]] = []
        self._shown = True
        # The removals that AWS took last, and when.
        self._sent: tuple[str, ...] = ()
        self._sent_at = -math.inf
        self._pacing = Pacing(self.aws.clock)

    def reconcile(self, observed: Observed, settings: Settings) -> Outcome:
        """Change it until nothing is left to change, as AWS answers or, where it does not tell, shows."""
        self._settings = settings
        self._first = self.resource.completed(observed, self.aws, self.pipeline.names)
        return self._until_right(self._first, trusting=True)

    def confirm(self, outcome: Outcome) -> Outcome:
        """The outcome of `reconcile` as a look shows it; what the look finds to change is changed."""
        if self._shown:
            return outcome
        self._shown = True
        shown = self._until_right(observe(self.pipeline, self.resource), trusting=False)
        if shown.observed.facts.get("id") != outcome.observed.facts.get("id"):
            # An older one has come to light, and it stays. What went on with the younger one begins anew.
            raise ConflictError
        return shown

    def _until_right(self, observed: Observed, *, trusting: bool) -> Outcome:
        blocked = False
        while True:
            if not self._waited(observed):
                context = Context(observed, self.pipeline.names, self._settings)
                todo = tuple(self.resource.diff(context))
                if not todo:
                    return self._settled(observed)
                if self.resource.last_writer_wins and observed != self._first:
                    raise ConflictError("" if self._taken else str(observed.facts["value"] or ""))
                sendable = [change for change in todo if change.sendable]
                if blocked and not sendable:
                    raise ConflictError  # what it needs was there, and is gone
                blocked = not sendable
                transient = self._send_due(sendable)
                if transient is not None:
                    self._pause(transient)
                elif sendable:
                    self._made = self._made or not observed.exists
                    if trusting and (answered := self._answered(context)):
                        observed, self._shown = answered, False
                        continue
            observed, self._shown = observe(self.pipeline, self.resource), True

    def _answered(self, context: Context) -> Observed | None:
        """What a look would find, by the answers to the changes sent last; None where they do not tell."""
        for change, answer in self._replies:
            answered = self.resource.answered(self.aws, context, change, answer)
            if answered is None:
                return None
            context = replace(context, observed=answered)
        return context.observed

    def _waited(self, observed: Observed) -> bool:
        """Pause where nothing can be changed yet; whether that was so."""
        # What was missing at first may be another run's, or ours from a call whose answer got lost.
        lately = self.aws.clock() - self._appeared_at < _SHOWN_WITHIN_S
        owned = observed.owned or observed.unclaimed
        tags_late = observed.untagged and self._pacing.waited_s(NO_TAGS) < _SHOWN_WITHIN_S
        if observed.not_owned and not owned and not self._made and not lately and not tags_late:
            raise self._not_ours()
        told = owned and not (observed.untagged and self._made)
        if observed.exists and not (observed.ready and told):
            why = NO_TAGS if observed.ready else observed.detail
            self._pause(TransientError("", why=why, limit_s=_BUSY_LIMIT_S))
            return True
        if not observed.exists and (self._made or lately):
            self._pause(self._not_visible() if self._made else self._appeared)
            return True
        return False

    def _send_due(self, changes: Sequence[Change]) -> TransientError | None:
        """Send what AWS has not taken yet, or a while ago and does not show; why it is to be waited."""
        self._replies.clear()
        due = [change for change in changes if not self._lately(change)]
        again = [change for change in due if self._times(change)]
        if again:
            self._look_out()  # another run may have undone it
        if worn := [change for change in again if self._times(change) >= _REPEATS]:
            raise self._does_not_settle(worn)
        if due or not changes:
            return self._send(due)
        lost = any(one == change for one, _ in self._lost for change in changes)
        return self._unanswered if lost else self._not_visible()

    def _lately(self, change: Change) -> bool:
        now = self.aws.clock()
        sent = ((self._taken, _SHOWN_WITHIN_S), (self._lost, _LOST_SHOWN_WITHIN_S))
        return any(one == change and now - at < within_s for some, within_s in sent for one, at in some)

    def _times(self, change: Change) -> int:
        return sum(taken == change for taken, _ in self._taken)

    def _not_visible(self) -> TransientError:
        return TransientError("", why="not visible yet", limit_s=self.resource.visible_within_s)

    def remove(self, observed: Observed) -> Outcome:
        """Send the removals until AWS takes them; only a look tells whether it is gone."""
        while (transient := self._send_removals(observed)) is not None:
            self._pause(transient)
            observed = observe(self.pipeline, self.resource)
        return Outcome(self.changed, observed)

    def until_gone(self, observed: Observed) -> Outcome:
        """Wait until a look finds nothing of what was removed. observed: by a look after `remove`."""
        while self._stays(observed):
            transient = self._send_removals(observed)
            self._pause(transient or _still_there(observed))
            observed = observe(self.pipeline, self.resource)
        return self._settled(observed)

    def _stays(self, observed: Observed) -> bool:
        """Whether it is there and goes by itself, not with the resource it is within."""
        return observed.exists and not (self.resource.parent and not self._removals(observed))

    def _removals(self, observed: Observed) -> tuple[Change, ...]:
        return tuple(self.resource.removals(Context(observed, self.pipeline.names)))

    def _send_removals(self, observed: Observed) -> TransientError | None:
        """Send what AWS has not taken yet, or a while ago and does not show; why it is to be waited."""
        if not self._stays(observed):
            return None
        if observed.indeterminate or observed.unclaimed:
            return _still_there(observed)  # as while it goes: then a later look finds nothing
        if observed.not_owned:
            raise self._not_ours()
        todo = self._removals(observed)
        wanted = tuple(change.what for change in todo)
        if wanted == self._sent and self.aws.clock() - self._sent_at < _SHOWN_WITHIN_S:
            return None
        transient = self._one_after_the_other(todo)
        self._sent, self._sent_at = () if transient else wanted, self.aws.clock()
        return transient

    def _settled(self, observed: Observed) -> Outcome:
        if self._shown:
            self.emit(Settled(self.step.name, self.resource.name, changed=self.changed))
        return Outcome(self.changed, observed)

    def _send(self, changes: Sequence[Change]) -> TransientError | None:
        """Send these; the error that passes with time if there was one."""
        if self.resource.serialize:
            changes = changes[:1]
        if self.resource.parallel and min(len(changes), self.pipeline.workers) > 1:
            # All answers are awaited before the first that passes counts: one beside it may be a failure.
            return next((transient for transient in self._answers(changes) if transient), None)
        return self._one_after_the_other(changes)

    def _answers(self, changes: Sequence[Change]) -> list[TransientError | None]:
        """What comes of changes that do not depend on each other."""
        if not self.aws.is_elsewhere:
            return [self._send_one(change) for change in changes]
        with Pool(len(changes), thread_name_prefix="change") as pool:
            return list(pool.map(self._send_one, changes))

    def _one_after_the_other(self, todo: Sequence[Change]) -> TransientError | None:
        return next((transient for change in todo if (transient := self._send_one(change))), None)

    def _send_one(self, change: Change) -> TransientError | None:
        if self.stop.is_set():
            raise Stopped
        self.emit(Changing(self.step.name, self.resource.name, change.verb, change.what))
        self.changed = True
        try:
            answer = change.call.run(self.aws, self.emit)
        except AwsError as error:
            if change.removes and error.code in GONE:
                self._replies.append((change, {}))
                return None
            for transient in change.call.transient:
                if transient.matches(error):
                    if transient.outdated:
                        self.aws.known.forget(transient.outdated)
                    return replace(transient, why=f"{transient.why} ({error.code})", said=error.message)
            if not change.removes and _exists(error):
                self._appeared, self._appeared_at = replace(_LOOK_AGAIN, said=error.message), self.aws.clock()
                return self._appeared
            if change.call.once and error.lost:
                self._lost.append((change, self.aws.clock()))
                self._unanswered = replace(_LOOK_AGAIN, said=error.message)
                return self._unanswered
            raise problem(error, f"{change.verb} {change.what}") from error
        if all((change.verb, change.what) != (one.verb, one.what) for one, _ in self._taken):
            self._pacing.begin_anew()
        self._taken.append((change, self.aws.clock()))
        self._replies.append((change, answer))
        self._made = self._made or change.verb == "create"
        return None

    def _pause(self, transient: TransientError) -> None:
        """Wait a little, longer each time, at most as long as it may take for this reason."""
        waited = self._pacing.wait_for(transient.why)
        if waited >= transient.limit_s and self.resource.last_writer_wins and self.watch is not None:
            raise ConflictError  # what does not come was removed or changed back
        if waited >= transient.limit_s:
            raise Outlasted(self.resource.name, transient, waited)
        self.emit(Waiting(self.step.name, self.resource.name, transient.why, waited))
        if waited >= OVERTAKEN_EVERY_S:
            self._look_out(now=False)
        if self.stop.is_set():
            raise Stopped
        self.aws.sleep(self._pacing.next_pause_s(waited))
        if self.stop.is_set():
            raise Stopped

    def _look_out(self, *, now: bool = True) -> None:
        """Raises ConflictError where what this run counts on is another by now."""
        if self.watch is not None:
            self.watch.look(now=now)

    def _not_ours(self) -> Problem:
        return Problem(
            "not_ours",
            f"{self.resource.name} exists and imgpipe did not make it; it was not touched.",
            hint=not_ours_hint(self.pipeline.names),
        )

    def _does_not_settle(self, todo: Sequence[Change]) -> Problem:
        what = "; ".join(f"{change.verb} {change.what}" for change in todo)
        return Problem(
            "does_not_settle",
            f"{self.resource.name} still differs although AWS accepted the change {_REPEATS} times: {what}.",
            hint="This is a defect of imgpipe or of the endpoint: please report it with --verbose output.",
        )


def _still_there(observed: Observed) -> TransientError:
    return TransientError("", why=observed.detail or "still there", limit_s=_BUSY_LIMIT_S)


def _exists(error: AwsError) -> bool:
    """Whether AWS says that what is to be made is there already."""
    conflict = error.code == "ResourceConflictException" and _EXISTS_TEXT in error.message
    return conflict or error.code in _EXISTS
