"""The worklist in a browser against the complete stack: what happens shows by itself."""

import re
from pathlib import Path
from typing import Any

import pytest
from codetect_local.demo import SLUG
from codetect_local.stack import Stack
from playwright.async_api import expect

from tests.e2e.app import accessible
from tests.e2e.browser import Visit
from tests.e2e.conftest import Command
from tests.e2e.people import Somebody
from tests.e2e.slices import new_study


@pytest.fixture(scope="module")
async def wanda(stack: Stack, demo: dict[str, Any]) -> Somebody:
    """A viewer of the demo facility."""
    return await Somebody.made(stack, SLUG, "Wanda Viewer", "viewer")


async def test_it_moves_by_itself(tab: Visit, wanda: Somebody, codetect: Command, tiny: str, tmp_path: Path) -> None:
    page = tab.page
    await wanda.log_in(page)
    await expect(page.get_by_text("No analyses yet").or_(page.get_by_role("grid"))).to_be_visible()
    await page.evaluate("window.same = true")
    rows = page.locator(".scroller [role=row]")  # those in sight, of however many the facility has by now

    async def studies() -> list[str]:
        return list(await rows.locator(".study").evaluate_all("those => those.map(one => one.title)"))

    before = await studies()
    done = await codetect("submit", new_study(tmp_path), "--model", tiny, "--json")
    assert done.code == 0, done.err
    study = done.json["studies"][0]["study_id"]
    ours = page.locator(".scroller [role=row]", has=page.get_by_title(study))
    await expect(ours).to_contain_text("Done", timeout=30_000)
    order = await studies()
    assert not set(order[: order.index(study)]) & set(before), "above those that were there; others may be above it"
    assert await page.evaluate("window.same"), "no reload"
    await accessible(page)

    await page.get_by_label("Search").fill("no such study")
    await expect(page.get_by_text("Nothing found")).to_be_visible()
    await expect(page.get_by_label("Search")).to_be_focused()
    assert page.url.endswith("/worklist?q=no+such+study")
    await page.reload()
    await expect(page.get_by_label("Search")).to_have_value("no such study")
    await page.get_by_role("button", name="Clear").click()
    await expect(ours).to_be_visible()
    await expect(page.get_by_label("Search")).to_have_value("")
    await page.get_by_label("State").select_option("failed")
    await expect(ours).to_have_count(0)
    await expect(page).to_have_url(re.compile(r"/worklist\?status=failed$"))
    await page.get_by_label("Search").fill("no such study")
    await page.get_by_label("State").select_option("completed")  # before the search has begun
    await expect(page).to_have_url(re.compile(r"\?status=completed&q=no\+such\+study$"))
    await page.get_by_role("button", name="Clear").click()

    await rows.first.focus()
    await page.keyboard.press("End")
    last = page.locator(":focus")
    await expect(last).to_have_attribute("aria-rowindex", re.compile(r"^\d+$"))
    if await rows.count() > 1:
        await expect(last).not_to_have_attribute("aria-rowindex", "2")
    await page.keyboard.press("Home")
    await expect(page.locator(":focus")).to_have_attribute("aria-rowindex", "2")
