"""What the three kinds of job that ask a model have in common: the images, the question, the reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from engine.azure.answers import Answer, same_model
from engine.azure.prices import Prices, if_known, load_prices
from engine.datasets.prompt import Prompt, image_mime
from engine.errors import InputError, JobError
from engine.evaluation.answers import reader_of
from engine.evaluation.reading import Reader
from engine.jobs.context import Context
from engine.states import Outcome, Split
from engine.store.charges import Charge
from engine.store.datasets import StoredImage
from engine.store.predictions import Prediction

PAGE = 500


@dataclass(frozen=True)
class Asking:
    """One contestant's questions about the test images of its dataset; `count` of them."""

    context: Context
    contestant_id: int
    labels: tuple[str, ...]
    dataset: str
    count: int
    prompt: Prompt
    reader: Reader
    prices: Prices

    @classmethod
    def of(cls, context: Context) -> Asking:
        """Read from the store what a job asks about, and how."""
        parameters = context.job.parameters
        if context.job.contestant_id is None:
            raise JobError(f"Job {context.job.id} has no contestant to answer for.")
        dataset = context.store.datasets.get(parameters["dataset"])
        return cls(
            context=context,
            contestant_id=context.job.contestant_id,
            labels=dataset.labels,
            dataset=dataset.name,
            count=dataset.test,
            prompt=Prompt.of(parameters),
            reader=reader_of(dataset.labels, context.home.synonyms),
            prices=load_prices(context.home.prices),
        )

    @cached_property
    def images(self) -> list[StoredImage]:
        """All of them at once, for kinds that ask about few."""
        return self.context.store.datasets.images(self.dataset, Split.TEST)

    def remaining(self) -> Iterator[StoredImage]:
        """Yield the images that have no final prediction, a page of them in memory; each once."""
        last = 0
        while page := self.context.store.datasets.unsettled(
            self.dataset, Split.TEST, self.contestant_id, after=last, limit=PAGE
        ):
            yield from page
            last = page[-1].id

    def left(self) -> int:
        """Return how many images have no final prediction."""
        counts = self.context.store.predictions.counts(self.contestant_id)
        settled = sum(n for outcome, n in counts.items() if outcome not in (Outcome.FAILED, Outcome.MISSING))
        return self.count - settled

    def unsettled(self) -> list[StoredImage]:
        """Return the images that have no final prediction yet."""
        settled = self.context.store.predictions.settled(self.contestant_id)
        return [image for image in self.images if image.id not in settled]

    def body(self, image: StoredImage, deployment: str) -> Callable[[], dict[str, Any]]:
        """Return a function that makes the request about one image, reading the file only when called."""

        def make() -> dict[str, Any]:
            data = image.read()
            return self.prompt.body(deployment, self.labels, data, image_mime(data))

        return make

    def charge(self, key: str, prompt: int, completion: int, *, batch: bool = False, estimated: bool = False) -> Charge:
        """Return the charge for tokens in and out; batches cost half."""
        model = str(self.context.job.parameters["model"])
        usd = if_known(lambda: self.prices.inference_cost(model, prompt, completion, batch=batch))
        return Charge("inference", key, usd, prompt, completion, estimated=estimated)

    def paid(self, answer: Answer) -> tuple[int, Charge]:
        """Return this job and the charge for one answer in real time, which is added to those of this attempt."""
        job = self.context.job
        return job.id, self.charge(f"requests:{job.attempt}", answer.prompt_tokens, answer.completion_tokens)

    def leave_out(self, name: str, why: InputError) -> None:
        """Store that an image could not be asked about; the others are, and whoever resumes takes it up again."""
        failed = Prediction(image_id(name), None, None, Outcome.FAILED, error=str(why))
        self.context.store.predictions.add(self.contestant_id, [failed])
        self.context.say(str(why), "warning")

    @cached_property
    def _models(self) -> set[str]:
        """Names of the contestant's one model that were met already."""
        return set()

    def check_model(self, answer: Answer) -> None:
        """Check that an answer is of the model that all others of its contestant are of.

        Raises:
            JobError: it is of another one.

        """
        if not answer.model or answer.model in self._models:
            return
        known = self.context.store.experiments.add_served(self.contestant_id, answer.model)
        if not same_model(known, answer.model):
            raise JobError(
                f"{answer.custom_id} is answered by {answer.model}; the answers before it are of {known}.",
                "Start a new experiment: answers of two models are not compared as one contestant's.",
            )
        planned = str(self.context.job.parameters["model"])
        if not same_model(planned, answer.model):
            self.context.say(f"the deployment serves {answer.model}; the prices are those of {planned}", "warning")
        self._models.add(answer.model)

    def prediction(self, answer: Answer, latency_ms: float | None = None) -> Prediction:
        """Read an answer: to one label, to `unknown_label`, or to why there is none; raises as `check_model` does."""
        self.check_model(answer)
        label = None
        if answer.filtered:
            outcome = Outcome.FILTERED
        elif answer.error is not None or answer.text is None:
            outcome = Outcome.FAILED
        else:
            name = self.reader.read(answer.text).label
            label = None if name is None else self.labels.index(name)
            outcome = Outcome.UNKNOWN_LABEL if label is None else Outcome.ANSWERED
        return Prediction(
            image_id=image_id(answer.custom_id),
            raw=answer.text,
            label=label,
            outcome=outcome,
            latency_ms=latency_ms,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            error=answer.error,
            first_ms=answer.first_ms,
            total_ms=answer.total_ms,
            attempts=answer.attempts,
        )


def custom_id(image: StoredImage) -> str:
    """Return the name under which an image is asked about; it says nothing of its label or file."""
    return f"image-{image.id}"


def image_id(name: str) -> int:
    """Return the image that a `custom_id` names."""
    return int(name.removeprefix("image-"))
