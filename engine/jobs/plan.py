"""From an experiment's parameters to its contestants, its jobs, and what they will cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.azure.connection import Endpoint
from engine.azure.prices import Prices, estimate_text_tokens, tokens_of_image
from engine.datasets.prompt import ARTICLE_PROMPT, Prompt
from engine.errors import ConfigurationError, InputError
from engine.evaluation.economics import Economics, total
from engine.evaluation.terms import Terms
from engine.evaluation.words import dollars
from engine.events import DatasetView
from engine.jobs.binding import DEMO, ResourceBinding
from engine.jobs.spec import Spec
from engine.quantities import counted
from engine.states import ContestantKind, JobKind, Split
from engine.store import Store
from engine.store.datasets import StoredImage
from engine.store.experiments import NewContestant, NewJob

ANSWER_TOKENS = 6
"""About what a label takes, as in the article's run; a JSON answer takes a few more."""
AUTOMATIC_EPOCHS = 3
"""What the service is expected to choose where the epochs are left to it; it chooses more for fewer examples."""
SCORING_HOURS = 0.5
"""What a deployment is expected to live: created, awaited, 600 requests, deleted."""


@dataclass(frozen=True)
class Plan:
    """What will be done: contestants and jobs for the store (positions refer to each other).

    `estimates` are US dollars by (position of the contestant, item), once it has a price.
    """

    contestants: list[NewContestant]
    jobs: list[NewJob]
    estimates: dict[tuple[int, str], float] = field(default_factory=dict)


@dataclass(frozen=True)
class PriceLine:
    """One line of a price: what for, how much of it, US dollars."""

    contestant: str
    item: str
    detail: str
    usd: float


@dataclass(frozen=True)
class Price:
    """What an experiment will cost, before anything is spent. `emulated`: nobody will charge it.

    `cautions` say why it may be money for less than it seems.
    """

    lines: tuple[PriceLine, ...]
    emulated: bool
    as_of: str
    cautions: tuple[str, ...] = ()
    ahead: tuple[Economics, ...] = ()
    """What each contestant's costs are made of beyond this experiment, as far as it is known before any answer."""

    @property
    def total(self) -> float:
        """US dollars in all."""
        return sum(line.usd for line in self.lines)

    def under(self, terms: Terms) -> str:
        """Return in a sentence what each contestant costs beyond this experiment, as results compute it."""
        costs = [f"{e.name} {dollars(total(e, terms).usd if e.known(terms) else None)}" for e in self.ahead]
        return f"For {terms.horizon}: {', '.join(costs)} ({', '.join(terms.assumptions)})." if costs else ""


def prompts(spec: Spec) -> tuple[Prompt, Prompt]:
    """Return the zero-shot prompt and the tuned model's: JSON and plain answers, unless the template says which."""
    if not spec.prompt:
        return Prompt(ARTICLE_PROMPT, "json", spec.detail), Prompt(ARTICLE_PROMPT, "text", spec.detail)
    path = Path(spec.prompt)
    return Prompt.from_file(path, "json", spec.detail), Prompt.from_file(path, "text", spec.detail)


def make_plan(spec: Spec, place: Endpoint | None, profile: str) -> Plan:
    """Make the jobs of an experiment.

    Args:
        place: the service; may be None when no contestant needs one.

    Raises:
        ConfigurationError: a contestant needs a deployment that is not configured.

    """
    contestants: list[NewContestant] = []
    jobs: list[NewJob] = []
    zero_shot, tuned = prompts(spec)
    common: dict[str, Any] = {"dataset": spec.dataset, "profile": profile, "probe": spec.probe}

    def asking(prompt: Prompt, **more: object) -> dict[str, Any]:
        return {**common, **_resource(place, profile), "model": spec.model, **prompt.parameters(), **more}

    for kind in dict.fromkeys(spec.contestants):
        position = len(contestants)
        if kind == ContestantKind.CNN:
            contestants.append(NewContestant("cnn", kind, spec.recipe, False, "", "class"))
            jobs.append(NewJob(JobKind.TRAIN, common | _training(spec), position))
            continue
        if place is None:
            raise ConfigurationError(f"{kind} needs a service.", "Choose a --profile.")
        prompt = zero_shot if kind == ContestantKind.ZERO_SHOT else tuned
        contestants.append(NewContestant(kind, kind, spec.model, place.emulated, prompt.words, prompt.form))
        if kind == ContestantKind.ZERO_SHOT:
            batch = {"deployment": batch_deployment(place), **_retrying(spec, place)}
            jobs.append(NewJob(JobKind.BATCH, asking(prompt, **batch), position))
            if spec.probe and place.deployment:
                jobs.append(NewJob(JobKind.PROBE, asking(prompt, deployment=place.deployment), position))
        else:
            first = len(jobs)
            scoring = {"concurrency": spec.concurrency, "keep_deployment": spec.keep_deployment}
            jobs += [
                NewJob(JobKind.FINE_TUNE, asking(prompt, **_tuning(spec)), position),
                NewJob(JobKind.DEPLOY, asking(prompt), position, needs=(first,)),
                NewJob(JobKind.SCORE, asking(prompt, **scoring), position, needs=(first + 1,)),
            ]
    return Plan(contestants, jobs)


