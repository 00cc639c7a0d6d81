"""What all tests share: real servers, and a complete stack for those that need one."""

from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from codetect_local.stack import Stack

from tests.infrastructure import Infrastructure, clear, infrastructure, settings_apart
from tests.signing import KEY, TRUSTED, public_pem


@pytest.fixture(scope="session", autouse=True)
def _postgres_without_tls() -> Iterator[None]:
    """Servers of tests have none. Asking them first costs a round trip, and asyncpg leaves behind what a cancelled task
    asked: on asyncio's own loop, which services don't run on, each is a log line "exception was never retrieved".
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGSSLMODE", "disable")
        yield


@pytest.fixture(scope="session", autouse=True)
def _trust_models_of_tests() -> Iterator[None]:
    """Whatever a test starts takes the little bundles that tests make."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TRUSTED, public_pem(KEY))
        yield


@pytest.fixture(scope="session", autouse=True)
def _logs() -> None:
    """Plain ones until a test starts a service, which sets up its own: where `rich` is, structlog prints every
    local variable of an exception, for seconds in which this process answers nobody, and the broker takes it for dead.
    """
    console = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, console])


@pytest.fixture(scope="session")
async def infra(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Infrastructure]:
    """PostgreSQL, RabbitMQ and S3 for this session; `await infra.migrate("auth")` makes a service's database."""
    async with infrastructure(tmp_path_factory.mktemp("infra")) as found:
        yield found


@pytest.fixture(scope="session")
def environment(infra: Infrastructure) -> Iterator[dict[str, str]]:
    """Every CODETECT_ variable a service needs against `infra`; set in this process too, so that `Settings()` works."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in infra.environment.items():
            patch.setenv(name, value)
        yield infra.environment


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """The complete supervised stack on servers and ports of its own, two of every process; tests may kill any of it."""
    stack = Stack(settings_apart(tmp_path_factory.mktemp("stack"), replicas=2))
    try:
        await stack.up()
        yield stack
    finally:
        clear(stack)
