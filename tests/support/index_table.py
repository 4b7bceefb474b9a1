"""The index by which pictures are found, and a stand-in for those who decide by it what is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ingest.analysis import Outcome
from ingest.backoff import Backoff
from ingest.counting import Asker
from ingest.faults import Fault
from ingest.permits import Permit


def make_index(dynamodb: Any, name: str) -> None:
    """The table with its two keys."""
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in ("pk", "sk")],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )


@dataclass
class EverythingPermitted:
    """Permits of a pipeline that knows no copies and has no limit. refused: why nothing may be asked."""

    refused: Fault | None = None

    def permit(
        self, asker: Asker, features: Sequence[str], *, replaced: Mapping[str, str], backoff: Backoff
    ) -> Permit:
        del asker, replaced, backoff
        if self.refused is not None:
            return Permit(features=(), known=dict.fromkeys(features, self.refused))
        return Permit(features=tuple(features))

    def answered(self, asked: Mapping[str, Outcome]) -> None:
        del asked

    def end(self, permit: Permit | None, asked: Mapping[str, Outcome]) -> None:
        del permit, asked
