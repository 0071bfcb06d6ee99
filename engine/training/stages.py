"""The stages of a training job, and the share of the job's work that each of them is: one share covers all of it.

Shares are by pictures and what one costs in each stage, in units of one look of a frozen backbone; on another machine
these costs differ by some factor, and a share that is not quite the time's is a share all the same.
"""

from __future__ import annotations

from engine.training.recipes import Phase, Recipe

PREDICT, LATENCY, CURVE = "predict", "latency", "curve"
_STEP = {"head": 0.01, "blocks": 0.6, "all": 3.0}
"""What a picture costs in one epoch of a phase."""
_DECODE = 0.3
_SINGLE = 3.0
"""A picture that is predicted alone."""
_CURVE = 0.05
"""The learning curve's share of the rest, about."""

Shares = dict[str, tuple[float, float]]


def look(member: int, phase: int) -> str:
    """Return the stage in which a phase's pictures are decoded, or a frozen backbone's features computed."""
    return f"look {member} {phase}"


def learn(member: int, phase: int) -> str:
    """Return the stage in which a phase takes its steps."""
    return f"learn {member} {phase}"


def learns(stage: str) -> bool:
    """Whether steps are taken in a stage."""
    return stage.startswith("learn")


def shares(recipe: Recipe, training: int, validation: int, test: int, single: int) -> Shares:
    """Return where each stage begins and ends, 0 to 1, in their order.

    Args:
        recipe: names backbones and phases.
        training, validation, test: images.
        single: test images whose latency is measured one by one.

    """
    views = 2 if recipe.mirror else 1
    work: dict[str, float] = {}
    for member in range(len(recipe.backbones)):
        for number, phase in enumerate(recipe.phases):
            work[look(member, number)] = (training + validation) * (views if phase.train != "all" else _DECODE)
            work[learn(member, number)] = _epochs(phase) * (training + validation) * _STEP[phase.train]
    each = views * len(recipe.backbones)
    work[PREDICT], work[LATENCY] = float(test * each), float(single * each * _SINGLE)
    work[CURVE] = _CURVE * sum(work.values())
    whole = sum(work.values()) or 1.0
    found, at = {}, 0.0
    for stage, units in work.items():
        found[stage] = (at / whole, (at + units) / whole)
        at += units
    return found


def _epochs(phase: Phase) -> float:
    """Return how many epochs a phase is likely to take: one that may end early takes some half of them."""
    return phase.epochs / 2 if phase.patience else float(phase.epochs)
