"""Tables: the kept events, which are the truth here, and the figures that are made from them.

Figures live in a schema of their own, so that `rebuild` can make them anew beside it and swap. Each figure is a
counter row: its primary key says what is counted (facility, quarter of an hour, dimensions), the rest are sums.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Identity,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB

FIGURES = "figures"
FIGURES_VERSION = 3
"""Raise it when the figures' tables or the folding change: the next projector rebuilds before it goes on."""

DIALECT: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]

events = Table(
    "events",
    MetaData(),
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("event_id", Uuid, nullable=False, unique=True),
    Column("facility_id", Uuid, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("time", DateTime(timezone=True), nullable=False),
    Column("data", JSONB, nullable=False),
)
erasures = Table(
    "erasures",
    MetaData(),
    Column("study_id", Uuid, primary_key=True),
    Column("facility_id", Uuid, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
)
"""Studies whose events are forgotten, by a key that is dropped once nothing of them can come any more."""

cursor = Table(
    "cursor",
    MetaData(),
    Column("epoch", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("anchor", Uuid),
    Column("figures_version", Integer, nullable=False),
)
"""One row: which stream of events, and the last message of it that was applied."""

figures = MetaData(schema=FIGURES)


def _key(name: str, kind: type[Text | SmallInteger | Boolean]) -> Column[str | int | bool]:
    return Column(name, kind, primary_key=True)


def _figure(
    name: str, *dimensions: Column[str | int | bool], sums: tuple[str, ...] = ("n",), timed: bool = True
) -> Table:
    at = [Column("at", DateTime(timezone=True), primary_key=True)] if timed else []
    return Table(
        name,
        figures,
        Column("facility_id", Uuid, primary_key=True),
        *at,
        *dimensions,
        *(Column(sum_, BigInteger, nullable=False) for sum_ in sums),
    )


def _model() -> tuple[Column[str | int | bool], ...]:
    return _key("model", Text), _key("model_version", Text)


analyses = _figure("analyses", *_model(), _key("state", Text))
"""Analyses that reached a state."""

states = _figure("states", *_model(), _key("state", Text), timed=False)
"""Analyses that are in a state now."""

findings = _figure(
    "findings",
    *_model(),
    _key("finding", Text),
    _key("outcome", Text),
    _key("bin", SmallInteger),
    sums=("n", "probability_ppm"),
)
"""Findings of completed analyses; `bin` b holds probabilities from b/20 to (b+1)/20, `probability_ppm` is their sum."""

durations = _figure("durations", *_model(), _key("stage", Text), _key("bucket", SmallInteger))
"""How long completed analyses took; see `sketch` for the buckets."""

costs = _figure("costs", *_model(), sums=("n", "slices", "cpu_ms", "gpu_ms", "bytes_read", "bytes_written"))
"""What completed analyses took, those that say so."""

uploads = _figure("uploads", _key("state", Text), _key("code", Text), sums=("n", "bytes"))
"""Uploads that reached a state; `code` says why one was refused."""

files = _figure("files", _key("outcome", Text))
"""Files by their outcome: `accepted`, or the code of the refusal."""

studies = _figure("studies", _key("change", Text))
"""Studies that were new, got a new version, or were erased."""

likeness = _figure("likeness", *_model(), _key("outcome", Text))
"""Completed analyses that are `like` their model's training data, or `unlike`; of models that can tell."""

feedback = _figure("feedback", *_model(), _key("finding", Text), _key("outcome", Text))
"""Opinions that readers gave on findings: `agrees`, `disagrees` or `unsure`; decisions of second readers aside."""

latest = Table(
    "latest",
    figures,
    Column("analysis_id", Uuid, primary_key=True),
    Column("facility_id", Uuid, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("model", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("state", Text, nullable=False),
)
"""Each analysis' state by the newest event about it: what `states` counts."""

COUNTERS = (analyses, states, findings, durations, costs, uploads, files, studies, likeness, feedback)
