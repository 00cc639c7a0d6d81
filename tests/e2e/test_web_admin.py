"""The administration in a browser, in a facility of its own on the complete stack: who comes in, and who stays."""

import asyncio
import json
import re
import secrets
from dataclasses import dataclass
from typing import Any

import pytest
from codetect_local.coming_in import CONFIRM, JOIN, Mailbox
from codetect_local.demo import Demo
from codetect_local.stack import Stack
from playwright.async_api import Browser, Locator, Page, expect

from tests.e2e.app import accessible, quiet_tab
from tests.e2e.browser import Visit
from tests.e2e.people import Somebody, picture


@dataclass
class House:
    """A facility that nobody else uses, and its one admin."""

    stack: Stack
    slug: str
    admin: Somebody

    @property
    def mailbox(self) -> Mailbox:
        return Mailbox(self.stack.settings.state / "mail")

    async def link(self, to: str, page: str, before: set[Any]) -> str:
        """The address in the newest mail."""
        return f"{self.admin.home}/{page}#token={await asyncio.to_thread(self.mailbox.token, to, page, before)}"

    async def person(self, name: str, role: str) -> Somebody:
        return await Somebody.made(self.stack, self.slug, name, role)


@pytest.fixture(scope="module")
async def house(stack: Stack, demo: dict[str, Any]) -> House:
    slug = f"house-{secrets.token_hex(4)}"
    await Demo(stack).auth("create-facility", "--slug", slug, "--name", "House of Tests")
    return House(stack, slug, await Somebody.made(stack, slug, "Alma Admin", "admin"))


async def go_to(page: Page, name: str) -> None:
    """By the menu and the list of sub-pages."""
    if not page.url.split("/", 3)[3].startswith("admin"):
        await page.get_by_role("navigation", name="Menu").get_by_role("link", name="Administration").click()
    await page.get_by_role("navigation", name="Administration").get_by_role("link", name=name).click()


def row(page: Page, of: str) -> Locator:
    """The line of somebody or something in the list."""
    return page.get_by_role("listitem").filter(has_text=of)


async def test_a_request_in_one_tab_is_let_in_from_another(tab: Visit, browser: Browser, house: House) -> None:
    page, email = tab.page, f"sam-{secrets.token_hex(4)}@house.example"
    await house.admin.log_in(page)
    await go_to(page, "Requests")
    await expect(page.get_by_text("Nobody is waiting")).to_be_visible()
    await house.admin.an_hour_passes(page)

    async with quiet_tab(browser) as stranger:
        other, before = stranger.page, house.mailbox.seen()
        await other.goto(f"{house.admin.home}/access/request")
        await other.get_by_label("Your name").fill("Sam Stranger")
        await other.get_by_label("E-mail address at work").fill(email)
        await other.get_by_label("You want to").select_option("admin")
        await other.get_by_label("Why you need access").fill("To read my patients' studies.")
        await other.get_by_role("button", name="Send request").click()
        await other.goto(await house.link(email, CONFIRM, before))
        await other.get_by_role("button", name="Confirm").click()
        await expect(other.get_by_text("The admins have been told.")).to_be_visible()

        await page.reload()  # which also shows that the address holds the page
        await expect(row(page, email)).to_contain_text("To read my patients' studies.", timeout=15_000)
        await expect(page.get_by_label("1 is waiting")).to_be_visible()
        await accessible(page)
        await picture(page, "admin-requests")
        before = house.mailbox.seen()
        await page.get_by_label("Role of Sam Stranger").select_option("viewer")
        await page.get_by_role("button", name="Let in: Sam Stranger").click()
        await house.admin.prove(page)
        await expect(page.get_by_text("Sam Stranger is invited")).to_be_visible()
        await expect(page.get_by_text("Nobody is waiting")).to_be_visible()
        await go_to(page, "Invitations")
        await expect(row(page, email)).to_contain_text("Viewer")

        await other.goto(await house.link(email, JOIN, before))
        await other.get_by_label("New password").fill("four words of no note")
        await other.get_by_text("I have read the terms").click()
        await other.keyboard.press("Enter")
        await expect(other.get_by_alt_text("QR code for the authenticator app")).to_be_visible(timeout=15_000)
    await go_to(page, "People")
    await expect(row(page, email)).to_be_visible()
    await expect(page.get_by_label("Role of Sam Stranger")).to_have_value("viewer")


