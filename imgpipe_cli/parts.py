"""The parts of the pipeline that a picture's result depends on, and what it means when one is not right."""

from __future__ import annotations

from collections.abc import Sequence

from imgpipe_cli.runner import ResourceState

# Resource -> what it is to somebody who waits for a result, in the order of the way through them.
COMING = {
    "bucket": "the upload bucket",
    "notification": "the trigger, by which the bucket tells the ingest function of pictures,",
    "function.ingest": "the ingest function",
    "permission.bucket": "the bucket's permission to call the ingest function",
    "role.ingest": "the role of the ingest function",
    "table": "the results table",
    "results_bucket": "the results bucket",
}
"""What an event needs to come in and to become a result."""

CALLING = tuple(COMING)[:4]
"""What must be there for an event to reach the ingest function at all."""

WORKING = {name: COMING[name] for name in ("role.ingest", "function.ingest", "table", "results_bucket")}
"""What can make the ingest function fail, the likeliest first."""

READING = {
    "api": "the HTTP API",
    "api.routes": "the routes of the HTTP API",
    "api.stage": "the stage of the HTTP API",
    "permission.api.get_result": "the API's permission to call the function get_result",
    "function.get_result": "the function get_result, which reads results,",
    "role.get_result": "the role of the function get_result",
    "table": COMING["table"],
    "results_bucket": COMING["results_bucket"],
    "token": "the access token",
}
"""What is needed to read a result over the API."""

_OTHERS = {
    "settings": "the record of the pipeline's settings",
    "function.web": "the function web, which serves the page,",
    "logs.web": "the log group of the function web",
    "logs.ingest": "the log group of the ingest function",
    "logs.get_result": "the log group of the function get_result",
    "queue": "the failure queue",
    "retries": "the ingest function's retry policy",
}
_TITLES = {**COMING, **READING, **_OTHERS}


def first(parts: Sequence[ResourceState], among: Sequence[str]) -> ResourceState | None:
    """The first of those that matter, in the order given, that is not right."""
    wrong = {part.resource: part for part in parts}
    return next((wrong[name] for name in among if name in wrong), None)


def calling(wrong: Sequence[ResourceState]) -> ResourceState | None:
    """What keeps every event from the ingest function; one that only differs is called all the same."""
    called = ("function.ingest", "differs")
    return first(
        [part for part in wrong if part.state != "busy" and (part.resource, part.state) != called], CALLING
    )


def said(part: ResourceState) -> str:
    """One sentence: what is wrong with the part."""
    title = _TITLES.get(part.resource, f"the part {part.resource}")
    title = title[0].upper() + title[1:]
    details = "; ".join(part.differences)
    match part.state:
        case "missing":
            return f"{title} is missing."
        case "foreign":
            return f"{title} is not one that imgpipe made."
        case "busy":
            return f"{title} is still being changed ({details})."
        case _:
            return f"{title} is not as imgpipe up makes it (to do: {details})."


def cause(part: ResourceState) -> str:
    """A code for scripts, such as notification_missing."""
    return f"{part.resource.replace('.', '_')}_{part.state}"
