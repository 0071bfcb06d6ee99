"""Reckons an experiment's results again, from what is stored, and says whether they still hold.

Nothing is taken from where it was reckoned before: raw answers are read again, hits are counted with scikit-learn,
pairs with statsmodels, costs come from tokens and prices, and the data set's files are looked at. What the prompt, the
split and the answers come from is held against what is left of it, see `engine.jobs.origins`.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from engine.azure.prices import Prices, load_prices
from engine.datasets.catalog import digest_of
from engine.errors import InputError, NotFoundError
from engine.evaluation.answers import reader_of
from engine.evaluation.details import confidence
from engine.evaluation.reading import Reader
from engine.jobs import comparing, made_for, origins
from engine.jobs.origins import Check
from engine.jobs.paths import Home
from engine.quantities import counted
from engine.states import ContestantKind, JobKind, Outcome, Split
from engine.store import Store
from engine.store.charges import BEFORE
from engine.store.experiments import StoredContestant
from engine.store.jobs import StoredJob
from engine.store.predictions import Prediction

if TYPE_CHECKING:
    from engine.evaluation.comparison import ContestantResult
    from engine.events import DatasetView
    from engine.store.datasets import StoredImage

SAMPLE = 200
"""Files that are looked at unless all are asked for."""
NAMED = 5
"""Differences of a kind that are named; of more, their number is told."""
CLOSE = 1e-9


@dataclass(frozen=True)
class Verification:
    """All of it."""

    experiment: str
    checks: tuple[Check, ...]
    limits: tuple[str, ...] = ()
    """What cannot be reckoned again, a sentence each."""

    @property
    def holds(self) -> bool:
        """Whether nothing differs from what is stored."""
        return all(check.held is not False for check in self.checks)

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        wrong = [check.what for check in self.checks if check.held is False]
        unseen = [check.what for check in self.checks if check.held is None]
        told = f"{self.experiment} holds." if not wrong else f"{self.experiment} does not hold: {', '.join(wrong)}."
        return f"{told} Not looked at: {', '.join(unseen)}." if unseen else told

    def lines(self) -> list[str]:
        """Return it for people, the outcome last."""
        marks = {True: "holds", False: "DIFFERS", None: "–"}
        wide = max(len(check.what) for check in self.checks)
        told = []
        for check in self.checks:
            told.append(f"{marks[check.held]:<8} {check.what.ljust(wide)}  {check.detail}")
            told += [f"{'':<8} {'':<{wide}}  {name}" for name in check.differs[:NAMED]]
            if len(check.differs) > NAMED:
                told.append(f"{'':<8} {'':<{wide}}  and {len(check.differs) - NAMED:,} more")
        return [*told, *(f"{'':<8} {limit}" for limit in self.limits), self.sentence]

    def plain(self) -> dict[str, Any]:
        """Return it for programs."""
        checks = [{"what": c.what, "held": c.held, "detail": c.detail, "differs": list(c.differs)} for c in self.checks]
        return {"experiment": self.experiment, "holds": self.holds, "checks": checks, "limits": list(self.limits)}


def verify(store: Store, home: Home, experiment: str, every_file: bool = False) -> Verification:
    """Reckon an experiment's results again.

    Args:
        store: of the home.
        home: where prices lie, and the folders of jobs.
        experiment: its name.
        every_file: look at all files of the data set; else at a sample, always the same one.

    Raises:
        NotFoundError: there is no such experiment, or it has no contestants.
        InputError: the home's prices or synonyms cannot be read.

    """
    contestants = store.experiments.contestants(experiment)
    stored = store.experiments.get(experiment)
    if stored.dataset is None or not contestants:
        raise NotFoundError(f"Experiment {experiment!r} has no contestants to verify.", "See: dogcls-tui jobs")
    dataset = store.datasets.get(stored.dataset)
    images = store.datasets.images(dataset.name, Split.TEST)
    prices = load_prices(home.prices)
    jobs = [store.jobs.get(view.id) for view in store.jobs.views(experiment)]
    checks = [_digest(store, dataset), _files(store, dataset, every_file)]
    split = origins.split(dataset, store.datasets.catalogued(dataset.name))
    checks += [split] if isinstance(split, Check) else []
    readers = (reader_of(dataset.labels, home.synonyms), Reader(dataset.labels))
    try:
        results = {
            c.name: r for c, r in zip(contestants, comparing.comparison(store, experiment).contestants, strict=True)
        }
    except (InputError, ValueError):  # a stored label is none of the data set's; `_answers` names it
        results = {}
    for c in contestants:
        found = store.predictions.of(c.id)
        mine = [job for job in jobs if job.contestant_id == c.id]
        checks += origins.prompt(home, c, mine, dataset.labels)
        checks += origins.written(home, c, mine, found)
        checks += made_for.check(store, home, c, mine, every_file)
        checks.append(_answers(c, found, images, dataset.labels, readers))
        checks.append(
            _figures(
                c, found, images, dataset.labels, results.get(c.name), list(store.predictions.latencies(c.id).values())
            )
        )
        checks += _costs(store, home, c, mine, prices)
    if len(contestants) > 1 and results:
        checks.append(_differences(store, home, experiment))
    every = every_file or dataset.train + dataset.val + dataset.test <= SAMPLE
    limits = _limits(contestants, [c.what for c in checks], every)
    limits += [split] if isinstance(split, str) else []
    return Verification(experiment, tuple(checks), tuple(limits))


def _limits(contestants: Sequence[StoredContestant], checked: Sequence[str], every: bool) -> list[str]:
    """Return what this cannot find out."""
    alone = [c.name for c in contestants if c.kind != ContestantKind.CNN and f"files of {c.name}" not in checked]
    told = ["Latencies and times to train were measured; they are summed up again and not measured again."]
    if alone:
        told.append(
            f"What the service wrote to {', '.join(alone)} is in the store alone: an answer that was changed there"
            f" together with its label is not found."
        )
    if any(c.kind == ContestantKind.CNN for c in contestants):
        told.append("The CNN is not run again: that its answers are its own is not looked at.")
    told += [] if every else ["Of most files the size alone is looked at, unless all are asked for."]
    return told


def _digest(store: Store, dataset: DatasetView) -> Check:
    lines = sorted(f"{sha} {split} {label}" for _, label, split, sha in store.datasets.catalogued(dataset.name))
    found = digest_of(lines)
    differs = () if found == dataset.digest else (f"digest is {found[:12]}, was {dataset.digest[:12]}",)
    return Check("catalog", not differs, f"digest of {counted(len(lines), 'image')}, their splits and labels", differs)


def _files(store: Store, dataset: DatasetView, every: bool) -> Check:
    """Look whether files still have their size, and their sha256: all of them, or a sample that the digest chooses."""
    known = [(i.path, i.bytes, i.sha256) for split in Split for i in store.datasets.images(dataset.name, split)]
    looked = known if every else random.Random(dataset.digest).sample(known, min(SAMPLE, len(known)))
    hashed, differs = {path for path, *_ in looked}, []
    for path, size, sha in sorted(known):
        name = path.relative_to(dataset.root).as_posix() if path.is_relative_to(dataset.root) else str(path)
        try:
            same = path.stat().st_size == size
            if same and path in hashed:
                with path.open("rb") as file:
                    same = hashlib.file_digest(file, "sha256").hexdigest() == sha
        except OSError as error:
            differs.append(f"{name}: {error.strerror}")
            continue
        differs += [] if same else [f"{name} has changed"]
    which = "all" if len(looked) == len(known) else "a sample of"
    detail = f"sha256 of {which} {len(looked):,} of {counted(len(known), 'file')}"
    return Check("files", not differs, detail if every else f"{detail}, the size of all", tuple(differs))


def _answers(
    contestant: StoredContestant,
    found: dict[int, Prediction],
    images: Sequence[StoredImage],
    labels: Sequence[str],
    readers: Sequence[Reader],
) -> Check:
    """Read raw answers again by the rules of today, and hold that against what was made of them.

    With today's table of synonyms or without any: the table may have been written after the answers were read.
    """
    differs, read = [], 0
    for image in images:
        p = found.get(image.id)
        if p is None:
            continue
        read += p.raw is not None
        told = _misread(contestant, p, readers, labels)
        if told:
            differs.append(f"{image.path.name} (image {image.id}): {told}")
    odd = set(found) - {image.id for image in images}
    differs += [f"image {number} is not in the test split" for number in sorted(odd)]
    return Check(
        f"answers of {contestant.name}", not differs, f"{counted(read, 'raw answer')} read again", tuple(differs)
    )


def _misread(contestant: StoredContestant, p: Prediction, readers: Sequence[Reader], labels: Sequence[str]) -> str:
    """Return what is wrong with a stored prediction, in words; nothing as a rule."""
    named = None if p.label is None else labels[p.label] if 0 <= p.label < len(labels) else f"label {p.label}"
    if p.outcome not in (Outcome.ANSWERED, Outcome.UNKNOWN_LABEL):
        return f"{p.outcome}, and yet it has the label {named}" if named is not None else ""
    said = [reader.read(p.raw, contestant.answer_format).label for reader in readers]
    if named not in said:
        return f"{p.raw!r} reads {said[0]}, {named} is stored"
    if (p.outcome == Outcome.ANSWERED) != (named is not None):
        return f"it is stored as {p.outcome}, and its label is {named}"
    if p.ranking and (best := p.ranking[0][0]) != p.label:
        return f"its likeliest label is {labels[best] if 0 <= best < len(labels) else best}, {named} is stored"
    told = confidence(p.raw)
    if p.ranking and told is not None and not math.isclose(told, p.ranking[0][1], abs_tol=1e-4):
        return f"it says {told:.4f}, {p.ranking[0][1]:.4f} is stored"
    return ""


def _figures(
    contestant: StoredContestant,
    found: dict[int, Prediction],
    images: Sequence[StoredImage],
    labels: Sequence[str],
    result: ContestantResult | None,
    alone: Sequence[float],
) -> Check:
    """Count anew with scikit-learn, statsmodels and the standard library's quantiles.

    An image without a label is a class of its own there, and nobody's. `alone` is milliseconds of single requests.
    """
    from sklearn.metrics import accuracy_score, f1_score
    from statsmodels.stats.proportion import proportion_confint

    what = f"figures of {contestant.name}"
    if not images:
        return Check(what, None, "there are no test images")
    if result is None:
        return Check(what, False, "they cannot be reckoned: see its answers")
    truths = [image.label for image in images]
    said = [-1 if (p := found.get(i.id)) is None or p.label is None else p.label for i in images]
    accuracy = float(accuracy_score(truths, said))
    f1 = float(f1_score(truths, said, labels=sorted(set(truths)), average="macro", zero_division=0.0))
    low, high = proportion_confint(sum(t == s for t, s in zip(truths, said, strict=True)), len(truths), method="wilson")
    told = [
        ("accuracy", accuracy, result.accuracy),
        ("macro F1", f1, result.macro_f1),
        ("the interval's low end", max(0.0, low), result.accuracy_low),
        ("the interval's high end", min(1.0, high), result.accuracy_high),
    ]
    if result.latency is not None:
        percentiles = quantiles(alone, n=100, method="inclusive") if len(alone) > 1 else [*alone] * 99
        told += [(f"p{q} ms", percentiles[q - 1], getattr(result.latency, f"p{q}")) for q in (50, 90, 95, 99)]
    differs = [
        f"{name} is {now:.6f}, reported is {before:.6f}"
        for name, now, before in told
        if not math.isclose(now, before, rel_tol=CLOSE, abs_tol=CLOSE)
    ]
    if sum(result.outcomes.values()) != len(images):
        differs.append(f"{counted(sum(result.outcomes.values()), 'outcome')} for {counted(len(images), 'image')}")
    return Check(
        what, not differs, f"{accuracy:.4f} of {counted(len(images), 'image')}, macro F1 {f1:.4f}", tuple(differs)
    )


def _differences(store: Store, home: Home, experiment: str) -> Check:
    """Compare every two that are finished anew, with statsmodels, and hold that against what is shown."""
    from statsmodels.stats.contingency_tables import mcnemar
    from statsmodels.stats.multitest import multipletests

    from engine.evaluation.findings import find
    from engine.evaluation.terms import Terms
    from engine.jobs.evidence import evidence

    shown = find(evidence(store, home, experiment), Terms()).analysis
    differs, ps = [], []
    for d in shown.by_accuracy:
        one, other = shown.of(d.a), shown.of(d.b)
        both = [
            n for n, ends in enumerate(zip(one.outcomes, other.outcomes, strict=True))
            if not d.partial or Outcome.MISSING not in ends
        ]  # fmt: skip
        a, b = ([c.predictions[n] == shown.truths[n] for n in both] for c in (one, other))
        pairs = Counter(zip(a, b, strict=True))
        table = [[pairs[x, y] for y in (True, False)] for x in (True, False)]
        ps.append(min(1.0, float(mcnemar(table, exact=True).pvalue)) if table[0][1] + table[1][0] else 1.0)
        if (table[0][1], table[1][0]) != (len(d.only_a), len(d.only_b)):
            differs.append(f"{d.a} – {d.b}: {table[0][1]} and {table[1][0]} decide")
    corrected = multipletests(ps, method="holm")[1]
    differs += [
        f"{d.a} – {d.b}: p is {p:.6f}, reported is {d.p_holm:.6f}"
        for d, p in zip(shown.by_accuracy, corrected, strict=True)
        if not math.isclose(p, d.p_holm, abs_tol=CLOSE)
    ]
    return Check("differences", not differs, f"{counted(len(ps), 'pair')}, p after Holm", tuple(differs))


# -- money


def _costs(
    store: Store, home: Home, contestant: StoredContestant, jobs: Sequence[StoredJob], prices: Prices
) -> Iterator[Check]:
    """Reckon what a contestant cost, from tokens, hours and today's price table."""
    if contestant.kind == ContestantKind.CNN:
        return
    stored = store.predictions.costs(contestant.id)
    kinds = {job.kind for job in jobs}
    model = next((str(job.parameters["model"]) for job in jobs if "model" in job.parameters), contestant.model)
    what = f"costs of {contestant.name}"
    try:
        prices.of(model)
    except InputError as error:
        yield Check(what, None, str(error))
        return
    now: dict[str, float | None] = {"inference": _inference(store, contestant, model, kinds, prices)}
    if JobKind.FINE_TUNE in kinds:
        now["training"] = _training(home, jobs, model, prices)
    if JobKind.DEPLOY in kinds:
        now["hosting"] = _hosting(home, jobs, model, prices)
    differs, told, unseen, unpriced = [], [], [], []
    for item, usd in now.items():
        before = stored.get(item, 0.0)
        if usd is None:
            unseen.append(item)
        elif before is None:
            unpriced.append(item)
        elif math.isclose(usd, before, rel_tol=1e-6, abs_tol=1e-9):
            told.append(f"{item} ${usd:,.4f}")
        else:
            differs.append(f"{item} is ${usd:,.4f} by the prices of {prices.as_of}, ${before:,.4f} is stored")
    if told or differs:
        yield Check(
            what, not differs, f"prices of {prices.as_of}{': ' if told else ''}{', '.join(told)}", tuple(differs)
        )
    if unseen:
        yield Check(f"{' and '.join(unseen)} of {contestant.name}", None, "what it was reckoned from is gone")
    if unpriced:
        yield Check(f"{' and '.join(unpriced)} of {contestant.name}", None, "what it cost is unknown")


