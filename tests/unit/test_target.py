"""Which pipeline is meant: what was asked, and what is remembered."""

from __future__ import annotations

import json
import stat
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.session.remembered import Targets
from imgpipe_cli.session.target import Begun, Remembered, Target, refuse_several, resolve

AWS = Target("imgpipe", region="eu-west-1")
LOCAL = Target("imgpipe", local=True)


def remembered(target: Target = AWS, **changes: Any) -> Remembered:
    entry = Remembered(
        target=target,
        account="123456789012",
        region=target.region or "us-east-1",
        endpoint=None,
        bucket="b",
        api_url="https://x.example/prod",
        token="secret",
        private=False,
        min_confidence=70.0,
    )
    return replace(entry, **changes)


def asked(
    last: Target = AWS,
    known: tuple[Target, ...] = (),
    project: str | None = None,
    local: bool | None = None,
    region: str | None = None,
    profile: str | None = None,
) -> tuple[Target, Begun | None]:
    entries = [remembered(target) for target in known]
    return resolve(project=project, local=local, region=region, profile=profile, last=last, known=entries)


# --- resolve -------------------------------------------------------------------------------------


def test_without_anything_it_is_the_default_project_on_aws() -> None:
    assert asked(Target()) == (Target("imgpipe", local=False, region=None, profile=None), None)


def test_nothing_asked_means_the_remembered_pipeline() -> None:
    other = Target("other", region="us-east-1")
    assert asked(AWS, (other, AWS)) == (AWS, remembered(AWS))


@pytest.mark.parametrize(
    ("known", "asked_for", "named"),
    [
        ((AWS, Target("other", region="us-east-1")), {}, ("imgpipe (AWS", "other (AWS")),
        ((AWS, replace(AWS, region="us-east-1")), {}, ("eu-west-1", "us-east-1")),
        ((AWS, LOCAL), {}, ("imgpipe (local)", "imgpipe (AWS")),
        ((AWS, LOCAL), {"local": True}, ()),
        ((AWS, replace(AWS, region="us-east-1")), {"region": "eu-west-1"}, ()),
        ((AWS,), {}, ()),
        ((), {}, ()),
    ],
)
def test_one_of_several_pipelines_has_to_be_named(
    known: tuple[Target, ...], asked_for: dict[str, Any], named: tuple[str, ...]
) -> None:
    entries = [remembered(target) for target in known]
    narrowed: dict[str, Any] = {"local": None, "region": None, **asked_for}
    if not named:
        refuse_several(entries, **narrowed)
        return
    with pytest.raises(Problem) as refused:
        refuse_several(entries, **narrowed)
    assert (refused.value.code, refused.value.exit_code) == ("several_pipelines", ExitCode.USAGE)
    assert all(words in refused.value.message for words in named)
    assert "--project" in refused.value.hint


def test_after_down_the_place_stays_and_nothing_else_is_taken_instead() -> None:
    same_name_elsewhere = Target("imgpipe", region="us-east-1")
    assert asked(AWS, (same_name_elsewhere, LOCAL)) == (AWS, None)


def test_another_project_is_found_where_it_was_set_up() -> None:
    other = Target("other", region="us-east-1", profile="work")
    assert asked(AWS, (AWS, other), project="other") == (other, remembered(other))
    assert asked(LOCAL, (LOCAL, other), project="other")[0] == other


def test_a_project_nobody_knows_is_looked_for_in_the_last_place() -> None:
    last = Target("imgpipe", region="eu-west-1", profile="work")
    assert asked(last, (last,), project="new") == (replace(last, project="new"), None)


def test_the_region_asked_for_wins_over_the_remembered_one() -> None:
    assert asked(AWS, (AWS,), region="us-east-1") == (replace(AWS, region="us-east-1"), None)
    there = replace(AWS, region="us-east-1")
    assert asked(AWS, (AWS, there), region="us-east-1") == (there, remembered(there))


