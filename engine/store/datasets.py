"""Datasets and their images."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import clock
from engine.errors import InputError, NotFoundError
from engine.events import DatasetView
from engine.store.db import Database
from engine.store.frozen import Content, read_frozen

ImageRow = tuple[str, int, str, int, int, int, str]
"""path below the root, label's position, split, bytes, width, height, sha256."""


@dataclass(frozen=True)
class StoredImage:
    """One image of a dataset; `label` is a position in the dataset's labels."""

    id: int
    path: Path
    label: int
    split: str
    bytes: int
    width: int
    height: int
    sha256: str

    def read(self) -> Content:
        """Return its bytes, exactly those that were catalogued; see `read_frozen`."""
        return read_frozen(self.path, self.bytes, self.sha256)


class Datasets:
    """Reads and writes datasets."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def exists(self, name: str) -> bool:
        """Tell whether there is a dataset of this name."""
        return self._db.row("SELECT 1 FROM datasets WHERE name = ?", name) is not None

    def add(
        self,
        name: str,
        *,
        source: str,
        root: Path,
        split: str,
        seed: int | None,
        digest: str,
        labels: Sequence[str],
        images: Iterable[ImageRow],
        found: Callable[[sqlite3.Connection, int], None] | None = None,
    ) -> int:
        """Add a dataset with all its images at once.

        Args:
            name: its name.
            source: where it came from.
            root: what its images' paths are below.
            split: how it was split.
            seed: of the shuffle, if there was one.
            digest: of its images' contents, splits and labels.
            labels: in order.
            images: read one by one.
            found: writes what was found of it, in the same transaction.

        Raises:
            InputError: the name is taken.

        """
        with self._db.transaction() as db:
            try:
                cursor = db.execute(
                    "INSERT INTO datasets (name, source, root, split, seed, digest, created_at)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (name, source, str(root), split, seed, digest, clock.now()),
                )
            except sqlite3.IntegrityError as error:
                raise InputError(f"There is a dataset {name!r} already.", "Choose another --name.") from error
            dataset_id = cursor.lastrowid
            assert dataset_id is not None
            db.executemany(
                "INSERT INTO labels VALUES (?, ?, ?)",
                [(dataset_id, position, label) for position, label in enumerate(labels)],
            )
            db.executemany(
                "INSERT INTO images (dataset_id, path, label, split, bytes, width, height, sha256)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                ((dataset_id, *image) for image in images),
            )
            if found is not None:
                found(db, dataset_id)
        return dataset_id

    def get(self, name: str) -> DatasetView:
        """Return a dataset.

        Raises:
            NotFoundError: there is none of this name.

        """
        row = self._db.row("SELECT * FROM datasets WHERE name = ?", name)
        if row is None:
            raise NotFoundError(f"There is no dataset {name!r}.", "See: dogcls-tui data list")
        return self._view(row)

    def all(self) -> list[DatasetView]:
        """Return all datasets, oldest first."""
        return [self._view(row) for row in self._db.rows("SELECT * FROM datasets ORDER BY id")]

    def images(self, name: str, split: str) -> list[StoredImage]:
        """Return the images of one split, in the order in which every contestant sees them."""
        rows = self._db.rows(
            "SELECT i.*, d.root FROM images i JOIN datasets d ON d.id = i.dataset_id"
            " WHERE d.name = ? AND i.split = ? ORDER BY i.id",
            name,
            split,
        )
        return [_image(r) for r in rows]

    def page(self, name: str, split: str | None, label: int | None, offset: int, limit: int) -> list[StoredImage]:
        """Return some of a dataset's images, of one split or label where one is given."""
        rows = self._db.rows(
            "SELECT i.*, d.root FROM images i JOIN datasets d ON d.id = i.dataset_id"
            " WHERE d.name = ?1 AND (?2 IS NULL OR i.split = ?2) AND (?3 IS NULL OR i.label = ?3)"
            " ORDER BY i.id LIMIT ?5 OFFSET ?4",
            name,
            split,
            label,
            offset,
            limit,
        )
        return [_image(r) for r in rows]

    def catalogued(self, name: str) -> Iterator[tuple[str, str, str, str]]:
        """Yield (path below the root, label, split, sha256) of all images, in order, one by one."""
        for r in self._db.stream(
            "SELECT i.path, l.name, i.split, i.sha256 FROM datasets d JOIN images i ON i.dataset_id = d.id"
            " JOIN labels l ON l.dataset_id = d.id AND l.position = i.label WHERE d.name = ? ORDER BY i.id",
            name,
        ):
            yield tuple(r)

    def ids(self, name: str, split: str) -> array[int]:
        """Return the ids of one split's images, in ascending order, in as little memory as they take."""
        rows = self._db.stream(
            "SELECT i.id FROM images i JOIN datasets d ON d.id = i.dataset_id"
            " WHERE d.name = ? AND i.split = ? ORDER BY i.id",
            name,
            split,
        )
        return array("q", (r["id"] for r in rows))

    def unsettled(self, name: str, split: str, contestant_id: int, after: int, limit: int) -> list[StoredImage]:
        """Return the next images of one split of which a contestant's answer is failed, missing or not there.

        Args:
            name: the dataset.
            split: which part of it.
            contestant_id: whose answers.
            after: the id of the last image that is known already; 0 for the first page.
            limit: how many at most.

        """
        rows = self._db.rows(
            "SELECT i.*, d.root FROM images i JOIN datasets d ON d.id = i.dataset_id"
            " WHERE d.name = ? AND i.split = ? AND i.id > ? AND NOT EXISTS (SELECT 1 FROM predictions p"
            "   WHERE p.contestant_id = ? AND p.image_id = i.id AND p.outcome NOT IN ('failed', 'missing'))"
            " ORDER BY i.id LIMIT ?",
            name,
            split,
            after,
            contestant_id,
            limit,
        )
        return [_image(r) for r in rows]

    def class_counts(self, name: str) -> list[tuple[str, int, int, int]]:
        """Return (label, train, val, test) counts, in label order."""
        rows = self._db.rows(
            "SELECT l.name, SUM(i.split = 'train') AS train, SUM(i.split = 'val') AS val,"
            " SUM(i.split = 'test') AS test FROM datasets d JOIN labels l ON l.dataset_id = d.id"
            " JOIN images i ON i.dataset_id = d.id AND i.label = l.position"
            " WHERE d.name = ? GROUP BY l.position ORDER BY l.position",
            name,
        )
        return [(r["name"], r["train"], r["val"], r["test"]) for r in rows]

    def _view(self, row: sqlite3.Row) -> DatasetView:
        labels = self._db.rows("SELECT name FROM labels WHERE dataset_id = ? ORDER BY position", row["id"])
        counts = dict(
            tuple(r)
            for r in self._db.rows("SELECT split, COUNT(*) FROM images WHERE dataset_id = ? GROUP BY split", row["id"])
        )
        return DatasetView(
            name=row["name"],
            source=row["source"],
            root=row["root"],
            split=row["split"],
            seed=row["seed"],
            digest=row["digest"],
            labels=tuple(r["name"] for r in labels),
            train=counts.get("train", 0),
            val=counts.get("val", 0),
            test=counts.get("test", 0),
            created_at=row["created_at"],
        )


def _image(r: sqlite3.Row) -> StoredImage:
    return StoredImage(
        r["id"], Path(r["root"]) / r["path"], r["label"], r["split"], r["bytes"], r["width"], r["height"], r["sha256"]
    )
