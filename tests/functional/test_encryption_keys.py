"""A KMS key of the account's own stays, and is told: the functions may not use it by imgpipe's doing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.account import NAMES, RecordingAws, finished, fresh_account
from tests.support.assert_doctor import KEY_ID, SECRET
from tests.support.cli import Cli, runner
from tests.support.drift_actions import queue, s3

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """In an account in which the pipeline is set up."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with fresh_account():
        finished()
        yield runner(capsys)


def encrypt(bucket_key: str | None, queue_key: str) -> None:
    aws = RecordingAws()
    named = {"KMSMasterKeyID": bucket_key} if bucket_key else {}
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", **named}}
    s3("put_bucket_encryption", ServerSideEncryptionConfiguration={"Rules": [rule]})(aws)
    queue("set_queue_attributes", Attributes={"KmsMasterKeyId": queue_key})(aws)


@pytest.mark.parametrize("command", ["status", "up"])
def test_a_key_of_the_accounts_own_is_told_with_what_it_needs(cli: Cli, command: str) -> None:
    encrypt(KEY, KEY)
    printed = cli(command, "--project", "demo", "--region", "eu-west-1")
    assert printed.code == (4 if command == "up" else 0), "moto serves no API that could answer"
    told = " ".join(printed.err.split())
    assert f"bucket {NAMES.bucket} with key {KEY}, queue {NAMES.queue} with key {KEY}" in told
    assert "kms:Decrypt and kms:GenerateDataKey" in told


@pytest.mark.parametrize("key", [None, "alias/aws/s3", "arn:aws:kms:eu-west-1:123456789012:alias/aws/s3"])
def test_aws_own_keys_need_no_word(cli: Cli, key: str | None) -> None:
    encrypt(key, "alias/aws/sqs")
    assert "kms" not in cli("status", "--project", "demo", "--region", "eu-west-1").err
