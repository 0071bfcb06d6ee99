"""Reckons an experiment's results again, from what is stored, and says whether they still hold.

Nothing is taken from where it was reckoned before: raw answers are read again, hits are counted with scikit-learn on
the frame of answers, costs come from tokens and prices, and the data set's files are looked at.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.azure.prices import Prices, load_prices
from engine.datasets.catalog import digest_of
from engine.errors import InputError, NotFoundError
from engine.evaluation.details import confidence
from engine.evaluation.reading import Reader
from engine.jobs import comparing
from engine.jobs.paths import Home
from engine.states import ContestantKind, JobKind, Outcome, Split
from engine.store import Store
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
class Check:
    """One thing that was reckoned again.

    Attributes:
        what: was looked at.
        held: whether it is as it was; None where it could not be looked at, and `detail` says why.
        detail: what was done, with numbers.
        differs: what differs, each by its name.

    """

    what: str
    held: bool | None
    detail: str
    differs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verification:
    """All of it."""

    experiment: str
    checks: tuple[Check, ...]

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
        return [*told, self.sentence]

    def plain(self) -> dict[str, Any]:
        """Return it for programs."""
        checks = [{"what": c.what, "held": c.held, "detail": c.detail, "differs": list(c.differs)} for c in self.checks]
        return {"experiment": self.experiment, "holds": self.holds, "checks": checks}


def verify(store: Store, home: Home, experiment: str, every_file: bool = False) -> Verification:
    """Reckon an experiment's results again.

    Args:
        store: of the home.
        home: where prices lie, and the folders of jobs.
        experiment: its name.
        every_file: look at all files of the data set; else at a sample, always the same one.

    Raises:
        NotFoundError: there is no such experiment, or it has no contestants.
        InputError: the home's prices cannot be read.

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
    try:
        results = {
            c.name: r for c, r in zip(contestants, comparing.comparison(store, experiment).contestants, strict=True)
        }
    except (IndexError, ValueError):  # a stored label is none of the data set's; `_answers` names it
        results = {}
    for c in contestants:
        found = store.predictions.of(c.id)
        checks.append(_answers(c, found, images, dataset.labels))
        checks.append(_figures(c, found, images, dataset.labels, results.get(c.name)))
        mine = [job for job in jobs if job.contestant_id == c.id]
        checks += _costs(store, home, c, mine, prices)
    return Verification(experiment, tuple(checks))


def _digest(store: Store, dataset: DatasetView) -> Check:
    lines = sorted(f"{sha} {split} {label}" for _, label, split, sha in store.datasets.catalogued(dataset.name))
    found = digest_of(lines)
    differs = () if found == dataset.digest else (f"digest is {found[:12]}, was {dataset.digest[:12]}",)
    return Check("catalog", not differs, f"digest of {len(lines):,} images, their splits and labels", differs)


def _files(store: Store, dataset: DatasetView, every: bool) -> Check:
    """Look whether files still have their sha256: all of them, or a sample that the digest chooses."""
    known = [(path, sha) for path, _, _, sha in store.datasets.catalogued(dataset.name)]
    looked = known if every else random.Random(dataset.digest).sample(known, min(SAMPLE, len(known)))
    differs = []
    for path, sha in sorted(looked):
        try:
            with (Path(dataset.root) / path).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != sha:
                    differs.append(f"{path} has changed")
        except OSError as error:
            differs.append(f"{path}: {error.strerror}")
    which = "all" if len(looked) == len(known) else "a sample of"
    return Check("files", not differs, f"sha256 of {which} {len(looked):,} of {len(known):,} files", tuple(differs))


def _answers(
    contestant: StoredContestant, found: dict[int, Prediction], images: Sequence[StoredImage], labels: Sequence[str]
) -> Check:
    """Read raw answers again by the rules of today, and hold that against what was made of them."""
    reader = Reader(labels)
    differs, read = [], 0
    for image in images:
        p = found.get(image.id)
        if p is None:
            continue
        read += p.raw is not None
        told = _misread(contestant, p, reader, labels)
        if told:
            differs.append(f"{image.path.name} (image {image.id}): {told}")
    odd = set(found) - {image.id for image in images}
    differs += [f"image {number} is not in the test split" for number in sorted(odd)]
    return Check(f"answers of {contestant.name}", not differs, f"{read:,} raw answers read again", tuple(differs))


def _misread(contestant: StoredContestant, p: Prediction, reader: Reader, labels: Sequence[str]) -> str:
    """Return what is wrong with a stored prediction, in words; nothing as a rule."""
    named = None if p.label is None else labels[p.label] if 0 <= p.label < len(labels) else f"label {p.label}"
    if p.outcome not in (Outcome.ANSWERED, Outcome.UNKNOWN_LABEL):
        return f"{p.outcome}, and yet it has the label {named}" if named is not None else ""
    said = reader.read(p.raw, contestant.answer_format).label
    if said != named:
        return f"{p.raw!r} reads {said}, {named} is stored"
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
) -> Check:
    """Count anew with scikit-learn; an image without a label is a class of its own there, and nobody's."""
    from sklearn.metrics import accuracy_score, f1_score

    what = f"figures of {contestant.name}"
    if not images:
        return Check(what, None, "there are no test images")
    if result is None:
        return Check(what, False, "they cannot be reckoned: see its answers")
    truths = [image.label for image in images]
    said = [-1 if (p := found.get(i.id)) is None or p.label is None else p.label for i in images]
    accuracy = float(accuracy_score(truths, said))
    f1 = float(f1_score(truths, said, labels=list(range(len(labels))), average="macro", zero_division=0.0))
    differs = [
        f"{name} is {now:.6f}, reported is {told:.6f}"
        for name, now, told in (("accuracy", accuracy, result.accuracy), ("macro F1", f1, result.macro_f1))
        if not math.isclose(now, told, abs_tol=CLOSE)
    ]
    if sum(result.outcomes.values()) != len(images):
        differs.append(f"{sum(result.outcomes.values()):,} outcomes for {len(images):,} images")
    return Check(what, not differs, f"{accuracy:.4f} of {len(images):,} images, macro F1 {f1:.4f}", tuple(differs))


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
    differs, told, unseen = [], [], []
    for item, usd in now.items():
        before = stored.get(item, 0.0)
        if usd is None:
            unseen.append(item)
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


def _inference(store: Store, contestant: StoredContestant, model: str, kinds: set[str], prices: Prices) -> float:
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
        rounds = [int(path.read_text(encoding="ascii")) for path in _folder(home, job).glob("round-*/billed")]
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
            lives = json.loads((_folder(home, job) / "hosted.json").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None
        if any(until is None for _, until in lives):
            return None
        seconds += sum(until - since for since, until in lives)
    return prices.hosting_cost(model, seconds)


def _folder(home: Home, job: StoredJob) -> Path:
    """Return a job's folder without making it."""
    return home.root / "jobs" / str(job.id)
