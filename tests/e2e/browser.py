"""Debian's Chromium, driven by Playwright, with a virtual authenticator: what a page of a facility can do in it."""

import shutil
from dataclasses import dataclass
from typing import Any

from codetect_local import packages
from playwright.async_api import BrowserContext, CDPSession, Page

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
# A phone or laptop that asks for a finger or a PIN, and is given it.
DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
# As a page's own script would ask; defined before any of the page, whose policy lets no other script in.
SCRIPT = """
window.ask = async ([method, path, body]) => {
  const json = body === null ? {} : {headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)};
  const answer = await fetch("/api/v1" + path, {method, ...json});
  const text = await answer.text();
  return [answer.status, text ? JSON.parse(text) : null];
};
const named = async (promise) => {
  try { return (await promise).toJSON(); } catch (error) { return error.name; }
};
window.make = (options) => named(navigator.credentials.create(
  {publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options)}));
window.use = (options) => named(navigator.credentials.get(
  {publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options)}));
"""


def chromium() -> str:
    """Where Chromium is, installed if it is missing and may be. Raises Trouble."""
    if found := shutil.which("chromium"):
        return found
    packages.install("Chromium", {CHROMIUM: "chromium"}, "leave out the tests with a browser.")
    return CHROMIUM


@dataclass
class Visit:
    """Somebody's browser tab and the device that keeps their passkeys."""

    context: BrowserContext
    page: Page
    cdp: CDPSession
    device: str = ""

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and body of a request that the page sends to its own host."""
        status, answer = await self.page.evaluate("call => window.ask(call)", [method, path, body])
        return status, answer

    async def make(self, options: dict[str, Any]) -> Any:
        """The new passkey, as JSON; or the name of the DOMException."""
        return await self.page.evaluate("options => window.make(options)", options)

    async def use(self, options: dict[str, Any]) -> Any:
        """A passkey's answer, as JSON; or the name of the DOMException."""
        return await self.page.evaluate("options => window.use(options)", options)

    async def verified(self, whether: bool) -> None:
        """Whether the device is given the finger or the PIN from now on."""
        await self.cdp.send("WebAuthn.setUserVerified", {"authenticatorId": self.device, "isUserVerified": whether})

    async def other_device(self, **bent: Any) -> None:
        """Another device instead of this one."""
        if self.device:
            await self.cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": self.device})
        added = await self.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE | bent})
        self.device = added["authenticatorId"]

    async def credentials(self) -> list[dict[str, Any]]:
        """What the device keeps."""
        return list((await self.cdp.send("WebAuthn.getCredentials", {"authenticatorId": self.device}))["credentials"])


async def visit(context: BrowserContext) -> Visit:
    """A tab with a device of its own."""
    await context.add_init_script(SCRIPT)
    page = await context.new_page()
    cdp = await context.new_cdp_session(page)
    await cdp.send("WebAuthn.enable")
    made = Visit(context, page, cdp)
    await made.other_device()
    return made
