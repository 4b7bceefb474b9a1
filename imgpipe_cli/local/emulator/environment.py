"""The environment MiniStack reads while it is imported; set before the first import, never after."""

from __future__ import annotations

import os
import secrets
from collections.abc import MutableMapping

from imgpipe_cli.local.files import LocalFiles

ACCOUNT = "000000000000"
REGION = "us-east-1"

# All that a pipeline and the tools around it call; everything else answers "unsupported service".
_SERVICES = (
    "apigateway",
    "dynamodb",
    "dynamodbstreams",
    "events",
    "iam",
    "kms",
    "lambda",
    "logs",
    "monitoring",
    "s3",
    "sns",
    "sqs",
    "ssm",
    "sts",
    "tagging",
)


# Runs beside those of events: functions behind the API, and those whose answer somebody waits for.
_OTHER_RUNS = 64


def prepare(
    files: LocalFiles, port: int, environment: MutableMapping[str, str], *, concurrency: int | None = None
) -> None:
    """Fill in everything that MiniStack, botocore and the Lambda workers take from the environment.

    concurrency: how many events are worked on at once; None: as few as MiniStack takes anyway.
    """
    # On Windows the parent's environment is already scrubbed; here a direct `python -m` run is made safe too.
    for name in [name for name in environment if name.upper().startswith("AWS_") or "PROXY" in name.upper()]:
        del environment[name]
    environment.update(_aws())
    environment.update(_ministack(files, port))
    # onnxruntime would write an id of this machine into the home folder, and send its use to its makers.
    environment["ORT_DISABLE_TELEMETRY"] = "1"
    if concurrency is not None:
        # MiniStack's own limit comes from this machine's memory, and may be lower.
        environment["LAMBDA_ACCOUNT_CONCURRENCY"] = str(concurrency + _OTHER_RUNS)
    for name in ("TMPDIR", "TEMP", "TMP"):
        environment[name] = str(files.tmp)


def _aws() -> dict[str, str]:
    return {
        # MiniStack's root key skips every signature check, so nobody gets to know this one: all callers,
        # the CLI included, use an IAM user's key or a role's session, whose signatures are verified.
        "AWS_ACCESS_KEY_ID": "AKIA" + secrets.token_hex(16).upper(),
        "AWS_SECRET_ACCESS_KEY": secrets.token_hex(32),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1,localhost",
    }


def _ministack(files: LocalFiles, port: int) -> dict[str, str]:
    return {
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "localhost",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "SERVICES": ",".join(_SERVICES),
        "LOG_LEVEL": "WARNING",
        # Further listeners: the MQTT one ignores BIND_HOST and would open 8883 on every interface.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        # With Docker at hand MiniStack would remove containers it believes to be its own.
        "DOCKER_HOST": "unix:///nonexistent.sock",
        "LAMBDA_EXECUTOR": "local",
        # After a burst, idle workers (about 45 MB each) go after 30 s; the first of each function stays warm.
        "LAMBDA_WARM_TTL_SECONDS": "30",
        "PERSIST_STATE": "1",
        "S3_PERSIST": "1",
        "STATE_DIR": str(files.state),
        "S3_DATA_DIR": str(files.objects),
    }
