"""How long `imgpipe down` takes with many pictures, beside another commit:

    python benchmarks/emptying.py --against COMMIT

Needs Linux or macOS, git and imgpipe[dev]. Each round sets the pipeline up at a moto server of its own, puts
the objects into its memory, and times `imgpipe down --yes` as a process. A proxy adds to each call what the
way to S3 takes; both take turns, since other work slows both.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from moto.core.config import default_user_config
from moto.moto_api._internal import moto_api_backend
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from analysis_cost import ROOT, tree_of
from emulator import scrubbed
from latency_proxy import LatencyProxy

REGION, PROJECT = "eu-west-1", "demo"
ACCOUNT = "123456789012"  # moto's


def main() -> int:
    parser = argparse.ArgumentParser(description="Time imgpipe down with many pictures beside a commit's.")
    parser.add_argument("--against", required=True, metavar="COMMIT", help="the commit to compare with")
    parser.add_argument("--objects", type=int, default=20_000, help="how many pictures (default 20,000)")
    parser.add_argument("--latency", type=float, default=0.08, help="seconds added to a call (default 0.08)")
    parser.add_argument("--rounds", type=int, default=1, help="rounds (default 1)")
    chosen = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    default_user_config["lambda"]["use_docker"] = False  # nothing is invoked here
    spent: dict[str, list[float]] = {"here": [], chosen.against: []}
    with (
        tempfile.TemporaryDirectory(prefix="imgpipe-down-") as scratch,
        tree_of(chosen.against, scratch) as other,
    ):
        for _ in range(chosen.rounds):
            for name, tree in (("here", ROOT), (chosen.against, other)):
                spent[name].append(_removal_s(tree, Path(scratch), chosen.objects, chosen.latency))
                print(f"{name}: {spent[name][-1]:.1f} s", file=sys.stderr, flush=True)
    here, there = (statistics.median(seconds) for seconds in spent.values())
    print(
        f"down with {chosen.objects:,} pictures: {here:.1f} s, at {chosen.against} {there:.1f} s, "
        f"ratio {there / here:.1f}"
    )
    return 0


def _removal_s(tree: Path, scratch: Path, objects: int, latency_s: float) -> float:
    moto_api_backend.reset()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    with LatencyProxy(latency_s) as proxy:
        _, proxy.upstream_port = server.get_host_and_port()
        environment = {
            **scrubbed(),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}",
            "AWS_ACCESS_KEY_ID": "AKIATEST",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "HOME": str(scratch),
            "PYTHONPATH": str(tree),
        }
        run = [sys.executable, "-m", "imgpipe_cli"]
        place = ["--project", PROJECT, "--region", REGION]

        def call(*command: str) -> float:
            began = time.monotonic()
            subprocess.run(
                [*run, *command, *place], check=True, env=environment, cwd=scratch, stdout=subprocess.DEVNULL
            )
            return time.monotonic() - began

        call("up", "--json")
        _fill(objects)
        took_s = call("down", "--yes", "--json")
    server.stop()
    return took_s


def _fill(objects: int) -> None:
    backend = s3_backends[ACCOUNT]["aws"]
    bucket = next(name for name in backend.buckets if name.startswith(f"{PROJECT}-uploads-"))
    backend.buckets[bucket].notification_configuration = None  # moto would call the function
    for number in range(objects):
        backend.put_object(bucket, f"holiday/{number:06}.jpg", b"picture")


if __name__ == "__main__":
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)
    sys.exit(main())
