"""The pages in Chromium: at the width of a phone, by keyboard, in the dark, and with the browser's own rules."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from .conftest import Site, old_token, served

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium here: apt-get install chromium"),
]
_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Contrast of every text with the nearest background that is painted, as WCAG 2 computes it.
_CONTRAST = """() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => [r, g, b].map((v) => linear(v / 255))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility()) continue;
    let under = element, ground = [0, 0, 0, 0];
    while (under && ground[3] === 0) {
      const found = parts(getComputedStyle(under).backgroundColor);
      ground = found.length === 3 ? [...found, 1] : found; under = under.parentElement;
    }
    const [a, b] = [light(parts(getComputedStyle(element).color)), light(ground)].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(`${element.tagName} ${element.textContent.trim().slice(0, 30)}`);
  }
  return poor;
}"""


def shot(page: Any, name: str) -> None:
    """A picture of the page, where CUTOVER_TEST_PICTURES names a folder."""
    folder = os.environ.get("CUTOVER_TEST_PICTURES")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def _note(faults: list[str], event: Any) -> None:
    """Keep what a browser's console says that is no mere message."""
    if getattr(event, "type", "error") in ("error", "warning"):
        faults.append(str(getattr(event, "text", event)))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_on_a_phone_and_on_a_desk(make_site: Callable[..., Site], scheme: str) -> None:
    from playwright.sync_api import sync_playwright

    with served(make_site) as (_, url), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for width in (390, 1280):
            context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
            context.set_default_timeout(60_000)
            page = context.new_page()
            faults: list[str] = []
            page.on("console", partial(_note, faults))
            page.on("pageerror", partial(_note, faults))

            def look(name: str, width: int = width, page: Any = page) -> None:
                shot(page, f"{name}-{width}-{scheme}")
                assert page.evaluate(_WIDE) <= 0, f"{name} is wider than {width}"
                assert page.evaluate(_CONTRAST) == [], name

            page.goto(f"{url}/sign-in")
            look("sign-in")
            # by keyboard alone
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.className") == "skip"
            page.focus("#email")
            page.keyboard.type("ana@example.com")
            page.keyboard.press("Tab")
            page.keyboard.type("ana at dasha")
            page.keyboard.press("Enter")
            page.wait_for_selector("text=Your Personal Astrology Hub")
            look("dashboard-one-account")
            page.click("text=Settings")
            page.wait_for_selector("text=What we joined")
            page.click("summary")
            look("settings-one-account")
            # it is proved once, and stays so for the next width
            if page.locator("input[name=password]").count():
                page.fill("input[name=password]", "ana at compat")
                page.keyboard.press("Enter")
                page.wait_for_selector("text=That account is proved")
            look("settings")
            page.goto(url)
            assert "83%" in page.inner_text("main") and "days remaining" in page.inner_text("main")
            look("dashboard")
            for path in ("dasha", "compatibility", "s/anashared", "nothing"):
                page.goto(f"{url}/{path}")
                look(path.replace("/", "-"))
            # the browser's own console has nothing to say, but for the address that is none
            assert [fault for fault in faults if "404" not in fault] == []
            assert page.evaluate("document.cookie") == ""
            context.close()
        browser.close()


def test_every_control_is_reached_and_seen_by_keyboard(make_site: Callable[..., Site]) -> None:
    from playwright.sync_api import sync_playwright

    with served(make_site) as (_, url), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 844})
        page.goto(f"{url}/sign-in")
        page.fill("#email", "ana@example.com")
        page.fill("#password", "ana at dasha")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Your Personal Astrology Hub")
        page.goto(f"{url}/settings")
        visible = "a, button, input:not([type=hidden]), select, summary"
        wanted = page.evaluate(f"[...document.querySelectorAll('{visible}')].filter((e) => e.checkVisibility()).length")
        reached = set()
        for _ in range(wanted + 5):
            page.keyboard.press("Tab")
            focus = page.evaluate(
                "(() => { const e = document.activeElement; if (e === document.body) return null;"
                f" return [[...document.querySelectorAll('{visible}')].indexOf(e),"
                " getComputedStyle(e).outlineStyle !== 'none', e.getBoundingClientRect().height] })()"
            )
            if focus is not None and focus[0] >= 0:
                reached.add(focus[0])
                assert focus[1], "the focus is not seen"
        assert len(reached) == wanted
        browser.close()


@pytest.mark.parametrize("source", ["dasha", "compatibility"])
def test_an_old_application_leads_its_people_here(make_site: Callable[..., Site], source: str) -> None:
    from playwright.sync_api import sync_playwright

    with served(make_site) as (_, url), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{url}/sign-in/old#{source}={old_token(source, 6)}")
        # the token is in no address any more
        assert page.url == f"{url}/sign-in/old"
        page.click("text=Continue")
        page.wait_for_selector("text=Welcome to unified Mula platform!")
        text = page.inner_text("main")
        assert "Daily Dasha Timer" in text and "Cosmic Compatibility" in text
        browser.close()
