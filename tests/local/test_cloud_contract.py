"""What the local cloud relies on in MiniStack, name by name, so that a new pin shows what it breaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imgpipe_cli.errors import Problem
from imgpipe_cli.local.emulator import private_names
from imgpipe_cli.local.emulator.environment import prepare
from imgpipe_cli.local.files import LocalFiles
from imgpipe_cli.local.process import spawn

# Runs in a process of its own: MiniStack reads its environment once, while it is imported.
PROGRAM = """
import json, os, sys
from pathlib import Path
from imgpipe_cli.local.emulator import private_names
from imgpipe_cli.local.emulator.environment import prepare
from imgpipe_cli.local.files import LocalFiles, make_folders
files = LocalFiles(Path(sys.argv[1]))
make_folders(files)
prepare(files, 4599, os.environ)
stack = private_names.load()
found = {}
modules = {name: sys.modules[f"ministack.{name}"] for name in private_names._NAMES}
def noticed():
    try:
        return list(private_names.differences(modules))
    except AttributeError as error:
        return [str(error)]
found["as it is"] = list(private_names.differences(modules))
for module, names in private_names._NAMES.items():
    for name in names:
        kept = getattr(modules[module], name)
        delattr(modules[module], name)
        found[f"{module}.{name}"] = noticed()
        setattr(modules[module], name, kept)
modules["services.s3"]._deliver_event_to_lambda = lambda arn, event_payload, bucket_region: None
found["caller"] = list(private_names.differences(modules))
found["format"] = json.loads(json.dumps({"k": b"x"}, default=stack.persistence._json_default))
print(json.dumps(found))
"""


NOBODY = """
import json, os, sys
from pathlib import Path
from imgpipe_cli.local.emulator import private_names
from imgpipe_cli.local.guard import anonymous
from imgpipe_cli.local.emulator.environment import prepare
from imgpipe_cli.local.files import LocalFiles, make_folders
files = LocalFiles(Path(sys.argv[1]))
make_folders(files)
prepare(files, 4599, os.environ)
stack = private_names.load()
anonymous.close_root(stack.iam_evaluator)
def may(key, action, service):
    return stack.iam_evaluator.enforce(key, action, service, "us-east-1") is None
roots = ("", "test", "000000000000", os.environ["AWS_ACCESS_KEY_ID"])
actions = (("iam:CreateAccessKey", "iam"), ("s3:PutObject", "s3"), ("execute-api:Invoke", "apigateway"))
told = {
    "root": [key for key in roots if stack.iam_evaluator.check_credentials(key) is None],
    "may": [action for key in roots for action, service in actions if may(key, action, service)],
}
with anonymous.anonymously("s3:PutObject"):
    pairs = [(key, *action) for key in roots for action in actions]
    told["may once"] = [[key, action] for key, action, service in pairs if may(key, action, service)]
told["may after"] = [action for action, service in actions if may("", action, service)]
print(json.dumps(told))
"""


def test_no_key_is_root_inside_and_nobody_may_do_one_named_action_at_most(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", NOBODY, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert json.loads(told.stdout) == {
        "root": [],
        "may": [],
        "may once": [["", "s3:PutObject"]],
        "may after": [],
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("contract")
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)], capture_output=True, text=True, check=True
    )
    answer: dict[str, Any] = json.loads(told.stdout)
    return answer


def test_every_private_name_is_there(found: dict[str, Any]) -> None:
    assert found["as it is"] == []


def test_each_missing_name_is_noticed(found: dict[str, Any]) -> None:
    assert not [name for name, problems in found.items() if name != "as it is" and not problems]
    assert found["caller"] == [
        "ministack.services.s3._deliver_event_to_lambda no longer calls invoke_async_with_retry"
    ]


def test_a_failed_self_test_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        private_names, "importlib", SimpleNamespace(import_module=lambda _: SimpleNamespace())
    )
    monkeypatch.setattr(private_names, "differences", lambda _: iter(["ministack.app.app is gone"]))
    with pytest.raises(Problem) as failed:
        private_names.load()
    assert failed.value.code == "local_self_test"
    assert "ministack.app.app is gone" in failed.value.message


def test_the_extra_and_its_version_are_asked_for_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(private_names, "version", lambda _: "1.5.34")
    with pytest.raises(Problem) as refused:
        private_names.check_installed()
    assert refused.value.code == "local_version"

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(private_names, "version", missing)
    with pytest.raises(Problem) as refused:
        private_names.check_installed()
    assert (refused.value.code, refused.value.hint) == ("local_not_installed", private_names.INSTALL)


def test_the_pin_is_the_version_we_know() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert f"ministack=={private_names.MINISTACK}" in project["project"]["optional-dependencies"]["local"]


def test_nothing_that_steers_aws_calls_reaches_the_cloud(tmp_path: Path) -> None:
    user = {
        "PATH": "/bin",
        "HOME": "/home/me",
        "AWS_PROFILE": "work",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "AWS_ACCESS_KEY_ID": "AKIAREAL",
        "HTTPS_PROXY": "http://proxy",
        "PYTHONPATH": "/elsewhere",
    }
    assert spawn.scrubbed(user) == {"PATH": "/bin", "HOME": "/home/me", "PYTHONUTF8": "1"}
    environment = dict(user)
    prepare(LocalFiles(tmp_path), 4599, environment)
    assert {"AWS_PROFILE", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "HTTPS_PROXY"}.isdisjoint(environment)
    assert environment["AWS_ACCESS_KEY_ID"] != "AKIAREAL"
    assert environment["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert (environment["AUTH"], environment["BIND_HOST"]) == ("true", "127.0.0.1")
    assert environment["TMPDIR"] == str(tmp_path / "tmp")


def test_the_models_runtime_keeps_no_id_of_the_machine(tmp_path: Path) -> None:
    """onnxruntime counts its use, on some systems, unless it is told before it is imported."""
    home = tmp_path / "home"
    home.mkdir()
    program = (
        "import os, sys; from pathlib import Path; from imgpipe_cli.local.files import LocalFiles\n"
        "from imgpipe_cli.local.emulator.environment import prepare\n"
        "prepare(LocalFiles(Path(sys.argv[1])), 4599, os.environ); import onnxruntime\n"
        "onnxruntime.SessionOptions()\n"
    )
    environment = {
        **spawn.scrubbed(dict(os.environ)),
        **{name: str(home) for name in ("HOME", "USERPROFILE", "LOCALAPPDATA", "APPDATA")},
    }
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, env=environment)
    assert list(home.rglob("*")) == []
