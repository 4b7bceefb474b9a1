"""The functions' zips."""

from __future__ import annotations

import ast
import base64
import hashlib
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import imgpipe_cli
from imgpipe_cli.aws.names import FUNCTIONS
from imgpipe_cli.errors import Problem
from imgpipe_cli.lambdas import package, source

REAL = package.source()
TEXT = {".py", ".html", ".css", ".js", ".svg"}


def _copied(folder: Path) -> ModuleType:
    """The module, of an installation in another place, with a copy of the functions' code."""
    own = Path(str(package.__file__))
    installed = folder / "imgpipe_cli"
    copy = installed / own.relative_to(Path(imgpipe_cli.__file__).parent)
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(REAL, installed / "lambda_src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(own, copy)
    spec = importlib.util.spec_from_file_location("copied_bundle", copy)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _names(function: str) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(package.build(function))).namelist()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_two_builds_in_two_places_are_the_same_bytes(tmp_path: Path, function: str) -> None:
    assert _copied(tmp_path).build(function) == package.build(function)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_times_modes_and_line_ends_do_not_matter(tmp_path: Path, function: str) -> None:
    module = _copied(tmp_path)
    for number, path in enumerate(sorted((tmp_path / "imgpipe_cli" / "lambda_src").rglob("*"))):
        if path.is_file():
            if path.suffix in TEXT:
                path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
            path.chmod(0o755 if number % 2 else 0o600)
        os.utime(path, (number * 1000, number * 1000))
    assert module.build(function) == package.build(function)


def test_what_python_and_editors_leave_behind_is_not_in_it(tmp_path: Path) -> None:
    module = _copied(tmp_path)
    root = tmp_path / "imgpipe_cli" / "lambda_src" / "web"
    for name in ("__pycache__/app.cpython-312.pyc", "app.pyc", ".DS_Store", "page/.cache/a/b/c/deep.js"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    assert module.build("web") == package.build("web")


def test_a_changed_line_is_another_zip(tmp_path: Path) -> None:
    module = _copied(tmp_path)
    path = tmp_path / "imgpipe_cli" / "lambda_src" / "shared" / "log.py"
    path.write_bytes(path.read_bytes() + b"\n# changed\n")
    assert module.build("web") != package.build("web")
    assert module.code_sha256("web") != package.code_sha256("web")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_it_holds_the_functions_own_folder_and_shared_and_nothing_else(function: str) -> None:
    expected = {
        path.relative_to(REAL).as_posix()
        for part in (function, "shared")
        for path in (REAL / part).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = _names(function)
    assert len(names) == len(set(names))
    assert set(names) == expected
    assert f"{function}/app.py" in expected
    assert "shared/__init__.py" in expected


@pytest.mark.parametrize("function", FUNCTIONS)
def test_unpacked_as_lambda_does_the_handler_is_importable(tmp_path: Path, function: str) -> None:
    path = tmp_path / "task"
    zipfile.ZipFile(io.BytesIO(package.build(function))).extractall(path)
    code = f"import {function}.app as app; assert callable(app.handler); print(app.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(path), "AWS_DEFAULT_REGION": "eu-west-1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(path))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_lambdas_user_may_read_every_file(function: str) -> None:
    for info in zipfile.ZipFile(io.BytesIO(package.build(function))).infolist():
        assert info.external_attr >> 16 & 0o777 == 0o644
        assert info.compress_type == zipfile.ZIP_STORED


def test_the_hash_is_the_one_that_lambda_reports() -> None:
    digest = hashlib.sha256(package.build("web")).digest()
    assert base64.b64decode(package.code_sha256("web")) == digest


def test_an_installation_without_the_code_says_so(tmp_path: Path) -> None:
    module = _copied(tmp_path)
    shutil.rmtree(tmp_path / "imgpipe_cli" / "lambda_src")
    with pytest.raises(Problem) as caught:
        module.build("web")
    assert caught.value.code == "no_lambda_code"


def test_the_command_line_loads_the_functions_rules_and_nobody_elses(tmp_path: Path) -> None:
    """Also where another package of that name can be imported."""
    for name in ("shared", "web"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('not ours')")
    code = (
        "from imgpipe_cli.lambdas import source\n"
        "for name in source.__all__:\n"
        "    print(getattr(source, name).__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(REAL.parent)))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [Path(path).name for path in done.stdout.splitlines()] == [
        "modules.py" if name == "page_modules" else f"{name}.py" for name in source.__all__
    ]
    assert all(Path(path).is_relative_to(REAL) for path in done.stdout.splitlines())


def test_a_rule_that_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_shared"):
        _ = source.nothing_shared


def test_no_module_of_the_command_line_imports_the_functions_by_their_own_names() -> None:
    """Only for its types: an installation has no packages of these names."""
    for path in Path(imgpipe_cli.__file__).parent.rglob("*.py"):
        if "lambda_src" in path.parts:
            continue
        for node in _run_at_import(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
            tops = {str(name).partition(".")[0] for name in names}
            assert not tops & {*FUNCTIONS, "get_result", "shared"}, f"{path}: {ast.unparse(node)}"


def _run_at_import(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from _run_at_import(node)
