"""Pictures sent from the page: into the bucket, through the pipeline, and back as results."""

from __future__ import annotations

import base64
import io
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Route, expect

from imgpipe_cli.lambdas.source import picture
from tests.browser.conftest import SAMPLES, Tab, boxes, shares
from tests.support import photos
from tests.support.machine import EXAMPLES, jpeg, until

ASTRONAUT = EXAMPLES / "astronaut.jpg"
KEY = re.compile(r"web/[0-9A-Z]{26}-(.+)")


def named(name: str, data: bytes, kind: str = "image/jpeg") -> dict[str, Any]:
    return {"name": name, "mimeType": kind, "buffer": data}


def key_of(tab: Tab, name: str) -> str:
    return str(tab.card(name).get_attribute("data-key"))


def test_three_pictures_come_back_with_labels_and_boxes(tab: Tab) -> None:
    tab.send(ASTRONAUT, EXAMPLES / "sign.png", EXAMPLES / "coffee.jpg")
    for name in ("astronaut.jpg", "sign.png", "coffee.jpg"):
        card = tab.card(name)
        expect(card).to_have_attribute("data-key", KEY)
        match = KEY.fullmatch(key_of(tab, name))
        assert match and match[1] == name
    expect(tab.card("astronaut.jpg")).to_contain_text("Face 96.0 %")
    expect(tab.card("sign.png")).to_contain_text("Text 100.0 %")
    expect(tab.card("coffee.jpg")).to_contain_text("Cup 94.2 %")
    for name in ("astronaut.jpg", "sign.png"):
        item = tab.site.get("result", tab.site.token, key=key_of(tab, name))
        detail = tab.open_detail(name)
        expect(detail.locator(".frame img")).to_have_js_property("complete", value=True)
        size = picture.size_text((EXAMPLES / name).stat().st_size)
        expect(detail.locator(".about")).to_contain_text(f"pixels, {size}, image/")
        drawn = boxes(detail)
        wanted = {
            **{
                f"label {label['Name']}": shares(instance["BoundingBox"])
                for label in item["labels"]
                for instance in label["Instances"]
            },
            **{f"Face {n}": shares(face["BoundingBox"]) for n, face in enumerate(item["faces"], 1)},
        }
        lines = [entry for entry in item["text"] if entry["Type"] == "LINE"]
        wanted |= {f"line {n}": shares(line["Geometry"]["BoundingBox"]) for n, line in enumerate(lines)}
        assert wanted
        assert drawn.keys() == wanted.keys()
        for row, box in wanted.items():
            assert drawn[row] == pytest.approx(box, abs=0.01), row
        tab.page.keyboard.press("Escape")


def test_a_picture_goes_straight_to_the_bucket(tab: Tab) -> None:
    tab.send(ASTRONAUT)
    expect(tab.card("astronaut.jpg")).to_have_attribute("data-key", KEY)
    posts = [(url, size) for method, url, size in tab.requests if method == "POST"]
    (asked, asked_size), (sent, _) = posts
    assert asked == f"{tab.site.page_url}uploads"
    assert asked_size < 200
    assert sent.endswith(f"/{tab.site.bucket}")


def test_two_uploads_of_one_name_never_meet(tab: Tab) -> None:
    before = tab.page.locator(".card", has_text="same.jpg").count()
    tab.send(named("same.jpg", jpeg(1)), named("same.jpg", jpeg(2)))
    cards = tab.page.locator(".card[data-key]", has_text="same.jpg")
    expect(cards).to_have_count(before + 2)
    assert len({card.get_attribute("data-key") for card in cards.all()}) == before + 2


def test_a_picture_that_comes_while_others_are_listed_is_shown_and_not_counted(tab: Tab) -> None:
    count, box = tab.page.locator("#count"), tab.page.get_by_label("Find a label")
    box.fill("Unicorn")
    tab.page.keyboard.press("Enter")
    expect(count).to_have_text("0 pictures with “Unicorn”")
    tab.send(named("horse.jpg", jpeg(63)))
    expect(tab.card("horse.jpg")).to_have_attribute("data-key", KEY)
    expect(count).to_have_text("0 pictures with “Unicorn”")
    box.fill("")
    tab.page.keyboard.press("Enter")
    expect(count).to_have_text(re.compile(r"^\d+ pictures"))
    expect(tab.page.locator(".card", has_text="horse.jpg")).to_have_count(1)


