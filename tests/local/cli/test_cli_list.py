"""`list` shows the results, newest first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.local.cli.conftest import Pipeline
from tests.support.machine import EXAMPLES, Machine, jpeg, until

PROJECT = "listed"
PLAIN = [f"plain/{number:02}.jpg" for number in range(24)]


@pytest.fixture(scope="module")
def listed(machine: Machine, pipeline: Pipeline) -> Iterator[Pipeline]:
    """A person, a file that is no picture, and then 24 pictures that show nothing."""
    done = machine.imgpipe("up", "--local", "--project", PROJECT, "--json")
    found = Pipeline(machine, PROJECT, done.json()["data"], done)
    s3 = machine.client("s3")
    found.imgpipe("upload", EXAMPLES / "astronaut.jpg", "--wait")
    s3.put_object(Bucket=found.bucket, Key="notes.txt", Body=b"no picture")
    found.imgpipe("result", "notes.txt", "--wait", code=1)
    for number, key in enumerate(PLAIN):
        s3.put_object(Bucket=found.bucket, Key=key, Body=jpeg(number))
    until(lambda: len(found.imgpipe("list", "--limit", "0", "--json").lines()) == 26, what="26 results")
    yield found
    machine.imgpipe("down", "--local", "--project", PROJECT, "--yes")


def keys(pipeline: Pipeline, *arguments: str) -> list[str]:
    return [one["objectKey"] for one in pipeline.imgpipe("list", "--json", *arguments).lines()]


def test_the_newest_twenty_come_first(listed: Pipeline) -> None:
    found = listed.imgpipe("list", "--json").lines()
    assert len(found) == 20
    times = [one["analyzedAt"] for one in found]
    assert times == sorted(times, reverse=True)
    assert {one["objectKey"] for one in found} <= set(PLAIN)


def test_the_limit_is_as_asked_and_zero_is_all(listed: Pipeline) -> None:
    assert len(keys(listed, "--limit", "3")) == 3
    everything = keys(listed, "--limit", "0")
    assert sorted(everything) == sorted(["astronaut.jpg", "notes.txt", *PLAIN])
    assert set(everything[-2:]) == {"astronaut.jpg", "notes.txt"}


def test_results_are_picked_by_status_prefix_and_label(listed: Pipeline) -> None:
    assert keys(listed, "--status", "failed") == ["notes.txt"]
    assert keys(listed, "--status", "retrying") == []
    assert keys(listed, "--prefix", "plain/1") == sorted(
        keys(listed, "--prefix", "plain/1"), key=keys(listed, "--limit", "0").index
    )
    assert sorted(keys(listed, "--prefix", "plain/1")) == PLAIN[10:20]
    assert keys(listed, "--label", "PERSON") == ["astronaut.jpg"]
    assert keys(listed, "--label", "person", "--min-confidence", "100") == []


def test_results_are_picked_by_time(listed: Pipeline) -> None:
    at = listed.imgpipe("list", "--json", "--prefix", "notes").lines()[0]["analyzedAt"]
    assert sorted(keys(listed, "--since", at, "--limit", "0")) == sorted(["notes.txt", *PLAIN])
    assert keys(listed, "--since", "0s") == []
    assert listed.imgpipe("list", "--since", "soon", code=2).out == ""


def test_a_table_has_when_which_how_and_what(listed: Pipeline) -> None:
    shown = listed.imgpipe("list", "--limit", "0")
    for words in ("Analyzed", "astronaut.jpg", "Person", "notes.txt", "failed", "JPEG"):
        assert words in shown.out


def test_a_list_that_ended_at_its_limit_says_where_to_go_on(listed: Pipeline) -> None:
    everything, prefix = keys(listed, "--limit", "0", "--prefix", "plain/"), ("--prefix", "plain/")
    told = listed.imgpipe("list", "--limit", "5", *prefix).err
    cursor = told.partition("--after ")[2].split()[0]
    assert keys(listed, "--limit", "0", *prefix, "--after", cursor) == everything[5:]


def test_nothing_to_list_is_said(listed: Pipeline) -> None:
    assert "No result matches." in listed.imgpipe("list", "--prefix", "nowhere").err
    machine = listed.machine
    machine.imgpipe("up", "--local", "--project", "unused")
    empty = machine.imgpipe("list", "--local", "--project", "unused")
    machine.imgpipe("down", "--local", "--project", "unused", "--yes")
    assert empty.out == ""
    assert "There are no results yet" in empty.err
    machine.imgpipe("list", "--local", "--project", "unused", code=3)


def test_an_unknown_status_is_wrong_usage(listed: Pipeline) -> None:
    assert "retrying" in listed.imgpipe("list", "--status", "late", code=2).err
