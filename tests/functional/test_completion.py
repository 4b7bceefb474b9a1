"""What the shell is offered: commands, options, projects and keys, without asking anybody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imgpipe_cli.session import recent_keys
from imgpipe_cli.session.target import Target
from tests.support.api_server import FakeApi, item
from tests.support.cli import NAMES, REGION, Cli, remember

DEMO = Target("demo", region=REGION)
REPORTING = (
    "import sys, atexit; from imgpipe_cli.cli import main;"
    "atexit.register(lambda: print(*{n.split('.')[0] for n in sys.modules}, file=sys.stderr));"
    "sys.argv = ['imgpipe']; main()"
)


def _offered(line: str, **variables: str) -> list[str]:
    """What bash is told at the end of this line."""
    words = line.split(" ")
    environment = {
        **os.environ,
        **variables,
        "_IMGPIPE_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", REPORTING], env=environment, check=False, capture_output=True, text=True
    )
    *said, loaded = done.stderr.splitlines()
    assert (done.returncode, said) == (0, [])
    assert not set(loaded.split()) & {"boto3", "botocore", "rich", "pydantic"}
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


def test_commands_options_and_projects_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    remember("http://127.0.0.1:1", project="holiday")
    remember("http://127.0.0.1:1")
    assert _offered("imgpipe re") == ["result", "retry"]
    assert _offered("imgpipe local sta") == ["start", "status"]
    assert _offered("imgpipe list --li") == ["--limit"]
    assert _offered("imgpipe up --wor") == []  # hidden
    assert _offered("imgpipe status --project h") == ["holiday"]


def test_keys_are_those_of_the_pipeline_that_the_line_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    remember("http://127.0.0.1:1", project="holiday")
    remember("http://127.0.0.1:1")
    recent_keys.seen(DEMO, ["b.jpg", "a/1.jpg", "a/2.jpg"])
    recent_keys.seen(Target("holiday", region=REGION), ["beach.jpg"])
    assert _offered("imgpipe result ") == ["b.jpg", "a/1.jpg", "a/2.jpg"]
    assert _offered("imgpipe result a/1.jpg a") == ["a/2.jpg"]
    assert _offered("imgpipe explain --project holiday b") == ["beach.jpg"]
    assert _offered("imgpipe --project holiday retry b") == ["beach.jpg"]
    assert _offered("imgpipe result b", IMGPIPE_PROJECT="holiday") == ["beach.jpg"]


def test_what_cannot_be_read_offers_nothing_and_says_nothing(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "imgpipe.toml").write_text("no = toml = file")
    assert _offered("imgpipe result ") == []
    (tmp_path / "imgpipe.toml").unlink()
    for text in ("", "[]", '{"version": 1, "keys": 5}', '{"version": 9, "keys": {}}', "[" * 100_000):
        (state / "recent-keys.json").write_text(text)
        assert recent_keys.of(Target()) == []
    assert _offered("imgpipe result ", IMGPIPE_STATE_DIR="/dev/null/x") == []


# --- what is kept ----------------------------------------------------------------------------------


def test_commands_keep_the_keys_that_they_show(cli: Cli, played: FakeApi) -> None:
    played.store(item("a.jpg"), item("b.jpg"), item("c.jpg"))
    cli("list")
    assert sorted(recent_keys.of(DEMO)) == ["a.jpg", "b.jpg", "c.jpg"]
    cli("result", "b.jpg")
    assert recent_keys.of(DEMO)[0] == "b.jpg"
    cli("list", "--json", "--prefix", "c")
    assert recent_keys.of(DEMO)[0] == "c.jpg"


@pytest.mark.usefixtures("bucket")
def test_an_upload_keeps_what_was_sent(cli: Cli) -> None:
    remember("http://127.0.0.1:1")
    cat = Path(__file__).parents[2] / "examples" / "cat.jpg"
    assert cli("upload", str(cat), "--key", "new.jpg").code == 0
    assert recent_keys.of(DEMO) == ["new.jpg"]
    assert NAMES.project == "demo"


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("region", [REGION, None])
def test_the_keys_of_a_pipeline_that_was_removed_are_forgotten(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, region: str | None
) -> None:
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    other = Target("holiday", region=REGION)
    recent_keys.seen(Target("demo", region=region), ["a.jpg"])
    recent_keys.seen(other, ["b.jpg"])
    assert cli("down", "--yes", "--project", "demo", *(("--region", region) if region else ())).code == 0
    assert recent_keys.of(Target("demo", region=region)) == []
    assert recent_keys.of(other) == ["b.jpg"]


@pytest.mark.parametrize(
    "key",
    ["$(touch x).jpg", "`id`.jpg", "a b.jpg", "a;b", "a\nb", "'", '"', "-rf", "~", "a:b", "\x1b[2J", "*"],
)
def test_a_key_that_a_shell_would_obey_is_never_offered(state: Path, key: str) -> None:
    recent_keys.seen(DEMO, [key, "good.jpg"])
    assert recent_keys.of(DEMO) == ["good.jpg"]
    file = state / "recent-keys.json"
    file.write_text(file.read_text().replace("good.jpg", key.replace('"', "'").replace("\n", "'")))
    assert recent_keys.of(DEMO) == []


def test_the_last_ones_are_kept_and_others_cannot_read_them(state: Path) -> None:
    for number in range(300):
        recent_keys.seen(DEMO, [f"{number}.jpg"])
    for number in range(30):
        recent_keys.seen(Target(f"p{number}"), ["x.jpg"])
    recent_keys.seen(DEMO, [])
    assert recent_keys.of(Target("p29")) == ["x.jpg"]
    assert recent_keys.of(Target("p5")) == recent_keys.of(DEMO) == []
    recent_keys.seen(DEMO, [f"{number}.jpg" for number in range(500)])
    assert recent_keys.of(DEMO) == [f"{number}.jpg" for number in range(200)]
    if os.name == "posix":
        assert (state / "recent-keys.json").stat().st_mode & 0o077 == 0
