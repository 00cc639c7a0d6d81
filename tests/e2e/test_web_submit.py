"""Submitting in a browser against the complete stack: a folder is dropped, looked at, sent, and comes out analysed."""

import asyncio
import contextlib
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from codetect_local.demo import SLUG
from codetect_local.stack import Stack
from playwright.async_api import Dialog, Error, Page, Route, expect

from tests.e2e.app import accessible
from tests.e2e.browser import Visit
from tests.e2e.people import Somebody, picture
from tests.e2e.slices import copied
from tests.e2e.test_cli import SAMPLE

SLOW_MS = 30_000


@pytest.fixture
async def sue(stack: Stack, demo: dict[str, Any]) -> Somebody:
    """A member of the demo facility; a new one each time, whose code wasn't used yet."""
    return await Somebody.made(stack, SLUG, "Sue Sender", "member")


def study(folder: Path, patient: str, slices: Iterable[int] = range(20, 28), **changes: Any) -> Path:
    """Slices of the sample as a study of a patient of its own, in a folder."""
    paths = (SAMPLE / f"{number:04}.dcm" for number in slices)
    return copied(folder, paths, PatientName=patient, PatientID=f"ID {patient}", **changes)


class Gate:
    """Between the page and the object store: lets some posts through, and holds the others."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self._room = asyncio.Semaphore(0)

    async def stand(self, page: Page, home: str) -> None:
        await page.route(lambda url: not url.startswith(home), self._pass)

    async def _pass(self, route: Route) -> None:
        if route.request.method == "POST":
            await self._room.acquire()
            found = re.search(rb'name="key"\r\n\r\n[^\r]*/(\d{6})\r', route.request.post_data_buffer or b"")
            self.numbers.append(int(found.group(1)) if found else 0)
        with contextlib.suppress(Error):  # the page may have given it up meanwhile
            await route.continue_()

    def open(self, count: int) -> None:
        for _ in range(count):
            self._room.release()


async def kept(page: Page) -> str:
    """All that the page's ledger holds."""
    return str(
        await page.evaluate("""async () => {
          const open = indexedDB.open("codetect-uploads");
          await new Promise((done) => { open.onsuccess = done; });
          const all = [...open.result.objectStoreNames].map((name) => new Promise((done) => {
            const asked = open.result.transaction(name).objectStore(name).getAll();
            asked.onsuccess = () => done(asked.result);
          }));
          const rows = await Promise.all(all);
          open.result.close();
          return JSON.stringify(rows);
        }""")
    )


async def drop(tab: Visit, *paths: Path) -> None:
    """Let paths go over the page, as from a file manager."""
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        await tab.cdp.send("Input.dispatchDragEvent", {"type": kind, "x": 400, "y": 300, "data": data})


