"""The catalogue of a dataset: which images, which labels, which split, proven by content."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from engine.datasets.checks import BadImageError, check_image
from engine.datasets.labels import clean_labels
from engine.datasets.sources import Entry, Source, open_source
from engine.datasets.splits import SplitKind, assign
from engine.errors import InputError
from engine.states import Split

Progress = Callable[[str, int, int], None]
THREADS = min(8, (os.cpu_count() or 2) + 2)


@dataclass(frozen=True)
class CatalogImage:
    """One image: its path below the root, label, split, size, and the sha256 of its bytes."""

    path: str
    label: str
    split: Split
    bytes: int
    width: int
    height: int
    sha256: str


@dataclass
class Catalog:
    """A dataset, frozen: `digest` changes whenever an image, a label or the split does."""

    root: Path
    labels: list[str]
    images: list[CatalogImage]
    source: str
    split: str
    seed: int | None
    digest: str


def build_catalog(
    source: Path,
    target: Path,
    *,
    split: SplitKind = "stratified",
    per_class: int | None = None,
    train: int | None = None,
    val: int | None = None,
    test: int | None = None,
    seed: int = 42,
    progress: Progress | None = None,
) -> Catalog:
    """Choose, check and catalogue a source's images.

    A folder's images stay where they are; an archive's chosen ones are unpacked to `target`, which
    appears only when all of them are there.

    Args:
        source: a folder, tar or zip of class folders.
        target: where an archive's images go.
        split: see `engine.datasets.splits.assign`, as the next five.
        per_class: images a class.
        train: training images a class.
        val: validation images a class.
        test: test images a class.
        seed: of the shuffle.
        progress: called with (phase, done, total).

    Raises:
        InputError: names the file or class, what is wrong, and the cure. Nothing is left behind.

    """
    opened = open_source(source)
    try:
        return _build(opened, target, split, (per_class, train, val, test), seed, progress)
    finally:
        opened.close()


def _build(
    source: Source,
    target: Path,
    kind: SplitKind,
    counts: tuple[int | None, int | None, int | None, int | None],
    seed: int,
    progress: Progress | None,
) -> Catalog:
    entries = source.entries()
    if not entries:
        raise InputError(
            f"{source.path}: no images in class folders.",
            "Put each class's images into a folder of its name.",
        )
    labels = clean_labels({entry.folder for entry in entries})
    if len(labels) < 2:
        raise InputError(f"{source.path}: only one class, {next(iter(labels.values()))!r}.", "Give at least two.")
    by_where = {entry.where: entry for entry in entries}
    items: dict[str, list[str]] = {}
    # `sorted` inside `assign` must sort by path, and an archive's `where` may be a mere number.
    names: dict[str, str] = {}
    for entry in entries:
        name = _name(source, entry)
        if names.setdefault(name, entry.where) != entry.where:
            raise InputError(f"{source.path}: {name} is there twice.", "Rename one of the two.")
        items.setdefault(labels[entry.folder], []).append(name)
    per_class, train, val, test = counts
    chosen = assign(items, kind, per_class=per_class, train=train, val=val, test=test, seed=seed)
    partial = None if source.in_place else target.with_name(f".{target.name}.partial")
    try:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True, mode=0o700)
        images = list(_check_all(source, [(by_where[names[n]], label, s) for n, label, s in chosen], partial, progress))
        if partial is not None:
            partial.rename(target)
    except BaseException:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
        raise
    return Catalog(
        root=source.path if source.in_place else target,
        labels=sorted(items),
        images=images,
        source=str(source.path),
        split=kind,
        seed=seed if kind == "stratified" else None,
        digest=_digest(images),
    )


def _name(source: Source, entry: Entry) -> str:
    return entry.where if source.in_place else f"{entry.folder}/{entry.name}"


def _check_all(
    source: Source, chosen: list[tuple[Entry, str, Split]], unpack_to: Path | None, progress: Progress | None
) -> Iterator[CatalogImage]:
    """Check pictures in threads (Pillow decodes without the GIL), a bounded number at a time, in order."""

    def look(entry: Entry, label: str, split: Split) -> CatalogImage:
        path = entry.where if unpack_to is None else f"{entry.folder}/{entry.name}"
        try:
            data = source.read(entry)
            found = check_image(data)
        except OSError as error:
            raise InputError(f"{source.path}/{path}: {error.strerror}.", "Check the file.") from error
        except BadImageError as error:
            raise InputError(f"{source.path}/{path}: {error.problem}.", error.cure) from None
        if unpack_to is not None:
            file = unpack_to / path
            file.parent.mkdir(mode=0o700, exist_ok=True)
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                out.write(data)
        return CatalogImage(path, label, split, found.bytes, found.width, found.height, found.sha256)

    pending: deque[Future[CatalogImage]] = deque()
    done = 0
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            todo = iter(chosen)
            while True:
                with contextlib.suppress(StopIteration):
                    while len(pending) < 4 * THREADS:
                        pending.append(pool.submit(look, *next(todo)))
                if not pending:
                    return
                image = pending.popleft().result()
                done += 1
                if progress is not None and (done % 100 == 0 or done == len(chosen)):
                    progress("checking images", done, len(chosen))
                yield image
        except BaseException:
            for future in pending:
                future.cancel()
            raise


def _digest(images: list[CatalogImage]) -> str:
    lines = sorted(f"{i.sha256} {i.split} {i.label}" for i in images)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
