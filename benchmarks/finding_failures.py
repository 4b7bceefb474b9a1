"""What it takes to retry ten failed pictures among many: `python benchmarks/finding_failures.py`.

A real `imgpipe retry` runs to its end as a process of its own: it finds the failures, calls the ingest
function, waits for the results, and clears the failure queue. The functions are the real ones, the account
around them is moto's in memory, filled without its API. Requests are counted, not timed: an emulator's time
says nothing about AWS. Only how often results are read depends on time: every two seconds, and at the end.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "lambda_src")]

from get_result import app as get_result_app  # noqa: E402
from imgpipe_cli.aws.names import Names  # noqa: E402
from imgpipe_cli.session.settings import Settings  # noqa: E402
from imgpipe_cli.session.target import Target  # noqa: E402
from shared.result_objects import dump, entries_of, name_of, result_object  # noqa: E402
from shared.table_rows import row_of  # noqa: E402
from tests.support import gateway  # noqa: E402
from tests.support.cli import remember  # noqa: E402
from tests.support.function_cloud import BUCKET, Cloud, played_cloud  # noqa: E402
from tests.support.gateway import TOKEN, TOKEN_SHA256  # noqa: E402
from tests.support.picture_heads import jpeg  # noqa: E402
from tests.support.result_places import RESULTS_BUCKET, TABLE  # noqa: E402
from web import app as web_app  # noqa: E402

ACCOUNT, REGION = "123456789012", "eu-west-1"  # moto's
NAMES = Names("imgpipe", ACCOUNT, REGION)
FAILED = 10
_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@dataclass
class Asked:
    """What is counted: HTTP requests by route, and requests to the store for them by operation."""

    http: Counter[str] = field(default_factory=Counter)
    store: Counter[str] = field(default_factory=Counter)

    def note(self, model: Any, **_context: Any) -> None:
        self.store[model.name] += 1

    def row(self) -> str:
        shown = [
            ", ".join(f"{count} {name}" for name, count in sorted(one.items()))
            for one in (self.http, self.store)
        ]
        return f"{self.http.total()}: {shown[0]} | {self.store.total()}: {shown[1]}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Count what it takes to retry failures among many results.")
    parser.add_argument("--results", type=int, default=100_000, help="how many results (default 100,000)")
    parser.add_argument("--compare", action="store_true", help="also without the index, which is slow")
    chosen = parser.parse_args()
    os.environ |= _ENVIRONMENT
    print("| store | index | HTTP requests | requests to the store for them |\n|---|---|---|---|")
    for kind in ("table", "bucket"):
        for index in ("failed", "")[: 1 + chosen.compare]:
            with played_cloud(kind) as cloud:
                cloud.keep_versions()
                _fill(cloud, chosen.results)
                cloud.failed_index = index
                with redirect_stdout(io.StringIO()):  # the function's log
                    asked = _retried(cloud)
                print(f"| {kind} | {'yes' if index else 'no'} | {asked.row()} |", flush=True)
    return 0


def _retried(cloud: Cloud) -> Asked:
    """Run `imgpipe retry` on the account; all that was asked for it."""
    asked = Asked()
    cloud.results_client.meta.events.register("before-call.*.*", asked.note, unique_id="count")
    with (
        tempfile.TemporaryDirectory() as state,
        _account(cloud) as endpoint,
        gateway.serving(_answering(cloud, asked)) as api,
    ):
        os.environ["IMGPIPE_STATE_DIR"] = state
        remember(
            api,
            project=NAMES.project,
            target=Target(NAMES.project, region=REGION),
            endpoint=endpoint,
            token=TOKEN,
        )
        done = subprocess.run(
            [sys.executable, "-m", "imgpipe_cli", "retry", "--yes", "--json"],
            env={**os.environ, "AWS_ENDPOINT_URL": endpoint},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    pictures = json.loads(done.stdout)["data"]["pictures"]
    ends = {one["key"]: one["state"] for one in pictures}
    assert ends == {_key(number): "done" for number in range(FAILED)}, (done.stdout, done.stderr)
    return asked


# --- the account and the API ---------------------------------------------------------------------


class _Quiet(WSGIRequestHandler):
    """Writes no line for each request."""

    def log(self, type: str, message: str, *args: Any) -> None:
        del type, message, args


@contextmanager
def _account(cloud: Cloud) -> Iterator[str]:
    """The account behind one endpoint; its URL. moto runs no functions, so calls of ingest are made here."""
    aws = DomainDispatcherApplication(create_backend_app)
    # What ingest asks the store is not counted.
    ingest = replace(cloud, dynamodb=boto3.client("dynamodb"), results_s3=boto3.client("s3")).ingest
    one_at_a_time = threading.Lock()  # moto's transactions take no others beside them

    def answer(environment: dict[str, Any], start: Callable[..., Any]) -> Any:
        if not environment["PATH_INFO"].endswith("/invocations"):
            return aws(environment, start)
        event = environment["wsgi.input"].read(int(environment["CONTENT_LENGTH"]))
        with one_at_a_time:
            ingest(json.loads(event))
        start("200 OK", [("Content-Length", "2")])
        return [b"{}"]

    server = make_server("127.0.0.1", 0, answer, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


def _answering(cloud: Cloud, asked: Asked) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The functions behind the HTTP API."""
    web = cloud.web()
    read = get_result_app.Needs(
        config=get_result_app.Config(store=web.config.store, public_results=True, token_sha256=TOKEN_SHA256),
        results=cloud.results,
    )

    def answer(event: dict[str, Any]) -> dict[str, Any]:
        asked.http[event["routeKey"]] += 1
        if event["routeKey"] == "GET /result":
            return get_result_app.serve(event, None, read)
        return web_app.serve(event, None, web)

    return answer


