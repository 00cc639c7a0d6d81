"""One OpenAPI document for all that the door leads to, merged from the services' own."""

import asyncio
import copy
import json
import time
from typing import Any

import structlog
from codetect_shared.problems import ProblemBody

from codetect_gateway.answers import add_answers
from codetect_gateway.parts import Part, PartUnavailable, part_of, prefix_of

log = structlog.get_logger()
Document = dict[str, Any]
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
FRESH_S = 60
RETRY_S = 3
CLIENT = {
    "type": "http",
    "scheme": "basic",
    "description": "An API client's id and secret: for a token, and for PACS in place of one.",
}
ABOUT = """\
CoDetect analyses chest CT studies. Not a medical device. Not for clinical use.

Each facility has its own host name; what is sent there is that facility's. Errors are RFC 9457 problems; lists come
in pages, `next` is the cursor of the following one. Events come over the WebSocket `/api/v1/live`.\
"""


class Documents:
    """The services' documents as last seen, and the merged one. A service that is away keeps its last known part."""

    def __init__(self, own: Document, parts: dict[str, Part]) -> None:
        self._own, self._parts = own, parts
        self._seen: dict[str, Document] = {}
        self._ask_at = dict.fromkeys(parts, 0.0)
        self._lock = asyncio.Lock()
        self._merged: bytes | None = None

    async def merged(self) -> bytes:
        """The document as JSON, services asked again when a minute is over."""
        async with self._lock:
            due = [name for name, at in self._ask_at.items() if time.monotonic() >= at]
            fresh = await asyncio.gather(*map(self._refresh, due))
            if any(fresh) or self._merged is None:
                known = {name: self._seen[name] for name in self._parts if name in self._seen}
                self._merged = json.dumps(merge(self._own, known, sorted(self._parts.keys() - known))).encode()
        return self._merged

    async def _refresh(self, name: str) -> bool:
        try:
            answer = await self._parts[name].get("/openapi.json")
            document: Document = answer.json()
            document["paths"]
        except (PartUnavailable, ValueError, KeyError, TypeError) as error:
            log.warning("no document", part=name, error=repr(error))
            self._ask_at[name] = time.monotonic() + RETRY_S
            return False
        self._ask_at[name] = time.monotonic() + FRESH_S
        changed = self._seen.get(name) != document
        self._seen[name] = document
        return changed


def merge(own: Document, documents: dict[str, Document], missing: list[str]) -> Document:
    """All paths that the door leads to. A name taken by a different thing gets its service's name in front."""
    merged: Document = {
        "openapi": own["openapi"],
        "info": {"title": "CoDetect", "version": own["info"]["version"], "description": ABOUT},
        "servers": [{"url": "/"}],
        "paths": {},
        "components": {},
    }
    if missing:
        merged["info"]["x-codetect-missing"] = missing
    operation_ids: set[str] = set()
    for part, original in {"gateway": own, **documents}.items():
        document = _renamed(copy.deepcopy(original), part, merged["components"])
        for kind, entries in document.get("components", {}).items():
            merged["components"].setdefault(kind, {}).update(entries)
        for path, item in document.get("paths", {}).items():
            if (part_of(path) or "gateway") != part:
                continue
            prefix = prefix_of(path)
            for method, operation in ((method, item[method]) for method in METHODS if method in item):
                name = operation.get("operationId", "")
                if name in operation_ids:
                    name = operation["operationId"] = f"{part}_{name}"
                operation_ids.add(name)
                operation["tags"] = list(dict.fromkeys(operation.get("tags") or [part]))
                if prefix:
                    add_answers(method, path, prefix, operation, merged["components"])
                    if prefix.pacs:
                        _take_basic(operation, merged["components"])
            merged["paths"][path] = item
    own_schema = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    merged["components"].setdefault("schemas", {}).setdefault("ProblemBody", own_schema)
    used = {tag for item in merged["paths"].values() for m in METHODS if m in item for tag in item[m]["tags"]}
    merged["tags"] = [{"name": tag} for tag in sorted(used)]
    return merged


def _take_basic(operation: Document, components: Document) -> None:
    """Say that the gateway takes a client's id and secret here, which the service never sees (ADR 65)."""
    operation["security"] = [*operation.get("security", []), {"client": []}]
    components.setdefault("securitySchemes", {})["client"] = CLIENT


def _renamed(document: Document, part: str, taken: dict[str, dict[str, Any]]) -> Document:
    """Give components whose name stands for something else already a name of their own, wherever it is used."""
    renames = {
        f"#/components/{kind}/{name}": f"#/components/{kind}/{part.title()}{name}"
        for kind, entries in document.get("components", {}).items()
        for name, entry in entries.items()
        if kind != "securitySchemes" and taken.get(kind, {}).get(name, entry) != entry
    }
    if not renames:
        return document
    for kind, entries in document["components"].items():
        document["components"][kind] = {
            renames.get(f"#/components/{kind}/{name}", f"/{name}").rsplit("/", 1)[1]: entry
            for name, entry in entries.items()
        }
    return _replaced(document, renames)  # type: ignore[no-any-return]


def _replaced(value: Any, renames: dict[str, str]) -> Any:
    """A copy with every reference to a renamed component changed."""
    if isinstance(value, dict):
        return {key: _replaced(each, renames) for key, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, renames) for each in value]
    return renames.get(value, value) if isinstance(value, str) else value