def test_the_profile_asked_for_wins_over_the_remembered_one() -> None:
    last = replace(AWS, profile="home")
    assert asked(last, (last,), profile="work") == (replace(AWS, profile="work"), None)


def test_local_and_aws_do_not_share_region_and_profile() -> None:
    last = replace(AWS, profile="work")
    assert asked(last, (last,), local=True) == (Target("imgpipe", local=True), None)
    assert asked(Target("imgpipe", local=True, region="eu-west-1"), local=False) == (Target("imgpipe"), None)


def test_local_asked_for_finds_the_local_pipeline_of_that_name() -> None:
    assert asked(AWS, (AWS, LOCAL), local=True) == (LOCAL, remembered(LOCAL))
    assert asked(LOCAL, (LOCAL, AWS), local=False) == (AWS, remembered(AWS))


def test_a_profile_from_the_folders_file_leaves_the_local_pipeline_alone() -> None:
    assert asked(LOCAL, (LOCAL,), profile="work") == (LOCAL, remembered(LOCAL))


def test_a_profile_on_the_local_cloud_is_a_usage_error() -> None:
    with pytest.raises(Problem) as caught:
        asked(local=True, profile="work")
    assert (caught.value.code, caught.value.exit_code) == ("bad_usage", ExitCode.USAGE)


@pytest.mark.parametrize("project", ["", "Bad"])
def test_a_bad_name_is_refused_even_when_another_is_remembered(project: str) -> None:
    with pytest.raises(Problem) as caught:
        asked(AWS, (AWS,), project=project)
    assert caught.value.code == "bad_project"


# --- Targets -------------------------------------------------------------------------------------


def test_an_empty_memory_knows_nothing(tmp_path: Path) -> None:
    assert Targets(tmp_path).read() == (Target(), [])


def test_what_is_put_is_read_again_and_is_the_target(tmp_path: Path) -> None:
    Targets(tmp_path).put(remembered(AWS))
    Targets(tmp_path).put(remembered(LOCAL))
    assert Targets(tmp_path).read() == (LOCAL, [remembered(LOCAL), remembered(AWS)])


def test_a_pipeline_put_again_replaces_itself(tmp_path: Path) -> None:
    Targets(tmp_path).put(remembered(AWS))
    Targets(tmp_path).put(remembered(AWS, token="new"))
    assert Targets(tmp_path).read() == (AWS, [remembered(AWS, token="new")])


def test_a_dropped_pipeline_is_forgotten_and_its_place_is_not(tmp_path: Path) -> None:
    Targets(tmp_path).put(remembered(AWS))
    Targets(tmp_path).put(remembered(LOCAL))
    Targets(tmp_path).drop(AWS)
    assert Targets(tmp_path).read() == (AWS, [remembered(LOCAL)])


def test_without_a_folder_it_lives_in_the_state_folder(state: Path) -> None:
    Targets().put(remembered())
    assert [path.name for path in state.iterdir()] == ["targets.json"]


def test_only_the_user_may_read_the_token(tmp_path: Path) -> None:
    Targets(tmp_path).put(remembered())
    assert stat.S_IMODE((tmp_path / "targets.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'{"version": 2, "last": {}, "pipelines": []}',
        b'{"version": 1, "last": {}}',
        b'{"version": 1, "last": {"planet": "mars"}, "pipelines": []}',
        b'{"version": 1, "last": {}, "pipelines": [{}]}',
        b'{"version": 1, "last": {}, "pipelines": ["x"]}',
    ],
)
def test_a_file_that_cannot_be_read_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "targets.json"
    path.write_bytes(content)
    assert Targets(tmp_path).read() == (Target(), [])
    Targets(tmp_path).put(remembered())
    assert Targets(tmp_path).read() == (AWS, [remembered()])


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    targets = Targets(tmp_path)
    targets.put(remembered())
    stop, indeterminate = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            try:
                json.loads((tmp_path / "targets.json").read_text())
            except (OSError, ValueError) as error:
                indeterminate.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(200):
        targets.put(remembered(token="t" * number * 50))
    stop.set()
    reader.join()
    assert indeterminate == []
    assert [path.name for path in tmp_path.iterdir()] == ["targets.json"]


