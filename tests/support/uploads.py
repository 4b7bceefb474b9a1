"""Sending pictures into a bucket that moto plays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imgpipe_cli.aws.client import Aws
from imgpipe_cli.aws.names import Names
from imgpipe_cli.events import Event, Refused, Sent, Unchanged
from imgpipe_cli.pictures.converting.workers import Converter
from imgpipe_cli.pictures.sending.picture import Rules
from imgpipe_cli.pictures.sending.plan import Plan
from imgpipe_cli.pictures.sending.send import Outcome, send

NAMES = Names("demo", "123456789012", "eu-west-1")
AS_THEY_ARE = Rules(convert=False)


class Account:
    """A versioned bucket, and what was told while sending into it."""

    def __init__(self, aws: Aws, converter: Converter | None = None) -> None:
        self.aws = aws
        self.s3 = aws.client("s3")
        self.events: list[Event] = []
        self.converter = converter

    def make_bucket(self) -> None:
        location = {"LocationConstraint": NAMES.region}
        self.s3.create_bucket(Bucket=NAMES.bucket, CreateBucketConfiguration=location)
        self.s3.put_bucket_versioning(Bucket=NAMES.bucket, VersioningConfiguration={"Status": "Enabled"})

    def send(
        self, *paths: Path, prefix: str = "", force: bool = False, rules: Rules = AS_THEY_ARE, **plan: Any
    ) -> list[Sent]:
        """What was sent, in the order of the keys."""
        self.events.clear()
        planned = Plan([str(path) for path in paths], prefix=prefix, **plan)
        outcome = send(
            self.aws,
            NAMES,
            planned,
            self.events.append,
            force=force,
            rules=rules,
            converter=self.converter,
        )
        sent = sorted((one for one in self.events if isinstance(one, Sent)), key=lambda one: one.key)
        assert outcome == Outcome(len(sent), len([one for one in self.events if isinstance(one, Unchanged)]))
        return sent

    def stored(self, key: str, version: str | None = None) -> Any:
        of_version = {"VersionId": version} if version else {}
        return self.s3.get_object(Bucket=NAMES.bucket, Key=key, **of_version)

    @property
    def refused(self) -> dict[str, str]:
        return {Path(one.source).name: one.code for one in self.events if isinstance(one, Refused)}
