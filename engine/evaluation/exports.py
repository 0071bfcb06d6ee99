"""Results for programs: JSON and CSV. The keys of a comparison's JSON are a promise."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from engine.evaluation.baselines import KIND, Baseline
from engine.evaluation.comparison import Comparison, ContestantResult
from engine.evaluation.differences import PairedDifference
from engine.evaluation.economics import Total
from engine.evaluation.findings import Findings
from engine.evaluation.frames import class_frame, frame
from engine.evaluation.judging import Judged
from engine.evaluation.measures import Measure
from engine.evaluation.metrics import Requests

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_UNSEEN = re.compile(r"[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON may hold as it is, and a terminal would obey."""
_PERCENTILES = ("mean", "p50", "p90", "p95", "p99")
_MONEY = ("once", "per_thousand", "batch_per_thousand", "hosting_hourly")
_ASKED = ("deployment", "prompt", "answer_format", "detail", "seed", "recipe", "finished_at")
_REQUESTS = ("kind", "n", "retried", "attempts", "first_ms_p50", "first_ms_p95", "total_ms_p50", "total_ms_p95")


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as plain values; figures are unrounded, money is US dollars."""
    return {
        "experiment": comparison.experiment,
        "dataset": comparison.dataset,
        "split": {name: comparison.split[name] for name in ("train", "val", "test")},
        "contestants": [_plain(c, comparison.judged) for c in comparison.contestants],
        "measure": _measure(comparison.judged.measure),
        "baselines": [_baseline(b) for b in comparison.judged.baselines.rows],
        "against_baseline": [{**_value(e), "better": e.better} for e in comparison.judged.baselines.edges.values()],
        "other_measures": [
            {
                "measure": _measure(r.measure),
                "ahead": r.name,
                "value": r.value,
                "of": r.other,
                "of_value": r.other_value,
                "p_holm": r.p_holm,
                "real": r.real,
            }
            for r in comparison.judged.rivals
        ],
    }


def _measure(m: Measure) -> dict[str, Any]:
    """Return by what is judged; `costs` is the table as it was given."""
    costs = m.costs.text if m.costs is not None else None
    return {"name": m.name, "less_is_better": m.less_is_better, "classes": list(m.classes), "costs": costs}


def _baseline(b: Baseline) -> dict[str, Any]:
    """Return a row that is no contestant: it has no cost, because nothing is requested.

    Its other measures are a list, so that who searches for `accuracy` finds contestants only.
    """
    shares = (("accuracy", b.accuracy), ("balanced accuracy", b.balanced_accuracy), ("macro-F1", b.macro_f1))
    return {
        "name": b.name,
        "label": b.label,
        "labels_of": b.source or None,
        "n": b.n,
        "correct": b.correct,
        "value": b.value,
        "value_low": b.low,
        "value_high": b.high,
        "measures": [{"name": name, "value": value} for name, value in shares],
    }


def _plain(c: ContestantResult, judged: Judged) -> dict[str, Any]:
    measured = judged.values[c.name]
    more: dict[str, Any] = {} if c.complete else {"complete": False}  # else its accuracy would be a lie
    if c.train_from_cache:  # else its time to train would be
        more["train_from_cache"] = c.train_from_cache
    return more | {
        "name": c.name,
        "kind": str(c.kind),
        "model": c.model,
        "n": c.n,
        "correct": c.correct,
        "accuracy": c.accuracy,
        "accuracy_low": c.accuracy_low,
        "accuracy_high": c.accuracy_high,
        "macro_f1": c.macro_f1,
        "outcomes": {str(outcome): count for outcome, count in c.outcomes.items()},
        "latency_ms": {p: getattr(c.latency, p) for p in _PERCENTILES} if c.latency else None,
        "cost_usd": {
            "training": c.cost.training,
            "hosting": c.cost.hosting,
            "inference": c.cost.inference,
            "total": c.cost.total,
        },
        "train_seconds": c.train_seconds,
        "emulated": c.emulated,
        "value": measured.value,
        "value_low": measured.low,
        "value_high": measured.high,
        "never_predicts": list(c.never),
    }


def _requests(found: Requests | None) -> dict[str, Any]:
    """Return what became of the real-time requests of one kind: `latency_ms` is of single ones, without retries."""
    if found is None:
        return dict.fromkeys(_REQUESTS)
    values: list[Any] = ["concurrent" if found.concurrent else "single", found.n, found.retried, found.attempts]
    for part in (found.first, found.total):
        values += [part.p50, part.p95] if part else [None, None]
    return dict(zip(_REQUESTS, values, strict=True))


def rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Return one row a contestant; nested values become `outcomes_answered` and the like.

    Beside what the JSON has: what it was estimated to cost, and what became of its real-time requests.
    """
    found = []
    for c in comparison.contestants:
        flat: dict[str, Any] = {}
        estimate = c.estimate.total if c.estimate else None
        plain = {**_plain(c, comparison.judged), "train_from_cache": c.train_from_cache or None}
        for key, value in {**plain, "estimate_usd": estimate, "requests": _requests(c.requests)}.items():
            if key == "latency_ms":
                value = value or dict.fromkeys(_PERCENTILES)
            if key == "never_predicts":
                value = "; ".join(value)
            if isinstance(value, dict):
                flat |= {f"{key}_{inner}": v for inner, v in value.items()}
            else:
                flat[key] = value
        about = {"experiment": comparison.experiment, "dataset": comparison.dataset}
        found.append(about | flat | {"measure": comparison.judged.measure.name})
    for b in comparison.judged.baselines.rows if found else ():
        values = {key: value for key, value in vars(b).items() if key in found[0]}
        values |= {"value_low": b.low, "value_high": b.high}
        about = {"experiment": comparison.experiment, "dataset": comparison.dataset, "kind": KIND, "name": b.shown}
        found.append(dict.fromkeys(found[0]) | values | about | {"measure": comparison.judged.measure.name})
    return found


