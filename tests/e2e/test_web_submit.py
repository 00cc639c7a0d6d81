"""Submitting in a browser against the complete stack: a folder is dropped, looked at, sent, and comes out analysed."""

import io
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pydicom
import pyotp
import pytest
from codetect_local.demo import SLUG, Demo
from codetect_local.stack import Stack
from playwright.async_api import Page, expect
from pydicom.uid import generate_uid

from tests.e2e.app import accessible, is_in, password_step
from tests.e2e.browser import Visit
from tests.e2e.test_cli import SAMPLE

SLOW_MS = 30_000


@pytest.fixture(scope="module")
async def sue(stack: Stack, demo: dict[str, Any]) -> dict[str, Any]:
    """A member of the demo facility, who has seen the terms."""
    return await person(stack, demo, "member")


async def person(stack: Stack, demo: dict[str, Any], role: str) -> dict[str, Any]:
    email = f"sue-{secrets.token_hex(4)}@demo.example"
    who = ("--facility", SLUG, "--email", email, "--name", "Sue Sender", "--role", role, "--with-totp")
    made = await Demo(stack).auth("create-person", *who)
    return {"home": demo["url"], **made, "used": set()}


async def log_in(page: Page, person: dict[str, Any]) -> None:
    await page.goto(person["home"])
    await password_step(page, person["email"], person["password"])
    await page.get_by_label("Code from your authenticator app").fill(pyotp.TOTP(person["totp_secret"]).now())
    await page.keyboard.press("Enter")
    await is_in(page)
    # They came by a command, and have seen no terms.
    await page.get_by_role("button", name="I agree").click()
    await expect(page.get_by_role("heading", name="Worklist")).to_be_visible()


def study(folder: Path, patient: str, slices: Iterable[int] = range(20, 28), **changes: str) -> Path:
    """Slices of the sample as a study of a patient of its own, in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    uid, series = generate_uid(), generate_uid()
    for number in slices:
        ds = pydicom.dcmread(SAMPLE / f"{number:04}.dcm")
        ds.StudyInstanceUID, ds.SeriesInstanceUID = uid, series
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.PatientName, ds.PatientID = patient, f"ID {patient}"
        for keyword, value in changes.items():
            setattr(ds, keyword, value)
        buffer = io.BytesIO()
        ds.save_as(buffer)
        (folder / f"{number:04}.dcm").write_bytes(buffer.getvalue())
    return folder


async def drop(tab: Visit, *paths: Path) -> None:
    """Let paths go over the page, as from a file manager."""
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        await tab.cdp.send("Input.dispatchDragEvent", {"type": kind, "x": 400, "y": 300, "data": data})


async def test_a_dropped_folder_is_looked_at_sent_and_analysed(
    tab: Visit, sue: dict[str, Any], tiny: str, tmp_path: Path
) -> None:
    page = tab.page
    await log_in(page, sue)
    folder = study(tmp_path / "export", "Doe^Jane")
    study(folder / "scout", "Doe^Jane", [1], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    (folder / "letter.txt").write_text("Dear colleague")
    (folder / "README.md").write_text("how to")

    await page.get_by_role("link", name="Submit").click()
    await expect(page.get_by_text("Drop a folder, files or zips here")).to_be_visible()
    await accessible(page)
    await drop(tab, folder)
    await expect(page.get_by_role("region", name="Patient: Doe, Jane")).to_contain_text("ID Doe^Jane")
    await expect(page.locator(".series-table tbody tr")).to_have_count(1)
    await expect(page.locator(".series-table tbody tr")).to_contain_text("CT")
    aside = page.locator(".aside")
    await expect(page.get_by_text("2 files set aside")).to_be_visible()
    await expect(aside.filter(has_text="Localizer")).to_contain_text("export/scout/0001.dcm")
    await expect(aside.filter(has_text="Not a DICOM file")).to_contain_text("export/letter.txt")
    await accessible(page)

    await page.get_by_label("Reference").fill("born 12.3.1950")
    await expect(page.get_by_text("This looks like a date")).to_be_visible()
    await page.get_by_role("button", name="Send 8 files").click()
    await expect(page.get_by_text("The reference holds what looks like a date")).to_be_visible()
    await page.get_by_label("Reference").fill("trial 12, visit 3")
    await page.get_by_text("Urgent", exact=True).click()
    await page.get_by_label("Model").select_option(tiny)
    await page.get_by_role("button", name="Send 8 files").click()

    await expect(page.get_by_text("One study was taken")).to_be_visible(timeout=SLOW_MS)
    taken = page.locator(".taken-analysis")
    await expect(taken).to_contain_text("Done", timeout=SLOW_MS)
    await expect(taken).to_contain_text("Urgent")
    await expect(page.get_by_text("refused by the server")).to_have_count(0)
    await accessible(page)
    upload_id = page.url.rpartition("/")[2]
    status, upload = await tab.ask("GET", f"/uploads/{upload_id}")
    assert status == 200
    assert (upload["state"], upload["files_total"], upload["priority"], upload["models"]) == (
        "done",
        8,
        "urgent",
        [tiny],
    )
    link = await taken.get_by_role("link", name="Open the analysis").get_attribute("href")
    status, analysis = await tab.ask("GET", str(link))
    assert (status, analysis["upload_id"], analysis["status"]) == (200, upload_id, "completed")
    assert await page.evaluate("Object.keys({...localStorage, ...sessionStorage})") == []

    await page.get_by_role("button", name="To the worklist").click()
    ours = page.locator(".scroller [role=row]", has=page.get_by_title(analysis["study_id"]))
    await expect(ours).to_contain_text("Done")
