"""Two commands in two terminals at the same time, as whole processes against the local cloud."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.local.process import control
from tests.local.cli.conftest import Pipeline
from tests.support.inventory import inventory
from tests.support.machine import EXAMPLES, Done, Machine, machine_in

PROJECT = "twins"
HERE = ("--local", "--project", PROJECT)


@pytest.fixture(scope="module")
def clean(machine: Machine, pipeline: Pipeline) -> dict[str, Any]:
    machine.imgpipe("up", "--local", "--project", "alone")
    there = inventory(machine.client, "alone")
    machine.imgpipe("down", "--local", "--project", "alone", "--yes")
    return there


@pytest.fixture(autouse=True)
def nothing_left(machine: Machine, pipeline: Pipeline) -> Iterator[None]:
    yield
    machine.imgpipe("down", *HERE, "--yes")
    assert inventory(machine.client, PROJECT) == {}


def both(machine: Machine, first: tuple[str, ...], second: tuple[str, ...]) -> list[Done]:
    """Start both command lines at once and wait for their ends."""
    processes = [machine.start(*first), machine.start(*second)]
    return [ended(process) for process in processes]


def ended(process: subprocess.Popen[str]) -> Done:
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return Done(process.returncode, out, err)


def apis(machine: Machine) -> int:
    found = machine.client("apigatewayv2").get_apis()["Items"]
    return sum(api["Name"] == f"{PROJECT}-api" for api in found)


def test_two_up_of_one_project_make_one_pipeline(machine: Machine, clean: dict[str, Any]) -> None:
    for done in both(machine, ("up", *HERE), ("up", *HERE)):
        assert done.code == 0, done
    assert apis(machine) == 1
    assert inventory(machine.client, PROJECT) == clean
    assert machine.imgpipe("up", *HERE, "--json").json()["data"]["changed"] == []


def test_two_up_with_different_settings_end_with_the_one_or_the_other(machine: Machine) -> None:
    wanted = (("labels", "faces"), ("labels", "text"))
    ends = both(machine, *(("up", *HERE, "--features", ",".join(one), "--json") for one in wanted))
    settled = machine.imgpipe("up", *HERE, "--json").json()["data"]
    assert settled["changed"] == []
    got = tuple(settled["settings"]["features"])
    assert got in wanted
    for features, done in zip(wanted, ends, strict=True):
        if done.code:
            (error,) = done.json()["errors"]
            assert (done.code, error["code"]) == (1, "overtaken"), done
            assert ",".join(got) in error["message"]
        assert features == got or done.code == 1 or done.json()["status"] == "done"
    assert apis(machine) == 1
    machine.imgpipe("status", *HERE)


def test_up_and_down_at_once_leave_what_one_more_run_makes_right(
    machine: Machine, clean: dict[str, Any]
) -> None:
    for before in ((), ("up", *HERE)):
        if before:
            machine.imgpipe(*before)
        up, down = both(machine, ("up", *HERE, "--json"), ("down", *HERE, "--yes", "--json"))
        for done, code in ((up, "removed_meanwhile"), (down, "left_over")):
            assert done.code == 0 or done.json()["errors"][0]["code"] == code, done
        assert apis(machine) <= 1
        machine.imgpipe("up", *HERE)
        assert inventory(machine.client, PROJECT) == clean
        machine.imgpipe("down", *HERE, "--yes")
        assert inventory(machine.client, PROJECT) == {}


def test_two_down_at_once_both_end_well(machine: Machine) -> None:
    machine.imgpipe("up", *HERE)
    for done in both(machine, ("down", *HERE, "--yes"), ("down", *HERE, "--yes")):
        assert done.code == 0, done


def test_two_uploads_of_one_key_and_two_rotations_end_consistently(machine: Machine) -> None:
    machine.imgpipe("up", *HERE)
    same = ("--key", "same.jpg", "--json", *HERE)
    sent = both(
        machine,
        ("upload", str(EXAMPLES / "astronaut.jpg"), *same),
        ("upload", str(EXAMPLES / "cat.jpg"), *same),
    )
    for done in sent:
        assert done.code == 0, done
    bucket = machine.imgpipe("status", *HERE, "--json").json()["data"]["outputs"]["bucket"]
    versions = machine.client("s3").list_object_versions(Bucket=bucket)["Versions"]
    assert len(versions) == 2
    machine.imgpipe("result", "same.jpg", "--wait", *HERE)

    rotations = both(machine, ("token", "--rotate", *HERE), ("token", "--rotate", *HERE))
    token = machine.imgpipe("token", *HERE).out.strip()
    assert token in {done.out.strip() for done in rotations}
    for done in rotations:
        assert done.code == 0, done
    machine.imgpipe("list", *HERE)  # the functions know it


def test_an_upload_that_another_one_replaces_is_told_so(machine: Machine) -> None:
    machine.imgpipe("up", *HERE)
    same = ("--key", "raced.jpg", "--wait", *HERE)
    pictures = (str(EXAMPLES / name) for name in ("astronaut.jpg", "cat.jpg"))
    ends = both(machine, *(("upload", picture, *same) for picture in pictures))
    # Both results may have been seen; who was too late for its own says so, and does not wait for the end.
    assert sorted(done.code for done in ends) in ([0, 0], [0, 1])
    for done in ends:
        assert ("replaced" in done.err) == (done.code == 1), done


def test_two_starts_of_the_local_cloud_make_one(tmp_path: Path) -> None:
    with machine_in(tmp_path) as own:
        for done in both(own, ("local", "start"), ("local", "start")):
            assert done.code == 0, done
        cloud = control.running(own.state)
        assert cloud is not None
        assert cloud.endpoint in own.imgpipe("local", "status").out


def test_a_stage_that_was_changed_by_hand_is_named_and_mended(
    machine: Machine, clean: dict[str, Any]
) -> None:
    """Here, since moto has no UpdateStage."""
    machine.imgpipe("up", *HERE)
    gateway = machine.client("apigatewayv2")
    api = next(api["ApiId"] for api in gateway.get_apis()["Items"] if api["Name"] == f"{PROJECT}-api")
    log = {"DestinationArn": "arn:aws:logs:us-east-1:000000000000:log-group:mine", "Format": "{}"}
    for edit in (
        {"DefaultRouteSettings": {"ThrottlingRateLimit": 9.0, "ThrottlingBurstLimit": 9}},
        {"AutoDeploy": False},
        {"AccessLogSettings": log},
    ):
        gateway.update_stage(ApiId=api, StageName="prod", **edit)
        document = machine.imgpipe("status", *HERE, "--json", code=1).json()
        found = {
            resource["name"]: resource["differences"]
            for step in document["data"]["steps"]
            for resource in step["resources"]
            if resource["state"] != "ready"
        }
        assert found == {"api.stage": ["update stage prod"]}, edit
        assert machine.imgpipe("up", *HERE, "--json").json()["data"]["changed"] == ["api.stage"]
        assert inventory(machine.client, PROJECT) == clean
