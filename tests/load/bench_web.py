"""How long people wait for the web app: `python -m tests.load.bench_web`.

Prints JSON lines (name, value, unit, target): medians in Debian's Chromium against a complete stack of its own, on
loopback. "Cold" is a browser that has nothing of the app; a page counts from the first frame that shows what it is for.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from codetect import Client
from codetect.credentials import ApiClient
from codetect_local.demo import SAMPLE, SLUG, Demo
from codetect_local.stack import Stack
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.e2e.app import quiet_tab
from tests.e2e.browser import FLAGS, chromium
from tests.e2e.people import Somebody
from tests.infrastructure import clear, settings_apart

ROUNDS = 9
SHOWN = """
window.shown = (predicate) => new Promise((resolve) => {
  const look = () => {
    if (!predicate()) return;
    watching.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now())));
  };
  const watching = new MutationObserver(look);
  watching.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
  look();
});
"""
WHEN = SHOWN + "window.at = window.shown(() => document.querySelector(%s));"
GO = """
async ([name, title]) => {
  const link = [...document.querySelectorAll("nav a")].find((each) => each.textContent === name);
  const from = performance.now();
  link.click();
  const late = new Promise((_, reject) => setTimeout(reject, 10_000, `${title} didn't come`));
  const shown = window.shown(() => document.querySelector("main h1")?.textContent === title);
  return await Promise.race([late, shown]) - from;
}
"""
Row = dict[str, Any]


async def cold(browser: Browser, home: str, path: str, selector: str, state: Any = None) -> float:
    """Milliseconds from the beginning of the navigation until it shows, median of browsers without a cache."""
    waits = []
    for _ in range(ROUNDS):
        async with quiet_tab(browser, storage_state=state) as tab:
            await tab.page.add_init_script(WHEN % json.dumps(selector))
            await tab.page.goto(home + path)
            waits.append(await tab.page.evaluate("window.at"))
    return median(waits)


async def routes(page: Page) -> AsyncIterator[Row]:
    """From one entry of the menu to the next and back, with every page loaded once before."""
    await page.locator("main h1").wait_for()
    names = await page.locator("nav[aria-label=Menu] a").all_inner_texts()
    title = page.locator("main h1")
    titles = {names[0]: await title.inner_text()}  # where one comes in
    for before, name in pairwise(names):
        await page.get_by_role("navigation", name="Menu").get_by_role("link", name=name).click()
        await expect(title).not_to_have_text(titles[before])
        titles[name] = await title.inner_text()
    for name in names:
        waits = []
        for _ in range(ROUNDS):
            other = next(each for each in names if each != name)
            await page.evaluate(GO, [other, titles[other]])
            waits.append(await page.evaluate(GO, [name, titles[name]]))
        yield row(f"web_route_{name.lower()}", median(waits), 100)


def row(name: str, value: float, target: float) -> Row:
    return {"name": name, "value": round(value), "unit": "ms", "target": target}


async def measure(stack: Stack) -> AsyncIterator[Row]:
    """All figures of this file."""
    await stack.up()
    demo = Demo(stack)
    await demo.open_facility()
    await asyncio.to_thread(demo.publish_models)
    client = demo.known["api_client"]
    async with Client(demo.known["url"], ApiClient(client["client_id"], client["client_secret"])) as here:
        submitted = await here.submit([SAMPLE])
    analysis = submitted.studies[0].analyses[0].analysis_id
    ada = await Somebody.made(stack, SLUG, "Ada Admin", "admin")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield row("web_login_cold", await cold(browser, ada.home, "/login", "form input[type=email]"), 1500)
        async with quiet_tab(browser) as tab:
            await tab.page.add_init_script(SHOWN)
            await ada.log_in(tab.page)
            state = await tab.context.storage_state()
            yield row("web_worklist_cold", await cold(browser, ada.home, "/worklist", "[role=grid]", state), 1500)
            shown = await cold(
                browser, ada.home, f"/analyses/{analysis}", ".images[data-slice][aria-busy=false]", state
            )
            yield row("web_analysis_cold", shown, 2000)
            await tab.page.goto(ada.home)
            async for each in routes(tab.page):
                yield each
        await browser.close()


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="codetect-bench-") as folder:
        Path(folder).chmod(0o755)
        stack = Stack(settings_apart(Path(folder) / "state"))
        try:
            async for each in measure(stack):
                print(json.dumps(each), flush=True)
        finally:
            await asyncio.to_thread(clear, stack)


if __name__ == "__main__":
    asyncio.run(main())
