"""A new access token in place of the old one: `imgpipe token --rotate`.

The parameter gets a new value, then the functions that hold its hash follow, by the same converging that `up`
does. Killed in between, the functions still know the old token; rotating again, or `up`, brings them along.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from imgpipe_cli import outputs, runner
from imgpipe_cli.aws import AwsError, problem
from imgpipe_cli.events import Emit
from imgpipe_cli.problems import Problem
from imgpipe_cli.results import Api, ApiUnavailable
from imgpipe_cli.settings import Settings
from imgpipe_cli.steps import STEPS
from imgpipe_cli.steps.access_token import NEW_TOKEN
from imgpipe_cli.steps.base import Call, Resource, Step
from imgpipe_cli.steps.functions import Function
from imgpipe_cli.steps.settings import SettingsParameter
from imgpipe_cli.target import Connection, Remembered

# How long a function's fresh configuration may take to reach every place that answers.
_LIMIT_S = 30.0


def rotate(connection: Connection, emit: Emit) -> Remembered:
    """Replace the token and bring the functions along; the outputs with the new one. Raises Problem."""
    aws, names = connection.aws, connection.names
    old = outputs.discover(connection).token
    part = runner.Pipeline(_holders(), aws, names)
    runner.refuse_foreign(part, runner.look(part, emit))
    call = Call(
        "ssm",
        "put_parameter",
        {"Name": names.token_parameter, "Type": "SecureString", "Value": NEW_TOKEN, "Overwrite": True},
    )
    try:
        call.run(aws, emit)
        settings = Settings.from_json(SettingsParameter().observe(aws, names).facts["value"])
    except AwsError as error:
        raise problem(error, "replace the access token") from error
    _until_visible(connection, old)
    runner.up(part, runner.look(part, emit), settings, emit)
    return outputs.discover(connection)


def _until_visible(connection: Connection, old: str) -> None:
    """Look until the new value is there; each look also makes its hash known to the functions' steps."""
    aws = connection.aws
    end = aws.clock() + _LIMIT_S
    while outputs.discover(connection).token == old and aws.clock() < end:
        aws.sleep(0.2)


def _holders() -> tuple[Step, ...]:
    """The functions that hold the token's hash, in their steps."""

    def holds(resource: Resource) -> bool:
        return isinstance(resource, Function) and resource.shape.needs_token

    held = (replace(step, resources=tuple(filter(holds, step.resources))) for step in STEPS)
    return tuple(step for step in held if step.resources)


def in_force(
    old: str,
    found: Remembered,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Wait until the API takes the new token and refuses the old one. False if it does not in time."""
    end, pause_s = clock() + _LIMIT_S, 0.1
    while True:
        if _accepted(found.api_url, found.token) and not _accepted(found.api_url, old):
            return True
        if clock() > end:
            return False
        sleep(pause_s)
        pause_s = min(pause_s * 1.5, 2.0)


def _accepted(api_url: str, token: str) -> bool | None:
    """Whether the API takes this token; None when it does not answer."""
    try:
        Api(api_url, token).results(limit=1)
    except Problem:
        return False
    except ApiUnavailable:
        return None
    return True
