"""An analysis in a browser against the complete stack: images that are painted, what argues, and what readers say."""

import io
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from codetect_local.demo import SLUG
from codetect_local.stack import Stack
from numpy.typing import NDArray
from PIL import Image
from playwright.async_api import Browser, Locator, Page, expect
from pydicom.uid import generate_uid

from tests.e2e.app import accessible, quiet_tab
from tests.e2e.conftest import Command
from tests.e2e.people import Somebody
from tests.e2e.people import picture as for_eyes
from tests.e2e.slices import copied
from tests.e2e.test_cli import SAMPLE

PATIENCE_MS = 30_000
TAKEN = sorted(SAMPLE.glob("*.dcm"))[::2]
LUNG, SOFT = (-600, 1500), (40, 400)


@pytest.fixture(scope="module")
async def person(stack: Stack, demo: dict[str, Any]) -> Somebody:
    """A member of the demo facility, whom nobody else logs in as."""
    return await Somebody.made(stack, SLUG, "Anna Member", "member")


@pytest.fixture(scope="module")
async def study(codetect: Command, tiny: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every other slice of the sample as a study of its own, analysed."""
    done = await codetect("submit", copied(tmp_path_factory.mktemp("study"), TAKEN), "--model", tiny, "--json")
    assert done.code == 0, done.err
    (found,) = done.json["studies"]
    return dict(found)


@pytest.fixture(scope="module")
async def page(browser: Browser, person: Somebody) -> AsyncIterator[Page]:
    """A tab in which the member is logged in."""
    async with quiet_tab(browser, viewport={"width": 1280, "height": 900}) as tab:
        await person.log_in(tab.page)
        yield tab.page


def images(page: Page) -> Locator:
    return page.get_by_role("application", name="Images")


async def shows(page: Page, n: int) -> None:
    """The slice is painted."""
    await expect(images(page)).to_have_attribute("data-slice", str(n), timeout=PATIENCE_MS)
    await expect(images(page)).to_have_attribute("aria-busy", "false", timeout=PATIENCE_MS)


async def picture(page: Page) -> NDArray[np.uint8]:
    """What is on the screen where the images are, as grey values."""
    taken = await images(page).screenshot()
    return np.asarray(Image.open(io.BytesIO(taken)).convert("RGB"))


def hounsfield() -> dict[int, NDArray[np.float32]]:
    """The study's slices by number, feet to head."""
    found = [pydicom.dcmread(path) for path in TAKEN]
    found.sort(key=lambda ds: float(ds.ImagePositionPatient[2]))
    return {
        n: (ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)).astype(np.float32)
        for n, ds in enumerate(found)
    }


def expected(hu: NDArray[np.float32], window: tuple[int, int], size: int) -> NDArray[np.float32]:
    """A slice through a window, drawn that large."""
    level, width = window
    grey = np.clip((hu - level + width / 2) / width, 0, 1) * 255
    return np.asarray(Image.fromarray(grey).resize((size, size), Image.Resampling.BOX), np.float32)


