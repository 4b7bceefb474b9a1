"""Results kept as JSON in a bucket, and moved from one store to the other, with real pictures.

Every function runs under its own role with rights enforced, so each store's rights are shown to suffice.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.cli.conftest import SAMPLES, Pipeline
from tests.support import exhaustive
from tests.support.inventory import inventory
from tests.support.machine import EXAMPLES, IMGPIPE, Done, Machine, interrupt, jpeg, until

PROJECT = "kept"
BUCKET = f"{PROJECT}-results-000000000000-us-east-1-an"
TABLE = f"{PROJECT}-results"
KEYS = [sample.name for sample in SAMPLES]


def run(machine: Machine, command: str, *arguments: Any, **options: Any) -> Done:
    return machine.imgpipe(command, "--project", PROJECT, "--local", *arguments, **options)


def results(machine: Machine, *keys: str) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = run(machine, "result", *keys, "--json").json()["data"]
    return data


def environments(machine: Machine) -> dict[str, set[str]]:
    """Function -> which stores its environment names."""
    functions = machine.client("lambda").list_functions()["Functions"]
    return {
        function["FunctionName"]: set(function["Environment"]["Variables"]) & {"TABLE_NAME", "RESULTS_BUCKET"}
        for function in functions
        if function["FunctionName"].startswith(f"{PROJECT}-")
    }


def policies(machine: Machine) -> str:
    return json.dumps(
        {name: what for name, what in inventory(machine.client, PROJECT).items() if "role" in name}
    )


def objects(machine: Machine, prefix: str) -> list[str]:
    found = machine.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [entry["Key"] for entry in found.get("Contents", [])]


def analyses(machine: Machine) -> int:
    """How often the ingest function said that Rekognition answered."""
    group = f"/aws/lambda/{PROJECT}-ingest"
    pages = machine.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    return sum("rekognition_answered" in event["message"] for page in pages for event in page["events"])


@pytest.fixture(scope="module")
def kept(machine: Machine, pipeline: Pipeline) -> Iterator[dict[str, Any]]:
    """A project with its results in S3 and the sample pictures; the answers they got."""
    up = run(machine, "up", "--results", "s3", "--features", "labels,faces,text", "--json").json()["data"]
    assert up["settings"]["results"] == "s3"
    sent = run(machine, "upload", *SAMPLES, "--wait", "--json")
    yield {item["objectKey"]: item for item in sent.lines()}
    run(machine, "down", "--yes")
    assert inventory(machine.client, PROJECT) == {}


@pytest.fixture
def in_s3(machine: Machine, kept: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same, also where a test before this one has moved the results."""
    move_to(machine, "s3")
    return kept


def move_to(machine: Machine, store: str) -> None:
    variable = "TABLE_NAME" if store == "table" else "RESULTS_BUCKET"
    if set(map(frozenset, environments(machine).values())) != {frozenset({variable})}:
        run(machine, "up", "--results", store, "--yes", "--no-models")


def test_the_pipeline_works_the_same_with_results_in_s3(
    machine: Machine, pipeline: Pipeline, in_s3: Mapping[str, Any]
) -> None:
    found = results(machine, *KEYS)
    assert [item["objectKey"] for item in found] == KEYS
    assert {item["status"] for item in found} == {"done"}
    assert [label["Name"] for label in found[0]["labels"]] == ["Face", "Head", "Person"]
    in_table = pipeline.imgpipe("result", *KEYS, "--json").json()["data"]
    for one, other in zip(found, in_table, strict=True):
        assert one.keys() == other.keys() - {"moderation"}
        assert [one[feature] for feature in ("labels", "faces", "text")] == [
            other[feature] for feature in ("labels", "faces", "text")
        ]


def test_each_result_is_one_readable_object(machine: Machine, in_s3: Mapping[str, Any]) -> None:
    assert {f"results/{key}.json" for key in KEYS} <= set(objects(machine, "results/"))
    body = machine.client("s3").get_object(Bucket=BUCKET, Key="results/cat.jpg.json")["Body"].read()
    stored = json.loads(body)
    shown = results(machine, "cat.jpg")[0]
    assert {name: stored[name] for name in shown} == shown
    assert stored.keys() - shown.keys() == {"day", "indexed", "indexedAt"}


def test_the_list_is_newest_first(machine: Machine, in_s3: Mapping[str, Any]) -> None:
    listed = run(machine, "list", "--limit", "0", "--json").lines()
    times = [item["analyzedAt"] for item in listed]
    assert times == sorted(times, reverse=True)
    assert set(KEYS) <= {item["objectKey"] for item in listed}


