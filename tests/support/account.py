"""An AWS account that moto plays, the pipeline in it, and what is in it as plain data."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto import mock_aws

from imgpipe_cli.aws.client import Aws, Place
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy import apply, destroy, observe
from imgpipe_cli.deploy.pipeline import Pipeline
from imgpipe_cli.deploy.results import migrate
from imgpipe_cli.deploy.steps import STEPS
from imgpipe_cli.events import Emit
from imgpipe_cli.session.settings import Settings
from tests.support import kept_account
from tests.support.inventory import inventory as everything_in
from tests.support.operations import is_read

REGION = "eu-west-1"
NAMES = Names("demo", "123456789012", REGION)
SETTINGS = Settings(first_day="2026-01-01")
IN_S3 = Settings(first_day="2026-01-01", results="s3")
_clients: dict[tuple[str, bool], Any] = {}
_finished: dict[tuple[Settings, type[Aws]], kept_account.Kept] = {}


class Killed(BaseException):
    """What happens to a process that is killed: nothing catches it."""


def nothing(_event: object) -> None:
    """An Emit for those who do not want to know."""


class RecordingAws(Aws):
    """Records every call that is sent, and dies right after the change it is told to.

    writes, params: the changes in order. sent: all operations, those that only read too.
    keeps_tags: whether a bucket has the tags of its create call, as on AWS; others, as moto, drop them.
    """

    def __init__(self, *, die_after: int | None = None, keeps_tags: bool = True) -> None:
        self._now_s = 0.0
        super().__init__(
            Place(region=REGION, access_key_id="AKIATEST", secret_access_key="secret"),
            sleep=self._pass,
            clock=lambda: self._now_s,
        )
        self._clients = _clients  # making them takes longer than all else, and moto patches them all
        self.writes: list[tuple[str, str]] = []
        self.params: list[dict[str, Any]] = []
        self.sent: set[tuple[str, str]] = set()
        self._die_after = die_after
        self._keeps_tags = keeps_tags
        self._counting = threading.Lock()

    def _pass(self, seconds: float) -> None:
        self._now_s += seconds

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        if self._is_dead():  # in another thread
            raise Killed
        self.sent.add((service, operation))
        answer = super().call(service, operation, once=once, **params)
        if operation == "create_bucket" and self._keeps_tags:
            tags = params.get("CreateBucketConfiguration", {}).get("Tags")
            if tags:
                self.client("s3").put_bucket_tagging(Bucket=params["Bucket"], Tagging={"TagSet": tags})
        if not is_read(operation):
            with self._counting:
                self.writes.append((service, operation))
                self.params.append(params)
                if self._is_dead():
                    raise Killed
        return answer

    def _is_dead(self) -> bool:
        return self._die_after is not None and len(self.writes) > self._die_after

    def pages(self, service: str, operation: str, **params: Any) -> Iterator[dict[str, Any]]:
        self.sent.add((service, operation))
        return super().pages(service, operation, **params)


class PlainHttpAws(RecordingAws):
    """An endpoint without TLS, where the TLS-only statement is left out of the buckets' policies.

    moto knows no conditions in a policy: with the statement it refuses everybody every object.
    """

    def __init__(self, *, die_after: int | None = None) -> None:
        super().__init__(die_after=die_after)
        self.place = Place(region=REGION)  # with keys of its own it would be the local cloud

    def endpoint(self, service: str) -> str:
        return super().endpoint(service).replace("https://", "http://")


@contextmanager
def fresh_account() -> Iterator[None]:
    with mock_aws(config={"lambda": {"use_docker": False}}):
        yield


def pipeline(aws: Aws, *, workers: int = 8) -> Pipeline:
    return Pipeline(STEPS, aws, NAMES, workers)


def up(aws: Aws, settings: Settings = SETTINGS, *, workers: int = 8, emit: Emit = nothing) -> Any:
    line = pipeline(aws, workers=workers)
    snapshot = observe.snapshot(line, nothing)
    return apply.apply(
        line, snapshot, migrate.begin(line, settings, snapshot), emit, lambda _stored: settings
    )


def finished(settings: Settings = SETTINGS, *, kind: type[RecordingAws] = RecordingAws) -> None:
    """Fill the empty account with what a first `up` of that kind leaves there.

    It runs once in this process, and what it left is brought back from then on: for tests that begin where
    `up` has ended."""
    assert kept_account.is_untouched() or inventory() == {}, "call this before anything is made"
    if (settings, kind) in _finished:
        kept_account.bring_back(_finished[settings, kind])
    else:
        up(kind(), settings)
        _finished[settings, kind] = kept_account.keep()


def down(
    aws: Aws, *, workers: int = 8, emit: Emit = nothing, keep: frozenset[str] = frozenset()
) -> list[str]:
    line = pipeline(aws, workers=workers)
    removals = destroy.planned_removals(line, observe.snapshot(line, nothing), emit, keep=keep)
    return destroy.destroy(line, removals, emit, keep=keep)


# --- everything that is there --------------------------------------------------------------------


def inventory() -> dict[str, Any]:
    """All resources of the account that the pipeline's services hold, without ids and times."""
    return everything_in(RecordingAws().client)
