"""Predicts pictures with any trained contestant: a CNN here, or a deployment on the service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.datasets.sources.base import EXTENSIONS
from engine.errors import ConfigurationError, InputError, JobError, NotFoundError, ServiceError
from engine.jobs.paths import Home
from engine.jobs.trained import Found, checkpoints, find
from engine.states import ContestantKind, JobKind
from engine.store import Store

if TYPE_CHECKING:
    from engine.azure.answers import Answer
    from engine.azure.connection import Azure, Endpoint
    from engine.evaluation.reading import Reader

Progress = Callable[[str, int, int], None]
Say = Callable[[str, str], None]
CONCURRENCY = 8
"""Requests at a time, at most: people wait for a few pictures, and the quota is not theirs alone."""


@dataclass(frozen=True)
class Predicted:
    """What a contestant made of one picture.

    Attributes:
        image: its file, as it was named.
        label: None where there is an error, or the answer is no label.
        probability: of the label; None of a deployment, which tells none.
        ms: from file to label, one picture at a time; of a deployment, of the attempt that was answered.
        ranking: (label, probability) of the likeliest labels, best first; empty of a deployment.
        answer: what a deployment wrote, as it came.
        error: why there is no answer; else empty.

    """

    image: str
    label: str | None = None
    probability: float | None = None
    ms: float | None = None
    ranking: tuple[tuple[str, float], ...] = ()
    answer: str | None = None
    error: str = ""


@dataclass(frozen=True)
class PredictCost:
    """What predicting would cost: with whom, how many pictures, US dollars; `emulated`: nobody charges it."""

    contestant: str
    kind: ContestantKind
    images: int
    usd: float
    emulated: bool


def pictures(given: Sequence[Path]) -> list[Path]:
    """Return files as they are given, and of each folder all pictures in it, at any depth, sorted.

    Raises:
        InputError: a folder has no picture in it.

    """
    found: list[Path] = []
    for path in given:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in EXTENSIONS and file.is_file())
        if not inside:
            raise InputError(f"{path}: there is no picture in this folder.", "Name another, or picture files.")
        found += inside
    return found


def split_target(target: str) -> tuple[str, str | None]:
    """Return experiment and contestant of `EXPERIMENT` or `EXPERIMENT/CONTESTANT`; no experiment's name has a slash."""
    experiment, _, contestant = target.partition("/")
    return experiment, contestant or None


