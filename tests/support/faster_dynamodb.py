"""moto's DynamoDB without its walks through whole tables.

moto keeps a copy of each table of a transaction, to put it back if the transaction fails, and sorts all rows
of a table to query one partition. Here its own code works on a table that holds what is asked for alone.
"""

from __future__ import annotations

import copy
import threading
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table

Place = tuple[DynamoType, DynamoType | None]
"""Of an item in its table: the values of its hash key and of its range key."""

MOTOS_TRANSACTION = DynamoDBBackend.transact_write_items
MOTOS_QUERY = Table.query
_transacting = threading.Lock()


def _transact_write_items(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    """On copies of the items that it names, which take their places in the tables if nothing was raised."""
    with _transacting:
        named = {
            name: (table, list(_places(backend, table, transact_items)))
            for name, table in backend.tables.items()
        }
        apart = copy.copy(backend)
        apart.tables = {name: _with_copies(table, places) for name, (table, places) in named.items()}
        MOTOS_TRANSACTION(apart, transact_items)
        for name, (table, places) in named.items():
            for place in places:
                _put(table, place, apart.tables[name].get_item(*place))


def _places(backend: DynamoDBBackend, table: Table, transact_items: list[dict[str, Any]]) -> Iterable[Place]:
    """Of the items that are named; moto refuses a transaction where a key is not complete."""
    for part in transact_items:
        for asked in part.values():
            if asked["TableName"] in (table.name, table.table_arn):
                try:
                    yield backend.get_keys_value(table, asked.get("Key", asked.get("Item")))
                except MockValidationException:
                    continue


def _with_copies(table: Table, places: Iterable[Place]) -> Table:
    """None here has a stream, which would be told of what may not happen."""
    assert table.stream_shard is None
    found = _emptied(table)
    for place in places:
        _put(found, place, copy.deepcopy(table.get_item(*place)))
    return found


def _emptied(table: Table) -> Table:
    empty = copy.copy(table)
    empty.items = defaultdict(dict)
    return empty


def _put(table: Table, place: Place, item: Item | None) -> None:
    """None: take away what is there."""
    hash_key, range_key = place
    if item is None:
        table.delete_item(hash_key, range_key)
    elif range_key is None:
        table.items[hash_key] = item
    else:
        table.items[hash_key][range_key] = item


def _query_partition(table: Table, hash_key: DynamoType | None, *asked: Any, **named: Any) -> Any:
    """In a table with this partition alone, unless an index is queried."""
    *_, index_name, _consistent, _filter = asked
    if hash_key is None or index_name:
        return MOTOS_QUERY(table, hash_key, *asked, **named)
    alone = _emptied(table)
    if hash_key in table.items:
        alone.items[hash_key] = table.items[hash_key]
    return MOTOS_QUERY(alone, hash_key, *asked, **named)


DYNAMODB: tuple[tuple[str, Any], ...] = (
    ("moto.dynamodb.models.DynamoDBBackend.transact_write_items", _transact_write_items),
    ("moto.dynamodb.models.table.Table.query", _query_partition),
)
