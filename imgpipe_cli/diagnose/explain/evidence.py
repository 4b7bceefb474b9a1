"""Everything that the cloud knows about one picture, read once: bucket, result, logs, failure queue, steps.

What it means is explanation.py's matter. A part that is missing is evidence too, never an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.deploy import deployed, observe, pipeline_info, plan
from imgpipe_cli.deploy.observe import Snapshot
from imgpipe_cli.deploy.pipeline import Pipeline
from imgpipe_cli.deploy.plan import ResourceState
from imgpipe_cli.deploy.steps import STEPS
from imgpipe_cli.diagnose.explain.attempts import Attempt, attempts, nameless_failures
from imgpipe_cli.diagnose.explain.log_reading import ingest_lines, read_lines
from imgpipe_cli.diagnose.logs.lines import Line
from imgpipe_cli.diagnose.logs.reading import LogReader
from imgpipe_cli.diagnose.retry.failure_queue import Peek, peek
from imgpipe_cli.errors import Problem
from imgpipe_cli.lambdas import source as functions
from imgpipe_cli.pictures.api import Api, ApiUnavailable
from imgpipe_cli.session.connection import Connection
from imgpipe_cli.session.settings import Settings
from imgpipe_cli.session.target import Remembered
from imgpipe_cli.system.threads import Pool

if TYPE_CHECKING:
    from shared.result_item import ResultItem


_VERSIONS = 100
# The clocks of S3 and of the functions differ a little.
_BEFORE = timedelta(minutes=1)
# What is logged after the result: its last lines, and events that came twice.
_AFTER = timedelta(minutes=5)
# Lambda tries an event for six hours at most.
_LONGEST = timedelta(hours=6, minutes=20)
# The API was asked just now; why it failed stands at the end of its functions' logs.
_API_LOG = timedelta(minutes=10)


@dataclass(frozen=True)
class Version:
    """A version of the object, or a delete marker (size None)."""

    version_id: str | None
    at: datetime
    size_bytes: int | None
    latest: bool

    @property
    def removed(self) -> bool:
        return self.size_bytes is None


@dataclass(frozen=True)
class Evidence:
    """What was found about `key`, by `now`.

    result_error: why the API gave no answer. parts: what is not as `up` makes it. logs_complete: False if
    the log was too long to read whole. failures: runs that ended before they named a picture. api_errors:
    what the function behind GET /result said last.
    """

    key: str
    now: datetime
    versions: tuple[Version, ...]
    near: tuple[str, ...]
    result: ResultItem | None
    result_error: str
    parts: tuple[ResourceState, ...]
    attempts: tuple[Attempt, ...]
    failures: tuple[Attempt, ...]
    logs_complete: bool
    queue: Peek | None
    api_errors: tuple[Line, ...]
    tries: int = functions.events.TRIES

    @property
    def current(self) -> Version | None:
        return self.versions[0] if self.versions else None


def gather(connection: Connection, remembered: Remembered | None, key: str) -> Evidence:
    """Look everywhere, side by side where one thing does not need the other. Raises Problem."""
    names = connection.names
    with Pool(3, thread_name_prefix="evidence") as pool:
        reading = pool.submit(_versions, connection, key)
        snapshot, parts = _looks(connection)
        if all(part.state in ("missing", "not_owned") for part in parts):
            raise pipeline_info.not_set_up(names.project)
        queue = pool.submit(_queue, connection, snapshot, key)
        pipeline = pipeline_info.of(connection, snapshot) or remembered
        result, result_error = _result(pipeline, key)
        versions = reading.result()
        near = pool.submit(_near, connection, key) if not versions and result is None else None
        reader = LogReader(connection.aws, names)
        found = queue.result()
        requests = frozenset(
            event.request_id for event in (found.events if found else ()) if event.request_id
        )
        # While the newest version waited for its result.
        start, end = (versions[0].at - _BEFORE, _until(versions[0], result)) if versions else (None, None)
        lines, complete = ingest_lines(reader, key, requests, start, end) if start and end else ([], True)
        api_errors = _api_errors(reader) if result_error else ()
        return Evidence(
            key=key,
            now=datetime.now(UTC),
            versions=versions,
            near=near.result() if near else (),
            result=result,
            result_error=result_error,
            parts=tuple(part for part in parts if part.state != "ready"),
            attempts=tuple(attempts(lines, key, requests)),
            failures=tuple(nameless_failures(lines)),
            logs_complete=complete,
            queue=found,
            api_errors=api_errors,
            tries=1 + int(snapshot["retries"].facts.get("attempts") or 0)
            if snapshot["retries"].exists
            else functions.events.TRIES,
        )


def read_result(pipeline: Remembered, key: str) -> ResultItem | None:
    """The stored result, None if there is none. The one place where a result is read for an explanation."""
    return Api(pipeline.api_url, pipeline.token).result(key)


def _result(pipeline: Remembered | None, key: str) -> tuple[ResultItem | None, str]:
    if pipeline is None:
        return None, "there is no API"
    try:
        return read_result(pipeline, key), ""
    except ApiUnavailable as error:
        return None, str(error)
    except Problem as error:
        return None, error.message


def _looks(connection: Connection) -> tuple[Snapshot, list[ResourceState]]:
    pipeline = Pipeline(STEPS, connection.aws, connection.names)
    snapshot = observe.snapshot(pipeline, lambda _event: None)
    settings = deployed.settings(snapshot, connection.names) or Settings()
    return snapshot, plan.states(pipeline, snapshot, settings)


def _versions(connection: Connection, key: str) -> tuple[Version, ...]:
    """The newest versions and delete markers of exactly this key, newest first."""
    try:
        found = connection.aws.find(
            "s3",
            "list_object_versions",
            missing=("NoSuchBucket",),
            Bucket=connection.names.bucket,
            Prefix=key,
            MaxKeys=_VERSIONS,
        )
    except AwsError as error:
        raise problem(error, "look for the picture in the bucket") from error
    entries = [
        Version(
            version_id=None if entry.get("VersionId") in (None, "null") else entry["VersionId"],
            at=entry["LastModified"],
            size_bytes=entry.get("Size"),
            latest=bool(entry.get("IsLatest")),
        )
        for kind in ("Versions", "DeleteMarkers")
        for entry in (found or {}).get(kind, [])
        if entry["Key"] == key
    ]
    return tuple(sorted(entries, key=lambda one: (one.latest, one.at), reverse=True))


def _near(connection: Connection, key: str) -> tuple[str, ...]:
    from imgpipe_cli.diagnose.explain.missing import keys_there, nearest

    return tuple(nearest(key, keys_there(connection)))


def _queue(connection: Connection, snapshot: Snapshot, key: str) -> Peek | None:
    seen = snapshot["queue"]
    if not (seen.exists and seen.owned):
        return None
    return peek(connection.aws, seen.facts["url"], key, waiting=seen.facts["messages"])


def _until(version: Version, result: ResultItem | None) -> datetime:
    final = result is not None and not result.get("error", {}).get("retryable")
    if result is not None and final and result.get("versionId") in (None, version.version_id):
        return datetime.fromisoformat(result["analyzedAt"]) + _AFTER
    return version.at + _LONGEST


def _api_errors(reader: LogReader) -> tuple[Line, ...]:
    lines, _complete = read_lines(reader, "get_result", datetime.now(UTC) - _API_LOG, None)
    return tuple(one for one in lines if one.failed)
