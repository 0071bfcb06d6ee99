"""Findings as one HTML file that opens offline: no script, nothing from elsewhere, pictures inside as small copies."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from engine.evaluation import charts, gallery, sections
from engine.evaluation.details import confusion_map
from engine.evaluation.findings import Findings
from engine.evaluation.markup import Child, Markup, joined, tag
from engine.evaluation.measures import MeasureKind
from engine.evaluation.report import baseline_cells, cells, drawn, headings, most_of, notes
from engine.evaluation.sections import Section
from engine.quantities import counted

COLOURS = 8
CELLS = 120
"""Labels up to which each has its own row of the confusion matrix."""
SHARED_CELLS = 60
"""Rows where several labels share one: then most cells are not empty, and each takes room in the file."""
CLASSES = 40
"""Labels whose bars are drawn at once, those that are recognised worst; others are folded away."""
MOST_CLASSES = 400
"""Labels whose bars are drawn at all."""
CONFUSIONS = 4
"""Contestants of which the confusion is drawn, the best first."""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a browser may load for the page: nothing but what is in it."""

Picture = Callable[[Path], str | None]
"""From a picture's path to a small copy as a data URI; None where it cannot be shown."""


def page(found: Findings, picture: Picture | None = None, *, references: bool = False) -> str:
    """Return the whole document.

    Args:
        found: everything about an experiment.
        picture: makes the small copies; without it the page has none.
        references: show published results too, marked as such.

    """
    kinds = {c.name: f"c{n % COLOURS}" for n, c in enumerate(found.analysis.contestants)}
    parts: list[tuple[str, str, Child]] = [
        ("verdict", "", _verdict(found)),
        ("cautions", "", _cautions(found)),
        ("comparison", "Comparison", _comparison(found, kinds)),
        ("differences", "Differences", _differences(found)),
        ("cost", "Cost", _cost(found, kinds)),
        ("cascades", "Cascades", _section(sections.cascades(found))),
        ("latency", "Latency", _latency(found, kinds)),
        ("suspects", "Suspect labels", gallery.suspects(found, picture)),
        ("mistakes", "Surest mistakes", gallery.mistakes(found, picture)),
        ("disagreements", "Disagreements", gallery.disagreements(found, picture)),
        ("confusion", "Confusion", _confusion(found, kinds)),
        ("classes", "Classes", _classes(found, kinds)),
        ("answers", "Answers", _answers(found)),
        ("published", "Published, by others", _section(sections.references(found) if references else None)),
        ("provenance", "Where it comes from", _facts(sections.provenance(found))),
    ]
    there = [(name, title, body) for name, title, body in parts if body is not None]
    nav = [tag("a", title, href=f"#{name}") for name, title, _ in there if title]
    css = Markup((files("assets") / "report.css").read_text(encoding="utf-8"))
    document = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
            tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
            tag("title", f"{found.analysis.experiment}: results"),
            tag("style", css),
        ),
        tag(
            "body",
            _header(found, nav),
            tag("main", [_block(name, title, body, found) for name, title, body in there]),
            _footer(found),
        ),
        lang="en",
    )
    return f"<!DOCTYPE html>\n{document}\n"


def _header(found: Findings, nav: list[Markup]) -> Markup:
    a = found.analysis
    counts = f"{counted(a.n, 'test image')} of {a.dataset or 'a file'} · {counted(len(a.labels), 'label')}"
    if any(a.split.get(part) for part in ("train", "val")):
        counts += f" · learned from {a.split['train']:,}, validated on {a.split['val']:,}"
    emulated = any(c.emulated for c in a.contestants)
    badge = (
        tag("p", tag("span", "emulated rows: not GPT-4o, nobody charges them", class_="badge")) if emulated else None
    )
    return tag("header", tag("h1", a.experiment), tag("p", counts, class_="under"), badge, tag("nav", nav))


def _footer(found: Findings) -> Markup:
    made = dict(found.provenance.lines()).get("reckoned", "")
    kind = found.analysis.judged.measure.kind
    joined_over = {
        MeasureKind.BALANCED: ", joined over the classes for balanced accuracy",
        MeasureKind.COST: ", joined over the classes for the cost of mistakes",
        MeasureKind.MACRO_F1: ", the bootstrap's of macro-F1",
    }.get(kind, "")
    return tag(
        "footer",
        f"Intervals are 95%: Wilson's of shares{joined_over}, of differences corrected as their p is. Made {made}.",
    )


