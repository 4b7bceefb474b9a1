"""What a picture has to be analyzed for: not what another of the same bytes has, and no more than the month's
limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from ingest import timeouts
from ingest.analysis import Findings, Outcome
from ingest.backoff import Backoff
from ingest.counting import Asker, Counting, Taken, meets_another
from ingest.faults import Fault, InProgress, Overtaken, is_passing, over_limit
from ingest.reuse import Sought
from ingest.twins import Twins
from shared.log import log, log_failure

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from ingest.result_store import ResultStore


@dataclass(frozen=True, kw_only=True)
class Permit:
    """features: those to ask for. known: the answers and refusals there are without asking."""

    features: tuple[str, ...]
    known: Mapping[str, Findings | Fault] = field(default_factory=dict)
    taken: Taken | None = None


class Permits(Protocol):
    """Who decides what Rekognition is asked."""

    def permit(
        self, asker: Asker, features: Sequence[str], *, replaced: Mapping[str, str], backoff: Backoff
    ) -> Permit:
        """replaced: feature -> the model whose answer is not wanted any more. What DynamoDB raises,
        InProgress and Overtaken come through: nothing was asked."""
        ...

    def answered(self, asked: Mapping[str, Outcome]) -> None:
        """Take note of what came of it, before the result is stored. Never raises."""
        ...

    def end(self, permit: Permit | None, asked: Mapping[str, Outcome]) -> None:
        """Let others ask about the same bytes, once the result is stored. Never raises."""
        ...


@dataclass(frozen=True, kw_only=True)
class SharedPermits:
    """By the index, which all runs of the function share."""

    twins: Twins
    counting: Counting
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def permit(
        self, asker: Asker, features: Sequence[str], *, replaced: Mapping[str, str], backoff: Backoff
    ) -> Permit:
        if not features:
            return Permit(features=())
        sought = Sought(sha256=asker.sha256, features=tuple(features), replaced=replaced)
        return backoff.call(
            lambda: self._permit(asker, sought, backoff),
            keep_s=timeouts.PERMIT_S + timeouts.ASKING_S + timeouts.STORING_S - timeouts.RESERVED_S,
            passes=_passes,
        )

    def _permit(self, asker: Asker, sought: Sought, backoff: Backoff) -> Permit:
        found = {} if asker.apart else self.twins.answers(sought)
        held = None
        if len(found) < len(sought.features):
            held = self.counting.hold(asker, now=self.now(), left_s=backoff.left_s())
        if self.twins.read(asker.key) != asker.seen:  # by a second delivery of the event, as a rule
            if held is not None:
                self.counting.release(held, (), now=self.now())
            raise Overtaken(asker.key)
        if held is not None:
            # Once more, now that nobody else asks: one that has ended meanwhile has left its answers.
            found = found if asker.apart else self.twins.answers(sought)
        if found:
            log("INFO", "analysis_reused", features=list(found))
        left = [feature for feature in sought.features if feature not in found]
        if held is None or not left:
            self._count_reused(asker, tuple(found))
            return Permit(features=(), known=found, taken=held)
        taken = self.counting.count(held, left, reused=found, now=self.now())
        if found and taken.claim == held.claim:  # nothing was counted together with them
            self._count_reused(asker, tuple(found))
        refused = {feature: over_limit(self.counting.limit) for feature in taken.refused}
        return Permit(features=taken.features, known={**found, **refused}, taken=taken)

    def _count_reused(self, asker: Asker, features: tuple[str, ...]) -> None:
        """A number that is only shown; nothing fails for it."""
        try:
            self.counting.only_reused(asker, features, self.now())
        except Exception as error:
            if meets_another(error):
                raise
            log_failure("reused_not_counted", error)

    def answered(self, asked: Mapping[str, Outcome]) -> None:
        for feature, outcome in asked.items():
            if isinstance(outcome, Findings) and outcome.model:
                try:
                    self.twins.saw_model(feature, outcome.model, self.now())
                except Exception as error:  # what was paid is stored all the same
                    log_failure("model_not_noted", error, feature=feature)

    def end(self, permit: Permit | None, asked: Mapping[str, Outcome]) -> None:
        if permit is None or permit.taken is None:
            return
        outcomes = {**permit.known, **{feature: asked[feature] for feature in permit.features}}
        ended = [one for one, outcome in outcomes.items() if not _is_open(outcome)]
        try:
            self.counting.release(permit.taken, ended, now=self.now())
        except Exception as error:  # it ends by itself
            log_failure("claim_not_ended", error)


def shared_permits(
    dynamodb: DynamoDBClient, table: str, *, store: ResultStore, limit: int | None
) -> SharedPermits:
    """table: the index. store: the results. limit: the most analyses in a month, None for any number."""
    return SharedPermits(
        twins=Twins(dynamodb=dynamodb, table=table, read=store.read),
        counting=Counting(dynamodb=dynamodb, table=table, limit=limit),
    )


def _is_open(outcome: Outcome) -> bool:
    return isinstance(outcome, Fault) and outcome.retryable


def _passes(error: Exception) -> bool:
    return isinstance(error, InProgress) or is_passing(error) or meets_another(error)
