"""Pictures worth looking at: suspect labels, the surest mistakes, images that decide between two contestants."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from engine.evaluation.details import ContestantAnswers, confidence
from engine.evaluation.details import disagreements as differing
from engine.evaluation.details import mistakes as wrong
from engine.evaluation.findings import Findings
from engine.evaluation.markup import Child, Markup, joined, tag
from engine.evaluation.suspects import kinship

EACH = 20
"""Pictures of each kind at most; an image's copy of some kilobytes is in the page once for each."""

Picture = Callable[[Path], str | None]


def suspects(found: Findings, picture: Picture | None) -> Markup | None:
    """Return images whose label may be wrong; None where there are none."""
    if not found.suspects:
        return None
    labels = found.answers.labels
    shown = [
        _figure(
            found, s.image, picture, joined([tag("b", f"{labels[s.said]}?"), f"labelled {labels[s.truth]}"]), s.reason
        )
        for s in found.suspects[:EACH]
    ]
    told = f"Contestants agree against the label: a reason to look, not a proof. {kinship(found.suspects)}".rstrip()
    more = f" The first {EACH} of {len(found.suspects):,}." if len(found.suspects) > EACH else ""
    return _shown(f"{told}{more}", shown)


def mistakes(found: Findings, picture: Picture | None) -> Markup | None:
    """Return what the best contestant that tells its confidence got wrong, the surest first; None without any."""
    labels, answers = found.answers.labels, found.answers
    ranked = sorted(
        zip(found.analysis.contestants, answers.contestants, strict=True), key=lambda pair: -sum(pair[0].hits)
    )
    for c, said in ranked:
        told = [(n, p) for n, p in wrong(answers, said) if p is not None]
        if told:
            shown = []
            for n, p in told[:EACH]:
                label = said.predicted[n]
                what = tag("b", f"{'no label' if label is None else labels[label]} ({p:.0%})", class_="no")
                shown.append(_figure(found, n, picture, what, f"is {labels[answers.truths[n]]}"))
            return _shown(f"What {c.name} got wrong, the surest first: {len(shown):,} of {len(told):,}.", shown)
    return None


def disagreements(found: Findings, picture: Picture | None) -> Markup | None:
    """Return images on which the two best contestants differ, and one of them is right; None without any."""
    answers, labels = found.answers, found.answers.labels
    ranked = sorted(
        zip(found.analysis.contestants, answers.contestants, strict=True), key=lambda pair: -sum(pair[0].hits)
    )
    if len(ranked) < 2:
        return None
    (one, a), (other, b) = ranked[:2]
    telling = [d for d in differing(answers, a, b) if d.a_right or d.b_right]
    if not telling:
        return None
    # Half of each kind, so that the better one's successes do not hide its failures.
    half = EACH // 2
    chosen = [d for d in telling if d.a_right][:half] + [d for d in telling if d.b_right][:half]
    shown = []
    for d in chosen:
        lines = [
            tag("div", f"{'✓' if right else '✗'} {name}: {_said(found, said, d.image)}", class_="ok" if right else "no")
            for name, said, right in ((one.name, a, d.a_right), (other.name, b, d.b_right))
        ]
        shown.append(_figure(found, d.image, picture, tag("b", labels[answers.truths[d.image]]), joined(lines)))
    return _shown(
        f"Images that only one of {one.name} and {other.name} got right: {len(chosen):,} of {len(telling):,}.", shown
    )


def _said(found: Findings, said: ContestantAnswers, image: int) -> str:
    label, probability = said.predicted[image], confidence(said.raw[image])
    named = "no label" if label is None else found.answers.labels[label]
    return named if probability is None else f"{named} ({probability:.0%})"


def _shown(told: str, figures: Iterable[Markup]) -> Markup:
    return joined([tag("p", told), tag("div", list(figures), class_="pictures")])


def _figure(found: Findings, image: int, picture: Picture | None, head: Child, told: Child) -> Markup:
    known = found.evidence.images[image] if found.evidence.images else None
    uri = picture(known.path) if picture is not None and known is not None and known.path is not None else None
    drawn: Child = tag("img", src=uri, alt=known.name) if uri and known is not None else "no picture"
    name = known.name if known is not None else (found.analysis.images[image] if found.analysis.images else str(image))
    caption = tag("figcaption", head, tag("div", told), tag("div", name, class_="file"))
    return tag("figure", tag("div", drawn, class_="frame"), caption)