class Predicting:
    """One contestant, ready to be asked."""

    def __init__(self, store: Store, home: Home, target: str, deployment: str | None = None) -> None:
        """Find the contestant. May start the embedded emulator.

        Args:
            store: which knows it.
            home: where its files are.
            target: `EXPERIMENT` or `EXPERIMENT/CONTESTANT`.
            deployment: asked instead of the contestant's own.

        Raises:
            NotFoundError: there is no such experiment or contestant.
            InputError: several could be meant, or a CNN was given a deployment.
            JobError: it is not trained, or its deployment or its checkpoints are gone.
            ConfigurationError: no real-time deployment is configured.

        """
        self._store, self._home = store, home
        self.found: Found = find(store, *split_target(target))
        self._place: Endpoint | None = None
        self._deployment = ""
        if self.found.contestant.kind == ContestantKind.CNN:
            if deployment:
                raise InputError("A CNN is asked here, not at a deployment.", "Leave --deployment out.")
            self._job, self._folder = checkpoints(self.found, home)
        else:
            self._open(deployment)

    def _open(self, deployment: str | None) -> None:
        from engine.jobs import service

        asking = self.found.job(JobKind.BATCH, JobKind.PROBE, JobKind.SCORE)
        if asking is None:
            raise JobError(f"{self.found.contestant.name} was never asked anything.", "Run its experiment first.")
        self._job = asking
        tuned = self.found.contestant.kind == ContestantKind.FINE_TUNED
        name = deployment or (self._tuned_deployment() if tuned else None)
        self._place = service.endpoint_of(self._home, asking)
        name = name or (None if tuned else self._place.deployment)
        if not name:
            raise ConfigurationError("No real-time deployment is configured.", "Set AZURE_OPENAI_DEPLOYMENT_NAME.")
        self._deployment = name

    def _tuned_deployment(self) -> str:
        from engine.jobs.kinds.deploy import living_since

        deployed = self.found.job(JobKind.DEPLOY)
        if deployed is None:  # an existing deployment was scored
            return str(self._job.parameters.get("deployment") or "")
        if not deployed.result or living_since(self._home.job(deployed)) is None:
            raise JobError(f"The deployment of {self._who} was deleted, or never made.", self._cure())
        return str(deployed.result["deployment"])

    @property
    def _who(self) -> str:
        return f"{self.found.experiment}/{self.found.contestant.name}"

    def _cure(self) -> str:
        trained = self.found.job(JobKind.FINE_TUNE)
        model = (trained.result or {}).get("model") if trained is not None else None
        return (
            f"Deploy it again (it costs money by the hour): dogcls-tui launch deploy --tuned-model {model or 'MODEL'};"
            " then add --deployment with the name that its log tells."
        )

    def cost(self, images: Sequence[Path]) -> PredictCost:
        """Return what asking about these pictures would cost; those that cannot be read cost nothing."""
        contestant, place = self.found.contestant, self._place
        kind = ContestantKind(contestant.kind)
        if place is None:
            return PredictCost(self._who, kind, len(images), 0.0, False)
        from engine.azure.prices import estimate_text_tokens, load_prices, tokens_of_image
        from engine.datasets.prompt import Prompt
        from engine.jobs.plan import ANSWER_TOKENS

        p = self._job.parameters
        model = str(p["model"])
        text = estimate_text_tokens(Prompt.of(p).text(self._labels()))
        sizes = [size for size in map(_size, images) if size is not None]
        tokens = sum(text + tokens_of_image(width, height, str(p["detail"]), model) for width, height in sizes)
        usd = load_prices(self._home.prices).inference_cost(model, tokens, ANSWER_TOKENS * len(sizes))
        return PredictCost(self._who, kind, len(images), usd, place.emulated)

    def _labels(self) -> tuple[str, ...]:
        return self._store.datasets.get(self.found.dataset).labels

    async def run(self, images: Sequence[Path], *, top: int, progress: Progress, say: Say) -> list[Predicted]:
        """Predict pictures; one that cannot be read, or gets no answer, has its own error and stops no other.

        Args:
            images: files.
            top: how many labels a CNN's ranking has.
            progress: is told (phase, done, total).
            say: is told (message, level).

        Raises:
            DogclsError: the contestant itself cannot be asked.

        """
        if self._place is None:
            return await asyncio.to_thread(self._here, images, top, progress, say)
        return await self._there(images, self._place, progress, say)

    def _here(self, images: Sequence[Path], top: int, progress: Progress, say: Say) -> list[Predicted]:
        from engine.training.predict import load_predictor

        predictor = load_predictor(self._folder, self._home.cache, say, {"job": self._job.nonce})
        warm, found = False, []
        for number, path in enumerate(images, start=1):
            try:
                if not warm:  # the first one is slower than any other, and its time would say nothing
                    predictor.predict([path])
                    warm = True
                started = time.perf_counter()
                (row,) = predictor.predict([path])
                ms = (time.perf_counter() - started) * 1000
            except (OSError, ValueError) as error:
                found.append(Predicted(str(path), error=_reason(path, error)))
            else:
                best = row.argsort()[::-1][:top]
                ranking = tuple((predictor.labels[label], float(row[label])) for label in best)
                found.append(Predicted(str(path), *ranking[0], ms, ranking))
            progress("predicting", number, len(images))
        return found

    async def _there(self, images: Sequence[Path], place: Endpoint, progress: Progress, say: Say) -> list[Predicted]:
        from engine.azure import chat
        from engine.azure.connection import Azure, empty_chat
        from engine.evaluation.answers import reader_of

        reader = reader_of(self._labels(), self._home.synonyms)
        answers: dict[str, Answer] = {}

        def on_answer(answer: Answer, _in_flight: int) -> None:
            answers[answer.custom_id] = answer
            progress("predicting", len(answers), len(images))

        async with Azure(place, client="predict") as azure:
            await self._check(azure, empty_chat)
            await chat.score(
                azure,
                self._deployment,
                self._requests(images),
                concurrency=CONCURRENCY,
                on_answer=on_answer,
                stop=lambda: False,
                say=lambda message: say(message, "warning"),
            )
        return [_read(str(path), answers.get(str(number)), reader) for number, path in enumerate(images)]

    def _requests(self, images: Sequence[Path]) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
        """Yield each picture's request, which is made only when it is its turn."""
        from engine.datasets.prompt import Prompt, image_mime

        prompt, labels = Prompt.of(self._job.parameters), self._labels()

        def body(path: Path) -> Callable[[], dict[str, Any]]:
            def make() -> dict[str, Any]:
                data = path.read_bytes()
                _decode(data)
                return prompt.body(self._deployment, labels, data, image_mime(data))

            return make

        for number, path in enumerate(images):
            yield str(number), body(path)

    async def _check(self, azure: Azure, ask: Callable[[Azure, str], Any]) -> None:
        """Find out for nothing whether the deployment is there.

        Raises:
            JobError, NotFoundError: it is not.

        """
        try:
            await ask(azure, self._deployment)
        except ServiceError as error:
            if error.status != 404:
                raise
            if self.found.contestant.kind == ContestantKind.FINE_TUNED:
                raise JobError(f"The deployment {self._deployment} of {self._who} is gone.", self._cure()) from None
            raise NotFoundError(
                f"There is no deployment {self._deployment!r}.", "Set AZURE_OPENAI_DEPLOYMENT_NAME to yours."
            ) from None


def _read(path: str, answer: Answer | None, reader: Reader) -> Predicted:
    """Read one answer, as every contestant's answers are read."""
    if answer is None:
        return Predicted(path, error="no answer")
    if answer.filtered:
        return Predicted(path, ms=answer.latency_ms, answer=answer.text, error="stopped by the content filter")
    if answer.error is not None or answer.text is None:
        return Predicted(path, ms=answer.latency_ms, error=answer.error or "no answer")
    label = reader.read(answer.text).label
    error = "" if label is not None else "the answer is none of the labels"
    return Predicted(path, label, None, answer.latency_ms, (), answer.text, error)


def _size(source: Path | bytes) -> tuple[int, int] | None:
    """Return a picture's width and height in pixels, or None where it cannot be read; nothing is decoded."""
    from engine.backbones.images import opened

    try:
        with opened(source) as image:
            return image.size
    except (OSError, ValueError):
        return None


def _decode(data: bytes) -> None:
    """Raise InputError where a picture is damaged: the service would look at a grey half of it, for money."""
    from engine.backbones.images import opened

    try:
        with opened(data) as image:
            image.load()
    except (OSError, ValueError) as error:
        raise InputError(str(error)) from None


def _reason(path: Path, error: Exception) -> str:
    """Return why a picture cannot be read, without its name, which stands beside it anyway."""
    told = str(error).removeprefix(f"{path}: ")
    return told.replace(f" '{path}'", "").removeprefix("[Errno 2] ").rstrip(":") or type(error).__name__