def _block(name: str, title: str, body: Child, found: Findings) -> Markup:
    sure = f"verdict {found.analysis.verdict.sure}" if name == "verdict" else name if name == "cautions" else None
    return tag("section", tag("h2", title) if title else None, body, id=name, class_=sure)


def _verdict(found: Findings) -> Markup:
    v = found.analysis.verdict
    columns = [
        tag("div", tag("h3", title), tag("ul", [tag("li", line) for line in lines], class_=kind))
        for title, kind, lines in (
            ("May be concluded", "may", v.may),
            ("May not", "may-not", v.may_not),
            ("Would change it", "change", v.would_change),
        )
        if lines
    ]
    return joined([tag("p", v.sentence, class_="sentence"), tag("div", columns, class_="columns") if columns else None])


def _cautions(found: Findings) -> Markup | None:
    told = [*found.cautions, *found.notes]
    return joined([tag("h3", "Caution"), tag("ul", [tag("li", line) for line in told])]) if told else None


def _comparison(found: Findings, kinds: dict[str, str]) -> Markup | None:
    if not found.analysis.contestants:
        return tag("p", "There is no contestant.")
    measure, judged = found.analysis.judged.measure, found.comparison.judged
    shown = drawn(found.comparison)
    most = most_of(measure, shown)
    rows = [
        (name, kinds.get(name, "baseline"), value / most, low / most, high / most, measure.shown(value))
        for name, low, value, high in shown
    ]
    ticks = [measure.axis(most * tick) for tick in charts.QUARTERS]
    told = notes(found.comparison, differences=False, priced=bool(found.economics), cautions=False)
    priced = bool(found.economics)
    table: list[list[Child]] = [
        [_named(c.name + ("" if c.complete else " (unfinished)"), kinds[c.name]), *cells(c, judged, priced=priced)[1:]]
        for c in found.comparison.contestants
    ]
    table += [
        [_named(b.shown, "baseline"), *baseline_cells(b, measure)[1:]] for b in found.comparison.judged.baselines.rows
    ]
    return joined(
        [
            charts.intervals(rows, ticks, f"{measure.name} with 95% intervals") if rows else None,
            _table(list(headings(measure)), table),
            tag("ul", [tag("li", line) for line in told], class_="under") if told else None,
        ]
    )


def _differences(found: Findings) -> Markup | None:
    section = sections.differences(found)
    if section is None:
        return None
    measure = found.analysis.judged.measure
    scale = 100 if measure.is_share else 1
    rows = [
        (
            f"{d.a} – {d.b}",
            scale * d.gain,
            scale * d.low,
            scale * d.high,
            d.real,
            measure.gap(d.gain, sign=True),
        )
        for d in found.analysis.differences
        if d.n
    ]
    title = f"Differences{measure.unit_of.replace(' points', ' in points')} with 95% intervals"
    how = "Filled: beyond chance at 5%, all pairs considered. To the right the first is better, to the left the second."
    drawn = [charts.forest(rows, title), tag("p", how, class_="under")] if rows else []
    return joined([drawn, _section(section)])


def _named(name: str, kind: str) -> Markup:
    return joined([tag("span", class_=f"swatch {kind}"), name])


def _legend(kinds: dict[str, str]) -> Markup:
    return tag("div", [tag("span", _named(name, kind)) for name, kind in kinds.items()], class_="legend")


def _table(headings: list[str], rows: list[list[Child]], kind: str | None = None) -> Markup:
    head = tag("thead", tag("tr", [tag("th", heading) for heading in headings])) if any(headings) else None
    shown = [[_stacked(cell) if kind == "stacked" and n else cell for n, cell in enumerate(row)] for row in rows]
    body = tag("tbody", [tag("tr", [tag("td", cell) for cell in row]) for row in shown])
    return tag("div", tag("table", head, body, class_=kind), class_="scroll")


def _stacked(cell: Child) -> Child:
    """Return a figure with its interval, which is in brackets, below it: such tables are wide enough."""
    value, bracket, ends = str(cell).partition(" (")
    return joined([value, tag("small", ends.removesuffix(")"))]) if bracket else cell


def _section(section: Section | None, kind: str | None = None) -> Markup | None:
    if section is None:
        return None
    first, *others = section.sentences or ("",)
    told = [
        tag("p", first) if first else None,
        tag("ul", [tag("li", line) for line in others], class_="under") if others else None,
    ]
    return joined([told, _table(list(section.headings), [list(row) for row in section.rows], kind)])


def _facts(section: Section) -> Markup:
    return _table([], [list(row) for row in section.rows], "words facts")


