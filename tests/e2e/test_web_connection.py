"""The web app when the line is cut, and when a login ends in mid-work."""

import re
from pathlib import Path
from typing import Any

import pytest
from codetect_local.demo import SLUG
from codetect_local.stack import Stack
from playwright.async_api import Browser, WebSocketRoute, expect

from tests.e2e.app import quiet_tab
from tests.e2e.browser import Visit
from tests.e2e.conftest import Command
from tests.e2e.people import Somebody
from tests.e2e.slices import new_study

LOST = "No connection"


@pytest.fixture(scope="module")
async def offline(stack: Stack, demo: dict[str, Any]) -> Somebody:
    return await Somebody.made(stack, SLUG, "Olga Offline", "viewer")


@pytest.fixture(scope="module")
async def ended(stack: Stack, demo: dict[str, Any]) -> Somebody:
    return await Somebody.made(stack, SLUG, "Edda Ended", "viewer")


@pytest.fixture(scope="module")
async def leaving(stack: Stack, demo: dict[str, Any]) -> Somebody:
    return await Somebody.made(stack, SLUG, "Lena Leaving", "viewer")


class Lines:
    """The WebSockets of a page, which a test may cut."""

    def __init__(self) -> None:
        self.open: list[WebSocketRoute] = []

    def through(self, socket: WebSocketRoute) -> None:
        """To the server, word by word."""
        socket.connect_to_server()
        self.open.append(socket)

    async def cut(self) -> None:
        """As a network that goes away."""
        for socket in self.open:
            await socket.close(code=3000, reason="cut by the test")
        self.open.clear()


async def test_what_was_missed_without_a_network_is_there_when_it_is_back(
    tab: Visit, offline: Somebody, codetect: Command, tiny: str, tmp_path: Path
) -> None:
    page, lines = tab.page, Lines()
    await page.route_web_socket(re.compile(r"/api/v1/live$"), lines.through)
    await offline.log_in(page)
    await expect(page.get_by_text("No analyses yet").or_(page.get_by_role("grid"))).to_be_visible()
    await page.evaluate("window.same = true")
    assert len(lines.open) == 1

    await tab.context.set_offline(True)
    await lines.cut()
    await expect(page.get_by_text(LOST)).to_be_visible(timeout=20_000)
    sent = await codetect("submit", new_study(tmp_path), "--model", tiny, "--json")
    assert sent.code == 0, sent.err
    ours = page.locator("[role=row]", has=page.get_by_title(sent.json["studies"][0]["study_id"]))
    await expect(ours).to_have_count(0)

    await tab.context.set_offline(False)
    await expect(ours).to_contain_text("Done", timeout=30_000)
    await expect(page.get_by_text(LOST)).to_have_count(0)
    assert await page.evaluate("window.same"), "no reload"
    assert len(lines.open) == 1


async def test_a_login_that_is_ended_elsewhere_ends_on_the_page_and_goes_on_where_it_was(
    browser: Browser, tab: Visit, ended: Somebody
) -> None:
    page = tab.page
    await ended.log_in(page)
    await page.get_by_label("State").select_option("completed")
    await expect(page).to_have_url(re.compile(r"/worklist\?status=completed$"))
    status, _ = await tab.ask("DELETE", "/auth/sessions", None)
    assert status == 204
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible(timeout=10_000)
    await expect(page.get_by_role("grid")).to_have_count(0)
    async with quiet_tab(browser) as stranger:
        await stranger.page.goto(f"{ended.home}/worklist?status=completed")
        await expect(stranger.page.get_by_role("heading", name="Log in")).to_be_visible()
    await ended.type_in(page)
    await expect(page).to_have_url(re.compile(r"/worklist\?status=completed$"))
    await expect(page.get_by_label("State")).to_have_value("completed")


async def test_a_logout_that_the_server_didnt_hear_says_so(tab: Visit, leaving: Somebody) -> None:
    page = tab.page
    await leaving.log_in(page)
    await tab.context.set_offline(True)
    await page.get_by_role("button", name="account and settings").click()
    await page.get_by_role("menuitem", name="Log out").click()
    note = page.get_by_role("alert").filter(has_text="You may still be logged in")
    await expect(note).to_be_visible()
    await expect(page.get_by_role("navigation", name="Menu")).to_have_count(0)
    await tab.context.set_offline(False)
    await note.get_by_role("button", name="Log out").click()
    await expect(note).to_have_count(0)
    await page.goto(f"{leaving.home}/worklist")
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
