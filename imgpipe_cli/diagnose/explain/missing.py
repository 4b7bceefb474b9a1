"""Why a key has no result: still to come, or not in the bucket at all, and then what may have been meant."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.deploy.pipeline_info import not_set_up
from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures.keys import argument
from imgpipe_cli.pictures.stored_picture import look
from imgpipe_cli.session.connection import Connection

# So many keys are compared with the one that was not found.
_COMPARED = 1000


@dataclass(frozen=True)
class Missing:
    """pending: the picture is in the bucket, in this version, and its result is still to come."""

    problem: Problem
    pending: bool = False
    version_id: str | None = None


def why_missing(connection: Connection, keys: list[str]) -> dict[str, Missing]:
    """Look into the bucket for each key; what hinders one look ends none of the others. Raises Problem."""
    aws, names = connection.aws, connection.names

    def one(key: str) -> dict[str, Any] | AwsError | None:
        try:
            return look(aws, names.bucket, key)
        except AwsError as error:
            return error

    found = aws.together({key: partial(one, key) for key in keys})
    refusals = [error for error in found.values() if isinstance(error, AwsError)]
    try:
        if len(refusals) == len(keys):
            raise refusals[0]
        there = _keys(connection) if None in found.values() else []
    except AwsError as error:
        if error.code == "NoSuchBucket":
            raise not_set_up(names.project) from error
        raise _not_looked(error) from error
    return {key: _missing(key, found[key], there) for key in keys}


def _missing(key: str, found: dict[str, Any] | AwsError | None, there: list[str]) -> Missing:
    if isinstance(found, AwsError):
        return Missing(_not_looked(found))
    if found and functions.events.is_folder(key, found["ContentLength"]):
        return Missing(_folder(key))
    return _pending(key, found) if found else _absent(key, there)


def _folder(key: str) -> Problem:
    return Problem(
        "folder",
        f"{key} only makes a folder show; there is nothing to analyze.",
        hint=f"The pictures in it: imgpipe list --prefix {argument(key)}",
    )


def _not_looked(error: AwsError) -> Problem:
    return problem(error, "look for the picture in the bucket")


def keys_there(connection: Connection) -> list[str]:
    """Some keys of the bucket, none without a bucket. Raises Problem."""
    try:
        return _keys(connection)
    except AwsError as error:
        if error.code == "NoSuchBucket":
            return []
        raise _not_looked(error) from error


def _keys(connection: Connection) -> list[str]:
    page = connection.aws.call("s3", "list_objects_v2", Bucket=connection.names.bucket, MaxKeys=_COMPARED)
    return [entry["Key"] for entry in page.get("Contents", [])]


def nearest(key: str, there: list[str]) -> list[str]:
    """The keys that may have been meant."""
    near = difflib.get_close_matches(key, there, n=3, cutoff=0.5)
    near += [other for other in there if other.rsplit("/", 1)[-1] == key and other not in near][:3]
    return near[:3]


def _pending(key: str, head: dict[str, Any]) -> Missing:
    since = head["LastModified"]
    waited_s = max((datetime.now(UTC) - since).total_seconds(), 0)
    return Missing(
        Problem(
            "pending",
            f"{key} is in the bucket since {since.astimezone():%H:%M:%S} ({waited_s:.0f} s) and has no "
            "result yet.",
            hint="Add --wait; if it stays so for minutes, see imgpipe status.",
            exit_code=ExitCode.PENDING,
        ),
        pending=True,
        version_id=head.get("VersionId"),
    )


def _absent(key: str, there: list[str]) -> Missing:
    near = nearest(key, there)
    if near:
        hint = f"Did you mean {' or '.join(near)}?"
    elif there:
        hint = f"The bucket holds {there[0]}, for example."
    else:
        hint = "The bucket is empty: send a picture with imgpipe upload."
    return Missing(Problem("not_found", f"There is no picture {key} in the bucket.", hint=hint))
