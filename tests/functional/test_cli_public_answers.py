"""`imgpipe result` where the access token is missing, wrong, or not to be had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.handlers
import pytest
from moto import mock_aws

from imgpipe_cli.session.remembered import Targets
from imgpipe_cli.session.settings import Settings
from tests.support.api_server import TOKEN, FakeApi, Request, item, serving
from tests.support.cli import NAMES, REGION, Cli, remember

FACES = [{"Confidence": 99.0}]
WHOLE: Any = {
    **item("a.jpg", labels=[{"Name": "Cat", "Confidence": 98.0}], faces=FACES),
    "features": ["labels", "faces"],
    "eTag": "e",
    "sequencer": "0",
}
PUBLIC: Any = {
    name: value for name, value in WHOLE.items() if name not in ("versionId", "eTag", "sequencer", "faces")
}


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """A public pipeline that opens the rest to its token only."""
    with serving() as played:

        def stored(request: Request) -> None:
            whole = request.headers.get("authorization") == f"Bearer {TOKEN}"
            played.stored = {"a.jpg": WHOLE if whole else PUBLIC}

        played.before = stored
        yield played


@pytest.fixture
def account(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The parameters of the pipeline, and an API Gateway that knows its API on loopback."""
    found = {
        "ApiId": "x",
        "Name": NAMES.api,
        "Tags": NAMES.tags,
        "ApiEndpoint": api.url.removesuffix("/prod"),
    }
    answer(monkeypatch, "apigatewayv2.GetApis", lambda _params: (200, {"Items": [found]}))
    with mock_aws():
        ssm = boto3.client("ssm", region_name=REGION)
        for name, kind, value in (
            (NAMES.settings_parameter, "String", Settings(first_day="2026-01-01").to_json()),
            (NAMES.token_parameter, "SecureString", TOKEN),
        ):
            ssm.put_parameter(Name=name, Type=kind, Value=value, Tags=NAMES.tag_list)  # type: ignore[arg-type]
        yield


def answer(
    monkeypatch: pytest.MonkeyPatch, operation: str, told: Callable[[Any], tuple[int, dict[str, Any]] | None]
) -> None:
    """To whoever makes a client from now on, in place of moto."""

    def handler(params: dict[str, Any], **_context: Any) -> Any:
        if (found := told(params)) is None:
            return None
        status, document = found
        return SimpleNamespace(status_code=status), {
            **document,
            "ResponseMetadata": {"HTTPStatusCode": status},
        }

    handlers = [*botocore.handlers.BUILTIN_HANDLERS, (f"before-call.{operation}", handler)]
    monkeypatch.setattr(botocore.handlers, "BUILTIN_HANDLERS", handlers)


def denied(params: Any) -> tuple[int, dict[str, Any]] | None:
    """Who runs imgpipe may not read the token."""
    if NAMES.token_parameter.encode() not in params["body"]:
        return None
    message = "User: me is not authorized to perform: ssm:GetParameter on resource: token"
    return 400, {"Error": {"Code": "AccessDeniedException", "Message": message}}


def test_with_the_token_everything_is_there(cli: Cli, api: FakeApi) -> None:
    remember(api.url)
    printed = cli("result", "a.jpg", "--json")
    assert (printed.code, printed.document["data"]) == (0, [WHOLE])
    assert "Left out" not in printed.err


def test_without_the_token_it_says_what_is_left_out_and_how_to_see_it(cli: Cli, api: FakeApi) -> None:
    remember(api.url, token="")
    for json in ((), ("--json",)):
        printed = cli("result", "a.jpg", *json)
        assert printed.code == 0
        assert "Left out without the access token: faces, eTag, sequencer, versionId." in printed.err
        assert "imgpipe policy --for result" in printed.err
    assert printed.document["data"] == [PUBLIC]


def test_a_token_that_is_old_is_looked_up_again(cli: Cli, api: FakeApi, account: None) -> None:
    remember(api.url, token="old")
    printed = cli("result", "a.jpg", "--json")
    assert (printed.code, printed.document["data"]) == (0, [WHOLE])


def test_who_may_not_read_the_token_sees_what_is_public(
    cli: Cli, api: FakeApi, account: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that has never seen the pipeline, and where an old token is remembered."""
    answer(monkeypatch, "ssm.GetParameter", denied)
    for token in (None, "old"):
        if token:
            remember(api.url, token=token)
        else:
            Targets().drop(remember(api.url).target)
        printed = cli("result", "a.jpg", "--json", "--project", "demo", "--region", REGION)
        assert (printed.code, printed.document["data"]) == (0, [PUBLIC])
        assert "Left out without the access token: faces" in printed.err
        # What needs it says which permission is missing.
        printed = cli("list", "--json", "--project", "demo", "--region", REGION)
        assert (printed.code, printed.error) == (1, "access_denied")


def test_without_any_credentials_an_old_token_still_shows_what_is_public(cli: Cli, api: FakeApi) -> None:
    remember(api.url, token="old")
    printed = cli("result", "a.jpg", "--json")
    assert (printed.code, printed.document["data"]) == (0, [PUBLIC])
    assert "Left out without the access token" in printed.err
