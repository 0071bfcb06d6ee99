"""What jobs need of reading answers. The rules are `engine.evaluation.reading`'s, and the names are the home's.

The raw answer is the truth, and is kept. A job stores beside it the label that it read, by the rules and the
table of synonyms of that moment; this label is counted. Results and `verify` read the raw answer again, by the
rules and the table of today, and say where that gives another label.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.evaluation.reading import Reader
from engine.evaluation.synonyms import load_synonyms


def reader_of(labels: Sequence[str], synonyms: Path) -> Reader:
    """Return what reads answers as results do.

    Args:
        labels: of the data set.
        synonyms: the home's table of other names, which need not be there.

    Raises:
        InputError: the table cannot be read; names file and line.

    """
    return Reader(labels, load_synonyms(synonyms, labels))
