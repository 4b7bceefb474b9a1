"""One object that S3 refuses ends nothing for the others: in retry, result, upload, watch and down."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.handlers
import pytest

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.aws.errors import problem
from imgpipe_cli.commands.chosen import Options
from imgpipe_cli.commands.runtime import Run
from imgpipe_cli.commands.watch import _Sender
from imgpipe_cli.deploy.resources.emptying import empty_bucket
from imgpipe_cli.diagnose.retry.calling import run_again
from imgpipe_cli.diagnose.retry.failure_queue import read
from imgpipe_cli.diagnose.retry.failures import Places, survey
from imgpipe_cli.diagnose.retry.retrying import clear
from imgpipe_cli.errors import Problem
from imgpipe_cli.events import Event, Refused
from imgpipe_cli.pictures.api import Api
from imgpipe_cli.pictures.sending.picture import Rules
from imgpipe_cli.pictures.sending.refusals import DENIED_TO_ALL, NO_ROOM
from imgpipe_cli.pictures.sending.send import send
from imgpipe_cli.pictures.sources import Source
from imgpipe_cli.render.screen import Screen
from tests.support.account import RecordingAws, fresh_account, nothing
from tests.support.api_server import TOKEN, FakeApi, item
from tests.support.cli import NAMES, REGION, Cli, make_bucket
from tests.support.fake_lambda import LambdaAccount, serving_results

EXAMPLES = Path(__file__).parents[2] / "examples"
CAT = (EXAMPLES / "cat.jpg").read_bytes()
BAD = "bad.jpg"


def refusing(
    monkeypatch: pytest.MonkeyPatch, operation: str, status: int, code: str, *, key: str = BAD
) -> None:
    """S3 refuses this operation on the key, to whoever makes a client from now on."""
    ending = f"/{key}"

    def answer(params: dict[str, Any], **_context: Any) -> tuple[Any, dict[str, Any]] | None:
        if not params["url_path"].endswith(ending) and params["query_string"].get("prefix") != key:
            return None
        error = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
        return SimpleNamespace(status_code=status), error

    handlers = [*botocore.handlers.BUILTIN_HANDLERS, (f"before-call.s3.{operation}", answer)]
    monkeypatch.setattr(botocore.handlers, "BUILTIN_HANDLERS", handlers)


# --- retry -----------------------------------------------------------------------------------------


class Account(LambdaAccount):
    """The account, with Lambda calling the ingest function, and an S3 that refuses one key."""

    def __init__(self) -> None:
        super().__init__()
        self.refuse: dict[str, AwsError] = {}

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        if BAD in (params.get("Key"), params.get("Prefix")) and operation in self.refuse:
            raise self.refuse[operation]
        if (service, operation) == ("lambda", "invoke"):
            return self.lambda_.invoke(json.loads(params["Payload"]))
        return super().call(service, operation, once=once, **params)


@pytest.fixture
def account() -> Iterator[Account]:
    with Account.fresh() as aws:
        yield aws


@pytest.fixture
def places(account: Account) -> Iterator[Places]:
    with serving_results(account.lambda_) as api:
        yield Places(account, NAMES.bucket, Api(api.url, TOKEN))


def refused(status: int, code: str = "") -> AwsError:
    return AwsError(code or str(status), "no", service="s3", operation="head_object", status=status)


@pytest.mark.parametrize("status", [400, 403])
def test_a_picture_that_head_refuses_is_judged_by_the_list(
    account: Account, places: Places, status: int
) -> None:
    """Whether it is looked for by name, or with all others."""
    account.lambda_.rekognition.trouble = "ThrottlingException"
    account.lambda_.fail(account.lambda_.put("good.jpg", CAT), account.lambda_.put(BAD, CAT))
    account.lambda_.rekognition.trouble = ""
    account.refuse = {"head_object": refused(status)}
    contents = read(account, account.lambda_.queue_url, NAMES.bucket)
    for keys in ((), ("good.jpg", BAD), (BAD,)):
        found = {one.key: one for one in survey(places, contents.entries, keys, missing=not keys)}
        assert found[BAD].code == "throttled"
        assert found[BAD].current is not None
        assert all(one.state == "failed" for one in found.values())


def test_a_picture_that_nothing_is_told_of_is_listed_with_the_reason(
    account: Account, places: Places
) -> None:
    """And the others are tried again, and leave the failure queue."""
    account.lambda_.give_up(account.lambda_.put("good.jpg", CAT), account.lambda_.put(BAD, CAT))
    account.refuse = {"head_object": refused(403), "list_object_versions": refused(403, "AccessDenied")}
    contents = read(account, account.lambda_.queue_url, NAMES.bucket)
    found = {one.key: one for one in survey(places, contents.entries, ())}
    assert (found[BAD].state, found[BAD].code) == ("unknown", "access_denied")
    assert "s3:" in found[BAD].why
    outcomes: list[Any] = []
    # Also when only the look after the call is refused.
    run_again(places, NAMES, list(found.values()), outcomes.append, timeout_s=60)
    assert {one.key: one.state for one in outcomes} == {"good.jpg": "done", BAD: "unknown"}
    cleared = clear(places, account.lambda_.queue_url, None)
    assert (cleared.taken, len(cleared.left)) == (1, 1)


def test_what_is_refused_for_every_picture_ends_the_command(account: Account, places: Places) -> None:
    account.lambda_.put(BAD, CAT)
    account.refuse = {"head_object": refused(400), "list_object_versions": refused(400, "ExpiredToken")}
    with pytest.raises(Problem) as caught:
        survey(places, (), [BAD])
    assert caught.value.code == "expired_token"


# --- result ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 403])
def test_result_tells_of_the_others(
    cli: Cli, played: FakeApi, bucket: Any, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    played.store(item("good.jpg"))
    for key in ("new.jpg", BAD):
        bucket.put_object(Bucket=NAMES.bucket, Key=key, Body=CAT)
    refusing(monkeypatch, "HeadObject", status, str(status))
    printed = cli("result", "good.jpg", BAD, "new.jpg", "--json")
    assert printed.code == 4
    assert [one["objectKey"] for one in printed.document["data"]] == ["good.jpg"]
    assert [one["code"] for one in printed.document["errors"]] == ["pending", "pending"]
    refusing(monkeypatch, "ListObjectVersions", 403, "AccessDenied")
    printed = cli("result", "good.jpg", BAD, "new.jpg", "--json")
    assert printed.code == 1
    assert [one["code"] for one in printed.document["errors"]] == ["access_denied", "pending"]


# --- upload ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (400, "InvalidRequest")])
def test_upload_sends_the_others(
    cli: Cli, bucket: Any, played: FakeApi, monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    refusing(monkeypatch, "PutObject", status, code)
    for name in ("a.jpg", BAD, "c.jpg"):
        Path(name).write_bytes(CAT)
    printed = cli("upload", "a.jpg", BAD, "c.jpg", "--json")
    assert printed.code == 1
    assert [one["key"] for one in printed.document["data"]] == ["a.jpg", "c.jpg"]
    (error,) = printed.document["errors"]
    assert BAD in error["message"]
    printed = cli("upload", BAD, "--json")
    assert printed.code == 1
    assert printed.document["data"] in ([], None)


def test_what_is_denied_for_every_picture_is_told_once(
    cli: Cli, bucket: Any, played: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.jpg", "b.jpg"):
        Path(name).write_bytes(CAT)
        refusing(monkeypatch, "PutObject", 403, "AccessDenied", key=name)
    printed = cli("upload", "a.jpg", "b.jpg", "--json")
    assert (printed.code, printed.error) == (1, "access_denied")


def test_a_folder_that_is_denied_is_given_up_before_its_end() -> None:
    """A missing permission is not tried with every one of thousands of pictures."""

    class Denying(RecordingAws):
        asked = 0

        def call(self, *names: str, **_options: Any) -> dict[str, Any]:
            if "list_object_versions" in names:
                return {}
            self.asked += 1
            raise refused(403, "AccessDenied")

    aws = Denying()
    told: list[Event] = []
    sources = [Source(f"{number}.jpg", f"{number}.jpg", data=CAT) for number in range(500)]
    with pytest.raises(Problem):
        send(aws, NAMES, sources, told.append)
    assert aws.asked < 500
    assert not [one for one in told if isinstance(one, Refused)]


# --- watch -----------------------------------------------------------------------------------------


class Watched:
    """A watched folder whose files are quiet at every look, and an S3 that refuses what it is told to."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        seconds = count(0, 10)
        clock = SimpleNamespace(monotonic=lambda: float(next(seconds)))
        monkeypatch.setattr("imgpipe_cli.commands.watch.time", clock)
        monkeypatch.setattr(Run, "note", lambda _run, code, detail="": self.notes.append((code, detail)))
        self.told: list[Event] = []
        self.notes: list[tuple[str, str]] = []
        self.refused: dict[str, AwsError] = {}
        monkeypatch.setattr(Run, "emit", self.told.append)
        self.folder = folder
        self.sent: list[str] = []
        connection: Any = SimpleNamespace(aws=self, names=NAMES, target=SimpleNamespace(local=True))
        run = Run("watch", Options(), Screen())
        self.sender = _Sender(run, connection, folder, Rules(), existing=False, yes=False)

    def call(self, _service: str, _operation: str, **params: Any) -> dict[str, Any]:
        name = Path(params["Key"]).name
        if name in self.refused:
            raise self.refused[name]
        self.sent.append(name)
        return {}

    def put(self, *names: str) -> None:
        """And look as often as it takes to send them."""
        for name in names:
            (self.folder / name).write_bytes(CAT)
        self.look()

    def look(self) -> None:
        for _ in range(3):
            self.sender.look()


