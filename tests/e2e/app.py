"""The web app in a browser: tabs that must not complain, and what every test does in them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from codetect_gateway.web import BUILT
from playwright.async_api import Browser, Page, expect

from tests.e2e.browser import Visit, visit

expect.set_options(timeout=20_000)  # two cores may be busy with much else
AXE = Path(__file__).parents[2] / "services/gateway/web/node_modules/axe-core/axe.min.js"
# What fades in has another contrast meanwhile; what pulses for ever isn't waited for.
SETTLED = """
Promise.allSettled(document.getAnimations()
  .filter((each) => Number.isFinite(each.effect.getComputedTiming().endTime)).map(({finished}) => finished))
"""
SERIOUS = {"serious", "critical"}


@asynccontextmanager
async def quiet_tab(browser: Browser, **options: Any) -> AsyncIterator[Visit]:
    """A tab that must not complain: neither of its policy nor of an error that nobody caught."""
    assert (BUILT / "index.html").is_file(), "the web app isn't built: make web"
    complaints: list[str] = []
    context = await browser.new_context(**{"locale": "en", **options})
    tab = await visit(context)
    tab.page.on("pageerror", lambda error: complaints.append(str(error)))
    tab.page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
    try:
        yield tab
    finally:
        await context.close()
    assert not complaints, complaints


async def password_step(page: Page, email: str, password: str) -> None:
    """The first step of a login."""
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_label("Password", exact=True).fill(password)
    await page.keyboard.press("Enter")


async def is_in(page: Page) -> None:
    """Whoever is logged in has a menu."""
    await expect(page.get_by_role("navigation", name="Menu")).to_be_visible()


async def log_out(page: Page) -> None:
    """By the person's menu."""
    await page.get_by_role("button", name="account and settings").click()
    await page.get_by_role("menuitem", name="Log out").click()
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()


async def accessible(page: Page) -> None:
    """Axe finds nothing serious on the page as it is now."""
    await page.evaluate(SETTLED)
    await page.evaluate(AXE.read_text())
    found = await page.evaluate("axe.run().then(({violations}) => violations)")
    serious = [
        (each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found if each["impact"] in SERIOUS
    ]
    assert not serious, serious
