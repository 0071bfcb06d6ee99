"""From the name of a class folder to the label that people and models read."""

from __future__ import annotations

import re
from collections.abc import Iterable

from engine.errors import InputError

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SYNSET = re.compile(r"n\d{8}-(.+)")


def clean_label(folder: str) -> str:
    """Return a class folder's label.

    Stanford Dogs' folders (`n02085620-Chihuahua`) become what follows the first `-`, in title case,
    as in the article; in any name `_` stands for a space.
    """
    synset = _SYNSET.fullmatch(folder)
    if synset is not None:
        return synset[1].replace("_", " ").title()
    return folder.replace("_", " ").strip() or folder


def clean_labels(folders: Iterable[str]) -> dict[str, str]:
    """Return the label of each class folder.

    Raises:
        InputError: two folders have one label, so that their images could not be told apart.

    """
    labels = Labels()
    return {folder: labels.of(folder) for folder in sorted(folders)}


class Labels:
    """The labels of a source, met one by one."""

    def __init__(self, *, given: bool = False) -> None:
        """Begin.

        Args:
            given: whether labels stand as they are, and are no folders' names.

        """
        self._given = given
        self._labels: dict[str, str] = {}
        self._first: dict[str, str] = {}

    def of(self, folder: str) -> str:
        """Return the label of a class folder, or a label as it is given.

        Raises:
            InputError: two have one label, or one could steer a prompt or a terminal.

        """
        if folder in self._labels:
            return self._labels[folder]
        label = folder if self._given else clean_label(folder)
        if _CONTROL.search(label):
            raise InputError(
                f"The class {folder!a} has control characters or marks of direction in its name.", "Rename it."
            )
        other = self._first.setdefault(label.casefold(), folder)
        if other != folder:
            one, two = sorted((other, folder))
            what = "labels" if self._given else "class folders"
            raise InputError(f"The {what} {one!r} and {two!r} both mean {label!r}.", "Rename or merge one.")
        self._labels[folder] = label
        return label
