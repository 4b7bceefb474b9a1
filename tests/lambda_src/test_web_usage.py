"""GET /usage: what was analyzed this month."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.support.picture_heads import jpeg
from web import app

if TYPE_CHECKING:
    from tests.support.function_cloud import Cloud
    from tests.support.gateway import Call

pytestmark = pytest.mark.parametrize("store_kind", ["table"])
NOTHING = {"pictures": 0, "analyses": 0, "analyzed": {}, "reused": {}, "limit": None, "left": None}


def test_a_month_in_which_nothing_happened_is_all_zeros(call: Call, cloud: Cloud) -> None:
    assert call(app.serve, cloud.web(), "GET /usage").json == {"month": "2026-11", **NOTHING}


def test_it_tells_pictures_analyses_reused_answers_and_what_is_left(call: Call, cloud: Cloud) -> None:
    for key in ("a.jpg", "copy.jpg", "other.jpg"):
        body = jpeg(tail=key[:1].replace("c", "a").encode())
        cloud.ingest(cloud.put(key, body), features="labels,faces", limit="5")
    answer = call(app.serve, cloud.web(limit=5), "GET /usage").json
    assert answer == {
        "month": "2026-11",
        "pictures": 3,
        "analyses": 4,
        "analyzed": {"labels": 2, "faces": 2},
        "reused": {"labels": 1, "faces": 1},
        "limit": 5,
        "left": 1,
    }
    assert call(app.serve, cloud.web(limit=2), "GET /usage").json["left"] == 0
    cloud.now = datetime(2026, 12, 1, tzinfo=UTC)
    assert call(app.serve, cloud.web(), "GET /usage").json == {"month": "2026-12", **NOTHING}


def test_a_picture_that_is_analyzed_again_is_counted_once_a_month(call: Call, cloud: Cloud) -> None:
    """For further features, for a newer model, and with the answers of a copy; a new version is another."""

    def pictures() -> object:
        return call(app.serve, cloud.web(), "GET /usage").json["pictures"]

    event = cloud.put("a.jpg", jpeg())
    cloud.ingest(event, features="labels")
    cloud.ingest(cloud.put("copy.jpg", jpeg()), features="labels,faces")
    assert pictures() == 2
    cloud.ingest(event, features="labels,faces")
    event["Records"][0] |= {"imgpipe": "retry", "again": {"labels": "3.0"}}
    cloud.ingest(event, features="labels,faces,text")
    assert pictures() == 2
    cloud.ingest(cloud.put("a.jpg", jpeg(tail=b"other")), features="labels")
    assert pictures() == 3
    cloud.now = datetime(2026, 12, 1, tzinfo=UTC)
    cloud.ingest(cloud.put("copy.jpg", jpeg()), features="labels")
    before = pictures()
    last = cloud.put("last.jpg", jpeg(tail=b"last"))
    cloud.now = datetime(2027, 1, 1, tzinfo=UTC)
    cloud.ingest(last, features="labels")
    cloud.now = datetime(2027, 2, 1, tzinfo=UTC)
    cloud.ingest(last, features="labels,faces")
    assert (before, pictures()) == (1, 1)


def test_it_needs_the_token(call: Call, cloud: Cloud) -> None:
    assert call(app.serve, cloud.web(), "GET /usage", token=None).status == 401


def test_a_busy_table_is_told_as_such(call: Call, cloud: Cloud) -> None:
    cloud.fail(cloud.index, "GetItem", 400, "ThrottlingException")
    assert call(app.serve, cloud.web(), "GET /usage").status == 503
