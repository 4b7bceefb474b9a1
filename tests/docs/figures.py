"""How long so many pictures take and what they cost, by list prices and simulated use of the limits."""

from __future__ import annotations

import math
from collections.abc import Iterator

from imgpipe_cli.session import prices
from imgpipe_cli.session.settings import Settings

PICTURES = (1_000, 100_000, 10_000_000)
# Rekognition's calls a second -> the share that a burst uses, with as many runs as `up` reserves. From a
# simulation with the real rules of waiting and trying again.
USED = {5: 0.985, 50: 0.88}
# S3, Lambda, DynamoDB, API and logs together, US dollars for 1,000 pictures of 1 MB.
REST_PER_1000 = 0.04
# Lambda keeps an event so long.
KEPT_S = 6 * 3600
# Measured over TLS with 40 ms to the server: docs/explanation/performance.md.
SENT_A_SECOND = 1_076

_QUOTA = ("Transactions per second per account for the", "Amazon Rekognition operation DetectLabels")


def figures() -> str:
    """The page."""
    rows = "\n".join(f"| {' | '.join(cells)} |" for cells in _rows())
    per_1000 = prices.PER_1000["labels"]
    return f"""# Figures

This page is calculated from list prices of us-east-1 ({prices.LIST_OF}) and from a simulation. Nothing of
it was measured on AWS. One feature, pictures of 1 MB, no discount for volume, no free tier:

| pictures | calls a second | time | dollars | runs that `up` reserves | what to use |
|---|---|---|---|---|---|
{rows}

- Analyzing decides, not sending: {SENT_A_SECOND:,} pictures of 100 kB a second
  [were measured](../explanation/performance.md#uploads) over TLS.
- Rekognition takes ${per_1000:.2f} for each feature of 1,000 pictures, everything else ${REST_PER_1000:.2f}.
- A second feature doubles the price, not the time: each operation has a limit of its own.
- A burst uses {USED[5]:.1%} of 5 calls a second, and {USED[50]:.0%} of 50. None is lost.
- Lambda keeps an event for six hours. A picture that is not analyzed by then ends in the failure queue.
- So one part has at most {_most(5):,} pictures at 5 calls a second, and {_most(50):,} at 50.

## The quota to ask for

In Service Quotas look at Amazon Rekognition, "{_QUOTA[0]}
{_QUOTA[1]}". Many regions begin with 5, some with 50. Each feature has its own
operation, and the slowest decides.

| to analyze | ask for |
|---|---|
| 100,000 pictures in an hour | {_needed(100_000, 3600)} calls a second |
| 10 million pictures in a day | {_needed(10_000_000, 86_400)} calls a second |

A new account may run only 10 functions at once. Then that is the limit: ask for more of Lambda's "Concurrent
executions".
"""


def _rows() -> Iterator[tuple[str, ...]]:
    for pictures in PICTURES:
        for rate, used in USED.items():
            seconds = pictures / (rate * used)
            dollars = pictures / 1000 * (prices.PER_1000["labels"] + REST_PER_1000)
            yield (
                f"{pictures:,}",
                f"{rate}",
                _time(seconds),
                f"${dollars:,.2f}" if dollars < 10 else f"${dollars:,.0f}",
                f"{Settings(rekognition_tps=rate).runs}",
                _use(math.ceil(pictures / _most(rate))),
            )


def _use(parts: int) -> str:
    return "one `imgpipe upload`" if parts == 1 else f"{parts} parts, `imgpipe retry` after each"


def _most(rate: int) -> int:
    """Pictures that are surely analyzed before their events end, rounded down."""
    digits: int = 10 ** int(math.log10(rate * KEPT_S) - 1)
    return int(rate * USED[rate] * KEPT_S) // digits * digits


def _needed(pictures: int, seconds: int) -> int:
    """Calls a second; the share that is used at 50 holds for more."""
    return math.ceil(pictures / seconds / USED[50])


def _time(seconds: float) -> str:
    for unit, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            count = seconds / unit
            return f"{count:.1f} {name}" if count < 10 else f"{count:.0f} {name}"
    return f"{seconds:.0f} seconds"
