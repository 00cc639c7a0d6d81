"""A service against its own OpenAPI document, or all of them behind the gateway against the merged one.

Schemathesis makes requests, the same ones every time, and judges the answers. `default` answers are left out of the
document that is judged by: a status that no operation names is a mistake, in the service or in its document.
"""

import asyncio
import copy
import importlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode, checks
from schemathesis.schemas import APIOperation, BaseSchema

MERGED = "merged"  # in place of a service's name
OVER_A_WIRE = (MERGED, "gateway")
MERGED_AT = Path(__file__).parent.parent / "docs/openapi.json"
METHODS = {"get", "put", "post", "delete", "patch"}
ORDER = {"GET": 0, "POST": 1, "PUT": 1, "PATCH": 2, "DELETE": 3}
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
SEEDED = pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # Hypothesis seeds it
POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
STRANGERS: list[dict[str, str]] = [{}, {"Authorization": "Bearer e30.e30." + "A" * 86}]  # nobody, and a forger


@cache
def document(service: str) -> dict[str, Any]:
    """The document that is judged by, without the answers that it doesn't name."""
    found = json.loads(MERGED_AT.read_text()) if service == MERGED else _own_document(service)
    for item in found["paths"].values():
        for operation in (item[method] for method in METHODS & item.keys()):
            operation["responses"].pop("default", None)
    return found


def _own_document(service: str) -> dict[str, Any]:
    app = importlib.import_module(f"codetect_{service}.app")
    settings_class = importlib.import_module(f"codetect_{service}.settings").Settings
    return copy.deepcopy(app.api(settings_class.model_construct()).openapi())


@cache
def schema(service: str) -> BaseSchema:
    found = schemathesis.openapi.from_dict(document(service))
    # Over a wire, credentials are what a test says: made up ones needn't be words that a header can hold.
    found.config.generation.update(with_security_parameters=service not in OVER_A_WIRE)
    return found


def operations(service: str) -> list[str]:
    """Its operations: first those that only look, last those that erase."""
    named = [
        f"{method.upper()} {path}"
        for path, item in document(service)["paths"].items()
        for method in METHODS & item.keys()
    ]
    return sorted(named, key=lambda name: (ORDER[name.partition(" ")[0]], name))


def sampled(examples: int) -> settings:
    """So many requests, the same every time."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@dataclass(frozen=True)
class Contract:
    """Who asks whom: a client of the running application, headers, and values that lead somewhere by parameter name."""

    service: str
    client: httpx.AsyncClient
    headers: Mapping[str, str]
    known: Mapping[str, str] = field(default_factory=dict)
    amend: Callable[[requests.PreparedRequest], None] = lambda request: None
    elsewhere: bool = True  # whether addresses are asked that lead nowhere, too

    async def holds(
        self,
        name: str,
        *,
        examples: int = 6,
        only: Sequence[int] = (),
        modes: Sequence[GenerationMode] = (POSITIVE, NEGATIVE),
    ) -> set[int]:
        """Ask an operation sound and unsound things, at addresses that exist and others; return the statuses seen.

        `only` says which statuses there may be at all, a server's errors among them.
        Raises AssertionError, with the request to ask again.
        """
        loop, seen = asyncio.get_running_loop(), set[int]()
        judges = CHECKS[1:] if any(status >= 500 for status in only) else CHECKS

        def ask(case: Case) -> None:
            answer = asyncio.run_coroutine_threadsafe(self._send(case), loop).result()
            seen.add(answer.status_code)
            case.validate_response(answer, checks=judges)
            assert not only or answer.status_code in only, (case.as_curl_command(), answer.text)

        def run_all() -> None:
            for strategy in self._strategies(name, modes):
                sampled(examples)(given(case=strategy)(ask))()

        await asyncio.to_thread(run_all)
        return seen

    def _strategies(self, name: str, modes: Sequence[GenerationMode]) -> Iterator[Any]:
        here = frozenset((one, value) for one, value in self.known.items() if f"{{{one}}}" in name)
        for mode in modes:
            for parameters in [here, None] if here and self.elsewhere else [here or None]:
                if (strategy := _strategy(self.service, name, mode, parameters)) is not None:
                    yield strategy

    async def _send(self, case: Case) -> httpx.Response:
        arguments = case.as_transport_kwargs(base_url=str(self.client.base_url), headers=dict(self.headers))
        allowed = ("method", "url", "headers", "files", "data", "json", "params", "auth", "cookies")
        asked = requests.Request(**{key: arguments[key] for key in allowed if key in arguments}).prepare()
        self.amend(asked)
        body = asked.body.encode() if isinstance(asked.body, str) else asked.body
        request = self.client.build_request(
            str(asked.method), str(asked.url), content=body, headers=dict(asked.headers)
        )
        return await self.client.send(request)


@cache
def _strategy(service: str, name: str, mode: GenerationMode, parameters: frozenset[tuple[str, str]] | None) -> Any:
    """Requests; None where an operation has nothing that could be unsound."""
    method, _, path = name.partition(" ")
    operation: APIOperation = schema(service)[path][method]
    if mode is NEGATIVE and not _can_be_unsound(service, operation, parameters or frozenset()):
        return None
    return operation.as_strategy(generation_mode=mode, path_parameters=dict(parameters) if parameters else None)


def _can_be_unsound(service: str, operation: APIOperation, given: frozenset[tuple[str, str]]) -> bool:
    """Whether there is something to get wrong. Credentials are, except over a wire."""
    if service not in OVER_A_WIRE:
        return bool(operation.body or operation.query or operation.path_parameters)
    if any("dicom" in body.media_type for body in operation.body):
        return False  # any bytes are a sound body there
    return bool(operation.body or operation.query or len(list(operation.path_parameters)) > len(given))


def secured(service: str, name: str) -> bool:
    """Whether an operation needs an access token."""
    method, _, path = name.partition(" ")
    return any("bearer" in one for one in document(service)["paths"][path][method.lower()].get("security", []))