# --- what is there -------------------------------------------------------------------------------


def _key(number: int) -> str:
    return f"holiday/{number:06}.jpg"


def _fill(cloud: Cloud, count: int) -> None:
    """A pipeline with so many results, of which the oldest failed; their events are in the failure queue."""
    boto3.client("ssm").put_parameter(
        Name=NAMES.settings_parameter,
        Type="String",
        Value=Settings(first_day="2026-11-20").to_json(),
        Tags=NAMES.tag_list,  # type: ignore[arg-type]
    )
    sqs = boto3.client("sqs")
    queue = sqs.create_queue(QueueName=NAMES.queue, tags=NAMES.tags)["QueueUrl"]
    table = dynamodb_backends[ACCOUNT][REGION].get_table(TABLE)
    objects = s3_backends[ACCOUNT]["aws"]
    for number in range(count):
        minutes, seconds = divmod(number % 86_400, 60)
        at = f"2026-11-{20 + number // 86_400}T{minutes // 60:02}:{minutes % 60:02}:{seconds:02}.000Z"
        item: dict[str, Any] = {
            **{"objectKey": _key(number), "bucket": BUCKET, "sequencer": "1", "features": ["labels"]},
            **{"status": "failed" if number < FAILED else "done", "analyzedAt": at, "day": at[:10]},
            **{"models": {}, "durationMs": 1, "eTag": "x"},
        }
        if number < FAILED:
            event = cloud.put(_key(number), jpeg(640 + number, 480))
            item["error"] = {"code": "throttled", "message": "Too busy.", "hint": "", "retryable": True}
            item["versionId"] = event["Records"][0]["s3"]["object"]["versionId"]
            given_up = {"requestPayload": event, "responsePayload": {"errorMessage": "throttled"}}
            sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(given_up))
        if cloud.kind == "table":
            table.put_item(row_of(item))
            continue
        for entry in entries_of(item):
            objects.put_object(RESULTS_BUCKET, entry, b"")
        objects.put_object(RESULTS_BUCKET, result_object(name_of(_key(number))), dump(item))


if __name__ == "__main__":
    sys.exit(main())