def _resource(place: Endpoint | None, profile: str) -> dict[str, Any]:
    """Return the resource that a job is bound to; the profile is enough for the home's own emulator."""
    return {} if place is None or profile == DEMO else {"resource": ResourceBinding.of(place).plain()}


def _training(spec: Spec) -> dict[str, Any]:
    """Return what decides the CNN."""
    return {"recipe": spec.recipe, "weights": spec.weights, "seed": spec.seed, "device": spec.device}


def _tuning(spec: Spec) -> dict[str, Any]:
    """Return what decides the fine-tuning job."""
    return {
        "epochs": spec.epochs,
        "batch_size": spec.batch_size,
        "lr_multiplier": spec.lr_multiplier,
        "seed": spec.seed,
        "convert": spec.convert,
    }


def single(
    kind: JobKind,
    spec: Spec,
    place: Endpoint | None,
    profile: str,
    *,
    deployment: str | None = None,
    tuned_model: str | None = None,
    train_epochs: int | None = None,
) -> Plan:
    """Plan one job alone.

    Args:
        deployment: whom to ask (batch, probe, score); the configured one unless given.
        tuned_model: what to deploy.
        train_epochs: epochs of the CNN, instead of its recipe's.

    Raises:
        ConfigurationError: the job needs a deployment, and none is configured or given.

    """
    zero_shot, tuned = prompts(spec)
    parameters: dict[str, Any] = {"dataset": spec.dataset, "profile": profile, "probe": spec.probe}
    if kind == JobKind.TRAIN:
        parameters |= {**_training(spec), "train_epochs": train_epochs}
        cnn = NewContestant("cnn", ContestantKind.CNN, spec.recipe, False, "", "class")
        return Plan([cnn], [NewJob(kind, parameters, 0)])
    if place is None:
        raise ConfigurationError(f"{kind} needs a service.", "Choose a --profile.")
    prompt = zero_shot if kind in (JobKind.BATCH, JobKind.PROBE) else tuned
    parameters |= {**_resource(place, profile), "model": spec.model, **prompt.parameters()}
    if kind == JobKind.FINE_TUNE:
        return Plan([], [NewJob(kind, parameters | _tuning(spec))])
    if kind == JobKind.DEPLOY:
        if tuned_model and ".ft-" in tuned_model:  # it has its own base's prices, whatever is configured
            parameters["model"] = tuned_model.split(".ft-")[0]
        return Plan([], [NewJob(kind, parameters | {"tuned_model": tuned_model})])
    name = deployment or {
        JobKind.BATCH: place.batch_deployment,
        JobKind.SCORE: place.ft_deployment,
    }.get(kind, place.deployment)
    if not name:
        raise ConfigurationError(f"No deployment is configured for {kind}.", "Give one with --deployment.")
    contestant_kind = ContestantKind.FINE_TUNED if kind == JobKind.SCORE else ContestantKind.ZERO_SHOT
    model = name if kind == JobKind.SCORE else spec.model
    who = NewContestant(contestant_kind, contestant_kind, model, place.emulated, prompt.words, prompt.form)
    parameters |= {"deployment": name, "concurrency": spec.concurrency}
    if deployment:
        parameters["deployment_chosen"] = True  # a resume does not take another one from the settings
    if kind == JobKind.BATCH:
        parameters |= _retrying(spec, place)
    return Plan([who], [NewJob(kind, parameters, 0)])


def _retrying(spec: Spec, place: Endpoint) -> dict[str, Any]:
    """Return what decides how a batch's unanswered requests are asked again.

    Raises:
        ConfigurationError: in real time, and there is no deployment for it.

    """
    if spec.retry == "realtime" and not place.deployment:
        raise ConfigurationError(
            "No deployment for real-time requests is configured.", "Set AZURE_OPENAI_DEPLOYMENT_NAME."
        )
    return {"retry": spec.retry, "realtime": place.deployment, "concurrency": spec.concurrency}


def batch_deployment(place: Endpoint) -> str:
    """Return the deployment for batches.

    Raises:
        ConfigurationError: none is configured.

    """
    if not place.batch_deployment:
        raise ConfigurationError("No deployment for batches is configured.", "Set AZURE_OPENAI_BATCH_DEPLOYMENT_NAME.")
    return place.batch_deployment


def check_images(plan: Plan, dataset: DatasetView | None) -> None:
    """Check that a plan's dataset has the training images that its jobs need.

    Raises:
        InputError: it has none; names the contestants, or the job.

    """
    training = [job for job in plan.jobs if job.kind in (JobKind.TRAIN, JobKind.FINE_TUNE)]
    if dataset is None or dataset.train or not training:
        return
    names = [str(job.kind) if job.contestant is None else plan.contestants[job.contestant].name for job in training]
    others = [c.name for c in plan.contestants if c.name not in names]
    hint = f"Choose {' and '.join(others)} only, or add" if others else "Compare zero-shot only, or add"
    raise InputError(
        f"{dataset.name} has no training images, which {' and '.join(names)} need{'s' * (len(names) == 1)}.",
        f"{hint} the set again with training images.",
    )


