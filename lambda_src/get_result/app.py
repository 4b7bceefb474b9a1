"""GET /result?key=K[&min_confidence=N]: the stored result of one picture.

Where results are public, an answer without the token holds only what is for everybody.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from shared.aws_clients import Timeouts
from shared.confidence import min_confidence
from shared.http_api import (
    ApiError,
    Request,
    Response,
    Route,
    has_token,
    json_response,
    require_token,
    respond,
)
from shared.results import at_least, in_public
from shared.stores import Results, Store, reader

# The function is stopped after 20 s. Its one call to the store takes at most 3 x (1 + 3) + (1 + 2) = 15 s.
STORE_TIMEOUTS = Timeouts(connect_s=1, read_s=3)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings from the environment.

    The route is public only where that is said: one that lost a setting lets nobody in.
    """

    store: Store
    token_sha256: str
    public_results: bool

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Config:
        store = Store.from_environment(environment)
        return cls(
            store=store,
            token_sha256=environment.get("TOKEN_SHA256", ""),
            public_results=environment.get("PUBLIC_RESULTS") == "true",
        )


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What the route is answered with."""

    config: Config
    results: Results


@cache
def needs() -> Needs:
    """Made at the first event and kept for all that this process answers."""
    config = Config.from_environment(os.environ)
    return Needs(config=config, results=reader(config.store, STORE_TIMEOUTS))


def handler(event: Mapping[str, Any], context: object) -> Response:
    return respond(event, context, lambda: _routes(needs()))


def serve(event: Mapping[str, Any], context: object, needs: Needs) -> Response:
    return respond(event, context, lambda: _routes(needs))


def _routes(needs: Needs) -> dict[str, Route]:
    return {"GET /result": lambda request: get_result(request, needs)}


def get_result(request: Request, needs: Needs) -> Response:
    """200 with the result item; ApiError 400, 401 or 404."""
    if not needs.config.public_results:
        require_token(request, needs.config.token_sha256)
    whole = has_token(request, needs.config.token_sha256)
    key = request.query.get("key", "")
    if not key:
        raise ApiError(400, "missing_key", "Say which picture: /result?key=<its key in the bucket>.")
    least = min_confidence(request.query.get("min_confidence"))
    item = needs.results.get(key)
    if item is None:
        raise ApiError(404, "not_found", "There is no result for this key (yet).")
    item = item if whole else in_public(item)
    return json_response(200, item if least is None else at_least(item, least))
