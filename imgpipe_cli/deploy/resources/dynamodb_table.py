"""A DynamoDB table, and the one that holds one result item for each picture: a part of step 2."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.aws.iam.scopes import TABLE_INDEX, TABLES
from imgpipe_cli.aws.iam.uses import LOOK, UP, UP_AND_DOWN, Op, uses
from imgpipe_cli.aws.names import FAILED_INDEX, INDEX, Names, plain_tags
from imgpipe_cli.deploy.resource import MISSING, Call, Change, Context, Observed, Resource, TransientError
from imgpipe_cli.errors import Problem
from imgpipe_cli.session.settings import Settings

# The attribute by which each index of the results is divided; inside a part it is in the order of time.
#   by-time  a list of results reads one day after the other instead of the whole table
#   failed   rows of other results lack the attribute (lambda_src/shared/table_rows.py), so they are not in it
_PARTITIONS = {INDEX: "day", FAILED_INDEX: "failed"}
_TIME = "analyzedAt"
_TTL = "expiresAt"
_BUSY = (
    TransientError("ResourceInUseException", why="DynamoDB is still working on the table", limit_s=300),
    # "Only 50 tables can be created, updated, or deleted simultaneously"; other limits do not pass.
    TransientError("LimitExceededException", "simultaneous", "DynamoDB is making other tables just now", 300),
)
# Unlike other changes this one is refused when it was made already, as by a call whose answer got lost.
_MADE_ALREADY = (
    TransientError("ValidationException", "already enabled", "its answer got lost: looking again"),
    TransientError(
        "ValidationException",
        "multiple times within",
        "DynamoDB takes one such change an hour",
        limit_s=30,
        hint="Time to live was switched off less than an hour ago: run imgpipe up when the hour is over.",
    ),
)


class DynamoTable(Resource):
    """On demand, found by string keys.

    keys: the attributes of the primary key. partitions: of each index, by its name, the attribute that
    divides it. lost: what goes with the table, told where only its removal helps.
    """

    iam = (
        *uses(LOOK, TABLES, "dynamodb.describe_table", "dynamodb.list_tags_of_resource"),
        *uses(
            UP, TABLES, Op("dynamodb.create_table", also=("dynamodb:TagResource",)), "dynamodb.update_table"
        ),
        # `up` removes the table of results once they are in a bucket.
        *uses(UP_AND_DOWN, TABLES, "dynamodb.delete_table"),
    )
    needs = ("settings",)
    serialize = True
    keys: tuple[str, ...]
    partitions: Mapping[str, str] = MappingProxyType({})
    lost: str

    @abstractmethod
    def table(self, names: Names) -> str:
        """The table's name."""

    def observe(self, aws: Aws, names: Names) -> Observed:
        name = self.table(names)
        arn = names.dynamodb_arn(name)
        found = aws.together({"table": lambda: _description(aws, name), "tags": lambda: _tags(aws, arn)})
        table = found["table"]
        if isinstance(found["tags"], AwsError) and table is not None and not _in_passing(table):
            # DynamoDB also denies the tags of a table that is gone: it may have gone between the two looks.
            table = _description(aws, name)
            if table is not None and not _in_passing(table):
                raise found["tags"]
        if table is None:
            return MISSING
        status, in_passing = table["TableStatus"], _in_passing(table)
        tags = found["tags"].get("Tags") if isinstance(found["tags"], Mapping) else None
        indexes = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes", [])}
        building = [i for i in indexes.values() if i.get("IndexStatus", "ACTIVE") != "ACTIVE"]
        return Observed(
            exists=True,
            ready=status == "ACTIVE" and not building,
            owned=names.owns(tags or []),
            tags=None if tags is None else plain_tags(tags),
            detail=status.lower() if status != "ACTIVE" or not building else "index is being built",
            # While it is being made or removed its tags may not be readable; nothing is changed meanwhile.
            indeterminate=found["tags"] is None or (not tags and in_passing),
            facts={
                "keys": table["KeySchema"],
                "types": _types_of_keys(table),
                "indexes": {name: indexes[name] for name in self.partitions if name in indexes},
                "protected": table.get("DeletionProtectionEnabled", False),
                "billing": table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
            },
        )

    def diff(self, context: Context) -> Iterator[Change]:
        observed, table = context.observed, self.table(context.names)
        if not observed.exists:
            params = {
                "TableName": table,
                "KeySchema": _key_schema(*self.keys),
                "AttributeDefinitions": self._attributes(*self.partitions),
                **(
                    {"GlobalSecondaryIndexes": [self._index(name) for name in self.partitions]}
                    if self.partitions
                    else {}
                ),
                "BillingMode": "PAY_PER_REQUEST",
                "Tags": context.names.tag_list,
            }
            yield Change("create", f"table {table}", Call("dynamodb", "create_table", params, _BUSY))
            return
        self._refuse_other_keys(observed.facts, table)
        if observed.facts["billing"] != "PAY_PER_REQUEST":
            params = {"TableName": table, "BillingMode": "PAY_PER_REQUEST"}
            yield Change("update", f"billing of table {table}", _update("update_table", params))
        there = [name for name in self.partitions if name in observed.facts["indexes"]]
        for name in (name for name in self.partitions if name not in there):
            params = {
                "TableName": table,
                # DynamoDB refuses one that no index has.
                "AttributeDefinitions": self._attributes(*there, name),
                "GlobalSecondaryIndexUpdates": [{"Create": self._index(name)}],
            }
            yield Change("create", f"index {name} of table {table}", _update("update_table", params))

    def removals(self, context: Context) -> Iterator[Change]:
        observed, table = context.observed, self.table(context.names)
        if observed.detail == "deleting":
            return
        if observed.owned and observed.facts["protected"]:
            raise Problem(
                "table_protected",
                f"The table {table} is protected from deletion.",
                hint=f"Switch that off: aws dynamodb update-table --table-name {table} "
                "--no-deletion-protection-enabled; then run the command again.",
            )
        yield Change("delete", f"table {table}", _update("delete_table", {"TableName": table}))

    def _index(self, name: str) -> dict[str, Any]:
        return {
            "IndexName": name,
            "KeySchema": _key_schema(self.partitions[name], _TIME),
            # Keys only: each result is written once, and read in full by its key when it is listed.
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }

    def _attributes(self, *indexes: str) -> list[dict[str, str]]:
        """The types of all keys of the table and of these indexes."""
        indexed = (_TIME, *(self.partitions[name] for name in indexes)) if indexes else ()
        return [{"AttributeName": name, "AttributeType": "S"} for name in (*self.keys, *indexed)]

    def _refuse_other_keys(self, facts: Mapping[str, Any], table: str) -> None:
        """Raise a Problem for other keys of the table, which DynamoDB cannot change."""
        if facts["keys"] != _key_schema(*self.keys) or any(facts["types"][name] != "S" for name in self.keys):
            kind = "strings" if len(self.keys) > 1 else "string"
            raise Problem(
                "table_differs",
                f"The table {table} has another key than the {kind} {' and '.join(self.keys)}: DynamoDB "
                "cannot change that.",
                hint=f"aws dynamodb delete-table --table-name {table} removes it with {self.lost}, "
                "imgpipe up makes it anew. (imgpipe down would remove the pictures as well.)",
            )
        for name in self.partitions:
            self._refuse_other_index(name, facts, table)

    def _refuse_other_index(self, name: str, facts: Mapping[str, Any], table: str) -> None:
        """Raise a Problem for other keys of an index, which DynamoDB cannot change."""
        index, keys = facts["indexes"].get(name), (self.partitions[name], _TIME)
        strings = all(facts["types"].get(key, "S") == "S" for key in keys)
        if index is None and not strings:
            raise Problem(
                "table_differs",
                f"An index that others made in the table {table} has {' or '.join(keys)} as no strings, "
                f"which the missing index {name} needs.",
                hint="Remove that index in the DynamoDB console, then run imgpipe up.",
            )
        if index is not None and not (strings and index["KeySchema"] == _key_schema(*keys)):
            update = json.dumps([{"Delete": {"IndexName": name}}], separators=(",", ":"))
            raise Problem(
                "table_differs",
                f"The index {name} of the table {table} has another key: DynamoDB cannot change that.",
                hint=f"Remove it; no result is lost: aws dynamodb update-table --table-name {table} "
                f"--global-secondary-index-updates '{update}'; then run imgpipe up.",
            )


