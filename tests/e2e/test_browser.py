"""What only a real browser can tell: that passkeys, the cookie, and the walls between sites hold in it."""

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from codetect_local.demo import SLUG, Demo
from codetect_local.stack import Stack
from playwright.async_api import Browser, Response

from tests.e2e.browser import Visit, visit
from tests.e2e.people import Somebody

COOKIE = "__Host-codetect"
EMAIL = f"paula-{secrets.token_hex(4)}@demo.example"  # another one each time, where a running stack is used


class Paula(Somebody):
    """A member of the demo facility at her browser, where no page of the web app is open."""

    @property
    def elsewhere(self) -> str:
        """Another facility's host."""
        return self.stack.settings.address.format("admin")

    async def mfa_token(self, visit: Visit) -> str:
        """The first step of a login."""
        status, step = await visit.ask("POST", "/auth/login", {key: self.known[key] for key in ("email", "password")})
        assert status == 200, step
        return str(step["mfa_token"])

    async def come_in(self, visit: Visit) -> None:
        """At the facility's own host, by the API."""
        await visit.page.goto(self.home)
        step = {"mfa_token": await self.mfa_token(visit), "method": "totp", "code": await self.code()}
        status, answer = await visit.ask("POST", "/auth/mfa", step)
        assert status == 200, answer

    async def add_passkey(self, visit: Visit) -> None:
        """Logged in already."""
        status, answer = await visit.ask("POST", "/auth/passkeys/options")
        assert status == 200, answer
        credential = await visit.make(answer["public_key"])
        body = {"credential": credential, "name": "Laptop"}
        status, answer = await visit.ask("POST", "/auth/passkeys", body)
        assert status == 201, answer


@pytest.fixture(scope="module")
async def paula(stack: Stack) -> Paula:
    demo = Demo(stack)
    await demo.open_facility()
    who = ("--facility", SLUG, "--email", EMAIL, "--name", "Paula Passkey", "--role", "member", "--with-totp")
    return Paula(stack, SLUG, await demo.auth("create-person", *who))


@pytest.fixture
async def tab(browser: Browser) -> AsyncIterator[Visit]:
    context = await browser.new_context()
    yield await visit(context)
    await context.close()


async def me(tab: Visit) -> tuple[int, Any]:
    status, answer = await tab.ask("GET", "/auth/me")
    return status, answer.get("email") or answer.get("type")


IN, OUT = (200, EMAIL), (401, "urn:codetect:problem:unauthenticated")
REFUSED = (401, "urn:codetect:problem:passkey-refused")
UNPROVEN = (403, "urn:codetect:problem:proof-refused")


async def log_in_with_passkey(tab: Visit, step: dict[str, str], **bent: Any) -> tuple[int, Any]:
    status, asked = await tab.ask("POST", "/auth/passkeys/login/options", step)
    assert status == 200, asked
    credential = await tab.use(asked["public_key"] | bent)
    assert isinstance(credential, dict), credential
    return await tab.ask("POST", "/auth/passkeys/login", step | {"credential": credential})


async def test_a_passkey_made_in_a_browser_logs_in_after_the_password_and_alone(tab: Visit, paula: Paula) -> None:
    await paula.come_in(tab)
    [cookie] = await tab.context.cookies()
    assert (cookie["name"], cookie["domain"]) == (COOKIE, f"{SLUG}.localhost")
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"], cookie["path"]) == (True, True, "Strict", "/")
    assert await tab.page.evaluate("document.cookie") == ""
    assert await me(tab) == IN

    await paula.add_passkey(tab)
    [kept] = await tab.credentials()
    assert (kept["rpId"], kept["isResidentCredential"]) == (f"{SLUG}.localhost", True)
    assert await tab.ask("POST", "/auth/logout") == (204, None)
    assert await tab.context.cookies() == []
    assert await me(tab) == OUT

    assert await log_in_with_passkey(tab, {"mfa_token": await paula.mfa_token(tab)}) == (200, {"expires_in": 600})
    assert await me(tab) == IN
    assert await tab.ask("POST", "/auth/logout") == (204, None)

    assert await log_in_with_passkey(tab, {}) == (200, {"expires_in": 600})
    assert await me(tab) == IN
    [cookie] = await tab.context.cookies()
    assert cookie["name"] == COOKIE


