"""What a user gets from a pipeline: its bucket, its URLs and its token, found again from any machine."""

from __future__ import annotations

from collections.abc import Mapping

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import denied_action, problem
from imgpipe_cli.deploy.resource import Observed
from imgpipe_cli.deploy.resources.api_gateway import ApiResource
from imgpipe_cli.deploy.resources.settings_parameter import SettingsParameter, stored_settings
from imgpipe_cli.deploy.resources.token_parameter import TokenParameter
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.session.connection import Connection
from imgpipe_cli.session.settings import Settings
from imgpipe_cli.session.target import Remembered


def of(connection: Connection, snapshot: Mapping[str, Observed]) -> Remembered | None:
    """The outputs from what was just looked at; None while something of it is missing."""
    settings, token, api = (snapshot[name] for name in ("settings", "token", "api"))
    if not (settings.exists and token.exists and api.exists and settings.owned and token.owned):
        return None
    deployed = stored_settings(settings, connection.names)
    return Remembered(
        target=connection.target,
        account=connection.names.account,
        region=connection.names.region,
        endpoint=connection.endpoint,
        bucket=connection.names.bucket,
        api_url=connection.api_url(api.facts["id"], api.facts["endpoint"]),
        token=token.facts["value"],
        private=deployed.private,
        min_confidence=deployed.min_confidence,
    )


def discover(connection: Connection, *, token: bool = True) -> Remembered:
    """The outputs of a pipeline that another machine set up. Raises Problem("not_set_up").

    token: False where it is not needed; who may not read it gets the outputs without.
    """
    try:
        snapshot = {
            one.name: one.observe(connection.aws, connection.names)
            for one in (SettingsParameter(), ApiResource())
        }
        snapshot["token"] = _token(connection, needed=token)
    except AwsError as error:
        raise problem(error, "look for the pipeline") from error
    found = of(connection, snapshot)
    if found is None:
        raise not_set_up(connection.target.project)
    return found


def _token(connection: Connection, *, needed: bool) -> Observed:
    try:
        return TokenParameter().observe(connection.aws, connection.names)
    except AwsError as error:
        if needed or denied_action(error) is None:
            raise
        return Observed(exists=True, owned=True, facts={"value": ""})


def settings(connection: Connection) -> Settings | None:
    """Those of the pipeline; None where there is no pipeline. Raises Problem."""
    try:
        found = SettingsParameter().observe(connection.aws, connection.names)
    except AwsError as error:
        raise problem(error, "look for the pipeline's settings") from error
    return stored_settings(found, connection.names) if found.exists and found.owned else None


def not_set_up(project: str) -> Problem:
    return Problem(
        "not_set_up",
        f"The pipeline {project} is not set up here.",
        hint="Run imgpipe up first (imgpipe up --local on this machine); --project names another one.",
        exit_code=ExitCode.NOT_SET_UP,
    )
