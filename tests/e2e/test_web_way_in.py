"""The web app's way in, in a real browser against the complete stack: every page of it, by hand and keyboard alone."""

import asyncio
import secrets
from typing import Any

import pyotp
import pytest
from codetect_local.coming_in import CONFIRM, JOIN, Mailbox, approve
from codetect_local.demo import SLUG, Demo
from codetect_local.stack import Stack
from playwright.async_api import Browser, Page, expect

from tests.e2e.app import accessible, is_in, log_out, password_step, quiet_tab
from tests.e2e.browser import Visit

PASSWORD, OTHER = "four words of no note", "some other words of note"
RESET = "access/reset"


class Front:
    """The demo facility as its people reach it, and their mailboxes."""

    def __init__(self, stack: Stack) -> None:
        self.demo = Demo(stack)
        self.home = stack.settings.address.format(SLUG)
        self.mailbox = Mailbox(stack.settings.state / "mail")

    async def link(self, to: str, page: str, before: set[Any]) -> str:
        """The address in the newest mail."""
        return f"{self.home}/{page}#token={await asyncio.to_thread(self.mailbox.token, to, page, before)}"

    async def let_in(self, address: str) -> None:
        """As the admin would."""

        def decide() -> None:
            token = self.demo.log_in("admin")
            with self.demo.door("admin") as door:
                approve(door, token, address)

        await asyncio.to_thread(decide)


@pytest.fixture(scope="module")
async def front(stack: Stack) -> Front:
    front = Front(stack)
    await front.demo.open_facility()
    return front


async def recovery_codes(page: Page) -> list[str]:
    """Read them, say that they are kept, go in."""
    await expect(page.get_by_role("heading", name="Save your recovery codes")).to_be_visible()
    codes = await page.locator(".codes code").all_inner_texts()
    start = page.get_by_role("button", name="Start")
    await expect(start).to_be_disabled()
    await page.get_by_text("I have saved them").click()
    await start.click()
    return codes


async def test_a_stranger_asks_is_let_in_and_comes_back(tab: Visit, front: Front) -> None:
    page, email = tab.page, f"sam-{secrets.token_hex(4)}@demo.example"
    before = front.mailbox.seen()
    await page.goto(f"{front.home}/")
    await page.get_by_role("link", name="Request access").click()
    await page.get_by_label("Your name").fill("Sam Stranger")
    await page.get_by_label("E-mail address at work").fill(email)
    await page.get_by_label("Why you need access").fill("To read my patients' studies.")
    await page.get_by_role("button", name="Send request").click()
    await expect(page.get_by_role("heading", name="Look into your mailbox")).to_be_visible()

    await page.goto(await front.link(email, CONFIRM, before))
    await expect(page.get_by_text("Demo Hospital")).to_be_visible()
    await page.get_by_role("button", name="Confirm").click()
    await expect(page.get_by_text("The admins have been told.")).to_be_visible()

    before = front.mailbox.seen()
    await front.let_in(email)
    join = await front.link(email, JOIN, before)
    await page.goto(join)
    await page.get_by_label("New password").fill("password1234")
    await page.get_by_text("I have read the terms").click()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("too easy to guess")
    await page.get_by_label("New password").fill(PASSWORD)
    await page.keyboard.press("Enter")

    picture = page.get_by_alt_text("QR code for the authenticator app")
    await expect(picture).to_be_visible()
    assert await picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    secret = (await page.locator(".secret").inner_text()).replace(" ", "")
    await page.get_by_label("The code that the app shows now").fill("000000")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("This code is not right")
    await page.get_by_label("The code that the app shows now").fill(pyotp.TOTP(secret).now())
    await page.keyboard.press("Enter")
    codes = await recovery_codes(page)
    assert len(codes) == 10
    await is_in(page)
    assert await page.evaluate("document.cookie") == ""
    assert await page.evaluate("Object.keys({...localStorage, ...sessionStorage})") == []

    await page.reload()
    await is_in(page)
    await log_out(page)
    await page.goto(f"{front.home}/worklist?q=sam")
    await password_step(page, email, OTHER)
    await expect(page.get_by_role("alert")).to_contain_text("The e-mail address or the password is wrong.")
    await password_step(page, email, PASSWORD)
    await page.get_by_role("button", name="Use a recovery code").click()
    await page.get_by_label("Recovery code", exact=True).fill(codes[0])
    await page.keyboard.press("Enter")
    await is_in(page)
    assert page.url == f"{front.home}/worklist?q=sam", "the login leads to where one wanted to go"
    await log_out(page)

    await page.goto(join)
    await page.get_by_label("New password").fill(PASSWORD)
    await page.get_by_text("I have read the terms").click()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("This link was used, or has run out")