async def test_a_device_that_has_a_passkey_makes_no_second_one(tab: Visit, paula: Paula) -> None:
    await paula.come_in(tab)
    await paula.add_passkey(tab)
    _, asked = await tab.ask("POST", "/auth/passkeys/options")
    assert await tab.make(asked["public_key"]) == "InvalidStateError"


async def test_a_passkey_proves_again_who_is_there(tab: Visit, paula: Paula) -> None:
    await paula.come_in(tab)
    await paula.add_passkey(tab)
    aged = "UPDATE sessions SET proven_at = clock_timestamp() - interval '1 hour' WHERE person_id = "
    await paula.sql(f"{aged}'{paula.known['id']}'")
    assert await tab.ask("POST", "/auth/refresh") == (204, None)
    status, answer = await tab.ask("POST", "/auth/recovery-codes")
    assert (status, answer["type"]) == (403, "urn:codetect:problem:step-up-required")

    status, asked = await tab.ask("POST", "/auth/step-up/options")
    assert status == 200, asked
    proof = {"method": "passkey", "credential": await tab.use(asked["public_key"])}
    assert await tab.ask("POST", "/auth/step-up", proof) == (200, {"expires_in": 600})
    status, answer = await tab.ask("POST", "/auth/recovery-codes")
    assert (status, len(answer["recovery_codes"])) == (201, 10)


async def test_a_device_that_asks_for_nothing_lets_nobody_in(tab: Visit, paula: Paula) -> None:
    """The browser gives up, since we require it; a page that asks for less gets an answer, and we refuse that."""
    await paula.come_in(tab)
    await paula.add_passkey(tab)
    await tab.verified(False)
    _, asked = await tab.ask("POST", "/auth/passkeys/login/options", {})
    assert await tab.use(asked["public_key"]) == "NotAllowedError"
    for step in ({}, {"mfa_token": await paula.mfa_token(tab)}):
        status, answer = await log_in_with_passkey(tab, step, userVerification="discouraged")
        assert (status, answer["type"]) == REFUSED
    status, asked = await tab.ask("POST", "/auth/step-up/options")
    proof = await tab.use(asked["public_key"] | {"userVerification": "discouraged"})
    status, answer = await tab.ask("POST", "/auth/step-up", {"method": "passkey", "credential": proof})
    assert (status, answer["type"]) == UNPROVEN


async def test_a_device_that_cannot_ask_is_not_registered(tab: Visit, paula: Paula) -> None:
    await paula.come_in(tab)
    await tab.other_device(hasUserVerification=False, isUserVerified=False, transport="usb")
    _, asked = await tab.ask("POST", "/auth/passkeys/options")
    assert await tab.make(asked["public_key"]) == "NotAllowedError"
    less = {"authenticatorSelection": {"userVerification": "discouraged"}}
    credential = await tab.make(asked["public_key"] | less)
    assert isinstance(credential, dict), credential
    status, answer = await tab.ask("POST", "/auth/passkeys", {"credential": credential, "name": "Stick"})
    assert (status, answer["type"]) == UNPROVEN


async def test_a_passkey_of_one_host_is_none_at_another(tab: Visit, paula: Paula) -> None:
    await paula.come_in(tab)
    await paula.add_passkey(tab)
    _, at_home = await tab.ask("POST", "/auth/passkeys/login/options", {})
    theirs = await tab.use(at_home["public_key"])

    await tab.page.goto(paula.elsewhere)
    status, asked = await tab.ask("POST", "/auth/passkeys/login/options", {})
    assert (status, asked["public_key"]["rpId"]) == (200, "admin.localhost")
    assert await tab.use(asked["public_key"]) == "NotAllowedError", "the device keeps none for this host"
    [kept] = await tab.credentials()
    named = [{"type": "public-key", "id": theirs["id"]}]
    assert await tab.use(asked["public_key"] | {"allowCredentials": named}) == "NotAllowedError"
    assert await tab.use(at_home["public_key"]) == "SecurityError", "a page asks for its own host alone"
    status, answer = await tab.ask("POST", "/auth/passkeys/login", {"credential": theirs})
    assert (status, answer["type"]) == REFUSED
    assert kept["rpId"] == f"{SLUG}.localhost"


