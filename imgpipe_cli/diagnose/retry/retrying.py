"""What there is to retry, and the failure queue at the end.

What has its result leaves the queue in a pass of its own at the end, after a fresh look; killed before,
nothing has left it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.deploy.pipeline_info import not_set_up
from imgpipe_cli.deploy.resources.settings_parameter import SettingsParameter, stored_settings
from imgpipe_cli.deploy.resources.sqs_queue import FailureQueue
from imgpipe_cli.diagnose.retry import failure_queue
from imgpipe_cli.diagnose.retry.again import expected_now
from imgpipe_cli.diagnose.retry.calling import AT_ONCE
from imgpipe_cli.diagnose.retry.failure_queue import Contents, Entry
from imgpipe_cli.diagnose.retry.failures import Look, Places, Refusal, survey
from imgpipe_cli.diagnose.retry.judging import Picture, settled, with_outdated
from imgpipe_cli.pictures.api import Api
from imgpipe_cli.session.connection import Connection
from imgpipe_cli.session.settings import Settings


@dataclass(frozen=True)
class Found:
    """What failed, and where it stands. queue_url: None while the failure queue is missing.

    again: whether finished pictures that lack something are among the pictures.
    """

    places: Places
    settings: Settings
    queue_url: str | None
    contents: Contents
    pictures: tuple[Picture, ...]
    again: bool = False


def find(
    connection: Connection,
    api: Api,
    keys: Sequence[str],
    *,
    missing: bool = False,
    again: bool = False,
) -> Found:
    """How the keys stand; without any: all that failed, or are in the failure queue.

    missing: or have no result at all. again: or are finished and lack something. A key that nobody knows is
    not among the pictures. Raises ApiUnavailable, Problem.
    """
    aws, names = connection.aws, connection.names
    try:
        deployed, queue = SettingsParameter().observe(aws, names), FailureQueue().observe(aws, names)
    except AwsError as error:
        raise problem(error, "look for the pipeline") from error
    if not (deployed.exists and deployed.owned):
        raise not_set_up(names.project)
    places = Places(aws, names.bucket, api)
    url = str(queue.facts["url"]) if queue.exists and queue.owned else None
    contents = failure_queue.read(aws, url, names.bucket) if url else Contents()
    settings = stored_settings(deployed, names)
    expected = expected_now(settings.features, local=connection.target.local)
    found = survey(places, contents.entries, keys, missing=missing, expected=expected if again else None)
    pictures = tuple(with_outdated(one, expected) for one in found)
    return Found(places, settings, url, contents, pictures, again)


def at_once(settings: Settings) -> int:
    """How many calls at once: of the runs that the function may have, new pictures keep half."""
    return max(1, min(AT_ONCE, settings.runs // 2))


@dataclass(frozen=True)
class Retry:
    """What became of the pictures. left: those for whose outcome nobody waited any longer.

    cleared: None while the failure queue is missing.
    """

    outcomes: tuple[Picture, ...]
    left: tuple[Picture, ...]
    cleared: Cleared | None


# --- the failure queue ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Cleared:
    """What a pass over the failure queue did. left: the entries still there. contents: what was seen."""

    taken: int
    left: tuple[Entry, ...]
    contents: Contents


def clear(places: Places, url: str, keys: Iterable[str] | None) -> Cleared:
    """Take out of the queue what has its result by a fresh look, and nothing else. Raises Problem.

    keys: only entries about these; None: all.
    """
    only = None if keys is None else frozenset(keys)
    with failure_queue.held(places.aws, url, places.bucket) as contents:
        concerned = [entry for entry in contents.entries if not entry.trouble and _about(entry, only)]
        snapshot = places.gather({event.key for entry in concerned for event in entry.events})
        finished = [entry for entry in concerned if _is_over(entry, snapshot)]
        gone = failure_queue.take_out(places.aws, url, finished)
    left = tuple(entry for entry in contents.entries if entry.message_id not in gone)
    return Cleared(len(gone), left, contents)


def _about(entry: Entry, only: frozenset[str] | None) -> bool:
    return only is None or all(event.key in only for event in entry.events)


def _is_over(entry: Entry, snapshot: Mapping[str, Look | Refusal]) -> bool:
    """Whether every event of the entry is settled; what could not be looked at is not."""
    found = [(event, snapshot[event.key]) for event in entry.events]
    return all(not isinstance(seen, Exception) and settled(event, *seen) for event, seen in found)
