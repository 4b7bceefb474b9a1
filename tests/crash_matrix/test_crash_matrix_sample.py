"""Some points of the crash matrix, each fault and each command among them; `make crash-matrix` tries more."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.crash_matrix.faults import FAULTS, Fault
from tests.crash_matrix.report import Report
from tests.crash_matrix.scenarios import SCENARIOS, Point, all_points, chosen, point
from tests.crash_matrix.trial import Outcome
from tests.support import exhaustive
from tests.support.machine import ROOT

_FUNCTIONS = "/2015-03-31/functions"
_BUCKET = "/crash-uploads-123456789012-eu-west-1-an"
POINTS = (
    # Creates whose answer gets lost: sent twice, they make two, or meet themselves.
    "up|apigateway.POST/v2/apis|lost|again",
    "up|iam.CreateRole.crash-eu-west-1-ingest|lost|elsewhere",
    "up|sqs.CreateQueue.crash-failed|lost|down",
    f"up|lambda.POST{_FUNCTIONS}/crash-web/policy.imgpipe-apigateway|lost|again",
    "up|ssm.PutParameter./imgpipe/crash/token|lost|elsewhere",
    "up|dynamodb.UpdateTimeToLive.crash-results|lost|again",
    # The other faults, and the other commands.
    f"up|lambda.POST{_FUNCTIONS}.crash-ingest|reset|down",
    "up|apigateway.POST/v2/apis|throttled-lasting|again",
    f"up-16|s3.PUT{_BUCKET}|killed|elsewhere",
    f"change|lambda.PUT{_FUNCTIONS}/crash-web/configuration|error_500|again",
    f"up|s3.PUT{_BUCKET}?policy|lost|again",
    f"up-us|s3.PUT{_BUCKET.replace('eu-west-1', 'us-east-1')}|lost|again",
    f"change|lambda.PUT{_FUNCTIONS}/crash-web/configuration|killed|plain",
    "move|dynamodb.DeleteTable.crash-results|error_503|elsewhere",
    "down-16|iam.DeleteRole.crash-eu-west-1-web|throttled|up",
)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither fork nor SIGKILL")
@pytest.mark.timeout(900)  # half a minute on two cores that have nothing else to do
@pytest.mark.loops
def test_a_sample_of_the_crash_matrix_is_survived() -> None:
    # In a process of its own: it forks, which one full of other tests' threads must not.
    points = [POINTS[number] for number in exhaustive.points(len(POINTS), keep=2)]
    only = [word for one in points for word in ("--only", one)]
    command = [sys.executable, "-m", "tests.crash_matrix", "--jobs", "4", *only]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "lambda_src")}  # the fakes know the result item
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert f"survived {len(points)} of {len(points)} tried" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_point_is_found_again_by_its_name() -> None:
    assert [str(point(one)) for one in POINTS] == list(POINTS)
    for wrong in ("up|x|lost|up", "sideways|x|lost|again", "up|x|tired|again", "up"):
        with pytest.raises(ValueError):
            point(wrong)


def test_every_request_is_broken_once_before_one_is_broken_twice() -> None:
    requests = {scenario.name: ["a", "b", "c"] for scenario in SCENARIOS}
    every = list(all_points(requests))
    followers = sum(len(scenario.followers) for scenario in SCENARIOS)
    assert len(every) == len(set(every)) == 3 * len(FAULTS) * followers
    some = chosen(every, len(SCENARIOS) * 3)
    assert {(one.scenario, one.request) for one in some} == {(one.scenario, one.request) for one in every}
    assert chosen(every, 5) == some[:5]
    assert set(chosen(every, len(every))) == set(every)


def test_a_point_that_was_not_tried_fails_the_run_where_every_request_comes() -> None:
    tried = Outcome(point(POINTS[0]), hit=True)
    for name, good in (("up", False), ("up-16", True)):
        report = Report(2)
        report.add(tried)
        assert report.good
        report.add(Outcome(Point(name, "a", FAULTS[0], "again"), hit=False))
        assert report.good == good


def test_only_a_lost_answer_and_a_kill_come_after_the_request_was_carried_out() -> None:
    assert {fault.kind for fault in FAULTS if fault.carries_out} == {"lost", "killed"}
    assert Fault("lost", lasting=True) in FAULTS
