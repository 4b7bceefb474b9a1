"""`retry --again` end to end: a feature is added, and a model changes, after pictures were finished."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from shared.result_objects import name_of, result_object
from tests.local.cli.conftest import Pipeline
from tests.support import exhaustive
from tests.support.machine import EXAMPLES, Machine

PROJECT = "again"
KEYS = ["astronaut.jpg", "cat.jpg"]


@pytest.fixture(params=["table", exhaustive.only("s3")])
def finished(request: pytest.FixtureRequest, machine: Machine) -> Iterator[Pipeline]:
    """Two pictures that were analyzed for faces only; once for each store of results."""
    up = machine.imgpipe(
        *("up", "--local", "--project", PROJECT, "--no-models", "--json"),
        *("--features", "faces", "--results", request.param),
    )
    sent = machine.imgpipe(
        "upload", *(EXAMPLES / key for key in KEYS), "--wait", "--project", PROJECT, "--local"
    )
    yield Pipeline(machine, PROJECT, up.json()["data"], sent)
    machine.imgpipe("down", "--project", PROJECT, "--local", "--yes")


def results(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    return {one["objectKey"]: one for one in pipeline.imgpipe("result", *KEYS, "--json").json()["data"]}


def pictures(document: dict[str, Any]) -> dict[str, tuple[bool, list[str]]]:
    return {one["key"]: (one["chosen"], one["lacking"]) for one in document["data"]["pictures"]}


def by_an_older_model(pipeline: Pipeline, key: str) -> None:
    """As if the labels of this result were those of another model."""
    if pipeline.outputs["settings"]["results"] == "table":
        pipeline.machine.client("dynamodb").update_item(
            TableName=f"{PROJECT}-results",
            Key={"objectKey": {"S": key}},
            UpdateExpression="SET models.labels = :older",
            ExpressionAttributeValues={":older": {"S": "imgpipe-local/0.0.1"}},
        )
        return
    s3, place = pipeline.machine.client("s3"), result_object(name_of(key))
    bucket = f"{PROJECT}-results-000000000000-us-east-1-an"
    item = json.loads(s3.get_object(Bucket=bucket, Key=place)["Body"].read())
    item["models"]["labels"] = "imgpipe-local/0.0.1"
    s3.put_object(Bucket=bucket, Key=place, Body=json.dumps(item).encode())


def test_finished_pictures_get_what_was_added_and_what_a_newer_model_finds(finished: Pipeline) -> None:
    before = results(finished)
    up = finished.imgpipe("up", "--features", "labels,faces", "--no-models")
    assert "2 finished pictures lack labels: imgpipe retry --all --again" in up.out
    assert "imgpipe retry astronaut.jpg --again" in finished.imgpipe("retry", "astronaut.jpg").out

    # Free, and so without a question.
    done = finished.imgpipe("retry", "--all", "--again")
    assert "2 pictures: 2 analyzed." in done.out
    after = results(finished)
    assert {key: one["faces"] for key, one in after.items()} == {key: before[key]["faces"] for key in KEYS}
    assert "Face" in [label["Name"] for label in after["astronaut.jpg"]["labels"]]

    by_an_older_model(finished, "cat.jpg")
    named = finished.imgpipe("retry", *KEYS, "--again", "--json").json()
    assert pictures(named) == {"astronaut.jpg": (False, []), "cat.jpg": (True, [])}
    assert results(finished)["cat.jpg"]["models"] == after["cat.jpg"]["models"]
    assert results(finished)["astronaut.jpg"] == after["astronaut.jpg"]

    nothing = finished.imgpipe("retry", "--all", "--again")
    assert nothing.out == "Nothing has failed, and no finished picture lacks anything.\n"
    again = finished.imgpipe("up", "--features", "labels,faces", "--no-models", "--json")
    assert again.json()["data"]["lacking"] is None
