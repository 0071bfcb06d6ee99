"""What a text means as a label: the one place that decides it for folders, archives, tables, JSONL, lists and truths.

A label is read as meant where that is certain: in Unicode's composed form, with single plain spaces, without what is
invisible, out of JSON or a code fence. Two labels of one set that differ for programs only (a no-break space, `Pug`
and `pug`, `1` and `1.0`) are refused, and so is what no person writes as a label: a missing value, an error of a
spreadsheet, a number or a date that it has made of a text.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from engine.errors import InputError
from engine.quantities import counted

LABEL_KEYS = ("label", "class", "category", "class_name", "target", "breed")
"""Names of the column, or of the member of a JSON object, that has the label; the likeliest first."""
MISSING = frozenset(
    ("#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NAN",
     "NaN", "NaT", "None", "n/a", "nan", "null", r"\N")
)  # fmt: skip
"""How programs write a missing value: what pandas reads as one, its NaT, and MySQL's."""
ERRORS = frozenset(
    ("#N/A", "#NAME?", "#REF!", "#VALUE!", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#FIELD!", "#ERROR!")
)
"""What a spreadsheet shows in the place of a value that it cannot compute; also any three or more `#`."""
_CONTROL = re.compile(
    "[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)
_SYNSET = re.compile(r"n\d{8}-(.+)")
_INVISIBLE = re.compile("[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2065\u3164\ufeff\uffa0]")
_SHAPING = re.compile("[\u200c\u200d\ufe00-\ufe0f]")
"""Joiners and variation selectors: invisible, but they shape what is beside them, so that a label keeps them."""
_SPACES = re.compile("[\\s\u2800]+")
_BETWEEN = re.compile(r"(?<=[^\W_])[\s_-]+(?=[^\W_])")
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\u02d7", "-"))
_LATIN = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаеорсухіјѕһԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧο",
    "ABESIJKMHOPCTYXaeopcyxijshdqwABEZHIKMNOPTYXo",
)
"""Cyrillic and Greek letters that look like Latin ones."""
_APART = ("<super>", "<sub>", "<circle>", "<fraction>", "<square>")
"""Kinds of compatibility forms that look different from their plain form: `m²` is not `m2`."""
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,2})?", re.ASCII)
_LONGEST_NUMBER = 60
_WHOLE = re.compile(r"-?\d+(?:\.0+)?", re.ASCII)
_SHORTENED = re.compile(r"[-+]?\d(?:[.,]\d+)?E\+\d{2,3}", re.ASCII)
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_DATE = re.compile(
    rf"\d{{4}}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.0+)?)?)?|\d\d?/\d\d?/\d\d(?:\d\d)?|\d\d?\.\d\d?\.\d{{4}}"
    rf"|\d\d?-(?:{_MONTHS})|(?:{_MONTHS})-\d\d",
    re.ASCII | re.IGNORECASE,
)
_FENCE = re.compile(r"```[A-Za-z]*\s+(.*?)\s*```", re.DOTALL)
_LIKE_JSON = re.compile(r"\{[^}]*[\"':]|\[\s*[\[{\"']")
_LONGEST = 300
_DEEPEST = 5
_WRITE = 'Write {"label": "..."}, or the bare label.'


class _Refused(Exception):
    """Why a text is no label, and the hint."""


@dataclass(frozen=True)
class _Met:
    """A label that was met: as it was spelled, as it is read, and where, such as `line 7`."""

    spelled: str
    label: str
    place: str


