"""What `make live` could leave in an account is found to the last page, and taken away by one command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy import apply, destroy, observe
from imgpipe_cli.deploy.pipeline import Pipeline
from imgpipe_cli.deploy.steps import STEPS
from imgpipe_cli.session.settings import Settings
from tests.live import leftovers
from tests.support.account import REGION, RecordingAws, fresh_account, nothing

_LIVE = ("live-0123abcd", "live-89abcdef")
_OTHERS = ("alive-0123abcd", "live", "delivery", "demo")


@pytest.fixture(autouse=True)
def account() -> Iterator[None]:
    with fresh_account():
        yield


def _pipeline(project: str) -> Pipeline:
    return Pipeline(STEPS, RecordingAws(), Names(project, "123456789012", REGION))


def _up(project: str, store: str = "table") -> None:
    line = _pipeline(project)
    settings = Settings(first_day="2026-01-01", results=store)
    apply.reconcile_all(line, observe.snapshot(line, nothing), settings, nothing)


def _down(*arguments: str) -> None:
    assert arguments[:3] == ("down", "--yes", "--aws")
    assert arguments[5:] == ("--region", REGION)
    line = _pipeline(arguments[4])
    destroy.destroy(line, destroy.planned_removals(line, observe.snapshot(line, nothing), nothing), nothing)


def test_everything_of_a_pipeline_is_found_and_taken_away() -> None:
    _up("demo")
    before = leftovers.left_over(RecordingAws(), "demo")
    for project, store in zip(_LIVE, ("table", "s3"), strict=True):
        _up(project, store)
        found = leftovers.left_over(RecordingAws(), project)
        # A bucket, a queue, three roles, functions and their logs, those of the API, two parameters, and the
        # API; the store of the results, and their index.
        assert len(found) == 1 + 1 + 3 + 3 + 3 + 1 + 2 + 1 + 1 + 1
    place = leftovers.Home(RecordingAws(), "123456789012")
    assert leftovers.clean_up(place, _down) == []
    assert leftovers.left_over(RecordingAws(), "demo") == before


def test_what_is_left_of_a_pipeline_names_its_project() -> None:
    aws = RecordingAws()
    aws.call("logs", "create_log_group", logGroupName=f"/aws/vendedlogs/imgpipe/{_LIVE[0]}-api")
    aws.call("sqs", "create_queue", QueueName=f"{_LIVE[1]}-failed")
    for project in _OTHERS:
        aws.call("sqs", "create_queue", QueueName=f"{project}-failed")
    found = leftovers.left_over(aws)
    assert leftovers.projects(found) == list(_LIVE)
    assert not leftovers.projects(["live-0123abcdef-failed", "live-failed", "/imgpipe/demo/token"])


def _many(service: str) -> Any:
    """More of a kind than one page of its list holds."""
    aws = RecordingAws()
    match service:
        case "logs":
            for number in range(60):
                aws.call("logs", "create_log_group", logGroupName=f"/aws/lambda/a{number}")
            aws.call("logs", "create_log_group", logGroupName=f"/aws/lambda/{_LIVE[0]}-web")
        case "ssm":
            for number in range(60):
                aws.call("ssm", "put_parameter", Name=f"/a{number}", Value="v", Type="String")
            aws.call("ssm", "put_parameter", Name=f"/imgpipe/{_LIVE[0]}/token", Value="v", Type="String")
        case "iam":
            for number in range(110):
                aws.call("iam", "create_role", RoleName=f"a{number}", AssumeRolePolicyDocument="{}")
            aws.call("iam", "create_role", RoleName=f"{_LIVE[0]}-{REGION}-web", AssumeRolePolicyDocument="{}")
        case "dynamodb":
            for name in [*(f"a{number}" for number in range(110)), f"{_LIVE[0]}-results"]:
                aws.call(
                    "dynamodb",
                    "create_table",
                    TableName=name,
                    BillingMode="PAY_PER_REQUEST",
                    AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
                    KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
                )


@pytest.mark.parametrize("service", ["logs", "ssm", "iam", "dynamodb"])
def test_lists_are_read_to_their_last_page(service: str) -> None:
    _many(service)
    found = leftovers.left_over(RecordingAws(), _LIVE[0])
    assert leftovers.projects(found) == [_LIVE[0]]


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_STS"])
def test_a_stray_endpoint_is_refused_before_any_call(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(leftovers.NotAws, match=f"{name} is set"):
        leftovers.home(REGION)


def test_an_endpoint_of_the_configuration_file_is_refused_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "config"
    file.write_text("[default]\nendpoint_url = http://127.0.0.1:9\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    with pytest.raises(leftovers.NotAws, match=r"127\.0\.0\.1:9, which is not AWS"):
        leftovers.home(REGION)


def test_region_and_account_are_those_that_imgpipe_works_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 itself does not read AWS_REGION."""
    monkeypatch.setenv("AWS_REGION", REGION)
    place = leftovers.home()
    assert (place.region, place.account) == (REGION, "123456789012")
