"""A service's OpenAPI document: FastAPI's, with the errors that no route declares because any may answer with them."""

from typing import Any

from fastapi import FastAPI

from codetect_shared.problems import BadInput, Forbidden, Problem, ProblemBody, ServiceUnavailable, Unauthenticated

JSON, PROBLEM = "application/json", "application/problem+json"
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
BODY = {"$ref": "#/components/schemas/ProblemBody"}


def describe(app: FastAPI) -> None:
    """Have the application give the whole document."""
    bare = app.openapi

    def whole() -> dict[str, Any]:
        if not app.openapi_schema:
            app.openapi_schema = complete(bare())
        return app.openapi_schema

    app.openapi = whole  # type: ignore[method-assign]


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Add the errors that any operation may have, and say of all errors what they are; the document is changed."""
    components = document.setdefault("components", {})
    schema = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    components.setdefault("schemas", {}).setdefault("ProblemBody", schema)
    for item in document["paths"].values():
        for method, operation in item.items():
            if method in METHODS:
                _complete(operation, components.setdefault("responses", {}))
                for content in operation.get("requestBody", {}).get("content", {}).values():
                    # Of a body that a route describes by itself; FastAPI's own models lie there already.
                    components["schemas"] |= content.get("schema", {}).pop("$defs", {})
    return document


def _complete(operation: dict[str, Any], shared: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", []):
        _leave_out_null(parameter.get("schema", {}))
    answers = operation["responses"]
    for problem in _possible(operation):
        if str(problem.status) not in answers:
            shared[problem.__name__] = {"description": problem.title(), "content": {PROBLEM: {"schema": BODY}}}
            answers[str(problem.status)] = {"$ref": f"#/components/responses/{problem.__name__}"}
    for answer in answers.values():
        # FastAPI takes every model for JSON.
        if answer.get("content", {}).get(JSON, {}).get("schema") == BODY:
            answer["content"] = {PROBLEM: {"schema": BODY}}


def _leave_out_null(schema: dict[str, Any]) -> None:
    """A parameter is left out or has a value: an address knows no null."""
    kinds = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema |= kinds[0]


def _possible(operation: dict[str, Any]) -> list[type[Problem]]:
    """Return what may go wrong before a route is reached, or behind it."""
    found: list[type[Problem]] = [Unauthenticated, Forbidden] if operation.get("security") else []
    if operation.get("parameters") or operation.get("requestBody"):
        found.append(BadInput)
    return [*found, ServiceUnavailable]
