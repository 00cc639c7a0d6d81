"""Servers that the environment names replace ours."""

from pathlib import Path

from codetect_local import buckets
from codetect_local.stack import Stack

from tests.infrastructure import Infrastructure, clear, settings_apart


async def test_a_named_server_is_used_and_ours_not_started(infra: Infrastructure, tmp_path: Path) -> None:
    named = {
        key: infra.environment[f"CODETECT_{key.upper()}"]
        for key in ("postgres_admin_url", "rabbitmq_url", "storage_url", "storage_access_key", "storage_secret_key")
    }
    prefix = infra.environment["CODETECT_STORAGE_BUCKET_PREFIX"]
    settings = settings_apart(tmp_path).model_copy(update={**named, "storage_bucket_prefix": f"{prefix}x-"})
    stack = Stack(settings)
    store = buckets.client(*list(named.values())[2:])
    try:
        assert [program.name for program in await stack.up(with_services=False)] == ["smtp"]
        assert store.bucket_exists(f"{prefix}x-raw")
        told = stack.environment()
        assert told["CODETECT_RABBITMQ_URL"] == named["rabbitmq_url"]
        assert told["CODETECT_STORAGE_PUBLIC_URL"] == named["storage_url"]
        assert named["postgres_admin_url"].rsplit("@")[1].split("/")[0] in told["CODETECT_AUTH_DATABASE_URL"]
    finally:
        clear(stack)
        buckets.remove(store, f"{prefix}x-")
