"""One OpenAPI document for all behind the door, valid, without clashes; its pages load nothing from elsewhere."""

import json
import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from codetect_gateway.openapi import merge
from codetect_gateway.parts import PREFIXES, part_of
from fastapi import APIRouter, FastAPI
from openapi_spec_validator import validate
from pydantic import BaseModel, create_model

from tests.gateway.conftest import House, gateway, upstream

Document = dict[str, Any]


def document(path: str, model: type[BaseModel] | None = None, body: type[BaseModel] | None = None) -> Document:
    app, router = FastAPI(generate_unique_id_function=lambda route: route.name), APIRouter()

    @router.get(path)
    async def get_thing() -> model:  # type: ignore[valid-type]
        """A thing."""

    if body:

        @router.post(path)
        async def make_thing(wish: body) -> model:  # type: ignore[valid-type]
            """Make one."""

    app.include_router(router)
    return app.openapi()


Thing = create_model("Thing", name=(str, ...))
OtherThing = create_model("Thing", size=(int, ...))
Holder = create_model("Holder", things=(list[OtherThing], ...))  # type: ignore[valid-type]
OWN = document("/api/v1/live/ticket")


def operations(merged: Document) -> list[Document]:
    return [operation for item in merged["paths"].values() for operation in item.values()]


def test_every_operation_has_an_id_of_its_own() -> None:
    documents = {"auth": document("/api/v1/members"), "ingest": document("/api/v1/studies")}
    merged = merge(OWN, documents, [])
    validate(merged)
    ids = [operation["operationId"] for operation in operations(merged)]
    assert ids == ["get_thing", "auth_get_thing", "ingest_get_thing"]
    assert [operation["tags"] for operation in operations(merged)] == [["gateway"], ["auth"], ["ingest"]]


def test_two_things_of_one_name_stay_two() -> None:
    documents = {"ingest": document("/api/v1/studies", Thing), "inference": document("/api/v1/analyses", Holder)}
    merged = merge(OWN, documents, [])
    validate(merged)
    schemas = merged["components"]["schemas"]
    assert schemas["Thing"]["properties"].keys() == {"name"}
    assert schemas["InferenceThing"]["properties"].keys() == {"size"}
    assert schemas["Holder"]["properties"]["things"]["items"] == {"$ref": "#/components/schemas/InferenceThing"}


def test_a_thing_that_two_services_share_stays_one() -> None:
    documents = {"ingest": document("/api/v1/studies", Thing), "inference": document("/api/v1/analyses", Thing)}
    merged = merge(OWN, documents, [])
    validate(merged)
    assert "InferenceThing" not in merged["components"]["schemas"]


def test_what_the_door_does_not_lead_to_is_not_told() -> None:
    documents = {"auth": document("/internal/keys"), "ingest": document("/api/v1/members")}
    assert list(merge(OWN, documents, [])["paths"]) == ["/api/v1/live/ticket"]


def test_a_pacs_may_log_in_with_basic_below_dicomweb_and_nowhere_else() -> None:
    merged = merge(OWN, {"ingest": document("/dicomweb/studies"), "inference": document("/api/v1/analyses")}, [])
    validate(merged)
    assert merged["paths"]["/dicomweb/studies"]["get"]["security"] == [{"client": []}]
    assert "security" not in merged["paths"]["/api/v1/analyses"]["get"]
    assert merged["components"]["securitySchemes"]["client"]["scheme"] == "basic"


def test_what_the_door_may_answer_is_named_at_each_operation_behind_it() -> None:
    documents = {"auth": document("/api/v1/members"), "ingest": document("/dicomweb/studies")}
    merged = merge(OWN, documents, [])
    validate(merged)
    for path in ("/api/v1/members", "/dicomweb/studies"):
        answers = merged["paths"][path]["get"]["responses"]
        assert answers.keys() == {"200", "400", "401", "403", "404", "429", "503", "504"}
        assert answers["429"] == {"$ref": "#/components/responses/TooFast"}
    assert "Retry-After" in merged["components"]["responses"]["TooFast"]["headers"]


def test_a_body_may_come_too_slowly_everywhere_and_be_too_large_where_the_door_says_so() -> None:
    documents = {
        "auth": document("/api/v1/auth/login", body=Thing),
        "ingest": document("/dicomweb/studies", body=Thing),
    }
    paths = merge(OWN, documents, [])["paths"]
    assert {"408", "413"} <= paths["/api/v1/auth/login"]["post"]["responses"].keys()
    assert {"408", "413"} & paths["/dicomweb/studies"]["post"]["responses"].keys() == {"408"}


def test_what_a_service_says_of_a_status_stays() -> None:
    auth = document("/api/v1/members")
    auth["paths"]["/api/v1/members"]["get"]["responses"]["404"] = {"description": "Nobody."}
    merged = merge(OWN, {"auth": auth}, [])
    validate(merged)
    answer = merged["paths"]["/api/v1/members"]["get"]["responses"]["404"]
    assert (answer["description"], list(answer["content"])) == ("Nobody.", ["application/problem+json"])


