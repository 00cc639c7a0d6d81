"""Each event counts once, whatever happens to projectors, relays and streams."""

import asyncio

from tests.analytics.conftest import House
from tests.analytics.stories import Story


def kept(envelopes: list) -> int:
    return len({e.id for e in envelopes if "progressed" not in e.type})


async def test_figures_are_exact(house: House) -> None:
    told = [*Story(seed=1).busy(60), *Story(seed=2).busy(30)]
    with house.projecting():
        await house.publish(told)
        await house.applied(kept(told))
        await house.check(told)
