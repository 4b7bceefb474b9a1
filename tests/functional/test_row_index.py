"""The rows by which pictures are found: added by `up` where there are none, and repaired."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from typing import Any

import pytest

from imgpipe_cli.deploy import observe
from imgpipe_cli.deploy.results import migrate
from imgpipe_cli.deploy.results.failed_index import STORES
from imgpipe_cli.deploy.results.row_index import RowIndex
from imgpipe_cli.deploy.results.store import store
from imgpipe_cli.lambdas.source import dynamo_types
from imgpipe_cli.lambdas.source import index_rows as rules
from imgpipe_cli.session.settings import Settings
from ingest.counting import Asker, Claim
from tests.support.account import (
    IN_S3,
    NAMES,
    SETTINGS,
    Killed,
    PlainHttpAws,
    down,
    nothing,
    pipeline,
    up,
)
from tests.support.index_state import (
    GONE,
    ITEMS,
    NOW_MS,
    index,
    item,
    lacking,
    names_of,
    requests,
    rows_of,
    stored,
    wanted,
    with_results,
)

pytestmark = pytest.mark.usefixtures("account")

BOTH = pytest.mark.parametrize("settings", [SETTINGS, IN_S3], ids=["table", "s3"])


def up_killed_over_and_over(settings: Settings) -> int:
    """`up` until one comes to its end; how many were killed."""
    killed = 0
    while True:
        with suppress(Killed):
            up(PlainHttpAws(die_after=killed % 4), settings, workers=1)
            return killed
        killed += 1
        assert killed < 100, "it begins anew each time"


def assert_at_rest(settings: Settings) -> None:
    idle = PlainHttpAws()
    up(idle, settings)
    assert idle.writes == []


@BOTH
@pytest.mark.parametrize("now_ms", [NOW_MS, 0], ids=["ahead", "behind"])
def test_results_without_rows_get_them_however_often_it_is_killed(settings: Settings, now_ms: int) -> None:
    """Whatever the clock of this machine says."""
    with_results(settings, *ITEMS)
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
    aws = with_results(settings, *ITEMS)
    index(settings, aws, (int(time.time()) + ahead_s) * 1000).fill(lambda _seen: None)
    aws.call("dynamodb", "delete_table", TableName=NAMES.index_table)
    if with_web:
        aws.call("lambda", "delete_function", FunctionName=NAMES.function("web"))
    assert up_killed_over_and_over(settings) >= 3
    assert rows_of(aws) == wanted(ITEMS)
    assert names_of(aws) == {"cat", "dog", "other cat#cat", "other dog#dog"}
    assert_at_rest(settings)


@BOTH
def test_rows_of_an_older_format_are_made_anew_however_often_up_is_killed(settings: Settings) -> None:
    """As those of an imgpipe that ranked labels otherwise; what lies beside the results stays."""
    old = {
        one["objectKey"]: [entry.replace("10.00 ", "09.99 ") for entry in rules.entries(one)] for one in ITEMS
    }
    aws = with_results(
        settings, *({**one, "indexed": old[one["objectKey"]], "indexedAt": NOW_MS} for one in ITEMS)
    )
    for one in ITEMS:
        aws.call("dynamodb", "batch_write_item", RequestItems=requests(one, NOW_MS, old[one["objectKey"]]))
    before = rows_of(aws)
    of_before(aws, "web")
    of_before(aws, "ingest")
    assert up_killed_over_and_over(settings) >= 3
    assert rows_of(aws) == wanted(ITEMS) != before
    kept = {key: one["indexed"] for key, one in stored(settings).items() if one["status"] != "removed"}
    assert kept == {one["objectKey"]: rules.entries(one) for one in ITEMS}
    assert_at_rest(settings)


def of_before(aws: PlainHttpAws, function: str) -> None:
    """Have it told of an index whose rows are of another format."""
    client, name = aws.client("lambda"), NAMES.function(function)
    variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    told = {"Variables": {**variables, "INDEX_FORMAT": "1"}}
    client.update_function_configuration(FunctionName=name, Environment=told)


def test_other_rows_are_another_format() -> None:
    """Where this fails because results have other rows than before, FORMAT is to change too."""
    text = [{"DetectedText": "HI", "Confidence": 69.996}]
    one = item("pics/a.jpg", "Cat", text=text, sha256="ab", models={"labels": "3.0"})
    assert (rules.FORMAT, rules.entries(one)) == (
        "2",
        [
            *("10.00 label#cat", "00.00 name#a", "00.00 name#jpg", "00.00 name#pics"),
            *("a416e sha256#ab#labels", "e3b0c sha256#ab#text", "30.01 text#hi"),
        ],
    )


@BOTH
def test_up_after_a_down_that_was_killed_finds_nothing_of_results_that_are_gone(settings: Settings) -> None:
    aws = with_results(settings, *ITEMS)
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
def test_no_process_of_before_writes_into_a_new_index(settings: Settings) -> None:
    """A process remembers which names it has written, and would not write them again."""
    lacking(settings)
    environments: list[Any] = []

    class Looking(PlainHttpAws):
        def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
            if operation == "create_table":
                environments.append(ingest_environment())
            return super().call(service, operation, **params)

    def ingest_environment() -> Any:
        found = PlainHttpAws().call(
            "lambda", "get_function_configuration", FunctionName=NAMES.function("ingest")
        )
        return found["Environment"]

    before = ingest_environment()
    up(Looking(), settings)
    assert len(environments) == 1
    assert environments[0] != before == ingest_environment()


@BOTH
def test_rows_of_results_that_somebody_removed_go_however_often_up_is_killed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before there is a store again, so that no row of a new result is met. What a month costs stays."""
    monkeypatch.setattr("imgpipe_cli.deploy.results.row_index.PARALLEL", 1)
    aws = with_results(settings)
    for one in ITEMS:
        aws.call("dynamodb", "batch_write_item", RequestItems=requests(one, 1))
    month = {"pk": {"S": rules.month_pk("2026-11")}, "sk": {"S": rules.ONE}, "analyses": {"N": "7"}}
    aws.call("dynamodb", "put_item", TableName=NAMES.index_table, Item=month)
    if settings.results == "table":
        aws.call("dynamodb", "delete_table", TableName=NAMES.table)
    else:
        objects = aws.call("s3", "list_objects_v2", Bucket=NAMES.results_bucket)["Contents"]
        for entry in objects:
            aws.call("s3", "delete_object", Bucket=NAMES.results_bucket, Key=entry["Key"])
        aws.call("s3", "delete_bucket", Bucket=NAMES.results_bucket)
    line = pipeline(aws)
    there = observe.snapshot(line, nothing)
    _, _, first = migrate.planned(line, there, migrate.begin(line, settings, there))[0]
    assert (first.verb, first.what) == ("remove", "rows of results that are gone from table demo-index")
    killed = 0
    while True:
        with suppress(Killed):
            up(PlainHttpAws(die_after=2), settings, workers=1)
            break
        killed += 1
        there = observe.snapshot(line, nothing)
        assert not rows_of(aws) or not there[STORES[settings.results]].exists
        assert killed < 100, "it begins anew each time"
    assert killed >= 2
    assert rows_of(aws) == set()
    place = {name: month[name] for name in ("pk", "sk")}
    assert aws.call("dynamodb", "get_item", TableName=NAMES.index_table, Key=place)["Item"] == month
    assert_at_rest(settings)


