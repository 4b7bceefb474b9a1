"""`up`, `up` again, `status` and `down` on AWS as it really behaves: what passes by itself is waited out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy import apply, destroy, observe, plan
from imgpipe_cli.deploy.pipeline import Pipeline
from imgpipe_cli.deploy.steps import STEPS
from imgpipe_cli.events import Changing, Event, Skipped, Waiting
from imgpipe_cli.session.settings import Settings
from tests.support import exhaustive
from tests.support.account import (
    IN_S3,
    NAMES,
    SETTINGS,
    Killed,
    down,
    finished,
    inventory,
    nothing,
    pipeline,
    up,
)
from tests.support.behaving_aws import BehavingAccount, BehavingAws, Behaviour, Call, behaving_account
from tests.support.behaviours_of_functions import (
    ConcurrentUpdate,
    FreshRole,
    FunctionDeleting,
    FunctionPending,
    KeyNotGranted,
    RoleChangesCollide,
    RoleDeleteConflict,
    RoleIsGranted,
    RoleNotAssumable,
    UpdateInProgress,
)
from tests.support.behaviours_of_services import CHECKS, PASSING, FunctionNeeded, ParameterBusy, TagsLag
from tests.support.behaviours_of_stores import (
    BucketDefaults,
    FreshBucket,
    PermissionNotVisible,
    TableCreating,
    TableDeleting,
    TableUpdating,
)
from tests.support.drift_actions import INGEST, Do, make_role_anew, remove_role

OTHER = Settings(features=("labels", "text"), private=True, min_confidence=55, first_day="2026-01-01")
# Longer than this no user waits, and no single limit of the runner is.
_LIMIT_S = 600
# How often the status is asked for while one resource is waited for.
_WATCHED = 4
# After this time every read shows what was made.
_SHOWN_S = 10


def _alone(kind: type[Behaviour]) -> Sequence[Behaviour]:
    # An integration comes before its function only where the function has to wait.
    return [kind(), RoleNotAssumable()] if kind is FunctionNeeded else [kind()]


def _all() -> list[Behaviour]:
    return [kind() for kind in (*CHECKS, *PASSING)]


def _states(account: BehavingAccount, settings: Settings) -> set[str]:
    """What `status` says a moment later: the last change, time to live, still keeps the table busy."""
    account.clock.sleep(TableUpdating.lag)
    line = pipeline(BehavingAws(account))
    return {state.state for state in plan.states(line, observe.snapshot(line, nothing), settings)}


def _live(account: BehavingAccount, settings: Settings, other: Settings, workers: int) -> None:
    """Set up, run again, change, remove, and set up at once again."""
    before = inventory()
    up(BehavingAws(account), settings, workers=workers)
    assert account.clock.now < _LIMIT_S
    writes = account.writes
    up(BehavingAws(account), settings, workers=workers)
    assert account.writes == writes
    assert _states(account, settings) == {"ready"}
    up(BehavingAws(account), other, workers=workers)
    assert account.writes > writes
    assert _states(account, other) == {"ready"}
    assert down(BehavingAws(account), workers=workers) == []
    assert inventory() == before
    up(BehavingAws(account), settings, workers=workers)
    assert _states(account, settings) == {"ready"}
    assert account.clock.now < 2 * _LIMIT_S


# Where all show at once, others hide these, always or now and then.
HIDDEN = (
    *(KeyNotGranted, ConcurrentUpdate, PermissionNotVisible, ParameterBusy),
    *(RoleDeleteConflict, RoleChangesCollide, RoleNotAssumable),
)


@pytest.mark.parametrize(
    "kind",
    [*HIDDEN, *exhaustive.cases([kind for kind in PASSING if kind not in HIDDEN], keep=1)],
    ids=lambda kind: kind.__name__,
)
def test_each_behaviour_of_aws_is_waited_out(kind: type[Behaviour]) -> None:
    with behaving_account(*_alone(kind)) as account:
        _live(account, SETTINGS, OTHER, workers=16)
        assert account.met[kind.__name__] > 0, "it was never met, so nothing is shown"


@pytest.mark.parametrize(
    ("settings", "workers"),
    [
        pytest.param(SETTINGS, 16, id="table-16"),
        exhaustive.only(pytest.param(IN_S3, 1, id="s3-1")),
        exhaustive.only(pytest.param(SETTINGS, 1, id="table-1")),
        exhaustive.only(pytest.param(IN_S3, 16, id="s3-16")),
    ],
)
def test_all_of_them_together_are_waited_out(settings: Settings, workers: int) -> None:
    other = Settings(features=("labels", "faces"), first_day="2026-01-01", results=settings.results)
    with behaving_account(*_all()) as account:
        _live(account, settings, other, workers)
        for kind in CHECKS:
            assert account.met[kind.__name__] == 0, "a sound pipeline has nothing that is refused for ever"
        if (settings, workers) == (SETTINGS, 16):  # as a user runs it, in an account of today
            never = {kind for kind in PASSING if account.met[kind.__name__] == 0}
            assert never <= set(HIDDEN), "what is never met shows nothing"


@pytest.mark.parametrize("settings", [SETTINGS, IN_S3], ids=["table", "s3"])
def test_the_results_move_in_all_of_it(settings: Settings) -> None:
    with behaving_account(*_all()) as account:
        up(BehavingAws(account), settings)
        moving = Settings(first_day="2026-01-01", results=settings.results, move="copy")
        up(BehavingAws(account), moving)
        assert _states(account, moving.at_rest) == {"ready"}
        writes = account.writes
        up(BehavingAws(account), moving.at_rest)
        assert account.writes == writes


# --- status in the middle ------------------------------------------------------------------------


class _Watcher:
    """Asks for the status the first times that `up` or `down` waits for one resource."""

    def __init__(self, account: BehavingAccount, resource: str) -> None:
        self._account, self._resource = account, resource
        self.told: list[tuple[str, str]] = []

    def __call__(self, event: Event) -> None:
        waits = isinstance(event, Waiting) and event.resource == self._resource
        if waits and len(self.told) < _WATCHED:
            line = pipeline(BehavingAws(self._account))
            with self._account.clock.work():  # others wait beside it: their time does not pass meanwhile
                snapshot = observe.snapshot(line, nothing)
            for state in plan.states(line, snapshot, SETTINGS):
                if state.resource == self._resource:
                    self.told.append((state.state, *state.drift))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("behaviours", "resource", "said"),
    [
        ([TableCreating()], "table", "creating"),
        ([TableCreating(), TagsLag()], "table", "creating"),
        ([FunctionPending()], "function.web", "pending"),
    ],
    ids=["table", "table without tags", "function"],
)
def test_status_says_busy_while_something_is_made(
    behaviours: Sequence[Behaviour], resource: str, said: str
) -> None:
    with behaving_account(*behaviours) as account:
        watcher = _Watcher(account, resource)
        up(BehavingAws(account), emit=watcher, workers=1)
    assert ("busy", said) in watcher.told
    assert {state for state, *_ in watcher.told} <= {"busy", "ready"}


def test_status_says_busy_while_something_is_updated() -> None:
    with behaving_account(UpdateInProgress()) as account:
        finished()
        watcher = _Watcher(account, "function.ingest")
        up(BehavingAws(account), OTHER, emit=watcher, workers=1)
    assert ("busy", "active, update inprogress") in watcher.told


@pytest.mark.parametrize(
    ("behaviour", "resource"),
    [(TableDeleting(), "table"), (FunctionDeleting(), "function.ingest")],
    ids=["table", "function"],
)
def test_status_says_busy_while_something_is_removed(behaviour: Behaviour, resource: str) -> None:
    with behaving_account(behaviour) as account:
        finished()
        watcher = _Watcher(account, resource)
        down(BehavingAws(account), emit=watcher, workers=1)
    assert ("busy", "deleting") in watcher.told
    assert set(watcher.told) <= {("busy", "deleting"), ("missing",)}


# --- interrupted ---------------------------------------------------------------------------------


class _Killed(Behaviour):
    """The run dies right after one of its changes, once."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.left = number

    def after(self, account: BehavingAccount, call: Call) -> None:  # noqa: ARG002
        self.left -= 1
        if self.left == 0:
            raise Killed