def written(table: Sequence[Mapping[str, Any]], headings: Sequence[str] = ("experiment",)) -> str:
    """Return rows as CSV; the headings are theirs, and the given ones where there are no rows."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(table[0]) if table else list(headings), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: tame(value) for key, value in row.items()} for row in table)
    return out.getvalue()


def tame(value: Any) -> Any:
    """Return a cell of a CSV: a text that a spreadsheet would take for a formula has an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


# -- findings


def contestants_csv(found: Findings) -> str:
    """Return one row a contestant: the comparison's, then what findings add and where it all comes from."""
    software = " ".join(f"{name}={version}" for name, version in found.provenance.software.items())
    made: list[dict[str, Any]] = []
    table = rows(found.comparison)
    about = zip(table, found.analysis.contestants, _asked(found), strict=False)  # the baselines come last
    for number, (row, c, asked) in enumerate(about):
        if not found.economics:  # nobody knows what it costs, which is not nothing
            row |= {key: None for key in row if key.startswith(("cost_usd", "estimate_usd"))}
        q = c.quality
        row |= {
            "complete": c.complete,
            "balanced_accuracy": q.balanced_accuracy,
            "weighted_f1": q.weighted_f1,
            "accuracy_over_answered": q.coverage.over_answered.value if q.coverage.over_answered.n else None,
            "lenient": q.leniency.lenient.k if q.leniency else None,
            "accuracy_strict": q.leniency.strict.value if q.leniency else None,
            "per_thousand_usd": found.per_thousand[number] if found.economics else None,
            "horizon_usd": _usd(found.totals[number]) if found.economics else None,
            "horizon_volume_a_month": found.terms.volume if found.economics else None,
            "horizon_months": found.terms.months if found.economics else None,
            "caution": found.comparison.contestants[number].caution,
        }
        made.append(row | asked | _origin(found) | {"software": software})
    for row, b in zip(table[len(made) :], found.analysis.judged.baselines.rows if made else (), strict=True):
        values = row | {"balanced_accuracy": b.balanced_accuracy} | _origin(found) | {"software": software}
        made.append(dict.fromkeys(made[0]) | values)
    return written(made)


def classes_csv(found: Findings) -> str:
    """Return one row for each contestant and class."""
    return _table(class_frame(found), found)


def images_csv(found: Findings) -> str:
    """Return one row for each contestant and test image."""
    return _table(frame(found), found)


def _table(table: pd.DataFrame, found: Findings) -> str:
    import pandas as pd

    asked = {c.name: a for c, a in zip(found.analysis.contestants, _asked(found), strict=True)}
    names = list(table.get("contestant", ()))
    for key in _ASKED:
        table[key] = pd.Series(
            [asked[name][key] if name in asked else None for name in names], dtype=object, index=table.index
        )
    for name in table.columns:
        if table[name].dtype in ("object", "str"):
            known = {value: tame(value) for value in table[name].dropna().unique()}
            table[name] = pd.Series(map(known.get, table[name]), dtype=object, index=table.index)
    return str(table.assign(**_origin(found)).to_csv(index=False, lineterminator="\n"))


def _asked(found: Findings) -> list[dict[str, Any]]:
    """Return of each contestant whom it asked, and how; None where that is not known."""
    origins = found.provenance.contestants or [{}] * len(found.analysis.contestants)
    return [{key: origin.get(key) for key in _ASKED} for origin in origins]


