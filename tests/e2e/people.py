"""Somebody of a facility at a browser: logs in, lets time pass, types codes."""

import os
import secrets
from pathlib import Path
from typing import Any

import asyncpg
import pyotp
from codetect_local.demo import Demo
from codetect_local.stack import Stack
from playwright.async_api import Page, expect

from tests.e2e.app import is_in, password_step

CODE = "Code from your authenticator app"


class Somebody:
    """Made by a command, with an authenticator app."""

    def __init__(self, stack: Stack, slug: str, known: dict[str, Any]) -> None:
        self.stack, self.known = stack, known
        self.home = stack.settings.address.format(slug)
        self.email = str(known["email"])

    @classmethod
    async def made(cls, stack: Stack, slug: str, name: str, role: str, *rights: str) -> "Somebody":
        email = f"{name.split()[0].lower()}-{secrets.token_hex(4)}@{slug}.example"
        who = ("--facility", slug, "--email", email, "--name", name, "--role", role, "--with-totp")
        granted = [part for right in rights for part in ("--right", right)]
        return cls(stack, slug, await Demo(stack).auth("create-person", *who, *granted))

    async def sql(self, statement: str) -> None:
        connection = await asyncpg.connect(self.stack.environment()["CODETECT_AUTH_DATABASE_SYSTEM_URL"])
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def code(self) -> str:
        """One that works, though it may have been used in this half minute."""
        await self.sql(f"UPDATE totp_factors SET last_step = 0 WHERE person_id = '{self.known['id']}'")
        return pyotp.TOTP(self.known["totp_secret"]).now()

    async def log_in(self, page: Page, path: str = "") -> None:
        """And agree to the terms, where that wasn't done."""
        await page.goto(f"{self.home}/{path}")
        await self.type_in(page)
        agree = page.get_by_role("button", name="I agree")
        elsewhere = page.locator("main h1").filter(has_not_text="Terms of use")
        # What a lazy page replaces is hidden, and stays in the document for a while.
        await expect(agree.or_(elsewhere).filter(visible=True).first).to_be_visible(timeout=15_000)
        if await agree.is_visible():
            await agree.click()
            await expect(agree).to_have_count(0)
            await expect(elsewhere.filter(visible=True).first).to_be_visible(timeout=15_000)

    async def type_in(self, page: Page) -> None:
        """Password and code, where a page asks for them."""
        await password_step(page, self.email, self.known["password"])
        await page.get_by_label(CODE).fill(await self.code())
        await page.keyboard.press("Enter")
        await is_in(page)

    async def an_hour_passes(self, page: Page) -> None:
        """The second factor was given so long ago that what is dangerous asks for it again."""
        old = "UPDATE sessions SET proven_at = clock_timestamp() - interval '1 hour' WHERE person_id = "
        await self.sql(f"{old}'{self.known['id']}'")
        status = await page.evaluate("fetch('/api/v1/auth/refresh', {method: 'POST'}).then(({status}) => status)")
        assert status == 204

    async def prove(self, page: Page) -> None:
        """Answer the dialog with a code."""
        dialog = page.get_by_role("dialog", name="Confirm that it's you")
        await dialog.get_by_label(CODE).fill(await self.code())
        await page.keyboard.press("Enter")
        await expect(dialog).to_have_count(0)


async def picture(page: Page, name: str) -> None:
    """For eyes, where CODETECT_PICTURES names a folder: as it is now, in both themes and widths."""
    folder = os.environ.get("CODETECT_PICTURES")
    if not folder:
        return
    before = page.viewport_size
    for width in (1280, 390):
        await page.set_viewport_size({"width": width, "height": 900})
        for dark in (False, True):
            await page.evaluate("dark => document.body.classList.toggle('bp6-dark', dark)", dark)
            await page.screenshot(path=Path(folder) / f"{name}-{width}-{'dark' if dark else 'light'}.png")
    await page.evaluate("document.body.classList.toggle('bp6-dark', document.documentElement.dataset.theme === 'dark')")
    if before:
        await page.set_viewport_size(before)
