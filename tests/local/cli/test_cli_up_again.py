"""`up` a second time: nothing to do is nothing sent, and a change changes exactly what it is about."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.local.cli.conftest import Pipeline
from tests.local.cli.recorder import Recorder, recording
from tests.support.inventory import inventory
from tests.support.machine import EXAMPLES, ROOT, Machine

PROJECT = "again"
OTHER_FUNCTIONS = {"function.get_result", "function.web"}


@pytest.fixture(scope="module")
def again(machine: Machine, pipeline: Pipeline) -> Iterator[Machine]:
    machine.imgpipe("up", "--local", "--project", PROJECT)
    yield machine
    machine.imgpipe("down", "--local", "--project", PROJECT, "--yes")


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with recording() as found:
        yield found


def up(machine: Machine, *arguments: str, **options: Any) -> dict[str, Any]:
    done = machine.imgpipe("up", "--local", "--project", PROJECT, "--json", *arguments, **options)
    data: dict[str, Any] = done.json()["data"]
    return data


def test_a_second_up_from_an_empty_machine_finds_the_pipeline_and_writes_nothing(
    again: Machine, recorder: Recorder, tmp_path: Path
) -> None:
    """The other machine knows the cloud by its endpoint only, as it would know AWS."""
    here = up(again)
    other = Machine(tmp_path / "other")
    env = {**again.local_env(), "NO_PROXY": "", "HTTP_PROXY": recorder.url}
    done = other.imgpipe("up", "--project", PROJECT, "--json", env=env)
    there = done.json()["data"]
    assert recorder.writes() == []
    assert len(recorder.calls) > 30
    assert there["changed"] == []
    assert here["bucket"] == there["bucket"]
    sent = other.imgpipe("upload", EXAMPLES / "astronaut.jpg", "--wait", "--json", env=again.local_env())
    assert [label["Name"] for label in sent.lines()[0]["labels"]] == ["Face", "Head", "Person"]
    token = dict(other.imgpipe("status", "--json", env=again.local_env()).json()["data"]["outputs"])
    assert token["bucket"] == here["bucket"]


def test_deleting_what_is_remembered_loses_nothing(again: Machine) -> None:
    before = up(again)
    (again.state / "targets.json").unlink()
    after = up(again)
    assert {**before, "changed": []} == {**after, "changed": []}
    assert after["changed"] == []
    shown = again.imgpipe("up", "--local", "--project", PROJECT)
    assert "Ready. Nothing had to be changed." in shown.out
    assert "  Missing   " not in shown.out
    assert after["missing"] == []
    assert shown.err.count("unchanged") == 9


def test_each_setting_changes_exactly_what_depends_on_it_and_stays(again: Machine) -> None:
    assert up(again)["settings"]["features"] == ["labels"]
    changed = up(again, "--features", "faces,labels")
    assert set(changed["changed"]) == {"settings", "role.ingest", "function.ingest"}
    changed = up(again, "--min-confidence", "80")
    assert set(changed["changed"]) == {"settings", "function.web"}
    changed = up(again, "--private")
    assert set(changed["changed"]) == {"settings", *OTHER_FUNCTIONS}
    changed = up(again, "--rekognition-tps", "5")
    assert set(changed["changed"]) == {"settings", "function.ingest"}
    changed = up(again, "--monthly-limit", "100")
    assert set(changed["changed"]) == {"settings", "function.ingest", "function.web"}
    still = up(again)
    assert still["changed"] == []
    assert still["settings"] == {
        "features": ["labels", "faces"],
        "minConfidence": 80.0,
        "private": True,
        "rekognitionPricePer1000": 2.0,
        "results": "table",
        "rekognitionTps": 5.0,
        "concurrency": 4,
        "monthlyLimit": 100,
        "sourceAccount": True,
    }
    dry = again.imgpipe("up", "--local", "--project", PROJECT, "--public", "--dry-run", "--json").json()
    assert {change["call"] for change in dry["data"]} == {
        "ssm.put_parameter",
        "lambda.update_function_configuration",
    }
    assert up(again)["changed"] == []
    back = up(again, "--features", "labels", "--min-confidence", "70", "--public", "--monthly-limit", "0")
    assert set(back["changed"]) == {"settings", "role.ingest", "function.ingest", *OTHER_FUNCTIONS}


def test_a_setting_comes_from_flag_then_environment_then_file_then_what_is_deployed(
    again: Machine, tmp_path: Path
) -> None:
    (tmp_path / "imgpipe.toml").write_text('features = ["labels", "text"]\nmin_confidence = 60\n')
    env = {"IMGPIPE_FEATURES": "labels,faces"}

    def asked(*arguments: str, **options: Any) -> tuple[list[str], float]:
        settings = up(again, *arguments, **options)["settings"]
        return settings["features"], settings["minConfidence"]

    assert asked("--features", "moderation", env=env, cwd=tmp_path) == (["moderation"], 60)
    assert asked(env=env, cwd=tmp_path) == (["labels", "faces"], 60)
    assert asked(cwd=tmp_path) == (["labels", "text"], 60)
    assert asked() == (["labels", "text"], 60)
    assert asked("--features", "labels", "--min-confidence", "70") == (["labels"], 70)


def test_changed_code_updates_exactly_that_function(again: Machine, tmp_path: Path) -> None:
    for name in ("imgpipe_cli", "lambda_src"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    assert up(again, cwd=tmp_path)["changed"] == []
    code = tmp_path / "lambda_src" / "get_result" / "app.py"
    code.write_text(code.read_text(encoding="utf-8") + "# another line\n", encoding="utf-8")
    assert up(again, cwd=tmp_path)["changed"] == ["function.get_result"]
    assert up(again, cwd=tmp_path)["changed"] == []
    assert up(again)["changed"] == ["function.get_result"]


def test_a_dry_run_lists_every_call_and_sends_none(machine: Machine, pipeline: Pipeline) -> None:
    planned = machine.imgpipe("up", "--local", "--project", "planned", "--dry-run")
    for call in ("ssm.put_parameter", "s3.create_bucket", "iam.create_role", "apigatewayv2.create_stage"):
        assert call in planned.out
    assert "would be sent. Nothing was changed." in planned.out
    assert inventory(machine.client, "planned") == {}
    assert machine.imgpipe("status", "--local", "--project", "planned", code=3)
