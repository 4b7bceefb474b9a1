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
from imgpipe_cli.commands import table

ROOT = Path(imgpipe_cli.__file__).parent
PACKAGE = "imgpipe_cli"

# Part -> the parts it may import. Parts are the modules and packages of imgpipe_cli; each is listed.
GROUND = {"imgpipe_cli", "errors", "events", "system"}
ALLOWED: dict[str, set[str]] = {
    "imgpipe_cli": {"pipeline"},  # its own __init__: the version, and the interface for Python
    "errors": set(),
    "events": set(),
    "result": {"errors"},
    "system": {"errors"},
    "aws": {"errors", "system"},
    "lambdas": {"errors"},
    "local": GROUND | {"aws", "lambdas"},
    "session": GROUND | {"aws", "local"},
    "pictures": GROUND | {"aws", "lambdas", "session"},
    "deploy": GROUND | {"aws", "lambdas", "session", "pictures"},
    "diagnose": GROUND | {"aws", "lambdas", "session", "pictures", "local", "deploy"},
}
ALLOWED["render"] = set(ALLOWED) - {"local", "system", "imgpipe_cli"}
ALLOWED["commands"] = set(ALLOWED) - {"lambdas"}
ALLOWED["cli"] = set(ALLOWED) - {"lambdas", "local"}
ALLOWED["__main__"] = {"cli"}
ALLOWED["pipeline"] = GROUND | {"aws", "session", "pictures", "deploy"}
# Library -> the only parts that may import it.
LIBRARIES = {
    "awscrt": {"aws"},
    "boto3": {"aws", "local"},
    "botocore": {"aws", "local"},
    "rich": {"render"},
    "typer": {"cli", "commands"},
    "s3transfer": set(),
    "moto": set(),
    "pydantic": set(),
}


def part_of(module: str) -> str:
    """imgpipe_cli.deploy.steps.trigger -> deploy"""
    return module.split(".")[1] if "." in module else module


