"""A service against its own OpenAPI document: Schemathesis makes requests of it, and judges the answers.

Everything runs in this process; the same requests every time. `default` answers are left out of the document that is
judged by: a status that no operation names is a mistake, in the service or in its document.
"""

import asyncio
import copy
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode, checks
from schemathesis.schemas import APIOperation, BaseSchema

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
    """The service's document, without the answers that it doesn't name."""
    app = importlib.import_module(f"codetect_{service}.app")
    settings_class = importlib.import_module(f"codetect_{service}.settings").Settings
    found: dict[str, Any] = copy.deepcopy(app.api(settings_class.model_construct()).openapi())
    for item in found["paths"].values():
        for operation in (item[method] for method in METHODS & item.keys()):
            operation["responses"].pop("default", None)
    return found


@cache
def schema(service: str) -> BaseSchema:
    return schemathesis.openapi.from_dict(document(service))


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

    async def holds(self, name: str, *, examples: int = 6, only: Sequence[int] = ()) -> None:
        """Ask an operation sound and unsound things, at addresses that exist and others.

        `only` says which statuses there may be at all. Raises AssertionError, with the request to ask again.
        """
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(lambda: [run() for run in self._runs(name, examples, only, loop)])

    def _runs(self, name: str, examples: int, only: Sequence[int], loop: asyncio.AbstractEventLoop) -> Iterator[Any]:
        method, _, path = name.partition(" ")
        operation = schema(self.service)[path][method]
        here = {one: value for one, value in self.known.items() if f"{{{one}}}" in path}
        for mode in (POSITIVE, NEGATIVE):
            for parameters in [here, None] if here else [None]:
                if (strategy := _strategy(operation, mode, parameters)) is not None:
                    yield self._run(strategy, examples, only, loop)

    def _run(self, strategy: Any, examples: int, only: Sequence[int], loop: asyncio.AbstractEventLoop) -> Any:
        @sampled(examples)
        @given(case=strategy)
        def ask(case: Case) -> None:
            answer = asyncio.run_coroutine_threadsafe(self._send(case), loop).result()
            case.validate_response(answer, checks=CHECKS)
            assert not only or answer.status_code in only, (case.as_curl_command(), answer.text)

        return ask

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


def _strategy(operation: APIOperation, mode: GenerationMode, parameters: dict[str, str] | None) -> Any:
    """Requests; None where an operation has nothing that could be unsound."""
    if mode is NEGATIVE and not (operation.body or operation.query or operation.path_parameters):
        return None
    return operation.as_strategy(generation_mode=mode, path_parameters=parameters)


def secured(service: str, name: str) -> bool:
    """Whether an operation needs an access token."""
    method, _, path = name.partition(" ")
    return any("bearer" in one for one in document(service)["paths"][path][method.lower()].get("security", []))
