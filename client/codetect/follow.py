"""Waiting for an upload's import and analyses: the API says what is so, live events say when to look."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from codetect.errors import CodetectError
from codetect.models import Analysis, Upload
from codetect.submission import Progress

if TYPE_CHECKING:
    from codetect.client import Client

Report = Callable[[Progress], None]
PROGRESSED = "codetect.analysis.progressed.v1"
LIVE_POLL_S = 5.0
IMPORT_POLL_S = 0.5
POLL_S = 1.0


@dataclass(frozen=True)
class Followed:
    """An upload and its analyses, as they were when waiting ended; `finished` when nothing more will come."""

    upload: Upload
    analyses: list[Analysis] = field(default_factory=list)
    finished: bool = False


@dataclass
class News:
    """What live events tell of one upload. Without a socket nothing comes, and looking now and then must do."""

    upload_id: str
    report: Report
    live: bool = False
    analyses: list[Analysis] = field(default_factory=list)
    slices: dict[str, tuple[int, int]] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self, client: "Client") -> None:
        """Until cancelled, or until there is no hope for a socket."""
        try:
            async for event in client.watch():
                if event.type in ("ready", "resync"):
                    self.live = True
                    self.wake.set()
                elif event.data.get("upload_id") != self.upload_id:
                    continue
                elif event.type == PROGRESSED:
                    done, total = event.data.get("slices_done", 0), event.data.get("slices_total", 0)
                    self.slices[str(event.data.get("analysis_id"))] = (done, total)
                    self.tell()
                else:
                    self.wake.set()
        except CodetectError:
            self.live = False

    async def wait(self, seconds: float) -> None:
        """Until something happens that makes looking worth while, at most so long."""
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self.wake.wait()
        except TimeoutError:
            pass
        self.wake.clear()

    def tell(self) -> None:
        """How many slices of the known analyses are done, by the API's last word and by what was heard since."""
        done = total = 0
        for analysis in self.analyses:
            heard, heard_total = self.slices.get(str(analysis.id), (0, 0))
            slices = analysis.slices_total or heard_total
            total += slices
            done += slices if analysis.status == "completed" else max(analysis.slices_done or 0, heard)
        if self.analyses:
            self.report(Progress("analysis", done, total))


async def follow(client: "Client", upload_id: UUID, models: int, report: Report, timeout_s: float) -> Followed:
    """Wait until each study of an upload has its analyses (as many as `models` were asked for) and all have ended."""
    deadline = time.monotonic() + timeout_s
    async with _news(client, upload_id, report) as news:
        while True:
            asked = time.monotonic()
            upload = await client.upload(upload_id)
            report(Progress("import", upload.files_done, upload.files_total))
            if upload.state in ("done", "refused", "expired") or time.monotonic() > deadline:
                break
            await news.wait(max(IMPORT_POLL_S, 4 * (time.monotonic() - asked)))
        if upload.state != "done":
            return Followed(upload, finished=upload.state != "importing")
        while True:
            analyses = news.analyses = await _analyses(client, upload)
            news.tell()
            ended = {
                study.study_id: [a.final for a in analyses if a.study_id == study.study_id] for study in upload.studies
            }
            finished = all(len(ends) >= max(models, 1) and all(ends) for ends in ended.values())
            left = deadline - time.monotonic()
            if finished or left <= 0:
                return Followed(upload, analyses, finished)
            await news.wait(min(left, LIVE_POLL_S if news.live else POLL_S))


@asynccontextmanager
async def _news(client: "Client", upload_id: UUID, report: Report) -> AsyncIterator[News]:
    news = News(str(upload_id), report)
    listening = asyncio.create_task(news.listen(client))
    try:
        yield news
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def _analyses(client: "Client", upload: Upload) -> list[Analysis]:
    """The upload's analyses; for a study that was known already, those of the version it has."""
    found = [analysis async for analysis in client.analyses(upload_id=upload.id)]
    for study in upload.studies:
        if not any(analysis.study_id == study.study_id for analysis in found):
            known = [analysis async for analysis in client.analyses(study_id=study.study_id)]
            found += [analysis for analysis in known if analysis.study_version == study.version]
    return found
