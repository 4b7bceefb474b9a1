"""moto's DynamoDB as the tests have it, without walks through whole tables, is moto's DynamoDB."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.models.table import Table

from tests.support import exhaustive
from tests.support.faster_dynamodb import MOTOS_QUERY, MOTOS_TRANSACTION

KEYS = {"one": ("pk",), "two": ("pk", "sk")}
EITHER = "attribute_not_exists(n) OR n < :n"
CONDITIONS = ("attribute_exists(pk)", "attribute_not_exists(pk)", "n <= :n", EITHER)
UPDATES = ("ADD n :n", "SET n = :n", "SET t = :n REMOVE n", "ADD t :n", "SET n = n + :n", "SET n = m + :n")


@pytest.fixture
def dynamodb() -> Iterator[Any]:
    with mock_aws():
        yield client_with_tables()


def client_with_tables() -> Any:
    """An empty table with one key and one with two, each with an index by the second."""
    client: Any = boto3.client("dynamodb", "eu-west-1")
    for table, keys in KEYS.items():
        client.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
            KeySchema=[
                {"AttributeName": key, "KeyType": kind}
                for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by-sk",
                    "KeySchema": [{"AttributeName": "sk", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
    return client


@pytest.mark.loops
def test_it_answers_and_keeps_what_moto_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random transactions, of which many fail, and after each a random query and all that is kept."""
    for seed in exhaustive.points(60, keep=4):
        ours = told(seed)
        with monkeypatch.context() as patch:
            patch.setattr(DynamoDBBackend, "transact_write_items", MOTOS_TRANSACTION)
            patch.setattr(Table, "query", MOTOS_QUERY)
            assert told(seed) == ours


def told(seed: int) -> list[Any]:
    """All answers of an account to the same calls."""
    chance = random.Random(seed)
    with mock_aws():
        client = client_with_tables()
        answers: list[Any] = []
        for _ in range(25):
            parts = [part(chance) for _ in range(chance.choice((1, 1, 2, 3, 5)))]
            answers.append((parts, answer(client.transact_write_items, TransactItems=parts)))
            answers.append(answer(client.query, **query(chance)))
            answers.append([answer(client.scan, TableName=table) for table in KEYS])
        return answers


def answer(call: Callable[..., Any], **asked: Any) -> Any:
    try:
        found = call(**asked)
    except ClientError as error:
        return error.response["Error"], error.response.get("CancellationReasons")
    return {name: value for name, value in found.items() if name != "ResponseMetadata"}


def part(chance: random.Random) -> dict[str, Any]:
    """Of a transaction: one in ten is wrong."""
    kind = chance.choice(("Put", "Put", "Update", "Update", "Delete", "ConditionCheck"))
    table = chance.choice(tuple(KEYS))
    place = key(chance, KEYS[table])
    asked: dict[str, Any] = {"TableName": table}
    number = {":n": {"N": str(chance.randrange(5))}}
    if kind == "Put":
        asked["Item"] = {"sk": {"S": "x"}, "n": {"N": str(chance.randrange(5))}, "t": {"S": "t"}, **place}
    else:
        asked["Key"] = place
    if kind == "Update":
        asked |= {"UpdateExpression": chance.choice(UPDATES), "ExpressionAttributeValues": number}
    if kind == "ConditionCheck" or chance.random() < 0.4:
        asked["ConditionExpression"] = chance.choice(CONDITIONS)
        asked |= {"ExpressionAttributeValues": number} if ":n" in asked["ConditionExpression"] else {}
    wrong = chance.choice(("table", "key", "type")) if chance.random() < 0.1 else ""
    if wrong == "table":
        asked["TableName"] = "three"
    elif wrong:
        del place["pk"]
        place |= {"pk": {"N": "1"}} if wrong == "type" else {}
        asked |= {"Item": {**place, "t": {"S": "t"}}} if kind == "Put" else {}
    return {kind: asked}


def key(chance: random.Random, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: {"S": chance.choice("abc")} for name in names}


def query(chance: random.Random) -> dict[str, Any]:
    by_index = chance.random() < 0.3
    name = "sk" if by_index else "pk"
    asked: dict[str, Any] = {
        "TableName": chance.choice(tuple(KEYS)),
        "KeyConditionExpression": f"{name} = :value",
        "ExpressionAttributeValues": {":value": {"S": chance.choice("abcx")}},
        "ScanIndexForward": chance.random() < 0.5,
        "Limit": chance.randrange(1, 4),
    }
    return asked | ({"IndexName": "by-sk"} if by_index else {})


# --- and cheaper ------------------------------------------------------------------------------------


@pytest.fixture
def full(dynamodb: Any) -> Any:
    for number in range(100):
        row = {"pk": {"S": f"{number}"}, "sk": {"S": "s"}}
        for table in KEYS:
            dynamodb.put_item(TableName=table, Item=row)
    return dynamodb


def test_a_transaction_copies_what_it_names_alone(full: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[Item] = []
    copy = Item.__deepcopy__

    def noted(item: Item, memo: dict[int, Any]) -> Item:
        copied.append(item)
        return copy(item, memo)

    monkeypatch.setattr(Item, "__deepcopy__", noted)
    put = {"TableName": "one", "Item": {"pk": {"S": "7"}}}
    check = {"TableName": "two", "Key": {"pk": {"S": "8"}, "sk": {"S": "s"}}}
    condition = {"ConditionExpression": "attribute_exists(pk)"}
    full.transact_write_items(TransactItems=[{"Put": put}, {"ConditionCheck": {**check, **condition}}])
    assert {str(item.hash_key.value) for item in copied} == {"7", "8"}


def test_a_query_sorts_its_own_partition_alone(full: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sorted_: list[int] = []
    every = Table.all_items

    def noted(table: Table) -> list[Item]:
        found: list[Item] = every(table)
        sorted_.append(len(found))
        return found

    monkeypatch.setattr(Table, "all_items", noted)
    asked: Any = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "7"}}}
    assert full.query(TableName="two", **asked)["Count"] == 1
    assert sorted_ == [1]
