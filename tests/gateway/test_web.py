"""The web app's files as the gateway serves them: small, kept for good where they may be, apart from all else."""

import gzip
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.gateway.conftest import House, Process, gateway

PAGE = '<!doctype html><script type="module" src="/assets/start-abc.js"></script>'
SCRIPT = b"export const here = 1;" * 100
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
STORAGE = "https://store.example:9000"


@pytest.fixture(scope="module")
async def door(house: House, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Process]:
    """A gateway process with an app built."""
    folder = tmp_path_factory.mktemp("dist")
    (folder / "index.html").write_text(PAGE)
    (folder / "secret.txt").write_text("what lies beside the page is nobody's business")
    (folder / "assets").mkdir()
    (folder / "assets/start-abc.js").write_bytes(SCRIPT)
    (folder / "assets/start-abc.js.gz").write_bytes(gzip.compress(SCRIPT))
    (folder / "assets/small-abc.css").write_text("body {}")
    told = {"CODETECT_GATEWAY_WEB_DIR": str(folder), "CODETECT_STORAGE_PUBLIC_URL": STORAGE}
    async with gateway(house.environment | told) as process:
        await process.answers("/readyz")
        yield process


@pytest.fixture
async def browser(house: House, door: Process) -> AsyncIterator[httpx.AsyncClient]:
    async with house.client(bearer=None, gateway=door) as client:
        client.headers.update(BROWSER)
        yield client


async def test_each_address_of_the_app_gives_its_page(browser: httpx.AsyncClient) -> None:
    for path in ("/", "/login", "/worklist", "/access/join", "/analyses/0190", "/worklist?q=x"):
        page = await browser.get(path)
        assert (page.status_code, page.text) == (200, PAGE), path
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["cache-control"] == "no-cache"
    again = await browser.get("/login", headers={"If-None-Match": page.headers["etag"]})
    assert again.status_code == 304
    assert "content-security-policy" in again.headers


async def test_its_policy_allows_nothing_inline_and_no_place_but_here_and_the_store(browser: httpx.AsyncClient) -> None:
    policy = (await browser.get("/")).headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["worker-src"] == "'self'"
    assert rules["connect-src"] == f"'self' {STORAGE}"
    assert rules["frame-ancestors"] == rules["base-uri"] == "'none'"
    assert "unsafe" not in policy


async def test_files_are_kept_for_good_and_sent_small(browser: httpx.AsyncClient) -> None:
    for taken, sent in (("gzip", "gzip"), ("br, gzip", "gzip"), ("identity", None)):
        answer = await browser.get("/assets/start-abc.js", headers={"Accept-Encoding": taken})
        assert answer.content == SCRIPT
        assert answer.headers.get("content-encoding") == sent, taken
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-type"].startswith("text/javascript")
    assert (await browser.get("/assets/small-abc.css")).text == "body {}"


async def test_what_is_not_the_apps_is_answered_as_ever(browser: httpx.AsyncClient) -> None:
    for path in ("/assets/old-123.js", "/api/v1/nowhere", "/secret.txt", "/favicon.ico", "/assets/..%2fsecret.txt"):
        answer = await browser.get(path)
        assert answer.status_code in (400, 404), path
        assert answer.headers["content-type"] == "application/problem+json", path
    assert (await browser.get("/worklist", headers={"Accept": "application/json"})).status_code == 404
    assert (await browser.post("/worklist", headers={"Origin": str(browser.base_url)})).status_code == 404
    assert (await browser.get("/api/v1/facility")).status_code == 200
    assert "swagger-ui.css" in (await browser.get("/docs")).text


async def test_no_facility_no_page(house: House, door: Process) -> None:
    async with house.client("nowhere", bearer=None, gateway=door) as client:
        answer = await client.get("/login", headers=BROWSER)
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:codetect:problem:unknown-host")
