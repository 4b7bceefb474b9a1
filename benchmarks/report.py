"""The measurements as Markdown. Nothing in it tells whose machine it was."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from importlib.metadata import version

from provisioning import BOUND_RATIO, LATENCY_S, Measured
from starting import Comparison

_PACKAGES = ("boto3", "typer", "rich", "ministack")


def facts() -> str:
    """What the numbers depend on."""
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return ", ".join(part for part in (system, f"Python {platform.python_version()}", packages, load) if part)


def provisioning_table(measured: Sequence[Measured]) -> str:
    """Medians; (min-max) of the wall time."""
    rows = [
        "| whole process | wall s (min-max) | goal s | CPU s | calls | writes | at once | longest chain "
        "| emulator's waits s | bound s | wall / bound |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in measured:
        median = one.median
        cells = (
            one.phase.name,
            _spread(one.of(lambda run: run.time.wall_s)),
            f"{one.phase.goal_s:g}",
            f"{median(lambda run: run.time.cpu_s):.2f}",
            f"{median(lambda run: len(run.calls)):.0f}",
            f"{median(lambda run: run.writes):.0f}",
            f"{median(lambda run: run.most_at_once):.0f}",
            f"{median(lambda run: len(run.chain)):.0f}",
            f"{median(lambda run: run.waits_s):.2f}",
            f"{median(lambda run: run.bound_s):.2f}",
            f"**{one.ratio:.2f}** (at most {BOUND_RATIO:g})",
        )
        rows.append(f"| {' | '.join(cells)} |")
    runs = len(measured[0].runs)
    rows += [
        "",
        f"{LATENCY_S * 1000:.0f} ms added to every call, medians of {runs} rounds. Bound: longest chain of "
        f"dependent calls x {LATENCY_S * 1000:.0f} ms + the process's own CPU + the emulator's own waits "
        "(a new function is Pending for a while, and its first start takes its time).",
    ]
    return "\n".join(rows)


def starting_table(compared: Sequence[Comparison]) -> str:
    rows = [
        "| whole process | CPU ms (min-max) | the least that can do it | CPU ms (min-max) | ratio | bound ms "
        "| boto3, rich |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in compared:
        extra = f" + {one.extra_s * 1000:.0f} ms" if one.extra_s else ""
        cells = (
            one.name,
            _milliseconds(one.cpu_s),
            one.yardstick,
            _milliseconds(one.yardstick_cpu_s),
            f"**{one.ratio:.2f}**",
            f"{one.bound_s * 1000:.0f} ({one.factor:g}x{extra}): {'kept' if one.kept else 'missed'}",
            ", ".join(one.heavy) or "not loaded",
        )
        rows.append(f"| {' | '.join(cells)} |")
    rows += ["", f"User and system time; programs in turn, medians of {len(compared[0].cpu_s)}."]
    return "\n".join(rows)


def _milliseconds(seconds: Sequence[float]) -> str:
    low, middle, high = (1000 * one for one in (min(seconds), statistics.median(seconds), max(seconds)))
    return f"**{middle:.0f}** ({low:.0f}-{high:.0f})"


def _spread(seconds: Sequence[float]) -> str:
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    return f"**{middle:.2f}** ({low:.2f}-{high:.2f})"