class Table(DynamoTable):
    """One item for each picture, keyed by its S3 object key; by time, and failed ones apart, in an index."""

    name = "table"
    title = "the results table"
    iam = (*DynamoTable.iam, *uses(UP_AND_DOWN, TABLE_INDEX, "dynamodb.scan"))
    keys = ("objectKey",)
    partitions = _PARTITIONS
    lost = "its results"

    def table(self, names: Names) -> str:
        return names.table

    def wanted(self, settings: Settings) -> bool:
        return "table" in settings.stores

    def unmanaged_changes(self, _aws: Aws, names: Names, observed: Observed) -> Iterator[str]:
        """Another projection of an index works as well; each result costs more."""
        for name, index in observed.facts.get("indexes", {}).items():
            kept = (index.get("Projection") or {}).get("ProjectionType", "KEYS_ONLY")
            if kept != "KEYS_ONLY":
                yield f"index {name} of table {names.table} keeps more than keys (projection {kept})"

    def contents(self, aws: Aws, names: Names, _seen: Observed) -> Mapping[str, int]:
        """Counted in the small index: DescribeTable's own count is up to six hours old."""
        query = {"TableName": names.table, "IndexName": INDEX, "Select": "COUNT"}
        return {"results": sum(page["Count"] for page in aws.pages("dynamodb", "scan", **query))}


