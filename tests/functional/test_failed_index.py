"""A pipeline from before there was an index of failed results: `up` fills it, and only then it is read."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from imgpipe_cli.deploy import token_rotation
from imgpipe_cli.deploy.results.store import BucketStore, store
from imgpipe_cli.events import Event, Note, Waiting
from imgpipe_cli.lambdas.source import dynamo_types
from imgpipe_cli.lambdas.source import result_objects as rules
from imgpipe_cli.session.connection import Connection
from imgpipe_cli.session.settings import Settings
from imgpipe_cli.session.target import Target
from tests.support.account import (
    IN_S3,
    NAMES,
    SETTINGS,
    Killed,
    PlainHttpAws,
    finished,
    inventory,
    nothing,
    up,
)
from tests.support.behaving_aws import BehavingAws, behaving_account
from tests.support.behaviours_of_stores import IndexBuilding
from tests.support.drift_actions import WEB, delete_index

ON_MOTO = pytest.mark.usefixtures("account")
BOTH = pytest.mark.parametrize("settings", [SETTINGS, IN_S3], ids=["table", "s3"])
FAILED = ("b.jpg", "d.jpg")


def older(settings: Settings, *keys: str) -> dict[str, Any]:
    """A pipeline without the index, with a result of each key; what a new one would have."""
    finished(settings, kind=PlainHttpAws)
    as_new = inventory()
    aws = PlainHttpAws()
    web = aws.client("lambda").get_function_configuration(FunctionName=WEB)["Environment"]["Variables"]
    del web["FAILED_INDEX"]
    aws.client("lambda").update_function_configuration(FunctionName=WEB, Environment={"Variables": web})
    if settings.results == "table":
        delete_index("failed")(aws)
    for number, key in enumerate(keys):
        item: Any = {
            **{"objectKey": key, "status": "failed" if key in FAILED else "done", "day": "2026-11-22"},
            **{"analyzedAt": f"2026-11-22T10:00:{number:02}.000Z", "sequencer": f"{number:032}"},
        }
        if settings.results == "table":
            aws.call("dynamodb", "put_item", TableName=NAMES.table, Item=dynamo_types.to_attributes(item))
            continue
        store("s3", aws, NAMES).put(item, absent=True)
        for entry in rules.entries_of(item)[1:]:
            aws.call("s3", "delete_object", Bucket=NAMES.results_bucket, Key=entry)
    return as_new


def indexed(settings: Settings) -> list[str]:
    aws = PlainHttpAws()
    if settings.results == "table":
        rows = aws.call("dynamodb", "scan", TableName=NAMES.table, IndexName="failed")["Items"]
        return sorted(row["objectKey"]["S"] for row in rows)
    entries = BucketStore(aws, NAMES.results_bucket).listed(rules.FAILED)
    return sorted(found[1] for entry in entries if (found := rules.parse_index(entry["Key"])))


def is_read() -> bool:
    """Whether the function that lists results was told of the index."""
    found = PlainHttpAws().client("lambda").get_function_configuration(FunctionName=WEB)
    return "FAILED_INDEX" in found["Environment"]["Variables"]


@BOTH
@ON_MOTO
def test_up_fills_the_index_and_only_then_has_it_read_however_often_it_is_killed(settings: Settings) -> None:
    as_new = older(settings, "a.jpg", *FAILED)
    killed = 0
    while True:
        aws = PlainHttpAws(die_after=killed % 4)  # the rows of a result are written before it is
        with suppress(Killed):
            up(aws, settings, workers=1)
            break
        killed += 1
        assert not is_read() or indexed(settings) == [*FAILED]
    # At least once at the index or its entries, which go side by side, and once where the function is told.
    assert killed >= 2
    assert (is_read(), indexed(settings)) == (True, [*FAILED])
    assert inventory() == as_new


@BOTH
@ON_MOTO
def test_runs_of_the_old_code_may_end_before(settings: Settings) -> None:
    older(settings, "a.jpg", "b.jpg")
    events: list[Event] = []
    late: Any = {
        **{"objectKey": "late.jpg", "status": "failed", "day": "2026-11-22", "sequencer": "9" * 32},
        "analyzedAt": "2026-11-22T10:00:59.000Z",
    }

    def meanwhile(event: Event) -> None:
        if isinstance(event, Waiting) and "before the update" in event.detail and not events:
            if settings.results == "table":
                row = dynamo_types.to_attributes(late)
                PlainHttpAws().call("dynamodb", "put_item", TableName=NAMES.table, Item=row)
            else:
                PlainHttpAws().call(
                    "s3", "put_object", Bucket=NAMES.results_bucket, **rules.put_request(late, None)
                )
            events.append(event)

    aws = PlainHttpAws()
    up(aws, settings, emit=meanwhile)
    assert events and aws.clock() >= 120
    assert indexed(settings) == ["b.jpg", "late.jpg"]


@ON_MOTO
def test_without_results_nobody_waits() -> None:
    events: list[Event] = []
    older(SETTINGS)
    aws = PlainHttpAws()
    up(aws, emit=events.append)
    assert is_read() and aws.clock() < 60
    assert not [event for event in events if isinstance(event, Note) and event.code == "indexed"]


@ON_MOTO
def test_a_rotation_of_the_token_tells_nobody_of_an_index_that_is_not_filled() -> None:
    older(SETTINGS, "a.jpg", *FAILED)
    found = token_rotation.rotate(Connection(Target(NAMES.project), PlainHttpAws(), NAMES), nothing)
    assert found.token and not is_read()


def test_the_index_is_read_only_once_dynamodb_has_built_it() -> None:
    """Both indexes are missing: DynamoDB builds one after the other."""
    with behaving_account(IndexBuilding()) as account:
        older(SETTINGS, "a.jpg", *FAILED)
        delete_index("by-time")(PlainHttpAws())
        waited: list[str] = []

        def look(event: Event) -> None:
            if isinstance(event, Waiting) and event.resource == "table":
                waited.append(event.detail)
                assert not is_read()

        up(BehavingAws(account), emit=look)
        assert account.met["IndexBuilding"] > 0
        assert "index is being built" in waited
        assert (is_read(), indexed(SETTINGS)) == (True, [*FAILED])
