"""What the labels and the faces of a picture cost in CPU, beside another commit:

    python benchmarks/analysis_cost.py --against COMMIT

Needs Linux or macOS, git and imgpipe[dev]. That commit analyzes without a model, this one with those that
everybody gets. Both take turns picture by picture, so that what else the machine does slows both.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from installed_models import with_models
from truth import pictures

ROOT = Path(__file__).resolve().parent.parent
OPERATIONS = ("DetectLabels", "DetectFaces")
ROUNDS = 2

# Runs in either tree, so it uses only what both have. Another ending makes other bytes of the same pixels, so
# that nothing comes from the cache.
_WORKER = """
import base64, json, sys, time
from pathlib import Path
from imgpipe_cli.local.models.store import ModelFolder
from imgpipe_cli.local.rekognition import Rekognition
service, salt = Rekognition(models=ModelFolder(Path(sys.argv[1]))), 0
service.warm()
for line in sys.stdin:
    path, operations = json.loads(line)
    spent = []
    for operation in operations:
        salt += 1
        data = Path(path).read_bytes() + salt.to_bytes(4, "big")
        request = {"Image": {"Bytes": base64.b64encode(data).decode()}}
        started = time.process_time()
        status, body = service.answer(operation, request, None)
        spent.append(time.process_time() - started)
        assert status == 200, body
    print(json.dumps(spent), flush=True)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the CPU of the local analysis with a commit's.")
    parser.add_argument("--against", required=True, metavar="COMMIT", help="the commit, without a model")
    commit = parser.parse_args().against
    paths = [path for path, _ in pictures()]
    with tempfile.TemporaryDirectory(prefix="imgpipe-cost-") as scratch, tree_of(commit, scratch) as other:
        models = with_models(Path(scratch) / "models").folder
        with _worker(ROOT, models) as ours, _worker(other, Path(scratch) / "none") as theirs:
            for worker in (ours, theirs):
                _spent(worker, paths[0])
            spent = {path: (_least(ours, path), _least(theirs, path)) for path in paths}
    print(f"CPU, ms: here / {commit}\n\n| picture | labels | faces |\n|---|---|---|")
    for path, (here, there) in spent.items():
        cells = [f"{1000 * one:.0f} / {1000 * two:.0f}" for one, two in zip(here, there, strict=True)]
        print(f"| {path.name} | {' | '.join(cells)} |")
    for number, operation in enumerate(OPERATIONS):
        ours_s, theirs_s = (sum(both[side][number] for both in spent.values()) for side in (0, 1))
        print(f"{operation}: {ours_s:.2f} s / {theirs_s:.2f} s = {ours_s / theirs_s:.2f}")
    return 0


@contextmanager
def tree_of(commit: str, scratch: str) -> Iterator[Path]:
    tree = Path(scratch) / "tree"
    subprocess.run(["git", "-C", ROOT, "worktree", "add", "--quiet", "--detach", tree, commit], check=True)
    try:
        yield tree
    finally:
        subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", tree], check=True)


@contextmanager
def _worker(tree: Path, models: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-P", "-c", _WORKER, str(models)]
    paths = os.pathsep.join(map(str, (tree, tree / "lambda_src")))
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    ) as worker:
        yield worker


def _least(worker: subprocess.Popen[str], path: Path) -> list[float]:
    return [min(column) for column in zip(*(_spent(worker, path) for _ in range(ROUNDS)), strict=True)]


def _spent(worker: subprocess.Popen[str], path: Path) -> list[float]:
    """Seconds of CPU for each operation."""
    assert worker.stdin is not None and worker.stdout is not None
    print(json.dumps([str(path), OPERATIONS]), file=worker.stdin, flush=True)
    spent: list[float] = json.loads(worker.stdout.readline())
    return spent


if __name__ == "__main__":
    sys.exit(main())
