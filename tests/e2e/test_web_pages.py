"""Every page inside, in both themes, on a desk and on a phone: accessible, no wider than the screen, and as a picture.

The pictures go to a folder of the test's, or to the one that CODETECT_TEST_PICTURES names: `docs/img` for the README's.
"""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from codetect_local.demo import SLUG, Demo
from codetect_local.stack import Stack
from playwright.async_api import Browser, Locator, expect

from tests.e2e.app import accessible, quiet_tab
from tests.e2e.conftest import Command
from tests.e2e.people import Somebody
from tests.e2e.slices import new_study
from tests.e2e.test_cli import SAMPLE

MODEL = "covid-ct-densenet169"
PATIENTS = ("Muster^Erika", "Doe^Jane", "Nowak^Jan")
SCREENS = {"": (1280, 800), "-phone": (390, 844)}


@dataclass(frozen=True)
class Place:
    """A page, and what is on it once it has what it shows."""

    name: str
    path: str
    ready: str


ADMIN = ("requests", "invitations", "members", "clients", "webhooks", "images", "audit", "checklist")
PLACES = [
    Place("worklist", "/worklist", "[role=grid]"),
    Place("analysis", "/analyses/{analysis}", ".images[data-slice][aria-busy=false]"),
    Place("submit", "/submit", ".drop-buttons"),
    Place("account", "/account", "h1"),
    *(Place(f"admin-{page}", f"/admin/{page}", ".admin h1") for page in ADMIN),
    Place("figures", "/figures", ".recharts-surface"),
]


@pytest.fixture(scope="module")
async def ada(stack: Stack, demo: dict[str, Any]) -> Somebody:
    """An admin with every page a facility has."""
    return await Somebody.made(stack, SLUG, "Ada Admin", "admin", "identity")


@pytest.fixture(scope="module")
async def analyses(stack: Stack, demo: dict[str, Any], codetect: Command, place: Path) -> list[str]:
    """By the shipped model: a slice each of people who don't exist, and the sample CT."""
    await asyncio.to_thread(Demo(stack).publish_models)
    sent: list[Path] = []
    for number, name in enumerate(PATIENTS):
        who = {"PatientName": name, "PatientID": f"P-{1001 + number}", "AccessionNumber": f"A-{20261 + number}"}
        sent.append(new_study(place / f"patient-{number}", **who))
    found = []
    for path in [*sent, SAMPLE]:
        done = await codetect("submit", path, "--model", MODEL, "--json")
        assert done.code == 0, done.err
        found.append(str(done.json["studies"][0]["analyses"][0]["analysis_id"]))
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_inside(
    browser: Browser, ada: Somebody, analyses: list[str], scheme: Literal["light", "dark"], tmp_path: Path
) -> None:
    folder = Path(os.environ.get("CODETECT_TEST_PICTURES", tmp_path))
    async with quiet_tab(browser, color_scheme=scheme) as tab:
        page = tab.page
        await ada.log_in(page)
        for ids, change in ((analyses[:2], {"folder": "Tumour board"}), (analyses[1:3], {"add_tags": ["second look"]})):
            status, _ = await tab.ask("POST", "/analyses/bulk", {"ids": ids, "do": "organise", "change": change})
            assert status == 200
        for place in PLACES:
            await page.goto(ada.home + place.path.format(analysis=analyses[-1]))
            for suffix, (width, height) in SCREENS.items():
                await page.set_viewport_size({"width": width, "height": height})
                await expect(page.locator(place.ready).first).to_be_visible(timeout=30_000)
                await expect(page.locator(".bp6-skeleton")).to_have_count(0, timeout=30_000)
                await accessible(page)
                assert await page.evaluate("document.documentElement.scrollWidth") <= width, place.name
                await page.screenshot(path=folder / f"{place.name}-{scheme}{suffix}.png", animations="disabled")


async def test_pages_leave_one_another_alone(browser: Browser, ada: Somebody, analyses: list[str]) -> None:
    """A page's CSS stays for as long as its tab is open: by links from page to page, and back to those there before."""
    async with quiet_tab(browser, viewport={"width": 1100, "height": 800}) as tab:
        page = tab.page
        await ada.log_in(page)
        menu = page.get_by_role("navigation", name="Menu")

        async def go(link: Locator, heading: str) -> None:
            await link.click()
            await expect(page.locator("main h1").filter(has_text=heading, visible=True)).to_be_visible()

        async def by_menu(name: str, heading: str) -> None:
            await go(menu.get_by_role("link", name=name, exact=True), heading)

        async def to_worklist() -> None:
            await by_menu("Worklist", "Worklist")
            await expect(page.locator(".worklist .row.head")).to_have_css("display", "grid")
            await expect(page.locator(".worklist .filters")).to_have_css("display", "flex")
            await expect(page.get_by_role("columnheader").filter(visible=True)).to_have_count(columns)

        async def through_administration() -> None:
            await by_menu("Administration", "Requests for access")
            await expect(page.locator(".admin .head")).to_have_css("display", "flex")
            beside = page.get_by_role("navigation", name="Administration")
            await go(beside.get_by_role("link", name="People"), "People")
            await go(beside.get_by_role("link", name="Audit"), "Audit")
            await expect(page.locator(".admin .filters")).to_have_css("display", "grid")

        await expect(page.locator(".worklist .row.head")).to_be_visible(timeout=30_000)
        columns = await page.get_by_role("columnheader").filter(visible=True).count()
        assert columns > 4
        await through_administration()
        await to_worklist()
        await by_menu("Submit", "Submit a study")
        await by_menu("Figures", "Figures")
        await to_worklist()
        await page.locator(".scroller .study a").first.click()
        await expect(page.locator(".analysis-title h1")).to_be_visible(timeout=30_000)
        await expect(page.locator(".analysis .back")).to_have_css("margin", "0px")
        await page.locator(".analysis .back").click()
        await to_worklist()
        await through_administration()
