"""Who may see what: the token, without it, a wrong one, a replaced one."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewTab, Site, Tab

KEPT = "sessionStorage.getItem('imgpipe-token')"


def test_the_token_moves_from_the_address_into_the_tab(tab: Tab) -> None:
    assert tab.page.url == tab.site.page_url
    assert tab.page.evaluate(KEPT) == tab.site.token
    assert tab.page.evaluate("localStorage.length + document.cookie.length") == 0
    expect(tab.card("astronaut.jpg")).to_be_visible()
    tab.page.reload()
    expect(tab.card("astronaut.jpg")).to_be_visible()
    # No step back in this tab's history holds the token.
    tab.page.go_back()
    assert "token" not in tab.page.url


def test_signing_in_by_hand_and_out_again(new_tab: NewTab, site: Site) -> None:
    tab = new_tab(site).open(signed_in=False)
    tab.page.get_by_label("Access token").fill(f"  {site.token}\n")
    tab.page.keyboard.press("Enter")
    expect(tab.card("astronaut.jpg")).to_be_visible()
    tab.page.get_by_role("button", name="Sign out").click()
    expect(tab.page.get_by_label("Access token")).to_be_focused()
    expect(tab.page.locator(".card")).to_have_count(0)
    expect(tab.page.locator("#count")).to_have_text("")
    assert tab.page.evaluate(KEPT) is None


def test_a_wrong_token_is_refused_and_forgotten(new_tab: NewTab, site: Site) -> None:
    tab = new_tab(site)
    tab.expected.append("401")
    tab.open(signed_in=False, fragment="token=wrong")
    expect(tab.page.get_by_role("alert").filter(has_text="not accepted")).to_be_visible()
    expect(tab.page.get_by_label("Access token")).to_be_focused()
    assert tab.page.evaluate(KEPT) is None
    expect(tab.page.get_by_role("button", name="Choose pictures")).to_be_hidden()


def test_without_a_token_a_result_can_be_looked_up(new_tab: NewTab, site: Site) -> None:
    tab = new_tab(site).open(signed_in=False)
    expect(tab.page.get_by_text("A result can be looked up by its key without it")).to_be_visible()
    tab.page.get_by_label("Look up by object key").fill("astronaut.jpg")
    tab.page.keyboard.press("Enter")
    expect(tab.detail.locator(".findings").first).to_contain_text("Person")
    expect(tab.detail).to_contain_text("Sign in to see the picture itself.")
    # What is for the token only is said to be left out, not to be empty.
    for title in ("Faces", "Text"):
        told = tab.detail.locator(f"h3:text-is('{title}') + *")
        expect(told).to_have_text("Left out without the token. Sign in to see it.")
    # The boxes are there all the same.
    expect(tab.detail.locator(".box.labels")).to_have_count(2)  # Face, Person
    assert not [url for method, url, _ in tab.requests if "/results" in url or "/image" in url]


def test_a_private_pipeline_asks_for_the_token_first(new_tab: NewTab, private_site: Site) -> None:
    tab = new_tab(private_site).open(signed_in=False)
    expect(tab.page.get_by_text("This pipeline is private")).to_be_visible()
    expect(tab.page.get_by_label("Look up by object key")).to_be_hidden()
    tab.open()
    expect(tab.page.get_by_text("No pictures yet.")).to_be_visible()


@pytest.mark.parametrize("private", [False, True])
def test_a_replaced_token_stops_working(
    new_tab: NewTab, private_site: Site, empty_site: Site, *, private: bool
) -> None:
    site = private_site if private else empty_site
    old = site.token
    tab = new_tab(site).open()
    done = site.imgpipe("token", "--rotate")
    assert re.fullmatch(r"[\w-]{43}\n", done.out)
    assert done.out.strip() not in (old, done.err)
    assert "the old one is refused" in done.err
    assert site.token == site.imgpipe("token").out.strip() == done.out.strip()
    tab.expected.append("401")
    tab.page.get_by_role("button", name="Refresh").click()
    expect(tab.page.get_by_role("alert").filter(has_text="It may have been replaced")).to_be_visible()
    tab.open()
    expect(tab.page.get_by_text("pictures").first).to_be_visible()
    assert site.imgpipe("status", "--json").json()["data"]["steps"][7]["state"] == "ready"


def test_a_second_link_signs_in_an_open_tab(new_tab: NewTab, site: Site) -> None:
    tab = new_tab(site).open(signed_in=False)
    tab.page.evaluate(f"location.hash = 'token={site.token}'")
    expect(tab.card("astronaut.jpg")).to_be_visible()
    assert "token" not in tab.page.url
