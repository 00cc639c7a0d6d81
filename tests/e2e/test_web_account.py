"""One's own account in a browser: factors, logins, password, mail, and the dialog that asks for a second factor."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pyotp
import pytest
from codetect_local.demo import SLUG
from codetect_local.stack import Stack
from playwright.async_api import Browser, Page, Response, expect

from tests.e2e.app import accessible, log_out, password_step, quiet_tab
from tests.e2e.browser import Visit
from tests.e2e.people import CODE, Somebody, picture

NEW_PASSWORD = "a sentence that nobody has said"


@pytest.fixture
async def ada(stack: Stack, demo: dict[str, Any]) -> Somebody:
    return await Somebody.made(stack, SLUG, "Ada Account", "member")


async def open_account(page: Page) -> None:
    await page.get_by_role("button", name="account and settings").click()
    await page.get_by_role("menuitem", name="Account").click()
    await expect(page.get_by_role("heading", name="Account", level=1)).to_be_visible()


@asynccontextmanager
async def kept(page: Page) -> AsyncIterator[None]:
    """What is chosen meanwhile is kept, and read again: the word on it may still be that on the choice before."""

    def answers(method: str) -> Callable[[Response], bool]:
        return lambda it: it.url.endswith("/auth/mail-preferences") and it.request.method == method and it.ok

    async with page.expect_response(answers("PUT")), page.expect_response(answers("GET")):
        yield


async def test_factors_come_and_go_and_each_takes_a_proof(tab: Visit, ada: Somebody) -> None:
    page = tab.page
    await ada.log_in(page)
    await open_account(page)
    factors = page.get_by_role("list", name="Second factors").get_by_role("listitem")
    await expect(factors).to_have_count(1)
    await expect(page.get_by_role("button", name="Remove Authenticator app")).to_be_disabled()
    await accessible(page)
    await picture(page, "account")

    await ada.an_hour_passes(page)
    dialog = page.get_by_role("dialog", name="Confirm that it's you")
    await page.get_by_role("button", name="Add an authenticator app").click()
    await expect(dialog.get_by_label(CODE)).to_be_focused()
    await accessible(page)
    await picture(page, "stepup")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(page.get_by_text("Nothing was changed: this takes your second factor")).to_be_visible()
    await expect(factors).to_have_count(1)

    await page.get_by_role("button", name="Add an authenticator app").click()
    await dialog.get_by_label(CODE).fill("000000")
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_role("alert")).to_contain_text("This code or passkey is not right")
    await ada.prove(page)
    adding = page.get_by_role("dialog", name="Add an authenticator app")
    picture_of_it = adding.get_by_alt_text("QR code")
    await expect(picture_of_it).to_be_visible()
    assert await picture_of_it.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    await picture(page, "account-app")
    secret = (await adding.locator(".secret").inner_text()).replace(" ", "")
    await adding.get_by_label("Name").fill("Tablet")
    await adding.get_by_label("The code that the app shows now").fill(pyotp.TOTP(secret).now())
    await page.keyboard.press("Enter")
    await expect(factors.filter(has_text="Tablet")).to_be_visible()

    await page.get_by_role("button", name="Add a passkey").click()  # proven a moment ago: nobody asks again
    naming = page.get_by_role("dialog", name="What is it called?")
    await naming.get_by_label("Name").fill("Laptop")
    await naming.get_by_role("button", name="Save").click()
    await expect(factors.filter(has_text="Laptop")).to_contain_text("Passkey")

    await ada.an_hour_passes(page)
    await page.get_by_role("button", name="Remove Tablet").click()
    await page.get_by_role("dialog", name="Remove Tablet?").get_by_role("button", name="Remove").click()
    await dialog.get_by_role("button", name="Use a passkey").click()
    await dialog.get_by_role("button", name="Use passkey").click()
    await expect(page.get_by_text("Tablet is removed.")).to_be_visible()
    await expect(factors).to_have_count(2)

    await page.get_by_role("button", name="Make new recovery codes").click()
    await page.get_by_role("button", name="Make new codes").click()
    shown = page.get_by_role("dialog", name="Save your recovery codes")
    await expect(shown.locator(".codes code")).to_have_count(10)
    [code, *_] = await shown.locator(".codes code").all_inner_texts()
    await shown.get_by_text("I have saved them").click()
    await shown.get_by_role("button", name="Done").click()
    await expect(page.get_by_text("10 codes are left.")).to_be_visible()

    await ada.an_hour_passes(page)
    await page.get_by_role("button", name="Rename Laptop").click()
    await naming.get_by_label("Name").fill("My laptop")
    await naming.get_by_role("button", name="Save").click()
    await dialog.get_by_role("button", name="Use a recovery code").click()
    await dialog.get_by_label("Recovery code", exact=True).fill(code)
    await page.keyboard.press("Enter")
    await expect(factors.filter(has_text="My laptop")).to_be_visible()
    await expect(page.get_by_text("9 codes are left.")).to_be_visible()


async def test_logins_end_and_the_password_changes(tab: Visit, browser: Browser, ada: Somebody) -> None:
    page = tab.page
    phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1 Version/18.1 Mobile Safari/604.1"
    async with quiet_tab(browser, user_agent=phone) as second:
        await ada.log_in(second.page)
        await ada.log_in(page, "account")
        await expect(page.get_by_role("heading", name="Account", level=1)).to_be_visible()
        logins = page.get_by_role("list", name="Where you are logged in").get_by_role("listitem")
        await expect(logins).to_have_count(2)
        await expect(logins.first).to_contain_text("This one")
        await logins.filter(has_text="Safari 18 on iPhone").get_by_role("button", name="End").click()
        await expect(page.get_by_text("The login with Safari 18 on iPhone has ended.")).to_be_visible()
        await expect(logins).to_have_count(1)
        await second.page.reload()
        await expect(second.page.get_by_role("heading", name="Log in")).to_be_visible(timeout=15_000)

    await page.get_by_label("Present password").fill("not this one at all")
    await page.get_by_label("New password").fill(NEW_PASSWORD)
    await page.get_by_role("button", name="Change password").click()
    await expect(page.get_by_text("The old password is wrong.")).to_be_visible()
    await page.get_by_label("Present password").fill(ada.known["password"])
    await page.get_by_role("button", name="Change password").click()
    await expect(page.get_by_text("The password is changed; all other logins have ended.")).to_be_visible()
    await log_out(page)
    await password_step(page, ada.email, NEW_PASSWORD)
    await expect(page.get_by_role("heading", name="Confirm that it's you")).to_be_visible()


async def test_choices_of_mail_and_looks_are_kept(tab: Visit, ada: Somebody) -> None:
    page = tab.page
    await ada.log_in(page, "account")
    async with kept(page):
        await page.get_by_text("When one failed, and all results").click()
    await expect(page.get_by_text("Kept.")).to_be_visible()
    async with kept(page):
        await page.get_by_label("Language of all mails to you").select_option("de")
    await page.get_by_role("radio", name="Dark").check(force=True)
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await accessible(page)
    await page.reload()
    await expect(page.get_by_role("radio", name="When one failed, and all results")).to_be_checked(timeout=15_000)
    await expect(page.get_by_label("Language of all mails to you")).to_have_value("de")
    await expect(page.get_by_role("radio", name="Dark")).to_be_checked()
    await page.get_by_role("radio", name="Deutsch").check(force=True)
    await expect(page.get_by_role("heading", name="Konto", level=1)).to_be_visible()
    await page.set_viewport_size({"width": 390, "height": 780})
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    assert await page.evaluate("Object.keys(localStorage)") == ["codetect.preferences"]
