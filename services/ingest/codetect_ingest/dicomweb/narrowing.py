"""A query's conditions in SQL: as many as can be, whichever way the values are kept.

What SQL can't decide for sure is decided on the attributes themselves, once they are unsealed.
"""

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from codetect_ingest.dicomweb.queries import Matching, fuzzy_words, prefixes
from codetect_ingest.dicomweb.views import OriginalView, View
from codetect_ingest.models import InstanceRow, Series, Study, StudyTerm
from codetect_ingest.terms import EXACT, LONGEST_PREFIX, NAMES, plain

Condition = ColumnElement[bool]
FIRST_YEAR, LAST_YEAR = 1850, 2149  # a study is found by a range without an end if it is of these years


class Level(IntEnum):
    """What is searched for."""

    STUDY = 0
    SERIES = 1
    INSTANCE = 2


UID_COLUMNS: dict[str, tuple[Level, InstrumentedAttribute[str]]] = {
    "StudyInstanceUID": (Level.STUDY, Study.study_instance_uid),
    "SeriesInstanceUID": (Level.SERIES, Series.series_instance_uid),
    "SOPInstanceUID": (Level.INSTANCE, InstanceRow.sop_instance_uid),
}
SEALED = {
    "StudyInstanceUID": Study.sealed_identity,
    "SeriesInstanceUID": Series.sealed_identity,
    "SOPInstanceUID": InstanceRow.sealed_identity,
}


@dataclass
class Narrowed:
    """Conditions, what is left to be looked at, and keywords that nothing is known of at this level."""

    conditions: list[Condition] = field(default_factory=list)
    left: list[Matching] = field(default_factory=list)
    ignored: list[Matching] = field(default_factory=list)


@dataclass(frozen=True)
class Narrowing:
    """Who searches for what; `unsealed` says whether the facility has studies without an identity."""

    facility_id: UUID
    view: View
    level: Level
    known: Callable[[str], Level | None]
    unsealed: bool
    fuzzy: bool

    def narrow(self, matching: list[Matching]) -> Narrowed:
        """Sort out what SQL can say."""
        found = Narrowed()
        for one in matching:
            level = self.known(one.tag)
            if level is None or level > self.level:
                found.ignored.append(one)
            elif not one.universal:
                self._add(found, one, level)
        return found

    def _add(self, found: Narrowed, one: Matching, level: Level) -> None:
        keyword = one.keyword
        if keyword in UID_COLUMNS:
            found.conditions.append(self._uids(one))
        elif keyword == "ModalitiesInStudy":
            found.conditions.append(self._in_study(one))
        elif keyword == "Modality":
            found.conditions.append(text_matches(Series.modality, one))
        elif keyword == "SOPClassUID":
            found.conditions.append(InstanceRow.sop_class_uid.in_(one.values))
        elif keyword == "InstanceNumber":
            numbers = [number for number in map(int, one.values) if abs(number) < 1 << 31]
            found.conditions.append(InstanceRow.instance_number.in_(numbers))
        elif level is not Level.STUDY:
            found.left.append(one)
        elif isinstance(self.view, OriginalView):
            found.left.append(one)
            found.conditions += self._by_terms(one, self.view)
        else:
            found.conditions.append(clean_condition(one))

    def _uids(self, one: Matching) -> Condition:
        """In the original view, a sealed one goes by its original UID alone."""
        _, column = UID_COLUMNS[one.keyword]
        if not isinstance(self.view, OriginalView):
            return column.in_(one.values)
        pseudonyms = [name for value in one.values for name in self.view.pseudonyms(value)]
        return or_(column.in_(pseudonyms), and_(column.in_(one.values), SEALED[one.keyword].is_(None)))

    def _in_study(self, one: Matching) -> Condition:
        mine = Series.study_id == Study.id, Series.facility_id == self.facility_id, self.view.visible()
        return select(1).where(*mine, text_matches(Series.modality, one)).correlate(Study).exists()

    def _by_terms(self, one: Matching, view: OriginalView) -> Iterator[Condition]:
        """Yield what the hashes of original values can say: they let no match pass by, but maybe some others in."""
        for terms in terms_for(one, fuzzy=self.fuzzy):
            hashed = [view.key.term(term) for term in terms]
            having = select(StudyTerm.study_id).where(
                StudyTerm.facility_id == self.facility_id, StudyTerm.term.in_(hashed)
            )
            condition: Condition = Study.id.in_(having)
            if self.unsealed:
                condition = or_(condition, and_(Study.sealed_identity.is_(None), clean_condition(one)))
            yield condition


