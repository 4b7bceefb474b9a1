"""Keyboard, screen readers, contrast, small windows, no motion, no script."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import FilePayload, expect

from tests.browser.conftest import NewTab, Site, Tab
from tests.support.machine import jpeg

LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True},
}
RULES = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }
}


def clean(tab: Tab) -> None:
    results = Axe().run(tab.page, options=RULES)
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize("look", LOOKS)
def test_accessibility_checks_are_clean(new_tab: NewTab, site: Site, look: str) -> None:
    tab = new_tab(site, **LOOKS[look])
    tab.expected += ["401", "404"]
    tab.open(signed_in=False)
    clean(tab)
    tab.open(signed_in=False, fragment="token=wrong")
    expect(tab.page.locator("#token-problem")).not_to_be_empty()
    clean(tab)
    tab.open()
    expect(tab.card("sign.png")).to_be_visible()
    tab.page.get_by_label("Look up by object key").fill("nobody")
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#lookup-problem")).not_to_be_empty()
    tab.send({"name": "no.jpg", "mimeType": "image/jpeg", "buffer": b"%PDF"})
    expect(tab.card("no.jpg")).to_contain_text("Not sent.")
    clean(tab)
    for name in ("astronaut.jpg", "sign.png"):
        detail = tab.open_detail(name)
        expect(detail.locator(".frame img")).to_have_js_property("complete", value=True)
        detail.get_by_text("Raw JSON").click()
        clean(tab)
        tab.page.keyboard.press("Escape")


def focused(tab: Tab) -> str:
    """What a person at the keyboard is at, in its accessible words."""
    return str(
        tab.page.evaluate(
            """() => {
              const at = document.activeElement;
              if (at.matches("body, dialog")) return ""; // between two rounds, or a region that scrolls
              return at.getAttribute("aria-label") || at.labels?.[0]?.textContent || at.textContent || at.id;
            }"""
        )
    ).strip()


def tab_to(tab: Tab, words: str) -> None:
    for _ in range(40):
        tab.page.keyboard.press("Tab")
        if words in focused(tab):
            ring = tab.page.evaluate(
                "() => { const at = document.activeElement; const box = at.closest('.card') ?? at;"
                " return [at, box].some((one) => getComputedStyle(one).outlineStyle !== 'none'); }"
            )
            assert ring, f"no visible focus on {words}"
            return
    raise AssertionError(f"not reached by the keyboard: {words}")


def test_everything_by_keyboard(new_tab: NewTab, site: Site) -> None:
    tab = new_tab(site).open(signed_in=False)
    tab.page.on("filechooser", lambda _chooser: None)  # from here on no dialog of the desktop opens
    tab_to(tab, "Access token")
    tab.page.keyboard.type(site.token)
    tab.page.keyboard.press("Enter")
    expect(tab.page.get_by_role("button", name="Choose pictures")).to_be_focused()
    with tab.page.expect_file_chooser() as chooser:
        tab.page.keyboard.press("Enter")
    chooser.value.set_files([FilePayload(name="keys.jpg", mimeType="image/jpeg", buffer=jpeg(60))])
    expect(tab.page.locator(".card[data-key]", has_text="keys.jpg")).to_be_visible()
    tab_to(tab, "Look up by object key")
    tab_to(tab, "Find a label")
    tab_to(tab, "Confidence")
    tab_to(tab, "Refresh")
    tab_to(tab, "astronaut.jpg")
    tab.page.keyboard.press("Enter")
    expect(tab.detail).to_be_visible()
    # The rest of the page is out of reach while the dialog is open.
    for _ in range(12):
        tab.page.keyboard.press("Tab")
        assert tab.page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
    tab_to(tab, "Face")
    tab.page.keyboard.press("Enter")
    expect(tab.detail.locator(".box.on").first).to_be_visible()
    tab_to(tab, "Raw JSON")
    tab.page.keyboard.press("Enter")
    expect(tab.detail.locator("pre")).to_be_visible()
    tab.page.keyboard.press("Escape")
    expect(tab.detail).to_be_hidden()
    assert "astronaut.jpg" in focused(tab), "the focus is lost after the dialog"


@pytest.mark.parametrize("width", [360, 320])
def test_a_phone_shows_everything_without_scrolling_sideways(new_tab: NewTab, site: Site, width: int) -> None:
    options = {**LOOKS["phone"], "viewport": {"width": width, "height": 640}}
    tab = new_tab(site, **options).open()
    fits = "document.documentElement.scrollWidth <= innerWidth"
    expect(tab.card("astronaut.jpg")).to_be_visible()
    assert tab.page.evaluate(fits)
    with tab.page.expect_file_chooser() as chooser:
        tab.page.get_by_role("button", name="Take a photo").tap()
    assert chooser.value.element.get_attribute("capture") == "environment"
    name = f"camera-{width}.jpg"
    chooser.value.set_files([FilePayload(name=name, mimeType="image/jpeg", buffer=jpeg(61))])
    expect(tab.page.locator(".card[data-key]", has_text=name)).to_be_visible()
    tab.card("astronaut.jpg").get_by_role("link").first.tap()
    expect(tab.detail.locator(".frame img")).to_have_js_property("complete", value=True)
    assert tab.detail.evaluate("(dialog) => dialog.scrollWidth <= dialog.clientWidth")
    assert tab.detail.evaluate("(dialog) => dialog.getBoundingClientRect().right <= innerWidth")
    tab.detail.get_by_role("button", name="Close").tap()
    expect(tab.detail).to_be_hidden()
    tab.page.get_by_label("Find a label").fill("x" * 500)
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#count")).to_contain_text("0 pictures with “xxx")
    assert tab.page.evaluate(fits)


def test_nothing_moves(new_tab: NewTab, site: Site) -> None:
    """Some people get sick of it, and asked for that."""
    moving = """() => [...document.querySelectorAll("*")].filter((one) => {
      const style = getComputedStyle(one);
      return parseFloat(style.transitionDuration) > 0 || style.animationName !== "none";
    }).length"""
    tab = new_tab(site).open()
    tab.open_detail("astronaut.jpg")
    assert tab.page.evaluate(moving) == 0


def test_dark_follows_the_system(new_tab: NewTab, site: Site) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = new_tab(site).open().page.evaluate(ground)
    dark = new_tab(site, color_scheme="dark").open().page.evaluate(ground)
    assert (light, dark) == ("rgb(245, 246, 248)", "rgb(18, 20, 26)")


def test_without_scripts_the_page_says_what_is_needed(new_tab: NewTab, site: Site) -> None:
    tab = new_tab(site, java_script_enabled=False)
    tab.page.goto(site.page_url)
    expect(tab.page.get_by_role("heading", name="imgpipe")).to_be_visible()
    # Playwright's search by text leaves <noscript> out, though it is drawn.
    needed = tab.page.locator("noscript p")
    assert "This page needs JavaScript" in needed.inner_text()
    assert (needed.bounding_box() or {"height": 0})["height"] > 20
    assert tab.page.locator("button:visible, input:visible").count() == 0


def test_screen_readers_hear_what_arrives(tab: Tab) -> None:
    tab.send({"name": "heard.jpg", "mimeType": "image/jpeg", "buffer": jpeg(62)})
    expect(tab.page.locator("#news")).to_have_text("heard.jpg: nothing found")
    expect(tab.page.get_by_role("list", name="Pictures")).to_be_visible()