def test_a_state_folder_that_cannot_be_written_is_a_problem_that_names_it(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    targets = Targets(folder)
    folder.rmdir()
    with pytest.raises(Problem) as caught:
        targets.put(remembered())
    assert caught.value.code == "state_dir_unusable"
    assert str(folder) in caught.value.message
    assert "IMGPIPE_STATE_DIR" in caught.value.hint


# --- an `up` that ended half-way -----------------------------------------------------------------

ON_THIS_MACHINE = Begun(LOCAL, "000000000000", "us-east-1", "http://127.0.0.1:4599")


def resolved(folder: Path, **asked_for: Any) -> Target:
    last, known = Targets(folder).read()
    options: dict[str, Any] = {"project": None, "local": None, "region": None, "profile": None}
    return resolve(**{**options, **asked_for}, last=last, known=known)[0]


@pytest.mark.parametrize("asked_for", [{}, {"project": "imgpipe"}, {"local": True}, {"region": "us-east-1"}])
@pytest.mark.parametrize("also_on_aws", [False, True])
def test_what_was_begun_is_where_the_next_command_goes(
    tmp_path: Path, asked_for: dict[str, Any], also_on_aws: bool
) -> None:
    if also_on_aws:
        Targets(tmp_path).put(remembered(AWS))
    Targets(tmp_path).begin(ON_THIS_MACHINE)
    assert resolved(tmp_path, **asked_for) == LOCAL


def test_what_was_begun_is_found_by_its_name_when_another_was_used_since(tmp_path: Path) -> None:
    Targets(tmp_path).begin(ON_THIS_MACHINE)
    Targets(tmp_path).put(remembered(Target("other", region="eu-west-1")))
    assert resolved(tmp_path, project="imgpipe") == LOCAL
    assert resolved(tmp_path) == Target("other", region="eu-west-1")


def test_what_was_begun_counts_where_one_of_several_has_to_be_named(tmp_path: Path) -> None:
    Targets(tmp_path).put(remembered(AWS))
    Targets(tmp_path).begin(ON_THIS_MACHINE)
    with pytest.raises(Problem, match=r"imgpipe \(local\)"):
        refuse_several(Targets(tmp_path).read()[1], local=None, region=None)


def test_what_is_remembered_of_a_pipeline_outlasts_the_beginning_of_a_change(tmp_path: Path) -> None:
    Targets(tmp_path).put(remembered(AWS))
    Targets(tmp_path).put(remembered(Target("other", region="eu-west-1")))
    Targets(tmp_path).begin(Begun(AWS, "123456789012", "eu-west-1", None))
    last, known = Targets(tmp_path).read()
    assert (last, remembered(AWS) in known, len(known)) == (AWS, True, 2)


@pytest.mark.parametrize("end", ["finished", "removed"])
def test_what_was_begun_is_forgotten_at_its_end(tmp_path: Path, end: str) -> None:
    targets = Targets(tmp_path)
    targets.begin(ON_THIS_MACHINE)
    if end == "finished":
        targets.put(remembered(LOCAL))
    else:
        targets.drop(LOCAL)
    assert targets.read() == (LOCAL, [remembered(LOCAL)] if end == "finished" else [])


def test_what_an_older_imgpipe_wrote_is_read(tmp_path: Path) -> None:
    Targets(tmp_path).put(remembered(AWS))
    path = tmp_path / "targets.json"
    document = json.loads(path.read_text())
    del document["begun"]
    path.write_text(json.dumps(document))
    assert Targets(tmp_path).read() == (AWS, [remembered(AWS)])
