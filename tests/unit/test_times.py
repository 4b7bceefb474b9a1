"""Points in time, as users write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.session.times import from_milliseconds, iso, milliseconds, moment, parsed

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("30s", "2026-11-22T11:59:30.000Z"),
        ("10m", "2026-11-22T11:50:00.000Z"),
        ("2h", "2026-11-22T10:00:00.000Z"),
        ("1d", "2026-11-21T12:00:00.000Z"),
        ("2026-11-22T10:00:00+01:00", "2026-11-22T09:00:00.000Z"),
        ("2026-11-22T10:00:00.250Z", "2026-11-22T10:00:00.250Z"),
    ],
)
def test_a_time_is_an_age_or_an_iso_time(text: str, found: str) -> None:
    assert iso(moment(text, NOW)) == found


@pytest.mark.parametrize("text", ["", "m", "10", "10x", "-5m", "yesterday", "99999999999d", "²h"])
def test_what_is_no_time_is_wrong_usage(text: str) -> None:
    with pytest.raises(Problem) as refused:
        moment(text, NOW)
    assert refused.value.exit_code == ExitCode.USAGE


def test_milliseconds_and_back() -> None:
    assert from_milliseconds(milliseconds(NOW)) == NOW


def test_a_time_without_a_zone_in_a_log_line_is_utc() -> None:
    assert parsed("2026-11-22T12:00:00") == NOW
    assert parsed("2026-11-22T12:00:00Z") == NOW
    assert parsed(None) is None
