"""A new access token in place of the old one: `imgpipe token --rotate`.

The parameter gets a new value, then the functions that hold its hash follow, by the same converging that `up`
does. Killed in between, the functions still know the old token; rotating again, or `up`, brings them along.
Of two rotations at once the token written last counts, for both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.deploy import apply, observe, pipeline_info, plan, releases
from imgpipe_cli.deploy.observe import Snapshot
from imgpipe_cli.deploy.pipeline import Pipeline
from imgpipe_cli.deploy.resource import ConflictError, Resource, Step
from imgpipe_cli.deploy.resources.lambda_function import Function
from imgpipe_cli.deploy.resources.settings_parameter import Overwrite, SettingsParameter, stored_settings
from imgpipe_cli.deploy.resources.token_parameter import NEW_TOKEN, fingerprint, token_sha256
from imgpipe_cli.deploy.results import failed_index
from imgpipe_cli.deploy.steps import STEPS
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Emit
from imgpipe_cli.pictures.api import Api, ApiUnavailable
from imgpipe_cli.session.connection import Connection
from imgpipe_cli.session.settings import Settings
from imgpipe_cli.session.target import Remembered

# How long a function's fresh configuration may take to reach every place that answers.
_LIMIT_S = 30.0
_ROUNDS = 6


def rotate(connection: Connection, emit: Emit) -> Remembered:
    """Replace the token and bring the functions along; the outputs with the new one. Raises Problem."""
    aws, names = connection.aws, connection.names
    old = pipeline_info.discover(connection).token
    part = Pipeline(_holders(), aws, names)
    snapshot = observe.snapshot(part, emit)
    _refuse_incomplete(part, snapshot)
    _refuse_newer(_settings(connection), snapshot)
    params = {"Name": names.token_parameter, "Type": "SecureString", "Value": NEW_TOKEN, "Overwrite": True}
    call = Overwrite("ssm", "put_parameter", params, tags=names.tag_list)
    try:
        call.run(aws, emit)
    except ConflictError as error:
        raise pipeline_info.not_set_up(connection.target.project) from error
    except AwsError as error:
        raise problem(error, "replace the access token") from error
    _until_visible(connection, old)
    for _ in range(_ROUNDS):
        settings, held = _settings(connection), token_sha256(aws, names)
        _bring_along(part, settings, emit)
        found = pipeline_info.discover(connection)
        if fingerprint(found.token) == held and _settings(connection) == settings:
            return found
    raise Problem(
        "overtaken",
        "Other runs of imgpipe keep changing this pipeline.",
        hint="Let them end, then run imgpipe up: it brings the functions along with the token.",
    )


def _settings(connection: Connection) -> Settings:
    try:
        observed = SettingsParameter().observe(connection.aws, connection.names)
    except AwsError as error:
        raise problem(error, "read the settings") from error
    if not observed.exists:
        raise pipeline_info.not_set_up(connection.target.project)
    return stored_settings(observed, connection.names)


def _bring_along(part: Pipeline, settings: Settings, emit: Emit) -> None:
    snapshot = observe.snapshot(part, emit)
    _refuse_incomplete(part, snapshot)
    try:
        known = replace(settings, failed_index=failed_index.is_told(snapshot["function.web"]))
        apply.reconcile_all(part, snapshot, known, emit)
    except Problem as problem:
        # Another rotation at the same time undoes this one's changes until both have the same token.
        if problem.code != "does_not_settle":
            raise


def _refuse_incomplete(part: Pipeline, snapshot: Snapshot) -> None:
    """Raise a Problem where a function is foreign or not there: making one is `up`'s business."""
    plan.refuse_not_owned(part, snapshot)
    missing = [name for name, observed in snapshot.items() if not observed.exists]
    if missing:
        raise Problem(
            "not_complete",
            f"Not there: {', '.join(missing)}. The functions that check the token are not complete.",
            hint="Run imgpipe up, then rotate the token again.",
        )


def _refuse_newer(settings: Settings, snapshot: Snapshot) -> None:
    """Raise a Problem where the functions would get older code with the token."""
    if functions := releases.taken_back(settings, snapshot):
        raise Problem(
            "newer_pipeline",
            f"imgpipe {settings.imgpipe} set this pipeline up. This one, {releases.own()}, would replace the "
            f"newer code of {', '.join(functions)}.",
            hint="Upgrade imgpipe. To have the older code all the same: imgpipe up --yes, then this again.",
        )


def _until_visible(connection: Connection, old: str) -> None:
    """Look until the new value is there; each look also makes its hash known to the functions' steps."""
    aws = connection.aws
    end = aws.clock() + _LIMIT_S
    while pipeline_info.discover(connection).token == old and aws.clock() < end:
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
    sleep: Callable[[float], None],
    clock: Callable[[], float],
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
