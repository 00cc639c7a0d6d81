"""The operators' page in a browser against the complete stack: facilities and models, from opening to taking back."""

import re
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from codetect_local.demo import SLUG, Demo
from codetect_local.stack import Stack
from codetect_shared import bus, topology
from codetect_shared.db import uuid7
from codetect_shared.events import FacilityReactivated
from playwright.async_api import Browser, Locator, Page, expect
from pydantic import SecretStr

from tests.e2e.app import accessible, quiet_tab
from tests.e2e.browser import Visit
from tests.e2e.people import Somebody, picture
from tests.inference.samples import bundle_files, zipped

SLOW_MS = 60_000  # a bundle is run once before it is kept


@pytest.fixture
async def oona(stack: Stack, demo: dict[str, Any], browser: Browser) -> AsyncIterator[Visit]:
    """An operator's tab, logged in at the operators' own host."""
    email = f"oona-{secrets.token_hex(4)}@operators.example"
    who = ("--email", email, "--name", "Oona Operator", "--with-totp")
    oona = Somebody(stack, "admin", await Demo(stack).auth("create-operator", *who))
    async with quiet_tab(browser) as tab:
        await oona.log_in(tab.page)
        await expect(tab.page).to_have_url(re.compile("/platform$"))
        yield tab


def item(page: Page, name: str) -> Locator:
    return page.locator(".item", has_text=name)


async def test_a_facility_is_opened_suspended_and_taken_back(oona: Visit, stack: Stack) -> None:
    page = oona.page
    slug = f"north-{secrets.token_hex(3)}"
    await page.get_by_role("button", name="Open a facility").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name", exact=True).fill(f"Clinic {slug}")
    await dialog.get_by_label("Address", exact=True).fill("demo")
    await dialog.get_by_role("button", name="Open a facility").click()
    await expect(dialog.get_by_role("alert")).not_to_be_empty()  # that address is taken
    await dialog.get_by_label("Address", exact=True).fill(slug)
    await dialog.get_by_label("Mail domains").fill("north.example, south.example")
    await dialog.get_by_label("Days to keep studies").fill("30")
    await dialog.get_by_label("E-mail address of the first admin").fill("ada@north.example")
    await dialog.get_by_label("Name of the first admin").fill("Ada North")
    await accessible(page)
    await dialog.get_by_role("button", name="Open a facility").click()
    await expect(dialog).to_have_count(0)

    ours = item(page, slug)
    await expect(ours).to_contain_text("north.example, south.example")
    await ours.get_by_role("button", name=f"Clinic {slug}").click()
    await expect(ours.get_by_text("Open", exact=True).first).to_be_visible()
    await ours.get_by_label("Name", exact=True).fill(f"Hospital {slug}")
    await ours.get_by_role("button", name="Save").click()
    await expect(ours.get_by_role("button", name=f"Hospital {slug}")).to_be_visible()
    await ours.get_by_label("E-mail address").fill("bert@south.example")
    await ours.get_by_label("Name of the person").fill("Bert South")
    await ours.get_by_role("button", name="Invite").click()
    await expect(ours.get_by_text("An invitation is on its way to bert@south.example.")).to_be_visible()
    await accessible(page)

    await picture(page, "facilities")

    await ours.get_by_label("Reason").fill("An audit is under way.")
    await ours.get_by_role("button", name="Suspend").click()
    await expect(ours.get_by_text("Suspended")).to_be_visible()
    other = await oona.context.new_page()
    await other.goto(stack.settings.address.format(slug))
    await expect(other.get_by_text("There is no facility at this address")).to_be_visible(timeout=30_000)
    await ours.get_by_label("Reason").fill("All is well.")
    await ours.get_by_role("button", name="Reactivate").click()
    await expect(ours.get_by_text("Suspended")).to_have_count(0)
    await other.reload()
    await expect(other.get_by_text(f"Hospital {slug}")).to_be_visible(timeout=30_000)
    await other.close()

    await page.set_viewport_size({"width": 390, "height": 844})
    wide = await page.evaluate(
        "[...document.querySelectorAll('main *')].filter((each) => each.getBoundingClientRect().right > 390)"
        ".map((each) => each.outerHTML.slice(0, 120))"
    )
    assert not wide, wide


@pytest.fixture
async def ward(oona: Visit) -> AsyncIterator[str]:
    """The name of a model that reads no study after the test."""
    name = f"ward-{secrets.token_hex(3)}"
    yield name
    for version in ("1.0.0", "2.0.0"):
        await oona.ask("PATCH", f"/models/{name}/{version}", {"active": False})


def bundle(folder: Path, name: str, version: str) -> Path:
    path = folder / f"{name}-{version}.zip"
    path.write_bytes(zipped(bundle_files(name=name, version=version, title="For wards")))
    return path


