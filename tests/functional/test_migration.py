"""Results move from one store to the other: all of them, once, and also when the move is stopped anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import pytest

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.deploy import apply, destroy, observe, plan
from imgpipe_cli.deploy.resource import Context
from imgpipe_cli.deploy.resources.settings_parameter import SettingsParameter
from imgpipe_cli.deploy.results import migrate, reindex
from imgpipe_cli.deploy.results.store import BucketStore, store
from imgpipe_cli.deploy.steps import STEPS
from imgpipe_cli.deploy.steps.ingest_function import TIMEOUT_S
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.events import Event, Note, Waiting
from imgpipe_cli.lambdas.source import result_objects as rules
from imgpipe_cli.session.settings import Settings, moved_to
from shared.result_item import Stored
from tests.support import exhaustive
from tests.support.account import (
    IN_S3,
    NAMES,
    SETTINGS,
    Killed,
    PlainHttpAws,
    down,
    finished,
    fresh_account,
    inventory,
    nothing,
    pipeline,
    up,
)

pytestmark = pytest.mark.usefixtures("account")


BOTH_WAYS = pytest.mark.parametrize(
    ("start", "end"), [(SETTINGS, IN_S3), (IN_S3, SETTINGS)], ids=["to s3", "back"]
)


def item(key: str, second: int, **more: Any) -> Stored:
    time = f"2026-11-22T10:00:{second:02}.000Z"
    base = {
        "objectKey": key,
        "status": "done",
        "analyzedAt": time,
        "day": time[:10],
        "sequencer": f"{second:032}",
    }
    labels = [{"Name": "Cat", "Confidence": 98.76543426513672}, {"Name": "Tiny", "Confidence": 1e-07}]
    return cast("Stored", {**base, "labels": labels, "width": 640, "durationMs": 12, **more})


ITEMS: list[Stored] = [
    item("a.jpg", 1),
    item("é/b c+%.jpg", 2, status="failed", error={"code": "gone", "retryable": False}),
    item("~odd.jpg", 3, labels=[]),
    item("x" * 1024, 4),
    {
        "objectKey": "removed.jpg",
        "status": "removed",
        "sequencer": "5".rjust(32, "0"),
        "expiresAt": 1_900_000_000,
    },
]


def fill(kind: str, items: list[Stored] = ITEMS) -> None:
    for one in items:
        assert store(kind, PlainHttpAws(), NAMES).put(one, absent=True)


def _document(**values: Any) -> bytes:
    """A stored item, with something in it that no function writes."""
    return json.dumps({**item("notes", 1), **values}).encode()


def contents(kind: str) -> list[Mapping[str, Any]]:
    return sorted(store(kind, PlainHttpAws(), NAMES).items({}), key=lambda one: str(one["objectKey"]))


def by_key(items: list[Stored]) -> list[Stored]:
    return sorted(items, key=lambda one: str(one["objectKey"]))


def deployed() -> Settings:
    return Settings.from_json(SettingsParameter().observe(PlainHttpAws(), NAMES).facts["value"])


def index() -> set[str]:
    bucket = BucketStore(PlainHttpAws(), NAMES.results_bucket)
    return {entry["Key"] for prefix in (rules.INDEX, rules.FAILED) for entry in bucket.listed(prefix)}


def right_index(items: list[Stored]) -> set[str]:
    return {entry for one in items for entry in rules.entries_of(one)}


def move(aws: PlainHttpAws, end: Settings, *, emit: Callable[[Event], None] = nothing) -> Any:
    return up(aws, moved_to(end.results, deployed()), workers=1, emit=emit)


@pytest.fixture(scope="module")
def clean() -> dict[Settings, dict[str, Any]]:
    """What is there after a first `up`, in accounts of their own."""
    there = {}
    for settings in (SETTINGS, IN_S3):
        with fresh_account():
            finished(settings, kind=PlainHttpAws)
            there[settings] = inventory()
    return there


@BOTH_WAYS
def test_everything_moves_and_the_account_is_as_if_it_had_begun_there(
    clean: dict[Settings, dict[str, Any]], start: Settings, end: Settings
) -> None:
    finished(start, kind=PlainHttpAws)
    fill(start.results)
    events: list[Event] = []
    move(PlainHttpAws(), end, emit=events.append)
    assert contents(end.results) == by_key(ITEMS)
    assert inventory() == clean[end]
    assert deployed() == end
    if end.results == "s3":
        assert index() == right_index(ITEMS)
    assert [event.code for event in events if isinstance(event, Note)] == [
        "results_copied",
        "results_switched",
        "results_verified",
        "store_removed",
    ]
    again = PlainHttpAws()
    up(again, end)
    assert again.writes == []


@pytest.mark.loops
def test_a_move_killed_after_any_call_goes_on_with_up() -> None:
    """To and fro in one account, each time killed one call later. The `up` that goes on needs no word about
    the store: the pipeline's own settings know where the results were going."""
    some = ITEMS[:2]
    finished(kind=PlainHttpAws)
    fill("table", some)
    there = {}
    calls = []
    for end in (IN_S3, SETTINGS):
        aws = PlainHttpAws()
        move(aws, end)
        there[end.results] = inventory()
        calls.append(len(aws.writes))
    assert min(calls) > 15
    for die_after in exhaustive.points(max(calls), keep=3):
        for end in (IN_S3, SETTINGS):
            killed = PlainHttpAws(die_after=die_after)
            with suppress(Killed):  # one way takes fewer calls than the other
                move(killed, end)
            up(PlainHttpAws(), deployed())
            where = f"to {end.results}, killed after call {die_after}: {killed.writes[-1]}"
            assert deployed() == end, where
            assert inventory() == there[end.results], where
            assert contents(end.results) == by_key(some), where


