"""A plain MiniStack of our own for one benchmark: loopback only, throw-away folder, scrubbed environment."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

ACCOUNT = "000000000000"
REGION = "us-east-1"
# Any key will do: the emulator's access control is off here.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
_SERVICES = "apigateway,dynamodb,events,iam,kms,lambda,logs,monitoring,s3,sns,sqs,ssm,sts,tagging"
_KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
_START_S = 60.0


def scrubbed() -> dict[str, str]:
    """This environment without AWS settings, proxies and whatever else steers Python programs."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | {"PYTHONUTF8": "1"}


@contextmanager
def running(gateway_port: int) -> Iterator[int]:
    """Start MiniStack; its port. gateway_port: where it believes to be, so that what it hands out as
    addresses (of APIs) leads through the proxy there."""
    with tempfile.TemporaryDirectory(prefix="imgpipe-bench-") as folder:
        port = _free_port()
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "hypercorn", "ministack.app:app"),
                *("--bind", f"127.0.0.1:{port}", "--keep-alive", "75", "--log-level", "ERROR"),
            ],
            env=_environment(Path(folder), gateway_port),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(process, port)
            yield port
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environment(folder: Path, gateway_port: int) -> dict[str, str]:
    return scrubbed() | {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "GATEWAY_PORT": str(gateway_port),
        "MINISTACK_HOST": "localhost",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "SERVICES": _SERVICES,
        "LOG_LEVEL": "ERROR",
        # Listeners beside the port: one of them would open on every interface.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent.sock",
        "LAMBDA_EXECUTOR": "local",
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    limit = time.monotonic() + _START_S
    while time.monotonic() < limit:
        if process.poll() is not None:
            raise RuntimeError(f"MiniStack ended with {process.returncode}: is imgpipe[local] installed?")
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/_ministack/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    raise RuntimeError("MiniStack did not start")


def function_pending_s(port: int) -> float:
    """How long the emulator keeps a new function Pending; asked directly, without the proxy."""
    import boto3

    client = boto3.client(
        "lambda",
        region_name=REGION,
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.py", "def handler(event, context): return {}")
    client.create_function(
        FunctionName="pending",
        Runtime="python3.12",
        Role=f"arn:aws:iam::{ACCOUNT}:role/pending",
        Handler="app.handler",
        Code={"ZipFile": packed.getvalue()},
    )
    created_s = time.monotonic()
    while client.get_function(FunctionName="pending")["Configuration"]["State"] == "Pending":
        time.sleep(0.005)
    waited_s = time.monotonic() - created_s
    client.delete_function(FunctionName="pending")
    return waited_s
