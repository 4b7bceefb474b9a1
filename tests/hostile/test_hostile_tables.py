"""The tables as a whole: how much is tried, and that each row is told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tests.hostile.command_lines import COMMAND_LINES
from tests.hostile.kept_files import CLOUDS, CONFIGURATIONS, LOGS, STATES
from tests.hostile.object_keys import KEYS
from tests.hostile.paths import PATHS
from tests.hostile.payloads import PAYLOADS
from tests.hostile.pictures import PICTURES
from tests.hostile.requests_table import REQUESTS
from tests.hostile.test_hostile_paths import CHANGES

LEAST: Mapping[str, tuple[Iterable[Any], int]] = {
    "key": (KEYS, 40),
    "file": (PICTURES, 40),
    "path": (PATHS, 30),
    "change": (CHANGES, 5),
    "http": (REQUESTS, 25),
    "cli": (COMMAND_LINES, 30),
    "toml": (CONFIGURATIONS, 15),
    "state": (STATES, 8),
    "cloud": (CLOUDS, 15),
    "log": (LOGS, 3),
    "event": (PAYLOADS, 15),
}


def _ids() -> list[str]:
    return [row if isinstance(row, str) else row.id for table, _ in LEAST.values() for row in table]


def test_there_are_enough_rows_of_each_kind() -> None:
    counted = Counter(name.partition("-")[0] for name in _ids())
    assert set(counted) == set(LEAST)
    for kind, (_, least) in LEAST.items():
        assert counted[kind] >= least, kind
    assert counted.total() >= 400


def test_every_row_has_a_name_of_its_own() -> None:
    assert [name for name, times in Counter(_ids()).items() if times > 1] == []
