"""Signing in to a target: its clients, its account, and the names of its resources.

Credentials of another account than that of a pipeline that is remembered are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.session.target import Begun, Remembered, Target

if TYPE_CHECKING:
    from imgpipe_cli.aws.client import Aws, Place
    from imgpipe_cli.aws.names import Names
    from imgpipe_cli.local.process.running_cloud import LocalCloud

# MiniStack's DynamoDB knows tables by no other names.
_PLAYED_REGION = re.compile(r"[a-z]{2}-[a-z]+-[0-9]")


@dataclass(frozen=True)
class Connection:
    """A target with its account known and its clients at hand."""

    target: Target
    aws: Aws
    names: Names

    @property
    def endpoint(self) -> str | None:
        return self.aws.place.endpoint or self.aws.custom_endpoint

    @property
    def begun(self) -> Begun:
        """What is remembered of a pipeline before the first change to it."""
        return Begun(self.target, self.names.account, self.names.region, self.endpoint)

    def api_url(self, api_id: str, api_endpoint: str) -> str:
        """The URL of the stage. On the local cloud it is path style: names under .localhost do not
        resolve everywhere."""
        from imgpipe_cli.aws.names import STAGE

        if self.target.local:
            return f"{self.aws.place.endpoint}/_aws/execute-api/{api_id}/{STAGE}"
        return f"{api_endpoint}/{STAGE}"


def connect(
    target: Target,
    remembered: Begun | None,
    *,
    start_local: Callable[[], Any] | None = None,
    services: Sequence[str] = (),
    on_busy: Callable[[str], None] | None = None,
) -> Connection:
    """Sign in and learn the account. start_local starts the local cloud when it is not running.
    services: what will be called next; their clients are made meanwhile. on_busy: as of `Backoff`.

    Raises Problem: not signed in, local cloud not running, or another account than remembered.
    """
    from imgpipe_cli.aws.client import Aws, AwsError
    from imgpipe_cli.aws.errors import problem
    from imgpipe_cli.aws.names import Names

    try:
        aws = Aws(place(target, start_local))
        aws.backoff.on_busy = on_busy
        aws.client("sts")
        aws.prepare(services)
        identity = aws.call("sts", "get_caller_identity")
        partition = identity["Arn"].split(":")[1]
        names = Names(target.project, identity["Account"], aws.region, partition)
    except AwsError as error:
        raise problem(error, "sign in") from error
    if target.region is None and not target.local:
        target = replace(target, region=aws.region)
    connection = Connection(target, aws, names)
    if remembered is not None:
        refuse_other_account(connection, remembered)
    return connection


def place(target: Target, start_local: Callable[[], Any] | None = None) -> Place:
    """Where the calls for this target go. Raises Problem when the local cloud is not running."""
    from imgpipe_cli.aws.client import Place

    if not target.local:
        return Place(target.region, target.profile)
    if target.region is not None and not _PLAYED_REGION.fullmatch(target.region):
        raise Problem(
            "bad_region",
            f"The local cloud emulates no region of the name {target.region!r}.",
            hint="Name one such as eu-west-1 with --region, or leave it out.",
            exit_code=ExitCode.USAGE,
        )
    cloud = running_local_cloud(start_local)
    return Place(
        region=target.region or cloud.region,
        endpoint=cloud.endpoint,
        access_key_id=cloud.access_key_id,
        secret_access_key=cloud.secret_access_key,
    )


def running_local_cloud(start_local: Callable[[], Any] | None = None) -> LocalCloud:
    """The local cloud; whatever else answers on its port gets no key and no token. Raises Problem."""
    from imgpipe_cli.local.process import control

    cloud = control.running() or (start_local() if start_local else None)
    if cloud is None:
        raise Problem(
            "local_not_running",
            "The local cloud is not running.",
            hint="Start it again with imgpipe local start, or set a pipeline up with imgpipe up --local.",
            exit_code=ExitCode.NOT_SET_UP,
        )
    return cloud


def refuse_other_account(connection: Connection, remembered: Begun) -> None:
    """Raise a Problem where the credentials, or the endpoint, are not those of the pipeline."""
    account, endpoint = connection.names.account, connection.endpoint
    project = connection.target.project
    done = "set up" if isinstance(remembered, Remembered) else "begun"
    if account != remembered.account:
        raise Problem(
            "other_account",
            f"These credentials belong to account {account}; {project} was {done} in {remembered.account}.",
            hint="Sign in to that account or choose its --profile; for this one name --region or --project.",
        )
    if not connection.target.local and endpoint != remembered.endpoint:
        raise Problem(
            "other_endpoint",
            f"{project} was {done} at {remembered.endpoint or 'AWS'}; now AWS_ENDPOINT_URL says "
            f"{endpoint or 'AWS'}.",
            hint="Set or unset AWS_ENDPOINT_URL as it was, or choose another --project.",
        )
