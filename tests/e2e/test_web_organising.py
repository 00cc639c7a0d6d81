"""The worklist's filters, order, selection, tags, folders and views, in a browser against the complete stack."""

import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from codetect_local.demo import SLUG
from codetect_local.stack import Stack
from playwright.async_api import Browser, Locator, Page, expect
from pydicom.uid import generate_uid

from tests.e2e.app import accessible, quiet_tab
from tests.e2e.browser import Visit
from tests.e2e.conftest import Command
from tests.e2e.people import Somebody, picture
from tests.e2e.slices import new_study

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
        who = {"PatientName": f"{self.patient}^{name.title()}", "PatientID": f"ID-{name}"}
        known = {"StudyInstanceUID": self.uid, "AccessionNumber": self.accession} if name == "routine" else {}
        return new_study(folder / name, **who, **known)

    def row(self, page: Page, name: str) -> Locator:
        """Its row in the list."""
        return page.locator(".scroller [role=row]", has=page.get_by_title(self.studies[name]))


@pytest.fixture(scope="module")
async def person(stack: Stack, demo: dict[str, Any]) -> Somebody:
    """A member of the demo facility who sees who patients are."""
    return await Somebody.made(stack, SLUG, "Mona Member", "member", "identity")


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
async def inside(browser: Browser, person: Somebody) -> AsyncIterator[Visit]:
    """A tab in which she is logged in, on the worklist."""
    async with quiet_tab(browser) as tab:
        await person.log_in(tab.page)
        await expect(tab.page.get_by_role("grid")).to_be_visible(timeout=SLOW)
        yield tab


async def names(page: Page, sent: Sent) -> list[str]:
    """Which of ours stand in the list, from the top."""
    titles = await page.locator(".scroller [role=row] .study").evaluate_all("those => those.map(one => one.title)")
    called = {study: name for name, study in sent.studies.items()}
    return [called[title] for title in titles if title in called]


async def tagged(inside: Visit, sent: Sent, tag: str, *called: str) -> None:
    """Ours have this tag, whatever other tests did."""
    ids = [(await inside.ask("GET", f"/analyses?study_id={sent.studies[one]}"))[1]["items"][0]["id"] for one in called]
    what = {"ids": ids, "do": "organise", "change": {"add_tags": [tag]}}
    assert (await inside.ask("POST", "/analyses/bulk", what))[0] == 200


async def test_filters_and_order_stand_in_the_address(inside: Visit, sent: Sent, person: Somebody) -> None:
    page = inside.page
    await page.goto(person.home + "/worklist")
    await expect(sent.row(page, "failed")).to_be_visible(timeout=SLOW)
    assert await names(page, sent) == ["failed", "routine", "urgent"]
    await page.get_by_role("button", name="Urgent first").click()
    await expect(page).to_have_url(person.home + "/worklist?urgent=true")
    await expect(page.locator(".scroller [role=row]").first).to_contain_text("Urgent")
    await expect(sent.row(page, "urgent")).to_be_visible()
    order = await names(page, sent)
    assert order.index("urgent") < order.index("failed") < order.index("routine")

    await page.get_by_label("State").select_option("Failed")
    await expect(sent.row(page, "routine")).to_have_count(0)
    await expect(sent.row(page, "failed")).to_be_visible()
    await page.get_by_label("Received").select_option("New since yesterday")
    await expect(page).to_have_url(person.home + "/worklist?status=failed&since=yesterday&urgent=true")
    await expect(sent.row(page, "failed")).to_be_visible()
    await page.reload()
    await expect(page.get_by_label("Received")).to_have_value("yesterday", timeout=SLOW)
    await expect(sent.row(page, "failed")).to_be_visible(timeout=SLOW)
    await page.get_by_label("Received").select_option("From … to …")
    await page.get_by_label("To").fill("2020-01-01")
    await expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    await page.get_by_role("button", name="Clear").click()
    await expect(sent.row(page, "routine")).to_be_visible()
    await expect(page).to_have_url(person.home + "/worklist")
    await page.get_by_role("button", name="Mine").click()
    await expect(sent.row(page, "routine")).to_have_count(0)  # the API client of the facility sent it
    await page.get_by_role("button", name="Clear").click()
    await accessible(page)


