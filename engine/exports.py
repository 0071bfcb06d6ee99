"""Request files of a dataset, for whoever holds an engine, and for a command that has no time to open one.

Everything here blocks: a screen calls it in a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.jobs.paths import Home, open_home
from engine.store.db import Database

if TYPE_CHECKING:
    from engine.datasets.export import Exported
    from engine.jobs.choices import Choice
    from engine.jobs.exporting import Order


class Exports:
    """Writes request files, and tells before what they will be."""

    def __init__(self, db: Database, home: Home) -> None:
        self._db = db
        self._home = home

    @classmethod
    def open(cls, home: Path | None, *, readonly: bool = False) -> Exports:
        """Open a home's store alone, without its settings; see `Engine`."""
        found = open_home(home, readonly=readonly)
        return cls(Database(found.store, readonly=found.readonly), found)

    def close(self) -> None:
        """Close the store."""
        self._db.close()

    def cautions(self, order: Order) -> list[str]:
        """Return what is worth knowing of an order before it is written; raises NotFoundError."""
        from engine.jobs.exporting import Producer

        return Producer(self._db, order).cautions()

    def choices(self, order: Order, **how: Any) -> list[Choice]:
        """Return what each form of the images would come to; see `engine.jobs.choices`; raises NotFoundError."""
        from engine.azure.prices import load_prices
        from engine.jobs.choices import choices

        return choices(self._db, order, load_prices(self._home.prices), **how)

    def write(
        self,
        order: Order,
        to: Path,
        *,
        skip_bad: bool = False,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> tuple[Exported, list[str]]:
        """Write an order, going on where an earlier run ended; see `engine.jobs.exporting.write`."""
        from engine.jobs.exporting import write

        return write(self._db, order, to, skip_bad=skip_bad, progress=progress)

    def batch_deployment(self, profile: str | None) -> str:
        """Return the batch deployment that a profile's settings name; "" where they name none."""
        from engine.settings import load_settings

        settings = load_settings(self._home.root)
        profile = profile or settings.default_profile()
        return "" if profile == "demo" else settings.resource(profile).batch_deployment or ""
