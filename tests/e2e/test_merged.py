"""Every operation of the merged document, asked through the gateway of the complete stack, keeps to that document.

Each is asked by everybody: whoever has a part in a facility, a page with a cookie, a PACS with HTTP Basic, strangers.
The facility and its people are this module's own, so that what suspends, erases or publishes is asked like the rest.
What ends the login that asks comes last; pages, which it would end for good, send others who do nothing else.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator

import pytest
from codetect_local.stack import Stack
from schemathesis import GenerationMode

from tests.contract import (
    MERGED,
    MERGED_AT,
    NEGATIVE,
    POSITIVE,
    SEEDED,
    STRANGERS,
    Contract,
    operations,
    secured,
)
from tests.e2e.court import Court, Party
from tests.ingest.media import with_boundary

pytestmark = [
    SEEDED,
    pytest.mark.skipif("CODETECT_TEST_DEMO" in os.environ, reason="that stack isn't ours to open facilities on"),
]
# Whoever may least comes first: what an admin erases would be gone.
PARTIES = {
    "viewer": [POSITIVE],
    "member": [POSITIVE],
    "page": [POSITIVE],
    "operator": [POSITIVE, NEGATIVE],
    "admin": [POSITIVE, NEGATIVE],
}
ENDING = {  # and which page asks it
    "DELETE /api/v1/auth/sessions/{session_id}": "ender",
    "POST /api/v1/auth/logout": "leaver",
    "DELETE /api/v1/auth/sessions": "page",
}
_, FORGER = STRANGERS
ALL = [name for name in operations(MERGED) if name not in ENDING] + list(ENDING)


@pytest.fixture(scope="module")
async def court(stack: Stack) -> AsyncIterator[Court]:
    async with Court(stack).sitting() as found:
        yield found


async def holds(party: Party, operation: str, modes: list[GenerationMode], *only: int, examples: int = 1) -> set[int]:
    """As `Contract.holds`; who asked is said."""
    elsewhere = NEGATIVE in modes
    contract = Contract(MERGED, party.client, party.headers, party.known, with_boundary, elsewhere)
    try:
        return await contract.holds(operation, examples=examples, modes=modes, only=only)
    except BaseException as error:
        error.add_note(f"Asked by: {party.name}")
        raise


async def test_the_gateway_serves_the_document_that_is_judged_by(court: Court) -> None:
    async with asyncio.timeout(60):
        while "x-codetect-missing" in (served := await court.stranger({}).get("/openapi.json"))["info"]:
            await asyncio.sleep(1)  # a service was too busy to tell its part
    assert served == json.loads(MERGED_AT.read_text())


@pytest.mark.parametrize("operation", ALL)
async def test_everybody_is_answered_as_documented(court: Court, operation: str) -> None:
    only = (400, 401) if secured(MERGED, operation) else ()  # 400: the path can't even be passed on
    await holds(court.stranger({}), operation, [POSITIVE, NEGATIVE], *only)
    for headers in (FORGER, court.wrong_pair):
        await holds(court.stranger(headers), operation, [POSITIVE], *only)
    if "/dicomweb/" in operation:
        assert await holds(court.pacs, operation, [POSITIVE]) - {401}
    for name, modes in PARTIES.items():
        party = court.parties[ENDING.get(operation, name) if name == "page" else name]
        await party.keep()
        seen = await holds(party, operation, modes, examples=2 if name == "admin" else 1)
        if operation not in ENDING and 401 in seen:
            assert await party.is_in(), f"what {name} asked has ended the login that the rest is asked with"
