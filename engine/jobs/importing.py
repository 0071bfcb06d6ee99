"""Adds a dataset: catalogues the source, then writes it to the store in one go."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.datasets.catalog import Catalog, build_catalog
from engine.errors import InputError
from engine.events import DatasetView
from engine.jobs.paths import Home
from engine.store import Store

DEMO = "demo"
DEMO_COUNTS = {"train": 40, "val": 5, "test": 26}
"""Pictures a breed: with 12 breeds or more, over 300 test pictures."""


def add_dataset(
    store: Store,
    home: Home,
    source: str,
    name: str,
    progress: Callable[[str, int, int], None] | None,
    options: dict[str, Any],
) -> DatasetView:
    """Add a dataset; see `Engine.add_dataset`."""
    if not re.fullmatch(r"[\w][\w.-]{0,63}", name):
        raise InputError(f"{name!r} cannot be a dataset's name.", "Use letters, digits, - and _.")
    if store.datasets.exists(name):
        raise InputError(f"There is a dataset {name!r} already.", "Choose another --name.")
    target = home.datasets / name
    if target.exists():  # left by an import that was killed before the store knew of it
        shutil.rmtree(target)
    try:
        catalog = _demo(target, progress, options) if source == DEMO else _source(source, target, progress, options)
        store.datasets.add(
            name,
            source=catalog.source,
            root=catalog.root,
            split=catalog.split,
            seed=catalog.seed,
            digest=catalog.digest,
            labels=catalog.labels,
            images=(
                (i.path, catalog.labels.index(i.label), i.split, i.bytes, i.width, i.height, i.sha256)
                for i in catalog.images
            ),
        )
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return store.datasets.get(name)


def _source(
    source: str, target: Path, progress: Callable[[str, int, int], None] | None, options: dict[str, Any]
) -> Catalog:
    return build_catalog(Path(source).expanduser(), target, progress=progress, **options)


def _demo(target: Path, progress: Callable[[str, int, int], None] | None, options: dict[str, Any]) -> Catalog:
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
