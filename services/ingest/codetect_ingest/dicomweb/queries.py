"""What a QIDO-RS query asks for, and whether a value matches (PS3.18 8.3.4, PS3.4 C.2.2.2)."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from starlette.datastructures import QueryParams

from codetect_ingest.dicomweb.finding import checked_uid
from codetect_ingest.dicomweb.problems import QueryInvalid
from codetect_ingest.terms import GAPS, plain, words

LONGEST = 1024
NOT_ATTRIBUTES = {"limit", "offset", "includefield", "fuzzymatching", "accept", "charset"}
WILD = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
LISTS = {"UI", "CS"}
TAG = re.compile(r"[0-9A-Fa-f]{8}")
DATE = re.compile(r"[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])")
TIME = re.compile(r"[0-9]{2}([0-9]{2}([0-9]{2}(\.[0-9]{1,6})?)?)?")
WHOLE = re.compile(r"[+-]?[0-9]{1,11}")


@dataclass(frozen=True)
class Matching:
    """An attribute and what its value has to match: any of `values`, or the range between two."""

    tag: str
    vr: str
    values: tuple[str, ...]

    @property
    def keyword(self) -> str:
        """The attribute's name; empty for one that has none, or lies inside of another."""
        return "" if "." in self.tag else keyword_for_tag(int(self.tag, 16))

    @property
    def universal(self) -> bool:
        """Whether every value matches, a missing one too."""
        return all(not value.strip("*") for value in self.values) if self.vr in WILD else not any(self.values)

    @property
    def wild(self) -> bool:
        """Whether there are wildcards in it."""
        return self.vr in WILD and any("*" in value or "?" in value for value in self.values)

    @property
    def span(self) -> tuple[str, str] | None:
        """The range's two ends, for dates and times; an open one is empty. A date alone is its own range."""
        if self.vr not in ("DA", "TM"):
            return None
        begin, dash, end = self.values[0].partition("-")
        return (begin, end) if dash else (begin, begin)

    def fits(self, attribute: dict[str, Any], *, fuzzy: bool = False) -> bool:
        """Whether an attribute in DICOM JSON matches."""
        values = [value for value in attribute.get("Value", []) if value is not None]
        if self.universal:
            return True
        if self.span:
            return any(_within(str(value).strip(), *self.span, self.vr) for value in values)
        if self.vr == "PN":
            writings = [text for name in values for text in _writings(name)]
            return any(_name_fits(wanted, writing, fuzzy) for wanted in self.values for writing in writings)
        if self.vr in WILD:
            return any(matches(wanted, str(value)) for wanted in self.values for value in values)
        if self.vr in ("IS", "US", "UL", "SS", "SL"):
            return any(int(wanted) == int(value) for wanted in self.values for value in values)
        return any(wanted == str(value) for wanted in self.values for value in values)


@dataclass
class Query:
    """A query as it was understood; tags are 8 hexadecimal digits."""

    matching: list[Matching] = field(default_factory=list)
    included: set[str] = field(default_factory=set)
    everything: bool = False
    limit: int | None = None
    offset: int = 0
    fuzzy: bool = False


def parse(parameters: QueryParams) -> Query:
    """Understand query parameters. Raises QueryInvalid, which never repeats a value."""
    query = Query(
        limit=_count(parameters, "limit"),
        offset=_count(parameters, "offset") or 0,
        fuzzy=_flag(parameters, "fuzzymatching"),
    )
    for listed in parameters.getlist("includefield"):
        for name in listed.split(","):
            if name.strip().lower() == "all":
                query.everything = True
            elif name.strip():
                query.included.add(_tag(name.strip(), "includefield"))
    for name in dict.fromkeys(parameters):
        if name not in NOT_ATTRIBUTES:
            query.matching.append(_matching(_tag(name, "The query"), parameters.getlist(name)))
    if len({one.tag for one in query.matching}) < len(query.matching):
        raise QueryInvalid("An attribute stands there twice.")
    return query


