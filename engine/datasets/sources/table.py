"""A CSV or TSV file with the path and the label of each picture, and perhaps its split."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PureWindowsPath

from engine.datasets.labels import LABEL_KEYS, Labels
from engine.datasets.looking import Task
from engine.datasets.sources.base import SPLIT_NAMES, Entry, Passed
from engine.datasets.sources.folder import FolderSource
from engine.datasets.tables import TextTable, wrong

PATHS = ("path", "file", "filename", "file_name", "filepath", "image", "image_path")
SPLITS = ("split", "set", "subset", "fold", "part")
_USUAL = (PATHS, LABEL_KEYS, SPLITS)


class TableSource:
    """Reads a table; its paths are relative to its own folder, or to another one."""

    in_place = True
    labels_given = True
    in_folders = False

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
        names = [(wanted.casefold(),) if wanted else usual for wanted, usual in zip(self._columns, _USUAL, strict=True)]
        table, labels = TextTable(self.table, names), Labels(given=True, source=str(self.table))
        rows = table.rows()
        next(rows, None)
        path, label, split = (self._column(table.header, number) for number in range(3))
        assert path is not None
        assert label is not None
        for line, row in rows:
            yield self._entry(labels, line, row[path].strip(), row[label], None if split is None else row[split])
        labels.check()

    def _column(self, header: list[str], number: int) -> int | None:
        """Return the position of the column of paths (0), labels (1) or splits (2)."""
        what, option = (("paths", "--path-column"), ("labels", "--label-column"), ("splits", "--split-column"))[number]
        wanted = self._columns[number]
        folded = [head.casefold() for head in header]
        names = (wanted.casefold(),) if wanted is not None else _USUAL[number]
        for name in names:
            if folded.count(name) > 1:
                raise wrong(self.table, 1, f"there are several columns {name!r}", "Remove all but one.")
            if name in folded:
                return folded.index(name)
        if wanted is None and number == 2:
            return None
        raise wrong(
            self.table,
            1,
            f"no column of {what} among {', '.join(map(repr, header[:20])) or 'none'}",
            f"Call it {_USUAL[number][0]}, or name it: {option}.",
        )

    def _entry(self, labels: Labels, line: int, path: str, label: str, split: str | None) -> Entry:
        if not path or not label.strip():
            fact = "has no path" if not path else "has no label"
            raise wrong(self.table, line, fact, "Complete the line, or remove it.")
        part = None if split is None else SPLIT_NAMES.get(split.strip().lower())
        if split is not None and part is None:
            raise wrong(self.table, line, f"the split {split!r} is unknown", "Use train, val and test.")
        if "\\" in path or not path.isascii():
            path = self._as_here(path)
        target = (self.path / path).resolve()
        if not target.is_relative_to(self.path):
            raise wrong(
                self.table, line, f"{path!r} leads out of {self.path}", "Give the folder of all pictures: --root."
            )
        # As it lies below the root: `a/../b.jpg` and `b.jpg` are one picture, but a link keeps its own name.
        inside = Path(path).is_absolute() or ".." in Path(path).parts
        relative = target.relative_to(self.path).as_posix() if inside else Path(path).as_posix()
        return Entry(labels.of(label, f"line {line}"), relative, relative, part, f"line {line}: ")

    def _as_here(self, path: str) -> str:
        """Return the path of a file that may be written as on another system: with backslashes, in another form."""
        slashed = PureWindowsPath(path).as_posix() if "\\" in path else path
        for written in (path, *(unicodedata.normalize(form, slashed) for form in ("NFC", "NFD"))):
            with suppress(OSError):  # a name that is too long
                if (self.path / written).exists():
                    return written
        return slashed

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
