"""Names and ARNs."""

from __future__ import annotations

import boto3
import pytest

from imgpipe_cli.aws.names import FUNCTIONS, PROJECT_MAX, Names, check_project
from imgpipe_cli.errors import ExitCode, Problem

ACCOUNT = "123456789012"
LONGEST = "a" * PROJECT_MAX
PARTITIONS = ("aws", "aws-cn", "aws-us-gov")


def _regions(*partitions: str) -> set[str]:
    session = boto3.Session()
    return {
        region
        for partition in partitions or session.get_available_partitions()
        for region in session.get_available_regions("s3", partition)
    }


def test_the_longest_project_fits_into_every_public_region() -> None:
    regions = _regions(*PARTITIONS)
    assert {"us-east-1", "ap-southeast-1", "cn-north-1", "us-gov-west-1"} <= regions
    assert max(len(Names(LONGEST, ACCOUNT, region).bucket) for region in regions) == 63


def test_in_every_region_that_the_sdk_knows_a_name_fits_or_the_error_says_how_much_shorter() -> None:
    refused = set()
    for region in _regions():
        try:
            names = Names(LONGEST, ACCOUNT, region)
        except Problem as problem:
            refused.add(region)
            names = Names(LONGEST[:-1], ACCOUNT, region)
            assert "at most 23 characters" in problem.hint
        assert len(names.bucket) <= 63
    assert refused == {region for region in _regions() if len(region) > 14}


def test_a_region_with_a_longer_name_needs_a_shorter_project() -> None:
    region = "ap-southeastern-12"
    with pytest.raises(Problem) as caught:
        Names(LONGEST, ACCOUNT, region)
    assert caught.value.code == "bad_project"
    assert caught.value.exit_code is ExitCode.USAGE
    assert "at most 20 characters" in caught.value.hint
    assert len(Names(LONGEST[:-4], ACCOUNT, region).bucket) == 63


def test_a_region_that_leaves_no_room_for_a_project_is_the_one_that_is_wrong() -> None:
    for length in (37, 38, 44):
        with pytest.raises(Problem) as caught:
            Names("demo", ACCOUNT, "x" * length)
        expected = ("bad_project", "at most 1 char") if length < 38 else ("bad_region", "eu-west-1")
        assert caught.value.code == expected[0]
        assert expected[1] in caught.value.hint


def test_all_other_names_of_the_longest_project_are_within_their_limits() -> None:
    names = Names(LONGEST, ACCOUNT, "ap-southeast-1")
    for function in FUNCTIONS:
        assert len(names.function(function)) <= 64
        assert len(names.role(function)) <= 64
        assert len(names.log_group(function)) <= 512
    assert len(names.queue) <= 80
    assert len(names.table) <= 255
    assert len(names.api) <= 128


@pytest.mark.parametrize(
    ("project", "reason"),
    [
        ("a" * 25, "has 25 characters, at most 24"),
        ("", "starts with a letter"),
        ("1a", "starts with a letter"),
        ("-a", "starts with a letter"),
        ("a-", "lower-case letters"),
        ("a--b", "single hyphens"),
        ("Holiday", "lower-case"),
        ("a_b", "lower-case letters"),
        ("a.b", "lower-case letters"),
        ("a\n", "lower-case letters"),
        ("ä", "lower-case letters"),
        ("sthree-a", "S3 reserves"),
        ("amzn-s3-demo-a", "S3 reserves"),
    ],
)
def test_a_name_that_aws_would_refuse_is_a_usage_error(project: str, reason: str) -> None:
    with pytest.raises(Problem) as caught:
        check_project(project)
    assert (caught.value.code, caught.value.exit_code) == ("bad_project", ExitCode.USAGE)
    assert reason in caught.value.message
    assert "--project" in caught.value.hint


@pytest.mark.parametrize("project", ["a", "imgpipe", "holiday-photos", "a1-2b", LONGEST])
def test_a_good_name_stays_as_it_is(project: str) -> None:
    assert check_project(project) == project


@pytest.mark.parametrize("partition", PARTITIONS)
def test_every_arn_is_of_the_partition(partition: str) -> None:
    names = Names("demo", ACCOUNT, "eu-west-1", partition)
    here = f"arn:{partition}"
    assert names.bucket_arn == f"{here}:s3:::demo-uploads-123456789012-eu-west-1-an"
    assert names.results_bucket_arn == f"{here}:s3:::demo-results-123456789012-eu-west-1-an"
    assert names.table_arn == f"{here}:dynamodb:eu-west-1:{ACCOUNT}:table/demo-results"
    assert names.index_table_arn == f"{here}:dynamodb:eu-west-1:{ACCOUNT}:table/demo-index"
    assert names.queue_arn == f"{here}:sqs:eu-west-1:{ACCOUNT}:demo-failed"
    assert names.function_arn("get_result") == f"{here}:lambda:eu-west-1:{ACCOUNT}:function:demo-get-result"
    assert names.role_arn("web") == f"{here}:iam::{ACCOUNT}:role/demo-eu-west-1-web"
    assert names.log_group_arn("/aws/x") == f"{here}:logs:eu-west-1:{ACCOUNT}:log-group:/aws/x"
    assert names.parameter_arn(names.token_parameter) == (
        f"{here}:ssm:eu-west-1:{ACCOUNT}:parameter/imgpipe/demo/token"
    )
    assert names.api_route_arn("abc", "prod/GET/result") == (
        f"{here}:execute-api:eu-west-1:{ACCOUNT}:abc/prod/GET/result"
    )


def test_two_projects_share_no_name() -> None:
    def all_names(names: Names) -> set[str]:
        single = {
            names.bucket,
            names.results_bucket,
            names.table,
            names.index_table,
            names.queue,
            names.api,
            names.access_log_group,
        }
        parameters = {names.settings_parameter, names.token_parameter}
        several = {make(f) for f in FUNCTIONS for make in (names.function, names.role, names.log_group)}
        return single | parameters | several

    one, two = (all_names(Names(project, ACCOUNT, "eu-west-1")) for project in ("a", "a-b"))
    assert len(one) == 9 + 3 * len(FUNCTIONS)
    assert not one & two


def test_only_both_tags_exactly_make_a_thing_ours() -> None:
    names = Names("demo", ACCOUNT, "eu-west-1")
    assert names.owns(names.tags)
    assert names.owns(names.tag_list)
    assert names.owns({**names.tags, "Team": "x"})
    for tags in (
        {},
        {"Project": "demo"},
        {"ManagedBy": "imgpipe"},
        {"Project": "demo2", "ManagedBy": "imgpipe"},
        {"project": "demo", "managedby": "imgpipe"},
        {"Project": "Demo", "ManagedBy": "imgpipe"},
    ):
        assert not names.owns(tags), tags
        assert not names.owns([{"Key": key, "Value": value} for key, value in tags.items()])
