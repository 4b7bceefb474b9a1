"""What each function is told by its environment. `deployed.py` reads the settings back from there."""

from __future__ import annotations

from collections.abc import Mapping

from imgpipe_cli.aws.names import FAILED_INDEX, INDEX, UPLOAD_PREFIX, Names
from imgpipe_cli.lambdas.source import index_rows
from imgpipe_cli.session.settings import Settings

# Once the index of failed results and the index table hold all results.
_COMPLETE = {"FAILED_INDEX": FAILED_INDEX, "INDEX_FORMAT": index_rows.FORMAT}


def ingest(names: Names, settings: Settings, _token_sha256: str) -> Mapping[str, str]:
    return {
        **_store(names, settings),
        **_index(names, settings),
        **_limit(settings),
        "FEATURES": ",".join(settings.features),
    }


def get_result(names: Names, settings: Settings, token_sha256: str) -> Mapping[str, str]:
    return {**_store(names, settings), "TOKEN_SHA256": token_sha256, "PUBLIC_RESULTS": _public(settings)}


def web(names: Names, settings: Settings, token_sha256: str) -> Mapping[str, str]:
    return {
        **_store(names, settings),
        **_index(names, settings),
        **_limit(settings),
        **({"INDEX_NAME": INDEX} if settings.results == "table" else {}),
        "BUCKET_NAME": names.bucket,
        "UPLOAD_PREFIX": UPLOAD_PREFIX,
        "TOKEN_SHA256": token_sha256,
        "FIRST_DAY": settings.first_day,
        "MIN_CONFIDENCE": f"{settings.min_confidence:g}",
        "PUBLIC_RESULTS": _public(settings),
    }


def _store(names: Names, settings: Settings) -> Mapping[str, str]:
    """Where the results are: exactly one store."""
    is_table = settings.results == "table"
    return {"TABLE_NAME": names.table} if is_table else {"RESULTS_BUCKET": names.results_bucket}


def _index(names: Names, settings: Settings) -> Mapping[str, str]:
    """The table that pictures are found by, and whether the indexes are complete.

    The ingest function does not read that. But its processes remember which rows a table has, and none is
    left of before once its environment has changed.
    """
    return {"INDEX_TABLE": names.index_table, **(_COMPLETE if settings.failed_index else {})}


def has_complete_indexes(variables: Mapping[str, str]) -> bool:
    """Whether a function's environment says so, for rows of today's format."""
    return _COMPLETE.items() <= variables.items()


def _limit(settings: Settings) -> Mapping[str, str]:
    """How many analyses a month may have."""
    return {"MONTHLY_LIMIT": str(settings.monthly_limit)} if settings.monthly_limit else {}


def _public(settings: Settings) -> str:
    """Whether everyone who knows a picture's key may read its result; only "true" means so."""
    return "false" if settings.private else "true"
