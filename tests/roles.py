"""Asks every route of a service as every role, lately proven and not, and compares with the tables."""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
from codetect_shared.db import uuid7
from codetect_shared.proving import STEP_UP
from codetect_shared.roles import BY_ROUTE, may
from codetect_shared.tokens import Role, Scope
from fastapi import FastAPI

Who = tuple[Role, frozenset[str]]
READ, WRITE, IDENTITY = Scope.READ.value, Scope.WRITE.value, Scope.IDENTITY.value
PEOPLE: list[Who] = [(role, frozenset()) for role in Role if role is not Role.API_CLIENT]
PROGRAMS: list[Who] = [(Role.API_CLIENT, frozenset(scopes)) for scopes in ((READ,), (WRITE,), (READ, WRITE), ())]
SEEING: list[Who] = [(Role.VIEWER, frozenset({IDENTITY})), (Role.API_CLIENT, frozenset({READ, IDENTITY}))]
EVERYBODY = [*PEOPLE, *PROGRAMS, *SEEING]
LONG_AGO = 1
PROVE = "urn:codetect:problem:step-up-required"
FORBIDDEN, LOG_IN = "urn:codetect:problem:forbidden", "urn:codetect:problem:unauthenticated"
METHODS = ("get", "put", "post", "delete", "patch")
VALUES = {"number": "1", "n": "1", "version": "1", "frames": "1", "tag": "00080018"}

# Where the right is looked at after the body.
BODIES = {"POST /api/v1/studies/identities": {"ids": [str(uuid7())]}}


def routes_of(app: FastAPI) -> list[str]:
    """`METHOD /path` of all that the service's document has."""
    paths: Mapping[str, Any] = app.openapi()["paths"]
    return [f"{method.upper()} {path}" for path, item in paths.items() for method in METHODS if method in item]


async def differences(
    app: FastAPI, client: httpx.AsyncClient, headers_of: Callable[[Who, int], Awaitable[Mapping[str, str]]]
) -> list[str]:
    """Where a service and the tables don't agree, in words. An empty list is what is wanted.

    `headers_of` somebody who gave a second factor at a time (seconds since 1970).
    """
    found = [f"{route} is not in the table" for route in routes_of(app) if route not in BY_ROUTE]
    now = int(time.time())
    headers = {who: await headers_of(who, now) for who in EVERYBODY}
    old = {who: await headers_of(who, LONG_AGO) for who in PEOPLE}
    # What ends a login comes last: later questions would be somebody else's.
    for route in sorted(routes_of(app), key=lambda each: "/auth/sessions" in each):
        if route in BY_ROUTE:
            found += await _compare(client, route, headers)
            found += await _compare_old(client, route, old)
    return found


async def _compare_old(client: httpx.AsyncClient, route: str, headers: Mapping[Who, Mapping[str, str]]) -> list[str]:
    method, path = _made(route)
    found = []
    for (role, scopes), theirs in headers.items():
        answer = await client.request(method, path, headers=theirs, json=BODIES.get(route))
        if (_problem(answer) == PROVE) != (route in STEP_UP and may(route, role, scopes)):
            found.append(f"{route} as {role} with an old proof: {answer.status_code} {answer.text[:200]}")
    return found


def _made(route: str) -> tuple[str, str]:
    method, path = route.split(" ")
    return method, re.sub(r"\{(\w+)\}", lambda name: VALUES.get(name[1]) or _id(name[1]), path)


async def _compare(client: httpx.AsyncClient, route: str, headers: Mapping[Who, Mapping[str, str]]) -> list[str]:
    method, path = _made(route)
    anonymous = await client.request(method, path)
    public = BY_ROUTE[route].who is None
    found = []
    body = BODIES.get(route)
    if _problem(anonymous) == LOG_IN and public or _problem(anonymous) != LOG_IN and not public:
        found.append(f"{route} answers {anonymous.status_code} without a token: {anonymous.text[:200]}")
    for (role, scopes), theirs in headers.items():
        answer = await client.request(method, path, headers=theirs, json=body)
        problem = _problem(answer)
        allowed = may(route, role, scopes)
        if problem == LOG_IN or answer.status_code >= 500 or (problem == FORBIDDEN) == allowed:
            found.append(f"{route} as {role} {sorted(scopes)}: {answer.status_code} {answer.text[:200]}")
    return found


def _id(name: str) -> str:
    return str(uuid7()) if name.endswith("_id") else "1.2.3"


def _problem(answer: httpx.Response) -> str:
    kind = answer.headers.get("content-type", "")
    return str(answer.json().get("type", "")) if kind == "application/problem+json" else ""