def _module(path: Path) -> str:
    names = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def imports(tree: ast.AST, module: str, is_package: bool) -> Iterator[str]:
    """Every module that is imported, wherever the statement stands, also if it is for types only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = module.split(".") if is_package else module.split(".")[:-1]
            start = parent[: len(parent) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            # `from imgpipe_cli import errors` imports a module, `from imgpipe_cli.errors import ...` a name.
            names = [f"{base}.{alias.name}" for alias in node.names]
            yield from (name if _is_module(name) else base for name in names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (str(name.value) for name in node.args if isinstance(name, ast.Constant))


def _is_module(name: str) -> bool:
    path = ROOT.parent.joinpath(*name.split("."))
    return name.startswith(f"{PACKAGE}.") and (path.is_dir() or path.with_suffix(".py").is_file())


def may_import(own: str, other: str) -> bool:
    """Raises KeyError for a part that the table does not list."""
    return own == other or other in ALLOWED[own]


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
        # The root only hands the interface for Python out, when somebody asks for it.
        needs.setdefault(own, set()).update(ours - {own, "pipeline"})
    order = list(TopologicalSorter(needs).static_order())  # raises CycleError, which names the circle
    assert order.index("aws") < order.index("deploy") < order.index("render") < order.index("commands")


def _needed_modules() -> dict[str, set[str]]:
    """Module -> the modules of the command line that it imports, wherever, also for types only."""
    code = {_module(path): (source, path.name == "__init__.py") for path, source in _code().items()}
    return {
        module: {name for name in imports(ast.parse(source), module, is_package) if name in code} - {module}
        for module, (source, is_package) in code.items()
    }


def test_no_two_modules_need_each_other() -> None:
    order = list(TopologicalSorter(_needed_modules()).static_order())  # raises CycleError
    assert order.index("imgpipe_cli.events") < order.index("imgpipe_cli.render.progress")


def test_no_two_packages_of_a_part_need_each_other() -> None:
    needs: dict[str, set[str]] = {}
    for module, others in _needed_modules().items():
        own = _package_of_a_part(module)
        within = {_package_of_a_part(name) for name in others if part_of(name) == part_of(module)}
        needs.setdefault(own, set()).update(within - {own, ""})
    order = list(TopologicalSorter({own: needs[own] for own in needs if own}).static_order())
    assert order.index("imgpipe_cli.local.emulator") < order.index("imgpipe_cli.local.process")


def _package_of_a_part(module: str) -> str:
    """imgpipe_cli.local.guard.room -> imgpipe_cli.local.guard; "" for what stands in the part itself."""
    names = module.split(".")
    return ".".join(names[:3]) if ROOT.parent.joinpath(*names[:3]).is_dir() and len(names) > 2 else ""


def test_the_table_names_all_parts_and_no_others() -> None:
    assert {part_of(_module(path)) for path in _code()} == set(ALLOWED)


def test_a_part_that_is_not_listed_is_refused() -> None:
    with pytest.raises(KeyError, match="something_new"):
        breaches("imgpipe_cli.something_new", "from imgpipe_cli import errors")


def test_the_package_is_small_enough_to_read_at_a_glance() -> None:
    entries = {one.name for one in ROOT.iterdir()} - {"__pycache__", "lambda_src"}
    assert len(entries) <= 18, sorted(entries)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("imgpipe_cli.aws.client", "from imgpipe_cli import deploy"),
        ("imgpipe_cli.aws.client", "from ..deploy import plan"),
        ("imgpipe_cli.aws.client", "from .. import deploy"),
        ("imgpipe_cli.deploy.plan", "def f():\n    from imgpipe_cli.render.text import safe"),
        ("imgpipe_cli.deploy.plan", "if TYPE_CHECKING:\n    from imgpipe_cli.render.text import safe"),
        ("imgpipe_cli.system.threads", "import imgpipe_cli.aws.names"),
        ("imgpipe_cli.system.threads", 'importlib.import_module("imgpipe_cli.aws.names")'),
        ("imgpipe_cli.pictures.sending.send", "import awscrt"),
        ("imgpipe_cli.deploy.plan", "from botocore.exceptions import ClientError"),
        ("imgpipe_cli.commands.up", "from rich.table import Table"),
        ("imgpipe_cli.render.screen", "import typer"),
        ("imgpipe_cli.pictures.waiting", "import imgpipe_cli.local.process.control"),
    ],
)
def test_a_breach_is_found(module: str, source: str) -> None:
    assert len(breaches(module, source)) == 1


def test_importing_the_command_line_loads_nothing_slow() -> None:
    code = (
        "import sys, imgpipe_cli.commands.program; "
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "typer" in loaded
    slow = {"awscrt", "boto3", "botocore", "rich", "pydantic", "asyncio", "urllib3", "numpy", "cv2"}
    assert not loaded & slow


def test_rich_is_imported_only_for_what_terminals_show() -> None:
    """Elsewhere the same lines come without it: it takes longer to load than a result takes to read."""
    found = {
        _module(path)
        for path, source in _code().items()
        if any(name.split(".")[0] == "rich" for name in imports(ast.parse(source), _module(path), False))
    }
    assert found == {f"{PACKAGE}.render.{name}" for name in ("console", "live", "rich_drawing")}


# The modules of commands, each of which may be imported by its name in the list of commands only.
COMMANDS = {f"{PACKAGE}.commands.{entry.module}" for entry in table.COMMANDS.values()}


def commands_imported(module: str, source: str) -> list[str]:
    return [name for name in imports(ast.parse(source), module, False) if name in COMMANDS - {module}]


def test_no_module_imports_a_command() -> None:
    code = {_module(path): source for path, source in _code().items()}
    assert code.keys() >= COMMANDS
    own = {module: source for module, source in code.items() if part_of(module) == "commands"}
    assert {module for module, source in own.items() if "\ndef register(" in source} == COMMANDS
    assert [(module, found) for module in code if (found := commands_imported(module, code[module]))] == []


@pytest.mark.parametrize(
    "source",
    [
        "from imgpipe_cli.commands.upload import finite",
        "from imgpipe_cli.commands import completion, upload",
        "from . import upload",
        "from .upload import finite",
        "def f():\n    import imgpipe_cli.commands.upload",
    ],
)
def test_a_command_that_imports_another_is_found(source: str) -> None:
    assert commands_imported("imgpipe_cli.commands.watch", source) == ["imgpipe_cli.commands.upload"]
    assert commands_imported("imgpipe_cli.commands.upload", source) == []


# Module or folder of deploy -> the modules of deploy that it may import besides its own.
WITHIN_DEPLOY = {
    "transient": set(),
    "resource": {"transient"},
    "resources": {"resource"},
    "steps": {"resource", "resources"},
}


def test_resources_know_no_steps_and_steps_no_runs() -> None:
    for path, source in _code().items():
        own, *_ = path.relative_to(ROOT / "deploy").with_suffix("").parts if "deploy" in path.parts else [""]
        if own in WITHIN_DEPLOY:
            names = imports(ast.parse(source), _module(path), path.name == "__init__.py")
            within = {name.split(".")[2] for name in names if name.startswith(f"{PACKAGE}.deploy.")}
            assert within <= WITHIN_DEPLOY[own] | {own}, path
