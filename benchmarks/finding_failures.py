"""How many requests it takes to find ten failed pictures among many: `python benchmarks/finding_failures.py`.

The client and the functions are the real ones, the stores are moto's in memory, filled without their API.
Requests are counted, not timed: an emulator's time says nothing about AWS.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.s3.models import s3_backends

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "lambda_src")]

from imgpipe_cli.aws.client import Aws  # noqa: E402
from imgpipe_cli.aws.sign_in import Place  # noqa: E402
from imgpipe_cli.diagnose.retry.failures import Places, survey  # noqa: E402
from imgpipe_cli.pictures.api import Api  # noqa: E402
from shared.result_objects import dump, entries_of, name_of, result_object  # noqa: E402
from shared.table_rows import row_of  # noqa: E402
from tests.lambda_src.conftest import (  # noqa: E402
    BUCKET,
    RESULTS_BUCKET,
    TABLE,
    TOKEN,
    Cloud,
    played_cloud,
)
from web import app  # noqa: E402

ACCOUNT, REGION = "123456789012", "eu-west-1"  # moto's
FAILED = 10


class DirectApi(Api):
    """The client of the API, whose requests go straight to the function web."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__("https://api.example/prod", TOKEN)
        self._cloud = cloud
        self.requests = 0

    def _document(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        self.requests += 1
        route, _, query = path.partition("?")
        event = {
            "routeKey": f"{method} {route}",
            "rawQueryString": query,
            "headers": {"Authorization": f"Bearer {TOKEN}"},
            "requestContext": {"stage": "prod"},
            **({"body": body.decode()} if body else {}),
        }
        answer = app.serve(event, None, self._cloud.web())
        return answer["statusCode"], json.loads(answer["body"])


def main() -> int:
    parser = argparse.ArgumentParser(description="Count what it takes to find failures among many results.")
    parser.add_argument("--results", type=int, default=100_000, help="how many results (default 100,000)")
    parser.add_argument("--compare", action="store_true", help="also without the index, which is slow")
    chosen = parser.parse_args()
    print("| store | index | HTTP requests | requests to the store |\n|---|---|---|---|")
    for kind in ("table", "bucket"):
        with played_cloud(kind) as cloud:
            cloud.keep_versions()
            _fill(cloud, chosen.results)
            for index in ("failed", "")[: 1 + chosen.compare]:
                print(f"| {kind} | {'yes' if index else 'no'} | {_found(cloud, index)} |", flush=True)
    return 0


def _found(cloud: Cloud, index: str) -> str:
    """The HTTP requests that found the failures, and those to the store by operation."""
    cloud.failed_index = index
    asked: Counter[str] = Counter()

    def note(model: Any, **_context: Any) -> None:
        asked[model.name] += 1

    events = cloud.results_client.meta.events
    events.register("before-call.*.*", note, unique_id="count")
    api = DirectApi(cloud)
    found = survey(Places(Aws(Place(region=REGION)), BUCKET, api), (), ())
    events.unregister("before-call.*.*", unique_id="count")
    assert sorted(one.key for one in found) == sorted(_key(number) for number in range(FAILED)), found
    return f"{api.requests} | {', '.join(f'{count} {name}' for name, count in sorted(asked.items()))}"


def _key(number: int) -> str:
    return f"holiday/{number:06}.jpg"


def _fill(cloud: Cloud, count: int) -> None:
    """So many results, of which the oldest failed."""
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
            item["error"] = {"code": "throttled", "message": "Too busy.", "hint": "", "retryable": True}
            cloud.s3.put_object(Bucket=BUCKET, Key=_key(number), Body=b"picture")
        if cloud.kind == "table":
            table.put_item(row_of(item))
            continue
        for entry in entries_of(item):
            objects.put_object(RESULTS_BUCKET, entry, b"")
        objects.put_object(RESULTS_BUCKET, result_object(name_of(_key(number))), dump(item))


if __name__ == "__main__":
    sys.exit(main())