async def test_a_model_comes_in_and_is_rolled_out_step_by_step(oona: Visit, ward: str, tmp_path: Path) -> None:
    page = oona.page
    await page.get_by_role("tab", name="Models").click()
    await expect(page).to_have_url(re.compile("/platform/models$"))
    upload = page.get_by_label("Upload a bundle (.zip)")
    (tmp_path / "wrong.zip").write_bytes(b"no zip")
    await upload.set_input_files(tmp_path / "wrong.zip")
    await expect(page.get_by_role("alert").filter(has_text=re.compile("."))).to_be_visible(timeout=SLOW_MS)
    ours = item(page, ward)
    for version in ("1.0.0", "2.0.0"):
        await upload.set_input_files(bundle(tmp_path, ward, version))
        await expect(ours.get_by_text(version, exact=True)).to_be_visible(timeout=SLOW_MS)

    old, new = (ours.locator(".versions > li", has_text=version) for version in ("1.0.0", "2.0.0"))
    await expect(old.get_by_text("Serves · Everywhere")).to_be_visible()

    async def choose(what: str) -> Locator:
        await new.get_by_role("button", name=f"What to do with {ward} 2.0.0").click()
        await page.get_by_role("menuitem", name=what).click()
        return page.get_by_role("dialog")

    dialog = await choose("Start a shadow")
    await dialog.get_by_label("Where").select_option("Demo Hospital")
    await accessible(page)
    await dialog.get_by_role("button", name="Start a shadow").click()
    await expect(new.get_by_text("Shadow · Demo Hospital")).to_be_visible(timeout=SLOW_MS)
    await choose("Compare its shadow")
    await expect(new.get_by_text("Nothing to compare yet")).to_be_visible()
    await new.get_by_role("button", name="End: Shadow, Demo Hospital").click()
    await expect(new.get_by_text("Shadow · Demo Hospital")).to_have_count(0)

    dialog = await choose("Start a canary")
    await dialog.get_by_label("Share of the studies").fill("25")
    await dialog.get_by_role("button", name="Start a canary").click()
    await expect(new.get_by_text("Canary, 25 % · Everywhere")).to_be_visible(timeout=SLOW_MS)
    await picture(page, "models")
    await ours.get_by_role("button", name="Roll back").click()
    await page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    await expect(new.get_by_text("Canary, 25 %")).to_have_count(0)

    dialog = await choose("Activate")
    await dialog.get_by_role("button", name="Activate").click()
    await expect(new.get_by_text("Serves · Everywhere")).to_be_visible(timeout=SLOW_MS)
    await expect(old.get_by_text("Serves")).to_have_count(0)
    await accessible(page)
    await choose("Take out of service")
    await expect(new.get_by_text("Out of service")).to_be_visible()
    status, models = await oona.ask("GET", f"/models/{ward}/2.0.0", None)
    assert (status, models["active"]) == (200, False)


async def dead_letter(stack: Stack) -> str:
    """An event that its consumer can't understand, so that it is refused at once; its id."""
    event_id = uuid7()
    broken = bus.Envelope(
        event_id, FacilityReactivated.type, datetime.now(UTC), uuid7(), f"facility/{event_id}", 1, {"no": "facility"}
    )
    async with bus.connect(SecretStr(stack.environment()["CODETECT_RABBITMQ_URL"]), "test") as connection:
        channel = await connection.channel(publisher_confirms=True)
        await topology.declare(channel)
        await bus.publish_all(
            channel, channel.default_exchange, [(topology.FACILITIES.name, "", bus.encode(broken, "test"))]
        )
    return str(event_id)


async def test_the_health_page_shows_what_could_not_be_applied(oona: Visit, stack: Stack) -> None:
    page = oona.page
    event_id = await dead_letter(stack)
    await page.get_by_role("tab", name="Health").click()
    for service in ("auth", "ingest", "inference", "analytics"):
        await expect(page.locator("li", has_text=service).get_by_text("Ready", exact=True)).to_be_visible(
            timeout=30_000
        )
    await expect(page.get_by_role("row", name=re.compile("inference.analyses"))).to_be_visible()
    letter = page.get_by_role("region", name="Dead letters").locator("li", has_text=event_id)
    await expect(letter).to_contain_text("codetect.facility.reactivated.v1", timeout=SLOW_MS)
    await expect(letter).to_contain_text("ingest.facilities")
    wrong = page.get_by_role("region", name="Recent errors").locator("li", has_text=event_id)
    await expect(wrong.first).to_contain_text("dead letter", timeout=SLOW_MS)
    await expect(wrong.first).to_contain_text("ingest")
    await expect(wrong.first).to_contain_text("codetect_")
    await wrong.first.scroll_into_view_if_needed()
    await picture(page, "errors")
    await accessible(page)
    await picture(page, "health")
    # Its consumer understands it no better the second time: it comes back, after having been away.
    async with page.expect_response(re.compile(rf"{event_id}/redeliver\?queue=")) as answered:
        await letter.get_by_role("button", name="Send again").click()
    assert (await answered.value).status == 204
    await page.set_viewport_size({"width": 390, "height": 844})
    assert await page.evaluate("document.querySelector('main').scrollWidth <= 390"), "nothing to scroll sideways"


async def test_it_is_for_operators_alone(tab: Visit, stack: Stack, demo: dict[str, Any]) -> None:
    admin = await Somebody.made(stack, SLUG, "Arne Admin", "admin")
    await admin.log_in(tab.page)
    await expect(tab.page).to_have_url(re.compile("/worklist$"))
    await expect(tab.page.get_by_role("link", name="Platform")).to_have_count(0)
    await tab.page.goto(f"{admin.home}/platform/models")
    await expect(tab.page.get_by_text("There is no such page")).to_be_visible()
    assert (await tab.ask("GET", "/facilities", None))[0] == 403
