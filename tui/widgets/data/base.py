"""What all tabs of the data room have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual.containers import Vertical
from textual.worker import Worker

from engine import DatasetView, DogclsError, Engine
from tui.guard import work
from tui.styles.theme import look
from tui.widgets.bar import bar

if TYPE_CHECKING:
    from tui.app import DogclsApp


class DataTab(Vertical):
    """One tab about the chosen dataset. It is drawn when it is in front."""

    FOCUS = ""
    """What has the focus on this tab (a selector)."""

    def __init__(self, engine: Engine, **options: str) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.engine = engine
        self.data: DatasetView | None = None
        self._known: str | None = None
        """The dataset that was read for the last time."""
        self._working: Worker[None] | None = None

    @property
    def desk(self) -> DogclsApp:
        """The app, as what it is."""
        return cast("DogclsApp", self.app)

    @work(exclusive=True, group="draw")
    async def show(self, data: DatasetView) -> None:
        """Show a dataset."""
        self.data = data
        try:
            await self.draw(data, fresh=self._known != data.name)
            self._known = data.name
        except DogclsError as error:
            self.desk.trouble(str(error))
        self.screen.refresh_bindings()  # what can be done depends on what there is

    async def draw(self, data: DatasetView, *, fresh: bool) -> None:
        """Draw all of it; `fresh` where it was another dataset before."""

    def again(self) -> None:
        """Draw what is shown again."""
        if self.data is not None and self.display and self.size.width:
            self.show(self.data)

    def on_resize(self) -> None:
        """What is drawn depends on the width."""
        self.again()

    def forget(self) -> None:
        """Read everything anew the next time."""
        self._known = None

    def more(self) -> None:
        """Show the next of what there are many of."""

    def open(self) -> None:
        """Do what enter does."""

    @property
    def busy(self) -> bool:
        """Whether something is under way that can be stopped."""
        return self._working is not None and self._working.is_running

    def stop(self) -> None:
        """Stop what is under way."""
        if self._working is not None:
            self._working.cancel()


def told(progress: tuple[str, int, int], width: int = 30) -> Text:
    """Return how far a pass over a dataset is."""
    phase, done, total = progress
    return bar(done / total if total else 0.0, width, look().accent).append(f"  {phase} {done:,} of {total:,}")


def dials(rows: Sequence[tuple[str, str, str]]) -> list[tuple[str, Text]]:
    """Return lines for a list of things to choose: id, value, and what it means."""
    at, wide = look(), max(len(name) for name, _, _ in rows)
    return [
        (name, Text.assemble((f"{name:<{wide}}  ", at.dim), (value, f"bold {at.accent}"), (f"  {meaning}", at.dim),
                             no_wrap=True, overflow="ellipsis"))
        for name, value, meaning in rows
    ]  # fmt: skip