async def test_a_dropped_folder_is_looked_at_sent_and_analysed(
    tab: Visit, sue: Somebody, tiny: str, tmp_path: Path
) -> None:
    page = tab.page
    await sue.log_in(page)
    folder = study(tmp_path / "export", "Doe^Jane")
    study(folder / "scout", "Doe^Jane", [1], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    (folder / "letter.txt").write_text("Dear colleague")
    (folder / "README.md").write_text("how to")

    await page.get_by_role("link", name="Submit").click()
    await expect(page.get_by_text("Drop a folder, files or zips here")).to_be_visible()
    await accessible(page)
    await picture(page, "submit-empty")
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
    await picture(page, "submit-found")
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


async def test_an_upload_that_is_paused_cut_off_and_reloaded_goes_on_where_it_stopped(
    tab: Visit, sue: Somebody, tiny: str, tmp_path: Path
) -> None:
    page, gate, dialogs = tab.page, Gate(), []

    async def leave(dialog: Dialog) -> None:
        dialogs.append(dialog.type)
        await dialog.accept()

    page.on("dialog", leave)
    await sue.log_in(page)
    folder = study(tmp_path / "Roe Richard", "Roe^Richard", range(10, 30))
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "._0010.dcm").write_bytes(b"fork")
    archive = shutil.make_archive(str(tmp_path / "Roe Richard"), "zip", folder)
    await gate.stand(page, sue.home)
    await page.get_by_role("link", name="Submit").click()
    files = page.locator("input[type=file]").nth(1)
    await files.set_input_files(archive)
    await expect(page.locator(".series-table tbody tr")).to_contain_text("20", timeout=SLOW_MS)
    await expect(page.get_by_text("set aside")).to_have_count(0)
    await page.get_by_label("Model").select_option(tiny)
    await page.get_by_role("button", name="Send 20 files").click()
    gate.open(3)
    await expect(page.get_by_text("3 of 20 files")).to_be_visible(timeout=SLOW_MS)
    await expect(page.locator(".under-way li")).to_have_count(6)
    await picture(page, "submit-sending")

    await page.get_by_role("link", name="Worklist").click()
    await page.get_by_role("link", name="Sending").click()
    await expect(page.get_by_text("3 of 20 files")).to_be_visible()
    await page.get_by_role("button", name="Pause").click()
    await expect(page.get_by_role("heading", name="Paused")).to_be_visible()
    await accessible(page)
    await page.get_by_role("button", name="Resume").click()
    gate.open(6 + 4)  # six were held when it was paused: nobody waits for their answers
    await expect(page.get_by_text("7 of 20 files")).to_be_visible(timeout=SLOW_MS)
    ledger = await kept(page)
    assert ledger.count('"posted":true') == 7
    assert "Roe" not in ledger
    assert "dcm" not in ledger
    await page.reload()
    assert dialogs == ["beforeunload"]

    told = page.get_by_text("An upload was interrupted: 7 of 20 files are there already")
    await expect(told).to_be_visible(timeout=SLOW_MS)
    before = len(gate.numbers)
    gate.open(6)  # those that the reload gave up
    await files.set_input_files(archive)
    await expect(page.get_by_text("This upload was interrupted: 7 of 20 files")).to_be_visible(timeout=SLOW_MS)
    await accessible(page)
    await page.get_by_role("button", name="Go on: send the other 13 files").click()
    gate.open(2)
    await expect(page.get_by_text("9 of 20 files")).to_be_visible(timeout=SLOW_MS)
    await tab.context.set_offline(True)
    gate.open(100)
    await expect(page.get_by_text("No connection: it goes on by itself")).to_be_visible(timeout=SLOW_MS)
    await tab.context.set_offline(False)
    await expect(page.get_by_text("One study was taken")).to_be_visible(timeout=2 * SLOW_MS)
    status, upload = await tab.ask("GET", f"/uploads/{page.url.rpartition('/')[2]}")
    assert (status, upload["state"], upload["files_total"], upload["models"]) == (200, "done", 20, [tiny])
    assert [file["number"] for file in upload["files"]] == list(range(1, 21))
    assert {file["state"] for file in upload["files"]} == {"accepted"}
    assert len(set(gate.numbers[before + 6 :])) == 13, "what was there is not sent again"
    assert await kept(page) == "[[],[]]"


