"""Rows of studies as CSV or Parquet, batch by batch."""

import asyncio
import csv
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from io import RawIOBase, StringIO
from typing import IO, Any, cast

import anyio
from anyio import from_thread, to_thread
from anyio.streams.memory import MemoryObjectSendStream
from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, Schema
from arro3.io import write_parquet

Batch = Sequence[Sequence[Any]]
ROWS_A_GROUP = 20_000
# Spreadsheets take these for the beginning of a formula, the wide ones too.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
TYPES = {
    str: DataType.utf8(),
    int: DataType.int64(),
    float: DataType.float64(),
    bool: DataType.bool(),
    datetime: DataType.timestamp("us", tz="UTC"),
}


async def csv_of(columns: dict[str, type], batches: AsyncIterator[Batch]) -> AsyncIterator[bytes]:
    """Yield CSV (RFC 4180, UTF-8) with a header; no text in it is a formula."""
    yield _lines([list(columns)])
    async for batch in batches:
        yield _lines([[_harmless(value) for value in row] for row in batch])


async def parquet_of(columns: dict[str, type], batches: AsyncIterator[Batch]) -> AsyncIterator[bytes]:
    """Yield Parquet: its library pulls batches and pushes bytes in a thread, this side gives the one for the other."""
    out, pieces = anyio.create_memory_object_stream[bytes](1)
    schema = Schema([Field(name, TYPES[kind], nullable=True) for name, kind in columns.items()])

    def pulled() -> Iterator[RecordBatch]:
        while (batch := from_thread.run(_next, batches)) is not None:
            yield _record_batch(schema, columns, batch)

    def write() -> None:
        reader = RecordBatchReader.from_batches(schema, pulled())
        write_parquet(reader, cast(IO[bytes], _Pipe(out)), compression="zstd(3)", max_row_group_size=ROWS_A_GROUP)

    async def work() -> None:
        with out:
            await to_thread.run_sync(write)

    writing = asyncio.create_task(work())
    try:
        async for piece in pieces:
            yield piece
        await writing
    finally:
        pieces.close()  # whoever still writes is told so, and ends
        await asyncio.gather(writing, return_exceptions=True)


class _Pipe(RawIOBase):
    """What the library writes to: bytes go to the event loop, which lets it wait."""

    def __init__(self, out: MemoryObjectSendStream[bytes]) -> None:
        self._out = out

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        from_thread.run(self._out.send, bytes(data))
        return len(data)


async def _next(batches: AsyncIterator[Batch]) -> Batch | None:
    return await anext(batches, None)


def _record_batch(schema: Schema, columns: dict[str, type], batch: Batch) -> RecordBatch:
    arrays = []
    for place, kind in enumerate(columns.values()):
        values = [row[place] for row in batch]
        if kind is datetime:
            micros = [None if value is None else round(value.timestamp() * 1_000_000) for value in values]
            arrays.append(Array(micros, DataType.int64()).cast(TYPES[kind]))
        else:
            arrays.append(Array(values, TYPES[kind]))
    return RecordBatch.from_arrays(arrays, schema=schema)


def _lines(rows: Batch) -> bytes:
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _harmless(value: Any) -> Any:
    """A value as CSV writes it; text that a spreadsheet would compute gets a quote before it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA):
        return f"'{value}"
    return value