DROP = """([kind, files]) => {
  const transfer = new DataTransfer();
  for (const [name, type, text] of files) {
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type }));
  }
  const target = document.querySelector(kind === "paste" ? "body" : "#drop");
  if (kind === "paste") {
    target.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
    return;
  }
  for (const name of ["dragenter", "dragover", "drop"]) {
    const event = new DragEvent(name, { dataTransfer: transfer, bubbles: true, cancelable: true });
    target.dispatchEvent(event);
    if (name === "dragenter" && !target.classList.contains("over")) throw new Error("not shown");
    if (name !== "dragenter" && !event.defaultPrevented) throw new Error("the browser would open the file");
  }
}"""


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_pictures_are_taken_by(tab: Tab, kind: str) -> None:
    files = [[f"{kind}-{n}.jpg", "image/jpeg", base64.b64encode(jpeg(40 + n)).decode()] for n in range(2)]
    tab.page.evaluate(DROP, [kind, files])
    for n in range(2):
        expect(tab.card(f"{kind}-{n}.jpg")).to_have_attribute("data-key", KEY)
    expect(tab.page.locator("#drop")).not_to_have_class(re.compile("over"))


def big(size: int) -> bytes:
    picture = jpeg(1, side=200)
    return picture + bytes(size - len(picture))


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


REFUSED = {
    "report.jpg": (b"%PDF-1.7\n" + bytes(900), "it looks like a PDF document"),
    "holiday.jpg": (big(51 * 1024 * 1024), "at most 15 MB are allowed. The page converts up to 50 MB"),
    "tiny.jpg": (jpeg(1, side=79), "79 x 79 pixels; both sides need at least 80"),
    "flat.png": (png(10_500, 80), "10000 x 76 pixels; both sides need at least 80"),
    "empty.png": (b"", "an empty file"),
    "phone.jpg": (
        b"\0\0\0\x18ftypheic" + bytes(90),
        "a HEIC picture. This browser cannot convert it; imgpipe",
    ),
    "camera.jpg": (b"\0\0\0\x18ftypcrx " + bytes(90), "a camera RAW file"),
    "new.jpg": (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif" + bytes(90), "an AVIF picture"),
    "app.png": (b"\x89PNG\r\n\x1a\n\0\0\0\4CgBI" + bytes(90), "a PNG optimized for iPhone apps"),
    "cut.jpg": (jpeg(1)[:40], "The file is damaged"),
}


def test_what_the_browser_can_decode_is_sent_as_it_shows_it(tab: Tab, tmp_path: Path) -> None:
    files = {
        "photo.webp": (photos.MADE["WebP"](1), [240, 160]),
        "first.gif": (photos.gif(), [240, 160]),
        "turned.avif": (photos.MADE["AVIF"](6), [240, 160]),
        "heavy.jpg": (photos.jpeg(6) + bytes(16 * 1024 * 1024), [240, 160]),
        "wide.png": (png(10_001, 90), [10_000, 90]),
    }
    for name, (data, _) in files.items():
        (tmp_path / name).write_bytes(data)
    tab.send(*(tmp_path / name for name in files))
    for name, (_, size) in files.items():
        expect(tab.card(f"{name}.jpg")).to_have_attribute("data-key", KEY)
        item = tab.site.get("result", tab.site.token, key=key_of(tab, f"{name}.jpg"))
        assert (item["contentType"], [item["width"], item["height"]]) == ("image/jpeg", size)


def test_what_cannot_be_analyzed_is_refused_with_the_reason_and_the_rest_goes(
    tab: Tab, tmp_path: Path
) -> None:
    for name, (data, _) in REFUSED.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "good.jpg").write_bytes(jpeg(77))
    before = len(tab.requests)
    tab.send(*(tmp_path / name for name in REFUSED), tmp_path / "good.jpg")
    for name, (_, reason) in REFUSED.items():
        card = tab.card(name)
        expect(card).to_contain_text("Not sent.")
        expect(card).to_contain_text(reason)
    expect(tab.card("good.jpg")).to_have_attribute("data-key", KEY)
    # One form was asked for, and one sent: nothing else left the machine.
    assert [method for method, _, _ in tab.requests[before:]].count("POST") == 2
    tab.card("report.jpg").get_by_role("button", name="Dismiss report.jpg").click()
    expect(tab.page.locator(".card", has_text="report.jpg")).to_have_count(0)


def test_just_15_mb_are_taken(tab: Tab, tmp_path: Path) -> None:
    (tmp_path / "limit.jpg").write_bytes(big(15 * 1024 * 1024))
    tab.send(tmp_path / "limit.jpg")
    expect(tab.card("limit.jpg")).to_have_attribute("data-key", KEY)


