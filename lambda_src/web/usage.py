"""GET /usage: what was analyzed this month, and what the limit leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.dynamo_types import from_attributes, to_attributes
from shared.http_api import Request, Response, json_response
from shared.usage import Usage, month_of, row_of, usage_of
from web.needs import Needs

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True, kw_only=True)
class Counters:
    """Needs `dynamodb:GetItem` on the index."""

    dynamodb: DynamoDBClient
    table: str

    def of(self, month: str) -> Usage:
        """month: such as 2026-11."""
        answer = self.dynamodb.get_item(
            TableName=self.table, Key=to_attributes(row_of(month)), ConsistentRead=True
        )
        return usage_of(month, from_attributes(answer.get("Item", {})))


def current_usage(_request: Request, needs: Needs) -> Response:
    """200 with the counters of this month in UTC."""
    found = needs.counters.of(month_of(needs.now()))
    limit = needs.config.monthly_limit
    return json_response(
        200,
        {
            "month": found.month,
            "pictures": found.pictures,
            "analyses": found.analyses,
            "analyzed": found.analyzed,
            "reused": found.reused,
            "limit": limit,
            "left": None if limit is None else max(limit - found.analyses, 0),
        },
    )
