"""The faults of the local Rekognition that are on, and the calls that it has answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgpipe_cli.render.screen import Screen


def show(screen: Screen, faults: dict[str, Any] | None, calls: dict[str, dict[str, int]] | None) -> None:
    """faults: those that are on, or None. calls: of each operation, how many ended how."""
    screen.line(f"  faults      {_words(faults) if faults else 'none'}")
    for name, counted in (calls or {}).items():
        screen.line(f"  {name}: " + ", ".join(f"{number:,} {what}" for what, number in counted.items()))


def _words(faults: dict[str, Any]) -> str:
    parts = []
    if faults["tps"] is not None:
        parts.append(f"at most {faults['tps']:g} calls a second of each operation")
    if faults["throttle_percent"]:
        parts.append(f"{faults['throttle_percent']:g} % throttled")
    if faults["error_percent"]:
        parts.append(f"{faults['error_percent']:g} % server errors")
    if faults["latency_ms"]:
        parts.append(f"{faults['latency_ms']:g} ms slower")
    where = f" ({', '.join(faults['operations'])} only)" if faults["operations"] else ""
    return ", ".join(parts) + where
