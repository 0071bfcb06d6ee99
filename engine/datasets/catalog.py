"""The catalogue of a dataset: which images, which labels, which split, proven by content.

Nothing here grows with the set but 89 bytes an image of fingerprints, and the ids of one class: images are staged on
disk (`engine.store.staging`) on their way from the source to the store.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from engine.datasets.examining import Progress, examine, flag_passed, refuse_bad
from engine.datasets.labels import Labels, whole_numbers
from engine.datasets.layout import lay_out, refuse_doubtful
from engine.datasets.sources import Passed, Source, open_source
from engine.datasets.splits import SplitKind, SplitPlan
from engine.errors import InputError
from engine.states import Split
from engine.store.staging import StagedRow, Staging

BATCH = 1000


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
    """A dataset, frozen: `digest` changes whenever an image, a label or the split does. Close it after use."""

    root: Path
    labels: list[str]
    source: str
    split: str
    seed: int | None
    digest: str
    staging: Staging

    @property
    def images(self) -> list[CatalogImage]:
        """All images at once; for sets that are small."""
        return [
            CatalogImage(path, label, Split(split), size, width, height, sha256)
            for path, label, split, size, width, height, sha256 in self.staging.rows()
        ]

    def rows(self) -> Iterator[tuple[str, int, str, int, int, int, str]]:
        """Yield the images one by one, as the store takes them."""
        positions = {label: n for n, label in enumerate(self.labels)}
        for path, label, split, size, width, height, sha256 in self.staging.rows():
            yield path, positions[label], split, size, width, height, sha256

    def close(self) -> None:
        """Forget it."""
        self.staging.close()


def build_catalog(
    source: Path | Source,
    target: Path,
    *,
    split: SplitKind | None = None,
    per_class: int | None = None,
    train: int | None = None,
    val: int | None = None,
    test: int | None = None,
    seed: int = 42,
    skip_bad: bool = False,
    class_level: int | None = None,
    accept_classes: bool = False,
    progress: Progress | None = None,
    processes: int | None = None,
    **reading: Any,
) -> Catalog:
    """Choose, check and catalogue a source's images.

    A folder's images stay where they are; an archive's chosen ones are unpacked to `target`, which
    appears only when all of them are there.

    Args:
        source: a path (see `engine.datasets.sources.open_source`), or a source that is open, which will be closed.
        target: where images go that cannot be used in place.
        split: see `engine.datasets.splits`, as the next five; the official one where the source has it, unless given.
        per_class: images a class.
        train: training images a class.
        val: validation images a class.
        test: test images a class.
        seed: of the shuffle.
        skip_bad: leave out what cannot be used; it is among the findings.
        class_level: which level of folders is the class, where their names leave that open; 1 is the topmost.
        accept_classes: take classes whose names are those of files, splits or containers, a date, or `None`.
        progress: called with (phase, done, total).
        processes: see `engine.datasets.looking.look_at_all`.
        reading: more options of `open_source`.

    Raises:
        InputError: names the file or class, what is wrong, and the cure. Nothing is left behind.

    """
    opened = open_source(source, **reading) if isinstance(source, Path) else source
    staging = Staging()
    partial = None if opened.in_place else target.with_name(f".{target.name}.partial")
    counts = {"per_class": per_class, "train": train, "val": val, "test": test, "seed": seed}
    try:
        with closing(opened):
            labels = _list(opened, staging, progress, class_level, accept_classes=accept_classes)
            if not skip_bad:
                refuse_bad(staging, opened)
            kind = _choose(opened, staging, labels, split, counts)
            kept = staging.splits()
            if partial is not None:
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir(parents=True, mode=0o700)
            examine(staging, opened, partial, progress, skip_bad=skip_bad, processes=processes)
            _complete(opened, staging, labels, kept)
            if partial is not None:
                partial.rename(target)
    except BaseException:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
        staging.close()
        raise
    return Catalog(
        root=opened.path if opened.in_place else target,
        labels=labels,
        source=str(source if isinstance(source, Path) else opened.path),
        split=kind,
        seed=None if kind == "article" else seed,
        digest=digest_of(staging.contents()),
        staging=staging,
    )


def digest_of(contents: Iterable[str]) -> str:
    """Return the digest of lines `sha256 split label`, which come sorted."""
    digest = hashlib.sha256()
    for number, line in enumerate(contents):
        digest.update(f"\n{line}".encode() if number else line.encode())
    return digest.hexdigest()


def _list(
    source: Source, staging: Staging, progress: Progress | None, class_level: int | None, *, accept_classes: bool
) -> list[str]:
    """Stage all of a source's images; return their labels."""
    if class_level is not None and not source.in_folders:
        raise InputError(f"{source.path}: its labels are not folders (--class-level).", "Leave --class-level out.")
    labels = Labels(accept="add --accept-classes")
    rows: list[StagedRow] = []
    passed: list[Passed] = []
    unsure: set[str] = set()
    count = 0

    def keep() -> None:
        twice = staging.put(rows)
        if twice is not None:
            raise InputError(f"{source.path}: {twice} is there twice.", "Rename or remove one of the two.")
        flag_passed(staging, passed)
        rows.clear()
        passed.clear()

    for entry in source.scan():
        if isinstance(entry, Passed):
            passed.append(entry)
        else:
            count += 1
            as_it_is = source.labels_given or source.in_folders
            label = entry.folder if as_it_is else labels.of(entry.folder)
            if entry.unsure:
                unsure.add(entry.folder)
            rows.append((entry.path, entry.where, entry.origin, label, entry.split, None))
        if len(rows) >= BATCH or len(passed) >= BATCH:
            keep()
            if progress is not None and count % (10 * BATCH) == 0:
                progress("listing images", count, count)
    keep()
    splits: list[str] = []
    if source.in_folders:
        splits = _lay_out(source, staging, labels, class_level, None if accept_classes else unsure)
        if not accept_classes:
            labels.check()
    if not staging.count():
        bad = staging.first_bad()
        if bad is not None:
            refuse_bad(staging, source)
        below = f" below {', '.join(splits)}" if splits else ""
        raise InputError(
            f"{source.path}: no images in class folders{below}.",
            f"Put each class's images into a folder of its name{below}.",
        )
    staging.index_labels()
    staging.rename_labels(whole_numbers(staging.labels()))
    found = staging.labels()
    if len(found) < 2 and staging.first_bad() is not None:  # which may be the pictures of the others
        refuse_bad(staging, source)
    if len(found) < 2:
        raise InputError(f"{source.path}: only one class, {found[0]!r}.", "Give at least two.")
    return found


