"""What the account allows, and the pipeline in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from imgpipe_cli.aws.client import Aws, AwsError, is_aws
from imgpipe_cli.deploy import pipeline_info, plan
from imgpipe_cli.deploy.pipeline import Pipeline
from imgpipe_cli.deploy.readiness import callable_at_its_url, refusal
from imgpipe_cli.deploy.resource import Observed, Step
from imgpipe_cli.deploy.resources.api_gateway import ApiResource
from imgpipe_cli.deploy.resources.settings_parameter import SettingsParameter, stored_settings
from imgpipe_cli.deploy.resources.sqs_queue import FailureQueue
from imgpipe_cli.deploy.resources.token_parameter import TokenParameter
from imgpipe_cli.diagnose.doctor.checks import Check, of_problem
from imgpipe_cli.errors import Problem
from imgpipe_cli.pictures.api import Api
from imgpipe_cli.session.connection import Connection
from imgpipe_cli.session.settings import Settings

# What AWS gives many new accounts.
_FEW = 10
_QUOTA = "L-B99A9384"  # AWS's code for "Concurrent executions" of Lambda


def concurrency_of(aws: Aws) -> Iterator[Check]:
    """Raises AwsError."""
    try:
        limit = aws.call("lambda", "get_account_settings")["AccountLimit"]
    except AwsError as error:
        url = aws.endpoint("lambda")
        if is_aws(url):
            raise
        yield Check("concurrency", "not_checked", f"{url} does not say ({error.code})")
        return
    yield concurrency(limit, aws.region)


def concurrency(limit: dict[str, Any], region: str) -> Check:
    """How many functions may run at once in this account and region. limit: Lambda's AccountLimit."""
    most = int(limit["ConcurrentExecutions"])
    free = int(limit.get("UnreservedConcurrentExecutions", most))
    seen = f"{most:,} functions may run at once" + (f", {free:,} of them unreserved" if free != most else "")
    if free > _FEW:
        return Check("concurrency", "ok", seen)
    meaning = "a burst of pictures waits in Lambda's queue, and meanwhile the page and the API may answer 429"
    fix = (
        "Service Quotas console, AWS Lambda, Concurrent executions; or: aws service-quotas "
        f"request-service-quota-increase --service-code lambda --quota-code {_QUOTA} --desired-value 1000 "
        f"--region {region}"
    )
    return Check("concurrency", "warning", f"{seen}: {meaning}", fix)


# --- the pipeline --------------------------------------------------------------------------------


def pipeline_of(connection: Connection) -> Iterator[Check]:
    """Whether it is set up and answers, and how many events failed for good. Raises AwsError."""
    resources = (SettingsParameter(), TokenParameter(), ApiResource(), FailureQueue())
    snapshot = {one.name: one.observe(connection.aws, connection.names) for one in resources}
    found = pipeline_info.of(connection, snapshot)
    project = connection.target.project
    try:
        part = Step("doctor", "", resources)
        plan.refuse_not_owned(Pipeline((part,), connection.aws, connection.names), snapshot)
    except Problem as error:
        yield of_problem("pipeline", error)
        return
    if found is None:
        there = [name for name, seen in snapshot.items() if seen.exists]
        if not there:
            yield Check("pipeline", "ok", f"{project} is not set up here (imgpipe up)")
        else:
            yield Check("pipeline", "warning", f"{project} is set up only in part", "imgpipe up")
        return
    detail = refusal(Api(found.api_url, found.token)) if callable_at_its_url(found) else None
    yield pipeline(project, detail, _failed_events(snapshot["queue"]))
    if not connection.target.local:  # whose Rekognition has no limit
        yield cap(stored_settings(snapshot["settings"], connection.names))


def _failed_events(queue: Observed) -> int | None:
    return int(queue.facts["messages"]) if queue.exists and queue.owned else None


def pipeline(project: str, refused: str | None, failed_events: int | None) -> Check:
    """refused: what its API says instead of answering. failed_events: None without a failure queue."""
    if refused is not None:
        fix = "imgpipe status shows what is missing, imgpipe up repairs it."
        return Check(
            "pipeline", "failed", f"{project} is set up, and its API does not answer ({refused})", fix
        )
    if failed_events is None:
        return Check("pipeline", "warning", f"{project} answers; its failure queue is missing", "imgpipe up")
    if failed_events:
        seen = f"{project} answers; about {failed_events:,} in its failure queue"
        return Check("pipeline", "warning", seen, "imgpipe retry")
    return Check("pipeline", "ok", f"{project} answers; its failure queue is empty")


def cap(settings: Settings) -> Check:
    """How many pictures are analyzed at once, and why."""
    if not settings.capped:
        seen = (
            f"AWS refused to reserve {settings.runs:,} runs for the ingest function, since the account has "
            "too few: a burst of pictures may overflow the failure queue"
        )
        fix = "Have the account's Concurrent executions raised (see Concurrency); then: imgpipe up"
        return Check("cap", "warning", seen, fix)
    at_once = f"at most {settings.runs:,} pictures are analyzed at once"
    if not settings.rekognition_tps:
        seen = f"{at_once}, since Rekognition's calls a second are not known here"
        fix = "imgpipe up --rekognition-tps N, with what Service Quotas shows for Amazon Rekognition"
        return Check("cap", "warning", seen, fix)
    source = "Service Quotas" if settings.tps_from == "quota" else "as given"
    return Check("cap", "ok", f"{at_once}, for {settings.rekognition_tps:g} calls a second ({source})")