@pytest.mark.loops
def test_a_move_killed_anywhere_can_be_turned_round() -> None:
    finished(kind=PlainHttpAws)
    fill("table", ITEMS[:2])
    there = inventory()
    for die_after in exhaustive.points(22, keep=2):
        with pytest.raises(Killed):
            move(PlainHttpAws(die_after=die_after), IN_S3)
        move(PlainHttpAws(), SETTINGS)
        assert inventory() == there, f"killed after call {die_after}"
        assert contents("table") == by_key(ITEMS[:2]), f"killed after call {die_after}"


@BOTH_WAYS
def test_what_comes_in_during_the_move_comes_along(start: Settings, end: Settings) -> None:
    """Late results reach the old store until the last pass, new ones the new store; the newer counts."""
    finished(start, kind=PlainHttpAws)
    fill(start.results, [item("a.jpg", 1), item("b.jpg", 2), item("c.jpg", 3, status="failed")])
    late = [item("a.jpg", 11), item("b.jpg", 4), item("c.jpg", 3, labels=[]), item("d.jpg", 9)]

    def meanwhile(event: Event) -> None:
        if event == Note("results_switched", store(end.results, PlainHttpAws(), NAMES).name):
            assert store(end.results, PlainHttpAws(), NAMES).put(item("b.jpg", 12), absent=False)
            for one in late:
                assert store(start.results, PlainHttpAws(), NAMES).put(one, absent=False)

    move(PlainHttpAws(), end, emit=meanwhile)
    expected = [item("a.jpg", 11), item("b.jpg", 12), item("c.jpg", 3, labels=[]), item("d.jpg", 9)]
    assert contents(end.results) == expected
    if end.results == "s3":
        assert index() == right_index(expected)


class Refusing(PlainHttpAws):
    """Refuses one operation where a picture's key is in what is asked for."""

    def __init__(self, operation: str, *keys: str) -> None:
        super().__init__()
        self.operation, self.keys = operation, keys
        self.refused = 0

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        asked = f"{params.get('Key')} {params.get('Item', {}).get('objectKey')}"
        if operation == self.operation and any(key in asked for key in self.keys):
            self.refused += 1
            raise AwsError("AccessDenied", "no", service=service, operation=operation, status=403)
        return super().call(service, operation, once=once, **params)


