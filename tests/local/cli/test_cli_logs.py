"""`logs` shows what the functions say, once and in order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.local.cli.conftest import Pipeline
from tests.support.machine import Machine, interrupt, jpeg

PROJECT = "logged"


@pytest.fixture(scope="module")
def logged(machine: Machine, pipeline: Pipeline) -> Iterator[Pipeline]:
    """A pipeline that has seen one picture, and one request for a picture that is not there."""
    done = machine.imgpipe("up", "--local", "--project", PROJECT, "--json")
    found = Pipeline(machine, PROJECT, done.json()["data"], done)
    send(found, "one.jpg", 1)
    found.imgpipe("result", "one.jpg", "--wait")
    machine.finish_events()
    found.imgpipe("result", "absent.jpg", code=1)
    yield found
    machine.imgpipe("down", "--local", "--project", PROJECT, "--yes")


def send(pipeline: Pipeline, key: str, number: int) -> None:
    s3 = pipeline.machine.client("s3")
    s3.put_object(Bucket=pipeline.bucket, Key=key, Body=jpeg(number))


def test_our_lines_are_readable_and_lambdas_own_are_left_out(logged: Pipeline) -> None:
    shown = logged.imgpipe("logs", "ingest").out.splitlines()
    own = [line for line in shown if "one.jpg" in line]
    said = [line.split("  ")[2].strip() for line in own if "ingest" in line]
    assert [line.split("  ")[-1].startswith("request=") for line in own] == [True] * 3
    assert len(said) == 3
    for words in ("record received", "rekognition answered", "record handled", "outcome=done"):
        assert any(words in line for line in own), words
    assert not any("START" in line for line in shown)
    verbose = logged.imgpipe("logs", "ingest", "--verbose").out
    assert "START RequestId" in verbose
    assert "REPORT RequestId" in verbose


def test_all_functions_are_merged_in_the_order_of_time(logged: Pipeline) -> None:
    found = logged.imgpipe("logs", "--json").lines()
    times = [one["timestamp"] for one in found]
    assert times == sorted(times)
    assert {one["function"] for one in found} >= {"ingest", "get_result"}
    only = logged.imgpipe("logs", "get-result", "--json").lines()
    assert {one["function"] for one in only} == {"get_result"}
    assert {"timestamp", "function", "level", "message", "requestId", "platform", "fields"} == set(found[0])


def test_only_errors_are_shown_when_they_are_asked_for(logged: Pipeline) -> None:
    none = logged.imgpipe("logs", "ingest", "--errors")
    assert none.out == ""
    assert "No log lines" in none.err
    function, logs = f"{PROJECT}-ingest", logged.machine.client("logs")
    place = {"logGroupName": f"/aws/lambda/{function}", "logStreamName": "by-hand"}
    logs.create_log_stream(**place)
    at_ms = int(datetime.now(UTC).timestamp() * 1000)
    said = ["Task timed out after 120.00 seconds", json.dumps({"level": "INFO", "event": "well"})]
    logs.put_log_events(**place, logEvents=[{"timestamp": at_ms, "message": text} for text in said])
    (line,) = logged.imgpipe("logs", "ingest", "--errors").out.splitlines()
    assert line.endswith("ERROR Task timed out after 120.00 seconds")


def test_what_is_older_is_left_out(logged: Pipeline) -> None:
    assert logged.imgpipe("logs", "--since", "0s").out == ""
    logged.imgpipe("logs", "--since", "soon", code=2)


def test_following_goes_on_with_each_new_line_once_until_it_is_interrupted(logged: Pipeline) -> None:
    process = logged.machine.start(
        "logs", "ingest", "--follow", "--json", "--since", "0s", "--project", PROJECT, "--local"
    )
    assert process.stderr is not None
    assert process.stdout is not None
    while "Following" not in process.stderr.readline():
        pass
    for number, key in enumerate(("two.jpg", "three.jpg"), start=2):
        send(logged, key, number)
        lines = [json.loads(process.stdout.readline()) for _ in range(3)]
        assert [line["fields"]["key"] for line in lines] == [key] * 3
    code, rest, _ = interrupt(process)
    assert (code, rest) == (130, "")


def test_a_log_group_that_is_gone_means_not_set_up(logged: Pipeline) -> None:
    logged.machine.client("logs").delete_log_group(logGroupName=f"/aws/lambda/{PROJECT}-web")
    done = logged.imgpipe("logs", code=3)
    assert f"/aws/lambda/{PROJECT}-web" in done.err
    assert logged.imgpipe("logs", "ingest").out != ""
    logged.imgpipe("up")


def test_an_unknown_function_is_wrong_usage(logged: Pipeline) -> None:
    assert "ingest, get_result, web" in logged.imgpipe("logs", "outgest", code=2).err
