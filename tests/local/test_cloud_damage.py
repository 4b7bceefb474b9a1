"""The local cloud on files that are damaged: nothing starts empty in their place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.errors import Problem
from imgpipe_cli.local.files import LocalFiles
from imgpipe_cli.local.process import control
from tests.support.ports import keep_a_port

STUB = (sys.executable, "-P", str(Path(__file__).parents[1] / "support/stub_server.py"))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    keep_a_port(tmp_path)
    yield tmp_path
    control.stop(tmp_path)


def test_a_cut_snapshot_ends_the_start_and_the_older_one_is_taken_when_asked(
    folder: Path, pipelines: Callable[..., Any], connect: Callable[..., Any]
) -> None:
    files = LocalFiles(folder / "local")
    cloud = control.start(folder, command=STUB)
    connect(cloud, "ssm").put_parameter(Name="/imgpipe/whole/settings", Value="{}", Type="String")
    pipeline = pipelines(cloud, "whole")
    pipeline.put("a.jpg")
    pipeline.wait_for({"a.jpg"})
    control.stop(folder)

    parts = ("dynamodb", "s3", "iam", "ssm", "lambda", "sqs")
    cut = {}
    for name in parts:
        path = files.state / f"{name}.json"
        cut[path] = path.read_bytes()[: path.stat().st_size // 2]
        whole = path.read_bytes()
        path.write_bytes(cut[path])
        with pytest.raises(Problem) as refused:
            control.start(folder, command=STUB)
        assert refused.value.code == "local_data_damaged"
        assert str(path) in refused.value.message
        assert "--older" in refused.value.hint
        assert path.read_bytes() == cut[path]
        path.write_bytes(whole)
    # A payload of a form that MiniStack does not know ends the start too.
    path = files.state / "lambda.json"
    path.write_text('{"__ministack_format__": 2, "payload": {"functions": {"f": 5}}}')
    with pytest.raises(Problem, match=r"lambda\.json cannot be restored"):
        control.start(folder, command=STUB)

    for path, content in cut.items():
        path.write_bytes(content)
    control.start(folder, older=True, command=STUB)
    assert pipeline.keys() == {"a.jpg"}
    pipeline.put("b.jpg")
    pipeline.wait_for({"a.jpg", "b.jpg"})
    assert control.status(folder).projects == ("whole",)
    assert {path.read_bytes() for path in files.damaged.iterdir()} == set(cut.values())