def estimates(plan: Plan, price: Price) -> dict[tuple[int, str], float]:
    """Return a price by (position of the contestant, item), as the store keeps it."""
    found: dict[tuple[int, str], float] = {}
    for line in price.lines:
        position = next((n for n, c in enumerate(plan.contestants) if c.name == line.contestant), None)
        if position is not None:
            found[position, line.item] = found.get((position, line.item), 0.0) + line.usd
    return found


def make_price(plan: Plan, store: Store, dataset: DatasetView | None, prices: Prices, *, emulated: bool) -> Price:
    """Estimate what a plan will cost, from the real images' sizes, the prompt and the price table.

    Args:
        dataset: may be None for a plan that only deploys.

    """
    lines: list[PriceLine] = []
    cautions: dict[str, None] = {}
    images = {split: store.datasets.images(dataset.name, split) if dataset else [] for split in Split}
    labels = dataset.labels if dataset else ()
    for job in plan.jobs:
        if job.kind not in (JobKind.BATCH, JobKind.PROBE, JobKind.FINE_TUNE, JobKind.DEPLOY, JobKind.SCORE):
            continue
        p: dict[str, Any] = job.parameters
        model = str(p["model"])
        who = plan.contestants[job.contestant].name if job.contestant is not None else "model"
        prompt = Prompt.of(p)
        text = estimate_text_tokens(prompt.text(labels))
        if caution := prompt.caution(labels):
            cautions[caution] = None

        def tokens(split: Split, p: dict[str, Any] = p, model: str = model, text: int = text) -> int:
            return sum(text + tokens_of_image(i.width, i.height, p["detail"], model) for i in images[split])

        if job.kind == JobKind.FINE_TUNE:
            automatic = p["epochs"] == "auto"
            epochs = AUTOMATIC_EPOCHS if automatic else int(p["epochs"])
            billed = (tokens(Split.TRAIN) + ANSWER_TOKENS * len(images[Split.TRAIN])) * epochs
            about = "perhaps " if automatic else ""
            detail = (
                f"{counted(len(images[Split.TRAIN]), 'example')} × {about}{counted(epochs, 'epoch')},"
                f" {counted(billed, 'token')}"
            )
            lines.append(PriceLine(who, "training", detail, prices.training_cost(model, billed)))
        elif job.kind == JobKind.DEPLOY:
            usd = prices.hosting_cost(model, SCORING_HOURS * 3600)
            lines.append(PriceLine(who, "hosting", f"about {SCORING_HOURS * 60:.0f} minutes", usd))
        else:
            everything, count = tokens(Split.TEST), len(images[Split.TEST])
            asked = min(int(p["probe"]), count) if job.kind == JobKind.PROBE else count
            prompt_tokens = everything * asked // max(count, 1)
            usd = prices.inference_cost(model, prompt_tokens, ANSWER_TOKENS * asked, batch=job.kind == JobKind.BATCH)
            way = {JobKind.BATCH: "batch", JobKind.PROBE: "single"}.get(JobKind(job.kind), "real-time")
            lines.append(
                PriceLine(who, "inference", f"{asked:,} {way} requests, {counted(prompt_tokens, 'token')}", usd)
            )
    ahead = tuple(_ahead(plan, n, lines, images, labels, prices, dataset) for n, _ in enumerate(plan.contestants))
    return Price(tuple(lines), emulated, prices.as_of, tuple(cautions), ahead)


def _ahead(
    plan: Plan,
    position: int,
    lines: list[PriceLine],
    images: dict[Split, list[StoredImage]],
    labels: Sequence[str],
    prices: Prices,
    dataset: DatasetView | None,
) -> Economics:
    """Return what a contestant's costs are made of: its training by the price lines, its requests by the test images.

    Of a local network the time that an image takes is not known yet.
    """
    who = plan.contestants[position]
    local, tuned = who.kind == ContestantKind.CNN, who.kind == ContestantKind.FINE_TUNED
    learned = (dataset.train + dataset.val if dataset else 0) if local or tuned else 0
    found = Economics(
        name=who.name,
        once=sum(line.usd for line in lines if (line.contestant, line.item) == (who.name, "training")),
        per_thousand=0.0,
        machines=int(local),
        kind=str(who.kind),
        emulated=who.emulated,
        labels=learned,
        tested=dataset.test if dataset else 0,
    )
    p = next((j.parameters for j in plan.jobs if j.contestant == position and "model" in j.parameters), None)
    if p is None or not images[Split.TEST]:
        return found
    text, test = estimate_text_tokens(Prompt.of(p).text(labels)), images[Split.TEST]
    tokens = text + sum(tokens_of_image(i.width, i.height, p["detail"], p["model"]) for i in test) / len(test)
    own = prices.of(str(p["model"]))
    return replace(
        found,
        per_thousand=(tokens * own.input + ANSWER_TOKENS * own.output) / 1000,
        batch_per_thousand=None if tuned else (tokens * own.batch_input + ANSWER_TOKENS * own.batch_output) / 1000,
        hosting_hourly=own.hosting if tuned else 0.0,
    )
