"""`imgpipe open`, `imgpipe open --save` and `imgpipe token`, with a real browser at the other end."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewTab, Site
from tests.support.machine import until

# Stands for the user's browser: notes its command line, and what the file was like while it was there.
FAKE = """
import os, shutil, sys
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname
file = Path(url2pathname(urlsplit(sys.argv[1]).path))
Path("seen.txt").write_text("\\n".join([oct(file.stat().st_mode & 0o777), str(file), *sys.argv[1:]]))
shutil.copyfile(file, "copy.html")
"""


def test_open_signs_the_browser_in_without_showing_the_token(
    new_tab: NewTab, site: Site, tmp_path: Path
) -> None:
    (tmp_path / "browser.py").write_text(FAKE)
    browser = f"{sys.executable} {tmp_path / 'browser.py'} %s"
    done = site.imgpipe("open", env={"BROWSER": browser}, cwd=tmp_path)
    assert done.out == f"{site.page_url}\n"
    assert "Opened in the browser, signed in." in done.err
    mode, file, *arguments = (tmp_path / "seen.txt").read_text().splitlines()
    assert mode == "0o600"
    assert site.token not in " ".join(arguments) + done.out + done.err
    tab = new_tab(site)
    tab.page.goto((tmp_path / "copy.html").as_uri())
    expect(tab.card("astronaut.jpg")).to_be_visible()
    assert tab.page.url == site.page_url
    until(lambda: not Path(file).exists(), what="the file with the token is gone")


def test_open_without_a_browser_says_how_to_get_in(site: Site) -> None:
    done = site.imgpipe("open")
    assert done.out == f"{site.page_url}\n"
    assert "imgpipe token prints the token" in done.err
    assert not list(site.machine.state.glob("*.html"))
    assert site.imgpipe("open", "--print", "--json").json()["data"] == {
        "pageUrl": site.page_url,
        "opened": False,
    }


def test_a_browser_that_fails_leaves_no_token_behind(site: Site, tmp_path: Path) -> None:
    done = site.imgpipe("open", env={"BROWSER": f"{sys.executable} -c exit(3) %s"}, cwd=tmp_path)
    assert "No browser can be opened here." in done.err
    assert not list(site.machine.state.glob("*.html"))


def test_the_saved_page_works_from_disk(new_tab: NewTab, site: Site, tmp_path: Path) -> None:
    file = tmp_path / "viewer.html"
    done = site.imgpipe("open", "--save", file)
    assert done.out == f"{file}\n"
    text = file.read_text(encoding="utf-8")
    assert site.token not in text
    assert "{{" not in text
    tab = new_tab(site)
    tab.page.goto(file.as_uri())
    expect(tab.page.locator("#saved-note")).to_contain_text("pictures and uploads need the page itself")
    tab.page.get_by_label("Look up by object key").fill("sign.png")
    tab.page.keyboard.press("Enter")
    expect(tab.detail).to_contain_text("Left out without the token.")
    tab.page.keyboard.press("Escape")
    tab.page.get_by_label("Access token").fill(site.token)
    tab.page.keyboard.press("Enter")
    detail = tab.open_detail("astronaut.jpg")
    expect(detail).to_contain_text("a saved page cannot load pictures")
    expect(detail.locator(".box.labels")).to_have_count(2)  # Face, Person
    expect(tab.page.get_by_role("button", name="Choose pictures")).to_be_hidden()
    # Written again over itself, but over nothing else.
    site.imgpipe("open", "--save", file)
    (tmp_path / "mine.html").write_text("mine")
    refused = site.imgpipe("open", "--save", tmp_path / "mine.html", code=2)
    assert "was not touched" in refused.err
    assert (tmp_path / "mine.html").read_text() == "mine"


def test_the_saved_pages_policy_lets_nothing_else_run(new_tab: NewTab, site: Site, tmp_path: Path) -> None:
    file = tmp_path / "viewer.html"
    site.imgpipe("open", "--save", file)
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("</body>", "<script>window.hit = 1</script></body>"), encoding="utf-8")
    tab = new_tab(site)
    tab.expected += ["policy breached: script-src-elem inline", "Executing inline script violates"]
    tab.page.goto(file.as_uri())
    expect(tab.page.get_by_label("Access token")).to_be_visible()
    assert tab.page.evaluate("window.hit") is None


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_token_prints_the_token_and_nothing_else(site: Site, options: tuple[str, ...]) -> None:
    done = site.imgpipe("token", *options)
    if options:
        assert done.json()["data"] == {"token": site.token, "rotated": False}
    else:
        assert done.out == f"{site.token}\n"
    assert site.token not in done.err
    remembered = site.machine.state / "targets.json"
    assert stat.S_IMODE(remembered.stat().st_mode) == 0o600
