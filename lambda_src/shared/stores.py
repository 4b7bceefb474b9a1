"""Where the pipeline keeps its results: a table, or a bucket. Exactly one, named by the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from shared.aws_clients import Timeouts, dynamodb_client, s3_client
from shared.bucket_results import BucketResults
from shared.table_results import TableResults

if TYPE_CHECKING:
    from shared.result_item import ResultItem

_VARIABLES: Mapping[str, Literal["table", "bucket"]] = {"TABLE_NAME": "table", "RESULTS_BUCKET": "bucket"}


class Results(Protocol):
    """What a reader of single results needs to know of a store."""

    def get(self, key: str) -> ResultItem | None:
        """The result of one picture as readers may see it, or None."""
        ...


@dataclass(frozen=True, kw_only=True)
class Store:
    """The store of the results: which kind, and the name of the table or bucket."""

    kind: Literal["table", "bucket"]
    name: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Store:
        """Raises ValueError unless exactly one store is named: with two, readers and writers could differ."""
        named = [variable for variable in _VARIABLES if environment.get(variable)]
        if len(named) != 1:
            raise ValueError(f"one of {' and '.join(_VARIABLES)} must be set, found: {named}")
        return cls(kind=_VARIABLES[named[0]], name=environment[named[0]])


def reader(store: Store, timeouts: Timeouts) -> Results:
    """The store for those who ask for single results."""
    if store.kind == "table":
        return TableResults(dynamodb=dynamodb_client(timeouts), table=store.name)
    return BucketResults(s3=s3_client(timeouts), bucket=store.name)
