"""A facility on the stack that the faults shake, with the real model."""

import pytest
from codetect_local.demo import Demo
from codetect_local.stack import Stack

from tests.faults.ledger import Facility


@pytest.fixture(scope="session")
async def facility(stack: Stack) -> Facility:
    demo = Demo(stack)
    await demo.open_facility()
    demo.publish_models()
    client = demo.known["api_client"]
    host = demo.known["url"].removeprefix("http://")
    return Facility(stack.settings.port("gateway"), host, client["client_id"], client["client_secret"])
