"""Which words mean a bundle's label and which its absence: in folders' names and in label tables."""

from __future__ import annotations

import re
from dataclasses import dataclass

from codetect_inference.bundle import Bundle

YES = frozenset({"positive", "present", "yes", "true", "1"})
NO = frozenset({"negative", "absent", "no", "false", "0"})


@dataclass(frozen=True)
class Words:
    """Words for one label, in plain form. `name` and `absent` are what people are told to write."""

    name: str
    absent: str
    positive: frozenset[str]
    negative: frozenset[str]

    def of(self, word: str) -> int | None:
        """1: the label, 0: its absence, None: neither."""
        word = plain(word)
        return 1 if word in self.positive else 0 if word in self.negative else None

    def told(self, positive: list[str], negative: list[str]) -> Words:
        """These words alone, where somebody gives some."""
        given = frozenset(map(plain, positive)), frozenset(map(plain, negative))
        if both := given[0] & given[1]:
            raise SystemExit(f"{', '.join(sorted(both))} can't mean the label and its absence")
        return Words(self.name, self.absent, given[0] or self.positive - given[1], given[1] or self.negative - given[0])


def label_number(bundle: Bundle, name: str | None) -> int:
    """The place of a label in the bundle; one alone needs no name."""
    names = [label.name for label in bundle.labels]
    if name is None and len(names) == 1:
        return 0
    if name not in names:
        asked = f"no label {name}" if name else "several labels"
        raise SystemExit(f"{bundle.name} has {asked}: choose with --label one of {', '.join(names)}")
    return names.index(name)


def folder_words(bundle: Bundle, number: int) -> Words:
    """What sub-folders are called: covid and noncovid for `covid_19`, lung_third and not_lung_third.

    A number at the name's end may be missing where that leaves no other label's name.
    """
    names = [label.name for label in bundle.labels]
    short = [re.sub(r"(_\d+)+$", "", name) for name in names]
    own = {names[number], *(short[number : number + 1] if short.count(short[number]) == 1 else [])}
    positive = frozenset(map(plain, own))
    negative = frozenset(prefix + word for prefix in ("non", "not", "no") for word in positive)
    name = min(own, key=len)
    return Words(name, f"non{name}", positive, negative)


def table_words(bundle: Bundle, number: int) -> Words:
    """What a table may say: the folders' words, and plain yes and no."""
    words = folder_words(bundle, number)
    return Words(words.name, words.absent, words.positive | YES, words.negative | NO)


def plain(word: str) -> str:
    """Lower case, without blanks, hyphens and underscores between letters; `covid-` and `-1` stay what they are."""
    return re.sub(r"(?<=[a-z0-9])[-_ ]+(?=[a-z0-9])", "", word.strip().lower())
