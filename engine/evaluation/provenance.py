"""What decided the figures, so that anybody can say where they come from and make them again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from engine.quantities import counted

SHORT = 12
"""Characters of a hash that are shown to people; programs get all of it."""


@dataclass(frozen=True)
class Provenance:
    """Everything that decided the figures, as plain values: a value that nobody knows is None.

    Attributes:
        made_at: when the figures were reckoned, in seconds since the epoch.
        software: versions by name, of what reckoned them.
        experiment: its name, when it was started, under which profile, and on which service.
        dataset: name, digest, kind and seed of its split, counts.
        prices: the table's date, and of each model that was paid what a million tokens cost.
        contestants: of each, who answered, how it was asked or trained, with which seed, when.

    """

    made_at: float
    software: Mapping[str, str]
    experiment: Mapping[str, Any] = field(default_factory=dict)
    dataset: Mapping[str, Any] = field(default_factory=dict)
    prices: Mapping[str, Any] = field(default_factory=dict)
    contestants: Sequence[Mapping[str, Any]] = ()

    def plain(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "made_at": moment(self.made_at),
            "software": dict(self.software),
            "experiment": dict(self.experiment),
            "dataset": dict(self.dataset),
            "prices": dict(self.prices),
            "contestants": [dict(c) for c in self.contestants],
        }

    def lines(self) -> list[tuple[str, str]]:
        """Return it for people, as (what, which)."""
        return list(self._lines())

    def _lines(self) -> Iterator[tuple[str, str]]:
        about = self.experiment
        if about:
            parts = [str(about["name"])]
            parts += [f"started {about['started_at']}"] if about.get("started_at") else []
            parts += [f"profile {about['profile']}"] if about.get("profile") else []
            parts += [str(about["api"])] if about.get("api") else []
            yield "experiment", ", ".join(parts)
        data = self.dataset
        if data.get("file"):
            yield "predictions", f"{data['file']}, sha256 {str(data['sha256'])[:SHORT]}, {counted(data['rows'], 'row')}"
        if data.get("digest"):
            seed = "" if data.get("seed") is None else f", seed {data['seed']}"
            counts = ", ".join(f"{data[part]:,} {part}" for part in ("train", "val", "test"))
            counts += f" of {counted(data['labels'], 'label')}"
            yield "data set", f"{data['name']}, digest {str(data['digest'])[:SHORT]}"
            yield "split", f"{data['split']}{seed}: {counts}"
        for c in self.contestants:
            yield str(c["name"]), _contestant(c)
        if self.prices:
            paid = [
                f"{model} ${p['input']:g} in, ${p['output']:g} out, half in batches"
                if p["batch_input"] * 2 == p["input"]
                else f"{model} ${p['input']:g} in, ${p['output']:g} out"
                for model, p in self.prices.get("models", {}).items()
            ]
            yield "prices", f"of {self.prices['as_of']}{': ' if paid else ''}{'; '.join(paid)}"
        yield "reckoned", f"{moment(self.made_at)} by {', '.join(f'{n} {v}' for n, v in self.software.items())}"


def _contestant(c: Mapping[str, Any]) -> str:
    parts = [str(c.get("model") or "elsewhere")]
    if "emulated" in c:
        parts.append("emulated" if c["emulated"] else "real")
    parts += [f"{name} {c[name]}" for name in ("deployment", "recipe", "seed", "detail") if c.get(name) is not None]
    for w in c.get("weights") or ():
        told = f"weights {w['weights']}"
        parts.append(f"{told}, sha256 {str(w['sha256'])[:SHORT]}" if w.get("sha256") else told)
    if c.get("training"):
        parts += [f"{name} {value}" for name, value in c["training"].items() if value is not None]
    if c.get("prompt"):
        parts.append(f"asked “{c['prompt']}”, answers as {c.get('answer_format')}")
    if c.get("finished_at"):
        parts.append(f"finished {c['finished_at']}")
    return "; ".join(parts)


def moment(at: float | None) -> str:
    """Return a moment in UTC (ISO 8601, to the second); nothing for none."""
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
