"""Findings drawn, as SVG inside the page: no script, no font and no picture from elsewhere.

Colours are the page's CSS classes, so that light, dark and print are its business.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.evaluation.markup import Child, Markup, tag

WIDTH = 720


def svg(width: float, height: float, label: str, *children: Child) -> Markup:
    """Return a drawing that scales with the page, and that a screen reader can name."""
    drawn = tag("svg", tag("title", label), *children, viewBox=f"0 0 {width:g} {height:g}", role="img", class_="chart")
    return tag("div", drawn, class_="scroll")


def words(x: float, y: float, said: object, kind: str = "", anchor: str = "start", **more: object) -> Markup:
    """Return a text in a drawing."""
    return tag("text", said, x=x, y=y, class_=kind or None, text_anchor=anchor, **more)


def cut(name: str, most: int) -> str:
    """Return a name that is no longer than there is room for."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


QUARTERS = (0, 0.25, 0.5, 0.75, 1)
"""Where an axis has its marks."""


def intervals(rows: Sequence[tuple[str, str, float, float, float, str]], ticks: Sequence[str], title: str) -> Markup:
    """Draw values with their intervals: (name, colour class, value, low, high, value in words), of the axis' length.

    Args:
        rows: what is drawn.
        ticks: of `QUARTERS`, in words.
        title: of the drawing.

    """
    left, right, step, top = 210, 70, 34, 26
    height = top + step * len(rows) + 8
    span = WIDTH - left - right

    def x(share: float) -> float:
        return left + span * share

    drawn: list[Child] = []
    for tick, text in zip(QUARTERS, ticks, strict=True):
        drawn.append(tag("line", x1=x(tick), x2=x(tick), y1=top - 6, y2=height - 8, class_="grid"))
        drawn.append(words(x(tick), 12, text, "tick", "middle"))
    for n, (name, kind, value, low, high, said) in enumerate(rows):
        y = top + step * n + step / 2
        drawn += [
            words(left - 14, y + 4, cut(name, 30), "name", "end"),
            tag("rect", x=x(0), y=y - 8, width=max(0.0, x(value) - x(0)), height=16, rx=3, class_=f"bar {kind}"),
            tag("line", x1=x(low), x2=x(high), y1=y, y2=y, class_="whisker"),
            tag("line", x1=x(low), x2=x(low), y1=y - 5, y2=y + 5, class_="whisker"),
            tag("line", x1=x(high), x2=x(high), y1=y - 5, y2=y + 5, class_="whisker"),
            tag("circle", cx=x(value), cy=y, r=4, class_=f"dot {kind}"),
            words(WIDTH - right + 10, y + 4, said, "value"),
        ]
    return svg(WIDTH, height, title[:1].upper() + title[1:], *drawn)


