"""The images of one split, read as a stream: a page of them is in memory, however many there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from engine.errors import NotFoundError
from engine.store.db import Database

PAGE = 2000


class Catalogued(NamedTuple):
    """A dataset, as far as its files need it; `counts` by split."""

    name: str
    root: str
    digest: str
    labels: tuple[str, ...]
    counts: dict[str, int]


class Entry(NamedTuple):
    """One image: `path` is below the dataset's root, `label` a position in its labels."""

    id: int
    path: str
    label: int
    bytes: int
    width: int
    height: int
    sha256: str


def catalogued(db: Database, name: str) -> Catalogued:
    """Return a dataset.

    Raises:
        NotFoundError: there is none of this name.

    """
    row = db.row("SELECT id, root, digest FROM datasets WHERE name = ?", name)
    if row is None:
        raise NotFoundError(f"There is no dataset {name!r}.", "See: dogcls-tui data list")
    labels = db.rows("SELECT name FROM labels WHERE dataset_id = ? ORDER BY position", row["id"])
    counts = db.rows("SELECT split, COUNT(*) FROM images WHERE dataset_id = ? GROUP BY split", row["id"])
    return Catalogued(name, row["root"], row["digest"], tuple(r["name"] for r in labels), {r[0]: r[1] for r in counts})


def entries(db: Database, dataset: str, split: str, skip: int = 0) -> Iterator[Entry]:
    """Yield a split's images in the order in which every contestant sees them.

    No read transaction stays open between pages: writing a million images takes long, and a store's log
    cannot be shortened while somebody reads.

    Args:
        db: the store's file.
        dataset: the name.
        split: which part of it.
        skip: how many of the first to leave out.

    """
    sql = (
        "SELECT i.id, i.path, i.label, i.bytes, i.width, i.height, i.sha256"
        " FROM images i JOIN datasets d ON d.id = i.dataset_id"
        " WHERE d.name = ? AND i.split = ? AND i.id > ? ORDER BY i.id LIMIT ? OFFSET ?"
    )
    last = 0
    while True:
        page = [Entry._make(row) for row in db.tuples(sql, dataset, split, last, PAGE, skip)]
        yield from page
        if len(page) < PAGE:
            return
        last, skip = page[-1].id, 0


def sample(db: Database, dataset: str, split: str, total: int, most: int) -> list[Entry]:
    """Return at most so many images, evenly spread over a split of `total`."""
    step = max(1, -(-total // most))
    return [entry for number, entry in enumerate(entries(db, dataset, split)) if number % step == 0]
