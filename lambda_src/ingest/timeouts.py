"""How long each call may take, and the arithmetic that makes it fit into one run of the function.

The longest that one picture can take, each call at its worst:
tries x (connect + answer) + pauses of 1 and 2 s.

  DynamoDB GetItem    3 x (1 + 2) + 3 = 12 s
  S3 GetObject        2 x (1 + 4) + 1 = 11 s, and 11 s more for very large metadata
  S3 HeadObject       2 x (1 + 4) + 1 = 11 s, where there are several versions, and 11 s more for the list of
                      versions where it finds nothing
  S3, for the SHA-256 2 x 11 s: HeadObject, and where it tells none GetObject
  the index           3 s a call, sent once: for each feature and the models, twice; two for the claim, one to
                      count; after asking for each feature, and at the end
  Rekognition         1 x (1 + 30)    = 31 s, all features side by side
  DynamoDB BatchWrite 2 x (1 + 1) + 1 =  5 s, all rows of the index side by side
  DynamoDB PutItem    3 x (1 + 2) + 3 = 12 s, and GetItem twice for a picture of the same bytes, and once more
                      for what is stored meanwhile

Together 225 s, below the 240 s after which Lambda stops the function without a result. In place of the
table's first and last call a bucket of results takes five (two GetObject, two PutObject, one DeleteObject) of
2 x (1 + 2) + 1 = 7 s each: together at most 236 s. When another writer comes in between, it looks again,
which is left out here: then S3 has answered. So is what an earlier result of the picture takes: its list of
rows is written before, and rows are removed after; a stop there loses nothing. What is left of the time may
be spent on trying again, see `backoff.py`.
"""

from __future__ import annotations

from shared.aws_clients import Timeouts
from shared.results import FEATURES

TIMEOUT_S = 240
"""How long Lambda lets the function run."""

TRYING_S = 120
"""Seconds of a run in which a call may be tried again.

A run that waits longer costs more than it saves: Lambda comes back later, and another one has its place.
"""

RESERVED_S = TIMEOUT_S - TRYING_S
"""Seconds at the end of a run, for the rest of what was begun."""

DYNAMODB = Timeouts(connect_s=1, read_s=2)
RESULTS = Timeouts(connect_s=1, read_s=2, attempts=2)
S3 = Timeouts(connect_s=1, read_s=4, attempts=2)
INDEX = Timeouts(connect_s=1, read_s=2, attempts=1)
ROWS = Timeouts(connect_s=1, read_s=1, attempts=2)
REKOGNITION = Timeouts(connect_s=1, read_s=30, attempts=1)
"""Sent once: the SDK repeats what is not answered in time, which AWS may have analyzed and billed already."""

STORING_S = max(DYNAMODB.worst_case_s(), 4 * RESULTS.worst_case_s()) + ROWS.worst_case_s()
"""Seconds that putting a result into its store can take at most."""

READING_S = 2 * S3.worst_case_s()
"""Seconds that reading a picture, or proving that it is gone, can take at most."""

HASHING_S = 2 * S3.worst_case_s()
"""Seconds until the SHA-256 of a picture is known at most."""

_FINDING_S = max(DYNAMODB.worst_case_s(), RESULTS.worst_case_s())
PERMIT_S = 2 * (1 + len(FEATURES)) * INDEX.worst_case_s() + 3 * (_FINDING_S + INDEX.worst_case_s())
"""Seconds until it is known at most what has to be asked for."""

NOTING_S = (len(FEATURES) + 1) * INDEX.worst_case_s()
"""Seconds for what the index is told at most, once Rekognition has answered."""

ASKING_S = REKOGNITION.worst_case_s()
"""Seconds that the answers of Rekognition can take at most, once asked for."""


def worst_case_s() -> float:
    """Seconds that one picture can take at most."""
    store_s = max(2 * DYNAMODB.worst_case_s(), 5 * RESULTS.worst_case_s())
    store_s += ROWS.worst_case_s()
    return store_s + 2 * S3.worst_case_s() + READING_S + HASHING_S + PERMIT_S + ASKING_S + NOTING_S
