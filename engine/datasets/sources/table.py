"""A CSV file with the path and the label of each picture, and perhaps its split."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from engine.datasets.looking import Task
from engine.datasets.sources.base import SPLIT_NAMES, Entry, Passed
from engine.datasets.sources.folder import FolderSource
from engine.errors import InputError

PATHS = ("path", "file", "filename", "file_name", "filepath", "image", "image_path")
LABELS = ("label", "class", "category", "class_name", "target", "breed")
SPLITS = ("split", "set", "subset", "fold", "part")


class TableSource:
    """Reads a CSV file; its paths are relative to its own folder, or to another one."""

    in_place = True
    labels_given = True

    def __init__(
        self,
        path: Path,
        root: Path | None = None,
        path_column: str | None = None,
        label_column: str | None = None,
        split_column: str | None = None,
    ) -> None:
        self.table = path
        self._files = FolderSource(root or path.parent)
        self.path = self._files.path
        self._columns = (path_column, label_column, split_column)

    def scan(self) -> Iterator[Entry | Passed]:
        """List the pictures."""
        try:
            with self.table.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file)
                heads = [head.strip() for head in next(reader, [])]
                path, label = (self._column(heads, n) for n in (0, 1))
                split = self._column(heads, 2)
                assert path is not None
                assert label is not None
                for row in reader:
                    if row:
                        yield self._entry(row, reader.line_num, path, label, split)
        except UnicodeDecodeError as error:
            raise InputError(f"{self.table}: not UTF-8 ({error.reason}).", "Save it as UTF-8.") from None
        except csv.Error as error:
            raise InputError(f"{self.table}: line {reader.line_num}: {error}.", "Correct the line.") from None
        except OSError as error:
            raise InputError(f"{self.table}: {error.strerror}.", "Check the file.") from None

    def _column(self, heads: list[str], number: int) -> int | None:
        """Return the position of the column of paths (0), labels (1) or splits (2)."""
        what, option, usual = (
            ("paths", "--path-column", PATHS),
            ("labels", "--label-column", LABELS),
            ("splits", "--split-column", SPLITS),
        )[number]
        wanted = self._columns[number]
        folded = [head.casefold() for head in heads]
        names = (wanted.casefold(),) if wanted is not None else usual
        for name in names:
            if name in folded:
                return folded.index(name)
        if wanted is None and number == 2:
            return None
        raise InputError(
            f"{self.table}: line 1: no column of {what} among {', '.join(map(repr, heads[:20])) or 'none'}.",
            f"Call it {usual[0]}, or name it: {option}.",
        )

    def _entry(self, row: list[str], line: int, path_at: int, label_at: int, split_at: int | None) -> Entry | Passed:
        def wrong(what: str, cure: str) -> InputError:
            return InputError(f"{self.table}: line {line}: {what}.", cure)

        if len(row) <= max(path_at, label_at, split_at or 0):
            raise wrong(f"has {len(row)} columns", "Complete the line.")
        path, label = row[path_at].strip(), row[label_at].strip()
        if not path or not label:
            raise wrong("has no path" if not path else "has no label", "Complete the line, or remove it.")
        split = None
        if split_at is not None:
            split = SPLIT_NAMES.get(row[split_at].strip().lower())
            if split is None:
                raise wrong(f"the split {row[split_at]!r} is unknown", "Use train, val and test.")
        if "\0" in path:
            raise wrong("the path has a zero byte", "Correct the line.")
        target = (self.path / path).resolve()
        if not target.is_relative_to(self.path):
            raise wrong(f"{path!r} leads out of {self.path}", "Give the folder of all pictures: --root.")
        # As it lies below the root: `a/../b.jpg` and `b.jpg` are one picture, but a link keeps its own name.
        inside = Path(path).is_absolute() or ".." in Path(path).parts
        relative = target.relative_to(self.path).as_posix() if inside else Path(path).as_posix()
        return Entry(label, relative, relative, split, f"line {line}: ")

    def task(self, number: int, path: str, where: str, to: str | None) -> Task:
        """Let the file be read where it is looked at."""
        return self._files.task(number, path, where, to)

    def unpacked_bytes(self) -> int:
        """Nothing is unpacked."""
        return 0

    def same(self, where: str, size: int, mtime: int) -> bool:
        """Look at the file once more."""
        return self._files.same(where, size, mtime)

    def close(self) -> None:
        """Nothing is open."""