# Not `down`: it cannot know of what no read shows yet.
@pytest.mark.parametrize("then", ["up", "status"])
@pytest.mark.parametrize("number", exhaustive.cases(range(2, 44, 8), keep=1))
def test_up_killed_in_all_of_it_is_known_as_ours_to_what_follows_at_once(number: int, then: str) -> None:
    _killed_then(_all(), number, then)


@pytest.mark.parametrize("then", ["up", "down", "status"])
@pytest.mark.parametrize("number", exhaustive.cases(range(1, 44), keep=1))
def test_up_killed_before_its_tags_show_is_known_as_ours_to_what_follows_at_once(
    number: int, then: str
) -> None:
    _killed_then([BucketDefaults(), TagsLag()], number, then)


def _killed_then(behaviours: Sequence[Behaviour], number: int, then: str) -> None:
    with behaving_account(*behaviours, _Killed(number)) as account:
        empty = inventory()
        with pytest.raises(Killed):
            up(BehavingAws(account))
        if then == "up":
            up(BehavingAws(account))
            assert _states(account, SETTINGS) == {"ready"}
        elif then == "status":
            line = pipeline(BehavingAws(account))
            found = {state.state for state in plan.states(line, observe.snapshot(line, nothing), SETTINGS)}
            assert "not_owned" not in found
            account.clock.sleep(_SHOWN_S)
        skipped: list[Event] = []
        assert down(BehavingAws(account), emit=skipped.append) == []
        assert inventory() == empty
        assert not [event for event in skipped if isinstance(event, Skipped)]


