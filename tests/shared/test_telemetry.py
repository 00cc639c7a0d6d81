"""A trace crosses the bus: what a consumer does belongs to the trace of who told the event."""

import asyncio
from collections.abc import Iterator

import pytest
from codetect_shared import bus, telemetry, topology
from codetect_shared.events import FacilityOpened
from codetect_shared.outbox import Relay, tell
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy.ext.asyncio import AsyncSession

from tests.shared.conftest import Shop, Task


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "tracer", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


async def test_a_trace_goes_on_behind_the_bus(shop: Shop, spans: InMemorySpanExporter) -> None:
    handled = asyncio.Event()

    async def handler(session: AsyncSession, event: FacilityOpened, envelope: bus.Envelope) -> None:
        handled.set()

    consumer = bus.EventConsumer(shop.rabbitmq, topology.FACILITIES, shop.db, {FacilityOpened: handler})
    parts = [asyncio.create_task(p.run()) for p in (Relay(shop.system_url, shop.rabbitmq, "shop"), consumer)]
    task = await shop.add()
    with telemetry.tracer.start_as_current_span("request") as span:
        told = span.get_span_context().trace_id
        async with shop.db.facility(shop.facility) as session:
            row = await session.get_one(Task, task.id)
            await tell(session, row, FacilityOpened(facility_id=shop.facility, slug="demo"))
    async with asyncio.timeout(10):
        await handled.wait()
        while not (consumed := [s for s in spans.get_finished_spans() if s.kind is trace.SpanKind.CONSUMER]):
            await asyncio.sleep(0.05)
    assert consumed[0].context.trace_id == told
    for part in parts:
        part.cancel()
    await asyncio.wait(parts)
