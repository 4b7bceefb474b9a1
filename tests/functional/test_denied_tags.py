"""What may not be looked at is not taken for somebody else's: the missing permission is named."""

from __future__ import annotations

from typing import Any

import pytest

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.deploy.resource import Resource
from imgpipe_cli.deploy.steps import STEPS
from imgpipe_cli.errors import Problem
from tests.support.account import NAMES, RecordingAws, finished, fresh_account, up

REFUSED = (
    "User: arn:aws:iam::123456789012:user/me is not authorized to perform: lambda:ListTags on resource: "
    "arn:aws:lambda:eu-west-1:123456789012:function:demo-web because no identity-based policy allows it"
)


class WithoutListTags(RecordingAws):
    """Lambda answers GetFunction without tags, and says why, to who may not list them."""

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        answer = super().call(service, operation, once=once, **params)
        if operation == "get_function":
            del answer["Tags"]
            answer["TagsError"] = {"ErrorCode": "AccessDeniedException", "Message": REFUSED}
        return answer


def resource(name: str) -> Resource:
    return next(one for step in STEPS for one in step.resources if one.name == name)


def test_the_missing_permission_is_named() -> None:
    with fresh_account():
        finished()
        with pytest.raises(AwsError) as refused:
            resource("function.web").observe(WithoutListTags(), NAMES)
    found = problem(refused.value)
    assert found.code == "access_denied"
    assert "lambda:ListTags is missing for arn:aws:lambda" in found.message


class Answering(RecordingAws):
    """AWS that answers one operation with an error, and tables with another status."""

    def __init__(self, operation: str, code: str, *, status: str = "ACTIVE") -> None:
        super().__init__()
        self._operation, self._code, self._status = operation, code, status

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        if operation == self._operation:
            raise AwsError(self._code, "", service=service, operation=operation)
        answer = super().call(service, operation, once=once, **params)
        if operation == "describe_table":
            answer["Table"]["TableStatus"] = self._status
        return answer


@pytest.mark.parametrize(
    ("operation", "code", "missing"),
    [
        ("list_tags_of_resource", "AccessDeniedException", "dynamodb:ListTagsOfResource"),
        ("head_bucket", "403", f"s3:ListBucket is missing for arn:aws:s3:::{NAMES.bucket}."),
    ],
)
def test_a_denied_look_ends_up_before_any_change(operation: str, code: str, missing: str) -> None:
    with fresh_account():
        finished()
        aws = Answering(operation, code)
        with pytest.raises(Problem, match=missing) as refused:
            up(aws)
        assert (refused.value.code, aws.writes) == ("access_denied", [])


@pytest.mark.parametrize("status", ["CREATING", "DELETING"])
def test_tags_that_are_denied_while_the_table_is_made_or_removed_are_looked_at_later(status: str) -> None:
    with fresh_account():
        finished()
        aws = Answering("list_tags_of_resource", "AccessDeniedException", status=status)
        seen = resource("table").observe(aws, NAMES)
        assert (seen.indeterminate, seen.not_owned) == (True, False)


class GoneMeanwhile(Answering):
    """The table goes after it was described, and before its tags are read."""

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        if operation == "describe_table" and "describe_table" in self.asked:
            raise AwsError("ResourceNotFoundException", "", service=service, operation=operation)
        self.asked.add(operation)
        return super().call(service, operation, once=once, **params)

    def __init__(self) -> None:
        super().__init__("list_tags_of_resource", "AccessDeniedException")
        self.asked: set[str] = set()


def test_a_table_that_goes_between_two_looks_is_gone_and_not_denied() -> None:
    with fresh_account():
        finished()
        assert not resource("table").observe(GoneMeanwhile(), NAMES).exists


def test_a_bucket_of_our_name_in_another_region_is_somebody_elses() -> None:
    with fresh_account():
        aws = Answering("head_bucket", "301")
        with pytest.raises(Problem, match=r"bucket \(S3 answers 301\)") as refused:
            up(aws)
        assert (refused.value.code, aws.writes) == ("not_ours", [])