def matches(pattern: str, text: str) -> bool:
    """Whether a text matches `*` and `?` (PS3.4 C.2.2.2.4); in time that no pattern can make long."""
    at = begin = 0
    star = -1
    while at < len(text):
        if begin < len(pattern) and pattern[begin] == "*":
            star, resume = begin, at
            begin += 1
        elif begin < len(pattern) and pattern[begin] in ("?", text[at]):
            at, begin = at + 1, begin + 1
        elif star >= 0:
            resume += 1
            at, begin = resume, star + 1
        else:
            return False
    return not pattern[begin:].strip("*")


def _matching(tag: str, given: Sequence[str]) -> Matching:
    vr = _vr(tag)
    values = [text for value in given for text in (re.split(r"[\\,]", value) if vr in LISTS else [value])]
    if len(values) > 1 and vr not in LISTS:
        raise QueryInvalid("An attribute stands there twice.")
    if any(len(value) > LONGEST or "\0" in value for value in values):
        raise QueryInvalid("A value is too long, or has something in it that no text has.")
    values = [value.strip() for value in values]
    for value in values:
        _check(vr, value)
    return Matching(tag, vr, tuple(values))


def _check(vr: str, value: str) -> None:
    if not value:
        return
    if vr == "UI":
        checked_uid(value)
    if vr in ("DA", "TM"):
        form, ends = (DATE if vr == "DA" else TIME), value.split("-")
        sound = any(ends) and all(form.fullmatch(end) for end in ends if end)
        if len(ends) > 2 or not sound:
            raise QueryInvalid("A date is YYYYMMDD, a time HHMMSS; a range has a - between two, or beside one.")
    if vr in ("IS", "US", "UL", "SS", "SL") and not WHOLE.fullmatch(value):
        raise QueryInvalid("A number isn't one.")


def _tag(name: str, where: str) -> str:
    """Return the tag of a keyword, of 8 hexadecimal digits, or of the first of a path of either."""
    tags = []
    for part in name.split("."):
        tag = int(part, 16) if TAG.fullmatch(part) else tag_for_keyword(part)
        if tag is None:
            raise QueryInvalid(f"{where} names an attribute that DICOM doesn't have.")
        tags.append(f"{tag:08X}")
    return ".".join(tags)


def _vr(tag: str) -> str:
    if "." in tag:
        return "UN"
    try:
        return dictionary_VR(int(tag, 16)).partition(" ")[0]
    except KeyError:
        return "UN"


def _count(parameters: QueryParams, name: str) -> int | None:
    given = parameters.get(name)
    if given is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", given):
        raise QueryInvalid(f"{name} is a whole number.")
    return int(given)


def _flag(parameters: QueryParams, name: str) -> bool:
    given = parameters.get(name, "false").lower()
    if given not in ("true", "false"):
        raise QueryInvalid(f"{name} is true or false.")
    return given == "true"


def _within(value: str, begin: str, end: str, vr: str) -> bool:
    if vr == "TM":  # an end without minutes, seconds or fractions of one holds all of them
        value, begin, end = (time.replace(".", "") for time in (value, begin, end))
        value, begin, end = value.ljust(12, "0"), begin.ljust(12, "0"), end.ljust(12, "9") if end else ""
    return bool(value) and (not begin or begin <= value) and (not end or value <= end)


def _writings(name: Any) -> Iterable[str]:
    return name.values() if isinstance(name, dict) else [str(name)]


def _name_fits(wanted: str, writing: str, fuzzy: bool) -> bool:
    """Names match whatever their case and accents; fuzzily, if each word begins one of the name's (PS3.18 8.3.4.2)."""
    if fuzzy:
        having = words(writing)
        return all(any(matches(f"{word}*", one) for one in having) for word in fuzzy_words(wanted))
    return matches(plain(wanted).rstrip("^"), plain(writing).rstrip("^"))


def fuzzy_words(wanted: str) -> set[str]:
    """Return the words that a name is fuzzily looked for by."""
    return words(re.sub(r"[*?]", " ", wanted))


def prefixes(pattern: str) -> tuple[set[str], set[str]]:
    """Return the whole words, and the beginnings of words, that a name has to have to match a pattern."""
    whole: set[str] = set()
    begun: set[str] = set()
    for token in GAPS.split(plain(pattern)):
        literal = re.split(r"[*?]", token)[0]
        if literal:
            (whole if literal == token else begun).add(literal)
    return whole, begun
