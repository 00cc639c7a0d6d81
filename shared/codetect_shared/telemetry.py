"""What operators see: structured logs with request, event and study ids, Prometheus metrics, OpenTelemetry traces."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import structlog
from opentelemetry import propagate, trace
from prometheus_client import Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.tracebacks import ExceptionDictTransformer

from codetect_shared import troubles
from codetect_shared.origin import ORIGIN, Origin
from codetect_shared.settings import ServiceSettings

if TYPE_CHECKING:
    from codetect_shared.bus import Envelope

log = structlog.get_logger()
tracer = trace.get_tracer("codetect")
FAST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

HTTP_SECONDS = Histogram(
    "codetect_http_request_seconds", "Time to answer a request.", ["method", "route", "status"], buckets=FAST
)
OUTBOX_SENT = Counter("codetect_outbox_sent_total", "Outbox rows published and confirmed.", ["service"])
OUTBOX_LAG = Histogram("codetect_outbox_lag_seconds", "From an event's row to its confirm.", ["service"], buckets=FAST)
EVENTS_APPLIED = Counter(
    "codetect_events_total", "Events handled, by queue, type and outcome.", ["queue", "type", "outcome"]
)
JOBS_RUNNING = Gauge("codetect_jobs_running", "Jobs in hand.", ["queue"])
JOBS_SECONDS = Histogram("codetect_job_seconds", "Time a job was in hand.", ["queue"], buckets=(*FAST, 60, 120, 300))


def configure(settings: ServiceSettings, process: str) -> None:
    """Set up logs (one JSON object a line on stdout) and, with an OTLP endpoint, the export of traces."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            troubles.noticed,
            # Without the values of local variables: those can be secrets, or facts about a patient.
            structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stdout, format="%(levelname)s %(name)s %(message)s", force=True
    )
    if settings.otlp_endpoint:
        # Where nothing is exported, no process spends an eighth of a second and its memory on what exports.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        provider = TracerProvider(resource=Resource.create({"service.name": f"codetect-{process}"}))
        exporter = OTLPSpanExporter(endpoint=settings.otlp_endpoint.rstrip("/") + "/v1/traces")
        provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(provider)


@contextmanager
def handling(envelope: "Envelope", queue: str) -> Iterator[None]:
    """Logs and a span for one event being applied; the trace goes on from who told it."""
    parent = propagate.extract({"traceparent": envelope.traceparent} if envelope.traceparent else {})
    bound = {"event_id": str(envelope.id), "event": envelope.type, "subject": envelope.subject}
    outcome = "failed"
    with (
        structlog.contextvars.bound_contextvars(**{f"on_{k}": v for k, v in bound.items()}),
        tracer.start_as_current_span(
            f"{queue} {envelope.type}", context=parent, kind=trace.SpanKind.CONSUMER, attributes=bound
        ),
    ):
        try:
            yield
            outcome = "applied"
        finally:
            EVENTS_APPLIED.labels(queue, envelope.type, outcome).inc()


@contextmanager
def working(queue: str, job_id: UUID, facility_id: UUID) -> Iterator[None]:
    """Logs, metrics and a span for one job in hand."""
    started = time.monotonic()
    JOBS_RUNNING.labels(queue).inc()
    bound = {"job": str(job_id), "facility": str(facility_id)}
    try:
        with structlog.contextvars.bound_contextvars(**bound), tracer.start_as_current_span(queue, attributes=bound):
            yield
    finally:
        JOBS_RUNNING.labels(queue).dec()
        JOBS_SECONDS.labels(queue).observe(time.monotonic() - started)


class RequestTelemetry:
    """ASGI middleware: a request id in and out, one log line, one observation and one span a request."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap HTTP requests; everything else passes."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        given = headers.get("x-request-id", "")
        request_id = given if given.isascii() and given.isprintable() and 0 < len(given) <= 64 else uuid4().hex
        started, status = time.perf_counter(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
            await send(message)

        parent = propagate.extract(headers)
        with (
            structlog.contextvars.bound_contextvars(request_id=request_id),
            tracer.start_as_current_span(
                f"{scope['method']} request", context=parent, kind=trace.SpanKind.SERVER
            ) as span,
        ):
            scope.setdefault("state", {})["request_id"] = request_id
            peer = scope["client"][0] if scope.get("client") else None
            origin = ORIGIN.set(Origin.of(headers, peer, request_id))
            try:
                await self.app(scope, receive, sending)
            finally:
                ORIGIN.reset(origin)
                route = getattr(scope.get("route"), "path", "unmatched")
                seconds = time.perf_counter() - started
                span.update_name(f"{scope['method']} {route}")
                span.set_attributes({"http.route": route, "http.response.status_code": status})
                HTTP_SECONDS.labels(scope["method"], route, str(status)).observe(seconds)
                if route not in QUIET:
                    log.info("request", method=scope["method"], route=route, status=status, ms=round(seconds * 1000, 1))


QUIET = {"/healthz", "/readyz", "/metrics"}


def trace_headers() -> dict[str, str]:
    """Headers that carry the present trace to another service."""
    carrier: dict[str, Any] = {}
    propagate.inject(carrier)
    return carrier
