"""The secret that opens the list, the uploads and the pictures of the HTTP API."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.iam import scopes
from imgpipe_cli.aws.iam.uses import TOKEN, uses
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resource import Change, Context, NewSecret, Observed, Resource
from imgpipe_cli.deploy.resources.settings_parameter import (
    PARAMETER_USES,
    delete_parameter,
    observe_parameter,
    put_parameter,
    refuse_other_type,
)

NEW_TOKEN = NewSecret("new token", lambda: secrets.token_urlsafe(32))


def fingerprint(token: str) -> str:
    """What the functions hold instead of the token: its SHA-256 as hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def read_token(aws: Aws, names: Names) -> str | None:
    """The token itself, None before it is made. Raises AwsError."""
    found = aws.find(
        "ssm",
        "get_parameter",
        Name=names.token_parameter,
        WithDecryption=True,
    )
    return None if found is None else str(found["Parameter"]["Value"])


def token_sha256(aws: Aws, names: Names) -> str | None:
    """The token's fingerprint, looked up once a run for all functions that hold it."""

    def look() -> str | None:
        token = read_token(aws, names)
        return None if token is None else fingerprint(token)

    return aws.known.get("token_sha256", look)


class TokenParameter(Resource):
    """A SecureString, made once and never changed by `up`."""

    name = "token"
    title = "the access token"
    iam = (*PARAMETER_USES, *uses(TOKEN, scopes.TOKEN, "ssm.put_parameter", "ssm.add_tags_to_resource"))
    needs = ("settings",)

    def observe(self, aws: Aws, names: Names) -> Observed:
        observed: list[Observed] = []

        def look() -> str | None:
            observed.append(observe_parameter(aws, names, names.token_parameter))
            return fingerprint(observed[0].facts["value"]) if observed[0].exists else None

        # The functions that hold the fingerprint ask at the same time: one look answers all.
        aws.known.learn("token_sha256", look)
        return observed[0]

    def diff(self, context: Context) -> Iterator[Change]:
        names = context.names
        if not context.observed.exists:
            yield put_parameter(names.token_parameter, "SecureString", NEW_TOKEN, names)
        else:
            refuse_other_type(context.observed, names.token_parameter, "SecureString")

    def removals(self, context: Context) -> Iterator[Change]:
        yield delete_parameter(context.names.token_parameter)
