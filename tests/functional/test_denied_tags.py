"""A function whose tags may not be read is not taken for somebody else's."""

from __future__ import annotations

from typing import Any

import pytest

from imgpipe_cli.aws import AwsError
from imgpipe_cli.aws_problems import problem
from imgpipe_cli.steps.result_functions import STEP
from tests.functional.account import NAMES, RecordingAws, fresh_account, up

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


def test_the_missing_permission_is_named() -> None:
    web = next(resource for resource in STEP.resources if resource.name == "function.web")
    with fresh_account():
        up(RecordingAws())
        with pytest.raises(AwsError) as refused:
            web.observe(WithoutListTags(), NAMES)
    found = problem(refused.value)
    assert found.code == "access_denied"
    assert "lambda:ListTags is missing for arn:aws:lambda" in found.message