class Labels:
    """The labels of one set, met one by one.

    Args:
        given: whether texts are labels as they stand, and not names of class folders.
        source: begins messages, such as a file's path; empty for class folders.
        accept: how such a name as `None` is accepted as the name of a class, for hints; "" where it is not.

    """

    def __init__(self, *, given: bool = False, source: str = "", accept: str = "") -> None:
        self._given = given
        self._source = source
        self._accept = f"; if it is a class, {accept}" if accept else ""
        self._labels: dict[str, str] = {}
        self._met: dict[str, _Met] = {}

    def of(self, text: str, place: str = "", *, listed: bool = False) -> str:
        """Return the label that a text means.

        Args:
            text: as it stands in the source, or the name of a class folder.
            place: where it stands, such as `line 7`.
            listed: the user has listed or accepted it as a label: `None` is no missing value then.

        Raises:
            InputError: it is no label, or means the same as another spelling; names both places.

        """
        try:
            inner = _unwrapped(text)
        except _Refused as refused:
            self._refuse(place, *refused.args)
        spelled = inner if self._given else text
        label = self._labels.get(spelled)
        if label is None:
            label = self._labels[spelled] = self._new(inner, spelled, place, listed)
        return label

    def __iter__(self) -> Iterator[str]:
        """Yield the labels, in the order in which they were met."""
        return iter(self._labels.values())

    def find(self, text: str) -> str | None:
        """Return the one of these labels that a text means, also in another spelling; None if it means no label."""
        try:
            spelled = _unwrapped(text)
        except _Refused:
            return None
        if spelled in self._labels:
            return self._labels[spelled]
        return next((self._met[key].label for key in _keys(canonical(spelled)) if key in self._met), None)

    def check(self) -> None:
        """Compare the labels, once all were met.

        Raises:
            InputError: some are dates and others are not, as where a spreadsheet has made dates of `1-3` or `MAR1`.

        """
        dates = [met for met in self._met.values() if _DATE.fullmatch(met.label)]
        other = next((met for met in self._met.values() if not _DATE.fullmatch(met.label)), None)
        if dates and other is not None:
            what = f"is a date, and {other.label!r} is not: a spreadsheet may have made it of another text"
            self._refuse(dates[0].place, dates[0].spelled, what, f"Write it as text, or rename it{self._accept}.")

    def _new(self, inner: str, spelled: str, place: str, listed: bool) -> str:
        if _CONTROL.search(spelled):
            self._refuse(place, spelled, "has control characters or marks of direction in its name", "Rename it.")
        label = canonical(inner if self._given else clean_label(inner))
        if not label:
            self._refuse(place, spelled, "has no visible character", "Write the label, or remove the image.")
        if len(label) > _LONGEST:
            what = f"has {counted(len(label), 'character')}, and a label has at most {_LONGEST}"
            self._refuse(place, _cut(spelled), what, "Write the bare label, and nothing else.")
        if not listed and (label in MISSING or label in ERRORS or (len(label) > 2 and not label.strip("#"))):
            what = "is an error of a spreadsheet" if label[0] == "#" else "is how programs write a missing value"
            self._refuse(place, spelled, what, f"Write the label, or rename it{self._accept}.")
        if not listed and _SHORTENED.fullmatch(label):
            what = "is a number that a spreadsheet has shortened, so that different labels may have become one"
            self._refuse(place, spelled, what, "Format the column as text and write the labels again, or rename it.")
        for key in _keys(label):
            other = self._met.setdefault(key, _Met(spelled, label, place))
            if other.spelled != spelled:
                self._refuse_twins(other, spelled, label, place)
        return label

    def _refuse(self, place: str, spelled: str, what: str, hint: str) -> NoReturn:
        shown = ascii(spelled) if _hidden(spelled) else repr(spelled)
        raise InputError(self._sentence(place, "label" if self._given else "class folder", f"{shown} {what}"), hint)

    def _refuse_twins(self, other: _Met, spelled: str, label: str, place: str) -> NoReturn:
        one, two = sorted((other.spelled, spelled))
        show = repr if one.casefold() == two.casefold() or f"{one}{two}".isascii() else ascii
        what = f"{show(one)} and {show(two)} both mean {number(label) or label!r}"
        see = f" (see {other.place})" if other.place else ""
        message = self._sentence(place, "labels" if self._given else "class folders", f"{what}{see}")
        raise InputError(message, "Rename one, or write both alike." if self._given else "Rename or merge one.")

    def _sentence(self, place: str, noun: str, rest: str) -> str:
        where = "".join(f"{part}: " for part in (self._source, place) if part)
        return f"{where}{'the' if where else 'The'} {noun} {rest}."


def clean_label(folder: str) -> str:
    """Return a class folder's label.

    Stanford Dogs' folders (`n02085620-Chihuahua`) become what follows the first `-`, in title case,
    as in the article; in any name `_` stands for a space.
    """
    synset = _SYNSET.fullmatch(folder)
    if synset is not None:
        return synset[1].replace("_", " ").title()
    return folder.replace("_", " ").strip() or folder