class Expiry(Resource):
    """Time to live, so that the tombstones of removed pictures go by themselves."""

    name = "table.ttl"
    title = "the expiry of old results in the results table"
    iam = (
        *uses(LOOK, TABLES, "dynamodb.describe_time_to_live"),
        *uses(UP, TABLES, "dynamodb.update_time_to_live"),
    )
    needs = ("table",)
    parent = "table"

    def wanted(self, settings: Settings) -> bool:
        return "table" in settings.stores

    def observe(self, aws: Aws, names: Names) -> Observed:
        found = aws.find("dynamodb", "describe_time_to_live", TableName=names.table)
        if found is None:
            return MISSING
        ttl = found["TimeToLiveDescription"]
        status = ttl.get("TimeToLiveStatus", "DISABLED")
        on = status in ("ENABLED", "ENABLING") and ttl.get("AttributeName") == _TTL
        facts = {"on": on, "other": ttl.get("AttributeName") if status in ("ENABLED", "ENABLING") else None}
        # ENABLING can last an hour and hinders nobody.
        return Observed(exists=True, ready=status != "DISABLING", detail=status.lower(), facts=facts)

    def diff(self, context: Context) -> Iterator[Change]:
        observed, names = context.observed, context.names
        if not observed.facts.get("on"):
            if observed.facts.get("other"):
                raise Problem(
                    "ttl_differs",
                    f"The time to live of table {names.table} is in {observed.facts['other']}, not in "
                    f"{_TTL}: DynamoDB can only switch that off first.",
                    hint="Switch it off in the DynamoDB console; run imgpipe up an hour later, no sooner.",
                )
            specification = {"Enabled": True, "AttributeName": _TTL}
            params = {"TableName": names.table, "TimeToLiveSpecification": specification}
            call = Call("dynamodb", "update_time_to_live", params, transient=(*_BUSY, *_MADE_ALREADY))
            yield Change("set", f"time to live of table {names.table}", call)


def _description(aws: Aws, name: str) -> dict[str, Any] | None:
    found = aws.find("dynamodb", "describe_table", TableName=name)
    return None if found is None else found["Table"]


def _in_passing(table: Mapping[str, Any]) -> bool:
    return table["TableStatus"] in ("CREATING", "DELETING")


def _tags(aws: Aws, arn: str) -> Any:
    """The answer with the table's tags, or the denial; None where there is no table (yet, or any more)."""
    try:
        return aws.find("dynamodb", "list_tags_of_resource", ResourceArn=arn)
    except AwsError as error:
        # Also what is answered while the table is being made: its status tells which it is.
        if error.code == "AccessDeniedException":
            return error
        raise


def _update(operation: str, params: Mapping[str, Any]) -> Call:
    return Call("dynamodb", operation, params, transient=_BUSY)


def _types_of_keys(table: Mapping[str, Any]) -> Mapping[str, str]:
    """The types of all attributes that are a key of the table or of an index."""
    kinds = ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
    keyed = [table, *(index for kind in kinds for index in table.get(kind, []))]
    keys = {key["AttributeName"] for one in keyed for key in one["KeySchema"]}
    types = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
    return {name: kind for name, kind in types.items() if name in keys}


def _key_schema(*keys: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": name, "KeyType": kind} for name, kind in zip(keys, ("HASH", "RANGE"), strict=False)
    ]
