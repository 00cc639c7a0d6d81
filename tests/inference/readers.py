"""Readers of one facility, who keep their names from one request to the next, and results for them to read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from codetect_inference.models import ANALYSES, Analysis
from codetect_shared.db import uuid7
from codetect_shared.testing import claimed
from codetect_shared.tokens import Principal, Role, issue

from tests.inference.conftest import Facility, lung
from tests.inference.test_worker import analysing


@dataclass
class Reader:
    """One person."""

    facility: Facility
    id: UUID
    role: Role = Role.MEMBER
    scopes: frozenset[str] = frozenset()

    async def ask(self, method: str, path: str, **rest: Any) -> httpx.Response:
        house = self.facility.house
        who = Principal(str(self.id), self.facility.id, "demo", self.role, self.scopes)
        token = issue(who, house.tokens.key, issuer=house.tokens.issuer)
        headers = {"Authorization": f"Bearer {token}"}
        return await house.client.request(method, f"/api/v1{path}", headers=headers, **rest)

    async def says(self, analysis: Analysis, says: str, label: str = "grey", **more: Any) -> httpx.Response:
        body = {"findings": [{"label": label, "says": says, **more}]}
        return await self.ask("POST", f"/analyses/{analysis.id}/feedback", json=body)

    async def said(self, analysis: Analysis, says: str, **more: Any) -> dict[str, Any]:
        """Says it, and is heard: where the finding stands then."""
        answer = await self.says(analysis, says, **more)
        assert answer.status_code == 201, answer.text
        (one,) = answer.json()["items"]
        return dict(one)

    async def decides(self, feedback_id: str, says: str, **more: Any) -> httpx.Response:
        return await self.ask("POST", f"/feedback/{feedback_id}/adjudicate", json={"says": says, **more})

    async def waiting(self, **params: str) -> list[str]:
        answer = await self.ask("GET", "/feedback", params={"state": "waiting", **params})
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["items"]]


def readers(facility: Facility, count: int) -> list[Reader]:
    return [Reader(facility, uuid7()) for _ in range(count)]


async def read(facility: Facility, folder: Path, slices: int = 2, **series: Any) -> Analysis:
    """A study that was read by whatever model there is: its analysis."""
    event = await facility.receive(await facility.store(lung(slices), **series))
    job = await claimed(ANALYSES, facility.house.db)
    async with analysing(facility.house, folder) as worker:
        await worker.run(job)
    (analysis,) = await facility.analyses(event.study_id)
    assert analysis.status == "completed"
    return analysis
