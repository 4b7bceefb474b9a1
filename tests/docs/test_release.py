"""The publishing workflow waits for the owner, and every action in it is pinned."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

WORKFLOWS = sorted((Path(__file__).resolve().parents[2] / ".github" / "workflows").glob("*.yml"))
PUBLISH = next(path for path in WORKFLOWS if path.name == "publish.yml")


def test_publishing_is_started_by_hand_and_needs_a_protected_environment() -> None:
    # YAML reads the key `on` as true.
    workflow = {str(key): value for key, value in yaml.safe_load(PUBLISH.read_text(encoding="utf-8")).items()}
    assert set(workflow["True"]) == {"workflow_dispatch"}
    publish = workflow["jobs"]["publish"]
    assert (publish["environment"], publish["needs"]) == ("pypi", "build")
    assert {"run": "make release"} in workflow["jobs"]["build"]["steps"]


def test_every_action_is_pinned_to_a_commit() -> None:
    used = [line for path in WORKFLOWS for line in re.findall(r"uses: (\S+)", path.read_text("utf-8"))]
    assert len(used) > 5
    assert [line for line in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", line)] == []
