"""The page in a real browser: the system's Chromium, a local cloud, and the real pipeline behind the page.

A tab records what must never happen, and fails its test for it: errors on the console, breaches of the
Content-Security-Policy, and requests to any host but the API and the bucket.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from shared.result_item import StoredItem
from tests.support.machine import EXAMPLES, Machine, jpeg, machine_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page

FEATURES = "labels,moderation,faces,text"
SAMPLES = [EXAMPLES / name for name in ("astronaut.jpg", "cat.jpg", "coffee.jpg", "sign.png")]
# A shared machine may be slow; a test that passes never waits so long.
_PATIENCE_MS = 90_000
_REPORT_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy breached: ${event.violatedDirective} ${event.blockedURI}`));
"""


@dataclass(frozen=True)
class Site:
    """A pipeline with its page."""

    machine: Machine
    project: str
    outputs: dict[str, Any]
    stored: set[str] = field(default_factory=set)

    @property
    def page_url(self) -> str:
        return str(self.outputs["pageUrl"])

    @property
    def bucket(self) -> str:
        return str(self.outputs["bucket"])

    def imgpipe(self, command: str, *arguments: str | Path, **options: Any) -> Any:
        return self.machine.imgpipe(command, "--project", self.project, "--local", *arguments, **options)

    @property
    def token(self) -> str:
        """As the machine remembers it; `imgpipe token` asks the cloud, which takes longer."""
        known = json.loads((self.machine.state / "targets.json").read_text(encoding="utf-8"))["pipelines"]
        return str(next(entry["token"] for entry in known if entry["target"]["project"] == self.project))

    def get(self, path: str, token: str | None = None, **query: str) -> Any:
        """The JSON document that the API answers."""
        request = Request(f"{self.page_url}{path}?{urlencode(query)}")
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        with build_opener(ProxyHandler({})).open(request, timeout=60) as answer:
            return json.load(answer)

    def store(self, *items: StoredItem) -> None:
        """Put result items into the table, as the ingest function would; until the end of the test."""
        from shared.table_rows import row_of

        self.stored.update(item["objectKey"] for item in items)
        self._write([{"PutRequest": {"Item": row_of(item)}} for item in items])

    def forget_stored(self) -> None:
        """Results without pictures would be removed by the cloud itself, at its next start."""
        keys = [{"objectKey": {"S": key}} for key in self.stored]
        self._write([{"DeleteRequest": {"Key": key}} for key in keys])
        self.stored.clear()

    def _write(self, requests: list[dict[str, Any]]) -> None:
        for start in range(0, len(requests), 25):
            table = self.machine.client("dynamodb")
            table.batch_write_item(RequestItems={f"{self.project}-results": requests[start : start + 25]})


def chromium() -> str | None:
    """Where the system's Chromium is."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((found for name in names if (found := shutil.which(name))), None)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The system's Chromium, else one that Playwright has installed; without any this tier is skipped."""
    # Package scope and no longer: while it runs, no other test of this process can use asyncio.
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as run:
        path = chromium() or run.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("no Chromium here (apt-get install chromium, or playwright install chromium)")
        yield run.chromium.launch(executable_path=path)


