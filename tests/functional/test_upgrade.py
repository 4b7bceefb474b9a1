"""A pipeline as the release before the index made it: `up` brings it up to date, and analyzes nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from imgpipe_cli.deploy.results.store import store
from imgpipe_cli.events import Event, Note
from imgpipe_cli.session.settings import Settings
from tests.support.account import IN_S3, NAMES, SETTINGS, PlainHttpAws, down, finished, inventory, up
from tests.support.drift_actions import INGEST, WEB, delete_index
from web import app as web_app
from web.bucket_list import BucketList
from web.index_reader import IndexReader
from web.needs import Config, Needs
from web.table_list import TableList
from web.usage import Counters

pytestmark = pytest.mark.usefixtures("account")

BOTH = pytest.mark.parametrize("settings", [SETTINGS, IN_S3], ids=["table", "s3"])
COUNT = 200
NEW_VARIABLES = ("INDEX_TABLE", "FAILED_INDEX", "MONTHLY_LIMIT")
NEW_ROUTES = ("GET /labels", "GET /usage")


def result(number: int) -> Any:
    """As ingest wrote it then: without SHA-256, and without a list of rows."""
    name = "Cat" if number % 2 else "Dog"
    time = f"2026-11-22T10:{number // 60:02}:{number % 60:02}.000Z"
    base = {"objectKey": f"{number}.jpg", "bucket": NAMES.bucket, "status": "done", "analyzedAt": time}
    if number == COUNT - 1:
        error = {"code": "throttled", "message": "Too busy.", "hint": "Wait.", "retryable": True}
        return {**base, "status": "failed", "error": error, "day": "2026-11-22", "sequencer": f"{number:032}"}
    labels = [{"Name": name, "Confidence": 80.0 + number / 100, "Parents": [{"Name": "Animal"}]}]
    return {**base, "labels": labels, "day": "2026-11-22", "sequencer": f"{number:032}"}


def older(settings: Settings) -> dict[str, Any]:
    """Make that pipeline; what a new one of the same settings has."""
    finished(settings, kind=PlainHttpAws)
    as_new = inventory()
    aws = PlainHttpAws()
    for one in map(result, range(COUNT)):
        assert store(settings.results, aws, NAMES).put(one, absent=True)
    functions = aws.client("lambda")
    for name in (INGEST, WEB):
        found = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        kept = {key: value for key, value in found.items() if key not in NEW_VARIABLES}
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": kept})
        functions.update_function_code(FunctionName=name, ZipFile=b"the code of then")
    if settings.results == "table":
        delete_index("failed")(aws)
    aws.call("dynamodb", "delete_table", TableName=NAMES.index_table)
    (api,) = aws.call("apigatewayv2", "get_apis")["Items"]
    routes = aws.call("apigatewayv2", "get_routes", ApiId=api["ApiId"])["Items"]
    for route in routes:
        if route["RouteKey"] in NEW_ROUTES:
            aws.call("apigatewayv2", "delete_route", ApiId=api["ApiId"], RouteId=route["RouteId"])
    queue = aws.client("sqs")
    url = queue.get_queue_url(QueueName=NAMES.queue)["QueueUrl"]
    queue.send_message(QueueUrl=url, MessageBody="a failed event")
    return as_new


def ask(route: str, query: str) -> dict[str, Any]:
    """What the deployed function web answers, by its own settings and with the pipeline's token."""
    aws = PlainHttpAws()
    found = aws.client("lambda").get_function_configuration(FunctionName=WEB)
    config = Config.from_environment(found["Environment"]["Variables"])
    dynamodb, s3, name = aws.client("dynamodb"), aws.client("s3"), config.store.name
    results: Any = BucketList(s3=s3, bucket=name, failed_index=bool(config.failed_index))
    if config.store.kind == "table":
        indexes = {"index": config.index, "failed_index": config.failed_index}
        results = TableList(dynamodb=dynamodb, table=name, first_day=config.first_day, **indexes)
    needs = Needs(
        config=config,
        results=results,
        s3=s3,
        counters=Counters(dynamodb=dynamodb, table=config.index_table),
        index=IndexReader(dynamodb=dynamodb, table=config.index_table),
        now=lambda: datetime(2026, 11, 23, tzinfo=UTC),
    )
    token = aws.call("ssm", "get_parameter", Name=NAMES.token_parameter, WithDecryption=True)["Parameter"]
    headers = {"authorization": f"Bearer {token['Value']}"}
    event = {"routeKey": route, "rawQueryString": query, "headers": headers}
    answer: dict[str, Any] = json.loads(web_app.serve(event, None, needs)["body"])
    return answer


@BOTH
def test_up_brings_it_up_to_date_and_everything_is_found(settings: Settings) -> None:
    as_new = older(settings)
    events: list[Event] = []
    up(PlainHttpAws(), settings, emit=events.append)
    assert "indexed" in [event.code for event in events if isinstance(event, Note)]
    found = inventory()
    queue = f"queue {NAMES.queue}"
    assert {name: what for name, what in found.items() if name != queue} == {
        name: what for name, what in as_new.items() if name != queue
    }
    url = boto3.client("sqs", region_name=NAMES.region).get_queue_url(QueueName=NAMES.queue)["QueueUrl"]
    waiting = PlainHttpAws().call("sqs", "receive_message", QueueUrl=url)["Messages"]
    assert [message["Body"] for message in waiting] == ["a failed event"]
    page = ask("GET /results", "label=cat&limit=100")
    assert page["index"] == {"complete": True}
    assert [item["objectKey"] for item in page["items"]] == [f"{n}.jpg" for n in range(197, 0, -2)]
    (failed,) = ask("GET /results", "name=199")["items"]
    assert failed["status"] == "failed"
    (failed,) = ask("GET /results", "status=failed")["items"]
    assert failed["objectKey"] == "199.jpg"
    counts = {item["name"]: item["count"] for item in ask("GET /labels", "")["items"]}
    assert counts == {"Animal": 199, "Cat": 99, "Dog": 100}
    idle = PlainHttpAws()
    up(idle, settings)
    assert idle.writes == []
    assert down(PlainHttpAws()) == []
    assert not [name for name in inventory() if "demo" in name]
