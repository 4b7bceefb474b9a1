"""The event that S3 sends for an object, in its documented form."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus

Event = dict[str, Any]


def event_of(
    name: str,
    bucket: str,
    key: str,
    *,
    sequencer: str,
    version: str | None = None,
    size: int | None = None,
    etag: str = "",
) -> Event:
    """name: what happened, as S3 calls it. version and size: None where S3 leaves them out."""
    thing: dict[str, Any] = {"key": quote_plus(key, safe="/"), "eTag": etag, "sequencer": sequencer}
    if size is not None:
        thing["size"] = size
    if version is not None:
        thing["versionId"] = version
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventTime": "2026-11-22T18:30:00.000Z",
        "eventName": name,
        "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "192.0.2.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "imgpipe-created",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": thing,
        },
    }
    return {"Records": [record]}
