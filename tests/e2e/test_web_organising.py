"""The worklist's filters, order, selection, tags, folders and views, in a browser against the complete stack."""

import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from codetect_local.demo import SLUG, Demo
from codetect_local.stack import Stack
from playwright.async_api import Browser, Locator, Page, expect
from pydicom.uid import generate_uid

from tests.e2e.app import accessible, quiet_tab
from tests.e2e.browser import Visit
from tests.e2e.conftest import Command
from tests.e2e.test_cli import SAMPLE
from tests.e2e.test_web_worklist import log_in

SLOW = 30_000


class Sent:
    """Studies of this module's own, and what they are called where they show."""

    def __init__(self) -> None:
        self.studies: dict[str, str] = {}
        self.accession = f"A{secrets.randbelow(10**9):09}"
        self.uid = generate_uid()
        self.word = secrets.token_hex(4)
        self.patient = f"Doe{self.word}"

    def file(self, folder: Path, name: str) -> Path:
        """A slice that nobody has sent before, of a patient whom nobody else has."""
        ds = pydicom.dcmread(SAMPLE / "0020.dcm")
        ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
        if name == "routine":
            ds.StudyInstanceUID, ds.AccessionNumber = self.uid, self.accession
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.PatientName, ds.PatientID = f"{self.patient}^{name.title()}", f"ID-{name}"
        ds.save_as(folder / f"{name}.dcm")
        return folder / f"{name}.dcm"

    def row(self, page: Page, name: str) -> Locator:
        """Its row in the list."""
        return page.locator(".scroller [role=row]", has=page.get_by_title(self.studies[name]))


@pytest.fixture(scope="module")
async def person(stack: Stack, demo: dict[str, Any]) -> dict[str, Any]:
    """A member of the demo facility who sees who patients are."""
    email = f"mona-{secrets.token_hex(4)}@demo.example"
    who = ("--facility", SLUG, "--email", email, "--name", "Mona Member", "--role", "member", "--with-totp")
    made = await Demo(stack).auth("create-person", *who)
    await Demo(stack).auth("grant", "--facility", SLUG, "--right", "identity", "--email", email)
    return {"home": demo["url"], **made}


@pytest.fixture(scope="module")
async def sent(codetect: Command, tiny: str, tmp_path_factory: pytest.TempPathFactory) -> Sent:
    """One that fails for lack of a model, one urgent, one routine; the routine one came last but one."""
    those, folder = Sent(), tmp_path_factory.mktemp("sent")
    for name, *how in (
        ("urgent", "--model", tiny, "--priority", "urgent"),
        ("routine", "--model", tiny),
        ("failed", "--model", "no-such-model"),
    ):
        done = await codetect("submit", those.file(folder, name), *how, "--json")
        (study,) = json.loads(done.out)["studies"]
        those.studies[name] = study["study_id"]
    return those


@pytest.fixture(scope="module")
async def inside(browser: Browser, person: dict[str, Any]) -> AsyncIterator[Visit]:
    """A tab in which she is logged in, on the worklist."""
    async with quiet_tab(browser) as tab:
        await log_in(tab.page, person)
        await tab.page.get_by_role("button", name="I agree").click()
        await expect(tab.page.get_by_role("grid")).to_be_visible(timeout=SLOW)
        yield tab


async def names(page: Page, sent: Sent) -> list[str]:
    """Which of ours stand in the list, from the top."""
    titles = await page.locator(".scroller [role=row] .study").evaluate_all("those => those.map(one => one.title)")
    called = {study: name for name, study in sent.studies.items()}
    return [called[title] for title in titles if title in called]


async def test_filters_and_order_stand_in_the_address(inside: Visit, sent: Sent, person: dict[str, Any]) -> None:
    page = inside.page
    await page.goto(person["home"] + "/worklist")
    await expect(sent.row(page, "failed")).to_be_visible(timeout=SLOW)
    assert await names(page, sent) == ["failed", "routine", "urgent"]
    await page.get_by_role("button", name="Urgent first").click()
    await expect(page).to_have_url(person["home"] + "/worklist?urgent=true")
    await expect(page.locator(".scroller [role=row]").first).to_contain_text("Urgent")
    await expect(sent.row(page, "urgent")).to_be_visible()
    order = await names(page, sent)
    assert order.index("urgent") < order.index("failed") < order.index("routine")

    await page.get_by_label("State").select_option("Failed")
    await expect(sent.row(page, "routine")).to_have_count(0)
    await expect(sent.row(page, "failed")).to_be_visible()
    await page.get_by_label("Received").select_option("New since yesterday")
    await expect(page).to_have_url(person["home"] + "/worklist?status=failed&since=yesterday&urgent=true")
    await expect(sent.row(page, "failed")).to_be_visible()
    await page.reload()
    await expect(page.get_by_label("Received")).to_have_value("yesterday", timeout=SLOW)
    await expect(sent.row(page, "failed")).to_be_visible(timeout=SLOW)
    await page.get_by_label("Received").select_option("From … to …")
    await page.get_by_label("To").fill("2020-01-01")
    await expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    await page.get_by_role("button", name="Clear").click()
    await expect(sent.row(page, "routine")).to_be_visible()
    await expect(page).to_have_url(person["home"] + "/worklist")
    await page.get_by_role("button", name="Mine").click()
    await expect(sent.row(page, "routine")).to_have_count(0)  # the API client of the facility sent it
    await page.get_by_role("button", name="Clear").click()
    await accessible(page)
