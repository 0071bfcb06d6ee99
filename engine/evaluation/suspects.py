"""Labels that may be wrong: images on which confident contestants agree with each other and not with the truth.

An agreement is a reason to look, not a proof: contestants that share weights or training images make the same
mistakes, and so do all of them on two classes that look alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from engine.evaluation.cascade import KIND, probabilities
from engine.evaluation.details import Answers
from engine.quantities import counted

SURE = 0.9
"""Probability from which on a contestant is sure."""
UNSURE = 0.5
"""Probability below which an answer says nothing about the label."""


@dataclass(frozen=True)
class Suspect:
    """An image whose label may be wrong.

    Attributes:
        image: its position among the test images.
        truth: the label that it has, as a position.
        said: the label that was said instead.
        by: who said so.
        against: who said what the label says.
        surest: the highest probability with which it was said; None where nobody tells one.
        truth_probability: the highest probability that was given to the label it has, by those who said another;
            None where nobody tells one.
        usual: on how many other test images of that label the same was said by as many; where this is high, the two
            classes are alike or the mistake is everybody's.
        kin: how many of those who said so are small networks of one family: their agreement counts as one voice.
        reason: all this in a sentence.

    """

    image: int
    truth: int
    said: int
    by: tuple[str, ...]
    against: tuple[str, ...]
    surest: float | None
    truth_probability: float | None
    usual: int
    kin: int
    reason: str

    @property
    def sure(self) -> bool:
        """Whether one of them was sure, or three and more voices agree with nobody against."""
        voices = len(self.by) - max(0, self.kin - 1)
        return (self.surest or 0.0) >= SURE or (voices >= 3 and not self.against)


def suspects(
    answers: Answers,
    sure: Mapping[str, Sequence[float | None]] | None = None,
    rankings: Mapping[str, Sequence[Sequence[tuple[int, float]]]] | None = None,
    shown: Mapping[str, str] | None = None,
    kin: Collection[str] = (),
) -> list[Suspect]:
    """Return suspect labels, the most suspect first.

    An image is suspect when at least two contestants name one and the same label that is not its own, and no more
    name its own. An answer with a probability below 0.5 does not count; a contestant that tells none counts.
    Cascades do not: what they say has been said.

    Args:
        answers: to all test images.
        sure: probability of the answer to each test image, by contestant; read from raw answers unless given.
        rankings: (label, probability) of the likeliest labels of each test image, by contestant, where they are known.
        shown: names for the reasons, by contestant; their own unless given.
        kin: contestants that are small networks of one family, as the emulator's and ours are.

    """
    called = shown or {}
    voters = [c for c in answers.contestants if c.kind != KIND]
    told = {c.name: (sure or {}).get(c.name) or probabilities(c) for c in voters}
    found: list[tuple[int, int, tuple[str, ...], tuple[str, ...]]] = []
    for image, truth in enumerate(answers.truths):
        said: dict[int, list[str]] = {}
        for c in voters:
            label, probability = c.predicted[image], told[c.name][image]
            if label is not None and (probability is None or probability >= UNSURE):
                said.setdefault(label, []).append(c.name)
        against = tuple(said.pop(truth, ()))
        if not said:
            continue
        label, names = max(said.items(), key=lambda item: (len(item[1]), -item[0]))
        if len(names) >= 2 and len(names) >= len(against):
            found.append((image, label, tuple(names), against))
    usual = Counter((answers.truths[image], label) for image, label, _, _ in found)
    made = []
    for image, label, by, against in found:
        truth = answers.truths[image]
        heard = [p for name in by if (p := told[name][image]) is not None]
        surest = max(heard, default=None)
        given = _given(rankings or {}, by, image, truth)
        others = usual[truth, label] - 1
        say, agree = ([called.get(name, name) for name in names] for names in (by, against))
        reason = _reason(answers.labels[label], answers.labels[truth], say, agree, surest, others)
        related = sum(name in kin for name in by)
        made.append(Suspect(image, truth, label, by, against, surest, given, others, related, reason))
    return sorted(
        made,
        key=lambda s: (
            not s.sure,
            len(s.against) - len(s.by),
            s.usual,
            -(s.surest or 0.0),
            s.truth_probability or 0.0,
            s.image,
        ),
    )


def kinship(found: Sequence[Suspect]) -> str:
    """Return what has to be known of agreement among networks of one family; nothing where there is none."""
    if all(s.kin < 2 for s in found):
        return ""
    return "The emulator's contestants and the CNN are small networks of one family, which agree more easily."


def _given(
    rankings: Mapping[str, Sequence[Sequence[tuple[int, float]]]], by: Sequence[str], image: int, truth: int
) -> float | None:
    """Return the most that was given to the label; a label that is not among the likeliest got next to nothing."""
    known = [dict(rankings[name][image]) for name in by if name in rankings and rankings[name][image]]
    return max((ranking.get(truth, 0.0) for ranking in known), default=None)


def _reason(said: str, truth: str, by: Sequence[str], against: Sequence[str], surest: float | None, usual: int) -> str:
    who = " and ".join([", ".join(by[:-1]), by[-1]])
    told = f"{who} say {said}, the label says {truth}"
    if surest is not None:
        told += f"; the surest is {surest:.0%} sure"
    told += f"; {' and '.join(against)} agree{'s' if len(against) == 1 else ''} with the label" if against else ""
    told += f"; the same was said of {counted(usual, 'other image')} of this label" if usual else ""
    return f"{told}."
