"""The gateway's own answers, in the merged document: a service's document can't know what is said at the door."""

import copy
from typing import Any

from codetect_shared.openapi import BODY, PROBLEM
from codetect_shared.problems import Problem
from codetect_shared.tokens import TokenInvalid

from codetect_gateway.browsers import LOGOUT, REFRESH, SECRET, CrossSite, HttpsNeeded
from codetect_gateway.door import UnknownHost
from codetect_gateway.failures import BodyTooLarge, ClientTooSlow, Malformed
from codetect_gateway.limits import TooFast
from codetect_gateway.parts import API, PartTooSlow, PartUnavailable, Prefix

Document = dict[str, Any]
ANYWHERE = (Malformed, TokenInvalid, CrossSite, UnknownHost, TooFast, PartUnavailable, PartTooSlow)
WAIT = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}}
COOKIE_SET = {"Set-Cookie": {"description": "To a page: its login.", "schema": {"type": "string"}}}
DONE = {LOGOUT: "The login has ended.", REFRESH: "To a page: its cookie stands for new tokens."}


def add_answers(method: str, path: str, prefix: Prefix, operation: Document, components: Document) -> None:
    """Name at one operation of a service what the gateway may answer in its place; both documents are changed."""
    named, answers = components.setdefault("responses", {}), operation["responses"]
    for problem in ANYWHERE + _about_bodies(prefix, operation):
        status = str(problem.status)
        if status not in answers:
            named[problem.__name__] = _described(problem)
            answers[status] = {"$ref": f"#/components/responses/{problem.__name__}"}
        elif "$ref" not in answers[status]:
            answers[status].setdefault("content", {}).setdefault(PROBLEM, {"schema": BODY})
    if method == "post" and prefix.anonymous:
        _to_pages(path, operation, components)


def _about_bodies(prefix: Prefix, operation: Document) -> tuple[type[Problem], ...]:
    if "requestBody" not in operation:
        return ()
    return (ClientTooSlow,) if prefix.any_size else (ClientTooSlow, BodyTooLarge)


def _described(problem: type[Problem]) -> Document:
    answer: Document = {"description": problem.title(), "content": {PROBLEM: {"schema": BODY}}}
    return answer | ({"headers": WAIT} if problem is TooFast else {})


def _to_pages(path: str, operation: Document, components: Document) -> None:
    """Pages get a cookie in place of tokens, and send none (docs/adr/0066)."""
    if path.startswith(f"{API}/auth/"):
        both = f"{Malformed.title()} {HttpsNeeded.title()}"
        operation["responses"]["400"] = {"description": both, "content": {PROBLEM: {"schema": BODY}}}
    if path in DONE:
        operation["responses"].setdefault("204", {})["description"] = DONE[path]
        operation["requestBody"] |= {"required": False, "description": "A page with a cookie sends none."}
    answer = operation["responses"].get("200", {})
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    tokens = components.get("schemas", {}).get(name, {})
    if "access_token" not in tokens.get("properties", {}):
        return
    kept = copy.deepcopy(tokens)
    kept["properties"] = {key: value for key, value in kept["properties"].items() if key not in SECRET}
    kept["required"] = [key for key in kept.get("required", []) if key not in SECRET]
    kept |= {"title": f"{name}Kept", "description": "To a page: the tokens stay here, its cookie stands for them."}
    components["schemas"][f"{name}Kept"] = kept
    answer["content"]["application/json"]["schema"] = {"anyOf": [schema, {"$ref": f"#/components/schemas/{name}Kept"}]}
    answer["headers"] = answer.get("headers", {}) | COOKIE_SET
