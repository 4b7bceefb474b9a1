"""The index by time of results in S3, made to agree with the results: `imgpipe up --repair-index`.

The pipeline writes the entry before the result, so none is ever missing; one that is left over is skipped by
readers. What this repairs is what hands, or a stop at the wrong moment, have left: entries without a result
cost a moment of each listing, and a result without its entry is in no list.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from imgpipe_cli.aws import Aws, AwsError
from imgpipe_cli.aws_problems import problem
from imgpipe_cli.lambda_code import shared
from imgpipe_cli.pools import Pool
from imgpipe_cli.result_stores import PARALLEL, BucketStore

# An entry this young may announce a result that is just being written; a run of the function takes less.
_YOUNG_S = 900


@dataclass(frozen=True)
class Repaired:
    """How many entries were missing and were added, and how many were left over and were removed."""

    added: int
    removed: int


def repair(aws: Aws, bucket: str, *, now_s: Callable[[], float] = time.time) -> Repaired:
    """Read every result and put the index right. Raises Problem."""
    try:
        return _repair(aws, BucketStore(aws, bucket), now_s())
    except AwsError as error:
        raise problem(error, f"repair the index in bucket {bucket}") from error


def _repair(aws: Aws, store: BucketStore, now_s: float) -> Repaired:
    rules = shared("result_objects")
    # The entries first: a result that comes later brings its own.
    there = {entry["Key"] for entry in store.listed(rules.INDEX)}
    right = {entry for item in store.items({}) if (entry := rules.index_of(item))}
    missing = right - there
    over = [entry for entry in there - right if not _young(entry, now_s)]
    with Pool(PARALLEL, thread_name_prefix="repair") as pool:
        list(
            pool.map(
                lambda key: aws.call("s3", "put_object", Bucket=store.bucket, Key=key, Body=b""), missing
            )
        )
        list(pool.map(lambda key: aws.call("s3", "delete_object", Bucket=store.bucket, Key=key), over))
    return Repaired(len(missing), len(over))


def _young(entry: str, now_s: float) -> bool:
    """Whether an entry may be ahead of its result; what imgpipe did not put there is not."""
    rules = shared("result_objects")
    found = rules.parse_index(entry)
    return bool(found) and now_s * 1000 - rules.milliseconds(found[0]) < _YOUNG_S * 1000