def _lay_out(
    source: Source, staging: Staging, labels: Labels, class_level: int | None, unsure: set[str] | None
) -> list[str]:
    """Find the label and the split of every folder; return the splits that there are.

    Args:
        source: which.
        staging: has its images, with their folders as labels.
        labels: of its class folders.
        class_level: see `lay_out`.
        unsure: folders whose names may be wrong; None where all names of classes are accepted.

    Raises:
        InputError: see `engine.datasets.layout`; or an archive has a file where it has a folder.

    """
    where, folders = str(source.path), staging.folders()
    for folder in {folder for path in folders for folder in (path, *map(str, PurePosixPath(path).parents))}:
        if not source.in_place and staging.has_path(folder):
            raise InputError(f"{where}: {folder} is both a picture and a folder.", "Rename one of the two.")
    places = lay_out(folders, where, class_level)
    classes: Counter[str] = Counter()
    for folder, place in places.items():
        if place.name is not None:
            classes[place.name] += folders[folder]
    splits = {str(place.split) for place in places.values() if place.split is not None}
    if len(classes) > 1 and unsure is not None:
        doubted = {str(places[folder].name) for folder in unsure if not (places[folder].name or "").isascii()}
        refuse_doubtful(classes, doubted, where, split=bool(splits))
    named = {place.name: labels.of(place.name, listed=unsure is None) for place in places.values() if place.name}
    staging.lay_out((folder, named.get(place.name or ""), place.split) for folder, place in places.items())
    return [str(split) for split in Split if split in splits]


def _choose(
    source: Source, staging: Staging, labels: list[str], kind: SplitKind | None, counts: dict[str, int | None]
) -> SplitKind:
    """Keep the images that the split wants, each in its part; return the kind of split."""
    if kind is None:
        kind = "official" if staging.splits() else "stratified"
    if kind == "official":
        unknown = staging.without_split()
        if unknown is not None:
            raise InputError(
                f"{source.path}/{unknown}: the source says no split for it.",
                "Move it below train, val or test (or fill the column of splits), or choose --split stratified.",
            )
        if Split.TEST not in staging.splits():
            raise InputError(
                f"{source.path}: no test images in class folders, only {' and '.join(sorted(staging.splits()))}.",
                "Add a test part, or choose --split stratified, which draws one.",
            )
    plan = SplitPlan(kind, **counts, parts=staging.splits())

    def chosen() -> Iterator[tuple[str, int, int]]:
        rank = 0
        for label in labels:
            of_label = [(number, Split(split) if split else None) for number, split in staging.of_label(label)]
            for number, split in plan.of_class(label, of_label):
                rank += 1
                yield split, rank, number

    staging.choose(chosen())
    return kind


def _complete(source: Source, staging: Staging, labels: list[str], splits: set[str]) -> None:
    """See that every class is still in every one of the splits after unusable images were left out."""
    there = {(split, label) for split, label, _ in staging.counts()}
    for label in labels:
        for split in Split:
            if split in splits and (split, label) not in there:
                raise InputError(
                    f"{source.path}: the class {label!r} has no {split} image left that can be used.",
                    "Replace the unusable ones, or leave the class out.",
                )
