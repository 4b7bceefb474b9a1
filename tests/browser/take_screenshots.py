"""Takes the README's screenshots from a real run: a local cloud, a pipeline, the sample pictures, Chromium.

python -m tests.browser.take_screenshots [FOLDER]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import FEATURES, SAMPLES, chromium
from tests.support.machine import ROOT, Machine, machine_in

FOLDER = ROOT / "examples" / "screenshots"
# What is opened in each look: name of the screenshot -> key of the picture.
PICTURES = {
    "light": {"boxes": "astronaut.jpg"},
    "dark": {"text": "sign.png"},
    "phone": {"boxes": "astronaut.jpg"},
}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1200, "height": 800}},
    "dark": {"viewport": {"width": 1200, "height": 800}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 720}, "device_scale_factor": 1.5, "has_touch": True},
}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, machine_in(Path(home)) as machine:
        address = _signed_in(machine)
        with sync_playwright() as run:
            browser = run.chromium.launch(executable_path=chromium())
            for look, options in LOOKS.items():
                _take(browser, address, look, options, folder)


def _signed_in(machine: Machine) -> str:
    """The page's address with the token, of a pipeline that knows the sample pictures."""
    outputs = machine.imgpipe("up", "--local", "--features", FEATURES, "--json").json()["data"]
    machine.imgpipe("upload", *SAMPLES, "--wait")
    return f"{outputs['pageUrl']}#token={machine.imgpipe('token').out.strip()}"


def _take(browser: Browser, address: str, look: str, options: dict[str, Any], folder: Path) -> None:
    page = browser.new_context(**options, locale="en-GB").new_page()
    page.goto(address)
    page.locator(".card").nth(3).wait_for()
    page.wait_for_load_state("networkidle")
    if look == "light":
        _save(page, folder / "page-light.png")
    for name, key in PICTURES[look].items():
        page.locator(".card", has_text=key).get_by_role("link").first.click()
        page.locator(".frame img").wait_for()
        page.wait_for_timeout(400)
        _save(page, folder / f"{name}-{look}.png")
        page.keyboard.press("Escape")


def _save(page: Page, path: Path) -> None:
    """A PNG of 256 colors: a quarter of the size, and no difference that anyone sees."""
    page.screenshot(path=path)
    with Image.open(path) as shot:
        small = shot.convert("RGB").quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
    small.save(path, optimize=True)


if __name__ == "__main__":
    main()
