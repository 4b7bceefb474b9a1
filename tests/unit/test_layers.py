"""Imports run one way, and what is slow to import is imported only where it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import imgpipe_cli

ROOT = Path(imgpipe_cli.__file__).parent
PACKAGE = "imgpipe_cli"

# Part -> the parts it may import. Parts are the modules and packages of imgpipe_cli.
BASE = {"problems", "state_dir", "private_files", "regular_files", "keys", "pools", "imgpipe_cli"}
DATA = BASE | {"events", "names", "settings", "bundle", "configuration", "moments"}
RESULTS = {"api", "waiting", "listing"}
ALLOWED: dict[str, set[str]] = {
    "__main__": {"cli"},
    "cli": {"commands", "render", "problems", "aws", "aws_problems", "api", "imgpipe_cli"},
    "runner": DATA | {"aws", "aws_problems", "steps", "pipeline", "converging"},
    "converging": DATA | {"aws", "aws_problems", "steps", "pipeline"},
    "pipeline": DATA | {"aws", "aws_problems", "steps"},
    "outputs": DATA | {"aws", "aws_problems", "steps", "target"},
    "transfer": DATA | {"aws", "aws_problems", "picture", "sources", "stored_picture"},
    "sources": BASE | {"events", "picture"},
    "stored_picture": {"aws"},
    "api": DATA,
    "waiting": DATA | {"api"},
    "feed": DATA | {"api"},
    "listing": DATA | {"api", "waiting"},
    "steps": DATA | {"aws", "aws_problems"},
    "target": DATA | {"aws", "aws_problems", "local"},
    "local": BASE | {"lambda_code", "names"},
    "logs": DATA | {"aws", "aws_problems"},
    "retry": DATA | {"aws", "aws_problems", "steps", "target", "outputs", "stored_picture", *RESULTS},
    "explain": DATA
    | {"aws", "aws_problems", "steps", "target", "outputs", "stored_picture", *RESULTS}
    | {"pipeline", "runner", "deployed", "logs", "retry"},
    "aws": BASE | {"known_values", "sdk_errors", "sdk_settings"},
    "known_values": set(),
    "sdk_errors": set(),
    "sdk_settings": set(),
    "aws_problems": BASE | {"aws", "permissions", "sign_in_problems"},
    "sign_in_problems": BASE | {"aws"},
    "permissions": BASE | {"names", "permission_scopes"},
    "permission_scopes": BASE | {"names"},
    "picture": {"bundle"},
    "bundle": BASE,
    "configuration": BASE,
    "settings": BASE,
    "names": BASE,
    "state_dir": BASE,
    "private_files": set(),
    "regular_files": set(),
    "keys": BASE,
    "pools": set(),
    "events": set(),
    "problems": set(),
    "imgpipe_cli": set(),
}
# What no part may import unless it is said above.
TOP = {"cli", "__main__", "commands", "render", "local"}
# What these may import besides all parts below the top.
MORE = {"commands": {"render", "local"}, "doctor": {"local"}}
# Library -> the only parts that may import it.
LIBRARIES = {
    "boto3": {"aws", "local"},
    "botocore": {"aws", "local"},
    "rich": {"render"},
    "typer": {"cli", "commands"},
    "s3transfer": set(),
    "moto": set(),
    "pydantic": set(),
}


def part_of(module: str) -> str:
    """imgpipe_cli.deploy.steps.table -> steps"""
    return module.split(".")[1] if "." in module else module


def _module(path: Path) -> str:
    names = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def imports(tree: ast.AST, module: str, is_package: bool) -> Iterator[str]:
    """Every module that is imported when the code runs, wherever the statement stands."""
    for node in _running(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = module.split(".") if is_package else module.split(".")[:-1]
            start = parent[: len(parent) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            # `from imgpipe_cli import runner` imports a module, `from imgpipe_cli.aws.client import Aws` a name.
            names = [alias.name for alias in node.names]
            is_root = base == PACKAGE
            yield from (f"{base}.{name}" if is_root and _is_part(name) else base for name in names)


def _is_part(name: str) -> bool:
    return (ROOT / name).is_dir() or (ROOT / f"{name}.py").is_file()


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _running(child)


def may_import(own: str, other: str) -> bool:
    if own == other:
        return True
    return other in ALLOWED[own] if own in ALLOWED else other not in TOP - MORE.get(own, set())


def breaches(module: str, source: str, *, is_package: bool = False) -> list[str]:
    own = part_of(module)
    found = []
    for name in imports(ast.parse(source), module, is_package):
        library = name.split(".")[0]
        if library == PACKAGE and not may_import(own, part_of(name)):
            found.append(f"{module} imports {name}")
        if library in LIBRARIES and own not in LIBRARIES[library]:
            found.append(f"{module} imports {name}")
    return found


def _code() -> dict[Path, str]:
    found = {path: path.read_text() for path in ROOT.rglob("*.py") if "lambda_src" not in path.parts}
    assert len(found) > 40
    return found


def test_every_import_goes_down_and_libraries_stay_in_their_place() -> None:
    found = [
        breach
        for path, source in _code().items()
        for breach in breaches(_module(path), source, is_package=path.name == "__init__.py")
    ]
    assert found == []


def test_no_two_parts_need_each_other() -> None:
    needs: dict[str, set[str]] = {}
    for path, source in _code().items():
        own = part_of(_module(path))
        names = imports(ast.parse(source), _module(path), path.name == "__init__.py")
        ours = {part_of(name) for name in names if name.split(".")[0] == PACKAGE}
        needs.setdefault(own, set()).update(ours - {own})
    order = list(TopologicalSorter(needs).static_order())  # raises CycleError, which names the circle
    assert order.index("aws") < order.index("steps") < order.index("runner") < order.index("commands")


def test_the_table_names_only_parts_that_are_there() -> None:
    parts = {part_of(_module(path)) for path in _code()}
    assert parts >= set(ALLOWED) | TOP


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("imgpipe_cli.deploy.steps.table", "from imgpipe_cli import runner"),
        ("imgpipe_cli.deploy.steps.table", "from ..runner import up"),
        ("imgpipe_cli.deploy.steps.table", "from .. import runner"),
        ("imgpipe_cli.deploy.runner", "def f():\n    from imgpipe_cli.render.text import safe"),
        ("imgpipe_cli.aws.client", "import imgpipe_cli.aws.names"),
        ("imgpipe_cli.pictures.upload", "import boto3"),
        ("imgpipe_cli.deploy.runner", "from botocore.exceptions import ClientError"),
        ("imgpipe_cli.commands.up", "from rich.table import Table"),
        ("imgpipe_cli.render.screen", "import typer"),
        ("imgpipe_cli.pictures.waiting", "import imgpipe_cli.local.process.control"),
        ("imgpipe_cli.something_new", "from imgpipe_cli.render.text import safe"),
        ("imgpipe_cli.something_new", "from imgpipe_cli import commands"),
    ],
)
def test_a_breach_is_found(module: str, source: str) -> None:
    assert len(breaches(module, source)) == 1


def test_what_is_only_for_types_is_no_import() -> None:
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from imgpipe_cli import runner"
    assert breaches("imgpipe_cli.deploy.steps.table", source) == []


def test_importing_the_command_line_loads_nothing_slow() -> None:
    code = "import sys, imgpipe_cli.cli; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "typer" in loaded
    assert not loaded & {"boto3", "botocore", "rich", "pydantic", "asyncio", "urllib3", "numpy", "cv2"}