def _cost(found: Findings, kinds: dict[str, str]) -> Markup | None:
    section = sections.cost(found)
    if section is None:
        return None
    drawn: list[Child] = []
    if found.frontier:
        points = [
            (p.name, kinds.get(p.name, "cascade"), p.usd, p.accuracy, p.low, p.high, p.dominated)
            for p in found.frontier
        ]
        drawn += [
            tag("h3", "Accuracy over cost"),
            charts.frontier(points),
            tag(
                "p",
                "As measured, nobody beats those on the dashed line in both; upright lines are 95% intervals.",
                class_="under",
            ),
        ]
    if found.curves is not None and any(usd > 0 for line in found.curves.usd.values() for usd in line):
        lines = {name: (kinds.get(name, "cascade"), usd) for name, usd in found.curves.usd.items()}
        drawn += [
            tag("h3", "Cost by volume"),
            _legend({name: kind for name, (kind, _) in lines.items()}),
            charts.volumes(found.curves.volumes, lines, found.terms.volume),
        ]
    first, *others = section.sentences
    return joined(
        [
            tag("p", first),
            _table(list(section.headings), [list(row) for row in section.rows]),
            tag("ul", [tag("li", line) for line in others]) if others else None,
            drawn,
        ]
    )


def _latency(found: Findings, kinds: dict[str, str]) -> Markup | None:
    samples = [
        (c.name, kinds[c.name], list(given.latencies_ms))
        for c, given in zip(found.analysis.contestants, found.evidence.inputs, strict=True)
        if len(given.latencies_ms)
    ]
    section = _section(sections.latency(found), "stacked")
    return joined([charts.densities(samples) if samples else None, section]) if section else None


def _confusion(found: Findings, kinds: dict[str, str]) -> Markup | None:
    ranked = sorted(
        zip(found.analysis.contestants, found.answers.contestants, strict=True),
        key=lambda pair: (not pair[0].complete, -sum(pair[0].hits)),
    )
    labels = found.answers.labels
    drawn: list[Child] = []
    for n, (c, said) in enumerate(ranked[:CONFUSIONS]):
        if len(labels) < 2 or not any(p is not None for p in said.predicted):
            continue
        shape = confusion_map(found.answers, said, CELLS if len(labels) <= CELLS else SHARED_CELLS)
        order = [labels[at] for at in shape.order]
        names = [_span(order[at : at + shape.per]) for at in range(0, len(order), shape.per)]
        chart = charts.heat(shape.shares, shape.counts, names, kinds[c.name])
        drawn.append(tag("details", tag("summary", _named(c.name, kinds[c.name])), chart, open="" if n == 0 else None))
    if not drawn:
        return None
    how = "Shares of each true label by the answer; labels that are taken for each other stand together."
    return joined([tag("p", how, class_="under"), drawn, _section(sections.confused(found), "words")])


def _span(labels: list[str]) -> str:
    return labels[0] if len(labels) == 1 else f"{labels[0]} and {len(labels) - 1} more"


def _classes(found: Findings, kinds: dict[str, str]) -> Markup | None:
    contestants = found.analysis.contestants
    held = [n for n, k in enumerate(contestants[0].quality.classes) if k.support] if contestants else []
    if not held:
        return None
    held.sort(key=lambda n: sum(c.quality.classes[n].recall.value for c in contestants))
    rows = []
    for n in held[:MOST_CLASSES]:
        recalls = [(kinds[c.name], c.quality.classes[n].recall) for c in contestants]
        k = contestants[0].quality.classes[n]
        rows.append((f"{k.label} ({k.support:,})", [(kind, r.value, r.low, r.high) for kind, r in recalls]))
    first, others = rows[:CLASSES], rows[CLASSES:]
    told = "Recall of each label, worst first, with its 95% interval; in brackets its test images."
    if len(held) > MOST_CLASSES:
        told += f" The {MOST_CLASSES} worst of {len(held):,} are drawn."
    folded = tag("details", tag("summary", f"{len(others):,} more"), charts.classes(others)) if others else None
    table = sections.classes(found) if len(held) <= MOST_CLASSES else None
    figures = tag("details", tag("summary", "Precision, recall and F1"), _section(table, "words")) if table else None
    return joined([tag("p", told, class_="under"), _legend(kinds), charts.classes(first), folded, figures])


def _answers(found: Findings) -> Markup | None:
    parts = sections.present([sections.coverage(found), sections.quality(found), sections.properties(found)])
    how = sections.reading(found)
    rules = [tag("h3", how.title), _section(how, "words")] if how else None
    told = [[tag("h3", part.title), _section(part, "stacked")] for part in parts]
    return joined([told, rules]) if parts else None
