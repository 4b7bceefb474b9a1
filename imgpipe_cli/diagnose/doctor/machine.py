"""This machine: Python, libraries, imgpipe's own files, and the variables in force."""

from __future__ import annotations

import difflib
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from imgpipe_cli import __version__
from imgpipe_cli.diagnose.doctor.checks import Check, Outcome, of_problem
from imgpipe_cli.errors import Problem
from imgpipe_cli.session.project_file import FILE

Version = tuple[int, ...]
Installed = Callable[[str], str | None]

_OLDEST, _NEWEST = (3, 11), (3, 14)
# Read by imgpipe itself, and not by the parser of its options.
_OWN_VARIABLES = frozenset({"IMGPIPE_STATE_DIR", "IMGPIPE_LOCAL_LOG"})
_INSTALL = "in imgpipe's checkout: pipx install --force ."
_INSTALL_LOCAL = "in imgpipe's checkout: pipx install --force '.[local]'"


# --- Python and its packages ---------------------------------------------------------------------


def python(found: Version = sys.version_info[:3], system: str = sys.platform) -> Check:
    seen = f"{_text(found)} on {system}, imgpipe {__version__}"
    if found[:2] < _OLDEST:
        return Check("python", "failed", seen, f"Install Python {_text(_OLDEST)} or newer.")
    if found[:2] > _NEWEST:
        fix = f"imgpipe is made for Python {_text(_OLDEST)} to {_text(_NEWEST)}: use one of these."
        return Check("python", "warning", seen, fix)
    return Check("python", "ok", seen)


def libraries(requirements: Iterable[str], sdk_requirements: Iterable[str], installed: Installed) -> Check:
    """Those of imgpipe, and the part of the SDK that the SDK itself needs in step with it."""
    needed = dict(_named(requirements, extra=None))
    sdk = {name: clauses for name, clauses in _named(sdk_requirements, extra=None) if name == "botocore"}
    return _packages("libraries", needed | sdk, installed, _INSTALL)


def local_extra(requirements: Iterable[str], installed: Installed, *, asked: bool) -> Check:
    """asked: the target is the local cloud, which does not run without."""
    needed = dict(_named(requirements, extra="local"))
    if not asked and installed("ministack") is None:
        return Check("local_extra", "ok", f"not installed; only --local needs it ({_INSTALL_LOCAL})")
    found = _packages("local_extra", needed, installed, _INSTALL_LOCAL)
    if found.outcome == "failed" and not asked:
        return Check(found.id, "warning", found.seen, found.fix)
    return found


def _packages(check: str, needed: Mapping[str, str], installed: Installed, fix: str) -> Check:
    versions = {name: installed(name) for name in needed}
    wrong = [
        f"{name} {version or 'is missing'} (needed: {needed[name]})"
        for name, version in versions.items()
        if version is None or not fits(version, needed[name])
    ]
    if wrong:
        return Check(check, "failed", "; ".join(wrong), fix)
    return Check(check, "ok", ", ".join(f"{name} {version}" for name, version in versions.items()))


def _named(requirements: Iterable[str], extra: str | None) -> Iterator[tuple[str, str]]:
    """Those of one extra, or of none, as (name, version clauses); other conditions do not occur."""
    for requirement in requirements:
        text, _, condition = requirement.partition(";")
        wanted = re.search(r"extra == ['\"]([\w-]+)['\"]", condition)
        if (wanted[1] if wanted else None) == extra and (parts := _REQUIREMENT.match(text)):
            yield parts["name"], parts["clauses"].strip(" ()")


_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[[^]]*\])?\s*(?P<clauses>.*)")
_CLAUSE = re.compile(r"(>=|<=|==|!=|<|>)\s*([\d.]+)")


def fits(version: str, clauses: str) -> bool:
    """Whether a version is one that clauses such as `>=1.43,<2` ask for."""
    have = _numbers(version)
    tests: Mapping[str, Callable[[Version], bool]] = {
        ">=": lambda asked: have >= asked,
        "<=": lambda asked: have <= asked,
        "==": lambda asked: have == asked,
        "!=": lambda asked: have != asked,
        "<": lambda asked: have < asked,
        ">": lambda asked: have > asked,
    }
    return all(tests[sign](_numbers(number)) for sign, number in _CLAUSE.findall(clauses))


