"""The rows by which pictures are found: added by `up` where there are none, and repaired."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from typing import Any

import pytest

from imgpipe_cli.deploy.results.row_index import RowIndex
from imgpipe_cli.deploy.results.store import store
from imgpipe_cli.lambdas.source import dynamo_types
from imgpipe_cli.lambdas.source import index_rows as rules
from imgpipe_cli.session.settings import Settings
from ingest.counting import Asker, Claim
from tests.support.account import IN_S3, NAMES, SETTINGS, Killed, PlainHttpAws, down, finished, up

pytestmark = pytest.mark.usefixtures("account")

BOTH = pytest.mark.parametrize("settings", [SETTINGS, IN_S3], ids=["table", "s3"])
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


def pipeline(settings: Settings, *items: Any) -> PlainHttpAws:
    finished(settings, kind=PlainHttpAws)
    aws = PlainHttpAws()
    for one in (*items, GONE):
        assert store(settings.results, aws, NAMES).put(one, absent=True)
    return aws


@BOTH
@pytest.mark.parametrize("now_ms", [NOW_MS, 0], ids=["ahead", "behind"])
def test_results_without_rows_get_them_however_often_it_is_killed(settings: Settings, now_ms: int) -> None:
    """Whatever the clock of this machine says."""
    pipeline(settings, *ITEMS)
    killed = 0
    while True:
        aws = PlainHttpAws(die_after=killed % 3)
        with suppress(Killed):
            index(settings, aws, now_ms).fill(lambda _seen: None)
            break
        killed += 1
        assert killed < 100, "it begins anew each time"
    assert killed
    assert rows_of(aws) == wanted(ITEMS)
    assert names_of(aws) == {"cat", "dog", "other cat#cat", "other dog#dog"}
    assert all(rules.is_indexed(one) for one in stored(settings).values() if one["status"] != "removed")
    idle = PlainHttpAws()
    assert index(settings, idle, now_ms).fill(lambda _seen: None) == 0
    assert idle.writes == []


@BOTH
@pytest.mark.parametrize("ahead_s", [-86_400, 600])
@pytest.mark.parametrize("with_web", [False, True], ids=["the table", "the function that reads it too"])
def test_after_somebody_removed_the_index_table_up_fills_a_new_one_however_often_it_is_killed(
    settings: Settings, ahead_s: int, with_web: bool
) -> None:
    """ahead_s: of the clock that wrote when the rows of the removed table were written.

    With the function, as a `down` that was killed leaves it.
    """
    aws = pipeline(settings, *ITEMS)
    index(settings, aws, (int(time.time()) + ahead_s) * 1000).fill(lambda _seen: None)
    aws.call("dynamodb", "delete_table", TableName=NAMES.index_table)
    if with_web:
        aws.call("lambda", "delete_function", FunctionName=NAMES.function("web"))
    killed = 0
    while True:
        with suppress(Killed):
            up(PlainHttpAws(die_after=killed % 4), settings, workers=1)
            break
        killed += 1
        assert killed < 100, "it begins anew each time"
    assert killed >= 3
    assert rows_of(aws) == wanted(ITEMS)
    assert names_of(aws) == {"cat", "dog", "other cat#cat", "other dog#dog"}
    idle = PlainHttpAws()
    up(idle, settings)
    assert idle.writes == []


@BOTH
def test_up_after_a_down_that_was_killed_finds_nothing_of_results_that_are_gone(settings: Settings) -> None:
    aws = pipeline(settings, *ITEMS)
    whole = PlainHttpAws()
    down(whole, workers=1)
    points = [n for n, (_, what) in enumerate(whole.writes) if what in ("delete_table", "delete_objects")]
    for die_after in points:
        up(PlainHttpAws(), settings)
        for one in ITEMS:
            store(settings.results, aws, NAMES).put(one, absent=False)
        index(settings, aws, 1_000_000_000_000).fill(lambda _seen: None)
        with suppress(Killed):
            down(PlainHttpAws(die_after=die_after), workers=1)
        up(PlainHttpAws(), settings)
        assert rows_of(aws) == wanted(
            [one for one in stored(settings).values() if one["status"] != "removed"]
        )


@BOTH
def test_an_index_table_that_is_just_being_removed_is_filled_anew(settings: Settings) -> None:
    aws = pipeline(settings, *ITEMS)
    index(settings, aws, 1_000_000_000_000).fill(lambda _seen: None)
    table = aws.call("dynamodb", "describe_table", TableName=NAMES.index_table)["Table"]
    aws.call("dynamodb", "delete_table", TableName=NAMES.index_table)

    class Slow(PlainHttpAws):
        def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
            mine = operation == "describe_table" and params["TableName"] == NAMES.index_table
            if mine and self.clock() < 20:
                return {"Table": {**table, "TableStatus": "DELETING"}}
            return super().call(service, operation, **params)

    up(Slow(), settings)
    assert rows_of(aws) == wanted(ITEMS)


def test_it_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgpipe_cli.deploy.results.row_index._NOTED_EVERY", 1)
    aws = pipeline(SETTINGS, *ITEMS)
    seen: list[int] = []
    index(SETTINGS, aws).fill(seen.append, of=3)
    assert seen == [3]
    pk, sk = rules.STATE
    row = aws.call(
        "dynamodb", "get_item", TableName=NAMES.index_table, Key={"pk": {"S": pk}, "sk": {"S": sk}}
    )
    state = dynamo_types.from_attributes(row["Item"])
    assert (state["filled"], state["of"]) == (3, 3)


@BOTH
def test_a_result_that_changes_meanwhile_keeps_its_own_rows(settings: Settings) -> None:
    aws = pipeline(settings, ITEMS[0])
    newer = item("a.jpg", "Sofa", sequencer="2" * 32, indexed=[], indexedAt=NOW_MS)
    place = index(settings, aws)
    (seen,) = (one for one in place.store.items({}) if one["status"] != "removed")
    assert place.store.put(newer, absent=False)
    assert not place._add(seen)
    assert stored(settings)["a.jpg"] == newer


@BOTH
def test_repair_makes_the_rows_those_of_the_results(settings: Settings) -> None:
    aws = pipeline(settings, *ITEMS)
    index(settings, aws).fill(lambda _seen: None)
    chance = random.Random(7)
    for pk, sk in chance.sample(sorted(rows_of(aws)), 4):
        aws.call(
            "dynamodb", "delete_item", TableName=NAMES.index_table, Key={"pk": {"S": pk}, "sk": {"S": sk}}
        )
    over = [
        *rules.rows_of(item("a.jpg"), ["10.00 label#zebra"], NOW_MS),
        *rules.rows_of(GONE, ["00.00 x"], 1),
    ]
    for row in over:
        attributes = dynamo_types.to_attributes(row)
        aws.call("dynamodb", "put_item", TableName=NAMES.index_table, Item=attributes)
    young = index(settings, aws, NOW_MS + 1000).repair()
    assert young == (4, 1), "what is young may be ahead of its result"
    assert index(settings, aws, NOW_MS + 1_000_000).repair() == (0, 1)
    assert rows_of(aws) == wanted(ITEMS)
    idle = PlainHttpAws()
    assert index(settings, idle, NOW_MS + 2_000_000).repair() == (0, 0)
    assert rows_of(aws) == wanted(ITEMS)


def test_rows_of_a_result_that_cannot_be_read_stay() -> None:
    aws = pipeline(IN_S3, *ITEMS)
    index(IN_S3, aws).fill(lambda _seen: None)
    aws.call("s3", "put_object", Bucket=NAMES.results_bucket, Key="results/a.jpg.json", Body=b"{")
    assert index(IN_S3, aws, NOW_MS + 1_000_000).repair() == (0, 0)
    assert rows_of(aws) == wanted(ITEMS)


@BOTH
def test_a_result_that_comes_while_a_long_repair_reads_keeps_its_rows(settings: Settings) -> None:
    aws, now_ms = pipeline(settings, ITEMS[0]), NOW_MS
    place = RowIndex(aws, NAMES.index_table, store(settings.results, aws, NAMES), lambda: now_ms)
    place.fill(lambda _seen: None)
    late = item("late.jpg", "Cat")

    class Long(type(place.store)):  # type: ignore[misc]
        def items(self, *asked: Any) -> Any:
            nonlocal now_ms
            yield from super().items(*asked)
            if now_ms == NOW_MS:
                aws.call("dynamodb", "batch_write_item", RequestItems=requests(late, NOW_MS))
                assert self.put({**late, "indexedAt": NOW_MS}, absent=True)
                now_ms += 3_600_000

    place.store = Long(aws, place.store.name.split()[1])
    assert place.repair() == (0, 0)
    assert rows_of(aws) == wanted([ITEMS[0], late])


@BOTH
def test_rows_that_repair_adds_are_listed_in_their_result(settings: Settings) -> None:
    """Its next result, or its removal, takes them away. So it is where an earlier imgpipe wrote others."""
    now = item("a.jpg", "Cat", sha256="ab", models={"labels": "3.0"})
    own = rules.entries(now)
    before = ["00.00 sha256#ab#labels", *(one for one in own if "sha256" not in one)]
    aws = pipeline(settings, {**now, "indexed": before, "indexedAt": 1})
    aws.call("dynamodb", "batch_write_item", RequestItems=requests(now, 1, before))
    index(settings, aws).repair()
    assert rows_of(aws) == wanted([now])
    assert stored(settings)["a.jpg"]["indexed"] == sorted({*before, *own})
    idle = PlainHttpAws()
    assert index(settings, idle, NOW_MS + 1_000_000).repair() == (0, 0)
    assert [one for one in idle.writes if one[1] != "batch_write_item"] == []


def test_claims_of_runs_stopped_long_ago_are_removed() -> None:
    """What such a claim has counted may still be asked for as long as the failure queue keeps its event."""
    aws, day = pipeline(SETTINGS), 24 * 3600
    ends = {"of now": 200, "of yesterday": -day, "of long ago": -15 * day}
    for sha256, ends_in_s in ends.items():
        asker = Asker(key="a.jpg", version_id="v", sha256=sha256)
        claim = Claim(key="a.jpg", version_id="v", ends_at=NOW_MS // 1000 + ends_in_s, counted=("labels",))
        row = dynamo_types.to_attributes(claim.attributes(asker))
        aws.call("dynamodb", "put_item", TableName=NAMES.index_table, Item=row)
    assert index(SETTINGS, aws).repair() == (0, 1)
    found = aws.call("dynamodb", "scan", TableName=NAMES.index_table)["Items"]
    assert {row["pk"]["S"] for row in found} == {"asking#of now", "asking#of yesterday"}
    assert index(SETTINGS, aws).repair() == (0, 0)
