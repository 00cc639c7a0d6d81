"""Every kind in every language: whole, honest, escaped, and loading nothing from anywhere."""

import re
import tomllib
from html.parser import HTMLParser

import pytest
from codetect_auth.mails.kinds import FACTS, OF_ANALYSES, Kind, checked
from codetect_auth.mails.wording import FOLDER, LANGUAGES, Place, Wording, word

from tests.auth.post import sample

PLACE = Place("Klinik & Söhne <Nord>", "https://nord.example.org/", "https://nord.example.org/settings/mail")
EVERYTHING = [(kind, language) for kind in Kind for language in LANGUAGES]
DISCLAIMERS = {
    "en": "Not a medical device. Not for clinical use.",
    "de": "Kein Medizinprodukt. Nicht für klinische Zwecke.",
}


def worded(kind: Kind, language: str, **facts: str | int) -> Wording:
    return word(kind, checked(kind, sample(kind) | facts), PLACE, language)


class Tags(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_languages_say_the_same_things() -> None:
    assert {"en", "de"} <= set(LANGUAGES)
    english, *others = (tomllib.loads((FOLDER / f"{language}.toml").read_text()) for language in ("en", *LANGUAGES))
    assert english.keys() == {"layout", *Kind}
    for other in others:
        assert other.keys() == english.keys()
        for kind, said in english.items():
            assert other[kind].keys() == said.keys()
            assert len(other[kind].get("facts", [])) == len(said.get("facts", []))
            # Each fact is said in each language.
            assert set(re.findall(r"\b\w+\b", str(said))) & FACTS.get(kind, set()) == (
                set(re.findall(r"\b\w+\b", str(other[kind]))) & FACTS.get(kind, set())
            ), kind


@pytest.mark.parametrize(("kind", "language"), EVERYTHING)
def test_each_mail_says_what_where_who_and_why(kind: Kind, language: str) -> None:
    said = worded(kind, language)
    assert PLACE.facility in said.subject
    assert said.sender.startswith(PLACE.facility)
    assert len(said.subject) < 120
    why = tomllib.loads((FOLDER / f"{language}.toml").read_text())[kind]["why"].replace(
        "{{ facility }}", PLACE.facility
    )
    assert why in said.text.replace("\n", " ")
    assert PLACE.home in said.text
    for fact, value in sample(kind).items():
        if fact not in ("what", "completed_at", "role"):
            assert str(value) in said.text.replace("\n", " "), fact
    assert (DISCLAIMERS[language] in said.text) == (kind in OF_ANALYSES)
    assert (PLACE.preferences in said.text) == (kind in OF_ANALYSES)
    assert "{{" not in said.text + said.html
    assert all(len(line) <= 80 or "http" in line for line in said.text.splitlines())


@pytest.mark.parametrize(("kind", "language"), EVERYTHING)
def test_the_html_is_whole_and_loads_nothing(kind: Kind, language: str) -> None:
    said = worded(kind, language)
    tags = Tags(said.html)
    assert tags.open == []
    assert {tag for tag, _ in tags.found} <= {
        *("html", "head", "meta", "title", "style", "body", "table", "tr", "td", "p", "h1", "div", "a", "br")
    }
    assert not re.search(r"url\(|@import|src=|background=|<script|<img", said.html)
    links = {attributes["href"] for tag, attributes in tags.found if tag == "a"}
    allowed = {sample(kind).get("url")} | ({PLACE.preferences} if kind in OF_ANALYSES else set())
    assert links <= allowed
    assert ("html", {"lang": language}) in tags.found
    assert "prefers-color-scheme: dark" in said.html
    assert "Klinik &amp; Söhne &lt;Nord&gt;" in said.html
    assert "<Nord>" not in said.html


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_people_write_stays_text(language: str) -> None:
    evil = "<a href=https://evil.example>{{ 7 * 7 }}</a> {% raw %}"
    said = worded(Kind.ACCESS_REQUESTED, language, reason=evil, name=f"{evil}\r\nBcc: x")
    assert "<a href=https://evil" not in said.html
    assert evil in said.text.replace("\n", " ")
    assert "\r" not in said.text


@pytest.mark.parametrize("count", [1, 7])
def test_one_and_many(count: int) -> None:
    subjects = {1: "An analysis failed at Klinik & Söhne <Nord>", 7: "7 analyses failed at Klinik & Söhne <Nord>"}
    assert worded(Kind.ANALYSES_FAILED, "en", count=count).subject == subjects[count]


@pytest.mark.parametrize("what", ["role", "rights", "suspended", "active", "removed"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_each_change_of_a_member_has_its_own_words(what: str, language: str) -> None:
    others = {
        w: worded(Kind.MEMBER_CHANGED, language, what=w).subject
        for w in ("role", "rights", "suspended", "active", "removed")
    }
    assert list(others.values()).count(others[what]) == 1