def _numbers(version: str) -> Version:
    """1.43.0 and 1.43 are the same version."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _text(version: Version) -> str:
    return ".".join(map(str, version))


# --- files ---------------------------------------------------------------------------------------


def state_dir(folder: Path, *, asked: bool = True) -> Check:
    """Whether imgpipe can write its files, and nobody else can read them: the token is among them.

    asked: the target is the local cloud, which keeps its data there; on AWS a pipeline is looked up.
    """
    there = folder
    while not os.path.exists(there) and there != there.parent:  # noqa: PTH110 (closed is not there)
        there = there.parent
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        fix = "Make it writable, or name another folder in IMGPIPE_STATE_DIR."
        outcome: Outcome = "failed" if asked else "warning"
        return Check("state_dir", outcome, f"{folder} cannot be written", fix)
    if there != folder:
        return Check("state_dir", "ok", f"{folder} (not made yet)")
    readable = [path for path in (folder, folder / "targets.json") if _others_may_read(path)]
    if readable:
        names = " ".join(f"'{path}'" for path in readable)
        return Check("state_dir", "warning", f"others may read {names}", f"chmod go= {names}")
    return Check("state_dir", "ok", f"{folder} (yours alone)")


def _others_may_read(path: Path) -> bool:
    return os.name == "posix" and path.exists() and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def configuration(folder: Path, read: Mapping[str, Any] | Problem) -> Check:
    """What the file of this folder sets."""
    if isinstance(read, Problem):
        return of_problem("configuration", read)
    if not read:
        there = (folder / FILE).exists()
        return Check(
            "configuration", "ok", f"{folder / FILE} sets nothing" if there else "none in this folder"
        )
    values = ", ".join(f"{name} = {value!r}" for name, value in read.items())
    return Check("configuration", "ok", f"{folder / FILE}: {values}")


# --- variables -----------------------------------------------------------------------------------


def environment(variables: Mapping[str, str], known: frozenset[str], *, profile_chosen: bool) -> Check:
    """The names of what is set, never the values: some are secret. known: imgpipe's own."""
    names = sorted(
        name for name, value in variables.items() if value and name.startswith(("IMGPIPE_", "AWS_"))
    )
    seen = ", ".join(names) or "no IMGPIPE_* or AWS_* variable is set"
    wrong = [*_unknown(names, known | _OWN_VARIABLES), *_contradictions(variables, profile_chosen)]
    if not wrong:
        return Check("environment", "ok", seen)
    return Check(
        "environment", "warning", seen, "; ".join(fix for _, fix in wrong), [why for why, _ in wrong]
    )


def _unknown(names: Iterable[str], known: frozenset[str]) -> Iterator[tuple[str, str]]:
    """(what is wrong, what to do)"""
    for name in names:
        if name.startswith("IMGPIPE_") and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            meant = f" (meant: {near[0]}?)" if near else ""
            yield f"imgpipe does not read {name}{meant}", f"unset {name}"


def _contradictions(variables: Mapping[str, str], profile_chosen: bool) -> Iterator[tuple[str, str]]:
    """(what is wrong, what to do)"""

    def given(name: str) -> str:
        return variables.get(name, "")

    key = given("AWS_ACCESS_KEY_ID")
    if key and given("AWS_PROFILE") and not profile_chosen:
        reason = "the keys of AWS_ACCESS_KEY_ID win over AWS_PROFILE"
        yield reason, "unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN (or AWS_PROFILE)"
    if key.startswith("AKIA") and given("AWS_SESSION_TOKEN"):
        yield "AWS_SESSION_TOKEN does not belong to a long-term key", "unset AWS_SESSION_TOKEN"
    regions = {given("AWS_REGION"), given("AWS_DEFAULT_REGION")} - {""}
    if len(regions) > 1:
        yield "AWS_REGION wins over AWS_DEFAULT_REGION, which differs", "unset AWS_DEFAULT_REGION"
