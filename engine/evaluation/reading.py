"""From what a model wrote to exactly one label, or to none, by rules that are listed. The truth is never an argument.

`Rule` is the list, in the order in which the rules are tried; each answer is read by exactly one of them. The words
that mark a refusal are English, as the prompt is.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from engine.datasets.labels import canonical, number

MAX_LENGTH = 10_000

Synonyms = Mapping[str, Sequence[str]]
"""A label, and other names of the same thing."""


class Rule(StrEnum):
    """The rule by which an answer was read; `sentence` says it in words."""

    sentence: str

    def __new__(cls, value: str, sentence: str) -> Rule:
        """Make a member of a value and its sentence."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member

    EMPTY = "empty", f"Nothing was written, or more than {MAX_LENGTH:,} characters: unknown."
    AS_JSON = (
        "as-json",
        'A JSON object whose only member is "label", or what the prompt calls it, exactly a label in it: that label.',
    )
    AS_TEXT = "as-text", "Exactly a label, spaces around it and what does not show aside: that label."
    PROBABILITY = "probability", "A label and its probability, as the local CNN is recorded – Pug (0.98): that label."
    CUT_OFF = "cut-off", "A JSON object that was begun and never closed: unknown, for its label may be cut off as well."
    WRAPPED = "wrapped", "Exactly a label, but in a code fence, in quotes, or in JSON of another shape: that label."
    SPELLING = (
        "spelling",
        "A label once case, accents, punctuation and spaces are disregarded, or the same number (1.0, 1): that label.",
    )
    SYNONYM = "synonym", "Another name of a label by the table of synonyms: that label."
    REFUSAL = "refusal", "Declines or denies (sorry, cannot, not, neither, instead of …), whatever it names: unknown."
    SENTENCE = (
        "sentence",
        (
            "Names one label as whole words among others; a name inside a longer name is not counted"
            " (English Sheepdog in Old English Sheepdog), nor a label that is an everyday word (a, no, it): that label."
        ),
    )
    SEVERAL = "several", "Names several different labels: unknown."
    NO_LABEL = "no-label", "Names no label: unknown."


STRICT = frozenset({Rule.AS_JSON, Rule.AS_TEXT, Rule.PROBABILITY})
"""What these rules read needed no leniency, if it is also the form that was asked for."""


@dataclass(frozen=True)
class Reading:
    """What an answer says: the label by all rules, the label by the asked format alone, and the rule that decided."""

    label: str | None
    strict_label: str | None
    rule: Rule

    @property
    def lenient(self) -> bool:
        """Whether there is a label only because the answer's form was forgiven."""
        return self.label is not None and self.strict_label is None


_PROBABILITY = re.compile(r"\A(.+) \((?:0\.\d{1,9}|1\.0{1,9})\)\Z", re.DOTALL)
_LANGUAGE = re.compile(r"\A(?:json|text|txt|plaintext|markdown)?\s|\A[a-zA-Z]*\n")
_WORD = re.compile(r"(?:(?<![^\s:=(])-)?\d+(?:[.,]\d+)*(?:e[+-]?\d+)?(?![^\W_])|[^\W_]+")
"""A number with its sign and its point or comma, or a run of letters and digits."""
_DIGIT = re.compile(r"\d")
_SPACE = re.compile(r"(?<!\d) | (?!\d)")
"""A space that is not between two numbers: 1 0 is not 10."""
_MINUS = str.maketrans("\u2212", "-")
_QUOTES = "\"'`“”„‘’«»"
_EVERYDAY = re.compile(
    "a|an|and|as|at|be|by|do|he|i|if|in|is|it|me|my|no|not|of|on|or|she|so|the|this|to|up|us|we",
)
_REFUSAL = re.compile(
    "sorry|apologi[sz]e|cannot|cant|wont|dont|doesnt|isnt|unable|unsure|uncertain|unclear|impossible|refused?|declined?"
    "|not|no|never|neither|nor|none|without|unlike|except"
)
_REFUSAL_PAIRS = frozenset({("rather", "than"), ("instead", "of"), ("other", "than"), ("anything", "but")})


