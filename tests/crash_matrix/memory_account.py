"""An AWS account in the memory of this process, played by moto: a fork of the process is a copy of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.awsrequest import AWSResponse, HTTPHeaders
from moto.core.config import default_user_config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.test import Client

from tests.crash_matrix.faults import Answer
from tests.crash_matrix.repeats import keep_tags, refusal
from tests.crash_matrix.requests_by_name import Request, path_only
from tests.support.machine import client

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
_HERE = "http://127.0.0.1"
_one_at_a_time = threading.RLock()
default_user_config["lambda"]["use_docker"] = False  # nothing is invoked here
_moto = Client(DomainDispatcherApplication(create_backend_app))
_clients: dict[tuple[str, str], Any] = {}
# Not AWS's: what moto is told of a policy instead of all actions. It knows no conditions, and would refuse
# everybody every object because of plain http.
_ALL_ACTIONS, _NO_ACTION = b'"s3:*"', b'"none:*"'


def carry_out(request: Request) -> Answer:
    """Let the account carry out the request."""
    own = ("transfer-encoding", "content-length")
    kept = {name: value for name, value in request.headers.items() if name not in own}
    is_policy = request.service == "s3" and request.path.endswith("?policy")
    body = request.body.replace(_ALL_ACTIONS, _NO_ACTION) if is_policy else request.body
    here = partial(plain_client, region=request.region)
    with _one_at_a_time:
        refused = refusal(request, here)
        if refused is not None:
            return refused
        answer = _moto.open(request.path, method=request.method, headers=kept, data=body, base_url=_HERE)
        if answer.status_code == 200:
            keep_tags(request, here)
        found = answer.get_data()
        found = found.replace(_NO_ACTION, _ALL_ACTIONS) if is_policy else found
        return Answer(answer.status_code, dict(answer.headers), found)


def plain_client(service: str, *, region: str) -> Any:
    """A boto3 client that asks the account in memory, with no network in between and no fault."""
    if (service, region) not in _clients:
        made = client(service, _HERE, "test", "test", region=region)
        made.meta.events.register("before-send", _in_memory)
        _clients[service, region] = made
    return _clients[service, region]


def _in_memory(request: Any, **_: Any) -> AWSResponse:
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in request.headers.items()
    }
    body = request.body.read() if hasattr(request.body, "read") else request.body or b""
    body = body.encode() if isinstance(body, str) else body
    answer = carry_out(Request(request.method, path_only(request.url), headers, body))
    returned = HTTPHeaders.from_pairs(answer.headers.items())
    return AWSResponse(request.url, answer.status, returned, Raw(answer.body))


@dataclass
class Raw:
    """As much of a urllib3 response as botocore reads."""

    body: bytes

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.body
