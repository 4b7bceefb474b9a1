"""How long `imgpipe down` takes with many pictures, beside another commit:

    python benchmarks/emptying.py --against COMMIT

Needs Linux or macOS, git and imgpipe[local,dev]. Each round sets the pipeline up at a plain MiniStack, fills
the bucket, and times `imgpipe down --yes` as a process. A proxy adds to each call what the way to S3 takes;
both commits take turns, since other work slows both.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import emulator
from analysis_cost import ROOT, tree_of
from imgpipe_cli.aws.names import Names
from latency_proxy import LatencyProxy
from provisioning import LATENCY_S, PROJECT

_WRITERS = 8


def main() -> int:
    parser = argparse.ArgumentParser(description="Time imgpipe down with many pictures beside a commit's.")
    parser.add_argument("--against", required=True, metavar="COMMIT", help="the commit to compare with")
    parser.add_argument("--objects", type=int, default=20_000, help="how many pictures (default 20,000)")
    parser.add_argument("--rounds", type=int, default=1, help="rounds (default 1)")
    chosen = parser.parse_args()
    spent: dict[str, list[float]] = {"here": [], chosen.against: []}
    with (
        tempfile.TemporaryDirectory(prefix="imgpipe-down-") as scratch,
        tree_of(chosen.against, scratch) as other,
        LatencyProxy(LATENCY_S) as proxy,
        emulator.running(proxy.port) as port,
    ):
        proxy.upstream_port = port
        for _ in range(chosen.rounds):
            for name, tree in (("here", ROOT), (chosen.against, other)):
                run = _runner(tree, Path(scratch), proxy.port)
                run("up")
                _fill(port, chosen.objects)
                spent[name].append(run("down", "--yes"))
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


def _fill(port: int, objects: int) -> None:
    """Put the pictures there, without the trigger: they would be analyzed."""
    import boto3
    from botocore.config import Config

    s3 = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name=emulator.REGION,
        config=Config(max_pool_connections=_WRITERS),
        aws_access_key_id=emulator.CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=emulator.CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
    bucket = Names(PROJECT, emulator.ACCOUNT, emulator.REGION).bucket
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    with ThreadPoolExecutor(_WRITERS) as pool:
        keys = (f"holiday/{number:06}.jpg" for number in range(objects))
        for _ in pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b"picture"), keys):
            pass


if __name__ == "__main__":
    sys.exit(main())