class Reader:
    """Reads answers about one set of labels.

    Args:
        labels: all labels, as they are spelled.
        synonyms: other names. All names of one entry mean the same, whichever of them is the label here. A name that
            would lead to two labels, or is itself a label, leads nowhere but to itself.

    """

    def __init__(self, labels: Sequence[str], synonyms: Synonyms | None = None) -> None:
        self.labels = frozenset(labels)
        self._exact = _unambiguous((canonical(label), label) for label in labels)
        # From the closest look to the most generous; two labels that look alike at one of them are told apart before.
        self._looks = [_unambiguous((look(label), label) for label in labels) for look in (_plain, folded, _compact)]
        owners = [
            (name, label)
            for key, others in (synonyms or {}).items()
            for label in self._labels_of(key, others)
            for name in (key, *others)
        ]
        known = set().union(*self._looks)
        self._synonyms = {
            name: label
            for name, label in _unambiguous((folded(name), label) for name, label in owners).items()
            if name not in known
        }
        self._compact_synonyms = {
            name: label
            for name, label in _unambiguous((_compact(name), label) for name, label in owners).items()
            if name not in known
        }
        names = {**self._synonyms, **self._looks[1]}
        self._names = {tuple(name.split()): label for name, label in names.items() if not _EVERYDAY.fullmatch(name)}
        self._lengths = sorted({len(name) for name in self._names})
        self._begins = {name[0] for name in self._names}

    def _labels_of(self, key: str, others: Sequence[str]) -> set[str]:
        """Return the labels among the names of one entry."""
        return {label for name in (key, *others) if (label := self._looks[0].get(_plain(canonical(name)))) is not None}

    def read(self, raw: str | None, asked: str | None = None) -> Reading:
        """Return what an answer says.

        Args:
            raw: as it came.
            asked: the format that was asked for, `json` (`json:KEY` for a member that is not called "label") or
                `text`; anything else takes either as strict.

        """
        form, _, key = (asked or "").partition(":")
        text = (raw or "").strip()
        if not text or len(raw or "") > MAX_LENGTH:
            return Reading(None, None, Rule.EMPTY)
        label, rule = self._decide(text, key or "label")
        as_asked = rule in STRICT and not (
            (form == "json" and rule != Rule.AS_JSON) or (form == "text" and rule == Rule.AS_JSON)
        )
        return Reading(label, label if as_asked else None, rule)

    def _decide(self, text: str, key: str) -> tuple[str | None, Rule]:
        if label := self._exactly(text):
            return label, Rule.AS_TEXT
        with_probability = _PROBABILITY.match(text)
        if with_probability and with_probability[1] in self.labels:
            return with_probability[1], Rule.PROBABILITY
        inner = _unfenced(text)
        if inner.startswith(("{", "[", '"')):
            try:
                value = json.loads(inner, object_pairs_hook=_Object)
            except (ValueError, RecursionError):
                if inner.startswith("{") and "}" not in inner:
                    return None, Rule.CUT_OFF
            else:
                return self._in_json(value, key if inner is text else None)
        return self._in_text(inner)

    def _in_json(self, value: Any, key: str | None) -> tuple[str | None, Rule]:
        if isinstance(value, _Object) and len(value) == 1 and value[0][0] == key:
            inner = value[0][1]
            if isinstance(inner, str) and (label := self._exactly(inner)):
                return label, Rule.AS_JSON
        texts = _texts(value, ("label", (key or "label").casefold()))
        whole = [found for _, text in texts if (found := self._whole(text.strip()))]
        if len({label for label, _ in whole}) > 1:
            return None, Rule.SEVERAL
        if whole:
            return whole[0]
        # No text is a label as a whole: then the one that is called so speaks, or the only one that there is.
        speaking = [text for key, text in texts if key.casefold() == "label"] or [text for _, text in texts]
        return self._in_text(speaking[0]) if len(speaking) == 1 else (None, Rule.NO_LABEL)

    def _in_text(self, text: str) -> tuple[str | None, Rule]:
        return self._whole(text.strip()) or self._named(text)

    def _whole(self, text: str) -> tuple[str, Rule] | None:
        """Return the label that a whole text is."""
        for bare in (text, text.strip(_QUOTES)):
            if label := self._exactly(bare):
                return label, Rule.WRAPPED
        closest, closer, close = self._looks
        if (label := closest.get(_plain(text))) is not None:
            return label, Rule.SPELLING
        words = folded(text)
        compact = _SPACE.sub("", words)
        if (label := closer.get(words) or close.get(compact)) is not None:
            return label, Rule.SPELLING
        label = self._synonyms.get(words) or self._compact_synonyms.get(compact)
        return None if label is None else (label, Rule.SYNONYM)

    def _exactly(self, text: str) -> str | None:
        """Return the label that a text is but for what does not show, such as its Unicode form."""
        if text in self.labels:
            return text
        return None if text.isascii() else self._exact.get(canonical(text))

    def _named(self, text: str) -> tuple[str | None, Rule]:
        """Return the label that a text names among other words."""
        words = folded(text).split()
        found: list[tuple[int, int, str]] = []
        for start, word in enumerate(words):
            for length in self._lengths if word in self._begins else ():
                label = self._names.get(tuple(words[start : start + length]))
                if label is not None and start + length <= len(words):
                    found.append((start, start + length, label))
        outer = _outermost(found)
        rest = list(words)
        for start, end, _ in outer:
            rest[start:end] = [""] * (end - start)
        if _refuses(rest):
            return None, Rule.REFUSAL
        named = {label for _, _, label in outer}
        if len(named) == 1:
            return named.pop(), Rule.SENTENCE
        return None, Rule.SEVERAL if named else Rule.NO_LABEL