def _inference(store: Store, contestant: StoredContestant, model: str, kinds: set[str], prices: Prices) -> float:
    charges = [c for c in store.jobs.charges_of(contestant.id) if c.item == "inference"]
    if charges and all(c.key not in ("", BEFORE) for c in charges):  # what was paid twice is counted twice
        return sum(
            prices.inference_cost(model, c.prompt_tokens, c.completion_tokens, batch=c.key.startswith("batch:"))
            for c in charges
        )
    whole, probe = store.predictions.usage(contestant.id), store.predictions.probe_usage(contestant.id)
    into, out, usd = whole.prompt_tokens, whole.completion_tokens, 0.0
    if JobKind.BATCH in kinds:
        cheap = store.predictions.batch_usage(contestant.id)
        into, out = into - cheap.prompt_tokens, out - cheap.completion_tokens
        usd = prices.inference_cost(model, cheap.prompt_tokens, cheap.completion_tokens, batch=True)
    return usd + prices.inference_cost(model, into + probe.prompt_tokens, out + probe.completion_tokens)


def _training(home: Home, jobs: Sequence[StoredJob], model: str, prices: Prices) -> float | None:
    """Return what was billed for training: all rounds where their files are there, else what the result says."""
    tokens = 0
    for job in jobs:
        if job.kind != JobKind.FINE_TUNE:
            continue
        rounds = [int(path.read_text(encoding="ascii")) for path in home.job(job).glob("round-*/billed")]
        billed = sum(rounds) if rounds else (job.result or {}).get("billed_tokens")
        if billed is None:
            return None
        tokens += billed
    return prices.training_cost(model, tokens)


def _hosting(home: Home, jobs: Sequence[StoredJob], model: str, prices: Prices) -> float | None:
    """Return what the deployments' hours cost; None where they are not known, or not over."""
    seconds = 0.0
    for job in jobs:
        if job.kind != JobKind.DEPLOY:
            continue
        try:
            lives = json.loads((home.job(job) / "hosted.json").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None
        if any(until is None for _, until in lives):
            return None
        seconds += sum(until - since for since, until in lives)
    return prices.hosting_cost(model, seconds)
