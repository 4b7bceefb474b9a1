"""A local cloud that has ended, or whose disk is full, is named whatever a command has met of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.commands.chosen import Options
from imgpipe_cli.commands.local_trouble import in_short
from imgpipe_cli.commands.paging import cut_short
from imgpipe_cli.commands.runtime import Run
from imgpipe_cli.commands.watch import _Teller
from imgpipe_cli.errors import Problem
from imgpipe_cli.local.process import control
from imgpipe_cli.local.process.control import LocalStatus
from imgpipe_cli.local.process.running_cloud import LocalCloud
from imgpipe_cli.pictures.api import Api, ApiUnavailable
from imgpipe_cli.pictures.feed import Feed
from imgpipe_cli.pictures.listing import CutShort
from imgpipe_cli.pictures.waiting import Waiter
from imgpipe_cli.render.screen import Screen
from imgpipe_cli.session.target import Target
from tests.support.api_server import Clock, FakeApi
from tests.support.cli import remember

GONE = LocalStatus(None, Path("/data"), 0, Path("/log"))
THERE = replace(GONE, cloud=LocalCloud("http://127.0.0.1:1", "k", "s", "000000000000", "us-east-1", 1))
FULL = replace(THERE, disk_trouble="No space left on device")
SILENT = [
    AwsError("Unreachable", "no"),
    AwsError("500", "no", status=500),
    ApiUnavailable("refused"),
    ApiUnavailable("HTTP 502", status=502),
    *(Problem(code, "no") for code in ("unreachable", "aws_error", "api_unavailable", "api_not_answering")),
]
# Its port may be somebody else's by then.
OTHERS = [ApiUnavailable("HTTP 404", status=404), Problem("bad_credentials", "no"), Problem("not_aws", "no")]


def run(command: str = "upload", *, local: bool = True) -> Run:
    made = Run(command, Options(), Screen())
    made.__dict__["_resolved"] = (Target("demo", local=local), None)
    return made


@pytest.fixture
def status(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(control, "status", lambda: request.param)


@pytest.mark.parametrize("status", [GONE], indirect=True)
@pytest.mark.parametrize("error", [*SILENT, *OTHERS], ids=repr)
@pytest.mark.usefixtures("status")
def test_a_cloud_that_has_ended_is_named_with_the_way_back(error: Exception) -> None:
    found = run().trouble(error)
    assert found is not None
    assert (found.code, found.message) == (
        "local_ended",
        "The local cloud has ended while imgpipe upload ran.",
    )
    assert found.hint == "Start it with imgpipe local start, then run imgpipe upload again."
    assert run("watch").why(error) == "the local cloud has ended; start it with imgpipe local start"


@pytest.mark.parametrize("status", [FULL], indirect=True)
@pytest.mark.parametrize("error", SILENT, ids=repr)
@pytest.mark.usefixtures("status")
def test_a_full_disk_is_named(error: Exception) -> None:
    found = run("list").trouble(error)
    assert found is not None
    assert found.code == "local_disk_full"
    assert found.message == "The local cloud cannot write to its disk: No space left on device."
    assert found.hint == "Make room for /data, then run imgpipe list again; see imgpipe local status."
    assert in_short(found).startswith("the local cloud cannot write to its disk: No space left on device;")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (THERE, SILENT[0]),
        (FULL, Problem("bad_credentials", "no")),
        (GONE, Problem("bad_usage", "no")),
        (GONE, Problem("not_set_up", "no")),
        (GONE, AwsError("NoSuchKey", "no", status=404)),
    ],
    indirect=["status"],
)
@pytest.mark.usefixtures("status")
def test_what_has_another_cause_keeps_it(error: Exception) -> None:
    assert run().trouble(error) is None


@pytest.mark.parametrize("status", [GONE], indirect=True)
@pytest.mark.usefixtures("status")
def test_aws_is_never_taken_for_the_local_cloud() -> None:
    assert run(local=False).trouble(SILENT[0]) is None
    assert Run("upload", Options(), Screen()).trouble(SILENT[0]) is None


@pytest.mark.parametrize("status", [GONE], indirect=True)
@pytest.mark.usefixtures("status")
def test_nobody_waits_for_results_of_a_cloud_that_has_ended(played: FakeApi) -> None:
    clock = Clock()
    played.busy = lambda _request: True
    waiter = Waiter(Api(played.url), sleep=clock.sleep, clock=clock, on_silence=run().refuse_trouble)
    with pytest.raises(Problem) as told:
        waiter.expect_all({"a": "v1"})
        waiter.wait(lambda _item: None, timeout_s=60)
    assert told.value.code == "local_ended"
    assert not clock.slept


@pytest.mark.parametrize("status", [GONE], indirect=True)
@pytest.mark.usefixtures("status")
def test_a_list_that_ends_with_the_cloud_keeps_its_cursor() -> None:
    why = CutShort(ApiUnavailable("refused"), "abc")
    found = cut_short(why, run("list").trouble(why))
    assert found.code == "local_ended"
    assert "imgpipe local start" in found.hint
    assert found.hint.endswith("Add --after abc to go on from here.")


@pytest.mark.parametrize("status", [GONE, THERE], indirect=True, ids=["ended", "at another port"])
@pytest.mark.usefixtures("status")
def test_whoever_took_the_port_of_the_cloud_gets_no_token_from_watch(
    played: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = control.status().cloud
    monkeypatch.setattr(control, "running", lambda: there)
    back = LocalCloud("http://127.0.0.1:2", "k", "s", "000000000000", "us-east-1", 1)
    known = remember(played.url, target=Target("demo", local=True), endpoint=back.endpoint)
    teller = _Teller(
        run("watch"), known, Feed(Api(known.api_url, known.token), since="2026-01-01T00:00:00Z"), 50
    )
    teller.look(0.0)
    assert played.asked == []
    monkeypatch.setattr(control, "running", lambda: back)
    teller.look(100.0)
    assert played.asked != []
