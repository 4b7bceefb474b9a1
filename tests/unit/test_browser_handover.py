"""The file that signs the browser in: what it says, who may read it, and how it goes away."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from imgpipe_cli.pictures import browser


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "imgpipe-open-1.html"
    made.write_text("secret")
    os.utime(made, ns=(1_000, 2_000))
    return made


def test_the_redirect_carries_the_token_in_the_fragment() -> None:
    text = browser.redirect("https://x.example/prod/", "a&b<c\"d'e f")
    assert 'content="0; url=https://x.example/prod/#token=a%26b%3Cc%22d%27e%20f"' in text
    assert '<meta name="referrer" content="no-referrer">' in text


def test_a_file_that_was_read_goes_after_the_grace(file: Path) -> None:
    clock = Clock()
    os.utime(file, ns=(3_000, 2_000))
    browser.remove_when_read(file, grace_s=10, limit_s=60, clock=clock, sleep=clock.sleep)
    assert not file.exists()
    assert clock.now == 10


def test_a_file_that_nobody_reads_goes_too(file: Path) -> None:
    clock = Clock()
    browser.remove_when_read(file, grace_s=10, limit_s=60, clock=clock, sleep=clock.sleep)
    assert not file.exists()
    assert clock.now == pytest.approx(60)


def test_a_file_that_is_gone_already_is_fine(tmp_path: Path) -> None:
    browser.remove_when_read(tmp_path / "none.html")


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for the browser")
def test_only_its_owner_may_read_it_and_old_ones_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = tmp_path / "imgpipe-open-old.html"
    left.write_text("left over")
    os.utime(left, (1, 1))
    script = tmp_path / "browser.sh"
    script.write_text(f"#!/bin/sh\nls -l {tmp_path}/imgpipe-open-*.html > {tmp_path}/seen\nexit 1\n")
    script.chmod(stat.S_IRWXU)
    monkeypatch.setenv("IMGPIPE_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("BROWSER", f"{script} %s")
    monkeypatch.setattr(browser, "_folder", lambda: tmp_path)
    assert browser.browser_there()
    assert browser.open_signed_in("https://x.example/prod/", "t") is False
    assert (tmp_path / "seen").read_text().startswith("-rw------- ")
    assert not list(tmp_path.glob("imgpipe-open-*.html"))
