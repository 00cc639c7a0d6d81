"""A result's objects and its commit: stored under keys of this attempt, kept only if the job is still ours."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from functools import cache
from typing import TYPE_CHECKING

from codetect_shared.db import Database
from codetect_shared.events import ResultDocument
from codetect_shared.jobs import LeaseLost
from codetect_shared.storage import Storage

from codetect_inference import service
from codetect_inference.batching import Reading
from codetect_inference.cost import Cost
from codetect_inference.models import Analysis
from codetect_inference.result import Result
from codetect_inference.watch.measures import tallies

if TYPE_CHECKING:
    from codetect_inference.documents import Document


class Progress:
    """How far a run is: slices done with, and whether it commits; written by the run, read by who tells."""

    def __init__(self) -> None:
        self.committing = False
        self._reading: Reading | None = None
        self._passed_over = 0

    def follow(self, reading: Reading, passed_over: int) -> None:
        """The model reads these slices of the series; so many others show no lung."""
        self._reading, self._passed_over = reading, passed_over

    @property
    def done(self) -> int:
        """Slices."""
        return self._passed_over + (self._reading.done if self._reading else 0)


class Keeper:
    """Stores results and commits them."""

    def __init__(self, db: Database, storage: Storage, parametric_maps: bool) -> None:
        self._db, self._storage, self._parametric_maps = db, storage, parametric_maps

    async def commit(self, job: Analysis, result: Result, provider: str, cost: Cost, progress: Progress) -> None:
        """Store maps and documents under keys of this attempt, then commit; without the commit they go again."""
        maps_key = f"{result.prefix}maps.npz"
        try:
            made = [] if job.shadow_for else [one async for one in self._write(result, cost)]
            maps = await cost.thread(result.maps.pack)
            await self._storage.put("results", maps_key, maps)
            cost.bytes_written += len(maps) + sum(one.bytes for one in made)
        except asyncio.CancelledError:
            await self._remove(result.prefix)
            raise
        progress.committing = True
        counts = tallies(result.bundle, result.maps, result.explanation)
        try:
            async with self._db.facility(job.facility_id) as session:
                await service.complete(
                    session,
                    job,
                    result.explanation,
                    counts,
                    maps_key=maps_key,
                    documents=made,
                    provider=provider,
                    cost=cost.told(),
                )
        except LeaseLost:
            await self._remove(result.prefix)
            raise
        if job.fence > 1:
            await self._remove(job.results_prefix, but=result.prefix)

    async def _write(self, result: Result, cost: Cost) -> AsyncIterator[ResultDocument]:
        """Store the documents, each before the next is made."""
        made = await cost.thread(begin_documents, result, self._parametric_maps)
        while one := await cost.thread(next, made, None):
            await self._storage.put("results", one.facts.key, one.content)
            yield one.facts
        freeze()

    async def _remove(self, prefix: str, but: str | None = None) -> None:
        found = [one.key for one in await self._storage.list("results", prefix)]
        await self._storage.remove("results", [key for key in found if but is None or not key.startswith(but)])


@cache
def freeze() -> None:
    """Once, when all that a worker needs is there: half a million objects, mostly highdicom's, that no collection of
    garbage needs to look at again. Looking took 160 ms, while everything waited.
    """
    gc.collect()
    gc.freeze()


def begin_documents(result: Result, parametric_maps: bool) -> Iterator["Document"]:
    """A result's DICOM documents; what they need is imported by the first study, not by the start."""
    from codetect_inference.documents import documents

    return documents(result, parametric_maps)