async def test_rows_are_selected_tagged_moved_and_put_back_by_keys(inside: Visit, sent: Sent, person: Somebody) -> None:
    page, tag, folder = inside.page, f"tag {sent.word}", f"folder {sent.word}"
    await page.goto(person.home + "/worklist")
    row = sent.row(page, "routine")
    await expect(row).to_be_visible(timeout=SLOW)
    await row.focus()
    await page.keyboard.press("Space")
    await expect(row).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("Shift+ArrowUp")
    await expect(page.get_by_text("2 selected")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("toolbar", name="With what is selected")).to_have_count(0)

    await row.focus()
    await page.keyboard.press("t")
    await expect(page.get_by_label("Tag to add")).to_be_focused()
    await page.keyboard.type(tag)
    await page.keyboard.press("Enter")
    await expect(page.get_by_text(f"Tagged 1 analysis “{tag}”.")).to_be_visible()
    await expect(row).to_contain_text(tag)
    await accessible(page)

    await picture(page, "worklist-selected")
    await page.keyboard.press("Escape")
    await row.focus()
    await page.keyboard.press("m")
    await expect(page.get_by_label("Folder to move to")).to_be_focused()
    await page.keyboard.type(folder)
    await page.keyboard.press("Enter")
    await expect(page.get_by_text(f"Moved 1 analysis to “{folder}”.")).to_be_visible()
    beside = page.get_by_role("navigation", name="Folders")
    await beside.get_by_role("button", name=folder).click()
    await expect(page.locator(".scroller [role=row]")).to_have_count(1)
    await expect(row).to_be_visible()
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_text("Undone.")).to_be_visible()
    await expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    await page.get_by_role("button", name="Clear").click()

    await beside.get_by_role("button", name=tag).click()
    await expect(page.locator(".scroller [role=row]")).to_have_count(1)
    await expect(row).not_to_contain_text(folder)


async def test_rows_are_dragged_onto_a_tag(inside: Visit, sent: Sent, person: Somebody) -> None:
    page, tag = inside.page, f"drop {sent.word}"
    await tagged(inside, sent, tag, "routine")
    await page.goto(person.home + "/worklist")
    await expect(sent.row(page, "failed")).to_be_visible(timeout=SLOW)
    beside = page.get_by_role("navigation", name="Folders").get_by_role("button", name=tag)
    await sent.row(page, "failed").drag_to(beside)
    await expect(page.get_by_text(f"Tagged 1 analysis “{tag}”.")).to_be_visible()
    await expect(sent.row(page, "failed")).to_contain_text(tag)
    await expect(beside).to_contain_text("2")


async def test_what_cannot_be_done_is_said_and_the_rest_is_done(inside: Visit, sent: Sent, person: Somebody) -> None:
    page = inside.page
    await tagged(inside, sent, f"both {sent.word}", "failed", "routine")
    await page.goto(person.home + f"/worklist?tag=both+{sent.word}")
    await expect(sent.row(page, "failed")).to_be_visible(timeout=SLOW)
    await page.get_by_label("Select all shown").check(force=True)
    await expect(page.get_by_text("2 selected")).to_be_visible()
    await page.get_by_role("button", name="Make urgent").click()
    await expect(page.get_by_text("Made 2 analyses urgent.")).to_be_visible()
    await expect(sent.row(page, "routine")).to_contain_text("Urgent")
    await page.get_by_role("button", name="Run again").click()
    refused = page.locator(".outcome")
    await expect(refused).to_contain_text("2 stay as they were")
    await expect(refused).to_contain_text("The analysis is completed")
    await page.get_by_role("button", name="Dismiss").click()
    await page.get_by_role("button", name="Make routine").click()
    await expect(sent.row(page, "routine")).not_to_contain_text("Urgent")


async def test_it_moves_under_filters_too(
    inside: Visit, sent: Sent, person: Somebody, codetect: Command, tiny: str, tmp_path: Path
) -> None:
    page = inside.page
    await page.goto(person.home + "/worklist?result=positive&since=today&urgent=true")
    await expect(page.get_by_label("Received")).to_have_value("today", timeout=SLOW)
    await page.evaluate("window.same = true")
    done = await codetect("submit", sent.file(tmp_path, "late"), "--model", tiny, "--priority", "urgent", "--json")
    sent.studies["late"] = done.json["studies"][0]["study_id"]
    positive = any(one["positive"] for one in done.json["studies"][0]["analyses"][0]["findings"])
    assert positive, "the small model finds something on this slice"
    await expect(page.locator(".scroller [role=row]").first).to_contain_text("Urgent", timeout=SLOW)
    await expect(sent.row(page, "late")).to_contain_text("Done", timeout=SLOW)
    assert await page.evaluate("window.same"), "no reload"
    order = await names(page, sent)
    assert order[:2] == ["late", "urgent"]
    assert "failed" not in order


