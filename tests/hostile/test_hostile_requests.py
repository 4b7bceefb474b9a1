"""Every request has its answer in JSON: the right one, or an error that names what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.hostile.expectations import ROW_TIMEOUT_S, rows
from tests.hostile.pipeline import Pipeline, pipeline
from tests.hostile.requests_table import KEY, REQUESTS, TEMPTING, RequestRow
from tests.support.function_cloud import BUCKET

pytestmark = pytest.mark.timeout(ROW_TIMEOUT_S)


@pytest.fixture(scope="module", params=["table", "bucket"])
def line(request: pytest.FixtureRequest) -> Iterator[Pipeline]:
    with pipeline(request.param) as found:
        for key in (KEY, *TEMPTING):
            found.cloud.store(key, "2026-11-22T10:00:00.000Z", features=["labels"], labels=[])
        yield found


@rows(REQUESTS)
def test_a_request_has_its_answer(
    line: Pipeline, capsys: pytest.CaptureFixture[str], row: RequestRow
) -> None:
    answer = line.ask(row.target, method=row.method, body=row.body, headers=row.headers)
    assert (answer.status, answer.code) == (row.status, row.code), answer.body
    if row.key:
        assert answer.json["objectKey"] == row.key
    if row.code:
        assert list(answer.json) == ["error"]
        assert answer.json["error"]["message"]
    if row.target == "/uploads" and not row.code:
        assert BUCKET in answer.json["url"]
        assert answer.json["key"].startswith("web/")
        assert "acl" not in answer.json["fields"]
    # What a request holds stays inside its own line of the log, and no failure of ours is hidden behind it.
    for told in capsys.readouterr().out.splitlines():
        assert json.loads(told)["level"] == "INFO"


def test_the_table_is_asked_with_the_right_token_otherwise(line: Pipeline) -> None:
    assert line.ask("/results").status == 200