def canonical(text: str) -> str:
    """Return a text in composed form, without invisible characters, with single plain spaces and none around it."""
    if text.isascii():
        return " ".join(text.split())
    text = _INVISIBLE.sub("", unicodedata.normalize("NFC", text))
    return _SPACES.sub(" ", text).strip(" \u200c\u200d")


def number(text: str) -> str | None:
    """Return a number in its shortest plain form (`1` for `1.0`, `01` and `1e0`); None where a text is no number."""
    if len(text) > _LONGEST_NUMBER or _NUMBER.fullmatch(text) is None:
        return None
    plain = format(Decimal(text), "f")
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return "0" if plain in ("-0", "") else plain


def whole_numbers(labels: Collection[str]) -> dict[str, str]:
    """Return which labels are whole numbers that a program has turned into floats, each with the number: 1.0 is 1.

    That is certain only where all labels are whole numbers; else nothing is returned.
    """
    if not all(_WHOLE.fullmatch(label) for label in labels):
        return {}
    return {label: whole for label in labels if (whole := label.partition(".")[0]) != label}


def plain(name: str) -> str:
    """Return what all names have in common that mean one label: such as in a table of costs, or in an option."""
    return _keys(canonical(name))[0]


def _keys(label: str) -> tuple[str, ...]:
    """Return what all labels have in common that look the same, or are the same number: case, spaces and dashes."""
    shape = label
    if not label.isascii():
        apart = (unicodedata.decomposition(c).startswith(_APART) for c in label)
        plain = "".join(c if a else unicodedata.normalize("NFKC", c) for c, a in zip(label, apart, strict=True))
        shape = _SHAPING.sub("", unicodedata.normalize("NFC", plain)).translate(_DASHES)
    value = number(shape)
    if value is not None and "." not in value:
        return (value,)
    keys = (_BETWEEN.sub(" ", shape.casefold()), _BETWEEN.sub(" ", shape.translate(_LATIN).casefold()))
    return keys[:1] if keys[0] == keys[1] else keys


def _hidden(text: str) -> bool:
    """Return whether a text has characters that do not show."""
    return not text.isprintable() or _INVISIBLE.search(text) is not None


def _unwrapped(text: str) -> str:
    """Return the label in a text: what a code fence, a JSON text, or a JSON object of one label has in it.

    Raises:
        _Refused: it is JSON of another shape, or broken.

    """
    inner = text.strip()
    if fenced := _FENCE.fullmatch(inner):
        inner = fenced[1]
    if inner[:1] not in ("{", "[", '"'):
        return inner
    try:
        return _text_of(json.loads(inner, object_pairs_hook=_object), _DEEPEST)
    except _Refused as refused:
        raise _Refused(_cut(inner), *refused.args) from None
    except (ValueError, RecursionError):
        if _LIKE_JSON.match(inner) is None:
            return inner
        raise _Refused(_cut(inner), "is no readable JSON", _WRITE) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Refused("has a member twice", "Give each image one label.")
    return found


def _text_of(value: Any, depth: int) -> str:
    """Return the label in a JSON value: a text, a number, or the only such thing in an object or list."""
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float) and math.isfinite(value):
        return str(int(value)) if value == int(value) else repr(value)
    if isinstance(value, list) and value and depth:
        if len(value) > 1:
            raise _Refused(f"has {counted(len(value), 'label')}", "Give each image one label.")
        return _text_of(value[0], depth - 1)
    if isinstance(value, dict) and value and depth:
        named = [key for key in value if canonical(key).casefold() in LABEL_KEYS] if len(value) > 1 else [*value]
        if len(named) != 1:
            names = ", ".join(map(repr, named)) or "none"
            raise _Refused(f"has {counted(len(value), 'member')}, and as the label are named: {names}", _WRITE)
        return _text_of(value[named[0]], depth - 1)
    raise _Refused("has no label in it", _WRITE)


def _cut(text: str) -> str:
    """Return a text for a message: its beginning."""
    return text if len(text) <= 80 else f"{text[:79]}…"
