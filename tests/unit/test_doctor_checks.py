"""What doctor makes of given facts: versions, files, keys, clocks, quotas, simulations, the local cloud."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli import __version__
from imgpipe_cli.aws.client import AwsError, Credentials
from imgpipe_cli.diagnose.doctor import account, local_cloud, machine, network, rights, sign_in, simulation
from imgpipe_cli.diagnose.doctor.checks import Check, ask, exit_code
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.local.process.control import LocalStatus
from imgpipe_cli.local.process.running_cloud import LocalCloud
from imgpipe_cli.session.settings import Settings

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
posix = pytest.mark.skipif(os.name != "posix", reason="modes of files")

# --- asking ----------------------------------------------------------------------------------------


def test_a_question_that_never_ends_is_a_failure_and_the_others_are_answered() -> None:
    never = threading.Event()

    def hang() -> list[Check]:
        never.wait()
        return []

    found = ask({"network": hang, "python": lambda: [Check("python", "ok", "3.11")]}, limit_s=1)
    never.set()
    assert found["python"].outcome == "ok"
    assert (found["network"].outcome, found["network"].seen[:9]) == ("failed", "no answer")


def test_an_error_is_an_answer() -> None:
    def raising(error: Exception) -> Any:
        def question() -> list[Check]:
            raise error

        return question

    denied = "User: x is not authorized to perform: ssm:GetParameter on resource: y"
    found = ask(
        {
            "pipeline": raising(AwsError("AccessDeniedException", denied, service="ssm")),
            "region": raising(AwsError("NoRegion", "")),
            "disk": raising(Problem("full", "The disk is full.", hint="Make room.")),
            "clock": raising(ZeroDivisionError("oops")),
        },
        limit_s=5,
    )
    assert {check.id: check.outcome for check in found.values()} == {
        "pipeline": "not_checked",
        "region": "failed",
        "disk": "failed",
        "clock": "failed",
    }
    assert found["pipeline"].seen == "ssm:GetParameter is not allowed"
    assert found["pipeline"].fix == "Allow ssm:GetParameter to have this checked."
    assert (found["disk"].seen, found["disk"].fix) == ("The disk is full.", "Make room.")
    assert "ZeroDivisionError: oops" in found["clock"].seen


def test_only_a_failure_fails() -> None:
    harmless = [Check("python", "ok", ""), Check("clock", "warning", ""), Check("disk", "not_checked", "")]
    assert exit_code(harmless) is ExitCode.DONE
    assert exit_code([*harmless, Check("region", "failed", "")]) is ExitCode.FAILED


# --- versions --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "clauses", "fitting"),
    [
        ("1.43.106", ">=1.43,<2", True),
        ("1.43", ">=1.43.0", True),
        ("1.42.9", "<2,>=1.43", False),
        ("2.0.0", ">=1.43,<2", False),
        ("0.29.0", "<0.29,>=0.21", False),
        ("1.5.33", "==1.5.33", True),
        ("1.5.34", "==1.5.33", False),
        ("1.10", ">1.9,!=1.11", True),
        ("3.0.0rc1", ">=2", True),
        ("7", "", True),
    ],
)
def test_a_version_fits_its_clauses(version: str, clauses: str, fitting: bool) -> None:
    assert machine.fits(version, clauses) is fitting


REQUIREMENTS = [
    "boto3<2,>=1.43",
    "rich>=13.9",
    "ministack==1.5.33; extra == 'local'",
    "pytest>=9; extra == 'dev'",
]
SDK = ["botocore (<1.44.0,>=1.43.106)", "jmespath>=0.7", "botocore[crt] (<2.0a0) ; extra == 'crt'"]


def test_libraries_are_held_against_the_ranges_and_the_sdk_against_itself() -> None:
    good = {"boto3": "1.43.106", "rich": "15.0.0", "botocore": "1.43.106"}
    found = machine.libraries(REQUIREMENTS, SDK, good.get)
    assert (found.outcome, found.seen) == ("ok", "boto3 1.43.106, rich 15.0.0, botocore 1.43.106")
    bad = machine.libraries(REQUIREMENTS, SDK, (good | {"botocore": "1.40.0", "rich": "12.0"}).get)
    assert bad.outcome == "failed"
    assert bad.seen == "rich 12.0 (needed: >=13.9); botocore 1.40.0 (needed: <1.44.0,>=1.43.106)"
    assert "pipx install" in bad.fix


@pytest.mark.parametrize(
    ("installed", "asked", "outcome"),
    [
        ({}, False, "ok"),
        ({}, True, "failed"),
        ({"ministack": "1.5.33"}, True, "ok"),
        ({"ministack": "1.6.0"}, False, "warning"),
        ({"ministack": "1.6.0"}, True, "failed"),
    ],
)
def test_the_local_extra_matters_where_it_is_asked_for(
    installed: dict[str, str], asked: bool, outcome: str
) -> None:
    found = machine.local_extra(REQUIREMENTS, installed.get, asked=asked)
    assert found.outcome == outcome
    assert ".[local]" in f"{found.seen}{found.fix}" or outcome == "ok"


@pytest.mark.parametrize(
    ("found", "outcome"), [((3, 10, 1), "failed"), ((3, 14, 0), "ok"), ((3, 15, 0), "warning")]
)
def test_python_has_a_range(found: tuple[int, ...], outcome: str) -> None:
    assert machine.python(found, "linux").outcome == outcome


# --- files -----------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there_yet_stays_so(tmp_path: Path) -> None:
    assert machine.state_dir(tmp_path / "a" / "b").seen.endswith("(not made yet)")
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").write_text("")
    assert machine.state_dir(tmp_path / "file" / "state").outcome == "failed"


@posix
def test_what_others_may_read_is_a_warning_with_the_command_that_mends_it(tmp_path: Path) -> None:
    folder = tmp_path / "my state"
    folder.mkdir(mode=0o700)
    assert machine.state_dir(folder).outcome == "ok"
    (folder / "targets.json").write_text("{}")
    (folder / "targets.json").chmod(0o644)
    found = machine.state_dir(folder)
    assert (found.outcome, found.fix) == ("warning", f"chmod go= '{folder / 'targets.json'}'")
    assert os.system(found.fix) == 0
    assert machine.state_dir(folder).outcome == "ok"


def test_a_bundle_of_certificates_that_is_not_there_fails() -> None:
    found = network.proxy({"AWS_CA_BUNDLE": "/lost.pem"}, exists=lambda _: False)
    assert (found.outcome, found.fix[:19]) == ("failed", "unset AWS_CA_BUNDLE")
    there = network.proxy({"AWS_CA_BUNDLE": "/c.pem", "no_proxy": "intranet"}, exists=lambda _: True)
    assert there.seen == "not for intranet, AWS_CA_BUNDLE=/c.pem"


# --- credentials -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "minutes", "outcome", "words"),
    [
        ("sso", 180, "ok", "good for 3 h 0 min"),
        ("sso", 59, "ok", "59 min left"),
        ("sso", 14, "warning", "14 min left"),
        ("iam-role", 14, "ok", "14 min left"),
        ("sso", 0, "failed", "expired"),
        ("login", -5, "failed", "expired"),
    ],
)
def test_credentials_that_end_soon(method: str, minutes: int, outcome: str, words: str) -> None:
    keys = Credentials(method, "ABCD", temporary=True, expires=NOW + timedelta(minutes=minutes))
    found = sign_in.credentials(keys, "work", NOW)
    assert (found.outcome, found.seen.rsplit(", ", 1)[1]) == (outcome, words)
    assert ("aws sso login --profile work" in found.fix) == (outcome != "ok")


def test_an_sso_session_that_ended_names_the_profile() -> None:
    found = sign_in.not_found(AwsError("SsoLogin", "Token has expired"), "work")
    assert (found.outcome, found.fix[:28]) == ("failed", "aws sso login --profile work")


# --- network ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "outcome", "words"),
    [
        (0, "ok", "right"),
        (60, "ok", "60 seconds ahead of"),
        (61, "warning", "61 seconds ahead of"),
        (-300, "warning", "5 minutes behind"),
        (-301, "failed", "5 minutes behind"),
        (7200, "failed", "2 hours ahead of"),
        (86400 * 3, "failed", "3 days ahead of"),
    ],
)
def test_a_clock_may_be_a_minute_off_and_never_five(seconds: int, outcome: str, words: str) -> None:
    found = network.clock(timedelta(seconds=seconds))
    assert (found.outcome, found.seen.startswith(words)) == (outcome, True)


def test_one_service_sent_elsewhere_is_named() -> None:
    urls = {"s3": "http://ann:secret@127.0.0.1:9000", "sts": "https://sts.amazonaws.com"}
    own = {"s3": "AWS_ENDPOINT_URL_S3", "sts": "AWS_ENDPOINT_URL_STS"}
    found = network.endpoints(urls, {}, own)
    assert found.outcome == "warning"
    assert found.seen.startswith("calls to s3 go to http://127.0.0.1:9000, not to AWS (endpoint_url in ")
    assert found.fix.startswith("Remove endpoint_url from the AWS configuration file")
    assert "secret" not in f"{found.seen}{found.details}"


# --- the account -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("free", "outcome"), [(10, "warning"), (11, "ok"), (1000, "ok")])
def test_ten_at_once_are_few(free: int, outcome: str) -> None:
    limit = {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": free}
    found = account.concurrency(limit, "eu-west-1")
    assert found.outcome == outcome
    assert ("of them unreserved" in found.seen) == (free != 1000)
    assert ("--region eu-west-1" in found.fix) == (outcome != "ok")


@pytest.mark.parametrize(
    ("refused", "failed_events", "outcome"),
    [(None, 0, "ok"), (None, 3, "warning"), (None, None, "warning"), ("HTTP 503", 0, "failed")],
)
def test_a_pipeline_answers_and_has_an_empty_failure_queue(
    refused: str | None, failed_events: int | None, outcome: str
) -> None:
    found = account.pipeline("demo", refused, failed_events)
    assert (found.outcome, bool(found.fix)) == (outcome, outcome != "ok")


def test_the_details_of_a_decision_say_what_denies() -> None:
    base = {"EvalActionName": "s3:PutObject", "EvalResourceName": "arn:aws:s3:::b/*"}
    told: list[dict[str, Any]] = [
        {"EvalDecision": "allowed"},
        {"EvalDecision": "implicitDeny"},
        {"EvalDecision": "explicitDeny"},
        {
            "EvalDecision": "implicitDeny",
            "PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": False},
        },
    ]
    found = [decision for one in told for decision in simulation.decisions(base | one)]
    assert [decision.allowed for decision in found] == [True, False, False, False]
    assert [decision.denied_by for decision in found] == [
        "",
        "",
        "an explicit deny",
        "the permissions boundary",
    ]


def test_an_action_that_iam_does_not_simulate_is_told_and_is_no_failure() -> None:
    found = rights.simulated(
        simulation.Simulation(
            [simulation.Decision("s3:PutObject", "*", allowed=True)], ["apigateway:TagResource"]
        ),
        {},
        "arn:aws:iam::123456789012:user/ann",
    )
    assert found.outcome == "ok"
    assert found.seen.endswith("all allowed; 1 not simulated")
    assert "apigateway:TagResource: IAM does not simulate it" in found.details


def test_what_a_simulation_does_not_see_is_told() -> None:
    allowed = simulation.Simulation([simulation.Decision("s3:PutObject", "*", allowed=True)])
    user = rights.simulated(allowed, {}, "arn:aws:iam::123456789012:user/ann")
    role = rights.simulated(allowed, {}, "arn:aws:iam::123456789012:role/builder")
    for told in (user.details[-1], role.seen):  # who took a role may have been given less of it
        assert "does not see session policies, the policies of buckets" in told


def test_what_depends_on_the_real_call_is_told_beside_what_is_missing() -> None:
    asked = simulation.Decision("s3:PutObject", "a:b:c:d:e:b/*", allowed=False, depends_on=["aws:SourceIp"])
    missing = simulation.Decision("s3:GetObject", "a:b:c:d:e:b/*", allowed=False)
    found = rights.simulated(simulation.Simulation([asked, missing]), {}, "arn:aws:iam::1:user/ann")
    assert found.seen.startswith("1 of 2 actions are missing")
    assert list(found.details) == ["s3:GetObject on b/*", "s3:PutObject on b/*: depends on aws:SourceIp"]


# --- the local cloud -------------------------------------------------------------------------------

CLOUD = LocalCloud("http://127.0.0.1:4599", "AKIA", "secret", "000000000000", "us-east-1", 42)


def _status(**told: Any) -> LocalStatus:
    values: dict[str, Any] = {"uptime_s": 5.0, "version": __version__, "projects": ("demo",)} | told
    return LocalStatus(CLOUD, Path("data"), 0, Path("log"), **values)


@pytest.mark.parametrize(
    ("condition", "status", "failure", "asked", "outcome", "words"),
    [
        ("running", _status(), None, True, "ok", "runs at http://127.0.0.1:4599 (process 42)"),
        ("running", _status(version="0.0.1"), None, True, "warning", "started by imgpipe 0.0.1"),
        ("running", _status(uptime_s=None), None, True, "failed", "too busy to answer"),
        ("running", _status(uptime_s=None), None, False, "warning", "too busy to answer"),
        ("silent", None, None, True, "failed", "does not answer"),
        ("silent", None, None, False, "warning", "does not answer"),
        ("ended", None, None, True, "warning", "killed or crashed"),
        ("stopped", None, None, True, "ok", "not running"),
        ("stopped", None, "The port is taken.", True, "failed", "The port is taken."),
    ],
)
def test_the_local_cloud_as_it_is(
    condition: Any, status: LocalStatus | None, failure: str | None, asked: bool, outcome: str, words: str
) -> None:
    found = local_cloud.cloud(condition, status, failure=failure, asked=asked)
    assert found.outcome == outcome
    assert words in found.seen
    assert "imgpipe local start" in f"{found.seen}{found.fix}" or condition == "running"


@pytest.mark.parametrize(
    ("free_bytes", "asked", "outcome"),
    [(5e9, True, "ok"), (9e8, True, "warning"), (9e7, False, "warning"), (9e7, True, "failed")],
)
def test_room_on_the_disk(free_bytes: float, asked: bool, outcome: str) -> None:
    assert local_cloud.disk(int(free_bytes), Path("state"), asked=asked).outcome == outcome


def test_a_damaged_model_is_a_warning_and_a_missing_one_is_not() -> None:
    check = local_cloud.models({"cats": "installed", "dogs": "missing", "birds": "missing"})
    assert (check.outcome, check.seen) == (
        "ok",
        "cats: installed; dogs, birds: not installed (imgpipe local models fetch)",
    )
    check = local_cloud.models({"cats": "installed", "dogs": "damaged"})
    assert (check.outcome, check.seen) == ("warning", "damaged and not used: dogs")
    assert check.fix == "imgpipe local models fetch"


@pytest.mark.parametrize(
    ("settings", "outcome", "seen", "fix"),
    [
        (Settings(), "warning", "at most 20 pictures are analyzed at once, since", "--rekognition-tps N"),
        (Settings(tps_from="quota"), "warning", "not known here", "Service Quotas shows"),
        (Settings(rekognition_tps=50, tps_from="quota"), "ok", "for 50 calls a second (Service Quotas)", ""),
        (Settings(rekognition_tps=2.5, tps_from="flag"), "ok", "at most 2 pictures", ""),
        (Settings(capped=False), "warning", "AWS refused to reserve 20 runs", "imgpipe up"),
    ],
)
def test_how_many_pictures_are_analyzed_at_once_is_told(
    settings: Settings, outcome: str, seen: str, fix: str
) -> None:
    found = account.cap(settings)
    assert (found.id, found.outcome) == ("cap", outcome)
    assert seen in found.seen
    assert fix in found.fix and bool(found.fix) == (outcome != "ok")
