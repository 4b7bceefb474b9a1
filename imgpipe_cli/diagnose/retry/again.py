"""Finished pictures that lack something: which models answer now, and how many results are not up to date."""

from __future__ import annotations

import time
from collections.abc import Sequence

from imgpipe_cli.errors import Problem
from imgpipe_cli.local.process import control
from imgpipe_cli.pictures.api import Api, ApiUnavailable
from imgpipe_cli.pictures.lacking import Expected, Lacking, Newer, count_lacking, models_of
from imgpipe_cli.pictures.listing import PAGE, PatientPages, pages
from imgpipe_cli.session.settings import FEATURES, Settings

# The analysis loads its models in a second or two after the start of the local cloud.
_LOADED_WITHIN_S = 15.0
_PAUSE_S = 0.2


def expected_now(features: Sequence[str], *, local: bool) -> Expected:
    """What a result should hold by now. local: then also by the models of the local cloud, once loaded."""
    return Expected(tuple(features), _models_now() if local else {})


def count(api: Api, features: Sequence[str], *, local: bool) -> Lacking:
    """How many finished pictures lack one of these features, or on the local cloud the answer of its model.

    Reads the list of results. Raises ApiUnavailable, Problem.
    """
    return count_lacking(pages(PatientPages(api), PAGE), expected_now(features, local=local))


def count_outdated(api: Api) -> Lacking | None:
    """How many finished pictures an older local model answered for; None where the API does not tell."""
    try:
        return count_lacking(pages(PatientPages(api), PAGE), Newer(tuple(FEATURES), _models_now()))
    except (ApiUnavailable, Problem):
        return None


def count_after(
    api: Api, before: Settings | None, settings: Settings, *, local: bool, more_models: bool
) -> Lacking | None:
    """The same as `count` once a feature was added, or models were; None where nothing was, or where the API
    does not tell."""
    if before is None or (set(settings.features) <= set(before.features) and not more_models):
        return None
    try:
        return count(api, settings.features, local=local)
    except (ApiUnavailable, Problem):
        return None


def _models_now() -> dict[str, str]:
    """Empty without a cloud, and where its analysis cannot be loaded."""
    give_up = time.monotonic() + _LOADED_WITHIN_S
    while True:
        told = control.status().capabilities
        if (told or {}).get("unavailable") != "loading" or time.monotonic() >= give_up:
            return models_of(told)
        time.sleep(_PAUSE_S)
