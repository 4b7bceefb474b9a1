"""`imgpipe_cli.Pipeline` against a bucket of moto's and a played API."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

import imgpipe_cli
from imgpipe_cli import Pipeline, pipeline
from imgpipe_cli.errors import Problem
from tests.support.api_server import Answer, FakeApi, Request, failed, item
from tests.support.cli import NAMES, remember

CAT = Path(__file__).parents[2] / "examples" / "cat.jpg"
LABELS = [{"Name": "Cat", "Confidence": 98.0}, {"Name": "Sofa", "Confidence": 60.0}]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    found = tmp_path / "pics"
    found.mkdir()
    (found / "a.jpg").write_bytes(CAT.read_bytes())
    (found / "b.jpg").write_bytes(CAT.read_bytes() + b"\0")
    return found


def test_pictures_go_in_and_results_come_out(folder: Path, played: FakeApi, bucket: Any) -> None:
    there = Pipeline()
    sent = there.upload(folder, str(folder / "missing.jpg"), prefix="x")
    assert sent.sent == 2
    assert list(sent.versions) == ["x/pics/a.jpg", "x/pics/b.jpg"]
    assert "There is no such file" in sent.refused[str(folder / "missing.jpg")]
    for key, version in sent.versions.items():
        assert bucket.head_object(Bucket=NAMES.bucket, Key=key)["VersionId"] == version
        played.store(item(key, version, labels=LABELS))
    came: list[str] = []
    results = there.wait(sent, on_result=lambda one: came.append(one["objectKey"]))
    assert results.keys() == sent.versions.keys() == set(came)
    assert there.result("x/pics/a.jpg") == results["x/pics/a.jpg"]
    # What is there already is not sent again, and has its result, too.
    again = there.upload(folder, prefix="x", exclude=["b.jpg"])
    assert (again.sent, list(again.versions)) == (0, ["x/pics/a.jpg"])
    assert there.upload(folder / "a.jpg", key="x/pics/a.jpg", force=True).sent == 1


def test_a_result_that_does_not_come_is_none(played: FakeApi) -> None:
    played.store(item("there"))
    assert Pipeline().wait(["there", "new"], timeout_s=0) == {"there": item("there"), "new": None}
    assert Pipeline().result("new") is None


def test_results_are_listed_as_far_as_they_are_needed(played: FakeApi) -> None:
    played.store(*(item(f"{n:03}.jpg", labels=LABELS) for n in range(150)), item("dog.jpg"))
    played.store(failed("bad.jpg", retryable=False))
    there = Pipeline("demo")
    assert [one["objectKey"] for one in there.find(status="failed")] == ["bad.jpg"]
    assert [one["objectKey"] for one in there.find(prefix="dog")] == ["dog.jpg"]
    assert len(list(there.find())) == 152
    played.asked.clear()
    next(there.find())
    assert len(played.asked) == 1


def test_results_are_found_by_what_they_show(played: FakeApi) -> None:
    pages = {None: ([item("p/best.jpg")], "1"), "1": ([item("p/good.jpg")], None)}

    def found(request: Request) -> Answer:
        items, following = pages[request.query.get("after")]
        return Answer(body={"items": items, "next": following, "index": {"complete": True}})

    played.found = found
    there = Pipeline()
    keys = [one["objectKey"] for one in there.find("Cat", "Sofa", any_label=True, text="open", prefix="p/")]
    assert keys == ["p/best.jpg", "p/good.jpg"]
    asked = {"label": ["Cat", "Sofa"], "any": ["true"], "text": ["open"], "prefix": ["p/"]}
    assert played.asked[0].every == {**asked, "min_confidence": ["70"], "limit": ["100"]}
    list(there.find(name="cat", min_confidence=50))
    assert played.asked[-1].query["min_confidence"] == "50"


def test_everything_that_goes_wrong_is_a_problem(played: FakeApi, tmp_path: Path) -> None:
    there = Pipeline()
    with mock_aws():
        with pytest.raises(Problem) as raised:
            there.upload(CAT)
        assert raised.value.code == "not_set_up"
        played.instead = [Answer(401, {"error": {"code": "unauthorized", "message": "No."}})]
        with pytest.raises(Problem) as raised:
            there.result("a")
        assert raised.value.code == "not_set_up", "it was looked up, since the token is another one"
    with pytest.raises(Problem, match="1 to 1024 bytes"):
        there.result("")
    with pytest.raises(Problem, match="may hold lower-case letters"):
        Pipeline("NOT A NAME")


def test_a_pipeline_that_is_not_remembered_is_looked_up(played: FakeApi) -> None:
    remember(played.url, token="")
    with mock_aws(), pytest.raises(Problem) as raised:
        Pipeline().result("a")
    assert raised.value.code == "not_set_up"


def test_it_is_loaded_when_it_is_asked_for() -> None:
    code = "import imgpipe_cli, sys; print(*sys.modules); imgpipe_cli.Pipeline; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = done.stdout.splitlines()
    assert "imgpipe_cli.pipeline" not in before.split()
    assert "imgpipe_cli.pipeline" in after.split()
    assert "boto3" not in after.split()
    with pytest.raises(AttributeError, match="Pipelin'"):
        imgpipe_cli.Pipelin  # noqa: B018


def test_it_is_thin_and_documented() -> None:
    lines = Path(pipeline.__file__).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 200
    public = {name: one for name, one in vars(Pipeline).items() if not name.startswith("_")}
    assert public.keys() == {"upload", "wait", "result", "find"}
    assert all(inspect.getdoc(one) for one in public.values())