@pytest.mark.parametrize(
    ("start", "end", "operation"),
    [(IN_S3, SETTINGS, "get_object"), (IN_S3, SETTINGS, "put_item"), (SETTINGS, IN_S3, "put_object")],
    ids=["not read", "not put into the table", "not put into the bucket"],
)
def test_one_result_that_is_refused_stays_where_it_is_and_the_others_move(
    start: Settings, end: Settings, operation: str
) -> None:
    """And the old store stays in use until it is not refused any more."""
    finished(start, kind=PlainHttpAws)
    fill(start.results, some := [item(key, number) for number, key in enumerate(("a", "bad", "z"))])
    with pytest.raises(Problem) as caught:
        move(Refusing(operation, "bad"), end)
    assert caught.value.code == "access_denied"
    assert "the results of 'bad' from" in caught.value.message
    assert contents(end.results) == [some[0], some[2]]
    assert contents(start.results) == some
    assert (deployed().results, deployed().move) == (start.results, "copy")
    up(PlainHttpAws(), deployed())
    assert contents(end.results) == some


def test_what_is_no_result_is_named_and_kept() -> None:
    finished(IN_S3, kind=PlainHttpAws)
    fill("s3", some := [item("a", 1), item("z", 2)])
    aws = PlainHttpAws()
    aws.call("s3", "put_object", Bucket=NAMES.results_bucket, Key="results/notes.json", Body=b"{")
    with pytest.raises(Problem, match=r"results of 'notes' from .*: what is stored there is no result"):
        move(aws, SETTINGS)
    assert contents("table") == some


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'{"objectKey": 5, "status": "done", "sequencer": "1"}', _document(analyzedAt="soon")],
)
def test_the_index_is_repaired_beside_what_is_no_result(body: bytes) -> None:
    finished(IN_S3, kind=PlainHttpAws)
    fill("s3", some := [item("a", 1), item("z", 2)])
    aws = PlainHttpAws()
    theirs = rules.index_object("2026-11-21T08:00:00.000Z", "notes")
    for key in map(rules.index_of, some):
        aws.call("s3", "delete_object", Bucket=NAMES.results_bucket, Key=key)
    aws.call("s3", "put_object", Bucket=NAMES.results_bucket, Key="results/notes.json", Body=body)
    for key in (theirs, "index/nonsense"):
        aws.call("s3", "put_object", Bucket=NAMES.results_bucket, Key=key, Body=b"")
    done = reindex.repair(BucketStore(aws, NAMES.results_bucket))
    assert (done.added, done.removed, list(done.refused)) == (2, 1, ["notes"])
    assert index() == right_index(some) | {theirs}, "its entry may be right"
    with pytest.raises(Problem, match=r"results of 'notes' in bucket .*: what is stored there is no result"):
        reindex.refuse_unfinished(done, BucketStore(aws, NAMES.results_bucket))
    with pytest.raises(Problem, match="results of 'notes' from"):
        move(aws, SETTINGS)


@pytest.mark.parametrize("operation", ["get_object", "put_object"])
def test_one_result_that_is_refused_stops_no_other_repair(operation: str) -> None:
    finished(IN_S3, kind=PlainHttpAws)
    fill("s3", some := [item(key, number) for number, key in enumerate(("a", "bad", "z"))])
    aws = Refusing(operation, "bad")
    for key in map(rules.index_of, some):
        aws.call("s3", "delete_object", Bucket=NAMES.results_bucket, Key=key)
    done = reindex.repair(BucketStore(aws, NAMES.results_bucket))
    assert (done.added, done.removed, list(done.refused)) == (2, 0, ["bad"])
    assert index() == right_index([some[0], some[2]])
    with pytest.raises(Problem) as caught:
        reindex.refuse_unfinished(done, BucketStore(aws, NAMES.results_bucket))
    assert (caught.value.code, caught.value.exit_code) == ("access_denied", ExitCode.FAILED)
    reindex.refuse_unfinished(reindex.Repaired(3, 2), BucketStore(aws, NAMES.results_bucket))


def test_a_right_that_is_missing_ends_a_repair() -> None:
    finished(IN_S3, kind=PlainHttpAws)
    keys = [f"{number:03}" for number in range(150)]
    fill("s3", [item(key, 1) for key in keys])
    aws = Refusing("get_object", *keys)
    with pytest.raises(Problem, match="s3:GetObject is missing"):
        reindex.repair(BucketStore(aws, NAMES.results_bucket))


def test_a_right_that_is_missing_is_not_tried_with_every_result() -> None:
    finished(IN_S3, kind=PlainHttpAws)
    keys = [f"{number:03}" for number in range(450)]
    fill("s3", [item(key, 1) for key in keys])
    aws = Refusing("get_object", *keys)
    with pytest.raises(Problem, match="s3:GetObject is missing"):
        move(aws, SETTINGS)
    assert aws.refused <= 300


