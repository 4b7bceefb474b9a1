"""What CI and developers install is locked with hashes, and is what pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# A name locked twice has a marker for each, such as one version for an old Python and one for the new.
_ENTRY = re.compile(r"^(?P<requirement>[a-z0-9].*?) \\\n(?P<hashes>(?: {4}--hash=.*\n)+)", re.MULTILINE)


def locked() -> dict[str, list[str]]:
    """Package -> the versions locked."""
    found: dict[str, list[str]] = {}
    for entry in _ENTRY.finditer(LOCK):
        requirement = Requirement(entry["requirement"])
        [pin] = requirement.specifier
        assert pin.operator == "==", entry["requirement"]
        found.setdefault(canonicalize_name(requirement.name), []).append(pin.version)
    return found


def declared() -> list[Requirement]:
    groups = [
        PROJECT["project"]["dependencies"],
        PROJECT["build-system"]["requires"],
        *PROJECT["project"]["optional-dependencies"].values(),
    ]
    found = [Requirement(line) for group in groups for line in group]
    return [requirement for requirement in found if requirement.name != "imgpipe"]


@pytest.mark.parametrize("requirement", declared(), ids=str)
def test_the_lock_holds_what_pyproject_asks_for(requirement: Requirement) -> None:
    versions = locked().get(canonicalize_name(requirement.name), [])
    assert versions, "run make lock"
    assert all(requirement.specifier.contains(version) for version in versions), "run make lock"


def test_everything_in_the_lock_has_a_hash_and_comes_from_the_index() -> None:
    entries = [line for line in LOCK.splitlines() if line and line[0] not in "# "]
    assert len(entries) == sum(map(len, locked().values())) > 100
    assert "://" not in LOCK


def test_users_get_ranges_with_a_lower_bound_and_what_is_embedded_exactly() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    for line in [*PROJECT["project"]["dependencies"], *extras["local"]]:
        requirement = Requirement(line)
        operators = {bound.operator for bound in requirement.specifier}
        if requirement.name == "ministack":  # embedded through private names
            assert operators == {"=="}
            continue
        assert ">=" in operators
        assert not operators & {"==", "~=", "!="}
        lowest = min(Version(bound.version) for bound in requirement.specifier)
        assert all(
            version >= lowest for version in map(Version, locked()[canonicalize_name(requirement.name)])
        )
