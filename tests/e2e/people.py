"""People of the demo facility, and how they come in through the web app."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
from codetect_local.demo import SLUG, Demo
from codetect_local.stack import Stack
from playwright.async_api import Page

from tests.e2e.app import is_in, password_step


async def newcomer(stack: Stack, role: str, *rights: str) -> dict[str, Any]:
    """Somebody new with this role: home, email, password, totp_secret, id. They have seen no terms yet."""
    who = [
        "--facility",
        SLUG,
        "--email",
        f"{role}-{secrets.token_hex(4)}@demo.example",
        "--name",
        f"Ada {role.title()}",
    ]
    granted = [part for right in rights for part in ("--right", right)]
    person = await Demo(stack).auth("create-person", *who, "--role", role, *granted, "--with-totp")
    return {"home": stack.settings.address.format(SLUG), **person}


async def log_in(page: Page, person: dict[str, Any]) -> None:
    """By password and code. A code works once: the same person again within half a minute needs `login_steps`."""
    await page.goto(person["home"])
    await login_steps(page, person)


async def login_steps(page: Page, person: dict[str, Any], ahead: int = 0) -> None:
    """The same on a page that asks already; with the code of a device whose clock is some half minutes ahead."""
    code = pyotp.TOTP(person["totp_secret"]).at(datetime.now(UTC) + ahead * timedelta(seconds=30))
    await password_step(page, person["email"], person["password"])
    await page.get_by_label("Code from your authenticator app").fill(code)
    await page.keyboard.press("Enter")
    await is_in(page)


async def agree(page: Page) -> None:
    """To the terms, which are the first page of whoever was made by a command."""
    await page.get_by_role("button", name="I agree").click()