def test_rows_that_come_while_others_are_removed_stay() -> None:
    aws = with_results(SETTINGS)
    for one, at in ((ITEMS[0], NOW_MS - 1), (ITEMS[1], NOW_MS)):
        aws.call("dynamodb", "batch_write_item", RequestItems=requests(one, at))
    assert index(SETTINGS, aws).clear() == len(rules.entries(ITEMS[0]))
    assert rows_of(aws) == wanted([ITEMS[1]])


@BOTH
def test_an_index_table_that_is_just_being_removed_is_filled_anew(settings: Settings) -> None:
    aws = with_results(settings, *ITEMS)
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
    aws = with_results(SETTINGS, *ITEMS)
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
    aws = with_results(settings, ITEMS[0])
    newer = item("a.jpg", "Sofa", sequencer="2" * 32, indexed=[], indexedAt=NOW_MS)
    place = index(settings, aws)
    (seen,) = (one for one in place.store.items({}) if one["status"] != "removed")
    assert place.store.put(newer, absent=False)
    assert not place._add(seen)
    assert stored(settings)["a.jpg"] == newer


@BOTH
def test_repair_makes_the_rows_those_of_the_results(settings: Settings) -> None:
    aws = with_results(settings, *ITEMS)
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
    aws = with_results(IN_S3, *ITEMS)
    index(IN_S3, aws).fill(lambda _seen: None)
    aws.call("s3", "put_object", Bucket=NAMES.results_bucket, Key="results/a.jpg.json", Body=b"{")
    assert index(IN_S3, aws, NOW_MS + 1_000_000).repair() == (0, 0)
    assert rows_of(aws) == wanted(ITEMS)


@BOTH
def test_a_result_that_comes_while_a_long_repair_reads_keeps_its_rows(settings: Settings) -> None:
    aws, now_ms = with_results(settings, ITEMS[0]), NOW_MS
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
    aws = with_results(settings, {**now, "indexed": before, "indexedAt": 1})
    aws.call("dynamodb", "batch_write_item", RequestItems=requests(now, 1, before))
    index(settings, aws).repair()
    assert rows_of(aws) == wanted([now])
    assert stored(settings)["a.jpg"]["indexed"] == sorted({*before, *own})
    idle = PlainHttpAws()
    assert index(settings, idle, NOW_MS + 1_000_000).repair() == (0, 0)
    assert [one for one in idle.writes if one[1] != "batch_write_item"] == []


def test_claims_of_runs_stopped_long_ago_are_removed() -> None:
    """What such a claim has counted may still be asked for as long as the failure queue keeps its event."""
    aws, day = with_results(SETTINGS), 24 * 3600
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
