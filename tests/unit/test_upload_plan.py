"""Which files become which keys."""

from __future__ import annotations

import io
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from imgpipe_cli.errors import ExitCode, Problem
from imgpipe_cli.events import Event, Note, PassedOver, Refused
from imgpipe_cli.pictures import keys
from imgpipe_cli.pictures.patterns import Patterns
from imgpipe_cli.pictures.sending.plan import Plan
from imgpipe_cli.pictures.sources import Source

E_ACUTE = "é"
DECOMPOSED = unicodedata.normalize("NFD", E_ACUTE)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with pictures, which is the current one."""
    root = tmp_path / "album"
    for name in ("a.jpg", "b.png", "pics/c.jpg", "pics/deep/er/d.jpg", "pics/.hidden.jpg", "pics/.git/e.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    monkeypatch.chdir(root)
    return root


def plan(
    paths: Sequence[str], told: list[Event] | None = None, **options: Any
) -> tuple[list[Source], list[Refused]]:
    """The pictures of a plan, and what it refuses; told gets all else that it tells."""
    found = list(Plan(paths, **options))
    if told is not None:
        told += [one for one in found if isinstance(one, Note | PassedOver)]
    sources = [one for one in found if isinstance(one, Source)]
    return sources, [one for one in found if isinstance(one, Refused)]


def _keys(*paths: str, prefix: str = "", key: str | None = None) -> list[str]:
    sources, refused = plan(paths, prefix=prefix, key=key)
    assert refused == []
    return [source.key for source in sources]


def _refused(*paths: str) -> list[tuple[str, str]]:
    return [(one.source, one.code) for one in plan(paths)[1]]


def _usage(*paths: str, prefix: str = "", key: str | None = None) -> Problem:
    with pytest.raises(Problem) as caught:
        plan(paths, prefix=prefix, key=key)
    assert (caught.value.code, caught.value.exit_code) == ("bad_usage", ExitCode.USAGE)
    return caught.value


def test_a_file_gives_its_base_name(here: Path) -> None:
    assert _keys("a.jpg", "pics/c.jpg", str(here / "b.png")) == ["a.jpg", "c.jpg", "b.png"]


@pytest.mark.parametrize("folder", ["pics", "pics/", "./pics", "pics/.", "pics/deep/..", "../album/pics"])
def test_a_folder_gives_keys_under_its_name(folder: str) -> None:
    assert _keys(folder) == ["pics/c.jpg", "pics/deep/er/d.jpg"]


def test_an_absolute_folder_gives_keys_under_its_own_name_only(here: Path) -> None:
    assert _keys(str(here / "pics" / "deep")) == ["deep/er/d.jpg"]


@pytest.mark.parametrize(("folder", "start"), [(".", "album"), ("..", "root")])
def test_dots_have_the_name_of_the_folder_they_mean(here: Path, folder: str, start: str) -> None:
    parent = here.parent.name
    keys = _keys(folder)
    first = {"album": "album/a.jpg", "root": f"{parent}/album/a.jpg"}[start]
    assert keys[0] == first
    assert len(keys) == 4


def test_hidden_files_are_sent_only_when_named() -> None:
    assert ".hidden.jpg" in _keys("pics/.hidden.jpg")
    assert all(".hidden" not in key and ".git" not in key for key in _keys("pics"))


def test_the_data_is_that_of_the_file() -> None:
    sources, _ = plan(["pics"])
    assert [source.read()[0] for source in sources] == [b"pics/c.jpg", b"pics/deep/er/d.jpg"]


@pytest.mark.parametrize(
    ("prefix", "key", "said", "hint"),
    [
        ("", "\udcff.jpg", "The key '\\udcff.jpg' is not valid Unicode.", "--key"),
        ("\udcff", None, "The prefix '\\udcff' is not valid Unicode.", "--prefix"),
        ("", "", "The key that is named is empty.", "leave it out"),
    ],
)
def test_the_option_that_is_wrong_is_named(prefix: str, key: str | None, said: str, hint: str) -> None:
    problem = _usage("a.jpg", prefix=prefix, key=key)
    assert problem.message == said
    assert hint in str(problem.hint)


def test_folders_deeper_than_any_key_are_refused_once(here: Path) -> None:
    """In the order of names, and without a call for each folder within a folder."""
    place = here / "deep"
    for _ in range(1500):
        place.mkdir()
        place /= "d"
    (here / "deep" / "z.jpg").touch()
    try:
        sources, refused = plan(["deep"])
    finally:  # pytest's own removal would call itself for each of them
        while (place := place.parent) != here:
            (place / "z.jpg").unlink(missing_ok=True)
            place.rmdir()
    assert [source.key for source in sources] == ["deep/z.jpg"]
    assert [one.code for one in refused] == ["bad_usage"]


def test_a_link_back_up_does_not_go_round_for_ever(here: Path) -> None:
    (here / "pics" / "loop").symlink_to(here, target_is_directory=True)
    assert _keys("pics") == ["pics/c.jpg", "pics/deep/er/d.jpg"]


def test_a_folder_named_by_a_link_has_the_links_name(here: Path) -> None:
    (here / "holiday").symlink_to(here / "pics", target_is_directory=True)
    assert _keys("holiday") == ["holiday/c.jpg", "holiday/deep/er/d.jpg"]


def test_a_link_to_a_file_of_the_folder_is_that_file(here: Path) -> None:
    (here / "pics" / "z.jpg").symlink_to(here / "pics" / "c.jpg")
    assert "pics/z.jpg" in _keys("pics")
    (here / "pics" / "deep" / "y.jpg").symlink_to("../c.jpg")
    assert "pics/deep/y.jpg" in _keys("pics")


def test_a_link_out_of_the_folder_is_not_followed(here: Path) -> None:
    """Whoever may write into a folder must not have any file of the machine sent."""
    (here / "pics2").mkdir()
    (here / "pics2" / "b.jpg").write_bytes(b"beside")
    (here / "pics" / "up.jpg").symlink_to(here / "a.jpg")
    (here / "pics" / "twice.jpg").symlink_to("up.jpg")
    (here / "pics" / "beside.jpg").symlink_to("../pics2/b.jpg")
    told: list[Event] = []
    sources, refused = plan(["pics"], told=told)
    assert ([one.key for one in sources], refused) == (["pics/c.jpg", "pics/deep/er/d.jpg"], [])
    left_out = [(one.source, one.reason) for one in told if isinstance(one, PassedOver)]
    assert left_out[1:] == [
        (str(Path("pics", name)), "link") for name in ("beside.jpg", "twice.jpg", "up.jpg")
    ]


def test_a_linked_folder_is_left_out_and_named(here: Path) -> None:
    (here / "beside" / "er").mkdir(parents=True)
    for name, target in (("out", "beside"), (".out", "beside"), ("raw", "beside/er"), ("round", "pics/deep")):
        (here / "pics" / name).symlink_to(here / target, target_is_directory=True)
    told: list[Event] = []
    sources, refused = plan(["pics"], told=told, patterns=Patterns((), ("raw",)))
    assert ([one.key for one in sources], refused) == (["pics/c.jpg", "pics/deep/er/d.jpg"], [])
    left_out = [one.source for one in told if isinstance(one, PassedOver) and one.reason == "link"]
    assert left_out == [str(Path("pics", "out"))]


def test_a_link_that_is_named_is_followed(here: Path) -> None:
    (here / "pics" / "up.jpg").symlink_to(here / "a.jpg")
    sources, _ = plan(["pics/up.jpg"])
    assert [source.read()[0] for source in sources] == [b"a.jpg"]


@pytest.mark.parametrize(
    ("include", "exclude", "wanted"),
    [
        ((), (), ["a.jpg", "b.png", "pics/c.jpg", "pics/deep/er/d.jpg"]),
        (("*.JPG",), (), ["a.jpg", "pics/c.jpg", "pics/deep/er/d.jpg"]),
        (("*.png", "d.*"), (), ["b.png", "pics/deep/er/d.jpg"]),
        ((), ("deep",), ["a.jpg", "b.png", "pics/c.jpg"]),
        (("*.jpg",), ("pics/*",), ["a.jpg"]),
        (("pics/*",), ("*/er/*",), ["pics/c.jpg"]),
        ((), ("er/*",), ["a.jpg", "b.png", "pics/c.jpg", "pics/deep/er/d.jpg"]),
    ],
)
def test_patterns_choose_among_the_files_of_a_folder(
    include: tuple[str, ...], exclude: tuple[str, ...], wanted: list[str]
) -> None:
    sources, refused = plan(["."], patterns=Patterns(include, exclude))
    assert ([one.key.removeprefix("album/") for one in sources], refused) == (wanted, [])


def test_patterns_say_nothing_of_a_file_that_is_named() -> None:
    sources, _ = plan(["a.jpg"], patterns=Patterns(exclude=("*",)))
    assert [one.key for one in sources] == ["a.jpg"]


def test_where_the_patterns_leave_nothing_the_folder_is_refused_with_that_reason() -> None:
    _, (refused,) = plan(["pics"], patterns=Patterns(include=("*.gif",)))
    assert (refused.source, refused.code) == ("pics", "empty_folder")
    assert "--include" in refused.message


def test_the_files_of_a_folder_come_in_the_order_of_their_keys(here: Path) -> None:
    """In S3's order: so the list of what is there is read once, from its beginning to its end."""
    _made("o/b/1.jpg", "o/b.jpg", "o/b-c/2.jpg", "o/B.jpg", "o/é.jpg", "o/ü/3.jpg", "o/z.jpg", "o/a/z/4.jpg")
    found = _keys("o")
    assert len(found) == 8
    assert found == sorted(found, key=str.encode)


