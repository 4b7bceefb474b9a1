"""AWS-compatible endpoints that are not ours: a plain MiniStack with a Rekognition, and moto."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from botocore.exceptions import ClientError

from imgpipe_cli.local.models.store import ModelFolder
from imgpipe_cli.local.rekognition import Rekognition
from tests.support import loopback
from tests.support.loopback import Handler
from tests.support.machine import client, until
from tests.support.model_files import model_folder
from tests.support.ports import free_port

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}


@contextmanager
def serving(command: list[str], folder: Path, port: int, env: dict[str, str]) -> Iterator[str]:
    """A server process of its own in a scrubbed environment; its URL."""
    folder.mkdir()
    scrubbed = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    own = {**scrubbed, "HOME": str(folder), "TMPDIR": str(folder), "AWS_EC2_METADATA_DISABLED": "true", **env}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=own, cwd=folder, stdout=log, stderr=log)
        try:

            def listens() -> bool:
                assert process.poll() is None, (folder / "log").read_text()
                with closing(socket.socket()) as probe:
                    return probe.connect_ex(("127.0.0.1", port)) == 0

            until(listens, what=f"{command} listens")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def ministack(folder: Path, rekognition: str, port: int) -> Iterator[str]:
    """As shipped, but for this machine only: no Docker, no further listeners."""
    env = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent.sock",
        "LAMBDA_EXECUTOR": "local",
        "AWS_ENDPOINT_URL_REKOGNITION": rekognition,
    }
    with serving([sys.executable, "-m", "ministack"], folder, port, env) as url:
        yield url


@contextmanager
def moto(folder: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with serving(command, folder, port, {}) as url:
        yield url


@contextmanager
def rekognition(s3_url: str) -> Iterator[str]:
    """The local analysis behind a plain HTTP server, reading its pictures from that S3."""
    analysis = Rekognition(workers=1, models=ModelFolder(model_folder()))
    s3 = client("s3", s3_url, "test", "test")

    def read(bucket: str, key: str, version: str | None) -> bytes:
        try:
            found = s3.get_object(Bucket=bucket, Key=key, **({"VersionId": version} if version else {}))
        except ClientError as error:
            raise KeyError(key) from error
        return bytes(found["Body"].read())

    class Analysis(Handler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.body())
            status, answer = analysis.answer(self.headers["X-Amz-Target"].rpartition(".")[2], request, read)
            self.send(status, json.dumps(answer).encode(), {"Content-Type": "application/x-amz-json-1.1"})

    with loopback.serving(Analysis) as url:
        yield url
