"""A pipeline as the release before the index made it: `up` brings it up to date, and analyzes nothing."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.handlers
import pytest

from get_result import app as get_result_app
from imgpipe_cli.aws.client import Aws
from imgpipe_cli.deploy.results.store import store
from imgpipe_cli.events import Event, Note
from imgpipe_cli.session.settings import Settings
from ingest import app as ingest_app
from ingest.bucket_store import ResultBucket
from ingest.index_table import IndexTable
from ingest.indexed_store import IndexedStore
from ingest.permits import shared_permits
from ingest.table_store import ResultTable
from ingest.work import Needs as IngestNeeds
from tests.support import gateway
from tests.support.account import IN_S3, NAMES, SETTINGS, PlainHttpAws, down, finished, inventory, up
from tests.support.cli import Cli, remember
from tests.support.drift_actions import INGEST, WEB, delete_index
from tests.support.fake_lambda import FakeLambda, Rekognition, no_call_outlives_the_account
from web import app as web_app
from web.bucket_list import BucketList
from web.index_reader import IndexReader
from web.needs import Config, Needs
from web.table_list import TableList
from web.usage import Counters

pytestmark = pytest.mark.usefixtures("account")

BOTH = pytest.mark.parametrize("settings", [SETTINGS, IN_S3], ids=["table", "s3"])
COUNT = 200
FAILED = f"{COUNT - 1}.jpg"
CAT = (Path(__file__).parents[2] / "examples" / "cat.jpg").read_bytes()
HERE = ("--project", "demo", "--region", NAMES.region)
Document = dict[str, Any]
NEW_VARIABLES = ("INDEX_TABLE", "FAILED_INDEX", "INDEX_FORMAT", "MONTHLY_LIMIT")
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
    aws, lambda_ = PlainHttpAws(), FakeLambda(NAMES)
    event = lambda_.put(FAILED, CAT, sequencer=f"{COUNT - 1:032}")
    for one in map(result, range(COUNT)):
        if one["objectKey"] == FAILED:
            one["versionId"] = event["Records"][0]["s3"]["object"]["versionId"]
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
    lambda_.give_up(event, error="throttled: Too busy.")
    return as_new


def environment(function: str) -> dict[str, str]:
    """What the deployed function is told."""
    found = PlainHttpAws().client("lambda").get_function_configuration(FunctionName=function)
    return dict(found["Environment"]["Variables"])


def web(event: Document) -> dict[str, Any]:
    """What the deployed function web answers, by its own settings."""
    aws = PlainHttpAws()
    config = Config.from_environment(environment(WEB))
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
    if event["routeKey"] == "GET /result":  # another function, which reads the same store
        read = get_result_app.Config.from_environment(environment(NAMES.function("get_result")))
        return get_result_app.serve(event, None, get_result_app.Needs(config=read, results=results))
    return web_app.serve(event, None, needs)


def token() -> str:
    aws = PlainHttpAws()
    found = aws.call("ssm", "get_parameter", Name=NAMES.token_parameter, WithDecryption=True)
    return str(found["Parameter"]["Value"])


def ask(route: str, query: str) -> dict[str, Any]:
    """What it answers with the pipeline's token."""
    headers = {"authorization": f"Bearer {token()}"}
    answer: dict[str, Any] = json.loads(
        web({"routeKey": route, "rawQueryString": query, "headers": headers})["body"]
    )
    return answer


def ingest(event: Document, rekognition: Rekognition) -> Document:
    """Lambda's answer to a call of the deployed function ingest."""
    aws = PlainHttpAws()
    config = ingest_app.Config.from_environment(environment(INGEST))
    dynamodb, s3, name = aws.client("dynamodb"), aws.client("s3"), config.store.name
    bare: Any = ResultBucket(s3=s3, bucket=name)
    if config.store.kind == "table":
        bare = ResultTable(dynamodb=dynamodb, name=name)
    store = IndexedStore(store=bare, index=IndexTable(dynamodb=dynamodb, table=config.index))
    slept: list[float] = []
    needs = IngestNeeds(
        features=config.features,
        store=store,
        s3=s3,
        rekognition=rekognition,
        permits=shared_permits(dynamodb, config.index, store=store, limit=config.monthly_limit),
        clock=lambda: sum(slept),
        sleep=slept.append,
    )
    try:
        with redirect_stdout(io.StringIO()):  # its log
            ingest_app.serve(event, None, needs)
    except ingest_app.Unfinished as error:
        text = json.dumps({"errorMessage": str(error)})
        return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": io.BytesIO(text.encode())}
    return {"StatusCode": 200, "Payload": io.BytesIO(b"{}")}


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
    (waiting,) = PlainHttpAws().call("sqs", "receive_message", QueueUrl=url)["Messages"]
    assert f'"key": "{FAILED}"' in waiting["Body"]
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


def retried(cli: Cli, *arguments: str) -> tuple[list[str], int]:
    """How the pictures ended, and how many events left the queue."""
    found = cli("retry", *arguments, "--json").document["data"]
    return [one["state"] for one in found["pictures"]], found["failureQueue"]["taken"]


@BOTH
def test_the_commands_work_on_it_and_only_the_failed_picture_is_analyzed(
    settings: Settings, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    older(settings)
    rekognition, endpoint = Rekognition(), Aws.endpoint

    def called(params: Document, **_context: Any) -> tuple[Any, Document]:
        return SimpleNamespace(status_code=200), ingest(json.loads(params["body"]), rekognition)

    handlers = [*botocore.handlers.BUILTIN_HANDLERS, ("before-call.lambda.Invoke", called)]
    monkeypatch.setattr(botocore.handlers, "BUILTIN_HANDLERS", handlers)
    monkeypatch.setattr(Aws, "endpoint", lambda aws, name: endpoint(aws, name).replace("https:", "http:"))
    monkeypatch.setattr("imgpipe_cli.deploy.readiness.wait_until_answering", lambda *_args, **_more: None)
    assert cli("up", *HERE, "--json").code == 0
    with gateway.serving(web) as url:
        remember(url, token=token())
        assert len(cli("list", "--limit", "0", "--json").lines) == COUNT
        assert [one["objectKey"] for one in cli("list", "--status", "failed", "--json").lines] == [FAILED]
        assert len(cli("find", "cat", "--limit", "0", "--json").lines) == COUNT // 2 - 1
        assert cli("result", "1.jpg").code == 0
        assert cli("result", FAILED).code == 1

        rekognition.trouble = "ThrottlingException"
        assert retried(cli, FAILED) == (["failed"], 0)
        assert set(rekognition.asked) == {FAILED}
        rekognition.trouble = ""
        rekognition.asked.clear()
        assert retried(cli, "--yes") == (["done"], 1)
        assert rekognition.asked == [FAILED]
        assert cli("result", FAILED).code == 0
        assert len(cli("find", "cat", "--limit", "0", "--json").lines) == COUNT // 2
        assert "Nothing has failed." in cli("retry").out
    no_call_outlives_the_account()
    assert cli("down", *HERE, "--yes", "--json").code == 0
    assert not [name for name in inventory() if "demo" in name]
