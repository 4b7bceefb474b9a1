"""KMS keys of the account's own on the pipeline's buckets and queue: encryption too, so they stay, but the
functions need rights that imgpipe does not give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from imgpipe_cli.aws.names import Names
from imgpipe_cli.deploy.resource import Observed

# AWS's own keys let in everybody who may use the service.
_AWS_OWN = ("alias/aws/s3", "alias/aws/sqs")


def own_keys(snapshot: Mapping[str, Observed], names: Names) -> Iterator[str]:
    """Each bucket and queue of ours with such a key, and the key; a key without a name is AWS's own."""
    called = {"bucket": names.bucket, "results_bucket": names.results_bucket}
    for resource, bucket in called.items():
        for rule in (_facts(snapshot, resource).get("encryption") or {}).get("Rules", []):
            key = rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID")
            if key and not key.endswith(_AWS_OWN):
                yield f"bucket {bucket} with key {key}"
    key = _facts(snapshot, "queue").get("key")
    if key and not key.endswith(_AWS_OWN):
        yield f"queue {names.queue} with key {key}"


def _facts(snapshot: Mapping[str, Observed], resource: str) -> Mapping[str, Any]:
    observed = snapshot[resource]
    return observed.facts if observed.exists and observed.owned else {}
