"""Brings everything that findings are made of from the store to the evaluation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from engine.azure.prices import ModelPrices, Prices, load_prices
from engine.evaluation.comparison import ContestantInput, ContestantResult
from engine.evaluation.details import Answers
from engine.evaluation.economics import Economics, economics
from engine.evaluation.findings import Asked, Evidence, TestImage
from engine.evaluation.properties import ImageProperties
from engine.evaluation.references import DatasetInfo
from engine.evaluation.synonyms import load_synonyms
from engine.evaluation.thresholds import Checked
from engine.events import DatasetView
from engine.jobs import comparing
from engine.jobs.bought import bought
from engine.jobs.brightness import brightness
from engine.jobs.measuring import Chosen
from engine.jobs.paths import Home
from engine.jobs.provenance import provenance
from engine.learning import seconds_here
from engine.quantities import counted
from engine.states import ContestantKind, JobKind, Split
from engine.store import Store
from engine.store.datasets import StoredImage
from engine.store.experiments import StoredContestant


def evidence(
    store: Store,
    home: Home,
    experiment: str,
    *,
    measure: bool = False,
    chosen: Chosen | None = None,
) -> Evidence:
    """Return what an experiment's findings are made of.

    Args:
        store: of the home.
        home: where prices, synonyms and the cache lie.
        experiment: its name.
        measure: look at the pictures whose brightness is not known yet, some milliseconds each.
        chosen: by which measure; see `comparing.comparison`.

    Raises:
        NotFoundError: there is no such experiment, or it has no contestants.
        InputError: the home's synonyms or prices cannot be read; names file and line.

    """
    comparison = comparing.comparison(store, experiment, chosen=chosen)
    answers = comparing.answers(store, experiment)
    dataset = store.datasets.get(comparison.dataset)
    images = store.datasets.images(dataset.name, Split.TEST)
    contestants = store.experiments.contestants(experiment)
    prices = load_prices(home.prices)
    rows = partial(_input, store, answers, images)
    inputs = [rows(n, c, r) for n, (c, r) in enumerate(zip(contestants, comparison.contestants, strict=True))]
    copies = Counter(sha for *_, sha in store.datasets.catalogued(dataset.name))
    return Evidence(
        comparison=comparison,
        answers=answers,
        inputs=inputs,
        economics=[
            _economics(store, c, r, prices, dataset) for c, r in zip(contestants, comparison.contestants, strict=True)
        ],
        data=DatasetInfo(
            dataset.digest,
            len(dataset.labels),
            dataset.train,
            dataset.val,
            dataset.test,
            {str(c.kind): c.answer_format for c in contestants},
        ),
        properties=ImageProperties(
            bytes=[image.bytes for image in images],
            pixels=[image.width * image.height for image in images],
            brightness=brightness(images, home.cache, measure=measure),
            duplicate=[copies[image.sha256] > 1 for image in images],
        ),
        synonyms=load_synonyms(home.synonyms, dataset.labels),
        bought=_bought(store, home, experiment, dataset, contestants),
        validated=_validated(store, experiment, dataset.name),
        sure={i.name: [row[0][1] if row else None for row in i.rankings] for i in inputs if any(i.rankings)},
        rankings={i.name: i.rankings for i in inputs if any(i.rankings)},
        notes=_strays(store, contestants, images),
        provenance=provenance(store, home, experiment, prices),
        images=[TestImage(_below(i.path, dataset.root), i.path, i.sha256, i.bytes, i.width, i.height) for i in images],
        asked=[_asked(store, c.id, images) for c in contestants],
    )


def _input(
    store: Store,
    answers: Answers,
    images: list[StoredImage],
    number: int,
    contestant: StoredContestant,
    result: ContestantResult,
) -> ContestantInput:
    said, found = answers.contestants[number], store.predictions.of(contestant.id)
    sequential, concurrent = comparing.timings_of(store, contestant.id)
    labels = answers.labels
    return ContestantInput(
        name=contestant.name,
        kind=contestant.kind,
        model=contestant.model,
        emulated=contestant.emulated,
        prompt=contestant.prompt,
        answer_format=contestant.answer_format,
        truths=[labels[truth] for truth in answers.truths],
        predictions=[None if label is None else labels[label] for label in said.predicted],
        outcomes=said.outcomes,
        latencies_ms=said.latencies_ms,
        training_usd=result.cost.training,
        hosting_usd=result.cost.hosting,
        inference_usd=result.cost.inference,
        train_seconds=contestant.train_seconds,
        train_from_cache=result.train_from_cache,
        complete=result.complete,
        images=[image.sha256 + image.path.name for image in images],
        raw=said.raw if contestant.prompt else (),  # a network's answers are no text that somebody read
        rankings=[found[image.id].ranking if image.id in found else () for image in images],
        sequential=sequential,
        concurrent=concurrent,
        caution=result.caution,
    )


def _below(path: Path, root: str) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _asked(store: Store, contestant_id: int, images: list[StoredImage]) -> list[Asked]:
    found, single = store.predictions.of(contestant_id), store.predictions.latencies(contestant_id)
    rows = []
    for image in images:
        p, alone = found.get(image.id), single.get(image.id)
        asked = Asked() if p is None else Asked(None, None, p.prompt_tokens, p.completion_tokens, p.error)
        # The answer's own time is the single request's where that was the same request.
        together = None if p is None or p.latency_ms == alone else p.latency_ms
        rows.append(replace(asked, latency_ms=alone, concurrent_ms=together))
    return rows


def _economics(
    store: Store, contestant: StoredContestant, result: ContestantResult, prices: Prices, dataset: DatasetView
) -> Economics:
    usage = store.predictions.usage(contestant.id)
    asked = sum(count for outcome, count in result.outcomes.items() if outcome not in ("missing", "failed"))
    known: ModelPrices | None = None
    if contestant.kind != ContestantKind.CNN and contestant.model.split(".ft-")[0] in prices.models:
        known = prices.of(contestant.model)
    tokens = (usage.prompt_tokens / asked, usage.completion_tokens / asked) if asked and usage.prompt_tokens else None
    labels = dataset.train + dataset.val
    row = _first_run(store, contestant, result, dataset.train)
    return economics(row, known, tokens, labels=labels, tested=dataset.test)


def _first_run(store: Store, contestant: StoredContestant, result: ContestantResult, images: int) -> ContestantResult:
    """Return a row with the time that a training without features in the cache takes here, where that is known.

    Else its own time is a lower bound of what the machine is paid for.
    """
    if not result.train_from_cache:
        return result
    jobs = [store.jobs.get(view.id) for view in store.jobs.of_kind(JobKind.TRAIN)]
    recipe = next((str(job.parameters.get("recipe")) for job in jobs if job.contestant_id == contestant.id), "")
    first = seconds_here(store, recipe, images)
    return result if first is None else replace(result, train_seconds=max(first, result.train_seconds or 0.0))


def _strays(store: Store, contestants: Sequence[StoredContestant], images: list[StoredImage]) -> list[str]:
    """Say which contestants have answers about images that the test split does not have."""
    test, told = {image.id for image in images}, []
    for c in contestants:
        if strays := set(store.predictions.of(c.id)) - test:
            told.append(
                f"{c.name} has {counted(len(strays), 'answer')} about images that are not tested; they do not count."
            )
    return told


def _bought(
    store: Store, home: Home, experiment: str, dataset: DatasetView, contestants: Sequence[StoredContestant]
) -> dict[str, dict[int, bool]]:
    """Return whether contestants were right about validation images of which a pilot has bought answers."""
    jobs = [store.jobs.get(view.id) for view in store.jobs.views(experiment)]
    images = store.datasets.images(dataset.name, Split.VAL)
    profile = store.experiments.get(experiment).profile
    found = {}
    for c in contestants:
        mine = [job for job in jobs if job.contestant_id == c.id]
        if right := bought(home, profile, dataset.digest, c, mine, images, dataset.labels):
            found[c.name] = right
    return found


def _validated(store: Store, experiment: str, dataset: str) -> dict[str, dict[int, Checked]]:
    """Return what each local network made of its validation images in the end."""
    truths = {image.id: image.label for image in store.datasets.images(dataset, Split.VAL)}
    found = {}
    for job in store.jobs.views(experiment):
        if job.kind == JobKind.TRAIN and job.contestant and job.state == "succeeded":
            rows = store.validations.all(job.id)
            found[job.contestant] = {
                r.image_id: Checked(r.probability, truths.get(r.image_id) == r.label) for r in rows
            }
    return found