async def test_who_is_refused_reads_why(tab: Visit, house: House) -> None:
    page, email = tab.page, f"rita-{secrets.token_hex(4)}@house.example"
    await page.goto(house.admin.home)
    before = house.mailbox.seen()
    wish = {"email": email, "name": "Rita Refused", "role": "member", "reason": "Curious."}
    assert (await tab.ask("POST", "/access-requests", wish))[0] == 202
    token = await asyncio.to_thread(house.mailbox.token, email, CONFIRM, before)
    assert (await tab.ask("POST", "/access-requests/confirm", {"token": token}))[0] == 200
    await house.admin.log_in(page, "admin/requests")
    before = house.mailbox.seen()
    await page.get_by_role("button", name="Refuse: Rita Refused").click()
    dialog = page.get_by_role("dialog", name="Refuse Rita Refused?")
    await expect(dialog.get_by_role("button", name="Refuse")).to_be_disabled()
    await dialog.get_by_label("Reason").fill("We don't know you; ask your head of department.")
    await accessible(page)
    await dialog.get_by_role("button", name="Refuse").click()
    await expect(page.get_by_text("Rita Refused is refused")).to_be_visible()
    await page.get_by_label("State").select_option("rejected")
    await expect(row(page, email)).to_contain_text("Refused")
    assert page.url.endswith("/admin/requests?status=rejected")
    for _ in range(60):
        mails = [path.read_text(errors="replace") for path in house.mailbox.seen() - before]
        if any(email in mail and "head of department" in mail.replace("=\n", "") for mail in mails):
            break
        await asyncio.sleep(0.5)
    else:
        pytest.fail("no mail says why")


async def test_invitations_are_sent_again_and_taken_back(tab: Visit, house: House) -> None:
    page, mark = tab.page, secrets.token_hex(4)
    await house.admin.log_in(page, "admin/invitations")
    await page.get_by_role("button", name="Invite", exact=True).click()
    one = page.get_by_role("dialog", name="Invite somebody")
    await one.get_by_label("E-mail address").fill(f"ivo-{mark}@house.example")
    await one.get_by_label("Name").fill(f"Ivo {mark}")
    await one.get_by_label("Role").select_option("admin")
    await one.get_by_role("button", name="Invite", exact=True).click()
    await expect(row(page, f"Ivo {mark}")).to_contain_text("Admin")

    await page.get_by_role("button", name="Invite", exact=True).click()
    await page.get_by_role("button", name="Several at once").click()
    several = page.get_by_role("dialog", name="Invite several people")
    lines = [f"ivo-{mark}@house.example, Ivo {mark}", f"eva-{mark}@house.example;Eva {mark};viewer", "nobody"]
    await several.get_by_label("One person a line").fill("\n".join(lines))
    await several.get_by_role("button", name="Invite 3 people").click()
    outcomes = page.get_by_role("dialog", name="What became of them").get_by_role("listitem")
    await expect(outcomes.nth(0)).to_contain_text("Invited already")
    await expect(outcomes.nth(1)).to_contain_text("Invited")
    await expect(outcomes.nth(2)).to_contain_text("Refused")
    await picture(page, "admin-outcomes")
    await page.get_by_role("button", name="Close").last.click()
    await expect(row(page, f"Eva {mark}")).to_contain_text("Viewer")
    await accessible(page)
    await picture(page, "admin-invitations")

    before = house.mailbox.seen()
    await page.get_by_role("button", name=f"Send again: Eva {mark}").click()
    await expect(row(page, f"Eva {mark}")).to_contain_text("sent 2 times")
    assert await house.link(f"eva-{mark}@house.example", JOIN, before)
    await page.get_by_role("button", name=f"Withdraw: Eva {mark}").click()
    await expect(row(page, f"Eva {mark}")).to_have_count(0)
    await page.get_by_role("button", name="Invite again").click()
    await expect(row(page, f"Eva {mark}")).to_be_visible()


