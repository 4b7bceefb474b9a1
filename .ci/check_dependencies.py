"""Licenses and known vulnerabilities of everything that requirements-dev.txt locks.

Exit code 1 for a license that is not allowed or a known vulnerability. What cannot be asked here (no network,
a registry without advisories) is said in capitals and does not fail: a check that was not made must not read
as one that passed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCK = "requirements-dev.txt"


def main() -> int:
    return max(licenses(), vulnerabilities())


def licenses() -> int:
    """Which are allowed stands in pyproject.toml, under tool.pip-licenses.

    Only what is installed can be asked: the lock also names what other systems and Pythons need.
    """
    done = _run("piplicenses", "--summary")
    elsewhere = sorted(name for name in _locked() if not _installed(name))
    if done.returncode:
        print(f"LICENCES: {done.stderr}{done.stdout}")
    else:
        unasked = f", NOT ASKED (for other systems): {', '.join(elsewhere)}" if elsewhere else ""
        print(f"licenses: all allowed{unasked}")
    return done.returncode


def _locked() -> set[str]:
    return set(re.findall(r"^([a-z0-9][a-z0-9._-]*)==", (ROOT / LOCK).read_text("utf-8"), re.MULTILINE))


def _installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def vulnerabilities() -> int:
    done = _run(
        "pip_audit",
        *("--requirement", LOCK, "--require-hashes", "--disable-pip"),
        *("--format", "json", "--progress-spinner", "off"),
    )
    try:
        found = json.loads(done.stdout)["dependencies"]
    except ValueError:
        last = done.stderr.strip().splitlines()[-1:] or ["no answer"]
        return _skipped(f"no advisories could be read ({last[0]})")
    asked = [package for package in found if "skip_reason" not in package]
    if not asked:
        return _skipped(f"the registry in use has no advisories ({len(found)} packages asked for)")
    for package in asked:
        for known in package["vulns"]:
            fixed = ", ".join(known["fix_versions"]) or "no release"
            print(f"VULNERABLE: {package['name']} {package['version']}: {known['id']}, fixed in {fixed}")
    unasked = f", NOT ASKED: {len(found) - len(asked)}" if len(asked) < len(found) else ""
    print(f"vulnerabilities: {len(asked)} packages asked for{unasked}")
    return int(any(package["vulns"] for package in asked))


def _skipped(why: str) -> int:
    print(f"SKIPPED, NOT PASSED: the search for known vulnerabilities: {why}", file=sys.stderr)
    return 0


def _run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)


if __name__ == "__main__":
    sys.exit(main())
