"""The table of other names that labels go by: one that is shipped, and the user's own on top of it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from engine.errors import InputError
from engine.evaluation.reading import folded
from engine.text_files import is_there, parse_toml, read_text

_CURE = 'Write one line a label: "Great Pyrenees" = ["Pyrenean Mountain Dog"].'


def load_synonyms(path: Path | None = None, labels: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """Return other names by label: the shipped table, with the user's file laid over it.

    A label's list in the user's file replaces the shipped one, an empty list takes it away, and a name that the user
    gives to one label is taken from every other.

    Args:
        path: the user's file; None, or a file that is not there, is none.
        labels: of the dataset, where they are known: a name in the user's file must not be one of them.

    Raises:
        InputError: the user's file cannot be read, is not such a table, or has a name that is another label or
            belongs to two; names the file, the line and the key.

    """
    text = (files("assets") / "synonyms.toml").read_text(encoding="utf-8")
    table = _parse(text, "synonyms.toml")
    _check(table, text, "synonyms.toml", ())
    if path is None or not is_there(path):
        return table
    text = read_text(path)
    own = _parse(text, str(path))
    _check(own, text, str(path), labels)
    taken = {folded(name) for key, others in own.items() for name in (key, *others)}
    kept = {
        key: tuple(name for name in others if folded(name) not in taken)
        for key, others in table.items()
        if folded(key) not in taken
    }
    return {key: others for key, others in {**kept, **own}.items() if others}


def _parse(text: str, source: str) -> dict[str, tuple[str, ...]]:
    table = parse_toml(text, source, _CURE)
    for key, others in table.items():
        if not isinstance(others, list) or not all(isinstance(name, str) and folded(name) for name in others):
            raise InputError(f"{_place(text, source, key)}: {key!r} is not a list of names.", _CURE)
    return {key: tuple(others) for key, others in table.items()}


def _check(table: dict[str, tuple[str, ...]], text: str, source: str, labels: Sequence[str]) -> None:
    owners = {folded(label): label for label in (*labels, *table)}
    names: dict[str, str] = {}
    for key, others in table.items():
        for name in others:
            plain = folded(name)
            owner = owners.get(plain, names.setdefault(plain, key))
            if folded(owner) != folded(key):
                what = "is a label itself" if plain in owners else f"is a name of {owner!r} already"
                raise InputError(
                    f"{_place(text, source, key)}: {name!r}, a name of {key!r}, {what}.", "Take it out of one of them."
                )


def _place(text: str, source: str, key: str) -> str:
    """Return a file and the line on which a key begins, as far as that can be seen."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip(" \t[\"'").startswith(key):
            return f"{source}, line {number}"
    return source