async def test_patients_are_told_apart_and_what_the_server_refuses_is_listed(
    tab: Visit, sue: Somebody, tiny: str, tmp_path: Path
) -> None:
    page = tab.page
    await sue.log_in(page)
    both = tmp_path / "both"
    study(both / "a", "Moe^Ann")
    study(both / "b", "Poe^Bob", range(20, 24))
    cut = both / "b" / "0021.dcm"
    cut.write_bytes(cut.read_bytes()[:-90_000])
    await page.goto(f"{sue.home}/submit")
    await page.locator("input[type=file]").nth(0).set_input_files(both)
    await expect(page.get_by_role("alert").filter(has_text="These files are of 2 patients")).to_be_visible()
    await expect(page.get_by_role("button", name="Send 12 files")).to_be_visible()
    bob = page.get_by_role("region", name="Patient: Poe, Bob").get_by_role("checkbox")
    await bob.press("Space")
    await expect(page.get_by_role("button", name="Send 8 files")).to_be_visible()
    await bob.press("Space")
    await page.get_by_label("Model").select_option(tiny)
    await page.get_by_role("button", name="Send 12 files").press("Enter")
    await expect(page.get_by_text("2 studies were taken")).to_be_visible(timeout=SLOW_MS)
    await picture(page, "submit-outcome")
    refused = page.get_by_role("region", name="1 file refused by the server")
    await expect(refused).to_contain_text("both/b/0021.dcm")
    await expect(refused).to_contain_text("part of it was lost on the way")
    await expect(page.locator(".taken-analysis").filter(has_text="Done")).to_have_count(2, timeout=SLOW_MS)

    # In another language, on a telephone, after a reload that knows no names.
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.get_by_role("button", name="Theme, Language").click()
    await page.get_by_role("option", name="Deutsch").click()
    await page.keyboard.press("Escape")
    await page.reload()
    await expect(page.get_by_text("2 Studien wurden angenommen")).to_be_visible()
    refused = page.get_by_role("region", name="1 Datei vom Server abgelehnt")
    await expect(refused).to_contain_text("Ein Teil ging verloren")
    await expect(refused).to_contain_text(re.compile(r"Datei \d+"))
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    await accessible(page)

    # A localizer is sent when somebody wants it, and the server says no to all of it.
    scout = study(tmp_path / "scout", "Moe^Ann", [1], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    await page.get_by_role("button", name="Weitere einsenden").click()
    await page.locator("input[type=file]").nth(1).set_input_files(scout / "0001.dcm")
    await expect(page.get_by_text("Keine dieser Dateien kann gesendet werden")).to_be_visible()
    await expect(page.get_by_role("button", name="0 Dateien senden")).to_be_disabled()
    await page.get_by_text("Übersichten und was sonst DICOM ist, auch senden").click()
    await page.get_by_role("button", name="1 Datei senden").click()
    nothing = page.get_by_role("alert").filter(has_text="Nichts davon konnte angenommen werden")
    await expect(nothing).to_contain_text("Übersichtsaufnahme", timeout=SLOW_MS)
    await expect(page.get_by_role("region", name="1 Datei vom Server abgelehnt")).to_contain_text("0001.dcm")
    await accessible(page)


async def test_a_login_that_ends_meanwhile_loses_nothing_and_shows_nothing_to_the_next(
    tab: Visit, stack: Stack, sue: Somebody, tiny: str, tmp_path: Path
) -> None:
    page, gate = tab.page, Gate()
    await sue.log_in(page, "submit")
    await gate.stand(page, sue.home)
    folder = page.locator("input[type=file]").nth(0)
    await folder.set_input_files(study(tmp_path / "one", "Loe^Eve"))
    await page.get_by_label("Model").select_option(tiny)
    await page.get_by_role("button", name="Send 8 files").click()
    gate.open(4)
    await expect(page.get_by_text("4 of 8 files")).to_be_visible(timeout=SLOW_MS)
    await tab.context.clear_cookies()
    gate.open(4)
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible(timeout=SLOW_MS)
    await sue.type_in(page)
    await expect(page.get_by_role("heading", name="It stopped")).to_be_visible()
    await page.get_by_role("button", name="Resume").click()
    await expect(page.get_by_text("One study was taken")).to_be_visible(timeout=SLOW_MS)
    assert sorted(gate.numbers) == list(range(1, 9))

    await page.get_by_role("button", name="Submit another").click()
    await folder.set_input_files(study(tmp_path / "two", "Loe^Eve"))
    await expect(page.get_by_text("Loe, Eve")).to_be_visible(timeout=SLOW_MS)
    await tab.context.clear_cookies()
    with contextlib.suppress(Error):  # it may have noticed by itself, and the link is gone
        await page.get_by_role("link", name="Worklist").click(timeout=5000)
    await expect(page.get_by_role("heading", name="Log in")).to_be_visible(timeout=SLOW_MS)
    other = await Somebody.made(stack, SLUG, "Otto Other", "admin")
    await other.type_in(page)
    await page.get_by_role("button", name="I agree").click()
    await page.get_by_role("link", name="Submit").click()
    await expect(page.get_by_text("Drop a folder, files or zips here")).to_be_visible()
    await expect(page.get_by_text("Loe, Eve")).to_have_count(0)


async def test_a_viewer_has_no_way_in(tab: Visit, stack: Stack, demo: dict[str, Any]) -> None:
    page, viewer = tab.page, await Somebody.made(stack, SLUG, "Vera Viewer", "viewer")
    await viewer.log_in(page)
    await expect(page.get_by_role("link", name="Submit")).to_have_count(0)
    await page.goto(f"{viewer.home}/submit")
    await expect(page.get_by_role("alert")).to_contain_text("Your role doesn't allow this")
    await expect(page.locator("input[type=file]")).to_have_count(0)
