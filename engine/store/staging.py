"""What is being added or checked, before the store knows of it: a private table on disk that nobody else sees.

SQLite keeps it in a file without a name, so that a million images take no memory and nothing is left of it, however
the process ends; and the store is not locked while pictures are decoded.
"""

from __future__ import annotations

import functools
import inspect
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from engine.errors import StoreError

_SCHEMA = """
CREATE TABLE staged (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, place TEXT NOT NULL, origin TEXT NOT NULL, label TEXT NOT NULL,
    split TEXT, rank INTEGER, expected TEXT, bytes INTEGER, width INTEGER, height INTEGER, sha256 TEXT, mtime INTEGER);
CREATE TABLE flags (kind TEXT NOT NULL, path TEXT NOT NULL, note TEXT NOT NULL, bad INTEGER NOT NULL,
    problem TEXT NOT NULL, cure TEXT NOT NULL);
CREATE TABLE found (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, level TEXT NOT NULL, what TEXT NOT NULL,
    cure TEXT NOT NULL, files INTEGER NOT NULL);
CREATE TABLE found_files (found_id INTEGER NOT NULL, position INTEGER NOT NULL, path TEXT NOT NULL,
    note TEXT NOT NULL, PRIMARY KEY (found_id, position)) WITHOUT ROWID;
"""
T = TypeVar("T")
BATCH = 1000
StagedRow = tuple[str, str, str, str, str | None, str | None]
"""path, place in the source, where the source names it, label, split if it is known, the sha256 it must have."""
Spot = tuple[str, str]
"""A file of a finding, and a word about it there."""


@dataclass(frozen=True, slots=True)
class Staged:
    """One image that is to be looked at."""

    id: int
    path: str
    place: str
    expected: str | None


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.Error as error:
        raise StoreError(f"Temporary files: {error}.", "Free some space where temporary files go.") from error


def _explain(cls: type[T]) -> type[T]:
    """Have all methods of a class raise the store's error instead of SQLite's, those that yield rows too."""
    for name, method in list(vars(cls).items()):
        if inspect.isgeneratorfunction(method) and not hasattr(method, "__wrapped__"):
            setattr(cls, name, _explained_rows(method))
        elif inspect.isfunction(method) and not hasattr(method, "__wrapped__"):
            setattr(cls, name, _explained()(method))
    return cls