@dataclass(frozen=True)
class Axis:
    """A scale from `low` to `high`, drawn from `start` to `end`; `log` by powers of ten."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Return where a value stands; what is beyond the ends stands there."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / (math.log(self.high / self.low) or 1.0)
        else:
            share = (value - self.low) / ((self.high - self.low) or 1.0)
        return self.start + (self.end - self.start) * share

    def ticks(self, most: int = 6) -> list[float]:
        """Return round numbers along the scale."""
        if self.log:
            first, last = math.floor(math.log10(self.low) + 1e-9), math.ceil(math.log10(self.high) - 1e-9)
            every = max(1, math.ceil((last - first) / most))
            found = [10.0**power for power in range(first, last + 1, every)]
        else:
            rough = (self.high - self.low) / most or 1.0
            size = 10 ** math.floor(math.log10(rough))
            step = next(size * m for m in (1, 2, 5, 10) if size * m >= rough * 0.999)
            first = math.ceil(self.low / step - 1e-9)
            found = [n * step for n in range(first, math.floor(self.high / step + 1e-9) + 1)]
        return [tick for tick in found if self.low * (1 - 1e-9) <= tick <= self.high * (1 + 1e-9)]


def _frame(x: Axis, y: Axis, across: str, up: str, usd_up: bool = False) -> list[Child]:
    drawn: list[Child] = []
    for tick in y.ticks(5):
        drawn.append(tag("line", x1=x.start, x2=x.end, y1=y.at(tick), y2=y.at(tick), class_="grid"))
        told = short_usd(tick) if usd_up else f"{tick:.0%}"
        drawn.append(words(x.start - 8, y.at(tick) + 4, told, "tick", "end"))
    for tick in x.ticks(7):
        drawn.append(tag("line", x1=x.at(tick), x2=x.at(tick), y1=y.start, y2=y.start + 4, class_="axis"))
        drawn.append(words(x.at(tick), y.start + 17, short_number(tick, money=not usd_up), "tick", "middle"))
    drawn.append(tag("line", x1=x.start, x2=x.end, y1=y.start, y2=y.start, class_="axis"))
    drawn.append(words((x.start + x.end) / 2, y.start + 36, across, "axis-name", "middle"))
    drawn.append(words(4, y.end - 12, up, "axis-name"))
    return drawn


def short_number(value: float, *, money: bool = False) -> str:
    """Return a number as an axis has it: `10k`, `$0.5`."""
    sign = "$" if money else ""
    for limit, end in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{sign}{value / limit:g}{end}"
    return f"{sign}{value:g}"


def short_usd(value: float) -> str:
    """Return an amount as an axis has it."""
    return short_number(value, money=True)


def frontier(points: Sequence[tuple[str, str, float, float, float, float, bool]]) -> Markup:
    """Draw accuracy over cost: (name, colour class, dollars, accuracy, low, high, whether somebody beats it).

    Costs are on a logarithmic scale where they span more than a factor of thirty; what is free stands at its left end.
    """
    height, left, right, top, bottom = 340, 52, 24, 34, 48
    paid = [usd for _, _, usd, *_ in points if usd > 0]
    log = bool(paid) and max(paid) / min(paid) > 30
    low, high = (min(paid) / 3, max(paid) * 2) if log else (0.0, (max(paid) if paid else 1.0) * 1.15)
    bottom_share = max(0.0, math.floor(10 * min((p[4] for p in points), default=0.0)) / 10)
    x = Axis(low, high, left, WIDTH - right, log)
    y = Axis(bottom_share, 1.0, height - bottom, top)
    drawn = _frame(
        x, y, "US dollars for 1,000 images, everything in it" + (" (logarithmic)" if log else ""), "accuracy"
    )
    best = sorted((p for p in points if not p[6]), key=lambda p: p[2])
    if len(best) > 1:
        corners = []
        for before, after in pairwise(best):
            corners += [(x.at(before[2]), y.at(before[3])), (x.at(after[2]), y.at(before[3]))]
        corners.append((x.at(best[-1][2]), y.at(best[-1][3])))
        drawn.append(tag("polyline", points=_points(corners), class_="frontier"))
    taken: list[tuple[float, float, float]] = []
    for name, kind, usd, accuracy, least, most, beaten in points:
        cx, cy = x.at(usd), y.at(accuracy)
        drawn.append(tag("line", x1=cx, x2=cx, y1=y.at(least), y2=y.at(most), class_=f"interval {kind}"))
        drawn.append(tag("circle", cx=cx, cy=cy, r=6, class_=f"dot {kind}{' beaten' if beaten else ''}"))
        shown = cut(name, 44)
        wide = 6.3 * len(shown)
        end = cx + 10 + wide > WIDTH - 4
        lx = cx - 10 - wide if end else cx + 10
        # Names that would lie on each other step aside, first below, then above.
        tries = [cy - 10 + step * sign for step in range(0, 120, 15) for sign in (1, -1)]
        free = [ly for ly in tries if top < ly < height - bottom and not _covers(taken, lx, lx + wide, ly)]
        ly = free[0] if free else cy - 10
        taken.append((lx, lx + wide, ly))
        drawn.append(words(cx - 10 if end else cx + 10, ly, shown, "name small", "end" if end else "start"))
    return svg(WIDTH, height, "Accuracy over cost", *drawn)


def _covers(taken: Sequence[tuple[float, float, float]], left: float, right: float, y: float) -> bool:
    return any(left < end and start < right and abs(y - there) < 14 for start, end, there in taken)


def forest(rows: Sequence[tuple[str, float, float, float, bool, str]], title: str) -> Markup:
    """Draw differences with their intervals around nothing: (pair, gain, low, high, whether it is real, in words)."""
    left, right, step, top = 290, 66, 26, 24
    most = max(abs(end) for _, _, low, high, *_ in rows for end in (low, high)) or 1.0
    height = top + step * len(rows) + 6
    x = Axis(-most, most, left, WIDTH - right)
    drawn: list[Child] = []
    for tick in x.ticks(6):
        drawn.append(tag("line", x1=x.at(tick), x2=x.at(tick), y1=top - 6, y2=height, class_="grid"))
        drawn.append(words(x.at(tick), 12, f"{tick:+g}" if tick else "0", "tick", "middle"))
    drawn.append(tag("line", x1=x.at(0), x2=x.at(0), y1=top - 6, y2=height, class_="axis"))
    for n, (pair, points, low, high, real, said) in enumerate(rows):
        y = top + step * (n + 0.5)
        kind = "real" if real else "chance"
        drawn += [
            words(left - 14, y + 4, cut(pair, 46), "name small", "end"),
            tag("line", x1=x.at(low), x2=x.at(high), y1=y, y2=y, class_=f"interval {kind}"),
            tag("circle", cx=x.at(points), cy=y, r=4.5, class_=f"dot {kind}"),
            words(WIDTH - right + 10, y + 4, said, "value small"),
        ]
    return svg(WIDTH, height, title, *drawn)


def _points(corners: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)


def volumes(at: Sequence[float], usd: Mapping[str, tuple[str, Sequence[float]]], chosen: float) -> Markup:
    """Draw costs over volumes, both logarithmic: name → (colour class, dollars); `chosen` is the terms' volume."""
    height, left, right, top, bottom = 340, 62, 24, 34, 48
    paid = [value for _, values in usd.values() for value in values if value > 0]
    low = 10 ** math.floor(math.log10(max(min(paid, default=1.0), 0.01)))
    x = Axis(at[0], at[-1], left, WIDTH - right, log=True)
    y = Axis(low, max(10 * low, 10 ** math.ceil(math.log10(max(paid, default=10.0)))), height - bottom, top, log=True)
    drawn = _frame(x, y, "images a month (logarithmic)", "US dollars over the horizon (logarithmic)", usd_up=True)
    if at[0] <= chosen <= at[-1]:
        drawn.append(tag("line", x1=x.at(chosen), x2=x.at(chosen), y1=top, y2=height - bottom, class_="chosen"))
    drawn += [
        tag("polyline", points=_points((x.at(v), y.at(max(u, low))) for v, u in zip(at, values, strict=True)),
            class_=f"line {kind}")
        for kind, values in usd.values()
    ]  # fmt: skip
    return svg(WIDTH, height, "Cost by volume", *drawn)


