"""How long `imgpipe down` takes with many pictures, beside another commit:

    python benchmarks/emptying.py --against COMMIT

Needs Linux or macOS, git and imgpipe[local,dev]. Each round sets the pipeline up at a plain MiniStack and
times `imgpipe down --yes` as a process. A proxy adds to each call what the way to AWS takes. It also plays
the full bucket: an emulator works for half a second on the removal of a thousand objects, on one after the
other, and S3 does not. Both commits take turns, since other work slows both.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import parse_qs

import emulator
from analysis_cost import ROOT, tree_of
from imgpipe_cli.aws.names import Names
from latency_proxy import LatencyProxy
from provisioning import LATENCY_S, PROJECT
from recorded_calls import Request


class FullBucket:
    """Lists and removes the versions of the upload bucket, as S3 does. keys: in order, one version each."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self._path = f"/{Names(PROJECT, emulator.ACCOUNT, emulator.REGION).bucket}"

    def answer(self, request: Request) -> bytes | None:
        path, _, query = request.path.partition("?")
        if path != self._path:
            return None
        asked = parse_qs(query, keep_blank_values=True)
        if "versions" in asked:
            return self._page(asked).encode()
        if "delete" in asked:
            gone = set(re.findall(r"<Key>([^<]+)</Key>", request.body.decode()))
            self.keys = [key for key in self.keys if key not in gone]
            return b"<DeleteResult/>"
        return None

    def _page(self, asked: Mapping[str, list[str]]) -> str:
        first = bisect_right(self.keys, asked.get("key-marker", [""])[0])
        last = first + int(asked.get("max-keys", ["1000"])[0])
        rows = "".join(
            f"<Version><Key>{key}</Key><VersionId>v1</VersionId><IsLatest>true</IsLatest><Size>100000</Size>"
            f"<ETag>e</ETag><LastModified>2026-01-01T00:00:00.000Z</LastModified></Version>"
            for key in self.keys[first:last]
        )
        more = last < len(self.keys)
        following = f"<NextKeyMarker>{self.keys[last - 1]}</NextKeyMarker>" if more else ""
        following += "<NextVersionIdMarker>v1</NextVersionIdMarker>" if more else ""
        cut = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        return f"<ListVersionsResult>{cut}{following}{rows}</ListVersionsResult>"


def main() -> int:
    parser = argparse.ArgumentParser(description="Time imgpipe down with many pictures beside a commit's.")
    parser.add_argument("--against", required=True, metavar="COMMIT", help="the commit to compare with")
    parser.add_argument("--objects", type=int, default=20_000, help="how many pictures (default 20,000)")
    parser.add_argument("--rounds", type=int, default=1, help="rounds (default 1)")
    chosen = parser.parse_args()
    spent: dict[str, list[float]] = {"here": [], chosen.against: []}
    bucket = FullBucket()
    with (
        tempfile.TemporaryDirectory(prefix="imgpipe-down-") as scratch,
        tree_of(chosen.against, scratch) as other,
        LatencyProxy(LATENCY_S, bucket.answer) as proxy,
        emulator.running(proxy.port) as port,
    ):
        proxy.upstream_port = port
        for _ in range(chosen.rounds):
            for name, tree in (("here", ROOT), (chosen.against, other)):
                run = _runner(tree, Path(scratch), proxy.port)
                run("up")
                bucket.keys = [f"holiday/{number:06}.jpg" for number in range(chosen.objects)]
                spent[name].append(run("down", "--yes"))
                if bucket.keys:
                    raise RuntimeError(f"{len(bucket.keys)} pictures are left")
                print(f"{name}: {spent[name][-1]:.1f} s", file=sys.stderr, flush=True)
    here, there = (statistics.median(seconds) for seconds in spent.values())
    print(
        f"down with {chosen.objects:,} pictures: {here:.1f} s, at {chosen.against} {there:.1f} s, "
        f"ratio {there / here:.1f}"
    )
    return 0


def _runner(tree: Path, home: Path, port: int) -> Callable[..., float]:
    """Runs a command of that tree; the seconds that it took."""
    environment = emulator.scrubbed() | {
        "HOME": str(home),
        "IMGPIPE_STATE_DIR": str(home),
        "IMGPIPE_PROJECT": PROJECT,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_DEFAULT_REGION": emulator.REGION,
        **emulator.CREDENTIALS,
        "PYTHONPATH": str(tree),
    }

    def run(*command: str) -> float:
        began = time.monotonic()
        program = [sys.executable, "-m", "imgpipe_cli", *command, "--json"]
        done = subprocess.run(program, check=False, env=environment, cwd=home, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} failed: {done.stdout} {done.stderr}")
        return time.monotonic() - began

    return run


if __name__ == "__main__":
    sys.exit(main())
