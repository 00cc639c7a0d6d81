import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack

import httpx
import pytest
from codetect_ingest.service import Ingest
from codetect_local import orthanc as installed
from codetect_local.settings import Trouble
from codetect_shared.testing import Tokens

from tests.ingest.conftest import Clinic
from tests.ingest.dicomweb import IDENTITY, Web
from tests.ingest.oracle.both import Both
from tests.ingest.oracle.studies import bodies, sent
from tests.ingest.test_kept import wants
from tests.load import orthanc


@pytest.fixture(scope="package")
async def port() -> AsyncIterator[int]:
    """Where a fresh Orthanc answers, installed when it is missing and may be."""
    try:
        await asyncio.to_thread(installed.install)
    except Trouble as trouble:
        pytest.skip(str(trouble))
    with ExitStack() as stack:
        client = await asyncio.to_thread(stack.enter_context, orthanc.fresh(DefaultEncoding="Utf8"))
        assert client is not None
        assert client.base_url.port is not None
        yield client.base_url.port


@pytest.fixture(scope="package")
async def both(port: int, api_client: tuple[httpx.AsyncClient, Ingest, Tokens], served: str) -> Both:
    """Both with all studies in them, sent to each by STOW-RS; our facility keeps what it can't analyse."""
    clinic = Clinic(*api_client)
    await wants(clinic)
    both = Both(Web(clinic, served, IDENTITY), port)
    for letter in sent():
        answers = await both.store(bodies(letter))
        assert answers.statuses == (200, 200), (letter, answers.ours.text, answers.theirs.text)
    return both
