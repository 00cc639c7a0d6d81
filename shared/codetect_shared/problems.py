"""Errors that people read: RFC 9457 problems, and the handlers that send them.

Problem
├── BadInput (422)
├── Unauthenticated (401)
├── Forbidden (403)
├── NotFound (404)
├── Conflict (409)
└── … one small class a case, in the service that raises it
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import Match

log = structlog.get_logger()
METHOD_NOT_ALLOWED = 405
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
AWAY = (PoolTimeout, OperationalError, InterfaceError)


class Problem(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 500
    headers: ClassVar[Mapping[str, str]] = {}
    type: ClassVar[str] = "urn:codetect:problem:unexpected"

    def __init_subclass__(cls) -> None:
        """The type is the class's name, so that it stays stable and unique."""
        if "type" not in cls.__dict__:
            cls.type = "urn:codetect:problem:" + re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    def __init__(self, detail: str | None = None, **extensions: Any) -> None:
        super().__init__(detail or self.title())
        self.detail = detail
        self.extensions = extensions

    @classmethod
    def title(cls) -> str:
        """The docstring's first line: what people read."""
        return (cls.__doc__ or "").strip().splitlines()[0]

    def body(self) -> dict[str, Any]:
        """The members of RFC 9457, plus extensions."""
        body: dict[str, Any] = {"type": self.type, "title": self.title(), "status": self.status}
        if self.detail:
            body["detail"] = self.detail
        return body | self.extensions

    def response(self) -> JSONResponse:
        """The answer a client gets."""
        return JSONResponse(self.body(), self.status, dict(self.headers), media_type="application/problem+json")


class BadInput(Problem):
    """The request is not valid."""

    status = 422


class Unauthenticated(Problem):
    """Log in to do this."""

    status = 401
    headers = {"WWW-Authenticate": "Bearer"}


class Forbidden(Problem):
    """Your role does not allow this."""

    status = 403


class NotFound(Problem):
    """There is nothing here."""

    status = 404


class Conflict(Problem):
    """This cannot be done in the present state."""

    status = 409


class TooManyRequests(Problem):
    """Too many requests; try again later."""

    status = 429


class ServiceUnavailable(Problem):
    """This part is not reachable at the moment; try again in a few seconds."""

    status = 503
    headers = {"Retry-After": "3"}


class ProblemBody(BaseModel):
    """RFC 9457 problem details, for the OpenAPI documents."""

    model_config = ConfigDict(extra="allow")
    type: str = Field(examples=["urn:codetect:problem:not-found"])
    title: str
    status: int
    detail: str | None = None


def responses(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses of the problems a route can answer with."""
    found: dict[int | str, dict[str, Any]] = {}
    for problem in problems:
        entry = found.setdefault(
            problem.status, {"description": "", "content": {"application/problem+json": {"schema": {}}}}
        )
        entry["description"] = " ".join(filter(None, [entry["description"], problem.title()]))
        entry["content"]["application/problem+json"]["schema"] = {"$ref": "#/components/schemas/ProblemBody"}
        entry["model"] = ProblemBody
    return found


async def _everybody(_: Request) -> None:
    pass


def install_handlers(app: FastAPI, identify: Callable[[Request], Awaitable[None]] = _everybody) -> None:
    """Answer every error with `application/problem+json`; a surprise never shows its text.

    `identify` raises a Problem for whoever isn't to hear what is wrong with a request.
    """

    @app.exception_handler(Problem)
    async def on_problem(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Problem)
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        await identify(request)
        errors = [{"at": "/".join(map(str, e["loc"])), "detail": e["msg"]} for e in error.errors()]
        detail = "; ".join(f"{e['at']}: {e['detail']}" for e in errors)
        return BadInput(detail, errors=errors).response()

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if isinstance(error.__cause__, UnicodeError):  # FastAPI has a word of its own for JSON that isn't UTF-8
            await identify(request)
            return BadInput("body: JSON in UTF-8 is expected.").response()
        body = {"type": "about:blank", "title": error.detail, "status": error.status_code}
        headers = dict(error.headers or {})
        if error.status_code == METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(sorted(_methods(request)))
        return JSONResponse(body, error.status_code, headers, media_type="application/problem+json")

    @app.exception_handler(ConnectionError)
    @app.exception_handler(TimeoutError)
    @app.exception_handler(SQLAlchemyError)
    async def on_away(request: Request, error: Exception) -> JSONResponse:
        """Postgres is gone, or all connections to it are taken: nothing the caller did wrong, and it passes."""
        lost = isinstance(error, DBAPIError) and error.connection_invalidated
        if isinstance(error, SQLAlchemyError) and not (lost or isinstance(error, AWAY)):
            return await on_surprise(request, error)
        log.warning("not reachable", error=repr(error))
        return ServiceUnavailable().response()

    @app.exception_handler(Exception)
    async def on_surprise(_: Request, error: Exception) -> JSONResponse:
        log.error("surprise", exc_info=error)
        return Problem("The error was logged; ask the operator, naming the request id.").response()


def _methods(request: Request) -> set[str]:
    """What can be done at an address: several routes may lead there, and Starlette names the first one's methods."""

    def possible(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    return set(filter(possible, METHODS))
