"""How long each call may take, and the arithmetic that makes it fit into one run of the function.

The longest that one picture can take, each call at its worst:
tries x (connect + answer) + pauses of 1 and 2 s.

  DynamoDB GetItem    3 x (1 + 2) + 3 = 12 s
  S3 GetObject        2 x (1 + 4) + 1 = 11 s, and 11 s more for very large metadata
  S3 HeadObject       2 x (1 + 4) + 1 = 11 s, where there are several versions, and 11 s more for the list of
                      versions where it finds nothing
  Rekognition         1 x (1 + 30)    = 31 s, all features side by side
  DynamoDB PutItem    3 x (1 + 2) + 3 = 12 s

Together 99 s, below the 120 s after which Lambda stops the function without a verdict. In place of the
table's two calls a bucket of results takes five (two GetObject, two PutObject, one DeleteObject) of
2 x (1 + 2) + 1 = 7 s each: together 110 s. When another writer comes in between, it looks again, which is
left out here: then S3 has answered. What is left of the time may be spent on trying again, see `backoff.py`.
"""

from __future__ import annotations

from shared.aws_clients import Timeouts

TIMEOUT_S = 120
"""How long Lambda lets the function run."""

DYNAMODB = Timeouts(connect_s=1, read_s=2)
RESULTS = Timeouts(connect_s=1, read_s=2, attempts=2)
S3 = Timeouts(connect_s=1, read_s=4, attempts=2)
REKOGNITION = Timeouts(connect_s=1, read_s=30, attempts=1)
"""Sent once: the SDK repeats what is not answered in time, which AWS may have analyzed and billed already."""

STORING_S = max(DYNAMODB.worst_case_s(), 4 * RESULTS.worst_case_s())
"""Seconds that putting a verdict into its store can take at most."""

READING_S = 2 * S3.worst_case_s()
"""Seconds that reading a picture, or proving that it is gone, can take at most."""

ASKING_S = REKOGNITION.worst_case_s()
"""Seconds that the answers of Rekognition can take at most, once asked for."""


def worst_case_s() -> float:
    """Seconds that one picture can take at most."""
    store_s = max(2 * DYNAMODB.worst_case_s(), 5 * RESULTS.worst_case_s())
    return store_s + 2 * S3.worst_case_s() + READING_S + ASKING_S
