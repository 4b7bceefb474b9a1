"""One call that is refused for a moment, or whose answer gets lost: nothing fails, or is made twice."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from imgpipe_cli.problems import Problem
from imgpipe_cli.settings import Settings
from tests.functional.account import RecordingAws, down, inventory, up
from tests.functional.aws_as_it_behaves import (
    BehavingAccount,
    BehavingAws,
    Behaviour,
    Call,
    Refusal,
    behaving_account,
)
from tests.functional.behaviours_of_services import AnswerLost, ApisLag, Refused, TagsLag

_OTHER = Settings(features=("labels", "text"), first_day="2026-01-01")
_CONCURRENT = Refusal(
    "ResourceConflictException",
    "The function could not be updated due to a concurrent update operation. Please try again later.",
    409,
)
_MODIFIED = Refusal("ConcurrentModification", "Multiple requests to change this object were submitted.", 409)
_KEY = Refusal("InvalidParameterValueException", "the KMS key is invalid for CreateGrant.")
_MANY = Refusal("TooManyUpdates", "There are too many updates for this parameter.")


@pytest.mark.parametrize(
    ("operation", "refusal"),
    [
        ("AddPermission", _CONCURRENT),
        ("PutFunctionEventInvokeConfig", _CONCURRENT),
        ("UpdateFunctionConfiguration", _CONCURRENT),
        ("DeleteFunction", _CONCURRENT),
        ("CreateRole", _MODIFIED),
        ("PutRolePolicy", _MODIFIED),
        ("DeleteRole", _MODIFIED),
        ("CreateFunction", _KEY),
        ("UpdateFunctionConfiguration", _KEY),
        ("PutParameter", _MANY),
        ("DeleteParameter", _MANY),
    ],
)
def test_what_is_refused_for_a_moment_is_tried_again(operation: str, refusal: Refusal) -> None:
    refused = Refused(operation, refusal, times=2)
    with behaving_account(refused) as account:
        empty = inventory()
        up(BehavingAws(account))
        up(BehavingAws(account), _OTHER)
        assert down(BehavingAws(account)) == []
        assert account.met["Refused"] == 2
        assert inventory() == empty


def test_a_second_value_of_the_settings_is_tried_again_too() -> None:
    with behaving_account() as account:
        up(BehavingAws(account))
        account.behaviours = [Refused("PutParameter", _MANY, times=2)]
        outcomes = up(BehavingAws(account), _OTHER)
        assert Settings.from_json(outcomes["settings"].seen.facts["value"]) == _OTHER


@pytest.mark.parametrize("operation", ["CreateApi", "CreateIntegration", "CreateRoute"])
@pytest.mark.parametrize(
    "late", [[], [ApisLag], [TagsLag]], ids=["shown at once", "listed late", "tags late"]
)
def test_a_create_whose_answer_got_lost_is_not_sent_again_before_it_shows(
    operation: str, late: Sequence[type[Behaviour]]
) -> None:
    with behaving_account():
        up(RecordingAws())
        undisturbed = inventory()
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
    with behaving_account() as account:
        up(BehavingAws(account))
        account.behaviours = [_Down("Scan", denied, "ssm")]
        with pytest.raises(Problem, match="dynamodb:Scan is missing"):
            up(BehavingAws(account), Settings(first_day="2026-01-01", move="copy"))


class _ParameterStays(Behaviour):
    """The deletion of a parameter is never shown."""

    def looks_back(self, account: BehavingAccount, call: Call) -> bool:
        name = call.params.get("Name") or call.params.get("ResourceId")
        return call.service == "ssm" and account.ago("DeleteParameter", Name=name) < float("inf")


def test_a_parameter_that_never_goes_is_told_by_down() -> None:
    with behaving_account(_ParameterStays()) as account:
        up(BehavingAws(account))
        with pytest.raises(Problem, match="still there") as told:
            down(BehavingAws(account))
        assert told.value.code == "timeout"
