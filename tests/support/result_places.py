"""Where a test finds results and their index, and puts them: in a table, or in a bucket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared import index_rows
from shared.dynamo_types import to_attributes
from shared.result_item import Stored
from shared.result_objects import INDEX, dump, entries_of, load, name_of, parse_index, result_object
from shared.table_rows import row_of, stored_in

TABLE = "imgpipe-results"
INDEX_TABLE = "imgpipe-index"
RESULTS_BUCKET = "imgpipe-results-123456789012-eu-west-1-an"


@dataclass
class ResultPlaces:
    """kind: where results are kept, "table" or "bucket". results_s3, dynamodb, index: clients."""

    kind: str
    results_s3: Any
    dynamodb: Any
    index: Any

    @property
    def environment(self) -> Mapping[str, str]:
        """What tells the functions where the results and their index are."""
        store = {"TABLE_NAME": TABLE} if self.kind == "table" else {"RESULTS_BUCKET": RESULTS_BUCKET}
        return {**store, "INDEX_TABLE": INDEX_TABLE}

    @property
    def results_client(self) -> Any:
        return self.dynamodb if self.kind == "table" else self.results_s3

    def operation(self, what: str) -> str:
        """The operation that does "read" or "write" for one result."""
        names = {"table": ("GetItem", "PutItem"), "bucket": ("GetObject", "PutObject")}[self.kind]
        return names[("read", "write").index(what)]

    def stored(self, key: str) -> dict[str, Any] | None:
        if self.kind == "table":
            answer = self.dynamodb.get_item(TableName=TABLE, Key={"objectKey": {"S": key}})
            return dict(stored_in(answer["Item"])) if "Item" in answer else None
        try:
            answer = self.results_s3.get_object(Bucket=RESULTS_BUCKET, Key=result_object(name_of(key)))
        except self.results_s3.exceptions.NoSuchKey:
            return None
        return dict(load(answer["Body"].read()))

    def objects(self, prefix: str) -> list[str]:
        answer = self.results_s3.list_objects_v2(Bucket=RESULTS_BUCKET, Prefix=prefix)
        return [entry["Key"] for entry in answer.get("Contents", [])]

    def rows(self) -> set[tuple[str, str, str]]:
        """(pk, sk, key) of all rows by which pictures are found."""
        pages = self.index.get_paginator("scan").paginate(TableName=INDEX_TABLE)
        rows = [row for page in pages for row in page["Items"]]
        return {(row["pk"]["S"], row["sk"]["S"], row["key"]["S"]) for row in rows if "key" in row}

    def missing_rows(self, item: Stored) -> set[tuple[str, str]]:
        """(pk, sk) of the rows that a result must have, and that are not there."""
        wanted = {index_rows.row_of(entry, item["objectKey"]) for entry in index_rows.entries(item)}
        keys: Any = [to_attributes({"pk": pk, "sk": sk}) for pk, sk in wanted]
        found = self.dynamodb.batch_get_item(RequestItems={INDEX_TABLE: {"Keys": keys}})
        return wanted - {(row["pk"]["S"], row["sk"]["S"]) for row in found["Responses"][INDEX_TABLE]}

    def indexed(self) -> list[tuple[str, str]]:
        """(time, key) of all entries of the index by time."""
        if self.kind == "table":
            rows = self.dynamodb.scan(TableName=TABLE, IndexName="by-time")["Items"]
            return [(row["analyzedAt"]["S"], row["objectKey"]["S"]) for row in rows]
        return [entry for key in self.objects(INDEX) if (entry := parse_index(key))]

    def store(self, key: str, analyzed_at: str, **more: Any) -> None:
        """Put a result as if it had been analyzed at that time."""
        base = {"objectKey": key, "status": "done", "analyzedAt": analyzed_at, "day": analyzed_at[:10]}
        item = {**base, "sequencer": "0" * 32, **more}
        if self.kind == "table":
            self.dynamodb.put_item(TableName=TABLE, Item=row_of(item))
            return
        name = result_object(name_of(key))
        for entry in entries_of(item):
            self.results_s3.put_object(Bucket=RESULTS_BUCKET, Key=entry, Body=b"")
        self.results_s3.put_object(Bucket=RESULTS_BUCKET, Key=name, Body=dump(item))

    def lose(self, key: str) -> None:
        """Take a result away, not by way of the function."""
        if self.kind == "table":
            self.dynamodb.delete_item(TableName=TABLE, Key={"objectKey": {"S": key}})
        else:
            self.results_s3.delete_object(Bucket=RESULTS_BUCKET, Key=result_object(name_of(key)))