class _Object(list[tuple[str, Any]]):
    """A JSON object with every member in it, those of one name too."""


def _texts(value: Any, named: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return (key, text) of all strings and numbers in a JSON value; those in lists have the list's key.

    Numbers beside a member that is named as the label are about something else, such as how sure it is; and so are
    numbers with a point, where nothing is named so.
    """
    found: list[tuple[str, str, bool]] = []
    left = [("", value)]
    while left:
        key, inner = left.pop()
        if isinstance(inner, str):
            found.append((key, inner, False))
        elif isinstance(inner, bool) and key.casefold() in named:
            found.append((key, str(inner), False))
        elif isinstance(inner, int | float) and not isinstance(inner, bool):
            found.append((key, str(inner), True))
        elif isinstance(inner, _Object):
            left += reversed(inner)
        elif isinstance(inner, list):
            left += [(key, item) for item in reversed(inner)]
    any_named = any(key.casefold() in named for key, _, _ in found)
    return [
        (key, text)
        for key, text, is_number in found
        if not is_number or key.casefold() in named or not (any_named or "." in text)
    ]


def _unfenced(text: str) -> str:
    """Return what stands in a code fence, else the text itself. No pattern: hostile spaces would take it ages."""
    if len(text) < 6 or not (text.startswith("```") and text.endswith("```")):
        return text
    return _LANGUAGE.sub("", text[3:-3], count=1).strip()


def _outermost(found: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Return the (start, end, label) that do not lie within another."""
    outer: list[tuple[int, int, str]] = []
    for span in sorted(found, key=lambda span: (span[0], -span[1])):
        if not outer or span[1] > outer[-1][1]:
            outer.append(span)
    return outer


def _refuses(words: Sequence[str]) -> bool:
    """Tell whether words, those of labels taken out, decline or deny: `isn't` has become `isn`, `t` by now."""
    return any(
        _REFUSAL.fullmatch(word) is not None or (word, after) in _REFUSAL_PAIRS or (after == "t" and word.endswith("n"))
        for word, after in zip(words, [*words[1:], ""], strict=False)
    )


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))


def folded(text: str) -> str:
    """Return a text in lower case without accents and punctuation, its numbers in their shortest form."""
    letters = unicodedata.normalize("NFKD", text.casefold()).translate(_MINUS)
    words = _plain("".join(c for c in letters if not unicodedata.combining(c)))
    return " ".join(number(word) or word for word in words.split()) if _DIGIT.search(words) else words


def _compact(text: str) -> str:
    return _SPACE.sub("", folded(text))


def _unambiguous(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return what each name leads to, without the names that lead to two things, or are empty."""
    found: dict[str, str | None] = {}
    for name, label in pairs:
        found[name] = label if found.get(name, label) == label else None
    return {name: label for name, label in found.items() if name and label is not None}


def read(
    raw: str | None, labels: Sequence[str], synonyms: Synonyms | None = None, *, asked: str | None = None
) -> Reading:
    """Return what an answer says of these labels; see `Rule`.

    Args:
        raw: the answer as it came.
        labels: all labels.
        synonyms: other names of labels; see `load_synonyms`.
        asked: see `Reader.read`.

    """
    entries = tuple((key, tuple(others)) for key, others in (synonyms or {}).items())
    return _reader(tuple(labels), entries).read(raw, asked)


@lru_cache(maxsize=8)
def _reader(labels: tuple[str, ...], synonyms: tuple[tuple[str, tuple[str, ...]], ...]) -> Reader:
    return Reader(labels, dict(synonyms))