def _origin(found: Findings) -> dict[str, Any]:
    """Return what each row of a CSV says of where it comes from."""
    p = found.provenance
    return {
        "dataset_digest": p.dataset.get("digest") or p.dataset.get("sha256"),
        "split": p.dataset.get("split"),
        "split_seed": p.dataset.get("seed"),
        "prices_as_of": p.prices.get("as_of"),
        "dogcls_tui": p.software.get("dogcls-tui"),
    }


def plain_json(found: Findings) -> dict[str, Any]:
    """Return the comparison's JSON, whose keys are a promise, and where it comes from.

    Of predictions made elsewhere it has the differences of all pairs as well; what they cost is not known: null.
    """
    value = to_json(found.comparison)
    if not found.economics:
        value["contestants"] = [c | {"cost_usd": None} for c in value["contestants"]]
        value["differences"] = [_difference(d) for d in found.analysis.differences]
    return value | {"provenance": found.provenance.plain()}


def full_json(found: Findings) -> dict[str, Any]:
    """Return everything that was found, as plain values; what is endless or unknown is null."""
    value = plain_json(found)
    names = [image.name for image in found.evidence.images] or list(map(str, range(found.analysis.n)))
    value["differences"] = [
        _difference(d) | {f"images_{only}": [names[n] for n in getattr(d, only)] for only in ("only_a", "only_b")}
        for d in found.analysis.differences
    ]
    for plain, c, more in zip(
        value["contestants"], found.analysis.contestants, found.comparison.contestants, strict=True
    ):
        plain |= {
            "complete": c.complete,
            "caution": more.caution or None,
            "prompt": c.prompt or None,
            "answer_format": c.answer_format,
            "quality": _value(c.quality),
            "latency": _value(c.latency),
            "by_property": _value(c.by_property),
        }
    images = [image.name for image in found.evidence.images]
    labels = found.answers.labels
    costs = zip(found.economics, found.totals, found.per_thousand, strict=True)
    return value | {
        "verdict": _value(found.analysis.verdict),
        "terms": _value(found.terms),
        "costs": [
            {
                **_value(e),
                **({} if t is not None else dict.fromkeys(_MONEY)),
                "per_thousand_more": thousand,
                "horizon": None if t is None else {**_value(t), "usd": t.usd},
            }
            for e, t, thousand in costs
        ],
        "break_evens": [{**_value(b), "sentence": b.sentence} for b in found.break_evens],
        "best_by_cost": _value(found.by_cost),
        "best_by_value": _value(found.by_value),
        "returns": [{**_value(r), "sentence": r.sentence} for r in found.returns],
        "cascades": [
            {
                "name": c.name,
                "first": c.first,
                "second": c.second,
                "threshold": c.threshold,
                "chosen_on": c.chosen_on,
                "share_to_second": c.share_to_second,
                "correct": c.correct,
                "accuracy": c.accuracy,
                "accuracy_low": c.low,
                "accuracy_high": c.high,
                "per_thousand_more": c.per_thousand(found.terms),
                "against_its_better_member": _difference(d),
            }
            for c, d in zip(found.cascades, found.cascade_differences, strict=True)
        ],
        "frontier": [{**_value(p), "dominated": p.dominated} for p in found.frontier],
        "suspects": [
            {
                **_value(s),
                "image": images[s.image] if images else s.image,
                "truth": labels[s.truth],
                "said": labels[s.said],
                "sure": s.sure,
            }
            for s in found.suspects
        ],
        "published": [{**_value(r), "comparable": r.comparable} for r in found.references],
        "published_pairs": found.published_pairs,
        "cautions": list(found.cautions),
        "notes": list(found.notes),
    }


def _usd(total: Total | None) -> float | None:
    return None if total is None else total.usd


def _difference(d: PairedDifference) -> dict[str, Any]:
    """Return a difference with the numbers of its images, not their positions."""
    return {
        "a": d.a,
        "b": d.b,
        "n": d.n,
        "gain": d.gain,
        "low": d.low,
        "high": d.high,
        "interval": d.interval,
        "only_a": len(d.only_a),
        "only_b": len(d.only_b),
        "both": d.both,
        "neither": d.neither,
        "disagree": len(d.differ),
        "p": d.p,
        "p_holm": d.p_holm,
        "real": d.real,
        "images_needed": d.needed,
        "partial": d.partial,
        "pairs": d.pairs,
        "measure": d.measure.name,
    }


def _value(value: Any) -> Any:
    """Return a dataclass as JSON has it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _value(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_value(inner) for inner in value]
    if isinstance(value, Enum):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_text(value: Mapping[str, Any]) -> str:
    """Return plain values as JSON text; what a terminal would obey is escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