def densities(samples: Sequence[tuple[str, str, Sequence[float]]], bins: int = 48) -> Markup:
    """Draw how long requests take, one strip a contestant on one logarithmic scale: (name, class, milliseconds)."""
    everything = [ms for _, _, values in samples for ms in values if ms > 0]
    low, high = min(everything, default=1.0), max(everything, default=10.0)
    left, right, top, strip = 210, 24, 8, 56
    height = top + strip * len(samples) + 44
    x = Axis(low / 1.1, high * 1.1, left, WIDTH - right, log=True)
    bottom = height - 40
    ticks = [t for t in (m * 10.0**p for p in range(-2, 7) for m in (1, 2, 5)) if x.low <= t <= x.high]
    drawn: list[Child] = [tag("line", x1=x.at(t), x2=x.at(t), y1=top, y2=bottom, class_="grid") for t in ticks]
    drawn += [words(x.at(t), bottom + 16, short_number(t), "tick", "middle") for t in ticks]
    drawn.append(words((left + WIDTH - right) / 2, bottom + 34, "milliseconds (logarithmic)", "axis-name", "middle"))
    width = (x.end - x.start) / bins
    for n, (name, kind, values) in enumerate(samples):
        base = top + strip * (n + 1) - 4
        counts = [0] * bins
        for ms in values:
            counts[min(bins - 1, int((x.at(ms) - x.start) / width))] += 1
        most = max(counts) or 1
        drawn.append(words(left - 14, base - 14, cut(name, 30), "name", "end"))
        for at, count in enumerate(counts):
            if count:
                tall = (strip - 10) * count / most
                drawn.append(
                    tag(
                        "rect",
                        x=x.start + at * width,
                        y=base - tall,
                        width=width - 1,
                        height=tall,
                        class_=f"bar {kind}",
                    )
                )
        drawn.append(tag("line", x1=left, x2=WIDTH - right, y1=base, y2=base, class_="axis"))
        middle = sorted(values)[len(values) // 2]
        drawn.append(tag("line", x1=x.at(middle), x2=x.at(middle), y1=base - strip + 8, y2=base, class_="whisker"))
    return svg(WIDTH, height, "Latency of single requests", *drawn)


def heat(shares: Sequence[Sequence[float]], counts: Sequence[Sequence[int]], names: Sequence[str], kind: str) -> Markup:
    """Draw a confusion matrix, truth down, answers across; empty cells are left out, which keeps a large one small."""
    size = len(shares)
    labelled = size <= 40
    left = 150 if labelled else 24
    top = 110 if labelled else 24
    cell = (WIDTH - left - 16) / max(1, size)
    cell = min(cell, 34, 560 / max(1, size))  # as high as a page has room for
    height = top + cell * size + 24
    drawn: list[Child] = [
        tag("rect", x=left, y=top, width=cell * size, height=cell * size, class_="field"),
        words(left, top - (100 if labelled else 10) + 2, "answer →", "axis-name"),
        words(
            left - 8 if labelled else 4, top + cell * size + 18, "truth ↓", "axis-name", "end" if labelled else "start"
        ),
    ]
    for row in range(size):
        for column in range(size):
            share, count = shares[row][column], counts[row][column]
            if not count:
                continue
            right = row == column
            drawn.append(
                tag(
                    "rect",
                    tag("title", f"{names[row]} taken for {names[column]}: {count:,} ({share:.0%})" if not right
                        else f"{names[row]}: {count:,} right ({share:.0%})"),
                    x=left + cell * column, y=top + cell * row, width=max(0.5, cell - 0.6), height=max(0.5, cell - 0.6),
                    class_=f"cell {'hit ' + kind if right else 'miss'}", fill_opacity=round(0.15 + 0.85 * share, 2),
                )
            )  # fmt: skip
            if cell >= 20:
                drawn.append(
                    words(left + cell * (column + 0.5), top + cell * (row + 0.5) + 4, count, "count", "middle")
                )
    if labelled:
        for n, name in enumerate(names):
            at = n + 0.5
            drawn.append(words(left - 6, top + cell * at + 4, cut(name, 22), "tick", "end"))
            x, y = left + cell * at + 4, top - 6
            drawn.append(words(x, y, cut(name, 18), "tick", transform=f"rotate(-55 {x:.1f} {y:.1f})"))
    return svg(WIDTH, height, "Confusion", *drawn)


def classes(rows: Sequence[tuple[str, Sequence[tuple[str, float, float, float]]]]) -> Markup:
    """Draw recall by class: (label, of each contestant: colour class, value, low, high); intervals are thin lines."""
    many = max((len(bars) for _, bars in rows), default=1)
    left, right, top, thin = 190, 40, 22, 7 if many > 2 else 9
    step = many * (thin + 2) + 8
    height = top + step * len(rows) + 6
    x = Axis(0.0, 1.0, left, WIDTH - right)
    drawn: list[Child] = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        drawn.append(tag("line", x1=x.at(tick), x2=x.at(tick), y1=top - 6, y2=height, class_="grid"))
        drawn.append(words(x.at(tick), 11, f"{tick:.0%}", "tick", "middle"))
    for n, (label, bars) in enumerate(rows):
        y = top + step * n
        drawn.append(words(left - 10, y + step / 2, cut(label, 28), "tick", "end"))
        for k, (kind, value, low, high) in enumerate(bars):
            at = y + k * (thin + 2) + 1
            drawn.append(
                tag("rect", x=left, y=at, width=max(1.0, x.at(value) - left), height=thin, class_=f"bar {kind}")
            )
            middle = at + thin / 2
            drawn.append(tag("line", x1=x.at(low), x2=x.at(high), y1=middle, y2=middle, class_="whisker thin"))
    return svg(WIDTH, height, "Recall by class", *drawn)