def test_watch_goes_on_after_a_picture_that_is_denied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path, monkeypatch)
    watched.refused = {BAD: refused(403, "AccessDenied"), "odd.jpg": refused(400, "InvalidRequest")}
    watched.put(BAD, "good.jpg", "odd.jpg")
    watched.put("later.jpg")
    assert sorted(watched.sent) == ["good.jpg", "later.jpg"]
    named = [(Path(one.source).name, one.code) for one in watched.told if isinstance(one, Refused)]
    assert sorted(named) == [(BAD, "access_denied"), ("odd.jpg", "aws_error")]


def test_watch_ends_where_every_picture_is_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(tmp_path, monkeypatch)
    names = [f"{number}.jpg" for number in range(DENIED_TO_ALL)]
    watched.refused = dict.fromkeys(names, refused(403, "AccessDenied"))
    with pytest.raises(Problem) as caught:
        watched.put(*names)
    assert caught.value.code == "access_denied"


def test_watch_sends_again_what_a_full_disk_did_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path, monkeypatch)
    watched.refused = {BAD: refused(507, NO_ROOM)}
    watched.put(BAD)
    watched.refused = {}
    watched.look()
    assert watched.sent == [BAD]
    assert [code for code, _ in watched.notes] == ["not_sent_yet"]


