"""Real local clouds for tests, and clients that reach them.

`cloud` is the whole thing. `stub_cloud` has a Rekognition that only counts bytes, and starts in half a
second.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from imgpipe_cli.local.models.store import ModelFolder
from imgpipe_cli.local.process import control
from imgpipe_cli.local.process.running_cloud import LocalCloud
from tests.support.ports import free_port

STUB = (sys.executable, "-P", str(Path(__file__).parents[1] / "support/stub_server.py"))

Connect = Callable[..., Any]


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """The local cloud as users get it, on a free port, with its data in a temporary folder."""
    folder = tmp_path_factory.mktemp("cloud")
    yield control.start(folder, port=free_port())
    control.stop(folder)


@pytest.fixture(scope="session")
def stub_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stub-cloud")


@pytest.fixture(scope="session")
def stub_cloud(stub_folder: Path) -> Iterator[LocalCloud]:
    """The local cloud with stub_server.py's Rekognition."""
    yield control.start(stub_folder, port=free_port(), command=STUB)
    control.stop(stub_folder)


@pytest.fixture(scope="session")
def connect() -> Connect:
    """A boto3 client: connect(cloud, "s3"), as the administrator unless key= says otherwise.

    The same again for the same question: making one takes longer than most calls."""
    kept: dict[str, Any] = {}

    def connected(cloud: LocalCloud, service: str, **options: Any) -> Any:
        asked = repr((cloud.endpoint, cloud.access_key_id, cloud.region, service, sorted(options.items())))
        if asked not in kept:
            kept[asked] = made(cloud, service, **options)
        return kept[asked]

    def made(cloud: LocalCloud, service: str, **options: Any) -> Any:
        key = options.pop("key", (cloud.access_key_id, cloud.secret_access_key, None))
        region = options.pop("region", cloud.region)
        settings = Config(proxies={}, signature_version=options.pop("signature", None), **options)
        # Any: boto3's stubs know each service's name as a literal of its own.
        session: Any = boto3.Session(key[0], key[1], key[2], region_name=region)
        return session.client(service, endpoint_url=cloud.endpoint, config=settings)

    return connected


HANDLER = """
import json, os, boto3
from shared.names import key_of
s3, table = boto3.client("s3"), boto3.client("dynamodb")
def handler(event, context):
    print("got", json.dumps(event)[:80])
    for record in event["Records"]:
        key = key_of(record)
        if key.startswith("bad"):
            raise ValueError(key)
        body = s3.get_object(Bucket=record["s3"]["bucket"]["name"], Key=key)["Body"].read()
        item = {"key": {"S": key}, "size": {"N": str(len(body))}, "process": {"N": str(os.getpid())}}
        table.put_item(TableName="BUCKET", Item=item)
"""
NAMES = """
from urllib.parse import unquote_plus
def key_of(record):
    return unquote_plus(record["s3"]["object"]["key"])
"""


@dataclass(frozen=True)
class Pipeline:
    """Bucket -> function -> table, all of one name, failures to a queue; made with plain calls."""

    name: str
    connect: Callable[[str], Any]

    @classmethod
    def make(cls, name: str, connect: Callable[[str], Any]) -> Pipeline:
        made = cls(name, connect)
        queue = connect("sqs").create_queue(QueueName=f"{name}-failed")["QueueUrl"]
        attributes = connect("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])[
            "Attributes"
        ]
        connect("dynamodb").create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        connect("s3").create_bucket(Bucket=name)
        function = made.function("ingest.app.handler", made.role(), HANDLER.replace("BUCKET", name))
        connect("lambda").put_function_event_invoke_config(
            FunctionName=name, DestinationConfig={"OnFailure": {"Destination": attributes["QueueArn"]}}
        )
        connect("s3").put_bucket_notification_configuration(
            Bucket=name,
            NotificationConfiguration={
                "LambdaFunctionConfigurations": [
                    {"LambdaFunctionArn": function, "Events": ["s3:ObjectCreated:*"]}
                ]
            },
        )
        return made

    def role(self) -> str:
        """A role that may do exactly what the handler does."""
        allowed = [
            ("s3:GetObject", f"arn:aws:s3:::{self.name}/*"),
            ("dynamodb:PutItem", f"*:table/{self.name}"),
        ]
        arn: str = self.connect("iam").create_role(
            RoleName=self.name, AssumeRolePolicyDocument=json.dumps(TRUST)
        )["Role"]["Arn"]
        self.connect("iam").put_role_policy(
            RoleName=self.name,
            PolicyName="exactly",
            PolicyDocument=json.dumps(policy(*allowed)),
        )
        return arn

    def function(self, handler: str, role: str, code: str) -> str:
        arn: str = self.connect("lambda").create_function(
            FunctionName=self.name,
            Runtime="python3.12",
            Architectures=["arm64"],
            Role=role,
            Handler=handler,
            Code={"ZipFile": zipped({"ingest/app.py": code, "shared/names.py": NAMES})},
            Timeout=30,
        )["FunctionArn"]
        self.connect("lambda").get_waiter("function_active_v2").wait(FunctionName=self.name)
        return arn

    def put(self, key: str, body: bytes = b"picture") -> None:
        self.connect("s3").put_object(Bucket=self.name, Key=key, Body=body)

    def items(self) -> list[dict[str, Any]]:
        pages = self.connect("dynamodb").get_paginator("scan").paginate(TableName=self.name)
        return [item for page in pages for item in page["Items"]]

    def keys(self) -> set[str]:
        return {item["key"]["S"] for item in self.items()}

    def wait_for(self, keys: set[str]) -> None:
        deadline = time.monotonic() + 120
        while missing := keys - self.keys():
            assert time.monotonic() < deadline, f"no result for {sorted(missing)[:5]} of {len(missing)}"
            time.sleep(0.05)


TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}


def policy(*allowed: tuple[str, str]) -> dict[str, Any]:
    statements = [
        {
            "Effect": "Allow",
            "Action": action,
            "Resource": resource.replace("*:table", "arn:aws:dynamodb:*:*:table"),
        }
        for action, resource in allowed
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def zipped(files: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


@pytest.fixture(scope="session")
def pipelines(connect: Connect) -> Callable[[LocalCloud, str], Pipeline]:
    """Make a small pipeline on a cloud: pipelines(cloud, "name")."""

    def made(cloud: LocalCloud, name: str) -> Pipeline:
        clients: dict[str, Any] = {}

        def client(service: str) -> Any:
            if service not in clients:
                clients[service] = connect(cloud, service, max_pool_connections=32)
            return clients[service]

        return Pipeline.make(name, client)

    return made


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    """A folder for models that is not there yet."""
    return ModelFolder(tmp_path / "state" / "models")


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Have pip and uv use this package index, and nothing else that is set up on this machine."""
    for name in [*os.environ]:
        if name.startswith(("PIP_", "UV_")) or name.lower() in ("http_proxy", "all_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)

    def use(url: str) -> None:
        monkeypatch.setenv("PIP_INDEX_URL", url)
        monkeypatch.setenv("UV_DEFAULT_INDEX", url)

    return use