async def test_people_change_and_one_admin_always_stays(tab: Visit, house: House) -> None:
    page, mark = tab.page, secrets.token_hex(4)
    mo = await house.person(f"Mo {mark}", "member")
    await house.admin.log_in(page, "admin/members")
    await page.get_by_label("Name or address").fill(mark)
    await expect(page.get_by_role("listitem")).to_have_count(1)
    role = page.get_by_label(f"Role of Mo {mark}")
    await role.select_option("viewer")
    await expect(page.get_by_text(f"Mo {mark}: Viewer from now on.")).to_be_visible()
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_text("Undone.")).to_be_visible()
    await expect(role).to_have_value("member")

    async def do(what: str) -> None:
        await page.get_by_role("button", name=f"What can be done with Mo {mark}").click()
        await page.get_by_role("menuitem", name=what).click()

    await do("Let see who patients are")
    await expect(row(page, mark)).to_contain_text("Sees who patients are")
    await do("Suspend")
    await expect(row(page, mark)).to_contain_text("Suspended")
    await accessible(page)
    await do("Let in again")
    await expect(row(page, mark)).not_to_contain_text("Suspended")
    await do("End all logins")
    await expect(page.get_by_text(f"All logins of Mo {mark} have ended.")).to_be_visible()
    await do("Reset the second factors")
    reset = page.get_by_role("dialog", name=f"Reset the second factors of Mo {mark}?")
    await reset.get_by_label("Reason").fill("The phone fell into the lake.")
    await reset.get_by_role("button", name="Reset").click()
    await expect(page.get_by_text(f"Mo {mark} sets up a new second factor")).to_be_visible()

    await page.get_by_label("Name or address").fill("")
    await picture(page, "admin-members")
    await page.get_by_label("Role of Alma Admin").select_option("member")
    told = "This is the last active admin; make somebody else an admin first."
    await expect(row(page, house.admin.email)).to_contain_text(told)
    await expect(page.get_by_label("Role of Alma Admin")).to_have_value("admin")
    await page.get_by_role("button", name="What can be done with Alma Admin").click()
    await page.get_by_role("menuitem", name="Remove").click()
    removing = page.get_by_role("dialog", name="Remove Alma Admin for good?")
    await removing.get_by_role("button", name="Remove for good").click()
    await expect(removing.get_by_role("alert")).to_contain_text(told)
    await picture(page, "admin-last")
    await removing.get_by_role("button", name="Cancel").click()

    await do("Remove")
    await page.get_by_role("button", name="Remove for good").click()
    await expect(row(page, mo.email)).to_have_count(0)


@pytest.mark.parametrize("role", ["member", "viewer"])
async def test_others_find_a_wall(tab: Visit, house: House, role: str) -> None:
    page = tab.page
    somebody = await house.person(f"Walter {secrets.token_hex(2)}", role)
    await somebody.log_in(page, "admin/members")
    await expect(page.get_by_text("This page isn't for your role")).to_be_visible()
    menu = page.get_by_role("navigation", name="Menu")
    await expect(menu.get_by_role("link", name="Worklist")).to_be_visible()
    await expect(menu.get_by_role("link", name="Administration")).to_have_count(0)
    await expect(page.get_by_role("navigation", name="Administration")).to_have_count(0)


async def grant(tab: Visit, client_id: str, secret: str) -> int:
    """Whether a program with this secret gets a token: the status."""
    script = """async ([client_id, client_secret]) => {
      const body = new URLSearchParams({grant_type: "client_credentials", client_id, client_secret});
      return (await fetch("/oauth/token", {method: "POST", credentials: "omit", body})).status;
    }"""
    return int(await tab.page.evaluate(script, [client_id, secret]))


