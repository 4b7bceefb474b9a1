"""How many round trips to AWS depend on each other, and that nothing is believed that no look shows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.core.config import default_user_config
from moto.moto_api._internal import moto_api_backend
from moto.server import ThreadedMotoServer

from call_chain import Chain
from imgpipe_cli.aws import object_deletes
from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resources import emptying
from imgpipe_cli.deploy.resources.emptying import empty_bucket
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Counted, Event
from latency_proxy import LatencyProxy
from recorded_calls import RecordedCall
from tests.support import laws
from tests.support.account import NAMES, RecordingAws, finished, fresh_account, inventory, up
from tests.support.cli import REGION, Cli, runner
from tests.support.laws import World

UP_MAX, AGAIN_MAX, DOWN_MAX = 10, 4, 9


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[LatencyProxy]:
    """Between the commands of this process and an account that moto serves; it adds no latency."""
    monkeypatch.setitem(default_user_config["lambda"], "use_docker", False)  # nothing is invoked here
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    with LatencyProxy(0.0) as between:
        _, between.upstream_port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{between.port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield between
    server.stop()
    moto_api_backend.reset()


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    return runner(capsys)


def _chain(calls: list[RecordedCall], *, removing: bool = False) -> list[str]:
    names = Names("demo", NAMES.account, REGION)
    return [f"{one.service} {one.operation}" for one in Chain(calls, names, removing=removing).longest()]


def test_the_dependent_round_trips_of_each_command_are_few(proxy: LatencyProxy, cli: Cli) -> None:
    def chain(*command: str) -> list[str]:
        printed = cli(*command, "--project", "demo", "--region", REGION, "--json")
        assert printed.code == 0, printed.err
        return _chain(proxy.take(), removing=command[0] == "down")

    first, again = chain("up"), chain("up")
    removal = chain("down", "--yes")
    assert len(first) <= UP_MAX, first
    assert len(again) <= AGAIN_MAX, again
    assert len(removal) <= DOWN_MAX, removal
    assert first[0] == again[0] == removal[0] == "sts GetCallerIdentity"


# What the ingest function waits for is told by answers alone: none of these looks comes before it.
_LOOKS = ("get_role", "get_role_policy", "describe_log_groups")


class _LateLooks(RecordingAws):
    """After the first change these looks are answered once the ingest function has been made."""

    def __init__(self) -> None:
        super().__init__()
        self._made = threading.Event()
        self.held: set[str] = set()

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        if operation in _LOOKS and self.writes:
            assert self._made.wait(60), f"{operation} is waited for before the function is made"
            self.held.add(operation)
        answer = super().call(service, operation, once=once, **params)
        if operation == "create_function" and params["FunctionName"] == NAMES.function("ingest"):
            self._made.set()
        return answer


@pytest.mark.usefixtures("account")
def test_no_look_is_waited_for_where_the_answer_tells_what_it_would() -> None:
    aws = _LateLooks()
    up(aws, workers=32)
    assert aws.held == set(_LOOKS)
    laws.everything_is_managed(World())


class _ForgetfulAws(RecordingAws):
    """Answers one change with what was asked for, as if it had carried it out, once."""

    def __init__(self, operation: str) -> None:
        super().__init__()
        self._operation = operation
        self.forgot = False

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        if operation != self._operation or self.forgot:
            return super().call(service, operation, once=once, **params)
        self.forgot = True
        return params


@pytest.mark.parametrize("operation", ["put_role_policy", "put_retention_policy", "put_function_concurrency"])
def test_a_change_that_was_answered_and_not_carried_out_is_sent_again(operation: str) -> None:
    with fresh_account():
        finished()
        whole = inventory()
    with fresh_account():
        aws = _ForgetfulAws(operation)
        up(aws)
        assert aws.forgot
        assert inventory() == whole


def test_a_create_that_was_answered_and_never_shows_is_told() -> None:
    aws = _ForgetfulAws("put_function_event_invoke_config")
    with fresh_account(), pytest.raises(Problem, match="retries is not ready") as told:
        up(aws)
    assert aws.forgot
    assert told.value.code == "timeout"


class _FullBucketAws(RecordingAws):
    """Lists two versions a page; the first two removals of pages meet, which they would not in turn."""

    def __init__(self) -> None:
        super().__init__()
        self._meeting = threading.Barrier(2)
        self.removals = self.listed = 0

    def pages(self, service: str, operation: str, **params: Any) -> Iterator[dict[str, Any]]:
        for page in super().pages(service, operation, **params, PaginationConfig={"PageSize": 2}):
            self.listed += operation == "list_object_versions"
            yield page

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        if operation == "delete_objects":
            with self._counting:
                self.removals += 1
                number = self.removals
            if number <= 2:
                self._meeting.wait(60)
        return super().call(service, operation, once=once, **params)


@pytest.fixture
def full(account: object) -> _FullBucketAws:
    """A bucket with nine versions, a marker and an open upload."""
    aws = _FullBucketAws()
    aws.call("s3", "create_bucket", Bucket="full", CreateBucketConfiguration={"LocationConstraint": REGION})
    aws.call("s3", "put_bucket_versioning", Bucket="full", VersioningConfiguration={"Status": "Enabled"})
    for number in range(9):
        aws.call("s3", "put_object", Bucket="full", Key=f"{number // 2}.jpg", Body=b"picture")
    aws.call("s3", "delete_object", Bucket="full", Key="0.jpg")
    aws.call("s3", "create_multipart_upload", Bucket="full", Key="never.jpg")
    return aws


def test_pages_of_a_full_bucket_are_removed_side_by_side(full: _FullBucketAws) -> None:
    counted: list[Event] = []
    empty_bucket(full, "full", counted.append, step="bucket", resource="bucket")
    full.call("s3", "delete_bucket", Bucket="full")
    assert full.removals == 5
    assert [event.done for event in counted if isinstance(event, Counted)] == [2, 4, 6, 8, 10]


def test_what_was_counted_is_not_listed_again_and_what_came_since_goes_too(
    full: _FullBucketAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_deletes, "_BATCH", 2)
    found = emptying.count_versions(full, "full")
    assert (found["objects"], found["versions"], found["markers"], found["uploads"]) == (4, 5, 1, 1)
    full.call("s3", "put_object", Bucket="full", Key="late.jpg", Body=b"picture")
    counted: list[Event] = []
    before = full.listed
    empty_bucket(full, "full", counted.append, step="bucket", resource="bucket")
    full.call("s3", "delete_bucket", Bucket="full")
    assert full.listed - before == 1
    assert [event.done for event in counted if isinstance(event, Counted)] == [2, 4, 6, 8, 10, 11]