def test_the_list_is_filtered_as_with_the_table(machine: Machine, in_s3: Mapping[str, Any]) -> None:
    by_label = run(machine, "list", "--label", "face", "--json").lines()
    assert [item["objectKey"] for item in by_label] == ["astronaut.jpg"]
    by_prefix = run(machine, "list", "--prefix", "c", "--status", "done", "--json").lines()
    assert {item["objectKey"] for item in by_prefix} == {"cat.jpg", "coffee.jpg"}
    assert len(run(machine, "list", "--limit", "2", "--since", "1h", "--json").lines()) == 2


def test_a_picture_is_explained_as_with_the_table(
    machine: Machine, pipeline: Pipeline, in_s3: Mapping[str, Any]
) -> None:
    told = run(machine, "explain", "cat.jpg", "--json").json()["data"]
    in_table = pipeline.imgpipe("explain", "cat.jpg", "--json").json()["data"]
    assert told["verdict"]["state"] == in_table["verdict"]["state"] == "done"
    kinds = [{moment["kind"] for moment in one["timeline"]} for one in (told, in_table)]
    assert kinds[0] == kinds[1] >= {"uploaded", "received", "answered", "result", "ended"}
    lost = run(machine, "explain", "cot.jpg", "--json", code=1).json()["data"]
    assert lost["verdict"]["state"] == "not_found"
    assert "cat.jpg" in lost["near"]


def test_a_failed_picture_is_listed_and_explained(machine: Machine, in_s3: Mapping[str, Any]) -> None:
    bucket = f"{PROJECT}-uploads-000000000000-us-east-1-an"
    machine.client("s3").put_object(Bucket=bucket, Key="note.jpg", Body=b"no picture at all")
    failed = run(machine, "result", "note.jpg", "--wait", "--json", code=1).json()["data"]
    assert failed[0]["error"]["code"] == "unsupported_format"
    listed = run(machine, "list", "--status", "failed", "--json").lines()
    assert [item["objectKey"] for item in listed] == ["note.jpg"]
    told = run(machine, "explain", "note.jpg", "--json", code=1).json()["data"]
    assert told["verdict"]["state"] == "failed"
    machine.client("s3").delete_object(Bucket=bucket, Key="note.jpg")
    until(lambda: not _listed(machine, "note.jpg"), what="the removed picture leaves the list")


def _listed(machine: Machine, key: str) -> bool:
    return key in {item["objectKey"] for item in run(machine, "list", "--limit", "0", "--json").lines()}


def test_logs_and_the_feed_are_as_with_the_table(machine: Machine, in_s3: Mapping[str, Any]) -> None:
    lines = run(machine, "logs", "ingest", "--since", "1h").out
    assert "rekognition answered" in lines
    assert "astronaut.jpg" in lines
    feed = machine.start("watch", "--project", PROJECT, "--local", "--since", "1h", "--json")
    assert feed.stdout is not None
    told = {json.loads(feed.stdout.readline())["objectKey"] for _ in KEYS}
    code, _, _ = interrupt(feed)
    assert told == set(KEYS)
    assert code == 130


def test_there_is_exactly_one_store_with_rights_for_exactly_it(
    machine: Machine, in_s3: Mapping[str, Any]
) -> None:
    assert set(map(frozenset, environments(machine).values())) == {frozenset({"RESULTS_BUCKET"})}
    assert f"table/{TABLE}" not in policies(machine)
    with pytest.raises(ClientError, match="ResourceNotFound"):
        machine.client("dynamodb").describe_table(TableName=TABLE)
    shown = run(machine, "status", "--json").json()["data"]["steps"]
    names = {resource["name"] for step in shown for resource in step["resources"]}
    assert ("results_bucket" in names, "table" in names) == (True, False)


def test_a_new_version_and_a_removed_picture_are_followed(
    machine: Machine, in_s3: Mapping[str, Any], tmp_path: Any
) -> None:
    picture = tmp_path / "changing.jpg"
    for number in (1, 2):
        picture.write_bytes(jpeg(number))
        run(machine, "upload", picture, "--wait")
    machine.finish_events()  # which removes the entry of the first version
    entries = [key for key in objects(machine, "index/") if key.endswith("/changing.jpg")]
    assert len(entries) == 1
    machine.client("s3").delete_object(
        Bucket=f"{PROJECT}-uploads-000000000000-us-east-1-an", Key="changing.jpg"
    )
    until_removed(machine, "changing.jpg")
    machine.finish_events()
    assert not [key for key in objects(machine, "index/") if key.endswith("/changing.jpg")]
    assert run(machine, "result", "changing.jpg", code=1).out == ""


def until_removed(machine: Machine, key: str) -> None:
    def removed() -> bool:
        found = machine.client("s3").get_object(Bucket=BUCKET, Key=f"results/{key}.json")
        return bool(json.loads(found["Body"].read())["status"] == "removed")

    until(removed, what=f"the mark of the removed {key}")


