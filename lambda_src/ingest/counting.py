"""Counting analyses before they are asked for, and who asks about which bytes.

Rekognition is asked about some bytes by one run of the function at a time. It holds a claim, a row of the
index. What it asks for is written there in one transaction with the month's counters: so nothing is asked
uncounted, none counts twice, and the limit of a month is exact. Others with the same bytes wait for its
result, also a second delivery of the very event. A claim ends with the result, or when Lambda has stopped the
run; only Lambda's own repeat of a call need not wait for that. What it has counted and did not get, such as
where Rekognition was busy, stays counted: the next run for these bytes does not count it again in the same
month. In another it does, since Rekognition bills it there. Where these bytes never come again,
`up --repair-index` removes the claim.

Needs `dynamodb:GetItem`, `PutItem`, `UpdateItem` and `DeleteItem` on the index.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ingest.faults import InProgress
from shared import index_rows, usage
from shared.aws_clients import THROTTLE_CODES, aws_code
from shared.dynamo_types import from_attributes, to_attributes
from shared.results import FEATURES

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from shared.result_item import Stored

_CANCELED = "TransactionCanceledException"
_REFUSED = "ConditionalCheckFailed"
_MEETING = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
_MEETING_CODES = THROTTLE_CODES | {"TransactionConflictException", "TransactionInProgressException"}


def meets_another(error: Exception) -> bool:
    """Whether a write only met another one, and may be sent again: nothing of it was carried out."""
    if aws_code(error) in _MEETING_CODES:
        return True
    return aws_code(error) == _CANCELED and any(code in _MEETING for code in _reasons(error))


def _reasons(error: Exception) -> list[str]:
    """Why each part of a transaction was not carried out, in the order of the parts; "None": it would be."""
    reasons = error.response.get("CancellationReasons", []) if isinstance(error, ClientError) else []
    return [str(reason.get("Code")) for reason in reasons]


@dataclass(frozen=True, kw_only=True)
class Asker:
    """A picture on its way to Rekognition.

    apart: one that is paid for whatever is known of its bytes; others do not wait for it, nor it for them.
    answered_at: when it last got a result with an answer, in ISO 8601; "" if it has none. Its picture is
    counted in that month already. seen: what was stored under its key when this was decided. request_id: of
    the call of the function.
    """

    key: str
    version_id: str | None
    sha256: str
    apart: bool = False
    answered_at: str = ""
    seen: Stored | None = None
    request_id: str = ""

    def pictures(self, month: str) -> int:
        """By how much it raises the month's counter of pictures."""
        return int(not self.answered_at.startswith(month))

    @property
    def row(self) -> dict[str, str]:
        """The key of its claim."""
        own = f"{index_rows.hash_of(self.key)}#{self.version_id}"
        return {"pk": index_rows.asking_pk(self.sha256), "sk": own if self.apart else index_rows.ONE}


