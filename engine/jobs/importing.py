"""Adds a dataset: catalogues the source, then writes it to the store in one go; and checks one again."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from engine.datasets.catalog import Catalog, build_catalog, digest_of
from engine.datasets.examining import examine
from engine.datasets.findings import CheckReport, Finding
from engine.datasets.kinds import PASSED, UNUSABLE
from engine.datasets.sources.folder import FolderSource
from engine.errors import InputError
from engine.events import DatasetView
from engine.jobs.paths import Home
from engine.store import Store
from engine.store.findings import of_the_source, write_findings
from engine.store.staging import Staging

Progress = Callable[[str, int, int], None]
DEMO = "demo"
DIGITS = "digits"
STANFORD_DOGS = "stanford-dogs"
DEMO_COUNTS = {"train": 40, "val": 5, "test": 26}
"""Pictures a breed: with 12 breeds or more, over 300 test pictures."""
WHERE = 100
"""So many files of a finding are read with it; the rest by the page."""
BATCH = 1000


def add_dataset(
    store: Store,
    home: Home,
    source: str,
    name: str,
    progress: Progress | None,
    options: dict[str, Any],
) -> DatasetView:
    """Add a dataset; see `Engine.add_dataset`."""
    if not re.fullmatch(r"[\w][\w.-]{0,63}", name):
        raise InputError(f"{name!r} cannot be a dataset's name.", "Use letters, digits, - and _.")
    if store.datasets.exists(name):
        raise _taken(name)
    for left in home.datasets.glob(".*.partial"):  # by an import that was killed
        with suppress(InputError), _alone(home.datasets, left.name[1 : -len(".partial")]):
            shutil.rmtree(left, ignore_errors=True)
    with _alone(home.datasets, name):
        return _add(store, home, source, name, progress, options)


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    """Hold a dataset's name against another process that adds one. The lock goes with the process, however that ends.

    Raises:
        InputError: somebody holds it.

    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f".{name}.lock"
    while True:
        held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)
            what = f"A dataset {name!r} is just being added by another process."
            raise InputError(what, "Wait for its end, or choose another --name.") from None
        except OSError:  # a file system without locks
            break
        with suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(held).st_ino:
                break
        os.close(held)  # who held it has just removed it
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(held)


def _add(
    store: Store, home: Home, source: str, name: str, progress: Progress | None, options: dict[str, Any]
) -> DatasetView:
    target = home.datasets / name
    if store.datasets.exists(name):  # by now
        raise _taken(name)
    if target.exists():  # left by an import that was killed before the store knew of it
        shutil.rmtree(target)
    started = time.perf_counter()
    catalog = None
    try:
        catalog = _catalog(home, source, target, progress, dict(options))
        staging, count = catalog.staging, catalog.staging.count()
        store.datasets.add(
            name,
            source=catalog.source,
            root=catalog.root,
            split=catalog.split,
            seed=catalog.seed,
            digest=catalog.digest,
            labels=catalog.labels,
            images=catalog.rows(),
            found=lambda db, number: write_findings(db, number, staging, count, time.perf_counter() - started),
        )
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    finally:
        if catalog is not None:
            catalog.close()
    return store.datasets.get(name)


def _taken(name: str) -> InputError:
    return InputError(f"There is a dataset {name!r} already.", "Choose another --name.")


def _catalog(home: Home, source: str, target: Path, progress: Progress | None, options: dict[str, Any]) -> Catalog:
    if source == DEMO:
        return _demo(target, progress, options)
    licence = {key: options.pop(key, None) for key in ("accept_licence", "crop_boxes", "url")}
    if source == STANFORD_DOGS:
        from engine.datasets.sources.stanford import stanford_dogs

        given: dict[str, Any] = {key: value for key, value in licence.items() if value}
        dogs = stanford_dogs(home.cache / STANFORD_DOGS, progress=progress, **given)
        catalog = build_catalog(dogs, target, progress=progress, **options)
        catalog.source = f"{STANFORD_DOGS}, cropped" if licence["crop_boxes"] else STANFORD_DOGS
        return catalog
    for option in ("crop_boxes", "url"):
        if licence[option]:
            raise InputError(f"{source}: only stanford-dogs has that (--{option.replace('_', '-')}).", "Leave it out.")
    if source == DIGITS:
        from engine.datasets.sources.digits import DigitsSource

        catalog = build_catalog(DigitsSource(), target, progress=progress, **options)
        catalog.source = DIGITS
        return catalog
    return build_catalog(Path(source).expanduser(), target, progress=progress, **options)


def _demo(target: Path, progress: Progress | None, options: dict[str, Any]) -> Catalog:
    from engine.datasets.demo import write_demo_set

    options = {**DEMO_COUNTS, **{key: value for key, value in options.items() if value is not None}}
    counts = {split: options[split] for split in DEMO_COUNTS}
    seed = options.get("seed", 42)
    write_demo_set(
        target,
        sum(counts.values()),
        seed=seed,
        progress=(lambda done, total: progress("drawing dogs", done, total)) if progress else None,
    )
    catalog = build_catalog(target, target, split="stratified", seed=seed, progress=progress, **counts)
    catalog.source = DEMO
    return catalog


def check_dataset(
    store: Store, name: str, progress: Progress | None = None, *, processes: int | None = None
) -> CheckReport:
    """Look at all images of a catalogued dataset again, and keep what is found; see `Curating.check`."""
    dataset = store.datasets.get(name)
    started = time.perf_counter()
    staging = Staging()
    try:
        rows = []
        for path, label, split, sha256 in store.datasets.catalogued(name):
            rows.append((path, path, "", label, split, sha256))
            if len(rows) == BATCH:
                staging.put(rows)
                rows.clear()
        staging.put(rows)
        staging.choose_all()
        count = staging.count()
        # The source is not looked at again: what it had besides these images stays told.
        left_out = of_the_source(store.db, name, [*UNUSABLE, *PASSED])
        staging.flag((kind, path, note, False, "", "") for kind, path, note in left_out)
        frozen = digest_of(staging.expected())
        examine(staging, FolderSource(Path(dataset.root)), progress=progress, processes=processes)
        if frozen != dataset.digest:
            what = f"the catalogue is not the one that was frozen ({dataset.digest[:16]}, now {frozen[:16]})"
            staging.find("digest", "error", what, "Somebody has written to the store; add the set again.")
        store.findings.keep(name, staging, count, time.perf_counter() - started)
    finally:
        staging.close()
    return report(store, name)


def report(store: Store, name: str) -> CheckReport:
    """Return what the last check of a dataset came to.

    Raises:
        NotFoundError: there is no such dataset.
        InputError: it was never checked.

    """
    store.datasets.get(name)
    checked = store.findings.checked(name)
    if checked is None:
        raise InputError(f"Dataset {name!r} was never checked.", f"See: dogcls-tui data check {name}")
    at, images, seconds = checked
    return CheckReport(name, images, seconds, at, tuple(store.findings.counts(name)))


def findings(store: Store, name: str, offset: int, limit: int, kind: str | None = None) -> list[Finding]:
    """Return some findings of a dataset's last check, each with the first of its files."""
    found = []
    for f in store.findings.page(name, offset, limit, kind):
        where = tuple(_spot(*spot) for spot in store.findings.files(f.id, 0, WHERE))
        found.append(Finding(f.level, f.what, where, f.cure, f.kind, f.files, f.id))
    return found


def _spot(path: str, note: str) -> str:
    return f"{path} ({note})" if note else path