def _explained_rows(method: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    @functools.wraps(method)
    def rows(*arguments: Any) -> Iterator[Any]:
        with _explained():
            yield from method(*arguments)

    return rows


@_explain
class Staging:
    """One set of images on its way into the store. Used by one thread at a time."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Forget everything."""
        self._db.close()

    # -- images

    def put(self, rows: Iterable[StagedRow]) -> str | None:
        """Add images; return the path of the first that is there already, after which nothing more was added."""
        with self._all_or_nothing():
            for row in rows:
                try:
                    self._db.execute(
                        "INSERT INTO staged (path, place, origin, label, split, expected) VALUES (?, ?, ?, ?, ?, ?)",
                        row,
                    )
                except sqlite3.IntegrityError:
                    return f"{row[2]}{row[0]}"
        return None

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def folders(self) -> dict[str, int]:
        """Return how many images each folder has, while `label` is still the path of a folder."""
        return dict(self._db.execute("SELECT label, COUNT(*) FROM staged GROUP BY label ORDER BY label"))

    def has_path(self, path: str) -> bool:
        """Whether an image has this path."""
        return self._db.execute("SELECT 1 FROM staged WHERE path = ?", (path,)).fetchone() is not None

    def lay_out(self, places: Iterable[tuple[str, str | None, str | None]]) -> None:
        """Give the images of each folder their label and split: (folder, label, split).

        Images of a folder without a label are noted as being in no class folder, and forgotten.
        """
        with self._all_or_nothing():
            self._db.execute("CREATE TEMP TABLE places (folder TEXT PRIMARY KEY, label TEXT, split TEXT)")
            self._db.executemany("INSERT INTO places VALUES (?, ?, ?)", places)
            self._db.execute(
                "INSERT INTO flags SELECT 'no-class', s.path, '', 0, '', '' FROM staged s"
                " JOIN places p ON p.folder = s.label WHERE p.label IS NULL ORDER BY s.id"
            )
            self._db.execute("DELETE FROM staged WHERE label IN (SELECT folder FROM places WHERE label IS NULL)")
            self._db.execute(
                "UPDATE staged SET (label, split) ="
                " (SELECT p.label, p.split FROM places p WHERE p.folder = staged.label)"
            )

    def labels(self) -> list[str]:
        """Return all labels, sorted."""
        return [r[0] for r in self._db.execute("SELECT DISTINCT label FROM staged ORDER BY label")]

    def rename_labels(self, names: Mapping[str, str]) -> None:
        """Give labels other names: new by old."""
        with self._all_or_nothing():
            self._db.executemany(
                "UPDATE staged SET label = ? WHERE label = ?", [(new, old) for old, new in names.items()]
            )

    def of_label(self, label: str) -> list[tuple[int, str | None]]:
        """Return (id, split) of a label's images, sorted by path."""
        return self._db.execute("SELECT id, split FROM staged WHERE label = ? ORDER BY path", (label,)).fetchall()

    def index_labels(self) -> None:
        """Make `of_label` quick; call it when all images are there."""
        self._db.execute("CREATE INDEX by_label ON staged (label, path)")

    def without_split(self) -> str | None:
        """Return the path of an image whose source gives it no split, if there is one."""
        row = self._db.execute("SELECT path FROM staged WHERE split IS NULL ORDER BY path LIMIT 1").fetchone()
        return row[0] if row else None

    def splits(self) -> set[str]:
        """Return the splits that any image has."""
        return {r[0] for r in self._db.execute("SELECT DISTINCT split FROM staged WHERE split IS NOT NULL")}

    def choose(self, chosen: Iterable[tuple[str, int, int]]) -> None:
        """Keep only these images: (split, rank, id)."""
        with self._all_or_nothing():
            self._db.executemany("UPDATE staged SET split = ?, rank = ? WHERE id = ?", chosen)
            self._db.execute("DELETE FROM staged WHERE rank IS NULL")

    def choose_all(self) -> None:
        """Keep all images, in the order in which they came."""
        self._db.execute("UPDATE staged SET rank = id")

    def count(self) -> int:
        """Return how many images there are."""
        return int(self._db.execute("SELECT COUNT(*) FROM staged").fetchone()[0])

    def to_look_at(self) -> Iterator[Staged]:
        """Yield all images in the order in which the source has them."""
        last = 0
        while rows := self._db.execute(
            "SELECT id, path, place, expected FROM staged WHERE id > ? ORDER BY id LIMIT ?", (last, BATCH)
        ).fetchall():
            for row in rows:
                yield Staged(*row)
            last = rows[-1][0]

    def looked(self, good: Iterable[tuple[int, int, int, str, int, int]]) -> None:
        """Keep what was found of good images: bytes, width, height, sha256, mtime, id."""
        with self._all_or_nothing():
            self._db.executemany(
                "UPDATE staged SET bytes = ?, width = ?, height = ?, sha256 = ?, mtime = ? WHERE id = ?", good
            )

    def leave_out_bad(self) -> int:
        """Forget the images that are no good; return how many these were."""
        return self._db.execute("DELETE FROM staged WHERE sha256 IS NULL").rowcount

    def read_from(self) -> Iterator[tuple[str, str, int, int]]:
        """Yield (path, place, bytes, mtime) of all good images."""
        yield from self._db.execute("SELECT path, place, bytes, mtime FROM staged WHERE sha256 IS NOT NULL ORDER BY id")

    def rows(self) -> Iterator[tuple[str, str, str, int, int, int, str]]:
        """Yield (path, label, split, bytes, width, height, sha256) of all good images, in the order of the splits."""
        yield from self._db.execute(
            "SELECT path, label, split, bytes, width, height, sha256 FROM staged WHERE sha256 IS NOT NULL ORDER BY rank"
        )

    def contents(self) -> Iterator[str]:
        """Yield `sha256 split label` of all good images, sorted."""
        for (line,) in self._db.execute(
            "SELECT sha256 || ' ' || split || ' ' || label AS line FROM staged WHERE sha256 IS NOT NULL ORDER BY line"
        ):
            yield line

    def expected(self) -> Iterator[str]:
        """Yield `sha256 split label` of all images as they should be, sorted."""
        for (line,) in self._db.execute(
            "SELECT expected || ' ' || split || ' ' || label AS line FROM staged ORDER BY line"
        ):
            yield line

    def counts(self) -> list[tuple[str, str, int]]:
        """Return (split, label, images)."""
        return self._db.execute(
            "SELECT split, label, COUNT(*) FROM staged WHERE sha256 IS NOT NULL GROUP BY split, label"
        ).fetchall()

    def copies(self) -> Iterator[list[tuple[str, str, str]]]:
        """Yield (path, label, split) of images with the same content, a group at a time."""
        for (group,) in self._db.execute(
            "SELECT json_group_array(json_array(path, label, split)) FROM"
            " (SELECT * FROM staged WHERE sha256 IS NOT NULL ORDER BY rank) GROUP BY sha256 HAVING COUNT(*) > 1"
            " ORDER BY MIN(rank)"
        ):
            yield [tuple(member) for member in json.loads(group)]

    def of_some(self, ids: Iterable[int]) -> Iterator[tuple[str, str, str]]:
        """Yield (label, split, sha256) of some images."""
        for number in ids:
            yield from self._db.execute("SELECT label, split, sha256 FROM staged WHERE id = ?", (number,))

    def spots(self, ids: Iterable[int]) -> Iterator[Spot]:
        """Yield some images as a finding's files."""
        for number in ids:
            yield from self._db.execute("SELECT path, split || ', ' || label FROM staged WHERE id = ?", (number,))

    def same_but_for_case(self) -> Iterator[list[str]]:
        """Yield paths that differ in capitals alone, a group at a time."""
        self._db.create_function("fold", 1, str.casefold, deterministic=True)
        for (group,) in self._db.execute(
            "SELECT json_group_array(path) FROM staged GROUP BY fold(path) HAVING COUNT(*) > 1 ORDER BY MIN(path)"
        ):
            yield json.loads(group)

    # -- what was found

    def flag(self, flags: Iterable[tuple[str, str, str, bool, str, str]]) -> None:
        """Note things about single files: kind, path, a word, whether it is unusable, problem and cure if it is."""
        with self._all_or_nothing():
            self._db.executemany("INSERT INTO flags VALUES (?, ?, ?, ?, ?, ?)", flags)

    def first_bad(self) -> tuple[str, str, str, int] | None:
        """Return (path, problem, cure) of the first file that is unusable, and how many there are."""
        row = self._db.execute("SELECT path, problem, cure FROM flags WHERE bad ORDER BY rowid LIMIT 1").fetchone()
        count = self._db.execute("SELECT COUNT(*) FROM flags WHERE bad").fetchone()[0]
        return (*row, count) if row else None

    def flagged(self) -> list[tuple[str, int]]:
        """Return each kind of flag with how many files have it."""
        return self._db.execute("SELECT kind, COUNT(*) FROM flags GROUP BY kind").fetchall()

    def flagged_files(self, kind: str) -> Iterator[Spot]:
        """Yield the files with a flag, and a word about each."""
        yield from self._db.execute("SELECT path, note FROM flags WHERE kind = ? ORDER BY rowid", (kind,))

    def find(self, kind: str, level: str, what: str, cure: str, files: Iterable[Spot] = ()) -> None:
        """Keep a finding."""
        with self._all_or_nothing():
            number = self._db.execute(
                "INSERT INTO found (kind, level, what, cure, files) VALUES (?, ?, ?, ?, 0)", (kind, level, what, cure)
            ).lastrowid
            self._db.executemany(
                "INSERT INTO found_files VALUES (?, ?, ?, ?)",
                ((number, position, *spot) for position, spot in enumerate(files)),
            )
            self._db.execute(
                "UPDATE found SET files = (SELECT COUNT(*) FROM found_files WHERE found_id = ?1) WHERE id = ?1",
                (number,),
            )

    def findings(self) -> Iterator[tuple[int, str, str, str, str, int]]:
        """Yield (number, kind, level, what, cure, files), the worst first."""
        yield from self._db.execute(
            "SELECT id, kind, level, what, cure, files FROM found ORDER BY"
            " CASE level WHEN 'error' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, id"
        )

    def finding_files(self, number: int) -> Iterator[Spot]:
        """Yield the files of a finding."""
        yield from self._db.execute(
            "SELECT path, note FROM found_files WHERE found_id = ? ORDER BY position", (number,)
        )
