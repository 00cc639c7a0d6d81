"""Tables: daily counts of what models were given and said, measures that drifted, days on which somebody looked."""

import datetime
from uuid import UUID

from codetect_shared.db import AggregateRow
from sqlalchemy import ARRAY, BigInteger, Date, Float
from sqlalchemy.orm import Mapped, mapped_column

from codetect_inference.models import Base


class Watched(Base):
    """One day's counts of a measure, bin by bin, of a facility and a model version; shadow runs apart."""

    __tablename__ = "watched"

    facility_id: Mapped[UUID] = mapped_column(primary_key=True)
    model_name: Mapped[str] = mapped_column(primary_key=True)
    model_version: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[datetime.date] = mapped_column(Date, primary_key=True)
    measure: Mapped[str] = mapped_column(primary_key=True)
    shadow: Mapped[bool] = mapped_column(primary_key=True)
    bins: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    studies: Mapped[int] = mapped_column(BigInteger)


class Drift(Base, AggregateRow):
    """Where a measure was at the last look; `told`: the highest band told of since it last was stable."""

    __tablename__ = "drifts"

    model_name: Mapped[str]
    model_version: Mapped[str]
    measure: Mapped[str]
    band: Mapped[str]
    told: Mapped[str | None]
    psi: Mapped[float] = mapped_column(Float)
    studies: Mapped[int] = mapped_column(BigInteger)
    since: Mapped[datetime.date] = mapped_column(Date)
    looked_on: Mapped[datetime.date] = mapped_column(Date)


class Look(Base):
    """A day on which the daily look was taken."""

    __tablename__ = "looks"

    day: Mapped[datetime.date] = mapped_column(Date, primary_key=True)
