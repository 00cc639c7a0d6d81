"""Every error is `application/problem+json`, and a surprise never shows its text."""

import httpx
import pytest
from codetect_shared.problems import Conflict, install_handlers, responses
from fastapi import APIRouter, FastAPI
from sqlalchemy import exc

SECRET = Exception("the secret text")
AWAY = {
    "pool": exc.TimeoutError("QueuePool limit, secret"),
    "refused": ConnectionRefusedError("secret"),
    "timeout": TimeoutError("secret"),
    "lost": exc.DBAPIError("secret", None, SECRET, connection_invalidated=True),
    "constraint": exc.IntegrityError("secret", None, SECRET),
}


class UploadExpired(Conflict):
    """The upload's time has run out."""


@pytest.fixture
async def client() -> httpx.AsyncClient:
    app = FastAPI()
    install_handlers(app)

    @app.get("/expired", responses=responses(UploadExpired))
    async def expired() -> None:
        raise UploadExpired("Open a new upload.", upload_id="17")

    @app.get("/surprise")
    async def surprise() -> None:
        raise RuntimeError("the secret text")

    @app.get("/away/{name}")
    async def away(name: str) -> None:
        raise AWAY[name]

    for method in ("GET", "POST"):  # each in a router of its own, as services have them
        router = APIRouter(prefix="/two")
        router.add_api_route("/ways", lambda: None, methods=[method])
        app.include_router(router)

    @app.get("/number/{n}")
    async def number(n: int) -> int:
        return n

    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://test")


async def test_a_problem_has_type_title_status_detail_and_extensions(client: httpx.AsyncClient) -> None:
    answer = await client.get("/expired")
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    assert answer.json() == {
        "type": "urn:codetect:problem:upload-expired",
        "title": "The upload's time has run out.",
        "status": 409,
        "detail": "Open a new upload.",
        "upload_id": "17",
    }


async def test_a_surprise_is_a_500_without_its_text(client: httpx.AsyncClient) -> None:
    answer = await client.get("/surprise")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "secret" not in answer.text


@pytest.mark.parametrize(("path", "status"), [("/number/x", 422), ("/nowhere", 404)])
async def test_framework_errors_are_problems_too(client: httpx.AsyncClient, path: str, status: int) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status


@pytest.mark.parametrize(
    ("name", "status"), [("pool", 503), ("refused", 503), ("timeout", 503), ("lost", 503), ("constraint", 500)]
)
async def test_a_database_that_is_away_is_no_surprise(client: httpx.AsyncClient, name: str, status: int) -> None:
    answer = await client.get(f"/away/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert ("retry-after" in answer.headers) == (status == 503)
    assert "secret" not in answer.text


async def test_a_wrong_method_is_told_all_that_can_be_done_there(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/two/ways")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
