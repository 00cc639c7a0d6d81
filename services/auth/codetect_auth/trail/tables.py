"""Tables of the trail. They aren't among the models: rows of the chain are neither changed nor loaded as objects."""

from sqlalchemy import BigInteger, Column, DateTime, Integer, LargeBinary, MetaData, Table, Text, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB

_metadata = MetaData()
TIME = DateTime(timezone=True)

chain = Table(
    "audit_chain",
    _metadata,
    Column("facility_id", Uuid, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("event_id", Uuid),
    Column("record", JSONB),
    Column("previous", LargeBinary),
    Column("hash", LargeBinary),
    Column("mac", LargeBinary),
    *(Column(name, Text) for name in ("service", "at", "subject", "action", "outcome", "target", "study_id")),
    Column("sequence", Integer),
)
"""What follows `mac` is generated from `record`, to search by."""

heads = Table(
    "audit_heads",
    _metadata,
    Column("facility_id", Uuid, primary_key=True),
    Column("number", BigInteger),
    Column("hash", LargeBinary),
    Column("start", BigInteger),
    Column("start_hash", LargeBinary),
    Column("mac", LargeBinary),
    Column("sealed_key", LargeBinary),
    Column("sources", JSONB),
    Column("at", TIME),
)
"""Where a chain ends; where it starts, once what was kept long enough is removed; how far each service is in it."""

held = Table(
    "audit_held",
    _metadata,
    Column("facility_id", Uuid, primary_key=True),
    Column("service", Text, primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("event_id", Uuid),
    Column("record", JSONB),
    Column("at", TIME, server_default=func.clock_timestamp()),
)
"""Rows that came before one that is still missing."""

findings = Table(
    "audit_findings",
    _metadata,
    Column("id", Uuid, primary_key=True),
    Column("facility_id", Uuid),
    Column("service", Text),
    Column("kind", Text),
    Column("first", Integer),
    Column("last", Integer),
    Column("found_at", TIME, server_default=func.clock_timestamp()),
    Column("closed_at", TIME),
)
"""Numbers of a service that are `missing` for more than a minute, or came `repeated` with another content."""
