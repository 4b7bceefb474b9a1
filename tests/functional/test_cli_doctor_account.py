"""What `imgpipe doctor` says of the account: quota, permissions simulated or tried out, the pipeline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support.assert_doctor import AS_PLAYED, checks, doctor, not_ok, signed_in
from tests.support.cli import ACCOUNT, NAMES, REGION, Cli, remember
from tests.support.loopback_aws import LoopbackAws


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackAws]:
    with signed_in(monkeypatch) as played:
        yield played


def test_ten_functions_at_once_are_a_warning_with_the_way_to_more(aws: LoopbackAws, cli: Cli) -> None:
    aws.concurrency = 10
    printed = doctor(cli)
    assert printed.code == 0
    assert not_ok(printed) == AS_PLAYED | {"concurrency": "warning"}
    assert "waits in Lambda's queue" in checks(printed)["concurrency"]["seen"]
    assert "--quota-code L-B99A9384" in checks(printed)["concurrency"]["fix"]


def test_a_quota_that_may_not_be_read_is_not_checked(aws: LoopbackAws, cli: Cli) -> None:
    aws.denied = frozenset({"lambda:GetAccountSettings"})
    found = checks(doctor(cli))["concurrency"]
    assert (found["verdict"], found["seen"]) == (
        "not_checked",
        f"{aws.url} does not say (AccessDeniedException)",
    )


def test_missing_permissions_are_named_with_resource_and_commands(aws: LoopbackAws, cli: Cli) -> None:
    missing = {"dynamodb:CreateTable", "iam:PassRole", "s3:PutObject"}
    aws.allowed = lambda action, resource: action not in missing or "results-" in resource
    printed = doctor(cli)
    found = checks(printed)["permissions"]
    assert (printed.code, printed.error) == (1, "permissions")
    assert found["seen"].startswith("3 of ")
    lines = [line.split(" (for ")[0] for line in found["details"]]
    assert "dynamodb:CreateTable on table/demo-index and 1 more" in lines
    assert "iam:PassRole on role/demo-eu-west-1-get-result and 1 more" in lines  # for up and token
    assert "iam:PassRole on role/demo-eu-west-1-ingest" in lines  # for up alone
    # The results bucket's objects are allowed, the pictures are not.
    assert f"s3:PutObject on {NAMES.bucket}/*" in lines
    assert f"s3:PutObject on {NAMES.results_bucket}/*" not in lines
    assert "upload" in next(line for line in found["details"] if line.startswith("s3:PutObject"))
    assert "imgpipe policy" in found["fix"]
    assert "user/ann" in found["fix"]


def test_only_what_is_asked_for_has_to_be_allowed(aws: LoopbackAws, cli: Cli) -> None:
    aws.allowed = lambda action, _resource: action != "dynamodb:CreateTable"
    assert doctor(cli).error == "permissions"
    assert not_ok(doctor(cli, "--for", "upload, result")) == AS_PLAYED
    printed = doctor(cli, "--for", "fly")
    assert (printed.code, printed.error) == (2, "bad_usage")


def test_what_the_organization_denies_no_policy_of_ours_allows(aws: LoopbackAws, cli: Cli) -> None:
    aws.allowed = lambda action, _resource: action != "dynamodb:CreateTable"
    aws.above = (
        "<OrganizationsDecisionDetail><AllowedByOrganizations>false</AllowedByOrganizations>"
        "</OrganizationsDecisionDetail>"
    )
    found = checks(doctor(cli))["permissions"]
    assert found["details"][0].endswith(", denied by the organization")
    assert "is not enough" in found["fix"]


def test_actions_that_iam_does_not_take_together_are_asked_apart(aws: LoopbackAws, cli: Cli) -> None:
    aws.apart = frozenset({"s3:PutLifecycleConfiguration", "dynamodb:TagResource"})
    aws.allowed = lambda action, _resource: action not in aws.apart
    found = checks(doctor(cli))["permissions"]
    assert found["seen"].startswith("2 of ")
    assert {line.split(" ")[0] for line in found["details"]} == aws.apart


def test_a_role_is_simulated_with_its_path_and_the_calls_context(aws: LoopbackAws, cli: Cli) -> None:
    aws.arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/builder/ann"
    aws.role_path = "/aws-reserved/sso.amazonaws.com/"
    assert not_ok(doctor(cli)) == AS_PLAYED
    asked = aws.simulations()
    assert {one["PolicySourceArn"] for one in asked} == {
        f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/builder"
    }
    (passing,) = [one for one in asked if "iam:PassRole" in one.values()]
    assert "lambda.amazonaws.com" in passing.values()
    assert "iam:PassedToService" in passing.values()


MFA = "aws:MultiFactorAuthPresent"


def test_what_depends_on_the_real_call_is_not_called_missing(aws: LoopbackAws, cli: Cli) -> None:
    """A Deny on BoolIfExists of it denies everything in a simulation, to a user signed in with it too."""
    aws.allowed, aws.asks_for = (lambda _action, _resource: False), MFA
    printed = doctor(cli)
    found = checks(printed)["permissions"]
    assert (printed.code, found["verdict"]) == (0, "not_checked")
    assert f"actions depend on {MFA}), only read: all 26 parts" in found["seen"]
    aws.denied = frozenset({"lambda:GetFunction"})
    assert checks(doctor(cli))["permissions"]["verdict"] == "failed"


def test_roles_of_identity_center_are_found_without_the_right_to_read_them(
    aws: LoopbackAws, cli: Cli
) -> None:
    name = "AWSReservedSSO_admins_0123456789abcdef"
    aws.arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/ann"
    aws.denied = frozenset({"iam:GetRole"})
    for folder in ("", f"{REGION}/"):
        aws.simulated_as = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/{folder}{name}"
        found = checks(doctor(cli))["permissions"]
        assert found["verdict"] == "ok"
        assert f"simulated for {aws.simulated_as}: all allowed" in found["seen"]
        assert "does not see session policies" in found["seen"]


def test_a_role_whose_path_is_unknown_is_told_with_what_would_tell_it(aws: LoopbackAws, cli: Cli) -> None:
    aws.arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/builder/ann"
    aws.simulated_as = f"arn:aws:iam::{ACCOUNT}:role/team/builder"
    aws.denied = frozenset({"iam:GetRole"})
    found = checks(doctor(cli, "--for", "upload"))["permissions"]
    assert found["verdict"] == "not_checked"
    assert "iam:GetRole of your own role is not allowed, so its path is unknown" in found["seen"]
    assert found["fix"].startswith("Allow iam:GetRole on your own role.")


# --- where nothing is simulated --------------------------------------------------------------------


def test_a_denied_simulation_is_replaced_by_reading(aws: LoopbackAws, cli: Cli) -> None:
    aws.denied = frozenset({"iam:SimulatePrincipalPolicy"})
    printed = doctor(cli)
    found = checks(printed)["permissions"]
    assert printed.code == 0
    assert found["verdict"] == "not_checked"
    assert "iam:SimulatePrincipalPolicy is not allowed" in found["seen"]
    assert "all 26 parts of the pipeline may be read; writing is not checked" in found["seen"]
    assert found["fix"].startswith(f"Allow iam:SimulatePrincipalPolicy on {aws.arn}.")


def test_reads_that_are_denied_are_named(aws: LoopbackAws, cli: Cli) -> None:
    aws.denied = frozenset({"iam:SimulatePrincipalPolicy", "iam:GetRole", "lambda:GetFunction"})
    printed = doctor(cli)
    found = checks(printed)["permissions"]
    assert (printed.code, printed.error) == (1, "permissions")
    assert {line.split(" (")[0] for line in found["details"]} == {"iam:GetRole", "lambda:GetFunction"}
    assert all("up" in line for line in found["details"])
    upload = checks(doctor(cli, "--for", "upload"))["permissions"]
    assert upload["verdict"] == "not_checked"
    # Three roles, and three functions with three permissions and the retries: other commands look at them.
    assert "16 of 26 parts of the pipeline may be read, and these commands do not look" in upload["seen"]


def test_who_may_nothing_in_s3_is_told_so(
    aws: LoopbackAws, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"{aws.url}/s3")
    aws.denied = frozenset({"iam:SimulatePrincipalPolicy"})
    found = checks(doctor(cli))["permissions"]
    assert found["verdict"] == "failed"
    assert any(line.startswith("s3:ListBucket (for up") for line in found["details"])


def test_a_simulation_that_decides_nothing_is_none(aws: LoopbackAws, cli: Cli) -> None:
    aws.refuses_all = True
    found = checks(doctor(cli))["permissions"]
    assert found["verdict"] == "not_checked"
    assert "not simulated (IAM simulates none of these actions), only read" in found["seen"]


def test_a_federated_user_has_nothing_to_simulate(aws: LoopbackAws, cli: Cli) -> None:
    aws.arn = f"arn:aws:sts::{ACCOUNT}:federated-user/ann"
    found = checks(doctor(cli))["permissions"]
    assert found["verdict"] == "not_checked"
    assert "a federated-user has no policies of its own" in found["seen"]
    assert not aws.simulations()


# --- the pipeline ----------------------------------------------------------------------------------


def test_a_pipeline_that_is_there_in_part(aws: LoopbackAws, cli: Cli) -> None:
    parameters: Any = boto3.client("ssm", region_name=REGION)
    parameters.put_parameter(
        Name=NAMES.settings_parameter, Value=json.dumps({}), Type="String", Tags=NAMES.tag_list
    )
    printed = doctor(cli)
    assert printed.code == 0
    assert not_ok(printed) == AS_PLAYED | {"pipeline": "warning"}
    assert checks(printed)["pipeline"]["fix"] == "imgpipe up --project demo"


@pytest.mark.parametrize("theirs", [NAMES.settings_parameter, NAMES.token_parameter])
def test_a_pipeline_of_somebody_else_is_not_to_be_finished(aws: LoopbackAws, cli: Cli, theirs: str) -> None:
    parameters: Any = boto3.client("ssm", region_name=REGION)
    parameters.put_parameter(Name=theirs, Value="{}", Type="String")
    printed = doctor(cli)
    assert printed.code == 1
    found = checks(printed)["pipeline"]
    assert f"parameter {theirs}" in found["seen"]
    assert found["fix"].startswith("Choose another name with --project")


# --- what to do, where -----------------------------------------------------------------------------


def _told(cli: Cli, *options: str) -> str:
    return str(checks(cli("doctor", "--json", *options))["pipeline"]["seen"])


def test_a_fix_is_for_the_place_that_was_looked_at(
    aws: LoopbackAws, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember("http://127.0.0.1:1", project="last")
    assert _told(cli) == "last is not set up here (imgpipe up)"
    assert _told(cli, "--project", "holiday") == "holiday is not set up here (imgpipe up --project holiday)"
    told = _told(cli, "--project", "holiday", "--region", "us-west-2")
    assert told.endswith("(imgpipe up --project holiday --region us-west-2)")
    Path("imgpipe.toml").write_text('project = "work"\n')
    assert _told(cli) == "work is not set up here (imgpipe up)"
    monkeypatch.setenv("IMGPIPE_PROJECT", "holiday")
    assert _told(cli) == "holiday is not set up here (imgpipe up)"
    monkeypatch.delenv("IMGPIPE_PROJECT")
    Path("imgpipe.toml").write_text("local = true\n")
    assert _told(cli, "--aws").endswith("(imgpipe up --aws)")


def test_a_fix_is_for_the_commands_that_were_asked_about(aws: LoopbackAws, cli: Cli) -> None:
    aws.allowed = lambda _action, _resource: False
    found = checks(doctor(cli, "--for", "upload, result"))["permissions"]
    assert found["fix"].startswith("imgpipe policy --project demo --for upload,result prints")
