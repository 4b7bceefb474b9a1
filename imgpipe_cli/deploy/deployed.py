"""What a pipeline was set up with: as it is stored, or, if that was removed, as its functions still have it.

`up` without flags keeps what is deployed. If a removed parameter meant the defaults, it would open a private
pipeline, drop features and hide older results.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.names import FUNCTIONS, Names
from imgpipe_cli.deploy.observe import Snapshot, by_name
from imgpipe_cli.deploy.pipeline import Pipeline
from imgpipe_cli.deploy.resource import GONE, Observed, Resource
from imgpipe_cli.deploy.resources.iam_role import trust_policy
from imgpipe_cli.deploy.resources.settings_parameter import stored_settings
from imgpipe_cli.errors import Problem
from imgpipe_cli.session.json_values import is_percent
from imgpipe_cli.session.settings import Settings, of_cap, parse_features

_HOLD = ("bucket", "table", "results_bucket")


def settings(snapshot: Mapping[str, Observed], names: Names) -> Settings | None:
    """None where nothing is deployed or nothing can tell; foreign settings are refused later, and are not
    read. Raises Problem("bad_settings")."""
    stored = snapshot["settings"]
    if stored.exists:
        return stored_settings(stored, names) if stored.owned else None
    found = _rebuilt(snapshot)
    if found and snapshot["role.ingest"].facts["trust"] == trust_policy(names, source_account=False):
        found = replace(found, source_account=False)
    return found


def is_lost(pipeline: Pipeline, snapshot: Snapshot) -> bool:
    """Whether functions of ours have pictures or results, and nothing tells what they were set up with.

    Functions without any are what a removal left that another run came in between: then the defaults count,
    as after any removal.
    """
    functions = any(_is_ours(snapshot[f"function.{function}"]) for function in FUNCTIONS)
    if not functions or snapshot["settings"].exists or _rebuilt(snapshot) is not None:
        return False
    resources = by_name(pipeline)
    return any(_holds_something(pipeline, resources[one], snapshot[one]) for one in _HOLD)


def _is_ours(observed: Observed) -> bool:
    return observed.exists and observed.owned


def _holds_something(pipeline: Pipeline, resource: Resource, observed: Observed) -> bool:
    try:
        return _is_ours(observed) and any(resource.contents(pipeline.aws, pipeline.names, observed).values())
    except AwsError as error:  # what cannot be counted may be there
        return error.code not in GONE


def lost(names: Names) -> Problem:
    return Problem(
        "settings_lost",
        f"The parameter {names.settings_parameter} was removed, and the functions do not hold the settings "
        "of this pipeline. Nothing was changed.",
        hint="Name them all: imgpipe up with --features, --min-confidence, --private or --public, and "
        "--results. Lists then begin today; older results are found by their key.",
    )


def _rebuilt(snapshot: Mapping[str, Observed]) -> Settings | None:
    """The settings that the functions have; None where they do not tell all of them."""
    stores = {"TABLE_NAME": "table", "RESULTS_BUCKET": "s3"}
    ingest, web = (_variables(snapshot[f"function.{function}"]) for function in ("ingest", "web"))
    try:
        min_confidence = float(web["MIN_CONFIDENCE"])
        if not is_percent(min_confidence):
            return None
        return Settings(
            features=parse_features(ingest["FEATURES"]),
            min_confidence=min_confidence,
            private={"true": False, "false": True}[web["PUBLIC_RESULTS"]],
            first_day=date.fromisoformat(web["FIRST_DAY"]).isoformat(),
            # In the middle of a move: where new results go. What is in the other store is fetched from there.
            results=next(store for variable, store in stores.items() if ingest.get(variable)),
            monthly_limit=int(ingest.get("MONTHLY_LIMIT", 0)),
            **of_cap(snapshot["function.ingest"].facts["reserved"]),
        )
    except (KeyError, ValueError, StopIteration, Problem):
        return None


def _variables(observed: Observed) -> Mapping[str, str]:
    if not _is_ours(observed):
        return {}
    found: Mapping[str, str] = observed.facts["configuration"].get("Environment", {}).get("Variables", {})
    return found
