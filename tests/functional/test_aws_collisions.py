"""What AWS refuses where two calls meet goes one at a time there; what has another cause says so."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest

from imgpipe_cli.aws.client import Aws, Place
from imgpipe_cli.commands.up import _check_region
from imgpipe_cli.deploy.resource import Context
from imgpipe_cli.deploy.resources.lambda_retries import Retries
from imgpipe_cli.diagnose.doctor.network import rekognition
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Changing, Event
from imgpipe_cli.session.settings import Settings
from tests.support.account import NAMES, RecordingAws, fresh_account, up
from tests.support.behaving_aws import (
    BehavingAccount,
    BehavingAws,
    Behaviour,
    Call,
    Refusal,
    behaving_account,
)
from tests.support.behaviours_of_functions import EmptyDestinations
from tests.support.behaviours_of_services import Refused

_OTHER = Settings(features=("labels", "text"), first_day="2026-01-01")
_SEVERAL = ("bucket", "api.routes")
_ABORTED = Refusal("OperationAborted", "A conflicting conditional operation is currently in progress.", 409)


def senders(run: Callable[[Callable[[Event], None]], object]) -> dict[str, set[str]]:
    """Resource -> the threads that sent what was set or created of it."""
    found: dict[str, set[str]] = defaultdict(set)

    def emit(event: Event) -> None:
        if isinstance(event, Changing):
            found[event.resource].add(threading.current_thread().name)

    run(emit)
    return found


def test_on_aws_parts_of_a_bucket_and_routes_go_one_at_a_time() -> None:
    with behaving_account() as account:
        found = senders(lambda emit: up(BehavingAws(account), emit=emit))
    assert not [name for one in _SEVERAL for name in found[one] if name.startswith("change")]


def test_elsewhere_they_go_side_by_side() -> None:
    met = {one: threading.Barrier(2) for one in _SEVERAL}

    def emit(event: Event) -> None:
        # The first two that go in threads of their own wait for each other: one at a time they would in vain.
        own = threading.current_thread().name.startswith("change")
        if isinstance(event, Changing) and own and not passed.get(event.resource, True):
            met[event.resource].wait(timeout=60)
            passed[event.resource] = True

    passed = dict.fromkeys(_SEVERAL, False)
    with fresh_account():
        up(RecordingAws(), emit=emit)
    assert all(passed.values())


def test_what_is_not_aws_is_told_by_its_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Aws(Place(region="eu-west-1")).is_elsewhere
    assert RecordingAws().is_elsewhere
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    assert Aws(Place(region="eu-west-1")).is_elsewhere


class _BucketBusy(Behaviour):
    """Another change of the bucket is under way for nearly five minutes. [TF#7628]"""

    lag = 290.0

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
        ours = call.operation == "PutBucketNotificationConfiguration"
        return _ABORTED if ours and account.clock.now < self.lag else None


def test_the_trigger_waits_as_long_as_the_bucket() -> None:
    with behaving_account(_BucketBusy()) as account:
        up(BehavingAws(account))
        assert account.clock.now >= _BucketBusy.lag


@pytest.mark.parametrize("state", ["Failed", "'Failed'"])
def test_a_function_that_failed_is_none_that_is_being_made(state: str) -> None:
    said = (
        "The operation cannot be performed at this time. The function is currently in the following state: "
        f"{state} (InsufficientRolePermissions)"
    )
    with behaving_account() as account:
        up(BehavingAws(account))
        account.behaviours = [
            Refused("UpdateFunctionConfiguration", Refusal("ResourceConflictException", said, 409))
        ]
        with pytest.raises(Problem, match="InsufficientRolePermissions") as told:
            up(BehavingAws(account), _OTHER)
        assert account.clock.now < 30
    assert told.value.code == "function_failed"
    assert "aws lambda delete-function" in told.value.hint


def test_an_empty_destination_is_not_written_back() -> None:
    with behaving_account(EmptyDestinations()) as account:
        up(BehavingAws(account))
        seen = Retries().observe(BehavingAws(account), NAMES)
        differing = replace(seen, facts={**seen.facts, "attempts": 1})
        (change,) = Retries().diff(Context(differing, NAMES, _OTHER))
    assert change.call.params["DestinationConfig"] == {"OnFailure": {"Destination": NAMES.queue_arn}}


def test_a_region_that_boto3_does_not_list_may_be_a_new_one() -> None:
    aws = Aws(Place(region="af-south-1"))
    with pytest.raises(Problem) as told:
        _check_region(SimpleNamespace(endpoint=None, aws=aws))  # type: ignore[arg-type]
    checked = rekognition("af-south-1", aws.regions("rekognition"), None)
    for hint in (told.value.hint, checked.fix):
        assert "eu-west-1" in hint
        assert hint.endswith("; or update boto3, which lists them: pip install --upgrade boto3.")
