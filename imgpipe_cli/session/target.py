"""Where a command goes: which project, in which account and region, on AWS or on this machine.

The order is flag, IMGPIPE_* variable, `imgpipe.toml`, what the last `up` remembered, and only then
the SDK's own AWS_* variables and profile. What is remembered is a convenience: deleting it loses
nothing that the cloud does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imgpipe_cli.aws.names import check_project
from imgpipe_cli.errors import ExitCode, Problem

DEFAULT_PROJECT = "imgpipe"


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
