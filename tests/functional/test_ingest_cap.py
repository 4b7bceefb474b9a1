"""How many pictures are analyzed at once: what `up` asks AWS, stores, reserves, and does without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from imgpipe_cli.deploy import deployed, ingest_cap, observe, plan
from imgpipe_cli.deploy.resources.settings_parameter import SettingsParameter, stored_settings
from imgpipe_cli.deploy.results import migrate
from imgpipe_cli.events import Event, Note
from imgpipe_cli.session.settings import Settings
from tests.support.account import NAMES, SETTINGS, down, finished, inventory, nothing, pipeline, up
from tests.support.behaving_aws import (
    Answer,
    BehavingAccount,
    BehavingAws,
    Behaviour,
    Call,
    Refusal,
    behaving_account,
)
from tests.support.behaviours_of_functions import UnreservedMinimum
from tests.support.drift_actions import INGEST

# Service Quotas was asked, and does not tell.
UNKNOWN = replace(SETTINGS, tps_from="quota")
FIFTY = replace(SETTINGS, rekognition_tps=50.0, tps_from="flag")


def stored(account: BehavingAccount) -> Settings:
    return stored_settings(SettingsParameter().observe(BehavingAws(account), NAMES), NAMES)


def reserved(account: BehavingAccount) -> int | None:
    found = BehavingAws(account).call("lambda", "get_function", FunctionName=INGEST)
    limit: int | None = found.get("Concurrency", {}).get("ReservedConcurrentExecutions")
    return limit


def up_again(account: BehavingAccount, asked: Settings | None = None) -> None:
    """As the command does it: over what is stored, with what AWS tells."""
    aws = BehavingAws(account)
    line = pipeline(aws)
    snapshot = observe.snapshot(line, nothing)
    settings = asked or deployed.settings(snapshot, NAMES)
    assert settings is not None
    up(aws, migrate.begin(line, ingest_cap.determined(aws, settings), snapshot))


def not_ready(account: BehavingAccount) -> list[str]:
    line = pipeline(BehavingAws(account))
    states = plan.states(line, observe.snapshot(line, nothing), stored(account))
    return [state.resource for state in states if state.state != "ready"]


# --- reserved ------------------------------------------------------------------------------------


def test_the_cap_is_reserved_and_follows_the_settings() -> None:
    with behaving_account(UnreservedMinimum(1000)) as account:
        finished()
        assert reserved(account) == 20
        up(BehavingAws(account), FIFTY)
        assert reserved(account) == 36
        writes = account.writes
        up(BehavingAws(account), FIFTY)
        assert account.writes == writes


# --- refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("in_all", "workers"), [(10, 1), (10, 16), (119, 16)])
def test_a_refusal_fails_nothing_is_told_and_is_not_asked_for_again(in_all: int, workers: int) -> None:
    told: list[Event] = []
    with behaving_account(UnreservedMinimum(in_all)) as account:
        before = inventory()
        up(BehavingAws(account), UNKNOWN, workers=workers, emit=told.append)
        assert [event for event in told if isinstance(event, Note)] == [Note("not_capped", "20")]
        assert (stored(account), reserved(account)) == (replace(UNKNOWN, capped=False), None)
        assert not_ready(account) == []
        writes = account.writes
        up_again(account)
        assert account.writes == writes
        # Another change goes on without it as well.
        up_again(account, replace(stored(account), private=True))
        assert (stored(account).private, reserved(account)) == (True, None)
        assert down(BehavingAws(account)) == []
        assert inventory() == before


def test_an_account_that_has_grown_is_capped_by_the_next_up() -> None:
    small = UnreservedMinimum(10)
    with behaving_account(small) as account:
        up(BehavingAws(account), UNKNOWN)
        small.account = 119
        up_again(account)
        assert reserved(account) is None
        small.account = 120
        up_again(account)
        assert (stored(account), reserved(account)) == (UNKNOWN, 20)


def test_a_refusal_of_a_higher_cap_leaves_the_one_that_there_is() -> None:
    with behaving_account(UnreservedMinimum(130)) as account:
        finished()
        up(BehavingAws(account), FIFTY)
        assert (stored(account), reserved(account)) == (replace(FIFTY, capped=False), 20)
        assert not_ready(account) == []


def test_what_another_run_has_stored_meanwhile_stays_after_a_refusal() -> None:
    """Only that there is no cap is put over it."""

    class Meanwhile(UnreservedMinimum):
        def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:
            if call.operation == "PutFunctionConcurrency" and not self.met:
                self.met = True
                theirs = replace(SETTINGS, private=True).to_json()
                client = BehavingAws(account).client("ssm")
                client.put_parameter(Name=NAMES.settings_parameter, Value=theirs, Overwrite=True)
            return super().refusal(account, call)

        met = False

    with behaving_account(Meanwhile()) as account:
        up(BehavingAws(account))
        assert stored(account) == replace(SETTINGS, private=True, capped=False)


@pytest.mark.parametrize(
    ("settings", "cap"), [(FIFTY, 36), (replace(FIFTY, rekognition_tps=1.0), 2), (UNKNOWN, 20)]
)
def test_a_cap_is_read_back_from_the_function_where_the_settings_were_removed(
    settings: Settings, cap: int
) -> None:
    with behaving_account(UnreservedMinimum(1000), Quotas({})) as account:
        up(BehavingAws(account), settings)
        BehavingAws(account).call("ssm", "delete_parameter", Name=NAMES.settings_parameter)
        writes = account.writes
        up_again(account)
        assert (reserved(account), stored(account).cap) == (cap, cap)
        assert account.writes == writes + 1, "the settings, and nothing else"


# --- what Service Quotas says ----------------------------------------------------------------------


def named(operation: str) -> str:
    return f"Transactions per second per account for the Amazon Rekognition Image operation {operation}"


class Quotas(Behaviour):
    """Service Quotas, one quota a page. applied: operation -> value; defaults: of those never changed.

    refused: what it says instead.
    """

    def __init__(
        self,
        applied: Mapping[str, float],
        defaults: Mapping[str, float] | None = None,
        refused: Refusal | None = None,
    ) -> None:
        super().__init__()
        self._quotas = {"ListServiceQuotas": applied, "ListAWSDefaultServiceQuotas": defaults or {}}
        self.refused = refused
        self.asked: list[str] = []

    def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:  # noqa: ARG002
        if call.service != "service-quotas":
            return None
        self.asked.append(call.operation)
        if self.refused:
            return self.refused
        assert call.params["ServiceCode"] == "rekognition"
        quotas = list(self._quotas[call.operation].items())
        place = int(call.params.get("NextToken", 0))
        page = [{"QuotaName": named(name), "Value": value} for name, value in quotas[place : place + 1]]
        more = {"NextToken": str(place + 1)} if place + 1 < len(quotas) else {}
        return Answer({"Quotas": page, **more})


def told(quotas: Quotas, settings: Settings = SETTINGS) -> Settings:
    with behaving_account(quotas) as account:
        return ingest_cap.determined(BehavingAws(account), settings)


ALL = {"DetectLabels": 50.0, "DetectText": 5.0, "DetectFaces": 25.0, "DetectModerationLabels": 20.0}
BOTH = replace(SETTINGS, features=("labels", "text"))


@pytest.mark.parametrize(
    ("applied", "defaults", "settings", "tps"),
    [
        (ALL, {}, SETTINGS, 50),
        (ALL, {}, BOTH, 5),  # the slowest decides
        (ALL, {}, replace(SETTINGS, features=("properties",)), 50),
        ({"DetectLabels": 80.0}, ALL, SETTINGS, 80),  # raised: the default does not count
        ({"DetectLabels": 80.0}, ALL, BOTH, 5),
        ({}, ALL, SETTINGS, 50),
        ({}, {}, SETTINGS, 0),
        ({"DetectLabels": 50.0}, {}, BOTH, 0),  # one that is not known may be the slowest
        ({"DetectCustomLabels": 1.0, "StartLabelDetection": 2.0}, {}, SETTINGS, 0),
        ({"DetectLabels": 0.0}, {}, SETTINGS, 0),
        ({"DetectLabels": 1e9}, {}, SETTINGS, 0),
    ],
)
def test_the_quota_of_the_slowest_operation_counts(
    applied: dict[str, float], defaults: dict[str, float], settings: Settings, tps: float
) -> None:
    found = told(Quotas(applied, defaults), settings)
    assert found == replace(settings, rekognition_tps=tps, tps_from="quota")


@pytest.mark.parametrize(
    ("refused", "source"),
    [
        (Refusal("AccessDeniedException", "is not authorized to perform: servicequotas:ListS"), "quota"),
        (Refusal("NoSuchResourceException", "The service does not exist"), "quota"),
        # What may pass is asked for again by the next run, which then writes it.
        (Refusal("TooManyRequestsException", "Rate exceeded", 429), ""),
        (Refusal("ServiceException", "Something went wrong", 500), ""),
    ],
)
def test_what_service_quotas_does_not_tell_is_unknown(refused: Refusal, source: str) -> None:
    quotas = Quotas(ALL, refused=refused)
    assert told(quotas) == replace(SETTINGS, tps_from=source)
    assert quotas.asked == ["ListServiceQuotas"], "nobody waits for it"


def test_it_is_read_once_and_a_second_up_writes_nothing() -> None:
    quotas = Quotas(ALL)
    with behaving_account(quotas) as account:
        up_again(account, SETTINGS)
        assert (stored(account).rekognition_tps, reserved(account)) == (50, 36)
        asked, writes = list(quotas.asked), account.writes
        up_again(account)
        assert (quotas.asked, account.writes) == (asked, writes)


@pytest.mark.parametrize("asked", [replace(SETTINGS, rekognition_tps=5.0, tps_from="flag")])
def test_what_a_flag_said_is_not_asked(asked: Settings) -> None:
    quotas = Quotas(ALL)
    assert (told(quotas, asked), quotas.asked) == (asked, [])


def test_pages_without_end_are_not_read_without_end() -> None:
    class Endless(Behaviour):
        def refusal(self, account: BehavingAccount, call: Call) -> Refusal | None:  # noqa: ARG002
            answer: Mapping[str, Any] = {"Quotas": [], "NextToken": "more"}
            return Answer(answer) if call.service == "service-quotas" else None

    with behaving_account(Endless()) as account:
        found = ingest_cap.determined(BehavingAws(account), SETTINGS)
    assert found == replace(SETTINGS, tps_from="quota")