def test_a_move_is_asked_for_and_a_dry_run_shows_it(machine: Machine, in_s3: Mapping[str, Any]) -> None:
    before = inventory(machine.client, PROJECT)
    refused = run(machine, "up", "--results", "table", code=2)
    assert "needs a confirmation" in refused.err and "--yes" in refused.err
    asked = run(machine, "up", env={"IMGPIPE_RESULTS": "table"}, code=2)
    assert "needs a confirmation" in asked.err
    planned = run(machine, "up", "--results", "table", "--dry-run")
    assert f"results from bucket {BUCKET} to table {TABLE}" in planned.out
    assert "s3.delete_bucket" in planned.out and "dynamodb.create_table" in planned.out
    assert "Choose --results table or --results s3" in run(machine, "up", "--results", "disk", code=2).err
    assert inventory(machine.client, PROJECT) == before


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
def test_on_a_terminal_no_means_no(machine: Machine, in_s3: Mapping[str, Any]) -> None:
    import pty

    before = inventory(machine.client, PROJECT)
    ours, theirs = pty.openpty()
    command = ("up", "--results", "table", "--no-models", "--project", PROJECT, "--local")
    with subprocess.Popen(
        [*IMGPIPE, *command],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=machine.environment(),
        cwd=machine.folder,
    ) as started:
        os.close(theirs)
        os.write(ours, b"n\n")
        err = started.communicate(timeout=60)[1].decode()
    os.close(ours)
    assert started.returncode == 1
    assert f"are copied from bucket {BUCKET} to table {TABLE}" in err
    assert f"then bucket {BUCKET} is removed. Migrate them? [y/N]" in err
    assert "Nothing was changed." in err
    assert inventory(machine.client, PROJECT) == before


def test_results_move_both_ways_and_nothing_is_analysed_again(
    machine: Machine, in_s3: Mapping[str, Any]
) -> None:
    before, analyzed = results(machine, *KEYS), analyses(machine)
    assert analyzed >= len(KEYS)

    moved = run(machine, "up", "--results", "table", "--yes", "--no-models")
    assert f"are in table {TABLE}." in moved.err
    assert results(machine, *KEYS) == before
    assert set(map(frozenset, environments(machine).values())) == {frozenset({"TABLE_NAME"})}
    assert BUCKET not in policies(machine)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        machine.client("s3").list_objects_v2(Bucket=BUCKET)
    assert run(machine, "up", "--json").json()["data"]["changed"] == []
    sent = run(machine, "upload", EXAMPLES / "cat.jpg", "--key", "in-table.jpg", "--wait", "--json")
    assert sent.lines()[0]["status"] == "done"

    run(machine, "up", "--results", "s3", "--yes", "--no-models")
    keys = [*KEYS, "in-table.jpg"]
    assert results(machine, *keys) == [*before, *sent.lines()]
    assert set(map(frozenset, environments(machine).values())) == {frozenset({"RESULTS_BUCKET"})}
    assert analyses(machine) == analyzed, "the bytes of cat.jpg were analyzed before"
    repaired = run(machine, "up", "--repair-index")
    assert "Entries of the indexes: 0 added, 0 removed." in repaired.err


@pytest.mark.parametrize("end", [exhaustive.only("table"), "s3"])
def test_a_move_killed_at_some_moment_goes_on_with_up(
    machine: Machine, in_s3: Mapping[str, Any], end: str
) -> None:
    move_to(machine, "s3" if end == "table" else "table")
    before = results(machine, *KEYS)
    for delay_s in (0.8, 1.2, 1.6):
        machine.killed_after(
            delay_s, "up", "--project", PROJECT, "--local", "--results", end, "--yes", "--no-models"
        )
    run(machine, "up", "--results", end, "--yes", "--no-models")
    assert results(machine, *KEYS) == before
    variable = "TABLE_NAME" if end == "table" else "RESULTS_BUCKET"
    assert set(map(frozenset, environments(machine).values())) == {frozenset({variable})}
    assert run(machine, "up", "--json").json()["data"]["changed"] == []


@pytest.mark.parametrize("end", [exhaustive.only("table"), "s3"])
def test_pictures_sent_during_a_move_all_get_their_result(
    machine: Machine, in_s3: Mapping[str, Any], end: str, tmp_path: Any
) -> None:
    """Some are analyzed before the switch, some after, and some while it happens."""
    move_to(machine, "s3" if end == "table" else "table")
    folder = tmp_path / f"to-{end}"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number}.jpg").write_bytes(jpeg(number))
    sender = machine.start("upload", str(folder), "--project", PROJECT, "--local", "--wait", "--json")
    run(machine, "up", "--results", end, "--yes", "--no-models")
    out, err = sender.communicate(timeout=120)
    assert sender.returncode == 0, err
    assert {json.loads(line)["status"] for line in out.splitlines()} == {"done"}
    keys = [f"{folder.name}/{number}.jpg" for number in range(40)]
    assert {item["status"] for item in results(machine, *keys)} == {"done"}
