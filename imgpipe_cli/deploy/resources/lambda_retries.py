"""How often Lambda tries an event again, and where events go whose last attempt failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.iam.scopes import INGEST
from imgpipe_cli.aws.iam.uses import LOOK, UP, uses
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resource import (
    IAM_DELAY,
    MISSING,
    Call,
    Change,
    Context,
    Observed,
    Resource,
    TransientError,
)
from imgpipe_cli.deploy.resources.lambda_errors import LAMBDA_BUSY, NOT_VISIBLE
from imgpipe_cli.lambdas import source as functions


class Retries(Resource):
    """Two more attempts after a failure, within six hours; then the failure queue."""

    name = "retries"
    title = "the ingest function's retry policy"
    iam = (
        *uses(LOOK, INGEST, "lambda.get_function_event_invoke_config"),
        *uses(UP, INGEST, "lambda.put_function_event_invoke_config"),
    )
    needs = ("function.ingest", "queue")
    parent = "function.ingest"

    def observe(self, aws: Aws, names: Names) -> Observed:
        found = aws.find(
            "lambda",
            "get_function_event_invoke_config",
            FunctionName=names.function("ingest"),
        )
        return MISSING if found is None else _observed(found)

    def answered(
        self, _aws: Aws, _context: Context, _change: Change, answer: Mapping[str, Any]
    ) -> Observed | None:
        return _observed(answer)

    def diff(self, context: Context) -> Iterator[Change]:
        observed, names = context.observed, context.names
        wanted = {"attempts": functions.events.TRIES - 1, "age": 6 * 3600, "destination": names.queue_arn}
        if observed.exists and wanted.items() <= observed.facts.items():
            return
        params = {
            "FunctionName": names.function("ingest"),
            "MaximumRetryAttempts": wanted["attempts"],
            "MaximumEventAgeInSeconds": wanted["age"],
            # The call replaces all: what somebody has done on success stays.
            "DestinationConfig": {
                **observed.facts.get("others", {}),
                "OnFailure": {"Destination": wanted["destination"]},
            },
        }
        transient = (
            # Lambda checks that the role may send to the queue, and that the queue is there.
            TransientError(
                "InvalidParameterValueException", "does not have permissions", IAM_DELAY, hint=_denied(names)
            ),
            TransientError(
                "InvalidParameterValueException", "is invalid", "the new queue is not visible yet"
            ),
            *LAMBDA_BUSY,
            NOT_VISIBLE,
        )
        call = Call("lambda", "put_function_event_invoke_config", params, transient)
        yield Change("set", f"retries of function {names.function('ingest')}", call)


def _observed(found: Mapping[str, Any]) -> Observed:
    """The configuration, as Lambda answers both who asks for it and who puts it."""
    destinations = found.get("DestinationConfig", {})
    facts = {
        "attempts": found.get("MaximumRetryAttempts"),
        "age": found.get("MaximumEventAgeInSeconds"),
        "destination": destinations.get("OnFailure", {}).get("Destination"),
        "others": {kind: value for kind, value in destinations.items() if kind != "OnFailure" and value},
    }
    return Observed(exists=True, facts=facts)


def _denied(names: Names) -> str:
    return (
        f"If it never passes, something beside the policy of role {names.role('ingest')} denies it "
        "sqs:SendMessage: a permissions boundary, or a policy of the organization."
    )
