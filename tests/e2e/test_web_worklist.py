"""The worklist in a browser against the complete stack: what happens shows by itself."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

import pyotp
import pytest
from codetect_local.demo import SLUG, Demo
from codetect_local.stack import Stack
from playwright.async_api import Browser, Page, expect

from tests.e2e.app import accessible, chromium_browser, is_in, password_step, quiet_tab
from tests.e2e.browser import Visit
from tests.e2e.conftest import Command
from tests.e2e.test_cli import SAMPLE


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium_browser() as browser:
        yield browser


@pytest.fixture
async def tab(browser: Browser) -> AsyncIterator[Visit]:
    async with quiet_tab(browser, viewport={"width": 1280, "height": 800}) as tab:
        yield tab


@pytest.fixture(scope="module")
async def wanda(stack: Stack, demo: dict[str, Any]) -> dict[str, Any]:
    """A viewer of the demo facility."""
    email = f"wanda-{secrets.token_hex(4)}@demo.example"
    who = ("--facility", SLUG, "--email", email, "--name", "Wanda Viewer", "--role", "viewer", "--with-totp")
    return {"home": demo["url"], **await Demo(stack).auth("create-person", *who)}


async def log_in(page: Page, person: dict[str, Any]) -> None:
    await page.goto(person["home"])
    await password_step(page, person["email"], person["password"])
    await page.get_by_label("Code from your authenticator app").fill(pyotp.TOTP(person["totp_secret"]).now())
    await page.keyboard.press("Enter")
    await is_in(page)


async def test_it_moves_by_itself(tab: Visit, wanda: dict[str, Any], codetect: Command, tiny: str) -> None:
    page = tab.page
    await log_in(page, wanda)
    await page.get_by_role("button", name="I agree").click()  # she came by a command, and has seen no terms
    await expect(page.get_by_text("No analyses yet").or_(page.get_by_role("grid"))).to_be_visible()
    await page.evaluate("window.same = true")
    rows = page.locator(".scroller [role=row]")
    before = await rows.count()

    submit = ("submit", SAMPLE / "0020.dcm", "--model", tiny, "--json")
    assert (await codetect(*submit)).code == 0
    await expect(rows).to_have_count(before + 1)
    await expect(rows.first).to_contain_text("Done", timeout=30_000)
    assert await page.evaluate("window.same"), "no reload"
    await accessible(page)

    await page.get_by_label("Search").fill("no such study")
    await expect(page.get_by_text("Nothing found")).to_be_visible()
    await expect(page.get_by_label("Search")).to_be_focused()
    assert page.url.endswith("/worklist?q=no+such+study")
    await page.reload()
    await expect(page.get_by_label("Search")).to_have_value("no such study")
    await page.get_by_role("button", name="Clear").click()
    await expect(rows).to_have_count(before + 1)
    await page.get_by_label("State").select_option("failed")
    await expect(page.get_by_text("Nothing found")).to_be_visible()
    await page.get_by_role("button", name="Clear").click()

    await rows.first.focus()
    await page.keyboard.press("End")
    await expect(rows.last).to_be_focused()
    await page.keyboard.press("Home")
    await expect(rows.first).to_be_focused()
