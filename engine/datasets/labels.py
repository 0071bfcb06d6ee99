"""From the name of a class folder to the label that people and models read."""

from __future__ import annotations

import re
from collections.abc import Iterable

from engine.errors import InputError

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
    labels: dict[str, str] = {}
    first: dict[str, str] = {}
    for folder in sorted(folders):
        label = clean_label(folder)
        other = first.setdefault(label.casefold(), folder)
        if other != folder:
            raise InputError(f"The class folders {other!r} and {folder!r} both mean {label!r}.", "Rename or merge one.")
        labels[folder] = label
    return labels