# --- a role that is another one of the same name -------------------------------------------------


def _answers(account: BehavingAccount) -> bool:
    try:
        BehavingAws(account).call("lambda", "invoke", FunctionName=INGEST, InvocationType="DryRun")
    except AwsError as error:
        assert error.code == "KMSAccessDeniedException"
        return False
    return True


@pytest.mark.parametrize(("hand", "later_s"), [(remove_role, 0), (make_role_anew, TagsLag.lag)])
def test_a_function_is_given_a_role_that_was_made_anew(hand: Do, later_s: float) -> None:
    # The hand waits for nothing.
    waits = FreshRole | RoleDeleteConflict | RoleChangesCollide
    behaviours = [one for one in _all() if not isinstance(one, waits)]
    with behaving_account(RoleIsGranted(), *behaviours) as account:
        up(BehavingAws(account))
        assert _answers(account)
        account.clock.sleep(600)  # what lags behind the changes of `up` has come
        hand(BehavingAws(account))
        account.clock.sleep(later_s)
        up(BehavingAws(account))
        assert _answers(account)
        assert _states(account, SETTINGS) == {"ready"}


@pytest.mark.loops
def test_a_run_that_gives_a_role_anew_may_be_killed_after_any_call() -> None:
    with behaving_account(RoleIsGranted()) as account:
        up(BehavingAws(account))
        make_role_anew(BehavingAws(account))
        before = account.writes
        assert not _answers(account)
        up(BehavingAws(account), workers=1)
        calls = account.writes - before
    for number in exhaustive.points(calls, keep=2):
        killed = _Killed(math.inf)
        with behaving_account(RoleIsGranted(), killed) as account:
            up(BehavingAws(account))
            make_role_anew(BehavingAws(account))
            killed.left = number + 1
            with pytest.raises(Killed):
                up(BehavingAws(account), workers=1)
            up(BehavingAws(account))
            assert _answers(account)
            assert _states(account, SETTINGS) == {"ready"}


# --- regions -------------------------------------------------------------------------------------


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_a_bucket_that_is_not_visible_yet_is_made_again_without_harm(region: str) -> None:
    """us-east-1 answers 200 to whoever makes his own bucket again, the others refuse it."""
    names = Names(NAMES.project, NAMES.account, region)
    events: list[Event] = []
    with behaving_account(FreshBucket(), _Killed(2), *[kind() for kind in CHECKS], region=region) as account:
        with pytest.raises(Killed):  # the settings are written, the bucket is made
            _up(account, names, nothing)
        _up(account, names, events.append)
        made = [h.operation for h in account.history].count("CreateBucket")
        assert made == (2 if region == "us-east-1" else 1)
        line = Pipeline(STEPS, BehavingAws(account), names)
        snapshot = observe.snapshot(line, nothing)
        assert {state.state for state in plan.states(line, snapshot, SETTINGS)} == {"ready"}
        assert destroy.destroy(line, destroy.planned_removals(line, snapshot, nothing), nothing) == []
    asked = [event for event in events if isinstance(event, Changing) and event.verb == "create"]
    assert [event.what for event in asked].count(f"bucket {names.bucket}") == 1


def _up(account: BehavingAccount, names: Names, emit: object) -> None:
    line = Pipeline(STEPS, BehavingAws(account), names, workers=1)
    apply.reconcile_all(line, observe.snapshot(line, nothing), SETTINGS, emit)  # type: ignore[arg-type]
