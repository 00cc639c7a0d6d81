"""The figures in a browser against the complete stack: they move while one looks, and can be taken away."""

import csv
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from codetect_local.demo import SLUG
from codetect_local.stack import Stack
from PIL import Image
from playwright.async_api import Locator, Page, expect

from tests.e2e.app import accessible
from tests.e2e.browser import Visit
from tests.e2e.conftest import Command
from tests.e2e.people import Somebody, picture
from tests.e2e.slices import new_study

SLOW_MS = 30_000


@pytest.fixture(scope="module")
async def fiona(stack: Stack, demo: dict[str, Any]) -> Somebody:
    """A viewer of the demo facility."""
    return await Somebody.made(stack, SLUG, "Fiona Viewer", "viewer")


async def come_in(page: Page, person: Somebody) -> None:
    """To the figures, by the menu."""
    await person.log_in(page)
    await expect(page).to_have_url(re.compile("/worklist$"))
    await page.get_by_role("link", name="Figures").click()
    await expect(page.get_by_role("heading", name="Figures", exact=True)).to_be_visible()


def sent_in(folder: Path) -> Path:
    """A slice that nobody has sent before, and a file that is none."""
    new_study(folder)
    (folder / "readme.dcm").write_text("no image")
    return folder


def chart(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title, exact=True)


def shown_in_tile(page: Page, name: str) -> Locator:
    """What stands in a tile, once it stands there."""
    return page.locator(".tile", has_text=name).locator("dd:not(.bp6-skeleton)")


async def tile(page: Page, name: str) -> int:
    """The same as a number."""
    return int((await shown_in_tile(page, name).inner_text()).replace(",", ""))


async def saved(page: Page, title: str, what: str) -> Path:
    """A file that the page hands to the browser."""
    await chart(page, title).get_by_role("button", name=f"Save: {title}").click()
    async with page.expect_download() as coming:
        await page.get_by_role("menuitem", name=what).click()
    return Path(await (await coming.value).path())


async def test_they_move_by_themselves(
    tab: Visit, fiona: Somebody, codetect: Command, tiny: str, tmp_path: Path
) -> None:
    page = tab.page
    await come_in(page, fiona)
    await page.evaluate("window.same = true")
    before = {name: await tile(page, name) for name in ("Completed", "Files refused")}

    done = await codetect("submit", sent_in(tmp_path), "--model", tiny, "--json")
    assert len(done.json["rejected"]) == 1, done.err

    async def grows(name: str) -> None:
        # Others' analyses of this run may end meanwhile: it grows by one at least.
        await expect(shown_in_tile(page, name)).not_to_have_text(f"{before[name]:,}", timeout=SLOW_MS)
        assert await tile(page, name) > before[name]

    await grows("Completed")
    await grows("Files refused")
    refused = chart(page, "Files refused, by reason")
    await expect(refused.get_by_text("Not DICOM").first).to_be_visible(timeout=SLOW_MS)
    await expect(chart(page, "Analyses by model version").get_by_text(tiny).first).to_be_visible(timeout=SLOW_MS)
    await expect(chart(page, "Time to result").locator(".recharts-line")).to_have_count(3)
    assert await page.evaluate("window.same"), "no reload"
    await accessible(page)
    await picture(page, "figures")

    # By keyboard: the newest day is where this study is.
    surface = refused.get_by_role("application")
    await surface.focus()
    await page.keyboard.press("End")
    for _ in range(31):
        await page.keyboard.press("ArrowRight")
    await expect(refused.locator(".reading")).to_contain_text("Not DICOM")


async def test_they_can_be_taken_away_and_the_address_holds_what_is_seen(
    tab: Visit, demo: dict[str, Any], stack: Stack, codetect: Command, tiny: str, tmp_path: Path
) -> None:
    page = tab.page
    felix = await Somebody.made(stack, SLUG, "Felix Viewer", "viewer")
    done = await codetect("submit", sent_in(tmp_path), "--model", tiny, "--json")
    assert done.json["studies"], done.err
    await come_in(page, felix)

    await page.get_by_label("Period").select_option("Last 7 days")
    await page.get_by_label("In steps of").select_option("Hours")
    await expect(page).to_have_url(re.compile(r"/figures\?period=7d&by=hour$"))
    await page.reload()
    await expect(page.get_by_label("In steps of")).to_have_value("hour")
    studies = chart(page, "Studies received")
    await expect(studies.locator(".recharts-bar-rectangle").first).to_be_visible(timeout=SLOW_MS)

    picture = Image.open(await saved(page, "Studies received", "Picture"))
    assert picture.format == "PNG"
    assert picture.width > 600
    assert picture.height > 400
    colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 24) or []}
    assert (0x00, 0x72, 0xB2) in colours, "the bars in their colour"

    with (await saved(page, "Studies received", "Numbers")).open(encoding="utf-8", newline="") as file:
        head, *rows = list(csv.reader(file))
    assert head[0] == "Beginning"
    hours = [datetime.fromisoformat(row[0]).astimezone(UTC) for row in rows]
    # Up to the file's last hour: meanwhile another may have begun.
    time = {"from": f"{hours[0]:%Y-%m-%dT%H:%M:%SZ}", "to": f"{hours[-1] + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"}
    asked = urlencode({"metric": "studies", "interval": "hour", "by": "change", "tz": "UTC", **time})
    status, answer = await tab.ask("GET", f"/analytics/timeseries?{asked}", None)
    assert status == 200
    assert hours == [datetime.fromisoformat(time) for time in answer["times"]]
    new = next(series["values"] for series in answer["series"] if series["key"] == {"change": "new"})
    mine = [int(row[head.index("New")]) for row in rows]
    assert sum(mine) > 0
    # Others may send in studies between the two looks: this hour may grow, or the one that has just ended.
    assert mine[:-2] == new[:-2]
    assert all(then <= now for then, now in zip(mine, new, strict=True))

    await studies.get_by_role("button", name="Show numbers").click()
    await expect(studies.get_by_role("columnheader", name="New", exact=True)).to_be_visible()
    # By now it may be the next hour, or the next day.
    for count in (len(rows), await studies.get_by_role("row").count() - 1):
        assert 6 * 24 < count <= 7 * 24
    await accessible(page)

    await page.set_viewport_size({"width": 390, "height": 844})
    assert await page.evaluate("document.querySelector('main').scrollWidth <= 390"), "nothing to scroll sideways"
    await page.get_by_label("Period").select_option("From … to …")
    await page.get_by_label("From", exact=True).fill("2020-01-01")
    await page.get_by_label("To", exact=True).fill("2020-01-31")
    await expect(page.get_by_text("No study came in this time.")).to_be_visible()
    await accessible(page)
