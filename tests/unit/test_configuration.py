"""imgpipe.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.session.project_file import read


def _write(folder: Path, content: str | bytes) -> Path:
    data = content.encode() if isinstance(content, str) else content
    (folder / "imgpipe.toml").write_bytes(data)
    return folder


def test_a_folder_without_the_file_asks_for_nothing(tmp_path: Path) -> None:
    assert read(tmp_path) == {}


def test_every_option_can_stand_in_the_file(tmp_path: Path) -> None:
    text = """
        project = "holiday"
        profile = "work"
        region = "eu-west-1"
        local = false
        features = ["labels", "text"]
        min_confidence = 80
        private = true
        results = "s3"
    """
    assert read(_write(tmp_path, text)) == {
        "project": "holiday",
        "profile": "work",
        "region": "eu-west-1",
        "local": False,
        "features": ["labels", "text"],
        "min_confidence": 80,
        "private": True,
        "results": "s3",
    }


def test_features_may_be_written_as_on_the_command_line(tmp_path: Path) -> None:
    assert read(_write(tmp_path, 'features = "labels,text"')) == {"features": "labels,text"}


def test_the_mark_that_windows_editors_put_first_is_no_fault(tmp_path: Path) -> None:
    assert read(_write(tmp_path, b'\xef\xbb\xbfproject = "holiday"')) == {"project": "holiday"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('projekt = "a"', ("unknown option 'projekt'", "project")),
        ("[imgpipe]\nproject = 'a'", ("unknown option 'imgpipe'",)),
        ("project = 5", ("project", "5", "Write a text.")),
        ("project = true", ("project", "True", "Write a text.")),
        ('local = "yes"', ("local", "'yes'", "Write true or false.")),
        ("private = 1", ("private", "1", "Write true or false.")),
        ("min_confidence = true", ("min_confidence", "True", "Write a number.")),
        ("min_confidence = 101", ("min_confidence", "0 to 100")),
        ("min_confidence = -0.5", ("min_confidence", "0 to 100")),
        ("min_confidence = nan", ("min_confidence", "0 to 100")),
        ("rekognition_tps = 0", ("rekognition_tps", "above 0")),
        ("rekognition_tps = -1", ("rekognition_tps", "above 0")),
        ("rekognition_tps = nan", ("rekognition_tps", "above 0")),
        ("rekognition_tps = 100_001", ("rekognition_tps", "at most 100,000")),
        ("monthly_limit = -1", ("monthly_limit", "from 0 to 1,000,000,000")),
        ("monthly_limit = 1.5", ("monthly_limit", "Write a whole number.")),
        ("rekognition_tps = true", ("rekognition_tps", "Write a number.")),
        ("features = [1]", ("features", "list of names")),
        ("features = { labels = true }", ("features", "Write a text or a list of names.")),
        ("project = \nlocal = true", ("not valid TOML", "line 1")),
        ('a = 1\na = 2\nproject = "x"', ("not valid TOML", "line 2")),
        (b'project = "\xff"', ("cannot be read", "UTF-8")),
        ('project = "a"'.encode("utf-16"), ("cannot be read", "UTF-8")),
    ],
)
def test_what_is_wrong_in_the_file_is_a_usage_error_that_names_it(
    tmp_path: Path, content: str | bytes, words: tuple[str, ...]
) -> None:
    with pytest.raises(Problem) as caught:
        read(_write(tmp_path, content))
    assert (caught.value.code, caught.value.exit_code) == ("bad_configuration", ExitCode.USAGE)
    told = f"{caught.value.message} {caught.value.hint}"
    assert "imgpipe.toml" in told
    for word in words:
        assert word in told


def test_a_folder_in_the_place_of_the_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "imgpipe.toml").mkdir()
    with pytest.raises(Problem) as caught:
        read(tmp_path)
    assert caught.value.code == "bad_configuration"
    assert "UTF-8" not in str(caught.value.hint)
