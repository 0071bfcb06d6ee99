"""What contestants cost: for 1,000 images, for the volume and the horizon that the reader sets, against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from engine import counted, nouns, overloads, points
from tui.styles.theme import look
from tui.text import dollars, one_line
from tui.widgets.charts import spent
from tui.widgets.tabs.base import Sheet, View, short
from tui.widgets.tabs.frontier import frontier
from tui.widgets.tabs.latency import Scrolled
from tui.widgets.tabs.stretches import stretches

if TYPE_CHECKING:
    from engine import Findings, Terms


class CostTab(Sheet):
    """A page on money, from the sum to the details."""

    FOCUS = "#cost-box"

    def body(self) -> ComposeResult:
        """One text, as long as it has to be."""
        with Scrolled(id="cost-box"):
            yield Static(id="cost-text")

    def draw(self, view: View) -> None:
        """Draw all of it."""
        found, width, at = view.found, self.size.width - 3, look()
        self.head(*_terms(found.terms))
        kinds = {c.name: c.kind for c in found.analysis.contestants}
        parts: list[RenderableType] = [_totals(found, kinds), _others(found.terms), ""]
        if found.by_cost:
            title = f"cheapest, by images a month over {found.terms.months:g} {nouns(found.terms.months, 'month')}"
            parts += [stretches(found.by_cost, kinds, found.terms.volume, width, title), ""]
        if found.by_value and found.terms.value:
            title = f"leaves most, where a correct answer is worth ${found.terms.value:g}"
            parts += [stretches(found.by_value, kinds, found.terms.volume, width, title), ""]
        if found.frontier:
            parts += [frontier(found.frontier, width), ""]
        told = Text.assemble(("break-even\n", "bold"))
        for line in overloads(found):
            told.append(f"  {one_line(line, 300)}\n", at.warn)
        for each in found.break_evens:
            told.append(f"  {one_line(each.sentence, 300)}\n", "")
        parts.append(told)
        if found.returns:
            back = Text.assemble(("return of each in place of a cheaper one\n", "bold"))
            for r in found.returns:
                back.append(f"  {one_line(r.sentence, 500)}\n")
                if r.needed_value and found.terms.value:  # without a value the sentence itself names it
                    back.append(f"  It pays once a correct answer is worth {dollars(r.needed_value)}.\n", at.dim)
            parts.append(back)
        if found.cascades:
            asked = Text.assemble(("cascades: the network answers where it is sure, another where it is not\n", "bold"))
            for c, d in zip(found.cascades, found.cascade_differences, strict=True):
                better = f"{points(d.gain)} points ({points(d.low)} to {points(d.high)}) beside {one_line(d.b, 40)}"
                better += "" if d.real else ", which may be chance"
                asked.append(
                    f"  {one_line(c.name, 60)}: {c.accuracy:.1%} ({c.low:.1%} to {c.high:.1%}), {better};"
                    f" {c.share_to_second:.0%} go on.",
                ).append(f" {one_line(c.chosen_on, 300)}\n", at.dim)
            parts.append(asked)
        parts += [Text("so far: what this test has cost", "bold"), spent(found.comparison, width)]
        last = "List prices."
        if any(c.emulated for c in found.analysis.contestants):
            last += " Emulated: nobody charges it."
        parts.append(Text(f"\n{last}", at.dim))
        self.query_one("#cost-text", Static).update(Group(*parts))


def _terms(terms: Terms) -> list[Text | str | tuple[str, str]]:
    """Return what the reader changes most, with the keys for it."""
    at = look()
    return [
        (f"{counted(terms.volume, 'image')} a month", f"bold {at.accent}"),
        " (+ -) for ",
        (f"{terms.months:g} {nouns(terms.months, 'month')}", f"bold {at.accent}"),
        " (> <)  v: other terms",
    ]


def _others(terms: Terms) -> Text:
    """Return the other terms in a line or two."""
    return Text(" · ".join(terms.assumptions), look().dim)


def _totals(found: Findings, kinds: dict[str, str]) -> Table:
    """Return what each costs: for 1,000 images more, and for all, part by part."""
    at = look()
    table = Table.grid(padding=(0, 1, 0, 0), expand=False)
    labelled = found.terms.label_price is not None
    heads = (
        "",
        "per 1,000",
        "training",
        *(["labels"] if labelled else []),
        "hosting",
        "machine",
        "inference",
        "in all",
    )
    for n, _ in enumerate(heads):
        table.add_column(justify="right" if n else "left", no_wrap=True)
    table.add_row(*(Text(name, at.dim) for name in heads))
    least = min((t.usd for t in found.totals if t is not None), default=0.0)
    rows = zip(found.economics, found.totals, found.per_thousand, found.comparison.contestants, strict=True)
    for e, t, each, c in rows:
        name = Text(short(e.name, 20), at.contestant(kinds.get(e.name)))
        if t is None or each is None:  # unfinished: nothing was measured from which costs could be computed
            unknown = Text(dollars(None), at.warn) if c.complete else Text("–", at.dim)
            table.add_row(name, *[unknown] * (len(heads) - 1))
            continue
        sums = (each, t.training, *([t.labels] if labelled else []), t.hosting, t.machine, t.inference)
        table.add_row(
            name,
            *(Text(_usd(usd), at.dim if usd == 0 else "") for usd in sums),
            Text(_usd(t.usd), f"bold {at.ok}" if t.usd <= least else "bold"),
        )
    return table


def _usd(usd: float) -> str:
    """Return an amount that fits its column: beyond ten thousand nobody reads cents."""
    return f"${usd:,.0f}" if usd >= 10_000 else dollars(usd)