# --- down ------------------------------------------------------------------------------------------


class Locked(RecordingAws):
    """S3 keeps some objects, as Object Lock does."""

    def __init__(self, keeps: Callable[[str], bool]) -> None:
        super().__init__()
        self.keeps = keeps

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        message = "Access Denied because object protected by object lock."
        if operation == "delete_object" and self.keeps(params["Key"]):
            raise AwsError("AccessDenied", message, service="s3", operation=operation, status=403)
        if operation != "delete_objects":
            return super().call(service, operation, once=once, **params)
        objects = params["Delete"]["Objects"]
        kept = [one for one in objects if self.keeps(one["Key"])]
        gone = [one for one in objects if not self.keeps(one["Key"])]
        if gone:
            super().call(service, operation, **{**params, "Delete": {"Objects": gone, "Quiet": True}})
        return {"Errors": [{**one, "Code": "AccessDenied", "Message": message} for one in kept]}


def test_down_deletes_all_but_what_is_refused_and_names_it() -> None:
    with fresh_account():
        s3 = make_bucket(boto3.client("s3", region_name=REGION))
        for one in ("a.jpg", BAD, "z.jpg"):
            s3.put_object(Bucket=NAMES.bucket, Key=one, Body=b"x")
        with pytest.raises(AwsError) as caught:
            empty_bucket(Locked(lambda one: one == BAD), NAMES.bucket, nothing, step="", resource="")
        assert (caught.value.code, repr(BAD) in caught.value.message) == ("AccessDenied", True)
        left = s3.list_object_versions(Bucket=NAMES.bucket)["Versions"]
        assert [one["Key"] for one in left] == [BAD]


class OddKeys(Locked):
    """Keys that no list of keys can hold: each is deleted alone."""

    keys = ("a\x01.jpg", "b\x01.jpg", "c\x01.jpg")

    def __init__(self) -> None:
        super().__init__(lambda key: key == self.keys[0])
        self.deleted: list[str] = []

    def pages(self, service: str, operation: str, **params: Any) -> Iterator[dict[str, Any]]:
        assert (service, params) == ("s3", {"Bucket": NAMES.bucket})
        there = operation == "list_object_versions"
        yield {"Versions": [{"Key": key, "VersionId": "1"} for key in self.keys]} if there else {}

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        if self.keeps(params["Key"]):
            return super().call(service, operation, once=once, **params)
        self.deleted.append(params["Key"])
        return {}


def test_an_open_upload_that_is_refused_ends_none_of_the_others() -> None:
    with fresh_account():
        s3 = make_bucket(boto3.client("s3", region_name=REGION))
        for one in ("a.jpg", BAD, "z.jpg"):
            s3.create_multipart_upload(Bucket=NAMES.bucket, Key=one)
        aws = Account()
        aws.refuse = {"abort_multipart_upload": refused(403, "AccessDenied")}
        with pytest.raises(AwsError, match=repr(BAD)):
            empty_bucket(aws, NAMES.bucket, nothing, step="", resource="")
        assert [one["Key"] for one in s3.list_multipart_uploads(Bucket=NAMES.bucket)["Uploads"]] == [BAD]


def test_keys_that_are_deleted_one_by_one_likewise() -> None:
    aws = OddKeys()
    with pytest.raises(AwsError) as caught:
        empty_bucket(aws, NAMES.bucket, nothing, step="", resource="")
    assert repr(aws.keys[0]) in caught.value.message
    assert sorted(aws.deleted) == list(aws.keys[1:])


def test_several_that_are_refused_are_named_together() -> None:
    with fresh_account():
        s3 = make_bucket(boto3.client("s3", region_name=REGION))
        for number in range(6):
            s3.put_object(Bucket=NAMES.bucket, Key=f"{number}.jpg", Body=b"x")
        with pytest.raises(AwsError) as caught:
            empty_bucket(Locked(lambda one: one > "1"), NAMES.bucket, nothing, step="", resource="")
        told = problem(caught.value, "empty the bucket")
        assert told.code == "object_locked"
        assert "the objects '1.jpg', '2.jpg', '3.jpg' and 2 more from deletion" in told.message
