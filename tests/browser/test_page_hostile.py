"""Names and findings that try to be more than text."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from shared.result_item import StoredItem
from tests.browser.conftest import NewTab, Site
from tests.browser.stored import item, label
from tests.support.machine import jpeg

ATTACKS = {
    "script": "<script>window.hit=1</script>.jpg",
    "image": "<img src=x onerror=window.hit=1>.jpg",
    "quotes": "\"'`--></title></style><svg onload=window.hit=1>.jpg",
    "address": "javascript:window.hit=1//.jpg",
    "turned": "abc\u202egpj.exe\u200f\u2067x.jpg",
    "long": "W" * 1000 + ".jpg",
    "path": "../../..//a?b#c&result=d%00%2e.jpg",
    "template": "{{constructor.constructor('window.hit=1')()}}${window.hit=1}.jpg",
    "newline": "one\ntwo\tthree.jpg",
    "proto": "__proto__",
}


def stored(text: str) -> tuple[StoredItem, StoredItem]:
    """A result that holds the text wherever a result holds text, and one that failed."""
    box = {"BoundingBox": {"Left": 0.2, "Top": 0.2, "Width": 0.5, "Height": 0.5}, "Confidence": 90.0}
    name = {"Name": text}
    words: dict[str, Any] = {
        "labels": [label(text, 99.0, Instances=[box], Parents=[name], Categories=[name], Aliases=[name])],
        "text": [{"Type": "LINE", "DetectedText": text, "Confidence": 99.0, "Geometry": box}],
        "moderation": [{"Name": text, "ParentName": text, "Confidence": 99.0}],
        "models": {text: text},
        "unavailable": {"faces": {"code": text, "message": text}},
    }
    failure = {"code": text, "message": text, "hint": text, "retryable": False}
    return item(text, **words), item(f"failed {text}"[:1000], status="failed", error=failure)


def test_hostile_text_is_only_text(new_tab: NewTab, empty_site: Site) -> None:
    empty_site.store(*(one for text in ATTACKS.values() for one in stored(text)))
    tab = new_tab(empty_site).with_pictures()
    tab.expected.append("403")  # a key with ".." in it has no address that browsers leave as it is
    tab.page.on("dialog", lambda dialog: tab.said.append(f"dialog: {dialog.message}"))
    tab.open()
    cards = tab.page.locator(".card")
    expect(cards.nth(2 * len(ATTACKS) - 1)).to_be_visible()
    for number, text in enumerate(reversed(ATTACKS.values())):
        bad, good = cards.nth(2 * number), cards.nth(2 * number + 1)
        bad.get_by_role("link").first.click()
        expect(tab.detail).to_contain_text("could not be analyzed")
        tab.page.keyboard.press("Escape")
        expect(good.locator(".card-name")).to_have_js_property("textContent", text)
        good.get_by_role("link").first.click()
        for place in ("h2", ".findings .pick bdi", ".caption.labels", ".about dd"):
            expect(tab.detail.locator(place).first).to_have_js_property("textContent", text)
        expect(tab.detail).to_contain_text("Not available here.")
        tab.page.keyboard.press("Escape")
        assert tab.page.evaluate("window.hit") is None, text
        # Nothing of it became an element, and the page is no wider than the window.
        assert tab.page.locator("script").count() == 1, text
        assert tab.page.locator("svg[onload], img[onerror]").count() == 0, text
        assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), text
    tab.page.get_by_label("Find a label").fill(ATTACKS["image"])
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#count")).to_contain_text(ATTACKS["image"])
    assert tab.page.evaluate("window.hit") is None


@pytest.mark.parametrize("text", [ATTACKS["image"], ATTACKS["turned"], ATTACKS["quotes"]])
def test_a_hostile_file_name_is_sent_and_shown_as_text(new_tab: NewTab, site: Site, text: str) -> None:
    tab = new_tab(site).open()
    tab.send({"name": text, "mimeType": "image/jpeg", "buffer": jpeg(len(text))})
    card = tab.page.locator(".card").first
    expect(card).to_have_attribute("data-key", re.compile(r"web/[0-9A-Z]{26}-[^<>/\"'\u202e]+\.jpg"))
    assert tab.page.evaluate("window.hit") is None