def test_a_jpeg_whose_size_stands_far_behind_is_read_on(tab: Tab) -> None:
    picture = jpeg(5)
    segments = b"".join(b"\xff\xe2" + (65_002).to_bytes(2, "big") + bytes(65_000) for _ in range(6))
    tab.send(named("profile.jpg", picture[:2] + segments + picture[2:]))
    expect(tab.card("profile.jpg")).to_have_attribute("data-key", KEY)


def test_bytes_that_belong_to_no_segment_are_stepped_over(tab: Tab) -> None:
    picture = jpeg(8)
    first = 4 + int.from_bytes(picture[4:6], "big")
    tab.send(named("odd.jpg", picture[:first] + b"\0\xff\0\0\xe1" + picture[first:]))
    expect(tab.card("odd.jpg")).to_have_attribute("data-key", KEY)


def expired_form(tab: Tab, key: str) -> dict[str, Any]:
    form = tab.site.machine.client("s3").generate_presigned_post(
        tab.site.bucket,
        key,
        Fields={"Content-Type": "image/jpeg"},
        Conditions=[{"Content-Type": "image/jpeg"}],
        ExpiresIn=-60,
    )
    return {**form, "key": key}


def test_an_expired_form_is_replaced_by_a_new_one(tab: Tab) -> None:
    tab.expected.append("403")
    given: list[dict[str, Any]] = []

    def once(route: Route) -> None:
        if given:
            route.continue_()
        else:
            given.append(expired_form(tab, "web/late.jpg"))
            route.fulfill(status=201, json=given[0])

    tab.page.route("**/uploads", once)
    tab.send(named("late.jpg", jpeg(6)))
    expect(tab.card("late.jpg")).to_have_attribute("data-key", KEY)
    assert given


def test_forms_that_stay_expired_end_with_a_reason_and_a_way_on(tab: Tab) -> None:
    tab.expected.append("403")
    tab.page.route(
        "**/uploads", lambda route: route.fulfill(status=201, json=expired_form(tab, "web/never.jpg"))
    )
    tab.send(named("never.jpg", jpeg(7)))
    card = tab.card("never.jpg")
    expect(card).to_contain_text("has expired, or this computer's clock is wrong")
    tab.page.unroute("**/uploads")
    card.get_by_role("button", name="Try again").click()
    expect(card).to_have_attribute("data-key", KEY)


def test_the_form_is_good_for_exactly_what_was_asked(tab: Tab) -> None:
    """The bucket itself refuses another key, type or size; nothing of that is left to the page."""
    statuses = tab.page.evaluate(
        """async () => {
          const token = sessionStorage.getItem("imgpipe-token");
          const headers = { Authorization: `Bearer ${token}` };
          const answer = await fetch("uploads", { method: "POST", headers,
            body: JSON.stringify({ key: "exact.jpg", sizeBytes: 4, contentType: "image/jpeg" }) });
          const form = await answer.json();
          const post = async (changed, body) => {
            const data = new FormData();
            const fields = { ...form.fields, ...changed };
            for (const [name, value] of Object.entries(fields)) data.append(name, value);
            data.append("file", new Blob([body]));
            return (await fetch(form.url, { method: "POST", body: data })).status;
          };
          const other = [{ key: "other.jpg" }, { "Content-Type": "text/html" }];
          return [await post(other[0], "four"), await post(other[1], "four"),
            await post({}, "fiver"), await post({}, "two"), await post({}, "four")];
        }"""
    )
    tab.expected += ["403", "400"]
    assert statuses == [403, 403, 400, 400, 204]

    def has_come() -> bool:
        stored = tab.site.get("results", tab.site.token, limit="40")["items"]
        return any(one["objectKey"].endswith("exact.jpg") for one in stored)

    # It comes without the page: later it would do so in the middle of another test.
    until(has_come, what="the result of what was sent")


def test_while_the_api_is_down_the_card_says_so_and_then_goes_on(tab: Tab) -> None:
    tab.expected.append("ERR_FAILED")
    tab.page.route("**/results?*", lambda route: route.abort())
    tab.send(named("patient.jpg", jpeg(8)))
    expect(tab.card("patient.jpg")).to_contain_text("The API does not answer.")
    expect(tab.card("patient.jpg")).to_contain_text("Trying again.")
    tab.page.get_by_role("button", name="Refresh").click()
    expect(tab.page.locator("#list-problem")).to_contain_text("The API does not answer.")
    tab.page.unroute("**/results?*")
    expect(tab.card("patient.jpg")).to_have_attribute("data-key", KEY)


