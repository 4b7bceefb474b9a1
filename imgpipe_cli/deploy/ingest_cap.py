"""How many pictures may be analyzed at once: what AWS tells of the limits that the cap follows.

Without a cap a burst takes as many runs of the ingest function as the account has. Rekognition refuses most
of their calls, their time runs out, and their events end in the failure queue.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from imgpipe_cli.aws.client import Aws, AwsError
from imgpipe_cli.session.settings import TPS_MAX, Settings

# AWS keeps so many for all other functions of an account, or its own smaller number in small accounts.
_UNRESERVED = 100
_PAGES = 10  # far more than Rekognition has quotas
_TOO_OFTEN = ("TooManyRequestsException", "ThrottlingException", "Throttling")


def determined(aws: Aws, settings: Settings) -> Settings:
    """The settings with what AWS tells, where it has not been asked yet. Only reads, and never raises."""
    if settings.tps_from == "":
        settings = _with_quota(aws, settings)
    if not settings.capped and _has_room(aws, settings.runs):
        settings = replace(settings, capped=True)
    return settings


def _with_quota(aws: Aws, settings: Settings) -> Settings:
    """As Service Quotas tells, and that it does not: a missing permission is no reason to ask at every run.
    What may pass is: then the next run asks again."""
    try:
        quotas = _quotas(aws, settings.operations)
    except AwsError as error:
        final = 400 <= error.status < 500 and error.code not in _TOO_OFTEN
        return replace(settings, tps_from="quota") if final else settings
    slowest = min(quotas.values()) if quotas.keys() == settings.operations else 0.0
    return replace(settings, rekognition_tps=slowest, tps_from="quota")


def _quotas(aws: Aws, operations: frozenset[str]) -> Mapping[str, float]:
    """Operation -> calls a second. Raises AwsError.

    Of a quota that was never changed only the default may be told.
    """
    found = dict(_told(aws, "list_service_quotas", operations))
    if found.keys() != operations:
        found = {**dict(_told(aws, "list_aws_default_service_quotas", operations)), **found}
    return found


def _told(aws: Aws, listing: str, operations: frozenset[str]) -> Iterator[tuple[str, float]]:
    """The quotas are known by their names, which hold that of their operation as a word of its own.

    Their exact text, and their codes, were found in no source of AWS's.
    """
    for quota in _all(aws, listing):
        name, value = str(quota.get("QuotaName", "")), float(quota.get("Value", 0.0))
        if re.search("per second", name, re.IGNORECASE) and math.isfinite(value) and 0 < value <= TPS_MAX:
            yield from ((operation, value) for operation in operations & set(re.findall(r"\w+", name)))


def _all(aws: Aws, listing: str) -> Iterator[Mapping[str, Any]]:
    more: dict[str, Any] = {}
    for _ in range(_PAGES):
        # Once: nobody shall wait for what `up` can do without.
        answer = aws.call(
            "service-quotas", listing, once=True, ServiceCode="rekognition", MaxResults=100, **more
        )
        yield from answer.get("Quotas", [])
        if not answer.get("NextToken"):
            return
        more = {"NextToken": answer["NextToken"]}


def _has_room(aws: Aws, runs: int) -> bool:
    """Whether the account has grown since AWS refused."""
    try:
        limit = aws.call("lambda", "get_account_settings", once=True)["AccountLimit"]
    except AwsError:
        return False
    return int(limit.get("UnreservedConcurrentExecutions", 0)) - runs >= _UNRESERVED
