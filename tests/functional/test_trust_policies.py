"""Roles that Lambda cannot take while their trust policies name the account: `up` leaves that out, once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from imgpipe_cli.aws.names import FUNCTIONS
from imgpipe_cli.deploy import deployed, observe
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Changing, Event, Note
from imgpipe_cli.session.settings import Settings
from tests.support.account import NAMES, SETTINGS, RecordingAws, down, inventory, nothing, pipeline, up
from tests.support.behaving_aws import (
    BehavingAccount,
    BehavingAws,
    Behaviour,
    Call,
    Refusal,
    behaving_account,
)
from tests.support.behaviours_of_functions import RoleNotAssumable, SourceAccountNotTold, UnreservedMinimum
from tests.support.behaviours_of_stores import BucketDefaults

_WITHOUT = replace(SETTINGS, source_account=False)


def trusts() -> list[dict[str, Any]]:
    """The trust policy of each role."""
    iam = RecordingAws().client("iam")
    roles = [iam.get_role(RoleName=NAMES.role(function))["Role"] for function in FUNCTIONS]
    return [role["AssumeRolePolicyDocument"]["Statement"][0] for role in roles]


def stored(account: BehavingAccount) -> Settings:
    line = pipeline(BehavingAws(account))
    found = deployed.settings(observe.snapshot(line, nothing), NAMES)
    assert found is not None
    return found


def test_the_condition_is_left_out_where_lambda_cannot_take_the_roles() -> None:
    events: list[Event] = []
    with behaving_account(BucketDefaults(), SourceAccountNotTold()) as account:
        before = inventory()
        outcomes = up(BehavingAws(account), emit=events.append)
        assert 120 < account.clock.now < 150
        assert stored(account) == _WITHOUT
        assert not any("Condition" in one for one in trusts())
        assert all(one["Principal"] == {"Service": "lambda.amazonaws.com"} for one in trusts())
        notes = [event.code for event in events if isinstance(event, Note)]
        assert notes == ["source_account_left_out"]
        changed = {event.resource for event in events if isinstance(event, Changing)}
        assert {name for name, outcome in outcomes.items() if outcome.changed} == changed
        # A second `up` writes nothing, and what is asked for later changes nothing about it.
        writes, waited_s = account.writes, account.clock.now
        up(BehavingAws(account), stored(account))
        assert (account.writes, account.clock.now) == (writes, waited_s)
        up(BehavingAws(account), replace(stored(account), features=("text",)))
        assert stored(account) == replace(_WITHOUT, features=("text",))
        assert down(BehavingAws(account)) == []
        assert inventory() == before


def test_with_stored_settings_removed_it_stays_left_out() -> None:
    with behaving_account(BucketDefaults(), SourceAccountNotTold()) as account:
        up(BehavingAws(account), _WITHOUT)
        RecordingAws().call("ssm", "delete_parameter", Name=NAMES.settings_parameter)
        assert stored(account) == _WITHOUT


def test_a_usual_delay_changes_no_trust_policy() -> None:
    with behaving_account(BucketDefaults(), RoleNotAssumable(lag=60)) as account:
        up(BehavingAws(account))
        assert stored(account) == SETTINGS
        conditions = [one["Condition"] for one in trusts()]
    assert conditions == [{"StringEquals": {"aws:SourceAccount": NAMES.account}}] * 3


def test_it_is_tried_once_only() -> None:
    events: list[Event] = []
    with behaving_account(RoleNotAssumable(lag=10_000)) as account:
        with pytest.raises(Problem, match="cannot be assumed by Lambda") as told:
            up(BehavingAws(account), emit=events.append)
        assert account.clock.now < 300
        asked = [h for h in account.history if h.operation == "UpdateAssumeRolePolicy"]
        assert len(asked) == len({json.dumps(h.params) for h in asked}) == 3
    assert told.value.code == "timeout"
    assert [event.code for event in events if isinstance(event, Note)] == ["source_account_left_out"]


def test_one_run_does_without_both_things_that_aws_refuses() -> None:
    events: list[Event] = []
    with behaving_account(BucketDefaults(), SourceAccountNotTold(), UnreservedMinimum(10)) as account:
        up(BehavingAws(account), emit=events.append)
        assert stored(account) == replace(_WITHOUT, capped=False)
        writes = account.writes
        up(BehavingAws(account), stored(account))
        assert account.writes == writes
    told = [event for event in events if isinstance(event, Note)]
    assert told == [Note("source_account_left_out"), Note("not_capped", "20")]


class StoppedOnce(Behaviour):
    """The run ends at the first function that is given its role again."""

    stopped = False

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:  # noqa: ARG002
        if call.operation != "UpdateFunctionConfiguration" or self.stopped:
            return None
        self.stopped = True
        return Refusal("AccessDeniedException", "not now", 403)


def given_again(account: BehavingAccount) -> list[str]:
    """The functions that Lambda was asked to take their own role for, since they were made."""
    own = {(NAMES.function(one), NAMES.role_arn(one)) for one in FUNCTIONS}
    asked = [h.params for h in account.history if h.operation == "UpdateFunctionConfiguration"]
    assert {(one["FunctionName"], one["Role"]) for one in asked} <= own
    return [one["FunctionName"] for one in asked]


@pytest.mark.parametrize("stopped", [False, True])
def test_the_condition_comes_back_when_asked_for(stopped: bool) -> None:
    """Each function is given its role again, which Lambda may refuse; also after a run that was stopped."""
    with behaving_account(BucketDefaults(), *([StoppedOnce()] if stopped else [])) as account:
        up(BehavingAws(account), _WITHOUT)
        assert not any("Condition" in one for one in trusts())
        asked = replace(stored(account), source_account=True)
        if stopped:
            with pytest.raises(Problem):
                up(BehavingAws(account), asked)
        up(BehavingAws(account), asked)
        assert stored(account) == SETTINGS
        assert all("Condition" in one for one in trusts())
        assert sorted(set(given_again(account))) == sorted(map(NAMES.function, FUNCTIONS))
        writes = account.writes
        up(BehavingAws(account), stored(account))
        assert account.writes == writes


def test_the_condition_is_left_out_again_where_lambda_still_cannot_take_the_roles() -> None:
    events: list[Event] = []
    with behaving_account(BucketDefaults(), SourceAccountNotTold()) as account:
        up(BehavingAws(account), _WITHOUT)
        up(BehavingAws(account), replace(stored(account), source_account=True), emit=events.append)
        assert stored(account) == _WITHOUT
        assert not any("Condition" in one for one in trusts())
        given_again(account)
        writes = account.writes
        up(BehavingAws(account), stored(account))
        assert account.writes == writes
    assert Note("source_account_left_out") in events


def test_settings_of_before_name_the_account() -> None:
    document = json.loads(SETTINGS.to_json())
    del document["source_account"]
    assert Settings.from_json(json.dumps(document)).source_account
    assert not Settings.from_json(_WITHOUT.to_json()).source_account
