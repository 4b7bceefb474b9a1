"""The parts of the pipeline that a picture's result depends on, and what it means when one is not right."""

from __future__ import annotations

from collections.abc import Sequence

from imgpipe_cli.deploy.plan import ResourceState
from imgpipe_cli.deploy.steps import STEPS

COMING = (
    "bucket",
    "notification",
    "function.ingest",
    "permission.bucket",
    "role.ingest",
    "table",
    "results_bucket",
    "index_table",
)
"""What an event needs to come in and to become a result, in the order of the way through it."""

CALLING = COMING[:4]
"""What must be there for an event to reach the ingest function at all."""

WORKING = ("role.ingest", "function.ingest", "table", "results_bucket", "index_table")
"""What can make the ingest function fail, the likeliest first."""

READING = (
    "api",
    "api.routes",
    "api.stage",
    "permission.api.get_result",
    "function.get_result",
    "role.get_result",
    "table",
    "results_bucket",
    "token",
)
"""What is needed to read a result over the API."""

# Scripts know these causes by the words that the states had before.
_CODES = {"drifted": "differs", "not_owned": "foreign"}
_TITLES = {resource.name: resource.title for step in STEPS for resource in step.resources}


def first(parts: Sequence[ResourceState], among: Sequence[str]) -> ResourceState | None:
    """The first of those that matter, in the order given, that is not right."""
    wrong = {part.resource: part for part in parts}
    return next((wrong[name] for name in among if name in wrong), None)


def calling(wrong: Sequence[ResourceState]) -> ResourceState | None:
    """What keeps every event from the ingest function; one that only differs is called all the same."""
    called = ("function.ingest", "drifted")
    return first(
        [part for part in wrong if part.state != "busy" and (part.resource, part.state) != called], CALLING
    )


def said(part: ResourceState) -> str:
    """One sentence: what is wrong with the part."""
    title = _TITLES[part.resource]
    title = title[0].upper() + title[1:]
    details = "; ".join(part.drift)
    match part.state:
        case "missing":
            return f"{title} is missing."
        case "not_owned":
            return f"{title} is not one that imgpipe made."
        case "busy":
            return f"{title} is still being changed ({details})."
        case _:
            return f"{title} is not as imgpipe up makes it (to do: {details})."


def cause(part: ResourceState) -> str:
    """A code for scripts, such as notification_missing."""
    return f"{part.resource.replace('.', '_')}_{_CODES.get(part.state, part.state)}"