@pytest.mark.parametrize("kind", ["table", "s3"])
def test_an_older_result_is_never_copied_over_a_newer_one(kind: str) -> None:
    line = pipeline(PlainHttpAws())
    apply.reconcile_all(line, observe.snapshot(line, nothing), replace(SETTINGS, move="copy"), nothing)
    newer, older = item("a.jpg", 8), item("a.jpg", 7, labels=[])
    one = store(kind, line.aws, NAMES)
    other = store("s3" if kind == "table" else "table", line.aws, NAMES)
    assert one.put(newer, absent=False)
    assert not one.put(older, absent=True)
    assert not one.put(newer, absent=True)
    assert [migrate.copy(one, other, nothing) for _ in range(2)] == [1, 0]
    assert other.put(item("a.jpg", 9), absent=False)
    assert migrate.copy(one, other, nothing) == 0
    assert list(other.items({})) == [item("a.jpg", 9)]


@BOTH_WAYS
def test_a_result_whose_rows_came_during_the_move_says_so(start: Settings, end: Settings) -> None:
    """Its event was tried again before the switch, and nothing else would take the mark away."""
    finished(start, kind=PlainHttpAws)
    aws = PlainHttpAws()
    old, new = (store(one.results, aws, NAMES) for one in (start, end))
    entries = ["00.00 name#a"]
    before, after = item("a.jpg", 1, notIndexed=True), item("a.jpg", 1, indexed=entries, indexedAt=7)
    assert old.put(before, absent=True)

    def meanwhile(event: Event) -> None:
        if event == Note("results_copied", f"1 from {old.name} to {new.name}"):
            assert old.renew(after, before)

    move(PlainHttpAws(), end, emit=meanwhile)
    assert contents(end.results) == [after]


def test_old_runs_may_finish_before_the_old_store_is_closed() -> None:
    finished(kind=PlainHttpAws)
    events: list[Event] = []
    aws = PlainHttpAws()
    move(aws, IN_S3, emit=events.append)
    waits = [
        event.waited_s for event in events if isinstance(event, Waiting) and "begun before" in event.detail
    ]
    assert waits[0] == 0 and waits[-1] < TIMEOUT_S <= aws.clock()


@BOTH_WAYS
def test_the_dry_run_of_a_move_lists_its_calls(start: Settings, end: Settings) -> None:
    finished(start, kind=PlainHttpAws)
    fill(start.results)
    line = pipeline(PlainHttpAws())
    snapshot = observe.snapshot(line, nothing)
    planned = migrate.planned(line, snapshot, migrate.begin(line, moved_to(end.results, start), snapshot))
    aws = PlainHttpAws()
    move(aws, end)
    counted = [change for _, _, change in planned if change.verb == "copy"]
    assert [change.what.split(" from ")[0] for change in counted] == ["4 results"]
    ours = [(c.call.service, c.call.operation) for _, _, c in planned if c.call.params]  # type: ignore[union-attr]
    copying = {("s3", "put_object"), ("dynamodb", "put_item"), ("s3", "delete_objects")}
    configuring = [call for call in aws.writes if call[1].startswith(("put_bucket", "put_public"))]
    sent = [call for call in aws.writes if call not in copying and call not in configuring]
    assert sorted(ours) == sorted(sent)


def test_a_pipeline_without_its_store_just_gets_the_other_one() -> None:
    finished(kind=PlainHttpAws)
    aws = PlainHttpAws()
    aws.call("dynamodb", "delete_table", TableName=NAMES.table)
    line = pipeline(aws)
    assert migrate.begin(line, moved_to("s3", SETTINGS), observe.snapshot(line, nothing)) == IN_S3


