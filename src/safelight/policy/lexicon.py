"""Word lists in memory: which lists a text touches. ``lists/README.md`` tells their form."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from safelight.policy.folding import Words, condensed, fold, plain, single, words

Lists = set[str]
Part = tuple[str, bool]
"""A word of a phrase, and whether it is only a beginning."""

_UNSPACED = re.compile(
    "[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\u2600-\u27bf\U0001f300-\U0001faff]"
)
_MAX_PREFIX = 24
_MIN_ONCE = 6


@dataclass(slots=True)
class Lexicon:
    """Terms of several lists, indexed so that a text is read once."""

    exact: dict[str, Lists] = field(default_factory=dict)
    prefixes: dict[str, Lists] = field(default_factory=dict)
    phrases: dict[str, list[tuple[tuple[Part, ...], str]]] = field(default_factory=dict)
    run_on: dict[str, Lists] = field(default_factory=dict)
    anywhere: dict[str, Lists] = field(default_factory=dict)
    accented: dict[str, Lists] = field(default_factory=dict)

    def add(self, name: str, line: str) -> None:
        """Take one line of the list ``name``."""
        if line.startswith("="):
            self.accented.setdefault(plain(line[1:]), set()).add(name)
        elif _UNSPACED.search(line):
            self.anywhere.setdefault(condensed(fold(line)), set()).add(name)
        else:
            parts = tuple((word, star) for piece in line.split() for word, star in _parts(piece))
            if len(parts) > 1:
                self.phrases.setdefault(parts[0][0], []).append((parts, name))
                if not any(star for _, star in parts):
                    self.run_on.setdefault("".join(word for word, _ in parts), set()).add(name)
                return
            terms = self.prefixes if parts[0][1] else self.exact
            terms.setdefault(parts[0][0], set()).add(name)
            # Its form without doubled letters, to meet misspellings of those.
            if len(once := single(parts[0][0])) >= _MIN_ONCE:
                terms.setdefault(once, set()).add(name)

    def touched(self, reading: Words, shortest: int = 0) -> Lists:
        """Names of the lists that have a term of ``shortest`` letters or more in this reading."""
        found: Lists = set()
        for i, word in enumerate(reading):
            if len(word) >= shortest:
                found |= self.exact.get(word, set())
            for n in range(max(1, shortest), min(len(word), _MAX_PREFIX) + 1):
                found |= self.prefixes.get(word[:n], set())
            for n in range(1, min(len(word), _MAX_PREFIX) + 1):
                for parts, name in self.phrases.get(word[:n], ()):
                    if name not in found and _fits(parts, reading, i):
                        found.add(name)
        return found

    def touched_anywhere(self, text: str) -> Lists:
        """Names of the lists whose unspaced terms are in a condensed text."""
        return {name for term, names in self.anywhere.items() if term in text for name in names}

    def touched_accented(self, text: str) -> Lists:
        """Names of the lists whose accented terms are words of a plain text."""
        if not self.accented:
            return set()
        return {name for word in words(text) for name in self.accented.get(word, ())}

    def touched_inside(self, text: str, shortest: int) -> Lists:
        """Names of the lists with a term inside ``text``, or equal to it."""
        found = set(self.exact.get(text, set()))
        for terms in (self.exact, self.prefixes, self.run_on):
            for term, names in terms.items():
                if len(term) >= shortest and term in text:
                    found |= names
        return found

    def touched_by_pattern(self, pattern: re.Pattern[str]) -> Lists:
        """Names of the lists with a single-word term of 4 letters or more that fits a pattern."""
        found: Lists = set()
        for terms in (self.exact, self.prefixes):
            for term, names in terms.items():
                if len(term) >= 4 and term[0] == pattern.pattern[0] and pattern.fullmatch(term):
                    found |= names
        return found

    def without(self, reading: Words) -> Words:
        """The reading with every phrase of this lexicon replaced by a gap."""
        kept: list[str] = []
        i = 0
        while i < len(reading):
            span = self._span(reading, i)
            kept.append(reading[i] if span == 0 else "")
            i += max(1, span)
        return tuple(kept)

    def _span(self, reading: Words, i: int) -> int:
        word = reading[i]
        longest = 1 if word in self.exact else 0
        for n in range(1, min(len(word), _MAX_PREFIX) + 1):
            if word[:n] in self.prefixes:
                longest = max(longest, 1)
            for parts, _ in self.phrases.get(word[:n], ()):
                if len(parts) > longest and _fits(parts, reading, i):
                    longest = len(parts)
        return longest


def _parts(piece: str) -> Iterable[Part]:
    found = words(fold(piece))
    star = piece.endswith("*")
    return [(word, star and i == len(found) - 1) for i, word in enumerate(found)]


def _fits(parts: tuple[Part, ...], reading: Words, i: int) -> bool:
    if i + len(parts) > len(reading):
        return False
    return all(
        word.startswith(text) if star else word == text
        for (text, star), word in zip(parts, reading[i : i + len(parts)], strict=True)
    )


def lines(name: str) -> tuple[str, ...]:
    """The terms of one list, as written, without comments."""
    text = (resources.files("safelight.policy") / "lists" / f"{name}.txt").read_text("utf-8")
    stripped = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(line for line in stripped if line)


@cache
def lexicon(*names: str) -> Lexicon:
    """A lexicon of these lists; read once."""
    found = Lexicon()
    for name in names:
        for line in lines(name):
            found.add(name, line)
    return found


@cache
def word_set(name: str) -> frozenset[str]:
    """A list of folded single entries, as a set."""
    return frozenset(" ".join(words(fold(line))) for line in lines(name))
