"""AWS's operations by their names."""

from __future__ import annotations

import functools

_READS = ("get", "list", "describe", "head", "scan", "query", "batchget")


@functools.cache
def is_read(operation: str) -> bool:
    """Whether it changes nothing. operation: in AWS's words or in boto3's, `GetRole` or `get_role`."""
    return operation.replace("_", "").lower().startswith(_READS)