def test_a_store_that_is_left_over_is_told_and_its_results_are_fetched() -> None:
    finished(IN_S3, kind=PlainHttpAws)
    for resource in (r for step in STEPS for r in step.resources if r.name == "table"):
        aws = PlainHttpAws()
        for change in resource.diff(Context(resource.observe(aws, NAMES), NAMES, SETTINGS)):
            change.call.run(aws, nothing)
    fill("table")
    snapshot = observe.snapshot(pipeline(PlainHttpAws()), nothing)
    states = {s.resource: s for s in plan.states(pipeline(PlainHttpAws()), snapshot, IN_S3)}
    assert (states["table"].state, "table.ttl" in states) == ("drifted", False)
    up(PlainHttpAws(), IN_S3)
    assert contents("s3") == by_key(ITEMS)
    assert not observe.snapshot(pipeline(PlainHttpAws()), nothing)["table"].exists


def test_a_protected_table_is_told_before_a_move_begins() -> None:
    """It could not go at the end."""
    finished(kind=PlainHttpAws)
    fill("table")
    PlainHttpAws().call("dynamodb", "update_table", TableName=NAMES.table, DeletionProtectionEnabled=True)
    aws = PlainHttpAws()
    with pytest.raises(Problem) as refused:
        move(aws, IN_S3)
    assert (refused.value.code, aws.writes) == ("table_protected", [])
    PlainHttpAws().call("dynamodb", "update_table", TableName=NAMES.table, DeletionProtectionEnabled=False)
    move(PlainHttpAws(), IN_S3)
    assert contents("s3") == by_key(ITEMS)


def test_a_foreign_table_hinders_no_pipeline_without_one() -> None:
    aws = PlainHttpAws()
    keys: Any = {"KeySchema": [{"AttributeName": "objectKey", "KeyType": "HASH"}]}
    kinds: Any = {"AttributeDefinitions": [{"AttributeName": "objectKey", "AttributeType": "S"}]}
    aws.call(
        "dynamodb", "create_table", TableName=NAMES.table, BillingMode="PAY_PER_REQUEST", **keys, **kinds
    )
    up(PlainHttpAws(), IN_S3)
    with pytest.raises(Problem) as refused:
        move(PlainHttpAws(), SETTINGS)
    assert refused.value.code == "not_ours"
    assert deployed() == IN_S3
    assert down(PlainHttpAws()) == []
    assert aws.call("dynamodb", "list_tables")["TableNames"] == [NAMES.table]


@pytest.mark.parametrize("part", ["copy", "switch", "close"])
def test_down_takes_both_stores_in_the_middle_of_a_move(part: str) -> None:
    before = inventory()
    finished(kind=PlainHttpAws)
    fill("table")
    line = pipeline(PlainHttpAws())
    apply.reconcile_all(line, observe.snapshot(line, nothing), replace(SETTINGS, move=part), nothing)
    fill("s3")
    snapshot = observe.snapshot(line, nothing)
    states = {s.resource: s.state for s in plan.states(line, snapshot, replace(SETTINGS, move=part))}
    old = "table" if part == "copy" else "results_bucket"
    assert {name for name, state in states.items() if state != "ready"} == {old}
    going = destroy.planned_removals(line, observe.snapshot(line, nothing), nothing)
    assert {r.resource.name: r.contents for r in going if "results" in r.contents} == {
        "table": {"results": 4},
        "results_bucket": {"results": 4},
    }
    assert down(PlainHttpAws()) == []
    assert inventory() == before


def test_repair_puts_the_index_right() -> None:
    finished(IN_S3, kind=PlainHttpAws)
    fill("s3")
    aws = PlainHttpAws()
    lost = [*rules.entries_of(ITEMS[0]), rules.entries_of(ITEMS[1])[1]]
    left = rules.index_object("2026-11-21T08:00:00.000Z", "a.jpg")
    announced = rules.index_object("2026-11-22T11:59:00.000Z", "coming.jpg")
    for key in lost:
        aws.call("s3", "delete_object", Bucket=NAMES.results_bucket, Key=key)
    old_failure = left.replace(rules.INDEX, rules.FAILED)
    for key in (left, old_failure, announced, "index/nonsense"):
        aws.call("s3", "put_object", Bucket=NAMES.results_bucket, Key=key, Body=b"")
    noon_s = rules.milliseconds("2026-11-22T12:00:00.000Z") / 1000
    done = reindex.repair(BucketStore(aws, NAMES.results_bucket), now_s=lambda: noon_s)
    assert (done.read, done.added, done.removed) == (5, 2, 3)
    assert index() == right_index(ITEMS) | {announced}