async def test_views_are_kept_opened_renamed_and_removed(inside: Visit, sent: Sent, person: Somebody) -> None:
    page = inside.page
    await page.goto(person.home + "/worklist?status=failed&since=yesterday")
    await expect(sent.row(page, "failed")).to_be_visible(timeout=SLOW)
    await page.get_by_role("button", name="Views").click()
    await page.get_by_label("Name of the view").fill("Failed lately")
    await page.keyboard.press("Enter")
    views = page.get_by_role("list", name="Views")
    await expect(views.get_by_role("button", name="Failed lately", exact=True)).to_be_visible()
    await accessible(page)
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Clear").click()
    await page.reload()
    await page.get_by_role("button", name="Views").click(timeout=SLOW)
    await views.get_by_role("button", name="Failed lately", exact=True).click()
    await expect(page).to_have_url(person.home + "/worklist?status=failed&since=yesterday")
    await page.get_by_role("button", name="Views: Failed lately").click()
    await page.get_by_role("button", name="Rename “Failed lately”").click()
    await views.get_by_label("Name of the view").fill("Failures")
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Remove “Failures”").click()
    await expect(page.get_by_text("Removed the view “Failures”.")).to_be_visible()
    await page.locator(".worklist-views").get_by_role("button", name="Undo").click()
    await expect(views.get_by_role("button", name="Failures", exact=True)).to_be_visible()
    status, kept = await inside.ask("GET", "/views")
    assert (status, [one["name"] for one in kept["items"]]) == (200, ["Failures"])
    await page.keyboard.press("Escape")


async def test_patients_show_to_those_with_the_right(inside: Visit, sent: Sent, person: Somebody) -> None:
    page = inside.page
    await page.goto(person.home + "/worklist")
    row = sent.row(page, "routine")
    await expect(row).to_contain_text(f"{sent.patient}, Routine", timeout=SLOW)
    await expect(row).to_contain_text(sent.accession)
    stored = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert sent.patient not in stored
    assert sent.accession not in stored
    await page.get_by_role("button", name="Patients").click()
    await expect(row).not_to_contain_text(sent.patient)
    await page.get_by_role("button", name="Patients").click()
    await expect(row).to_contain_text(sent.patient)


async def test_on_a_phone_filters_are_behind_a_button(inside: Visit, sent: Sent, person: Somebody) -> None:
    page = inside.page
    await page.set_viewport_size({"width": 390, "height": 800})
    try:
        await page.goto(person.home + "/worklist")
        await expect(sent.row(page, "routine")).to_be_visible(timeout=SLOW)
        await page.get_by_role("button", name="Filters").click()
        await page.get_by_label("State").select_option("Failed")
        await expect(page.get_by_role("button", name="Filters (1)")).to_be_visible()
        await expect(sent.row(page, "routine")).to_have_count(0)
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is cut off"
        await accessible(page)
    finally:
        await page.set_viewport_size({"width": 1280, "height": 720})


async def test_a_link_from_a_pacs_opens_the_newest_analysis(inside: Visit, sent: Sent, person: Somebody) -> None:
    page = inside.page
    (analysis,) = (await inside.ask("GET", f"/analyses?study_id={sent.studies['routine']}"))[1]["items"]
    for link in (f"?accession={sent.accession}", f"?study_uid={sent.uid}", f"#accession={sent.accession}"):
        await page.goto(f"{person.home}/worklist")
        await page.goto(f"{person.home}/open{link}")
        await expect(page).to_have_url(f"{person.home}/analyses/{analysis['id']}", timeout=SLOW)
        await page.go_back()
        await expect(page).to_have_url(f"{person.home}/worklist")  # what it is called elsewhere stays in no history
    await page.goto(f"{person.home}/open?accession=nobody-has-this")
    await expect(page.get_by_text("No study here has this accession number.")).to_be_visible(timeout=SLOW)
    await expect(page).to_have_url(f"{person.home}/open")
    await accessible(page)
    await page.goto(f"{person.home}/open")
    await page.get_by_label("Accession number").fill(sent.accession)
    await picture(page, "open")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{person.home}/analyses/{analysis['id']}", timeout=SLOW)
