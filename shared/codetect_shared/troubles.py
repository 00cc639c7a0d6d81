"""What went wrong, for operators: errors as they are logged, noticed here and told through the broker (`telling`).

Told is when, where and what kind, in our own words, and the ids that find it in logs and traces. An exception's words
and variables stay in the log: they may hold what was sent to us.
"""

import sys
from collections import deque
from collections.abc import MutableMapping
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any

from opentelemetry import trace
from pydantic import BaseModel, Field, ValidationError

MOST = 200  # that wait to be told; older ones give way


class Trouble(BaseModel):
    """One error of one process."""

    at: datetime
    process: str
    said: str = Field(description="In the service's own words, as its log says it.")
    kind: str | None = Field(None, description="The exception's class.")
    place: str | None = Field(None, description="Where in our code: module and line.")
    request_id: str | None = Field(None, description="Finds it in the logs, as the answer's `x-request-id`.")
    trace_id: str | None = Field(None, description="Finds it in logs and traces; null where none are made.")
    event_id: str | None = Field(None, description="Of the event that was being applied.")
    job: str | None = Field(None, description="Of the job that was in hand.")
    facility: str | None = None


waiting: deque[bytes] = deque(maxlen=MOST)


def noticed(_logger: object, method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Log processor: an error, or a warning with an exception that nobody expected, is told; all say their trace."""
    error = _exception(entry.get("exc_info"))
    if method not in ("error", "exception", "critical") and error is None:
        return entry
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        entry["trace_id"] = trace.format_trace_id(context.trace_id)
    ids = {
        "request_id": entry.get("request_id"),
        "trace_id": entry.get("trace_id"),
        "event_id": entry.get("on_event_id") or entry.get("event_id") or entry.get("message_id"),
        "job": entry.get("job"),
        "facility": entry.get("facility"),
    }
    with suppress(ValidationError):  # whatever it is, the log has it
        told = Trouble(
            at=entry["timestamp"],
            process=entry.get("process", "?"),
            said=str(entry["event"]),
            kind=type(error).__name__ if error else None,
            place=_place(error.__traceback__) if error else None,
            **{name: str(value) for name, value in ids.items() if value is not None},
        )
        waiting.append(told.model_dump_json(exclude_none=True).encode())
    return entry


def _exception(given: object) -> BaseException | None:
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return given[1] if isinstance(given[1], BaseException) else None
    return sys.exc_info()[1] if given else None


def _place(traceback: TracebackType | None) -> str | None:
    """The innermost line that is ours."""
    found = None
    while traceback:
        module = traceback.tb_frame.f_globals.get("__name__", "")
        if module.startswith("codetect_"):
            found = f"{module}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return found
