"""Installs a wheel and an sdist, each in an empty environment, and runs what needs no AWS account.

python .ci/check_release.py dist
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

# Runs in the new environment: the functions' code is complete and makes the zips that `up` deploys.
ZIPS = """
import json
from imgpipe_cli import __version__
from imgpipe_cli.lambdas import package
zips = {name: package.code_sha256(name) for name in ("ingest", "get_result", "web")}
print(json.dumps({"version": __version__, "zips": zips}))
"""


def main() -> int:
    folder = Path(sys.argv[1])
    built = sorted(folder.glob("*.whl")) + sorted(folder.glob("*.tar.gz"))
    if len(built) != 2:
        print(f"{folder} has {len(built)} files to check: a wheel and an sdist are expected", file=sys.stderr)
        return 1
    seen = [installed(path) for path in built]
    if seen[0] != seen[1]:
        print(f"wheel and sdist differ: {seen}", file=sys.stderr)
        return 1
    print(f"imgpipe {seen[0]['version']}: wheel and sdist install, answer and make the same functions")
    return 0


def installed(path: Path) -> dict[str, object]:
    """Install the file with its dependencies and run it; its version and the hashes of its functions."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        programs = Path(folder) / ("Scripts" if os.name == "nt" else "bin")
        # Nothing of the checkout, of the developer's settings or of an AWS configuration.
        environment = {
            name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "PIP_INDEX_URL") if name in os.environ
        }
        environment |= {"HOME": folder, "IMGPIPE_STATE_DIR": f"{folder}/state"}

        def run(*command: str) -> str:
            return subprocess.run(
                command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
            ).stdout

        python, imgpipe = str(programs / "python"), str(programs / "imgpipe")
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(path.resolve()))
        found: dict[str, object] = json.loads(run(python, "-c", ZIPS))
        assert run(imgpipe, "--version").strip() == f"imgpipe {found['version']}"
        assert "imgpipe up --local" in run(imgpipe, "--help")
        assert json.loads(run(imgpipe, "policy", "--for", "upload"))["Statement"]
        return found


if __name__ == "__main__":
    sys.exit(main())
