"""One call that is refused for a moment, or whose answer gets lost: nothing fails, or is made twice."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import pytest

from imgpipe_cli.errors import Problem
from imgpipe_cli.session.settings import Settings
from tests.support import exhaustive
from tests.support.account import (
    NAMES,
    SETTINGS,
    RecordingAws,
    down,
    finished,
    fresh_account,
    inventory,
    up,
)
from tests.support.behaving_aws import (
    BehavingAccount,
    BehavingAws,
    Behaviour,
    Call,
    Refusal,
    behaving_account,
)
from tests.support.behaviours_of_services import AnswerLost, ApisLag, Refused, TagsLag

_OTHER = Settings(features=("labels", "text"), first_day="2026-01-01")
_CONCURRENT = Refusal(
    "ResourceConflictException",
    "The function could not be updated due to a concurrent update operation. Please try again later.",
    409,
)
_MODIFIED = Refusal("ConcurrentModification", "Multiple requests to change this object were submitted.", 409)
_KEY = Refusal("InvalidParameterValueException", "the KMS key is invalid for CreateGrant.")
_MANY = Refusal("TooManyUpdates", "There are too many updates for this parameter.")


@functools.cache
def _undisturbed(settings: Settings) -> dict[str, Any]:
    """What is there after an `up` that nothing disturbs."""
    with fresh_account():
        finished(settings)
        return inventory()


@pytest.mark.parametrize(
    ("operation", "refusal"),
    [
        ("AddPermission", _CONCURRENT),
        ("PutFunctionEventInvokeConfig", _CONCURRENT),
        ("CreateRole", _MODIFIED),
        ("PutRolePolicy", _MODIFIED),
        ("CreateFunction", _KEY),
        ("PutParameter", _MANY),
    ],
)
def test_what_the_first_up_is_refused_for_a_moment_is_tried_again(operation: str, refusal: Refusal) -> None:
    right = _undisturbed(SETTINGS)
    with behaving_account(Refused(operation, refusal, times=2)) as account:
        up(BehavingAws(account))
        assert account.met["Refused"] == 2
        assert inventory() == right


@pytest.mark.parametrize("refusal", [_CONCURRENT, _KEY])
def test_what_a_change_is_refused_for_a_moment_is_tried_again(refusal: Refusal) -> None:
    right = _undisturbed(_OTHER)
    with behaving_account(Refused("UpdateFunctionConfiguration", refusal, times=2)) as account:
        finished()
        up(BehavingAws(account), _OTHER)
        assert account.met["Refused"] == 2
        assert inventory() == right


@pytest.mark.parametrize(
    ("operation", "refusal"),
    [("DeleteFunction", _CONCURRENT), ("DeleteRole", _MODIFIED), ("DeleteParameter", _MANY)],
)
def test_what_down_is_refused_for_a_moment_is_tried_again(operation: str, refusal: Refusal) -> None:
    with behaving_account(Refused(operation, refusal, times=2)) as account:
        empty = inventory()
        finished()
        assert down(BehavingAws(account)) == []
        assert account.met["Refused"] == 2
        assert inventory() == empty


def test_a_second_value_of_the_settings_is_tried_again_too() -> None:
    with behaving_account(Refused("PutParameter", _MANY, times=2)) as account:
        finished()
        outcomes = up(BehavingAws(account), _OTHER)
        assert Settings.from_json(outcomes["settings"].observed.facts["value"]) == _OTHER


_LATE = {"shown at once": [], "listed late": [ApisLag], "tags late": [TagsLag]}
_LOST = [
    pytest.param(operation, late, id=f"{operation}-{name}")
    for operation in ("CreateApi", "CreateIntegration", "CreateRoute")
    for name, late in _LATE.items()
]


# Of the API, which others need, each; of what stands in it one.
@pytest.mark.parametrize(("operation", "late"), [*_LOST[:4], *map(exhaustive.only, _LOST[4:-1]), _LOST[-1]])
def test_a_create_whose_answer_got_lost_is_not_sent_again_before_it_shows(
    operation: str, late: Sequence[type[Behaviour]]
) -> None:
    undisturbed = _undisturbed(SETTINGS)
    with behaving_account(AnswerLost(operation), *[kind() for kind in late]) as account:
        up(BehavingAws(account))
        assert account.met["AnswerLost"] == 1
        asked = [str(h.params) for h in account.history if h.operation == operation]
        assert len(set(asked)) == len(asked), "the same was made twice"
        assert "DeleteApi" not in [h.operation for h in account.history]
        assert inventory() == undisturbed


def test_a_create_that_never_arrived_is_sent_again() -> None:
    gone = Refused("CreateApi", Refusal("InternalServerError", "Please try again.", 500), times=1)
    with behaving_account(gone) as account:
        up(BehavingAws(account))
        assert account.met["Refused"] == 1
        assert [h.operation for h in account.history].count("CreateApi") == 1


class _Down(Behaviour):
    """After one operation was refused for good, no read of a service answers any more."""

    def __init__(self, operation: str, refusal: Refusal, service: str) -> None:
        super().__init__()
        self._operation, self._refusal, self._service = operation, refusal, service
        self._met = False

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:  # noqa: ARG002
        if call.operation == self._operation:
            self._met = True
            return self._refusal
        if self._met and call.service == self._service and call.is_read:
            return Refusal("ThrottlingException", "Rate exceeded")
        return None


_QUOTA = Refusal("CodeStorageExceededException", "Code storage limit exceeded.")


def test_the_first_failure_is_told_also_when_the_look_after_it_fails() -> None:
    down_after = _Down("CreateFunction", _QUOTA, "ssm")
    told = pytest.raises(Problem, match="Code storage limit exceeded")
    with behaving_account(down_after) as account, told:
        up(BehavingAws(account))


def test_the_first_failure_of_a_move_is_told_also_when_the_look_after_it_fails() -> None:
    denied = Refusal("AccessDeniedException", "not authorized to perform: dynamodb:Scan", 400)
    with behaving_account(_Down("Scan", denied, "ssm")) as account:
        finished()
        with pytest.raises(Problem, match="dynamodb:Scan is missing"):
            up(BehavingAws(account), Settings(first_day="2026-01-01", move="copy"))


class _ParameterStays(Behaviour):
    """The deletion of a parameter is never shown."""

    def looks_back(self, account: BehavingAccount, call: Call) -> bool:
        name = call.params.get("Name") or call.params.get("ResourceId")
        return call.service == "ssm" and account.ago("DeleteParameter", Name=name) < float("inf")


def test_a_parameter_that_never_goes_is_told_by_down() -> None:
    with behaving_account(_ParameterStays()) as account:
        finished()
        with pytest.raises(Problem, match="still there") as told:
            down(BehavingAws(account))
        assert told.value.code == "timeout"


# --- single keys inside DeleteObjects ------------------------------------------------------------


class _KeysFail(Behaviour):
    """S3 deletes nothing of a batch, so many times, and says why for each key in a good answer.
    [bc:s3/DeleteObjects]"""

    def __init__(self, code: str, times: float) -> None:
        super().__init__()
        self._code, self._left = code, times

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:  # noqa: ARG002
        failing = call.operation == "DeleteObjects" and self._left > 0
        self._left -= failing
        return _KeyErrors(self._code, "") if failing else None


class _KeyErrors(Refusal):
    def wire(self, call: Call) -> tuple[int, dict[str, str], bytes]:
        keys = "".join(
            f"<Error><Key>{one['Key']}</Key><VersionId>{one['VersionId']}</VersionId>"
            f"<Code>{self.code}</Code><Message>Please try again.</Message></Error>"
            for one in call.params["Delete"]["Objects"]
        )
        return 200, {"Content-Type": "text/xml"}, f"<DeleteResult>{keys}</DeleteResult>".encode()


def _with_a_picture() -> None:
    finished()
    s3 = RecordingAws().client("s3")
    # moto knows no conditions in a policy, and would call the function.
    s3.delete_bucket_policy(Bucket=NAMES.bucket)
    s3.put_bucket_notification_configuration(Bucket=NAMES.bucket, NotificationConfiguration={})
    s3.put_object(Bucket=NAMES.bucket, Key="a.jpg", Body=b"picture")


@pytest.mark.parametrize("code", ["InternalError", "SlowDown"])
def test_objects_that_s3_could_not_delete_for_a_moment_are_sent_again(code: str) -> None:
    with behaving_account(_KeysFail(code, 3)) as account:
        _with_a_picture()
        assert down(BehavingAws(account)) == []
        assert account.met["_KeysFail"] == 3


# Each is asked for as it was counted, and once more as it is listed.
@pytest.mark.parametrize(("code", "sent"), [("InternalError", 16), ("AccessDenied", 2)])
def test_an_object_that_s3_never_deletes_is_named(code: str, sent: int) -> None:
    with behaving_account(_KeysFail(code, float("inf"))) as account:
        _with_a_picture()
        with pytest.raises(Problem, match="bucket demo-uploads"):
            down(BehavingAws(account))
        assert account.met["_KeysFail"] == sent