@pytest.fixture(scope="package")
def machine(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine_in(tmp_path_factory.mktemp("browser")) as found:
        yield found


def _site(machine: Machine, project: str, *options: str) -> Site:
    up = machine.imgpipe("up", "--local", "--project", project, "--features", FEATURES, *options, "--json")
    return Site(machine, project, up.json()["data"])


@pytest.fixture(scope="package")
def site(machine: Machine) -> Site:
    """A pipeline that knows the sample pictures."""
    made = _site(machine, "page")
    made.imgpipe("upload", *SAMPLES, "--wait")
    return made


@pytest.fixture(scope="package")
def empty_site(machine: Machine) -> Site:
    """A pipeline into which tests put results of their own."""
    return _site(machine, "own")


@pytest.fixture(scope="package")
def private_site(machine: Machine) -> Site:
    return _site(machine, "closed", "--private")


@dataclass
class Tab:
    """A browser tab on a site's page. expected: what its console may say, in part.

    On a slow machine functions answer 503: too busy. The page asks again; where it does not, the test fails.
    """

    site: Site
    context: BrowserContext
    page: Page
    expected: list[str] = field(default_factory=lambda: ["status of 503"])
    said: list[str] = field(default_factory=list)
    requests: list[tuple[str, str, int]] = field(default_factory=list)

    def watch(self) -> None:
        self.page.add_init_script(_REPORT_VIOLATIONS)
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.said.append(f"uncaught: {error}"))
        self.context.on(
            "request",
            lambda request: self.requests.append(
                (request.method, request.url, len(request.post_data_buffer or b""))
            ),
        )

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.said.append(message.text)

    def check(self) -> None:
        """Nothing that must never happen has happened."""
        said = [text for text in self.said if not any(part in text for part in self.expected)]
        assert said == []
        allowed = urlsplit(self.site.page_url).netloc
        hosts = {urlsplit(url).netloc for _, url, _ in self.requests if url.startswith(("http", "ws"))}
        assert hosts <= {allowed}, "a request to another host"

    def open(self, *, signed_in: bool = True, fragment: str = "") -> Tab:
        fragment = f"token={self.site.token}" if signed_in else fragment
        self.page.goto("about:blank")
        self.page.goto(f"{self.site.page_url}#{fragment}" if fragment else self.site.page_url)
        if signed_in:
            # With the list: its answer, if late, would meet what the test does next.
            self.page.locator("#count:not(:empty)").wait_for()
        return self

    def with_pictures(self) -> Tab:
        """For results that a test put into the table: gives each of them a picture."""
        dot = jpeg(1)
        bucket = f"**/{self.site.bucket}/**"
        self.page.route(bucket, lambda route: route.fulfill(body=dot, content_type="image/jpeg"))
        return self

    def card(self, name: str) -> Locator:
        """The newest card with this name."""
        return self.page.locator(".card", has_text=name).first

    def open_detail(self, name: str) -> Locator:
        self.card(name).get_by_role("link").first.click()
        return self.detail

    @property
    def detail(self) -> Locator:
        return self.page.get_by_role("dialog")

    def send(self, *files: Path | dict[str, Any]) -> None:
        self.page.locator("#files").set_input_files(list(files))  # type: ignore[arg-type]

    def slide(self, slider: Locator, value: int) -> None:
        """Move a slider as its user does: by the keyboard."""
        slider.focus()
        for _ in range(100):
            at = int(slider.input_value())
            if at == value:
                return
            self.page.keyboard.press("ArrowRight" if at < value else "ArrowLeft")


NewTab = Callable[..., Tab]


@pytest.fixture
def new_tab(browser: Browser) -> Iterator[NewTab]:
    """new_tab(site, **options of the browser context): a tab that is checked and closed at the end."""
    tabs: list[Tab] = []

    def made(site: Site, **options: Any) -> Tab:
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        context.set_default_timeout(_PATIENCE_MS)
        tab = Tab(site, context, context.new_page())
        tab.watch()
        tabs.append(tab)
        return tab

    yield made
    for tab in tabs:
        tab.context.close()
    for site in {id(tab.site): tab.site for tab in tabs}.values():
        site.forget_stored()
    for tab in tabs:
        tab.check()


@pytest.fixture
def tab(new_tab: NewTab, site: Site) -> Tab:
    """A tab on the sample pictures' page, signed in."""
    return new_tab(site).open()


def boxes(detail: Locator) -> dict[str, tuple[float, float, float, float]]:
    """What is drawn over the picture, measured on the screen: row -> left, top, width, height.

    All are shares of the picture as it is shown.
    """
    return dict(
        detail.evaluate(
            """(root) => {
              const frame = root.querySelector(".frame img").getBoundingClientRect();
              return [...root.querySelectorAll(".box")].map((box) => {
                const { left, top, width, height } = box.getBoundingClientRect();
                return [box.dataset.row, [(left - frame.left) / frame.width, (top - frame.top) / frame.height,
                  width / frame.width, height / frame.height]];
              });
            }"""
        )
    )


def shares(box: dict[str, float]) -> tuple[float, float, float, float]:
    """A BoundingBox of the API in the same form."""
    return box["Left"], box["Top"], box["Width"], box["Height"]
