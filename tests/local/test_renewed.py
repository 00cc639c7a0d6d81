"""A certificate that is renewed is served, by the doors alone started anew; everything else runs on."""

import ssl
from pathlib import Path

import pytest
from codetect_local import tls
from codetect_local.settings import Settings
from codetect_local.stack import Stack

from tests.infrastructure import Infrastructure, clear, settings_apart

HOST = "ct.localhost"


@pytest.fixture
def settings(infra: Infrastructure, tmp_path: Path) -> Settings:
    """Of a stack with an object store of its own and a public door before it."""
    named = {key: infra.environment[f"CODETECT_{key.upper()}"] for key in ("postgres_admin_url", "rabbitmq_url")}
    return settings_apart(tmp_path).model_copy(update={**named, "host": HOST, "tls": "self", "listen": "127.0.0.1"})


async def test_a_renewed_certificate_is_served_at_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack(settings)

    async def up() -> tuple[str, dict[str, int]]:
        await stack.up(with_services=False)
        door = ("127.0.0.1", settings.port("s3_https"))
        served = ssl.get_server_certificate(door)
        return served, {name: info["pid"] for name, info in stack.supervisor.processes().items()}

    try:
        first, pids = await up()
        assert await up() == (first, pids), "nothing was renewed, nothing starts anew"
        monkeypatch.setattr(tls, "RENEW_DAYS", tls.DAYS + 1)
        second, then = await up()
        assert second != first
        assert second == (settings.state / "tls" / "chain.pem").read_text()
        assert {name for name in pids if pids[name] != then[name]} == {"s3_https"}
        monkeypatch.undo()
        assert await up() == (second, then)
    finally:
        clear(stack)


def test_a_renewed_certificate_changes_the_doors_alone(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack(settings)

    def plan() -> dict[str, str]:
        return {program.name: program.script(stack.supervisor.run) for program in stack.programs()}

    first = plan()
    assert plan() == first
    monkeypatch.setattr(tls, "RENEW_DAYS", tls.DAYS + 1)
    then = plan()
    assert {name for name in first if first[name] != then[name]} == {"https", "s3_https"}