def test_while_the_api_is_late_the_card_says_so_and_the_list_asks_again(tab: Tab) -> None:
    busy = json.dumps({"error": {"code": "busy", "message": "There is too much to do. Try again."}})
    asked: list[str] = []

    def late(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=503, body=busy, content_type="application/json")

    tab.page.route("**/results?*", late)
    tab.send(named("late.jpg", jpeg(21)))
    expect(tab.card("late.jpg")).to_contain_text("Sent. The result is late; still asking.")
    tab.page.unroute("**/results?*")
    tab.page.route("**/results?*", late, times=1)
    tab.page.get_by_role("button", name="Refresh").click()
    expect(tab.card("late.jpg")).to_have_attribute("data-key", KEY)
    expect(tab.page.locator("#list-problem")).to_be_empty()
    assert len(asked) >= 2


def test_waiting_ends_with_what_to_check(tab: Tab) -> None:
    nothing = json.dumps({"items": [], "next": None})
    tab.page.route("**/results?*", lambda route: route.fulfill(body=nothing, content_type="application/json"))
    tab.page.clock.install()

    def lists() -> list[str]:
        return [url for _, url, _ in tab.requests if "/results?" in url]

    tab.send(named("lost.jpg", jpeg(9)))
    card = tab.card("lost.jpg")
    expect(card).to_contain_text("Queued for analysis")
    # A list that does not know it yet takes nothing away from it.
    tab.page.get_by_role("button", name="Refresh").click()
    expect(tab.page.locator("#count")).to_contain_text("No pictures yet.")
    expect(card).to_contain_text("Queued for analysis")
    tab.page.clock.fast_forward(181_000)
    expect(card).to_contain_text("No result after three minutes.")
    expect(card).to_contain_text("imgpipe explain")
    expect(card).not_to_have_attribute("aria-busy", "true")
    asked = len(lists())
    tab.page.clock.fast_forward(60_000)
    assert len(lists()) == asked, "it goes on asking"
    tab.page.unroute("**/results?*")
    card.get_by_role("button", name="Look again").click()
    expect(tab.card("lost.jpg")).to_have_attribute("data-key", KEY)


_NOTE_EACH_QUESTION = """() => {
  window.asked = [];
  const send = window.fetch;
  window.fetch = (where, ...rest) => {
    if (String(where).includes("results?")) window.asked.push(Date.now());
    return send(where, ...rest);
  };
}"""


def test_asking_becomes_slower(tab: Tab) -> None:
    nothing = json.dumps({"items": [], "next": None})
    tab.page.route("**/results?*", lambda route: route.fulfill(body=nothing, content_type="application/json"))
    tab.page.clock.install()
    tab.page.evaluate(_NOTE_EACH_QUESTION)
    tab.send(named("slow.jpg", jpeg(10)))
    expect(tab.card("slow.jpg")).to_contain_text("Queued for analysis")
    # By the page's own clock: on a busy machine it runs on between two of these steps.
    while len(asked := tab.page.evaluate("window.asked")) < 14:
        tab.page.clock.run_for(1000)
    gaps = [later - earlier for earlier, later in pairwise(asked[:14])]
    assert all(gap >= min(400 * 1.4 ** (turn + 1), 5000) - 1 for turn, gap in enumerate(gaps)), gaps
    tab.page.unroute("**/results?*")
    expect(tab.card("slow.jpg")).to_have_attribute("data-key", KEY)  # and not in the middle of another test


def test_a_stopped_pipeline_comes_back_and_the_page_goes_on(tab: Tab) -> None:
    """The whole local cloud stops and starts again behind the open page."""
    from imgpipe_cli.local.process import control

    expect(tab.card("sign.png")).to_be_visible()
    state = tab.site.machine.state
    port = int(tab.site.machine.cloud().endpoint.rpartition(":")[2])
    # 403: links signed before the stop are refused; the page asks for new ones.
    tab.expected += ["net::ERR_", "403"]
    control.stop(state)
    try:
        tab.page.get_by_role("button", name="Refresh").click()
        problem = tab.page.get_by_role("alert").filter(has_text="The API does not answer.")
        expect(problem).to_be_visible()
        expect(tab.card("sign.png")).to_be_visible()
    finally:
        control.start(state, port=port)
    problem.get_by_role("button", name="Try again").click()
    expect(problem).to_be_hidden()
    tab.send(SAMPLES[0])
    expect(tab.card("astronaut.jpg")).to_have_attribute("data-key", KEY)