async def test_programs_get_secrets_that_work_until_they_are_removed(tab: Visit, house: House) -> None:
    page, mark = tab.page, secrets.token_hex(4)
    heir = await house.person(f"Hedi {mark}", "member")
    await house.admin.log_in(page, "admin/clients")
    await page.get_by_role("button", name="New API client").click()
    new = page.get_by_role("dialog", name="New API client")
    await new.get_by_label("Name").fill(f"Router {mark}")
    await new.get_by_text("write: send studies").click()
    await accessible(page)
    await picture(page, "admin-client-new")
    await house.admin.an_hour_passes(page)
    await new.get_by_role("button", name="Create").click()
    await house.admin.prove(page)
    shown = page.get_by_role("dialog", name=f"Router {mark}")
    client_id = await shown.get_by_label("client_id", exact=True).input_value()
    first = await shown.get_by_label("client_secret", exact=True).input_value()
    await accessible(page)
    await picture(page, "admin-client-secret")
    await shown.get_by_role("button", name="I have kept it").click()
    assert await grant(tab, client_id, first) == 200
    await expect(row(page, f"Router {mark}")).to_contain_text("owned by Alma Admin")
    await expect(row(page, f"Router {mark}")).not_to_contain_text("write")

    async def do(what: str) -> None:
        await page.get_by_role("button", name=f"What can be done with Router {mark}").click()
        await page.get_by_role("menuitem", name=what).click()

    await do("New secret")
    await page.get_by_label("The secret of before lasts").select_option("0")
    await page.get_by_role("button", name="Make it").click()
    second = await shown.get_by_label("client_secret", exact=True).input_value()
    await shown.get_by_role("button", name="I have kept it").click()
    assert [await grant(tab, client_id, secret) for secret in (first, second)] == [401, 200]
    await do("Suspend")
    await expect(row(page, f"Router {mark}")).to_contain_text("Suspended")
    assert await grant(tab, client_id, second) == 401
    await page.get_by_role("button", name="Undo").click()
    await expect(row(page, f"Router {mark}")).not_to_contain_text("Suspended")
    assert await grant(tab, client_id, second) == 200
    await do("Hand on")
    await page.get_by_label("New owner").select_option(label=f"Hedi {mark}, {heir.email}")
    await page.get_by_role("button", name="Hand on").click()
    await expect(row(page, f"Router {mark}")).to_contain_text(f"owned by Hedi {mark}")
    await accessible(page)
    await picture(page, "admin-clients")
    await do("Remove")
    await page.get_by_role("button", name="Remove for good").click()
    await expect(row(page, client_id)).to_have_count(0)
    assert await grant(tab, client_id, second) == 401


async def test_a_webhook_is_tried_out_changed_and_removed(tab: Visit, house: House) -> None:
    page, mark = tab.page, secrets.token_hex(4)
    await house.admin.log_in(page, "admin/webhooks")
    await page.get_by_role("button", name="New webhook").click()
    new = page.get_by_role("dialog", name="New webhook")
    await new.get_by_label("Address").fill("http://127.0.0.1/hook")
    await new.get_by_label("What it is for").fill(f"RIS {mark}")
    await new.get_by_role("button", name="Create").click()
    await expect(new.get_by_role("alert")).not_to_be_empty()  # the house's inside is no place for webhooks
    await accessible(page)
    await picture(page, "admin-webhook-new")
    await new.get_by_label("Address").fill(f"https://{mark}.invalid/hook")
    await new.get_by_text("received").click()
    await house.admin.an_hour_passes(page)
    await new.get_by_role("button", name="Create").click()
    await house.admin.prove(page)
    first = await page.get_by_label("secret", exact=True).input_value()
    assert first.startswith("whsec_")
    await page.get_by_role("button", name="I have kept it").click()
    await page.get_by_role("link", name=f"RIS {mark}").click()
    await expect(page.get_by_role("heading", name=f"RIS {mark}", level=1)).to_be_visible()
    assert "/admin/webhooks/" in page.url
    await expect(page.get_by_text("study.received")).to_be_visible()

    await page.get_by_role("button", name="Send a test").click()
    delivery = row(page, "webhook.tested").first
    await expect(delivery).to_contain_text("1 try", timeout=30_000)  # nobody is at an address that can't be
    await delivery.get_by_text("Details").click()
    await expect(delivery.locator("pre")).to_contain_text("codetect.webhook.tested.v1")
    await accessible(page)
    await picture(page, "admin-webhook")
    again = delivery.get_by_role("button", name="Send again")
    await expect(again).to_be_disabled()  # it is tried for three days

    await page.get_by_text("Switched on").click()
    await expect(page.get_by_role("button", name="Send a test")).to_be_disabled()
    await expect(delivery).to_contain_text("Failed", timeout=60_000)  # what waited for one that is off is over
    await page.get_by_text("Switched on").click()
    await expect(page.get_by_role("button", name="Send a test")).to_be_enabled()
    await again.click()
    await expect(page.get_by_text("It is sent again.")).to_be_visible()
    await expect(delivery).to_contain_text("2 tries", timeout=60_000)
    await page.get_by_role("button", name="Change").click()
    change = page.get_by_role("dialog", name="Change")
    await change.get_by_label("What it is for").fill(f"PACS {mark}")
    await change.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("heading", name=f"PACS {mark}", level=1)).to_be_visible()
    await page.get_by_role("button", name="New secret").click()
    await page.get_by_role("button", name="Make it").click()
    assert await page.get_by_label("secret", exact=True).input_value() not in ("", first)
    await page.get_by_role("button", name="I have kept it").click()
    await page.get_by_role("button", name="Remove").click()
    removing = page.get_by_role("dialog", name="Remove this webhook?")
    await removing.get_by_role("button", name="Remove").click()
    await expect(page.get_by_role("heading", name="Webhooks", level=1)).to_be_visible()
    await expect(page.get_by_text(f"PACS {mark}")).to_have_count(0)