def terms_for(one: Matching, *, fuzzy: bool) -> Iterator[list[str]]:
    """Yield lists of terms: a study that matches has one of each list."""
    keyword, value = one.keyword, one.values[0]
    if keyword in NAMES:
        whole, begun = (set(), fuzzy_words(value)) if fuzzy else prefixes(value)
        yield from ([f"{keyword}={word}"] for word in sorted(whole))
        yield from ([f"{keyword}~{word[:LONGEST_PREFIX]}"] for word in sorted(begun))
    elif keyword == "StudyDate" and one.span:
        yield [f"StudyDate={part}" for part in parts_of(*one.span)]
    elif keyword in EXACT and not one.wild and (one.span is None or one.span[0] == one.span[1]):
        yield [f"{keyword}={plain(value)}"]


def parts_of(begin: str, end: str) -> list[str]:
    """Return years, months and days that together are the range, as few as can be."""
    first = _day(begin, datetime.date(FIRST_YEAR, 1, 1), first=True)
    last = _day(end, datetime.date(LAST_YEAR, 12, 31), first=False)
    found, day = [], first
    while day <= last:
        year_end, month_end = datetime.date(day.year, 12, 31), _month_end(day)
        if day.month == day.day == 1 and year_end <= last:
            found.append(f"{day:%Y}")
            after = year_end
        elif day.day == 1 and month_end <= last:
            found.append(f"{day:%Y%m}")
            after = month_end
        else:
            found.append(f"{day:%Y%m%d}")
            after = day
        day = after + datetime.timedelta(days=1)
    return found


def clean_condition(one: Matching) -> Condition:
    """Say it of what is kept in the clear of a study: the pseudonym and the shifted date. Of the rest nothing is."""
    if one.keyword == "PatientID":
        return text_matches(Study.patient_id, one)
    if one.keyword == "StudyDate" and one.span:
        begin, end = one.span
        bounds = [Study.study_date >= begin] if begin else []
        bounds += [Study.study_date <= end] if end else []
        return and_(Study.study_date.is_not(None), *bounds)
    return false()


def text_matches(column: InstrumentedAttribute[Any], one: Matching) -> Condition:
    """Any of the values, with their wildcards."""
    return or_(*(column.like(_like(v), escape="\\") if "*" in v or "?" in v else column == v for v in one.values))


def _like(pattern: str) -> str:
    for plain_one in "\\%_":
        pattern = pattern.replace(plain_one, f"\\{plain_one}")
    return pattern.replace("*", "%").replace("?", "_")


def _day(text: str, otherwise: datetime.date, *, first: bool) -> datetime.date:
    """Read a date; one that the calendar doesn't have is the next or the last before it."""
    if not text:
        return otherwise
    year, month, day = int(text[:4]), int(text[4:6]), int(text[6:])
    year = min(max(year, FIRST_YEAR - 1), LAST_YEAR + 1)
    for candidate in range(min(day, 31), 0, -1):
        try:
            found = datetime.date(year, min(max(month, 1), 12), candidate)
        except ValueError:
            continue
        return found if not first or candidate == day else found + datetime.timedelta(days=1)
    return datetime.date(year, min(max(month, 1), 12), 1)


def _month_end(day: datetime.date) -> datetime.date:
    following = (day.replace(day=28) + datetime.timedelta(days=4)).replace(day=1)
    return following - datetime.timedelta(days=1)
