"""Measure imgpipe's speed: `make bench`, or `python benchmarks/run.py` in an environment with imgpipe[local].

No AWS account, no network beyond 127.0.0.1, nothing outside temporary folders. POSIX only (os.wait4).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import provisioning
import report
import starting
import uploading


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure how far imgpipe is from the fastest it could be.")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of up, up again, down (default 5)")
    parser.add_argument("--runs", type=int, default=15, help="runs of each short command (default 15)")
    parser.add_argument("--upload-rounds", type=int, default=3, help="rounds of each upload (default 3)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there as well")
    parser.add_argument("--check", action="store_true", help="exit 1 when a binding bound is missed")
    chosen = parser.parse_args()
    if not hasattr(os, "wait4"):
        parser.error("this needs Linux or macOS: other systems do not tell a finished process's CPU time")
    print("Provisioning, 80 ms away ...", file=sys.stderr)
    measured = provisioning.measure(chosen.rounds, each=_tell)
    print("Starting ...", file=sys.stderr)
    compared = starting.compare(chosen.runs)
    print("Uploading, beside s5cmd and aws s3 sync ...", file=sys.stderr)
    uploaded = list(uploading.measure(chosen.upload_rounds))
    tables = "\n\n".join(
        (
            report.facts(),
            report.provisioning_table(measured),
            report.starting_table(compared),
            uploading.table(uploaded),
        )
    )
    print(tables)
    if chosen.markdown:
        chosen.markdown.write_text(f"{tables}\n", encoding="utf-8")
    missed = [one.phase.name for one in measured if not one.reached]
    missed += [f"{one.case.name} beside {peer}" for one in uploaded for peer in one.missed]
    broken = [one.phase.name for one in measured if not one.kept] + [
        one.name for one in compared if not one.kept
    ]
    if missed:
        print(f"Goal missed: {', '.join(missed)}.", file=sys.stderr)
    if broken:
        print(f"Bound missed: {', '.join(broken)}.", file=sys.stderr)
    return 1 if chosen.check and broken else 0


def _tell(phase: provisioning.Phase, run: provisioning.Observed) -> None:
    print(
        f"  {phase.name:<30} {run.time.wall_s:5.2f} s, CPU {run.time.cpu_s:.2f} s, {len(run.calls)} calls, "
        f"chain {len(run.chain)}, wall/bound {run.ratio:.2f}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    sys.exit(main())