def test_a_plan_reads_the_folders_only_as_far_as_it_is_followed(here: Path) -> None:
    """So the first picture goes before the last one is found."""
    _made("1/a.jpg", "2/b.jpg")
    found = iter(Plan(["1", "2"]))
    next(found)
    _made("2/c.jpg")
    assert [one.key for one in found if isinstance(one, Source)] == ["2/b.jpg", "2/c.jpg"]


def test_all_sizes_are_told_of_what_may_be_sent(here: Path) -> None:
    found = Plan([".", "nope.jpg"])
    assert sorted(found.sizes()) == sorted(
        len(name) for name in ("a.jpg", "b.png", "pics/c.jpg", "pics/deep/er/d.jpg")
    )


def test_of_two_names_in_a_folder_that_look_the_same_one_is_sent(here: Path) -> None:
    _made(f"two/{E_ACUTE}.jpg", f"two/{DECOMPOSED}.jpg", f"two/{E_ACUTE}s/a.jpg", f"two/{DECOMPOSED}s/a.jpg")
    sources, refused = plan(["two"])
    assert len(sources) == 2
    assert [one.code for one in refused] == ["same_key", "same_key"]
    assert all("would both become" in one.message for one in refused)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")
def test_a_pipe_in_a_folder_is_left_out(here: Path) -> None:
    os.mkfifo(here / "pics" / "pipe.jpg")
    assert _keys("pics") == ["pics/c.jpg", "pics/deep/er/d.jpg"]


