"""Walls between facilities: what is another's and what isn't there get one and the same answer, whatever is asked."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from codetect_shared.db import uuid7
from hypothesis import given
from pydicom.uid import generate_uid
from schemathesis import Case, GenerationMode

from tests.contract import Contract, operations, sampled, schema

PARAMETER = re.compile(r"\{(\w+)\}")
EVERYBODYS = {"name", "version"}  # models belong to the platform
UIDS = {"study", "series", "instance"}
PLACES = {"number", "n", "frames", "tag"}  # within something that has an owner
REQUEST_ID = re.compile(r'"request_id": ?"[^"]*"')


def walled(service: str, *but: str) -> list[str]:
    """The operations on something that has an owner, `but` some that have a test of their own."""
    return [name for name in operations(service) if name not in but and _owned(name)]


def _owned(name: str) -> set[str]:
    return set(PARAMETER.findall(name)) - EVERYBODYS - PLACES


@dataclass(frozen=True)
class Walls:
    """A contract whose headers are one facility's and whose known values are another's.

    `bodies`: what to send where a body that fits its schema isn't sound yet.
    """

    contract: Contract
    bodies: Mapping[str, Any] = field(default_factory=dict)

    async def stand(self, name: str) -> int:
        """Ask for what is the other's and for what isn't there; return the status that both got."""
        loop = asyncio.get_running_loop()
        known = {one: self.contract.known[one] for one in PARAMETER.findall(name)}
        absent = known | {one: nowhere(one) for one in _owned(name)}
        method, _, path = name.partition(" ")
        strategy = schema(self.contract.service)[path][method].as_strategy(
            generation_mode=GenerationMode.POSITIVE, path_parameters=known
        )
        found: list[int] = []

        @sampled(1)
        @given(case=strategy)
        def ask(case: Case) -> None:
            case.body = self.bodies.get(name, case.body)
            answers = []
            for ids in (known, absent):
                case.path_parameters = dict(ids)
                answer = asyncio.run_coroutine_threadsafe(self.contract._send(case), loop).result()
                answers.append((answer.status_code, plain(answer, ids)))
            assert answers[0] == answers[1], case.as_curl_command()
            found.append(answers[0][0])

        await asyncio.to_thread(ask)
        return found[0]


def nowhere(parameter: str) -> str:
    """The id of something that isn't there."""
    return generate_uid() if parameter in UIDS else str(uuid7())


def plain(answer: httpx.Response, ids: Mapping[str, str]) -> tuple[Any, ...]:
    """An answer without what the question itself put into it."""
    text = answer.text
    for one in ids.values():
        text = text.replace(one, "ID") if len(one) > 8 else text
    return answer.headers.get("content-type"), REQUEST_ID.sub("", text)
