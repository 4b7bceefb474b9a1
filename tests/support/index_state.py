"""Results in an account that moto plays, and the rows of the index by which they are found."""

from __future__ import annotations

from typing import Any

from imgpipe_cli.deploy.results.row_index import RowIndex
from imgpipe_cli.deploy.results.store import store
from imgpipe_cli.lambdas.source import dynamo_types
from imgpipe_cli.lambdas.source import index_rows as rules
from imgpipe_cli.session.settings import Settings
from tests.support.account import NAMES, PlainHttpAws, finished

NOW_MS = 4_000_000_000_000  # after the making of any table
Rows = set[tuple[str, str]]


def item(key: str, *labels: str, **more: Any) -> Any:
    found = [{"Name": name, "Confidence": 90.0, "Aliases": [{"Name": f"Other {name}"}]} for name in labels]
    base = {"objectKey": key, "status": "done", "day": "2026-11-22", "sequencer": "1" * 32, "labels": found}
    return {**base, "analyzedAt": "2026-11-22T10:00:00.000Z", **more}


ITEMS = [item("a.jpg", "Cat", "Dog"), item("b/c.jpg", "Cat"), item("d.jpg", status="failed")]
GONE: Any = {"objectKey": "gone.jpg", "status": "removed", "sequencer": "1" * 32}


def rows_of(aws: PlainHttpAws) -> Rows:
    """Those of pictures."""
    found = aws.call("dynamodb", "scan", TableName=NAMES.index_table)["Items"]
    return {(row["pk"]["S"], row["sk"]["S"]) for row in found if "key" in row}


def names_of(aws: PlainHttpAws) -> set[str]:
    found = aws.call("dynamodb", "scan", TableName=NAMES.index_table)["Items"]
    return {row["sk"]["S"] for row in found if row["pk"]["S"] in ("labels", "aliases")}


def wanted(items: list[Any]) -> Rows:
    return {rules.row_of(entry, one["objectKey"]) for one in items for entry in rules.entries(one)}


def requests(one: Any, at: int, listed: list[str] | None = None) -> Any:
    """Its rows as BatchWriteItem takes them."""
    rows = rules.rows_of(one, rules.entries(one) if listed is None else listed, at)
    return {NAMES.index_table: [{"PutRequest": {"Item": dynamo_types.to_attributes(row)}} for row in rows]}


def index(settings: Settings, aws: PlainHttpAws, now_ms: int = NOW_MS) -> RowIndex:
    return RowIndex(aws, NAMES.index_table, store(settings.results, aws, NAMES), lambda: now_ms)


def stored(settings: Settings) -> dict[str, Any]:
    found = store(settings.results, PlainHttpAws(), NAMES).items({})
    return {one["objectKey"]: one for one in found}


def with_results(settings: Settings, *items: Any) -> PlainHttpAws:
    finished(settings, kind=PlainHttpAws)
    aws = PlainHttpAws()
    for one in (*items, GONE):
        assert store(settings.results, aws, NAMES).put(one, absent=True)
    return aws


def lacking(settings: Settings) -> PlainHttpAws:
    """A pipeline with results, whose index table somebody removed."""
    aws = with_results(settings, *ITEMS)
    index(settings, aws, 1_000_000_000_000).fill(lambda _seen: None)
    aws.call("dynamodb", "delete_table", TableName=NAMES.index_table)
    return aws


def assert_whole(settings: Settings, where: str = "") -> None:
    """The index has the rows of the results and no others, and it is read."""
    aws = PlainHttpAws()
    results = [one for one in stored(settings).values() if one["status"] != "removed"]
    assert rows_of(aws) == wanted(results), where
    assert names_of(aws) >= {row[1] for one in results for row in rules.rows_of_names(one)}, where
    web = aws.call("lambda", "get_function_configuration", FunctionName=NAMES.function("web"))
    assert "FAILED_INDEX" in web["Environment"]["Variables"], where