def test_a_pattern_that_the_shell_left_is_expanded() -> None:
    assert _keys("*.jpg") == ["a.jpg"]
    assert _keys("[ab].*") == ["a.jpg", "b.png"]
    assert _keys("p*s") == ["pics/c.jpg", "pics/deep/er/d.jpg"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(here: Path) -> None:
    (here / "[ab].jpg").write_bytes(b"x")
    assert _keys("[ab].jpg") == ["[ab].jpg"]


@pytest.mark.parametrize("prefix", ["2026/trip", "2026/trip/", "/2026/trip/", "//2026/trip//"])
def test_a_prefix_goes_before_every_key(prefix: str) -> None:
    assert _keys("a.jpg", "pics/deep", prefix=prefix) == ["2026/trip/a.jpg", "2026/trip/deep/er/d.jpg"]


@pytest.mark.parametrize("prefix", ["", "/"])
def test_an_empty_prefix_is_none(prefix: str) -> None:
    assert _keys("a.jpg", prefix=prefix) == ["a.jpg"]


def test_a_key_names_one_picture() -> None:
    assert _keys("a.jpg", key="cover.jpg") == ["cover.jpg"]
    assert _keys("a.jpg", key="cover.jpg", prefix="x") == ["x/cover.jpg"]
    assert "one picture" in _usage("a.jpg", "b.png", key="k").message
    assert "one picture" in _usage("pics", key="k").message


def test_standard_input_needs_a_key() -> None:
    assert "--key" in _usage("-").hint
    sources, _ = plan(["-"], key="k.jpg", stdin=io.BytesIO(b"line\nline\n"))
    assert [(source.key, source.name, source.read()[0]) for source in sources] == [
        ("k.jpg", "standard input", b"line\nline\n")
    ]


def test_of_standard_input_no_more_is_kept_than_shows_that_it_is_too_large() -> None:
    def endless() -> object:
        while True:
            yield bytes(1024 * 1024)

    sources, _ = plan(["-"], key="k.jpg", stdin=endless())
    assert 15 * 1024 * 1024 < len(sources[0].read()[0]) <= 16 * 1024 * 1024


def test_a_name_composed_either_way_is_the_same_key(here: Path) -> None:
    (here / f"{DECOMPOSED}.jpg").write_bytes(b"x")
    assert _keys(f"{DECOMPOSED}.jpg") == [f"{E_ACUTE}.jpg"]
    assert _keys("a.jpg", key=f"{DECOMPOSED}.jpg", prefix=DECOMPOSED) == [f"{E_ACUTE}/{E_ACUTE}.jpg"]


def test_two_sources_of_one_key_are_refused_before_anything_is_sent() -> None:
    problem = _usage("a.jpg", "./a.jpg")
    assert "'a.jpg' and './a.jpg' would both become 'a.jpg'" in problem.message
    assert "Nothing was sent" in problem.hint


def test_names_that_differ_only_in_their_composition_are_twins(here: Path) -> None:
    for number, name in enumerate((E_ACUTE, DECOMPOSED)):
        (here / f"{number}").mkdir()
        (here / f"{number}" / f"{name}.jpg").write_bytes(b"x")
    assert _keys("0/é.jpg", f"1/{DECOMPOSED}.jpg") == ["0/é.jpg", "1/é.jpg"]


def _made(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(name.encode())


@pytest.mark.parametrize(
    ("paths", "wanted"),
    [
        (["A/x.jpg", "B/x.jpg"], ["A/x.jpg", "B/x.jpg"]),
        (["A/x.jpg", "B/x.jpg", "A/y.jpg"], ["A/x.jpg", "B/x.jpg", "y.jpg"]),
        (["./A//x.jpg", "A/../B/x.jpg"], ["A/x.jpg", "B/x.jpg"]),
        (["1/A/x.jpg", "2/A/x.jpg"], ["1/A/x.jpg", "2/A/x.jpg"]),
        (["1/A/x.jpg", "2/A/x.jpg", "B/x.jpg"], ["1/A/x.jpg", "2/A/x.jpg", "B/x.jpg"]),
        (["a.jpg", "../a.jpg"], ["a.jpg", "PARENT/a.jpg"]),
        (["A", "1/A"], ["A/x.jpg", "A/y.jpg", "1/A/x.jpg"]),
        (["1/A", "2/A"], ["1/A/x.jpg", "2/A/x.jpg"]),
        (["?/x.jpg"], ["A/x.jpg", "B/x.jpg"]),
    ],
)
def test_where_names_are_the_same_the_shortest_folders_tell_them_apart(
    here: Path, paths: list[str], wanted: list[str]
) -> None:
    _made("A/x.jpg", "A/y.jpg", "B/x.jpg", "1/A/x.jpg", "2/A/x.jpg", "../a.jpg")
    told: list[Event] = []
    sources, refused = plan(paths, prefix="trip", told=told)
    found = [source.key.removeprefix("trip/").replace(here.parent.name, "PARENT") for source in sources]
    assert (found, refused) == (wanted, [])
    ((code, detail),) = [(one.code, one.detail) for one in told if isinstance(one, Note)]
    assert code == "folders_kept"
    assert "trip/" in detail


def test_what_is_no_picture_makes_no_twins_of_folders(here: Path) -> None:
    _made("1/pics/a.jpg", "2/pics/b.jpg")
    for number in (1, 2):
        (here / f"{number}/pics/Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    told: list[Event] = []
    sources, refused = plan(["1/pics", "2/pics"], told=told)
    assert ([source.key for source in sources], refused) == (["pics/a.jpg", "pics/b.jpg"], [])
    assert told == [PassedOver(str(Path(f"{number}/pics/Thumbs.db"))) for number in (1, 2)]


def test_names_that_differ_are_not_changed_and_nothing_is_said() -> None:
    _made("A/x.jpg", "B/y.jpg")
    told: list[Event] = []
    sources, _ = plan(["A/x.jpg", "B/y.jpg"], told=told)
    assert [source.key for source in sources] == ["x.jpg", "y.jpg"]
    assert told == []


def test_hidden_files_in_a_folder_are_told() -> None:
    told: list[Event] = []
    sources, refused = plan(["pics"], told=told)
    assert (len(sources), refused) == (2, [])
    assert told == [PassedOver(str(Path("pics/.hidden.jpg")))]


def test_a_folder_of_hidden_files_only_is_not_called_empty(here: Path) -> None:
    _made("mac/.DS_Store")
    told: list[Event] = []
    assert plan(["mac"], told=told) == ([], [])
    assert len(told) == 1


@pytest.mark.parametrize("pattern", ["*.jpeg", "pics/*.gif", "[x].jpg", "holiday?.jpg"])
def test_of_a_pattern_without_a_match_it_is_said_so(pattern: str) -> None:
    (refused,) = plan([pattern])[1]
    assert (refused.code, refused.source) == ("not_found", pattern)
    assert "no file matches" in refused.message


def test_a_key_may_have_1024_bytes_and_no_more() -> None:
    assert _keys("a.jpg", key="k" * 1024) == ["k" * 1024]
    assert _keys("a.jpg", key="é" * 512) == ["é" * 512]
    assert "1025 bytes" in _usage("a.jpg", key="k" * 1025).message
    assert "1026 bytes" in _usage("a.jpg", key="é" * 513).message
    assert "1025 bytes" in _usage("a.jpg", key="k" * 1000, prefix="p" * 24).message


def test_a_name_that_is_no_unicode_is_a_usage_error(here: Path) -> None:
    name = os.fsdecode(b"\xff.jpg")
    (here / name).write_bytes(b"x")
    assert "not valid Unicode" in _usage(name).message


def test_what_is_not_there_is_refused_and_the_others_go() -> None:
    sources, refused = plan(["a.jpg", "nope.jpg", "*.gif", "b.png"])
    assert [source.key for source in sources] == ["a.jpg", "b.png"]
    assert [(one.source, one.code) for one in refused] == [("nope.jpg", "not_found"), ("*.gif", "not_found")]


def test_a_folder_without_files_is_not_called_missing(here: Path) -> None:
    (here / "empty").mkdir()
    assert _refused("empty") == [("empty", "empty_folder")]


@pytest.mark.parametrize("name", ["x" * 300, "x" * 5000, "nul\0byte", "a.jpg/b"])
def test_a_name_that_the_system_refuses_is_refused_like_any_other(name: str) -> None:
    ((source, code),) = _refused(name)
    assert source == name
    assert code in ("not_found", "unreadable")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_named(here: Path) -> None:
    secret = here / "pics" / "deep"
    secret.chmod(0)
    try:
        sources, refused = plan(["pics"])
    finally:
        secret.chmod(0o755)
    assert [source.key for source in sources] == ["pics/c.jpg"]
    assert [(one.source, one.code) for one in refused] == [(str(Path("pics/deep")), "unreadable")]


def test_standard_input_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    writing = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)
    with open(writing, "rb") as stdin:  # noqa: PTH123 (a descriptor)
        sources, refused = plan(["-"], key="k.jpg", stdin=stdin)
    assert sources == []
    assert [(one.source, one.code) for one in refused] == [("standard input", "unreadable")]


def test_a_name_is_utf_8_also_where_the_system_took_it_for_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "\u00fc.jpg".encode().decode("ascii", "surrogateescape")
    Path("\u00fc.jpg").write_bytes(b"x")
    sources, refused = plan([name], prefix=name)
    assert ([one.key for one in sources], refused) == (["\u00fc.jpg/\u00fc.jpg"], [])
    assert keys.check_key(name) == "\u00fc.jpg"