async def test_settings_of_images_are_saved_and_taken_back(tab: Visit, house: House) -> None:
    page = tab.page
    await house.admin.log_in(page, "admin/images")
    days, save = page.get_by_label("Days that studies are kept"), page.get_by_role("button", name="Save", exact=True)
    await expect(save).to_be_disabled()
    await page.get_by_label("At most, in studies").fill("5000")
    await page.get_by_text("Keep none of what comes from now on", exact=True).click()
    await house.admin.an_hour_passes(page)
    await save.click()
    await house.admin.prove(page)
    await expect(page.get_by_text("The settings are saved.")).to_be_visible()
    await expect(page.get_by_text("0 of 5,000")).to_be_visible()
    await expect(page.get_by_role("button", name="Erase all sealed identities")).to_be_enabled()
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_label("At most, in studies")).to_have_value("")
    await expect(page.get_by_role("radio", name="Keep them sealed")).to_be_checked()
    await expect(page.get_by_role("button", name="Erase all sealed identities")).to_be_disabled()
    await accessible(page)
    await picture(page, "admin-images")

    await days.fill("365")
    await save.click()
    asked = page.get_by_role("dialog", name="Erase what is older than 365 days?")
    await asked.get_by_role("button", name="Cancel").click()
    await page.reload()
    await expect(days).to_have_value("")
    await days.fill("365")
    await save.click()
    await asked.get_by_role("button", name="Save, and erase").click()
    await expect(page.get_by_text("The settings are saved.")).to_be_visible()
    await page.reload()
    await expect(days).to_have_value("365", timeout=15_000)

    await go_to(page, "Checklist")
    await expect(row(page, "There is a second admin")).to_be_visible()
    await expect(row(page, "An admin has logged in").get_by_role("img", name="Done")).to_be_visible()
    await accessible(page)
    await picture(page, "admin-checklist")


async def test_the_audit_log_is_searched_handed_out_and_checked(tab: Visit, house: House) -> None:
    page = tab.page
    await house.admin.log_in(page, "admin/audit")
    await expect(page.get_by_text("No gaps: the chain is")).to_be_visible(timeout=30_000)
    await page.get_by_role("button", name="Check now").click()
    await expect(page.get_by_text("No gaps: the chain is")).to_be_visible()
    await page.get_by_label("What", exact=True).select_option("login")
    await page.get_by_label("Who", exact=True).select_option("Alma Admin")
    await expect(page).to_have_url(re.compile(r"/admin/audit\?action=login&subject="))
    entries = page.get_by_role("list", name="Audit log").get_by_role("listitem")
    await expect(entries.first).to_contain_text("login")
    await expect(entries.first).to_contain_text("Alma Admin")
    await entries.first.get_by_text("Details").click()
    await expect(entries.first).to_contain_text("Place in the chain")
    await accessible(page)
    await picture(page, "admin-audit")
    shown = await entries.count()
    async with page.expect_download() as csv:
        await page.get_by_role("button", name="CSV").click()
    lines = (await (await csv.value).path()).read_text().splitlines()
    assert len(lines) == shown + 1, "the search, and a heading"
    async with page.expect_download() as ndjson:
        await page.get_by_role("button", name="NDJSON").click()
    kinds = {json.loads(line)["resourceType"] for line in (await (await ndjson.value).path()).read_text().splitlines()}
    assert kinds == {"AuditEvent"}
    await page.reload()
    await expect(page.get_by_label("What", exact=True)).to_have_value("login")
    await page.get_by_label("Outcome").select_option("failure")
    await expect(page.get_by_text("Nothing was written down that fits.")).to_be_visible()
    await page.get_by_role("button", name="Clear").click()
    await expect(entries.first).to_be_visible()
