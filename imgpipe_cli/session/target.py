"""Where a command goes: which project, in which account and region, on AWS or on this machine.

The order is flag, IMGPIPE_* variable, `imgpipe.toml`, what the last `up` remembered, and only then
the SDK's own AWS_* variables and profile. What is remembered is a convenience: deleting it loses
nothing that the cloud does not know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from imgpipe_cli.aws.names import check_project
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.system import file_io
from imgpipe_cli.system.state_dir import state_dir, to_read, unusable

if TYPE_CHECKING:
    from imgpipe_cli.aws.client import Aws, Place
    from imgpipe_cli.aws.names import Names
    from imgpipe_cli.local.process.running_cloud import LocalCloud

DEFAULT_PROJECT = "imgpipe"
_FILE = "targets.json"
_VERSION = 1
# Hundreds of pipelines; what is larger is not ours.
_MAX_BYTES = 1 << 20
# MiniStack's DynamoDB knows tables by no other names.
_PLAYED_REGION = re.compile(r"[a-z]{2}-[a-z]+-[0-9]")
_Kind = TypeVar("_Kind")


@dataclass(frozen=True)
class Target:
    """What the user means, before AWS has been asked anything. None: the SDK decides."""

    project: str = DEFAULT_PROJECT
    local: bool = False
    region: str | None = None
    profile: str | None = None


@dataclass(frozen=True)
class Begun:
    """A pipeline that `up` began to change on this machine. endpoint: None for AWS itself."""

    target: Target
    account: str
    region: str
    endpoint: str | None


@dataclass(frozen=True)
class Remembered(Begun):
    """A pipeline that `up` finished on this machine."""

    bucket: str
    api_url: str
    token: str
    private: bool
    min_confidence: float


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


# --- what is remembered --------------------------------------------------------------------------


class Targets:
    """The pipelines that were set up or begun here, and the last target. Lives in one 0600 file of the state
    folder."""

    def __init__(self, folder: Path | None = None) -> None:
        """Raises Problem for a folder that is no place for them. It is made when something is written."""
        self._folder = folder
        self._path = (folder or to_read()) / _FILE

    def read(self) -> tuple[Target, list[Begun]]:
        """The target of the last command that set it, and all pipelines, those that were only begun last.
        What cannot be read is nothing: it is only a convenience."""
        try:
            document = json.loads(file_io.read(self._path, at_most=_MAX_BYTES))
            if document["version"] != _VERSION:
                return Target(), []
            known: list[Begun] = [
                _typed(kind, {**entry, "target": _target(entry["target"])})
                for kind, entries in (
                    (Remembered, document["pipelines"]),
                    (Begun, document.get("begun", ())),
                )
                for entry in entries
            ]
            return _target(document["last"]), known
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, Problem):
            return Target(), []

    def put(self, entry: Remembered) -> None:
        """Remember it, as the target of the commands to come."""
        others = [known for known in self.read()[1] if known.target != entry.target]
        self._write(entry.target, [entry, *others])

    def begin(self, entry: Begun) -> None:
        """Make it the target of the commands to come, before it is changed: an `up` that ends half-way is
        continued where it was. What is remembered of it stays."""
        last, known = self.read()
        if all(one.target != entry.target for one in known):
            known = [entry, *known]
        elif last == entry.target:
            return
        self._write(entry.target, known)

    def drop(self, target: Target) -> None:
        """Forget the pipeline; its place stays the target, so that `down` twice looks at the same place."""
        known = self.read()[1]
        self._write(target, [entry for entry in known if entry.target != target])

    def _write(self, last: Target, entries: Sequence[Begun]) -> None:
        document = {
            "version": _VERSION,
            "last": asdict(last),
            "pipelines": [asdict(entry) for entry in entries if isinstance(entry, Remembered)],
            "begun": [asdict(entry) for entry in entries if not isinstance(entry, Remembered)],
        }
        if self._folder is None:
            state_dir()
        try:
            file_io.write(self._path, json.dumps(document, indent=1))
        except OSError as error:
            raise unusable(self._path.parent, error) from error


def _target(values: Mapping[str, Any]) -> Target:
    found = _typed(Target, values)
    check_project(found.project)
    return found


def _typed(kind: type[_Kind], values: Mapping[str, Any]) -> _Kind:
    """The values as one of ours. Raises TypeError for one that is not of its field's type."""
    found = kind(**values)
    for field, wanted in get_type_hints(kind).items():
        value = getattr(found, field)
        # A bool is an int and not a float; a whole number may stand for a float.
        if not isinstance(value, (wanted, int) if wanted is float else wanted):
            raise TypeError(f"{field} is {value!r}")
    return found


def resolve(
    *,
    project: str | None,
    local: bool | None,
    region: str | None,
    profile: str | None,
    last: Target,
    known: Sequence[Begun],
) -> tuple[Target, Begun | None]:
    """The target, and what is remembered of exactly that pipeline. None: not asked. Raises Problem."""
    if local and profile:
        raise Problem(
            "bad_usage",
            "A profile has no meaning on the local cloud.",
            hint="Leave out --profile, or choose AWS with --aws.",
            exit_code=ExitCode.USAGE,
        )
    # What is empty is refused: a script's unset variable must not become the last project or account.
    for what, value in (("region", region), ("profile", profile)):
        if value == "":
            raise Problem(
                "bad_usage",
                f"The {what} that is named is empty.",
                hint=f"Name one with --{what}, or leave it out.",
                exit_code=ExitCode.USAGE,
            )
    name = check_project(last.project if project is None else project)
    same = [
        entry
        for entry in known
        if name == entry.target.project
        and local in (None, entry.target.local)
        and region in (None, entry.region)
        and (entry.target.local or profile in (None, entry.target.profile))
    ]
    current = next((entry for entry in same if entry.target == last), None)
    elsewhere_too = project is not None or local is not None or region is not None or profile is not None
    if current is None and same and elsewhere_too:
        current = same[0]
    if current is not None:
        return current.target, current
    here = last.local if local is None else local
    place = last if here == last.local else Target()
    target = Target(name, here, region or place.region, None if here else profile or place.profile)
    return target, None


def refuse_several(known: Sequence[Begun], *, local: bool | None, region: str | None) -> None:
    """Raise a usage Problem where more than one pipeline can be meant: which of them was used last may be
    another terminal's doing."""
    meant = [
        entry
        for entry in known
        if local in (None, entry.target.local) and region in (None, entry.target.region, entry.region)
    ]
    if len(meant) > 1:
        names = ", ".join(sorted(f"{entry.target.project} ({_where(entry)})" for entry in meant))
        raise Problem(
            "several_pipelines",
            f"Several pipelines were set up from this machine: {names}.",
            hint="Name it: imgpipe down --yes --project NAME, with --region, --local or --aws if need be.",
            exit_code=ExitCode.USAGE,
        )


def _where(entry: Begun) -> str:
    return "local" if entry.target.local else f"AWS {entry.account}, {entry.region}"


# --- connecting ----------------------------------------------------------------------------------


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