@dataclass(frozen=True, kw_only=True)
class Claim:
    """The right to ask. ends_at: when nobody can hold it any more, in seconds since 1970.

    request_id: of the call that holds it. Lambda repeats a call under the same id, once the run before is
    over; S3's second delivery of an event has another one, and so has a call by hand.
    counted: the features that are counted, and were not answered yet. month: in which they were.
    """

    key: str
    version_id: str | None
    ends_at: int
    request_id: str = ""
    counted: tuple[str, ...] = ()
    month: str = ""

    def counted_in(self, month: str) -> tuple[str, ...]:
        return self.counted if self.month == month else ()

    def is_of(self, asker: Asker) -> bool:
        own = (self.key, self.version_id, self.request_id)
        return own == (asker.key, asker.version_id, asker.request_id)

    def attributes(self, asker: Asker) -> dict[str, Any]:
        return {
            **asker.row,
            "objectKey": self.key,
            "versionId": self.version_id,
            "endsAt": self.ends_at,
            "requestId": self.request_id,
            "counted": list(self.counted),
            "month": self.month,
        }


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A claim that is held. features: those that are counted, to be asked for. refused: those for which the
    month has no room."""

    asker: Asker
    claim: Claim
    features: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Counting:
    """limit: the most analyses in a month; None: as many as there are."""

    dynamodb: DynamoDBClient
    table: str
    limit: int | None = None

    def hold(self, asker: Asker, *, now: datetime, left_s: float) -> Taken:
        """Claim the right to ask. left_s: seconds until Lambda stops this run.

        Raises InProgress while another run has it, and ClientError or BotoCoreError as DynamoDB gives them.
        """
        now_s = now.timestamp()
        seen = self._claim(asker)
        if seen and not seen.is_of(asker) and now_s < seen.ends_at:
            raise InProgress(asker.key)
        claim = Claim(
            key=asker.key,
            version_id=asker.version_id,
            ends_at=round(now_s + left_s),
            request_id=asker.request_id,
            counted=seen.counted if seen else (),
            month=seen.month if seen else "",
        )
        try:
            self._put(asker, claim, seen)
        except ClientError as error:
            if aws_code(error) == f"{_REFUSED}Exception":
                raise InProgress(asker.key) from error
            raise
        return Taken(asker=asker, claim=claim)

    def count(self, held: Taken, features: Sequence[str], *, reused: Iterable[str], now: datetime) -> Taken:
        """Count these features, each once, as far as the month has room. reused: those that were found.

        Raises InProgress where the claim is lost, and ClientError or BotoCoreError as DynamoDB gives them.
        """
        month = usage.month_of(now)
        before = held.claim.counted_in(month)
        fresh = [one for one in features if one not in before]
        refused: list[str] = []
        while fresh:
            counted = tuple(one for one in FEATURES if one in (*before, *fresh))
            claim = replace(held.claim, counted=counted, month=month)
            if self._counted(held, claim, fresh, tuple(reused), month):
                held = replace(held, claim=claim)
                break
            refused.insert(0, fresh.pop())
        return replace(
            held,
            features=tuple(one for one in features if one not in refused),
            refused=tuple(refused),
        )

    def _claim(self, asker: Asker) -> Claim | None:
        """Who asks about these bytes, or did last."""
        answer = self.dynamodb.get_item(
            TableName=self.table, Key=to_attributes(asker.row), ConsistentRead=True
        )
        if not (item := from_attributes(answer.get("Item", {}))):
            return None
        return Claim(
            key=item["objectKey"],
            version_id=item["versionId"],
            ends_at=item["endsAt"],
            request_id=item.get("requestId", ""),
            counted=tuple(item["counted"]),
            month=item.get("month", ""),
        )

    def _put(self, asker: Asker, claim: Claim, seen: Claim | None) -> None:
        item = to_attributes(claim.attributes(asker))
        self.dynamodb.put_item(TableName=self.table, Item=item, **_still(seen))

    def _counted(
        self, held: Taken, claim: Claim, fresh: Sequence[str], reused: Sequence[str], month: str
    ) -> bool:
        """False where the month has no room for the fresh ones."""
        if self.limit is not None and len(fresh) > self.limit:
            return False
        item = to_attributes(claim.attributes(held.asker))
        pictures = 0 if held.claim.counted_in(month) else held.asker.pictures(month)
        parts: list[Any] = [
            {"Put": {"TableName": self.table, "Item": item, **_still(held.claim)}},
            {"Update": self._raised(month, fresh, reused, pictures=pictures)},
        ]
        try:
            self.dynamodb.transact_write_items(TransactItems=parts)
        except ClientError as error:
            if meets_another(error) or aws_code(error) != _CANCELED:
                raise
            if _reasons(error)[0] == _REFUSED:
                raise InProgress(held.asker.key) from error
            return False
        return True

    def _raised(
        self, month: str, fresh: Sequence[str], reused: Sequence[str], *, pictures: int
    ) -> dict[str, Any]:
        raised = _raised(fresh, reused, pictures=pictures)
        update = {"TableName": self.table, "Key": to_attributes(usage.row_of(month)), **_add(raised)}
        if self.limit is not None:
            update["ConditionExpression"] = (
                f"attribute_not_exists({usage.ANALYSES}) OR {usage.ANALYSES} <= :room"
            )
            update["ExpressionAttributeValues"] |= to_attributes({":room": self.limit - len(fresh)})
        return update

    def only_reused(self, asker: Asker, features: Sequence[str], now: datetime) -> None:
        """Count a picture that has all its answers from others."""
        month = usage.month_of(now)
        self.dynamodb.update_item(
            TableName=self.table,
            Key=to_attributes(usage.row_of(month)),
            **_add(_raised((), features, pictures=asker.pictures(month))),
        )

    def release(self, taken: Taken, ended: Collection[str], *, now: datetime) -> None:
        """Let others ask. ended: features that are not to be asked for again.

        What else is counted stays, also where an earlier run wanted it and this one did not.
        """
        counted = taken.claim.counted_in(usage.month_of(now))
        left = tuple(one for one in counted if one not in ended)
        if left:
            self._put(
                taken.asker, replace(taken.claim, ends_at=int(now.timestamp()), counted=left), taken.claim
            )
        else:
            row = to_attributes(taken.asker.row)
            self.dynamodb.delete_item(TableName=self.table, Key=row, **_still(taken.claim))


def _still(seen: Claim | None) -> dict[str, Any]:
    """The condition that the claim is still the one that was seen; None: that there is none."""
    if seen is None:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    return {
        "ConditionExpression": "objectKey = :key AND versionId = :version AND endsAt = :end",
        "ExpressionAttributeValues": to_attributes(
            {":key": seen.key, ":version": seen.version_id, ":end": seen.ends_at}
        ),
    }


def _raised(fresh: Iterable[str], reused: Iterable[str], *, pictures: int) -> dict[str, int]:
    """By how much each counter goes up."""
    asked = [usage.analyzed(feature) for feature in fresh]
    found = dict.fromkeys((*asked, *map(usage.reused, reused)), 1)
    return {usage.PICTURES: pictures, usage.ANALYSES: len(asked), **found}


def _add(raised: dict[str, int]) -> dict[str, Any]:
    return {
        "UpdateExpression": "ADD " + ", ".join(f"{name} :{name}" for name in raised),
        "ExpressionAttributeValues": to_attributes({f":{name}": number for name, number in raised.items()}),
    }