async def test_a_passkey_is_enough_and_a_forgotten_password_no_way_round(tab: Visit, front: Front) -> None:
    page, email = tab.page, f"pat-{secrets.token_hex(4)}@demo.example"
    who = ("--facility", SLUG, "--email", email, "--name", "Pat Passkey", "--role", "member", "--password-stdin")
    await front.demo.auth("create-person", *who, password=PASSWORD)
    await page.goto(f"{front.home}/login")
    await password_step(page, email, PASSWORD)
    await page.get_by_role("button", name="Use a passkey instead").click()
    await page.get_by_role("button", name="Make a passkey").click()
    await recovery_codes(page)
    await is_in(page)
    await log_out(page)
    await page.get_by_role("button", name="Log in with a passkey").click()
    await is_in(page)
    await log_out(page)

    before = front.mailbox.seen()
    await page.get_by_role("link", name="Forgotten your password?").click()
    await expect(
        page.get_by_role("heading", name="Forgotten password")
    ).to_be_visible()  # the login has such a field, too
    await page.get_by_label("E-mail address").fill(email)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Look into your mailbox")).to_be_visible()
    await page.goto(await front.link(email, RESET, before))
    await page.get_by_label("New password").fill(OTHER)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Password changed")).to_be_visible()
    await page.get_by_role("link", name="Back to the login").click()
    await password_step(page, email, OTHER)
    await expect(page.get_by_role("heading", name="Confirm that it's you")).to_be_visible()
    await tab.verified(False)
    await page.get_by_role("button", name="Use passkey").click()
    await expect(page.get_by_role("alert")).to_contain_text("The browser got no passkey")
    await tab.verified(True)
    await page.get_by_role("button", name="Use passkey").click()
    await is_in(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
async def test_every_page_is_accessible_and_fits(browser: Browser, front: Front, scheme: Any, width: int) -> None:
    pages = ("login", "access/request", "access/forgotten", "access/confirm#token=x", "access/join#token=x", RESET)
    async with quiet_tab(browser, color_scheme=scheme, viewport={"width": width, "height": 780}) as tab:
        for path in pages:
            await tab.page.goto(f"{front.home}/{path}")
            await tab.page.locator("h1").wait_for()
            await expect(tab.page.locator("html")).to_have_attribute("data-theme", scheme)
            await accessible(tab.page)
            assert await tab.page.evaluate("document.documentElement.scrollWidth") <= width, path


async def test_theme_and_language_stay_as_chosen(tab: Visit, front: Front) -> None:
    page = tab.page
    await page.goto(f"{front.home}/login")
    await page.get_by_role("button", name="Theme, Language").click()
    await page.get_by_text("Dark", exact=True).click()
    await page.get_by_role("button", name="Theme, Language").click()
    await page.get_by_text("Deutsch").click()
    await page.reload()
    await expect(page.get_by_role("heading", name="Anmelden")).to_be_visible()
    await expect(page.get_by_text("Kein Medizinprodukt. Nicht für den klinischen Einsatz.")).to_be_visible()
    assert await page.evaluate("[document.documentElement.lang, document.documentElement.dataset.theme]") == [
        "de",
        "dark",
    ]
