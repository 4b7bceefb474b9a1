"""Points in time as users write them, and as results and logs have them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from imgpipe_cli.errors import ExitCode, Problem

SINCE_HELP = "10m, 2h, 1d or 2026-11-22T10:00"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def moment(text: str, now: datetime) -> datetime:
    """ "10m" before now, or an ISO time (of this machine's zone if it names none), in UTC. Raises Problem."""
    try:
        if text[-1:] in _UNITS and text[:-1].isdecimal():
            return now - timedelta(seconds=int(text[:-1]) * _UNITS[text[-1]])
        found = datetime.fromisoformat(text).astimezone(UTC)
        found.astimezone()  # it is also shown in this machine's zone, where it may be after all time
        return found
    except (ValueError, OverflowError) as error:
        raise Problem(
            "bad_usage",
            f"{text!r} is not a time.",
            hint="Write 30s, 10m, 2h, 1d, or a date and time such as 2026-11-22T10:00.",
            exit_code=ExitCode.USAGE,
        ) from error


def iso(when: datetime) -> str:
    """ISO 8601 UTC with milliseconds, as results have it, so that text order is time order."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def earlier(moment: str, seconds: float) -> str:
    """So many seconds before an ISO time, in the same form."""
    return iso(datetime.fromisoformat(moment) - timedelta(seconds=seconds))


def milliseconds(when: datetime) -> int:
    """Since 1970, as CloudWatch Logs counts."""
    return int(when.timestamp() * 1000)


def from_milliseconds(number: int) -> datetime:
    return datetime.fromtimestamp(number / 1000, UTC)


def parsed(text: object) -> datetime | None:
    """An ISO time out of a log line; None for everything else."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