def likeness(shown: NDArray[np.uint8], hu: NDArray[np.float32], window: tuple[int, int]) -> float:
    """How well the middle of the screen agrees with a slice through a window: a correlation."""
    size = min(shown.shape[:2])
    left, top = (shown.shape[1] - size) // 2, (shown.shape[0] - size) // 2
    grey = shown[top : top + size, left : left + size].mean(-1)
    inner = slice(size // 8, -size // 8)
    wanted = expected(hu, window, size)
    return float(np.corrcoef(grey[inner, inner].ravel(), wanted[inner, inner].ravel())[0, 1])


@pytest.fixture(scope="module")
async def analysis(page: Page, person: Somebody, study: dict[str, Any]) -> dict[str, Any]:
    """The study's analysis as the API has it."""
    (known,) = study["analyses"]
    return await asked(page, f"analyses/{known['analysis_id']}")


@pytest.fixture
async def peak(page: Page, person: Somebody, analysis: dict[str, Any]) -> int:
    """The analysis' page was opened just now, and the slice that argues most is in sight."""
    await page.goto(f"{person.home}/analyses/{analysis['id']}")
    n = int(analysis["findings"][0]["peak"]["slice"])
    await shows(page, n)
    return n


async def asked(page: Page, path: str) -> dict[str, Any]:
    """What the API answers to the page."""
    return dict(await page.evaluate("path => fetch(`/api/v1/${path}`).then((answer) => answer.json())", path))


async def test_the_slice_that_argues_most_is_painted_with_what_argues(page: Page, peak: int) -> None:
    await expect(page.locator(".heat")).to_have_attribute("data-slice", str(peak), timeout=PATIENCE_MS)
    heated = await picture(page)
    await page.get_by_text("Heatmap", exact=True).click()
    await expect(page.locator(".heat")).not_to_have_attribute("data-slice", str(peak))
    plain = await picture(page)
    assert likeness(plain, hounsfield()[peak], LUNG) > 0.97
    kept = "[...Object.keys({...localStorage, ...sessionStorage}), document.cookie]"
    assert await page.evaluate(kept) == [""], "the viewer's libraries keep nothing in the browser"
    size = min(plain.shape[:2])
    middle = (slice(None), slice(plain.shape[1] // 2 - size // 4, plain.shape[1] // 2 + size // 4))
    colour = np.abs(heated[middle].astype(int) - plain[middle]).mean()
    assert colour > 5, "the heatmap is seen"
    coloured = np.ptp(plain[middle].astype(int), axis=-1) > 2
    assert coloured.mean() < 0.01, "without it all is grey, but for letters"
    await page.get_by_text("Heatmap", exact=True).click()
    await expect(page.locator(".heat")).to_have_attribute("data-slice", str(peak))
    for _ in range(3):  # less and less of it
        await page.get_by_role("slider", name="Heatmap's opacity").press("ArrowLeft")
    weaker = np.abs((await picture(page))[middle].astype(int) - plain[middle]).mean()
    assert 0 < weaker < colour
    await accessible(page)
    await for_eyes(page, "analysis")


async def test_slices_are_reached_by_key_wheel_and_curve(page: Page, analysis: dict[str, Any], peak: int) -> None:
    total, hu = analysis["slices_total"], hounsfield()
    await page.get_by_text("Heatmap", exact=True).click()
    await images(page).focus()
    await page.keyboard.press("Home")
    await shows(page, 0)
    assert likeness(await picture(page), hu[0], LUNG) > 0.97
    await page.keyboard.press("PageUp")
    await page.keyboard.press("ArrowUp")
    await shows(page, 11)
    assert likeness(await picture(page), hu[11], LUNG) > 0.97
    await images(page).hover()
    await page.mouse.wheel(0, 100)  # a notch down: towards the feet
    await shows(page, 10)
    curve = page.get_by_role("slider", name="Slices and their scores")
    score = (await asked(page, f"analyses/{analysis['id']}/slices"))["items"][10]["probabilities"]["grey"]
    await expect(curve).to_have_attribute("aria-valuetext", f"Slice 11 of {total}, grey {score * 100:.0f} %")
    box = await curve.bounding_box()
    assert box
    await curve.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    await shows(page, (total - 1) // 2)
    await curve.press("End")
    await shows(page, total - 1)
    assert likeness(await picture(page), hu[total - 1], LUNG) > 0.97
    await page.get_by_role("button", name="Strongest evidence").click()
    await shows(page, peak)


async def test_windows_zoom_and_measuring(page: Page, peak: int) -> None:
    hu = hounsfield()[peak]
    await page.get_by_text("Heatmap", exact=True).click()
    await page.get_by_role("button", name="Mediastinum").click()
    await expect(page.get_by_text("L 40 · W 400")).to_be_visible()
    soft = await picture(page)
    assert likeness(soft, hu, SOFT) > 0.97 > likeness(soft, hu, LUNG)
    box = await images(page).bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    await drag(page, x, y, x + 60, y + 30)  # the window, at first
    await expect(page.get_by_text("L 40 · W 400")).to_have_count(0)
    await images(page).press("1")
    await expect(page.get_by_text("L -600 · W 1500")).to_be_visible()
    whole = await picture(page)
    await images(page).press("+")
    await images(page).press("+")
    larger = await picture(page)
    assert likeness(larger, hu, LUNG) < 0.9, "it is zoomed"
    await images(page).press("0")
    np.testing.assert_allclose((await picture(page)).astype(int), whole.astype(int), atol=2)

    spacing = pydicom.dcmread(SAMPLE / "0020.dcm").PixelSpacing
    await page.get_by_role("button", name="Measure a length").click()
    length = min(box["width"], box["height"]) / 4
    await drag(page, x, y, x + length, y)
    real = 512 / 4 * float(spacing[1])  # drawn a moment after the hand has stopped
    near = "|".join(str(round(real) + off) for off in (-1, 0, 1))
    await expect(page.locator(".images text")).to_have_text(re.compile(rf"^\s*({near})(\.\d+)? mm"))
    await page.get_by_role("button", name="Remove the measurement").click()
    await expect(page.locator(".images text")).to_have_count(0)


async def drag(page: Page, x: float, y: float, to_x: float, to_y: float) -> None:
    """With the left button, as a hand does: not in one jump."""
    await page.mouse.move(x, y)
    await page.mouse.down()
    await page.mouse.move(to_x, to_y, steps=8)
    await page.mouse.up()


@pytest.mark.usefixtures("peak")
async def test_a_reader_agrees_corrects_and_sees_both(page: Page, analysis: dict[str, Any]) -> None:
    said = page.get_by_role("group", name="Feedback on grey")
    await said.get_by_role("button", name="Agree", exact=True).click()
    await expect(said.get_by_role("button", name="You agree")).to_have_attribute("aria-pressed", "true")
    await said.get_by_role("button", name="Correct or comment").click()
    form = said.get_by_role("form")
    await form.get_by_label("Can't be told").check(force=True)
    await form.get_by_label("On slice").check(force=True)
    await form.get_by_label("Comment").fill("Call Mr. Smith, born 12.03.1957")
    await form.get_by_role("button", name="Save").click()
    await expect(said.get_by_role("alert")).to_contain_text("identif")
    await form.get_by_label("Comment").fill("motion in the lower lobe")
    await form.get_by_role("button", name="Save").click()
    await expect(form).to_have_count(0)
    history = said.get_by_role("listitem")
    await expect(history).to_have_count(2)
    await expect(history.first).to_contain_text("replaced by a newer opinion")
    await expect(history.last).to_contain_text("motion in the lower lobe")
    kept = (await asked(page, f"analyses/{analysis['id']}/feedback"))["items"][0]["opinions"]
    assert [(one["says"], one["comment"]) for one in kept] == [
        ("present" if analysis["findings"][0]["positive"] else "absent", None),
        ("unsure", "motion in the lower lobe"),
    ]
    assert len(kept[1]["slices"]) == 1
    await accessible(page)


async def test_a_note_is_written_taken_back_and_had_again(
    page: Page, person: Somebody, analysis: dict[str, Any]
) -> None:
    await page.goto(f"{person.home}/analyses/{analysis['id']}")
    notes = page.locator(".bp6-section", has=page.get_by_role("heading", name="Notes on the study"))
    form = notes.get_by_role("form", name="Write a note")
    await form.get_by_label("Write a note").fill("Call Mr. Smith, born 12.03.1957")
    await form.get_by_role("button", name="Keep").click()
    await expect(form.get_by_role("alert")).to_contain_text("identif")
    await form.get_by_label("Write a note").fill("Ask for the former study.\nLower left?")
    await form.get_by_role("button", name="Keep").click()
    note = notes.get_by_role("listitem")
    await expect(note).to_have_count(1)
    await expect(note).to_contain_text("Ask for the former study.")
    await expect(form.get_by_label("Write a note")).to_have_value("")
    await accessible(page)
    await note.scroll_into_view_if_needed()
    await for_eyes(page, "analysis-notes")
    await note.get_by_role("button", name="Take back").click()
    await expect(note).to_have_count(0)
    assert (await asked(page, f"analyses/{analysis['id']}/notes"))["items"] == []
    await page.get_by_role("button", name="Undo").click()
    await expect(note).to_contain_text("Ask for the former study.")
    await page.reload()
    await expect(note).to_contain_text("Lower left?")


async def test_what_comes_while_the_page_is_open_shows_by_itself(
    page: Page, codetect: Command, tiny: str, tmp_path: Path, person: Somebody
) -> None:
    """More images of the study: they are analysed, and the result in sight is told to be superseded."""
    same = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    folders = [tmp_path / "first", tmp_path / "more"]
    for folder, paths in zip(folders, [TAKEN[8:14], TAKEN[14:20]], strict=True):
        folder.mkdir()
        copied(folder, paths, **same)
    done = await codetect("submit", folders[0], "--model", tiny, "--json")
    assert done.code == 0, done.err
    (first,) = done.json["studies"][0]["analyses"]
    await page.goto(f"{person.home}/analyses/{first['analysis_id']}")
    few = page.get_by_text("Only 6 slices were analysed")
    await expect(few).to_be_visible(timeout=PATIENCE_MS)
    superseded = page.get_by_text("The study has had more images since")
    await expect(superseded).to_have_count(0)
    await page.evaluate("window.same = true")

    done = await codetect("submit", folders[1], "--model", tiny, "--json")
    assert done.code == 0, done.err
    (second,) = done.json["studies"][0]["analyses"]
    assert second["analysis_id"] != first["analysis_id"]
    await expect(superseded).to_be_visible(timeout=PATIENCE_MS)
    findings = page.get_by_role("heading", name="Findings")
    [above, below] = [await each.bounding_box() for each in (superseded, findings)]
    assert above
    assert below
    assert above["y"] < below["y"]
    listed = page.locator(".others li", has=page.locator(f"a[href$='{second['analysis_id']}']"))
    grey = (await asked(page, f"analyses/{second['analysis_id']}"))["findings"][0]["probability"]
    await expect(listed).to_contain_text(f"grey {grey * 100:.0f} %", timeout=PATIENCE_MS)
    await accessible(page)
    await for_eyes(page, "analysis-superseded")
    await page.get_by_role("link", name="Open the newer one").click()
    await expect(page).to_have_url(f"{person.home}/analyses/{second['analysis_id']}")
    await expect(page.get_by_role("button", name="Strongest evidence").filter(visible=True)).to_be_visible()
    await expect(few.filter(visible=True)).to_have_count(0)
    older = page.locator(".others li", has=page.locator(f"a[href$='{first['analysis_id']}']"))
    await expect(older).to_contain_text("superseded")
    assert await page.evaluate("window.same"), "no reload"


async def test_a_prior_is_compared_beside_it(
    page: Page, analysis: dict[str, Any], codetect: Command, tiny: str, tmp_path: Path, person: Somebody
) -> None:
    """The same patient's next study."""
    done = await codetect("submit", copied(tmp_path, TAKEN[8:14]), "--model", tiny, "--json")
    assert done.code == 0, done.err
    (known,) = done.json["studies"][0]["analyses"]
    await page.goto(f"{person.home}/worklist")
    row = page.locator(".scroller [role=row]", has=page.get_by_title(done.json["studies"][0]["study_id"]))
    await row.focus()
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{person.home}/analyses/{known['analysis_id']}")
    await expect(page.get_by_text("Only 6 slices were analysed")).to_be_visible(timeout=PATIENCE_MS)
    await page.locator(f".others a[href$='{analysis['id']}'] ~ button").click()
    both = page.get_by_role("application")
    await expect(both).to_have_count(2)
    await expect(both.first).to_have_attribute("aria-busy", "false", timeout=PATIENCE_MS)
    await expect(both.last).to_have_attribute("aria-busy", "false", timeout=PATIENCE_MS)
    await both.first.press("Home")
    await expect(both.first).to_have_attribute("data-slice", "0", timeout=PATIENCE_MS)
    await expect(both.last).to_have_attribute("aria-busy", "false", timeout=PATIENCE_MS)
    before = int(await both.last.get_attribute("data-slice") or 0)
    await both.first.press("ArrowUp")
    await expect(both.last).to_have_attribute("data-slice", str(before + 1), timeout=PATIENCE_MS)
    await for_eyes(page, "analysis-compared")
    await accessible(page)
    await page.get_by_role("button", name="End comparing").click()
    await expect(page.get_by_role("application")).to_have_count(1)


async def test_a_heatmap_that_cannot_be_had_is_said_to_be_missing(
    page: Page, analysis: dict[str, Any], person: Somebody
) -> None:
    broken = re.compile(r"/heatmap\.png")
    await page.route(broken, lambda route: route.abort())
    await page.goto(f"{person.home}/analyses/{analysis['id']}")
    missing = page.get_by_text("Heatmap can't be shown")
    await expect(missing).to_be_visible(timeout=PATIENCE_MS)
    await accessible(page)
    await for_eyes(page, "analysis-no-heatmap")
    await page.unroute(broken)
    await page.get_by_role("button", name="Try again").click()
    peak = analysis["findings"][0]["peak"]["slice"]
    await expect(page.locator(".heat")).to_have_attribute("data-slice", str(peak), timeout=PATIENCE_MS)
    await expect(missing).to_have_count(0)


async def test_a_slice_that_cannot_be_had_blanks_the_view_and_says_so(
    page: Page, analysis: dict[str, Any], person: Somebody
) -> None:
    broken = "**/slices/0/pixels"
    await page.route(broken, lambda route: route.abort())
    await page.goto(f"{person.home}/analyses/{analysis['id']}")
    await shows(page, analysis["findings"][0]["peak"]["slice"])
    await images(page).press("Home")
    await expect(page.get_by_text("Slice 1 can't be shown")).to_be_visible(timeout=PATIENCE_MS)
    await expect(page.locator(".pixels")).to_be_hidden()
    await for_eyes(page, "analysis-no-slice")
    await page.unroute(broken)
    await page.get_by_role("button", name="Try again").click()
    await shows(page, 0)
    await expect(page.locator(".pixels")).to_be_visible()
    assert likeness(await picture(page), hounsfield()[0], LUNG) > 0.9


async def test_why_one_failed_is_said_and_what_helps(
    page: Page, codetect: Command, tiny: str, tmp_path: Path, person: Somebody
) -> None:
    side = {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}
    done = await codetect("submit", copied(tmp_path, TAKEN[8:11], **side), "--model", tiny, "--json")
    (known,) = done.json["studies"][0]["analyses"]
    assert known["status"] == "failed"
    await page.goto(f"{person.home}/analyses/{known['analysis_id']}")
    await expect(page.get_by_text("None of the study's series is an axial CT")).to_be_visible(timeout=PATIENCE_MS)
    await expect(page.get_by_text("Send an axial chest CT of this study")).to_be_visible()
    await expect(page.get_by_text("No images to show")).to_be_visible()
    await expect(page.get_by_role("button", name="Run again")).to_have_count(0)  # it would fail the same way
    await accessible(page)
    await for_eyes(page, "analysis-failed")
