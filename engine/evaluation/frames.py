"""Findings as pandas frames: one row for each contestant and image, one for each contestant and class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.evaluation.details import confidence
from engine.evaluation.findings import Asked, Evidence, Findings, TestImage

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "experiment", "contestant", "kind", "model", "emulated", "image", "sha256", "bytes", "width", "height",
    "brightness", "duplicate", "truth", "answer", "right", "outcome", "raw", "rule", "strict_answer", "probability",
    "latency_ms", "concurrent_latency_ms", "prompt_tokens", "completion_tokens", "error",
)  # fmt: skip
"""Of the frame of images, in order."""


def frame(found: Findings) -> pd.DataFrame:
    """Return one row for each contestant and test image, contestant by contestant, in the order of the images.

    What is not known is missing. `probability` is of the answer; `latency_ms` is of single requests, and
    `concurrent_latency_ms` of those of which many were made at a time; each of the attempt that was answered.
    """
    import pandas as pd

    analysis, evidence = found.analysis, found.evidence
    n = analysis.n
    images = list(evidence.images) or [TestImage(name) for name in analysis.images or map(str, range(n))]
    parts = []
    for number, c in enumerate(analysis.contestants):
        given = evidence.inputs[number]
        asked = evidence.asked[number] if evidence.asked else [Asked()] * n
        readings = c.readings or (None,) * n
        said = found.answers.contestants[number].raw
        part = pd.DataFrame(
            {
                "image": [i.name for i in images],
                "sha256": [i.sha256 or None for i in images],
                "bytes": _whole([i.bytes for i in images]),
                "width": _whole([i.width for i in images]),
                "height": _whole([i.height for i in images]),
                "brightness": pd.array(_known(evidence, "brightness", n), dtype="Float64"),
                "duplicate": _known(evidence, "duplicate", n),
                "truth": analysis.truths,
                "answer": c.predictions,
                "right": c.hits,
                "outcome": [str(outcome) for outcome in c.outcomes],
                "raw": said,
                "rule": [None if r is None else str(r.rule) for r in readings],
                "strict_answer": [None if r is None else r.strict_label for r in readings],
                "probability": _probabilities(given, said),
                "latency_ms": pd.array([a.latency_ms for a in asked], dtype="Float64"),
                "concurrent_latency_ms": pd.array([a.concurrent_ms for a in asked], dtype="Float64"),
                "prompt_tokens": [a.prompt_tokens for a in asked],
                "completion_tokens": [a.completion_tokens for a in asked],
                "error": [a.error for a in asked],
            }
        )
        about: dict[str, Any] = {
            "experiment": analysis.experiment,
            "contestant": c.name,
            "kind": c.kind,
            "model": c.model,
            "emulated": c.emulated,
        }
        parts.append(part.assign(**about))
    whole = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))
    return whole[list(COLUMNS)]


def class_frame(found: Findings) -> pd.DataFrame:
    """Return one row for each contestant and class, with the interval of its recall; then those of the baselines.

    Of a contestant that is not complete, support is the images that it has been asked about.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for c in found.analysis.contestants:
        taken: dict[str, tuple[str, int]] = {}
        for pair in c.quality.confused:  # the most frequent come first
            taken.setdefault(pair.truth, (pair.answer, pair.count))
        for k in c.quality.classes:
            answer, count = taken.get(k.label, (None, 0))
            rows.append(
                {
                    "experiment": found.analysis.experiment,
                    "contestant": c.name,
                    "model": c.model,
                    "emulated": c.emulated,
                    "complete": c.complete,
                    "label": k.label,
                    "support": k.support,
                    "named": k.named,
                    "right": k.right,
                    "recall": k.recall.value,
                    "recall_low": k.recall.low,
                    "recall_high": k.recall.high,
                    "precision": k.precision,
                    "f1": k.f1,
                    "most_taken_for": answer,
                    "taken_for_it": count,
                }
            )
    for b in found.analysis.judged.baselines.rows if rows else ():
        kept = found.analysis.contestants[0].quality.classes
        for k, recall in zip(kept, b.recalls, strict=True):
            named = b.n * recall if b.label is not None else b.n / len(kept)
            right = k.support * recall
            counts = {"named": int(named), "right": int(right)} if b.label is not None else {}  # else an expectation
            rows.append(
                {
                    "experiment": found.analysis.experiment,
                    "contestant": b.shown,
                    "emulated": False,
                    "complete": True,
                    "label": k.label,
                    "support": k.support,
                    **counts,
                    "recall": recall if k.support else 0.0,
                    "precision": right / named if named else 0.0,
                    "f1": 2 * right / (k.support + named) if k.support + named else 0.0,
                }
            )
    whole = ("support", "named", "right", "taken_for_it")
    table = pd.DataFrame(rows)
    return table.assign(**{name: _whole([row.get(name) for row in rows]) for name in whole}) if rows else table


def _whole(values: list[int | None]) -> Any:
    import pandas as pd

    return pd.array(values, dtype="Int64")


def _known(evidence: Evidence, name: str, n: int) -> list[Any]:
    """Return a property of all images, or nothing of each where it is not known."""
    values = getattr(evidence.properties, name, ()) if evidence.properties is not None else ()
    return list(values) if values else [None] * n


def _probabilities(given: Any, said: Any) -> Any:
    """Return how sure each answer is: as it was given, by its ranking, or as its text says."""
    import pandas as pd

    if given.probabilities:
        found = list(given.probabilities)
    elif any(given.rankings):
        found = [ranking[0][1] if ranking else None for ranking in given.rankings]
    else:
        found = [confidence(raw) for raw in said]
    return pd.array(found, dtype="Float64")
