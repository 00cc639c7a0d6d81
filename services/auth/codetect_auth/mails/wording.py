"""The words of a mail: a catalogue a language, one layout for text and one for HTML."""

import textwrap
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2

from codetect_auth.mails.kinds import OF_ANALYSES, Kind, one_line

FOLDER = files("codetect_auth.mails") / "words"
LANGUAGES = tuple(sorted(file.name.removesuffix(".toml") for file in FOLDER.iterdir() if file.name.endswith(".toml")))


@dataclass(frozen=True)
class Place:
    """Where a mail comes from: the facility's name, its first page, and where its people choose what they get."""

    facility: str
    home: str
    preferences: str


@dataclass(frozen=True)
class Wording:
    """A mail's words; `sender` is the name that it comes from."""

    language: str
    sender: str
    subject: str
    text: str
    html: str


def word(kind: Kind, facts: Mapping[str, str | int], place: Place, language: str) -> Wording:
    """Put checked facts into a kind's words. Raises jinja2.UndefinedError for a fact the words need and don't have."""
    catalogue = _catalogue(language)
    environment = _environment(language)
    known = {**facts, "facility": one_line(place.facility), "home": place.home, "preferences": place.preferences}

    def say(template: Any) -> Any:
        if isinstance(template, list):
            return [say(item) for item in template]
        return environment.from_string(template).render(known)

    said: dict[str, Any] = {"facts": [], "after": [], "action": "", "url": None, "of_analyses": kind in OF_ANALYSES}
    said |= known | {name: say(value) for name, value in catalogue[kind].items()}
    said["facts"] = [[label, value] for label, value in said["facts"] if value]
    said["subject"] = one_line(said["subject"])[:200]
    said["layout"] = {name: say(value) for name, value in catalogue["layout"].items()}
    return Wording(
        language,
        one_line(said["layout"]["via"])[:100],
        said["subject"],
        environment.get_template("base.txt.j2").render(said),
        environment.get_template("base.html.j2").render(said),
    )


@cache
def _catalogue(language: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads((FOLDER / f"{language}.toml").read_text())


@cache
def _environment(language: str) -> jinja2.Environment:
    """Values reach HTML through the layout alone, which escapes them."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (FOLDER / name).read_text()),
        autoescape=jinja2.select_autoescape(["html.j2"], default_for_string=False, default=False),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    form = _catalogue(language)["layout"]["time"]
    environment.filters["time"] = lambda text: datetime.fromisoformat(text).astimezone(UTC).strftime(form)
    environment.filters["wrapped"] = lambda text: textwrap.fill(
        text, 72, break_long_words=False, break_on_hyphens=False
    )
    return environment
