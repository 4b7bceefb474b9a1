"""An account of moto's in which Lambda calls the real ingest function, and the steps of a retry in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.aws.client import AwsError
from imgpipe_cli.diagnose.retry import failure_queue, failures
from imgpipe_cli.diagnose.retry.calling import run_again
from imgpipe_cli.diagnose.retry.failure_queue import Entry
from imgpipe_cli.diagnose.retry.failures import Places
from imgpipe_cli.diagnose.retry.judging import Picture
from imgpipe_cli.diagnose.retry.retrying import Cleared, clear
from imgpipe_cli.pictures.api import Api
from tests.support.account import NAMES
from tests.support.api_server import TOKEN, FakeApi, Request
from tests.support.fake_lambda import LambdaAccount, Rekognition, serving_results

CAT = (Path(__file__).parents[3] / "examples" / "cat.jpg").read_bytes()


class Account(LambdaAccount):
    """The account, with Lambda calling the ingest function."""

    def __init__(self) -> None:
        super().__init__()
        self.refused_deletes = 0
        self.refuse_read: Callable[[str], bool] = lambda _key: False
        self.visible_again = 0
        self.shows_late = False
        self.received: dict[str, Any] = {}

    def call(self, service: str, operation: str, *, once: bool = False, **params: Any) -> dict[str, Any]:
        if operation == "delete_message_batch" and self.refused_deletes:
            return self._take_out(**params)
        if operation == "receive_message":
            return self._receive(**params)
        if operation == "head_object" and self.shows_late:
            raise AwsError("404", "Not Found", service=service, operation=operation, status=404)
        if (service, operation) != ("lambda", "invoke"):
            return super().call(service, operation, once=once, **params)
        assert once, "sent twice by the SDK, a picture could be paid twice"
        assert params["FunctionName"] == NAMES.function("ingest")
        return self.lambda_.invoke(json.loads(params["Payload"]))

    def _take_out(self, **params: Any) -> dict[str, Any]:
        """SQS refuses the first of the batch."""
        self.refused_deletes -= 1
        refused, *others = params["Entries"]
        done = super().call("sqs", "delete_message_batch", **{**params, "Entries": others}) if others else {}
        return {**done, "Failed": [{"Id": refused["Id"], "Code": "InternalError", "SenderFault": False}]}

    def _receive(self, **params: Any) -> dict[str, Any]:
        """SQS gives what it gave before."""
        if self.visible_again and self.received:
            self.visible_again -= 1
            return self.received
        self.received = super().call("sqs", "receive_message", **params)
        return self.received

    def put(self, key: str, body: bytes = CAT, *, sequencer: str = "01") -> dict[str, Any]:
        return self.lambda_.put(key, body, sequencer=sequencer)

    def delete(self, key: str) -> dict[str, Any]:
        return self.lambda_.delete(key)

    def queue(self, *events: dict[str, Any]) -> None:
        self.lambda_.give_up(*events)

    @property
    def rekognition(self) -> Rekognition:
        return self.lambda_.rekognition

    @property
    def url(self) -> str:
        return self.lambda_.queue_url

    def entries(self) -> tuple[Entry, ...]:
        return failure_queue.read(self, self.url, NAMES.bucket).entries


@pytest.fixture
def account() -> Iterator[Account]:
    with Account.fresh() as aws:
        yield aws


@pytest.fixture
def api(account: Account) -> Iterator[FakeApi]:
    with serving_results(account.lambda_) as played:
        played.busy = lambda request: any(map(account.refuse_read, _keys(request)))
        yield played


@pytest.fixture
def places(account: Account, api: FakeApi) -> Places:
    return Places(account, NAMES.bucket, Api(api.url, TOKEN))


def _keys(request: Request) -> list[str]:
    """The pictures that it asks for: one, or several together."""
    return list((request.document or {}).get("keys", [request.query.get("key", "")]))


def survey(places: Places, account: Account, *keys: str) -> dict[str, Picture]:
    contents = failure_queue.read(account, account.url, NAMES.bucket)
    return {one.key: one for one in failures.survey(places, contents.entries, keys)}


def again(places: Places, pictures: Sequence[Picture], *, timeout_s: float = 60) -> dict[str, Picture]:
    outcomes: list[Picture] = []
    assert run_again(places, NAMES, pictures, outcomes.append, timeout_s=timeout_s) == []
    assert len(outcomes) == len(pictures)
    return {one.key: one for one in outcomes}


def retry(places: Places, account: Account, *keys: str) -> tuple[dict[str, Picture], Cleared]:
    """As the command does it for what may end well now."""
    found = survey(places, account, *keys)
    outcomes = again(places, [one for one in found.values() if one.state == "failed"])
    return outcomes, clear(places, account.url, keys or None)
