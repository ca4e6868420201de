"""The report in another language: put in while it is drawn, so that report.json and junit.xml stay as they are.

English is what the suite writes; `languages/<language>.yaml` has for each of its sentences the same in the other
language. A sentence with {places} stands for every sentence that differs there only; what stood in a place is put into
the same place, itself translated where it is a known sentence. Ids, verdicts, metric names, and what another program
said stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from core.request import Language

FOLDER = Path(__file__).parent / "languages"
ENGLISH: Language = "en"
_PLACE = re.compile(r"{(\w+)}")
_ENDS = (re.compile("; "), re.compile(r"(?<=\.) "), re.compile("(?<=:) "))
"""Where a text is taken apart, the strongest first."""
_LISTED = ", "
_NUMBER, _WORD = r"[-+\d.,]+?(?: ?%)?", r"\S+?"
_NARROW = {
    **dict.fromkeys(("n", "s", "m", "h", "ms", "p"), _NUMBER),
    "place": r"[^,;]+?",
    **dict.fromkeys(("file", "id", "index", "job", "log", "url"), _WORD),
}
"""What fits a place of this name."""
_ANYTHING = r"(?:(?![.;] ).)+?"
"""What fits any other place: all but the end of a sentence."""
_WORDS = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,}")


class Words:
    """Says what the suite wrote in English in one language; a sentence that it does not know, as it is."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._known: dict[str, str] = {}
        self._exact, self._patterns = _sorted_out(messages(language))

    def say(self, text: str) -> str:
        """The text in this language, sentence by sentence where it is not known as a whole."""
        if self.language == ENGLISH or not text:
            return text
        if text not in self._known:
            self._known[text] = self._whole(text) or self._in_parts(text)
        return self._known[text]

    def _whole(self, text: str) -> str:
        """The translation of a known sentence, "" of any other; a sentence may end with a mark of its own."""
        plain = text.rstrip(".:")
        if text in self._exact or plain == text:
            return self._sentence(text)
        found = self._sentence(plain)
        return found + text[len(plain) :] if found else self._sentence(text)

    def _sentence(self, text: str) -> str:
        if text in self._exact:
            return self._exact[text]
        for pattern in self._patterns:
            found = pattern.expression.fullmatch(text)
            if found:
                return pattern.text.format(**{place: self.say(value) for place, value in found.groupdict().items()})
        return ""

    def _in_parts(self, text: str) -> str:
        """Sentence by sentence; a list of items only where all of them are known or are no sentences."""
        for end in _ENDS:
            parts = end.split(text)
            if len(parts) > 1:
                return (" " if end is not _ENDS[0] else "; ").join(self.say(part) for part in parts)
        items = text.split(_LISTED)
        said = [self._whole(item) or ("" if _WORDS.search(item) else item) for item in items]
        return _LISTED.join(said) if len(items) > 1 and all(said) else text


@cache
def words(language: Language) -> Words:
    """The words of a language, read once."""
    return Words(language)


@cache
def messages(language: Language) -> Mapping[str, str]:
    """English sentence -> the same in the language; {} of English itself."""
    if language == ENGLISH:
        return {}
    sections = yaml.safe_load((FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))
    return {english: text for section in sections.values() for english, text in section.items()}


@dataclass(frozen=True)
class _Pattern:
    expression: re.Pattern[str]
    text: str


def _sorted_out(known: Mapping[str, str]) -> tuple[Mapping[str, str], list[_Pattern]]:
    """Sentences without places, and the others as patterns, the most particular first."""
    exact = {english: text for english, text in known.items() if not _PLACE.search(english)}
    others = sorted((english for english in known if english not in exact), key=_letters, reverse=True)
    return exact, [_Pattern(re.compile("".join(_expression(english)), re.DOTALL), known[english]) for english in others]


def _letters(english: str) -> int:
    return len(_PLACE.sub("", english))


def _expression(english: str) -> Iterator[str]:
    for index, part in enumerate(_PLACE.split(english)):
        yield f"(?P<{part}>{_NARROW.get(part, _ANYTHING)})" if index % 2 else re.escape(part)


def places(text: str) -> frozenset[str]:
    """Names of the places in a sentence."""
    return frozenset(_PLACE.findall(text))
