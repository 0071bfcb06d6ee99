"""What jobs need of reading answers: the label, or none. The rules are `engine.evaluation.reading`'s."""

from __future__ import annotations

from collections.abc import Sequence

from engine.evaluation.reading import Synonyms, read


def read_answer(raw: str | None, labels: Sequence[str], synonyms: Synonyms | None = None) -> str | None:
    """Return the label that an answer names, or None; see `engine.evaluation.reading.Rule`."""
    return read(raw, labels, synonyms).label