async def test_the_pages_obey_their_policy_without_a_word_in_the_console(tab: Visit, paula: Paula) -> None:
    said: list[str] = []
    tab.page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    tab.page.on("pageerror", lambda error: said.append(str(error)))
    for path, shown in (("/", "h1"), ("/docs", ".opblock-summary")):
        answer = await tab.page.goto(paula.home + path)
        assert answer is not None
        policy = await answer.header_value("content-security-policy") or ""
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        await tab.page.locator(shown).first.wait_for()
    operation = tab.page.locator("#operations-access-get_facility")
    await operation.locator(".opblock-summary-control").click()
    await operation.get_by_role("button", name="Try it out").click()
    await operation.get_by_role("button", name="Execute").click()
    await operation.locator(".live-responses-table").get_by_text(f'"{SLUG}"').wait_for()
    # The app asks who is there, and the browser says that the answer was no.
    assert [each for each in said if "status of 401" not in each] == []
    said.clear()

    # The policy is in force: neither a script that somebody slips in nor another site's is run.
    await tab.page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "window.slipped = true";
        document.body.append(script);
    }""")
    assert await tab.page.evaluate("window.slipped") is None
    assert ["Content Security Policy" in each for each in said] == [True]


EVIL = """<!doctype html><title>Evil</title>
<form method="post" action="{home}/api/v1/auth/logout"><button>Win a prize</button></form>
<iframe src="{home}/docs"></iframe>"""


@pytest.fixture
def evil(paula: Paula) -> Iterator[str]:
    """Another site, which would like to act in Paula's name."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(EVIL.format(home=paula.home).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://evil.localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


async def refused_as_cross_site(answer: Response) -> None:
    sent = await answer.request.all_headers()
    assert sent["sec-fetch-site"] == "cross-site"
    assert "cookie" not in sent
    assert (answer.status, (await answer.json())["type"]) == (403, "urn:codetect:problem:cross-site")


async def test_another_site_can_do_nothing_in_somebodys_name(tab: Visit, paula: Paula, evil: str) -> None:
    await paula.come_in(tab)
    await paula.add_passkey(tab)
    _, asked = await tab.ask("POST", "/auth/passkeys/login/options", {})
    page = tab.page
    await page.goto(evil)
    assert await tab.use(asked["public_key"]) == "SecurityError"
    frame = page.frames[1]
    assert frame.url.startswith("chrome-error:"), "no page of ours is shown inside another's"

    send = "([url, how]) => fetch(url, {credentials: 'include', ...how}).then(a => a.type, error => error.name)"
    urls: dict[str, str] = {}
    statuses: dict[str, int] = {}
    tab.cdp.on("Network.requestWillBeSent", lambda told: urls.update({told["requestId"]: told["request"]["url"]}))
    tab.cdp.on(
        "Network.responseReceivedExtraInfo", lambda told: statuses.update({told["requestId"]: told["statusCode"]})
    )
    await tab.cdp.send("Network.enable")
    for path, how in (("me", {}), ("logout", {"method": "POST", "mode": "no-cors"})):
        url = f"{paula.home}/api/v1/auth/{path}"
        assert await page.evaluate(send, [url, how]) == "TypeError"
        # The browser tells of other requests, too (a site's icon), and of an answer's status when it likes.
        async with asyncio.timeout(5):
            while not (answers := [statuses[known] for known, its in urls.items() if its == url and known in statuses]):
                await asyncio.sleep(0.02)
        assert answers == [403]

    async with page.expect_response(f"{paula.home}/api/v1/auth/logout") as told:
        await page.get_by_role("button").click()
    await refused_as_cross_site(await told.value)

    await page.goto(paula.home)
    assert await me(tab) == IN, "nobody was logged out"
