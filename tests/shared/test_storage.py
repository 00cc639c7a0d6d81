"""One presigned policy posts a whole folder under its own prefix, and nothing else; reads are whole or refused."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from codetect_shared.db import uuid7
from codetect_shared.settings import ServiceSettings
from codetect_shared.storage import ObjectMissing, Storage, StorageUnavailable
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="CODETECT_INGEST_")


@pytest.fixture
def storage(environment: Mapping[str, str]) -> Storage:
    return Storage(Settings())


@pytest.fixture
def prefix() -> str:
    return f"{uuid7()}/{uuid7()}/"


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


def policy(storage: Storage, prefix: str, seconds: float = 60, max_bytes: int = 1000) -> tuple[str, dict[str, str]]:
    return storage.presign_post("raw", prefix, max_bytes, datetime.now(UTC) + timedelta(seconds=seconds))


async def post(http: httpx.AsyncClient, url: str, fields: dict[str, str], key: str, body: bytes) -> int:
    return (await http.post(url, data={**fields, "key": key}, files={"file": ("x", body)})).status_code


async def test_one_policy_posts_many_files(storage: Storage, prefix: str, http: httpx.AsyncClient) -> None:
    url, fields = policy(storage, prefix)
    for number in range(3):
        assert await post(http, url, fields, f"{prefix}{number:06}", b"x" * (number + 1)) in (200, 204)
    listed = await storage.list("raw", prefix)
    assert [(o.key, o.size) for o in listed] == [(f"{prefix}{n:06}", n + 1) for n in range(3)]
    assert await storage.get("raw", listed[2].key, etag=listed[2].etag) == b"xxx"


async def test_it_posts_nowhere_else_nothing_too_large_nothing_empty_and_nothing_late(
    storage: Storage, prefix: str, http: httpx.AsyncClient
) -> None:
    url, fields = policy(storage, prefix)
    assert await post(http, url, fields, f"{uuid7()}/000001", b"x") in (400, 403)
    assert await post(http, url, fields, f"{prefix}000001", b"x" * 1001) in (400, 403)
    assert await post(http, url, fields, f"{prefix}000001", b"") in (400, 403)
    url, late = policy(storage, prefix, seconds=-1)
    assert await post(http, url, late, f"{prefix}000001", b"x") in (400, 403)
    assert await storage.list("raw", prefix) == []


async def test_an_object_that_was_replaced_is_missing_under_its_old_etag(storage: Storage, prefix: str) -> None:
    await storage.put("raw", prefix + "1", b"old")
    (listed,) = await storage.list("raw", prefix)
    await storage.put("raw", prefix + "1", b"new")
    with pytest.raises(ObjectMissing):
        await storage.get("raw", prefix + "1", etag=listed.etag)
    await storage.remove("raw", [prefix + "1", prefix + "never"])
    with pytest.raises(ObjectMissing):
        await storage.get("raw", prefix + "1")


async def test_a_store_that_is_away_says_so(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODETECT_STORAGE_URL", "http://127.0.0.1:1")
    with pytest.raises(StorageUnavailable):
        await Storage(Settings()).get("raw", "x")
