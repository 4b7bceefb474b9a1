"""`imgpipe policy` prints JSON that IAM takes, and asks AWS nothing."""

from __future__ import annotations

import json

import boto3
import pytest
from moto import mock_aws

from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy import permissions
from imgpipe_cli.session.target import Target
from tests.support.cli import ACCOUNT, NAMES, REGION, Cli, remember

WHERE = ("--region", REGION)
(WHOLE,) = permissions.fitted(permissions.document(NAMES))
LONG = ("--project", "a-project-of-24-letters0")


def test_it_is_plain_json_for_the_account_that_is_named(cli: Cli) -> None:
    printed = cli("policy", "--project", "demo", *WHERE, "--account", ACCOUNT)
    assert (printed.code, printed.err) == (0, "")
    assert json.loads(printed.out) == WHOLE


def test_the_account_is_that_of_the_pipeline_known_here(cli: Cli) -> None:
    remember("http://127.0.0.1:1")
    printed = cli("policy")
    assert json.loads(printed.out) == WHOLE


def test_without_an_account_a_star_stands_for_it_and_that_is_said(cli: Cli) -> None:
    printed = cli("policy", *WHERE, "--for", "logs")
    (statement,) = json.loads(printed.out)["Statement"]
    assert statement["Resource"][0] == ("arn:aws:logs:eu-west-1:*:log-group:/aws/lambda/imgpipe-get-result:*")
    assert "--account" in printed.err


def test_after_the_local_cloud_it_is_still_the_policy_for_aws(cli: Cli) -> None:
    remember("http://127.0.0.1:1", target=Target("demo", local=True), account="000000000000")
    printed = cli("policy", *WHERE)
    assert "000000000000" not in printed.out
    assert [json.loads(printed.out)] == permissions.fitted(permissions.document(Names("demo", "*", REGION)))


def test_for_some_commands_only(cli: Cli) -> None:
    printed = cli(
        "policy", "--project", "demo", *WHERE, "--account", ACCOUNT, "--for", "upload, result,upload"
    )
    assert json.loads(printed.out) == permissions.document(NAMES, ["upload", "result"])


def test_iam_takes_it(cli: Cli) -> None:
    """moto checks the form and the size of a policy as IAM does."""
    with mock_aws():
        iam = boto3.client("iam", region_name=REGION)
        whole = cli("policy", *WHERE, "--account", ACCOUNT).out
        assert iam.create_policy(PolicyName="whole", PolicyDocument=whole)["Policy"]["Arn"]
        for part in ("1", "2"):
            text = cli("policy", *LONG, *WHERE, "--account", ACCOUNT, "--part", part).out
            assert iam.create_policy(PolicyName=f"part-{part}", PolicyDocument=text)["Policy"]["Arn"]


def test_one_that_is_too_long_is_printed_in_parts(cli: Cli) -> None:
    printed = cli("policy", *LONG, *WHERE, "--account", ACCOUNT)
    assert (printed.code, printed.out) == (2, "")
    assert "6,144" in printed.err and "--part 1 and --part 2" in printed.err
    parts = cli("policy", *LONG, *WHERE, "--account", ACCOUNT, "--json").document["data"]["policies"]
    assert len(parts) == 2
    second = cli("policy", *LONG, *WHERE, "--account", ACCOUNT, "--part", "2")
    assert json.loads(second.out) == parts[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*WHERE, "--for", "fly"), "fly"),
        ((*WHERE, "--for", ","), "No command"),
        ((*WHERE, "--account", "12"), "12 digits"),
        ((*WHERE, "--part", "2"), "Leave out --part"),
        ((*WHERE, "--part", "0"), "--part"),
        (("--local",), "--aws"),
    ],
)
def test_wrong_usage_is_told_with_a_way_on(cli: Cli, arguments: tuple[str, ...], words: str) -> None:
    printed = cli("policy", *arguments)
    assert (printed.code, printed.out) == (2, "")
    assert words in printed.err
    assert "Hint:" in printed.err


def test_the_explanation_marks_what_was_not_verified(cli: Cli) -> None:
    printed = cli("policy", "--explain")
    assert printed.code == 0
    assert "apigatewayv2.create_stage (?)" in printed.out
    assert "apigatewayv2.create_stage: AWS refuses new stages" in printed.out
    assert "Apis: the id of an API is random" in printed.out
    data = cli("policy", "--explain", "--json").document["data"]
    assert "lambda.get_account_settings: without it, up" in printed.out
    assert set(data["optional"]) > {"lambda.get_account_settings"}
    unverified = {call["call"] for call in data["calls"] if not call["verified"]}
    assert unverified == set(data["unverified"]) != set()
    assert set(data["wide"]) == {"Account", "AnyLogs", "ApiGatewayRole", "ApiTags", "Apis"}


def test_the_explanation_of_one_command_is_about_that_one(cli: Cli) -> None:
    data = cli("policy", "--explain", "--for", "logs", "--json").document["data"]
    assert data == {
        "calls": [
            {
                "call": "logs.filter_log_events",
                "actions": ["logs:FilterLogEvents"],
                "commands": ["logs"],
                "verified": True,
            }
        ],
        "admits": "",
        "wide": {},
        "unverified": {},
        "optional": {},
    }


def test_the_explanation_says_what_the_policy_admits_beyond_the_pipeline(cli: Cli) -> None:
    def told(*options: str) -> str:
        return " ".join(cli("policy", "--explain", *options).out.split())

    assert "can become administrator of the account" in told()
    assert "can become administrator of the account" in told("--for", "up")
    assert "can change a function's code, and so do what its role may do" in told("--for", "token")
    assert "Beyond the pipeline" not in told("--for", "upload,result,list,retry,watch,open,status,down,logs")