def test_where_programs_get_tokens_pages_get_what_has_none() -> None:
    tokens = create_model("Tokens", access_token=(str, ...), refresh_token=(str, ...), expires_in=(int, ...))
    paths = ("/api/v1/auth/mfa", "/api/v1/auth/refresh", "/api/v1/members")
    for path in paths:
        merged = merge(OWN, {"auth": document(path, tokens, body=Thing)}, [])
        validate(merged)
        answers = merged["paths"][path]["post"]["responses"]
        assert ("204" in answers) == (path == "/api/v1/auth/refresh")
        schema = answers["200"]["content"]["application/json"]["schema"]
        if path == "/api/v1/members":
            assert "anyOf" not in schema
        else:
            assert [one["$ref"].rpartition("/")[2] for one in schema["anyOf"]] == ["Tokens", "TokensKept"]
            assert merged["components"]["schemas"]["TokensKept"]["properties"].keys() == {"expires_in"}
            assert merged["components"]["schemas"]["TokensKept"]["required"] == ["expires_in"]


def test_the_servers_are_wherever_the_document_came_from() -> None:
    assert merge(OWN, {}, ["auth"])["servers"] == [{"url": "/"}]


@pytest.mark.parametrize("prefix", PREFIXES, ids=lambda prefix: prefix.path)
def test_a_prefix_ends_at_a_slash(prefix: Any) -> None:
    assert part_of(prefix.path) == part_of(prefix.path + "/x") == prefix.part
    assert part_of(prefix.path + "x") is None


def test_the_services_own_documents_merge_into_a_valid_one(environment: dict[str, str]) -> None:
    documents, own = {}, None
    for name in ("auth", "ingest", "inference", "analytics", "gateway"):
        app = pytest.importorskip(f"codetect_{name}.app")
        settings = pytest.importorskip(f"codetect_{name}.settings").Settings()
        documents[name] = app.api(settings).openapi()
    own = documents.pop("gateway")
    merged = merge(own, documents, [])
    validate(merged)
    unreachable = {
        path
        for name, each in documents.items()
        for path in each["paths"]
        if path not in merged["paths"] and part_of(path) != name
    }
    assert not unreachable, "no prefix of the gateway leads there"
    ids = [operation["operationId"] for operation in operations(merged)]
    assert len(ids) == len(set(ids))
    for path, item in merged["paths"].items():
        for method, operation in item.items():
            expected = {"401", "403", "404", "429", "503"} | ({"400", "504"} if part_of(path) else set())
            assert expected <= operation["responses"].keys(), (method, path)
    either = [{"bearer": []}, {"client": []}]
    basic = {path for path, item in merged["paths"].items() for one in item.values() if one.get("security") == either}
    assert basic == {path for path in merged["paths"] if path.startswith("/dicomweb/")}


async def test_the_document_is_served_and_completed_when_a_service_comes_back(house: House) -> None:
    async with gateway(house.environment) as fresh, httpx.AsyncClient(base_url=fresh.url, trust_env=False) as client:
        await fresh.answers("/readyz")
        merged = (await client.get("/openapi.json")).json()
        validate(merged)
        assert merged["info"]["x-codetect-missing"] == ["analytics"]
        async with upstream(house.away) as back:
            await back.answers("/openapi.json")
            deadline = time.monotonic() + 10
            while "x-codetect-missing" in merged["info"]:
                merged = (await client.get("/openapi.json")).json()
                assert time.monotonic() < deadline


def test_whatever_the_published_document_refers_to_is_in_it() -> None:
    published = json.loads((Path(__file__).parents[2] / "docs/openapi.json").read_text())
    for kind, name in set(re.findall(r'"#/components/(\w+)/([^"]+)"', json.dumps(published))):
        assert name in published["components"][kind], f"{kind}/{name}"
    for item in published["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                assert {"type": "null"} not in parameter["schema"].get("anyOf", []), "an address knows no null"


async def test_pages_load_nothing_from_elsewhere(house: House) -> None:
    async with house.client(bearer=None) as client:
        for path in ("/", "/docs"):
            page = await client.get(path)
            assert page.status_code == 200
            assert "script-src 'self'" in page.headers["content-security-policy"]
            assert "unsafe" not in page.headers["content-security-policy"]
            assert "<script>" not in page.text
            links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
            assert links
            for link in links:
                if link == "data:,":  # an icon that is none, and nothing to ask for
                    continue
                assert link.startswith("/")
                assert (await client.get(link)).status_code == 200, link
        assert "Not a medical device. Not for clinical use." in (await client.get("/")).text
        assert "SwaggerUIBundle(" in (await client.get("/docs/start.js")).text


async def test_the_page_of_an_unknown_host_is_a_problem(house: House) -> None:
    async with house.client("nowhere", bearer=None) as client:
        assert (await client.get("/")).status_code == 404


def test_every_setting_is_described() -> None:
    from codetect_gateway.settings import Settings

    assert all(field.description for field in Settings.model_fields.values())
