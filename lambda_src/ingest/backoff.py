"""Trying again within one run of the function, as long as its time lasts.

A call that AWS refuses because of too many costs nothing, and one second of this function about a hundredth
of what Rekognition takes for a picture. Giving up early costs more: Lambda has only two more attempts, and an
answer that was paid for and not stored is paid for again.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from ingest.faults import InProgress, NotShown, is_passing, is_throttled

# Two runs that end at once, at two calls a second, ask 2.0 times for each picture. With 0.5 s they ask 2.2
# times, and use a little less of the limit.
_FIRST_PAUSE_S = 0.75
LONGEST_PAUSE_S = 8.0

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """left_s: seconds until Lambda stops the function. unused_s: so many of them are for no further try.

    chance: a number from 0 to 1, other each time.
    """

    left_s: Callable[[], float]
    unused_s: float = 0.0
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random

    def call(
        self,
        call: Callable[[], Answer],
        *,
        keep_s: float,
        faults: float = math.inf,
        passes: Callable[[Exception], bool] = is_passing,
    ) -> Answer:
        """The answer to a call that is made again while AWS refuses it for now.

        keep_s: seconds that must be left for another try and all that follows on it.
        faults: how many errors of AWS's own are put up with; for "too often" there is no such limit.
        passes: tells which errors are worth another try.
        """
        longest_s = _FIRST_PAUSE_S
        while True:
            try:
                return call()
            except (ClientError, BotoCoreError, InProgress, NotShown) as error:
                faults -= not is_throttled(error)
                # Many run side by side: without chance they would all come back at the same moment.
                pause_s = longest_s * (1 + self.chance()) / 2
                if not passes(error) or faults < 0 or self.left_s() - self.unused_s - pause_s < keep_s:
                    raise
            self.sleep(pause_s)
            longest_s = min(2 * longest_s, LONGEST_PAUSE_S)
