"""The target that a command line means: its own options, then the environment, then imgpipe.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgpipe_cli.session.remembered import Targets
    from imgpipe_cli.session.target import Begun, Target


@dataclass(frozen=True)
class Options:
    """The options of every command; None: not given."""

    project: str | None = None
    profile: str | None = None
    region: str | None = None
    local: bool | None = None
    json: bool = False
    verbose: bool = False
    quiet: bool = False


def asked(configuration: Mapping[str, Any], name: str, value: Any) -> Any:
    """The value of flag or environment, else that of imgpipe.toml, else None."""
    return value if value is not None else configuration.get(name)


def resolve(
    options: Options, configuration: Mapping[str, Any], targets: Targets
) -> tuple[Target, Begun | None]:
    """The target, and what is remembered of it. configuration: that of imgpipe.toml. Raises Problem."""
    from imgpipe_cli.session import target

    last, known = targets.read()
    local = asked(configuration, "local", options.local)
    if local is None and options.profile is not None:
        local = False  # who names a profile means AWS, also after an `up --local`
    return target.resolve(
        project=asked(configuration, "project", options.project),
        local=local,
        region=asked(configuration, "region", options.region),
        # A profile in imgpipe.toml says nothing about the local cloud.
        profile=options.profile if options.profile is not None or local else configuration.get("profile"),
        last=last,
        known=known,
    )
