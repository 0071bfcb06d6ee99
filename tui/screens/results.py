"""The comparison, what may be concluded from it, and what is behind it: one tab each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.widgets import TabbedContent, TabPane

from engine import ACTIVE, DogclsError, ExperimentView, JobView
from tui.bridge import COMPARISON, Compared, Looked
from tui.guard import work
from tui.screens.base import Room
from tui.screens.export import export
from tui.screens.measure import MeasureScreen
from tui.screens.papers import TextScreen
from tui.screens.terms import TermsScreen
from tui.text import one_line
from tui.widgets.comparison import ComparisonTable
from tui.widgets.tables import Table
from tui.widgets.tabs.about import AboutTab
from tui.widgets.tabs.base import Sheet, View
from tui.widgets.tabs.classes import ClassesTab
from tui.widgets.tabs.confusion import ConfusionTab
from tui.widgets.tabs.cost import CostTab
from tui.widgets.tabs.differences import DifferencesTab
from tui.widgets.tabs.disagreements import DisagreementsTab
from tui.widgets.tabs.latency import LatencyTab
from tui.widgets.tabs.suspects import SuspectsTab
from tui.widgets.verdict import VerdictLine, nothing_yet

if TYPE_CHECKING:
    from engine import Analysis, Comparison, Findings, Terms

HORIZONS = (1, 3, 6, 12, 24, 36, 60)
"""Months that `<` and `>` go through."""
_WHERE = {
    "contestant": ("classes", "confusion"),
    "pair": ("disagreements", "differences"),
    "sift": ("disagreements",),
    "open": ("differences",),
    "terms": ("cost", "about"),
    "volume": ("cost",),
    "horizon": ("cost",),
}
"""Keys that do something on some tabs only."""


class ResultsScreen(Room):
    """The verdict in a sentence, the table, and tabs below."""

    ROOM = "results"
    WANTS = (COMPARISON,)
    FIRST = "#comparison"

    def __init__(self) -> None:
        super().__init__()
        self._experiments: list[ExperimentView] = []
        self._jobs: list[JobView] = []
        self._comparison: Comparison | None = None
        self._compared = False
        self._found: Findings | None = None
        self._terms: Terms | None = None
        """Under which money is computed: the home's."""
        self._setting = 0
        """Changes of the terms that are not written yet."""
        self._one = 0
        """The contestant that a tab shows."""
        self._pair = 0
        """The two that a tab shows, as a number of the differences."""
        self._loading = self._stale = False

    def body(self) -> ComposeResult:
        """Lay it out."""
        yield VerdictLine(id="verdict")
        yield ComparisonTable(id="comparison", classes="pane", words=False)
        browse = self.engine.browse
        with TabbedContent(initial="classes", id="tabs"):
            with TabPane("Classes", id="classes"):
                yield ClassesTab()
            with TabPane("Confusion", id="confusion"):
                yield ConfusionTab()
            with TabPane("Disagreements", id="disagreements"):
                yield DisagreementsTab(browse)
            with TabPane("Suspects", id="suspects"):
                yield SuspectsTab(browse)
            with TabPane("Latency", id="latency"):
                yield LatencyTab()
            with TabPane("Cost", id="cost"):
                yield CostTab()
            with TabPane("Differences", id="differences"):
                yield DifferencesTab()
            with TabPane("About", id="about"):
                yield AboutTab()

    # -- what is there

    @on(Looked)
    def _looked(self, message: Looked) -> None:
        self._experiments, self._jobs = message.experiments, message.own_jobs
        self.query_one(ComparisonTable).stand(self._jobs)
        if self._compared and self._found is None:
            self._say()

    @on(Compared)
    def _told_comparison(self, message: Compared) -> None:
        before = self._comparison.experiment if self._comparison is not None else None
        self._comparison, self._compared = message.comparison, True
        table = self.query_one(ComparisonTable)
        table.show(message.comparison)
        table.border_title = Text("Comparison")
        if message.comparison is not None:
            table.border_title = Text(f"Comparison of {one_line(message.comparison.experiment, 40)}")
        if message.comparison is None or message.comparison.experiment != before:
            self._found = None
        self._refresh_findings()

    def _refresh_findings(self) -> None:
        """Have everything reckoned again; where that is under way, once more when it is done."""
        if self._loading:
            self._stale = True
        else:
            self._load()

    @work(group="findings")
    async def _load(self) -> None:
        """Read and reckon, while the keys go on working."""
        self._loading = True
        try:
            while True:
                self._stale = False
                comparison = self._comparison
                if comparison is None or not comparison.contestants:
                    self._found = None
                    break
                self._say()
                found = await self.engine.outcomes.findings(comparison.experiment, chosen=self.bridge.chosen)
                if not self._setting:
                    self._terms = found.terms
                if self._comparison is not None and self._comparison.experiment == comparison.experiment:
                    if self._found is None:
                        self._one, self._pair = first_look(found.analysis)
                    self._found = found
                if not self._stale:
                    break
        except DogclsError as error:
            self.desk.trouble(str(error))
        finally:
            self._loading = False
        self._say()
        self._draw()
        self.refresh_bindings()

    # -- what is shown

    def _say(self) -> None:
        """Say the verdict, or why there is none and what to press."""
        line = self.query_one(VerdictLine)
        why = nothing_yet(self._experiments, self._jobs, self._comparison) if self._compared else ""
        if self.has_class("bare") != (self._comparison is None or bool(why)):
            self.toggle_class("bare")  # no inline style: it would outdo the zoom
            self.call_after_refresh(self._keep_focus)
            self.refresh_bindings()
        if why:
            line.tell(why)
        elif self._found is None:
            line.tell("Reading the answers and reckoning …")
        else:
            busy = any(j.state in ACTIVE for j in self._jobs)
            line.show(self._found.analysis, busy=busy, reckoning=self._loading)

    def _keep_focus(self) -> None:
        """Give the focus back to the table: it has lost it if it was hidden meanwhile."""
        if self.focused is None and not self.has_class("bare"):
            self.query_one(self.FIRST).focus()

    @on(TabbedContent.TabActivated)
    def _tab(self) -> None:
        self._draw()
        self.refresh_bindings()

    def tab_shown(self, tab: str) -> None:
        """Give the focus to what is in front."""
        self.query_one(self._front.FOCUS).focus()

    @property
    def _front(self) -> Sheet:
        """The tab in front."""
        return self.query_one(f"#{self.query_one(TabbedContent).active}").query_one(Sheet)

    def _draw(self) -> None:
        """Draw the tab in front; the others when they come to the front."""
        if self._found is None:
            return
        pairs = len(self._found.analysis.differences)
        self._one %= max(1, len(self._found.analysis.contestants))
        self._pair %= max(1, pairs)
        self._front.show(View(self._found, self._one, self._pair))

    @on(DifferencesTab.Chosen)
    def _pair_chosen(self, message: DifferencesTab.Chosen) -> None:
        self._pair = message.pair

    # -- what the reader does

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only the keys that would do something now."""
        if action in ("export", "sort", "baseline", "measure", "zoom", "tab", *_WHERE) and self.has_class("bare"):
            return False
        if action in ("export", "measure", *_WHERE) and self._found is None:
            return False
        return action not in _WHERE or self.query_one(TabbedContent).active in _WHERE[action]

    def action_sort(self) -> None:
        """Sort what has the focus by something else."""
        focused = self.focused
        inside = focused is not None and self._front in focused.ancestors
        if not (inside and self._front.sort()):
            self.query_one(ComparisonTable).next_order()

    def action_baseline(self) -> None:
        """Hold the others against the next contestant."""
        if self._comparison is None:
            return
        names = [c.name for c in self._comparison.contestants]
        now = next((d.baseline for d in self._comparison.differences), names[0])
        self.bridge.choose_baseline(names[(names.index(now) + 1) % len(names)])

    def action_contestant(self) -> None:
        """Show the next contestant where a tab shows one."""
        self._one += 1
        self._draw()

    def action_pair(self, step: int = 1) -> None:
        """Show the next two contestants where a tab shows two."""
        self._pair += step
        self._draw()

    def action_sift(self) -> None:
        """Show others of the same kind."""
        self._front.sift()

    def action_open(self) -> None:
        """Go to the images that tell the chosen pair apart."""
        self.query_one(TabbedContent).active = "disagreements"
        self.tab_shown("disagreements")

    def action_experiment(self) -> None:
        """Go to the next experiment."""
        names = [e.name for e in self._experiments]
        if self.bridge.experiment in names:
            self.bridge.choose_experiment(names[(names.index(self.bridge.experiment) + 1) % len(names)])

    def action_zoom(self) -> None:
        """Give the tab the whole screen, or the sentence and the table their place again."""
        self.toggle_class("zoomed")
        if self.has_class("zoomed"):
            self.tab_shown(self.query_one(TabbedContent).active)

    def action_back(self) -> None:
        """Out of the zoom."""
        self.remove_class("zoomed")

    @work
    async def action_measure(self) -> None:
        """Judge the contestants by another measure, and keep that with the experiment."""
        experiment, found = self.bridge.experiment, self._found
        if experiment is None or found is None:
            return
        typed = await self.app.push_screen_wait(MeasureScreen(found.analysis.judged.measure.name))
        if typed is None or experiment != self.bridge.experiment:
            return
        chosen = await self.desk.doing(self.engine.outcomes.choose(experiment, *typed))
        if isinstance(chosen, tuple):
            if not self.engine.readonly:
                await self.desk.doing(self.engine.outcomes.keep(experiment, chosen))
            self.bridge.choose_measure(chosen if self.engine.readonly else None)

    # -- money

    def _change_terms(self, terms: Terms) -> None:
        if terms != self._terms:
            self._terms = terms
            self._setting += 1
            self._set_terms(terms)

    @work(group="terms")
    async def _set_terms(self, terms: Terms) -> None:
        """Set the home's terms, by which pilot, launch and reports compute as well."""
        try:
            await self.desk.doing(self.engine.outcomes.set_terms(terms))
        finally:
            self._setting -= 1
        self._refresh_findings()

    def action_volume(self, step: int = 1) -> None:
        """More images a month, or fewer, by steps of 1, 2, 5, 10, 20."""
        if self._terms is not None:
            self._change_terms(with_volume(self._terms, step))

    def action_horizon(self, step: int = 1) -> None:
        """A longer horizon, or a shorter one."""
        if self._terms is not None:
            self._change_terms(with_horizon(self._terms, step))

    @work
    async def action_terms(self) -> None:
        """Ask for all terms."""
        if self._terms is None:
            return
        terms = await self.app.push_screen_wait(TermsScreen(self._terms))
        if terms is not None:
            self._change_terms(terms)

    # -- what is taken away

    @work
    async def action_export(self) -> None:
        """Write it in a form, and show where."""
        if self._found is not None:
            await export(self.desk, self._found)

    @work
    async def action_code(self) -> None:
        """Show the call to the tuned deployment."""
        if self.bridge.experiment:
            text = await self.desk.doing(self.engine.browse.call(self.bridge.experiment))
            if isinstance(text, str):
                await self.app.push_screen_wait(TextScreen("Call the tuned deployment", text))

    def repaint(self) -> None:
        """Draw everything in other colours."""
        for table in self.query(Table):
            table.redraw()
        super().repaint()


def first_look(analysis: Analysis) -> tuple[int, int]:
    """Return whom to look at first: the best contestant, and the pair of it and whoever comes nearest."""
    best = analysis.verdict.best
    names = [c.name for c in analysis.contestants]
    pairs = [(d.p_holm, -n) for n, d in enumerate(analysis.differences) if best in (d.a, d.b)]
    return (names.index(best) if best in names else 0), (-max(pairs)[1] if pairs else 0)


def with_volume(terms: Terms, step: int) -> Terms:
    """Return terms with the next volume of 1, 2, 5, 10, 20 … images a month, or the one before."""
    steps = [m * 10.0**power for power in range(1, 10) for m in (1, 2, 5)]
    found = [v for v in steps if (v > terms.volume if step > 0 else v < terms.volume)]
    return replace(terms, volume=found[0 if step > 0 else -1]) if found else terms


def with_horizon(terms: Terms, step: int) -> Terms:
    """Return terms with the next of the horizons that people plan for, or the one before."""
    found = [float(m) for m in HORIZONS if (m > terms.months if step > 0 else m < terms.months)]
    return replace(terms, months=found[0 if step > 0 else -1]) if found else terms
