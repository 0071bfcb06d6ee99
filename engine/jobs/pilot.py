"""A pilot before the purchase: a few validation images, asked for cents, and what they say of the whole.

Answers are kept in a file by what was asked, so that a pilot that is run again, or goes on after a
kill, pays for no image twice.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from engine.azure.prices import Prices, estimate_text_tokens, load_prices, tokens_of_image
from engine.datasets.prompt import image_mime
from engine.errors import ConfigurationError, InputError
from engine.evaluation.answers import reader_of
from engine.evaluation.metrics import wilson
from engine.jobs import service
from engine.jobs.binding import DEMO
from engine.jobs.bought import Question, read_answers
from engine.jobs.paths import Home
from engine.jobs.plan import ANSWER_TOKENS, make_plan, make_price, prompts
from engine.jobs.spec import Spec
from engine.quantities import counted
from engine.states import ContestantKind, Split
from engine.store import Store
from engine.store.datasets import StoredImage
from engine.store.files import private_folder

FEWEST, MOST = 10, 1000
_SETTING = "AZURE_OPENAI_DEPLOYMENT_NAME"


@dataclass(frozen=True)
class PilotCost:
    """What a pilot would cost: how many images are still to be asked, US dollars; `emulated`: nobody charges it.

    `caution` says why answers may be worse than they have to be, where something is known.
    """

    images: int
    usd: float
    emulated: bool
    caution: str = ""


@dataclass(frozen=True)
class PilotResult:
    """What a pilot found, and what follows from it.

    Attributes:
        n: images that were asked and are counted; failed ones are not.
        correct: of these.
        accuracy: share; `low` and `high` are its 95% Wilson interval.
        unknown: answers that were no label; `filtered` and `failed` are requests without an answer.
        spent_usd: what the pilot's answers cost, by the tokens that the service reported.
        run_usd: what the whole comparison would cost.
        tuning_usd: training and half an hour of hosting, of that.
        value_usd: what one more correct answer is worth to the user.
        volume: how many images they will have classified.
        extra_usd: what an image costs more when the tuned model is asked: in real time, for it takes no batches.
        needed_points: percentage points that fine-tuning must gain over zero-shot to pay for itself.
        possible_points: the most that it can gain: what zero-shot gets wrong, at the low end of the interval.
        emulated: the numbers are the emulator's.
        problem: why the first of the failed ones has no answer.

    """

    n: int
    correct: int
    accuracy: float
    low: float
    high: float
    unknown: int
    filtered: int
    failed: int
    spent_usd: float
    run_usd: float
    tuning_usd: float
    value_usd: float
    volume: int
    extra_usd: float
    needed_points: float
    possible_points: float
    emulated: bool
    problem: str = ""

    def at(self, value_usd: float, volume: int) -> PilotResult:
        """Return what follows for another value of a correct answer, or another number of images.

        Raises:
            InputError: one of them is not above 0.

        """
        if not (0 < value_usd < math.inf and volume >= 1):
            raise InputError("A correct answer's value and the number of images are above 0.", "Give other ones.")
        needed = 100 * (self.tuning_usd + self.extra_usd * volume) / (value_usd * volume)
        return replace(self, value_usd=value_usd, volume=volume, needed_points=needed)

    @property
    def sentence(self) -> str:
        """The result in words."""
        who = "The emulator's zero-shot" if self.emulated else "Zero-shot"
        reach = (
            f"{who} will reach {self.low:.0%} to {self.high:.0%} ({self.correct} of"
            f" {counted(self.n, 'pilot image')} right)."
        )
        price = (
            f"Fine-tuning costs about ${self.tuning_usd:,.2f}, and ${1000 * self.extra_usd:.2f} more per 1,000 images"
        )
        if self.failed and self.problem:
            reach += f" {self.failed} not answered: {self.problem}"
        stake = f"{counted(self.volume, 'image')} at ${self.value_usd:g} a correct answer"
        if self.needed_points > self.possible_points:
            return f"{reach} {price}: with {stake} it cannot pay for itself, whatever it gains."
        return f"{reach} {price}: with {stake} it has to gain {self.needed_points:.1f} points to pay for itself."


def chosen(images: list[StoredImage], count: int) -> list[StoredImage]:
    """Return `count` images, spread evenly over all (which are in order of label); the same each time."""
    count = min(count, len(images))
    return [images[number * len(images) // count] for number in range(count)]


class Pilot:
    """One dataset's pilot with one prompt and model."""

    def __init__(self, store: Store, home: Home, profile: str, spec: Spec, count: int) -> None:
        """Choose the images, and read what is known already. May start the embedded emulator.

        Raises:
            InputError: the dataset has too few validation images, or the count is out of range.
            ConfigurationError: no real-time deployment is configured.

        """
        if not FEWEST <= count <= MOST:
            raise InputError(f"A pilot asks {FEWEST} to {MOST} images, not {count}.", "Change --images.")
        self._store, self._profile, self._spec = store, profile, spec
        self._dataset = store.datasets.get(spec.dataset)
        if not self._dataset.train:
            raise InputError(
                f"{spec.dataset} has no training images, and a pilot estimates whether fine-tuning pays.",
                "Run the zero-shot model on its test images instead: --contestants zero-shot.",
            )
        self._prices: Prices = load_prices(home.prices)
        self._prompt, _ = prompts(spec)
        self._place = service.endpoint(home, profile)
        if not self._place.deployment:
            raise ConfigurationError("No real-time deployment is configured.", "Set AZURE_OPENAI_DEPLOYMENT_NAME.")
        self._images = chosen(store.datasets.images(spec.dataset, Split.VAL), count)
        if len(self._images) < FEWEST:
            raise InputError(
                f"{spec.dataset} has {counted(len(self._images), 'validation image')}; a pilot needs {FEWEST}.",
                "Add images.",
            )
        endpoint = self._place.endpoint if profile != DEMO else ""
        question = Question.of(self._dataset.digest, profile, endpoint, self._place.deployment, self._prompt)
        self._reader = reader_of(self._dataset.labels, home.synonyms)
        self._path = question.path(home)
        if not home.readonly:
            private_folder(self._path.parent)
        self._answers = read_answers(self._path)
        self._problem = ""

    def cost(self) -> PilotCost:
        """Return what is still to be paid."""
        todo = self._todo()
        plan_tokens = [self._tokens(image) for image in todo]
        usd = self._prices.inference_cost(self._spec.model, sum(plan_tokens), ANSWER_TOKENS * len(todo))
        return PilotCost(len(todo), usd, self._place.emulated, self._prompt.caution(self._dataset.labels))

    def _tokens(self, image: StoredImage) -> int:
        text = estimate_text_tokens(self._prompt.text(self._dataset.labels))
        return text + tokens_of_image(image.width, image.height, self._spec.detail, self._spec.model)

    def _todo(self) -> list[StoredImage]:
        return [image for image in self._images if image.sha256 not in self._answers]

    async def run(self, progress: Callable[[str, int, int], None] | None = None) -> None:
        """Ask what was not asked yet; each answer is on disk before the next is counted.

        Raises:
            DogclsError: sign-in, deployment or the service failed; what was answered is kept.

        """
        from engine.azure import chat, targets
        from engine.azure.answers import Answer
        from engine.azure.connection import Azure

        todo, self._problem = self._todo(), ""
        place, name = self._place, str(self._place.deployment)
        by_id = {str(n): image for n, image in enumerate(todo)}
        done = len(self._images) - len(todo)

        def body(image: StoredImage) -> Callable[[], dict[str, object]]:
            def make() -> dict[str, object]:
                data = image.read()
                return self._prompt.body(name, self._dataset.labels, data, image_mime(data))

            return make

        with self._path.open("ab", buffering=0) as file:
            file.write(b"\n")  # ends a torn line

            def on_answer(answer: Answer, _in_flight: int) -> None:
                nonlocal done
                done += 1
                if answer.error is None or answer.filtered:  # a failed one is asked again next time
                    row = {"sha256": by_id[answer.custom_id].sha256, **_kept(answer)}
                    file.write(json.dumps(row).encode() + b"\n")
                else:
                    self._problem = self._problem or answer.error
                if progress is not None:
                    progress("pilot", done, len(self._images))

            async with Azure(place, client="pilot") as azure:
                await targets.check(azure, [targets.Wanted(name, False, self._spec.model, _SETTING)] if todo else [])
                await chat.score(
                    azure,
                    name,
                    ((key, body(image)) for key, image in by_id.items()),
                    concurrency=self._spec.concurrency,
                    on_answer=on_answer,
                    stop=lambda: False,
                )
        self._answers = await asyncio.to_thread(read_answers, self._path)

    def result(self, value_usd: float, volume: int) -> PilotResult:
        """Return what was found; see `PilotResult`."""
        labels = self._dataset.labels
        right = n = unknown = filtered = failed = into = out = 0
        for image in self._images:
            row = self._answers.get(image.sha256)
            if row is None:
                failed += 1
                continue
            n += 1
            into += int(str(row["prompt_tokens"]))
            out += int(str(row["completion_tokens"]))
            label = self._reader.read(None if row["text"] is None else str(row["text"])).label
            filtered += bool(row["filtered"])
            unknown += label is None and not row["filtered"]
            right += label == labels[image.label]
        low, high = wilson(right, n)
        kinds = (ContestantKind.ZERO_SHOT, ContestantKind.FINE_TUNED)
        whole = self._spec.model_copy(update={"contestants": kinds})
        price = make_price(
            make_plan(whole, self._place, self._profile),
            self._store,
            self._dataset,
            self._prices,
            emulated=self._place.emulated,
        )
        tuning = sum(line.usd for line in price.lines if line.item in ("training", "hosting"))
        model, spent = self._spec.model, self._prices.inference_cost(self._spec.model, into, out)
        extra = (spent - self._prices.inference_cost(model, into, out, batch=True)) / n if n else 0.0
        return PilotResult(
            n=n,
            correct=right,
            accuracy=right / n if n else 0.0,
            low=low,
            high=high,
            unknown=unknown,
            filtered=filtered,
            failed=failed,
            spent_usd=spent,
            run_usd=price.total,
            tuning_usd=tuning,
            value_usd=value_usd,
            volume=volume,
            extra_usd=extra,
            needed_points=0.0,
            possible_points=100 * (1 - low),
            emulated=self._place.emulated,
            problem=self._problem,
        ).at(value_usd, volume)


def _kept(answer: object) -> dict[str, object]:
    values = asdict(answer)  # type: ignore[call-overload]
    return {name: values[name] for name in ("text", "filtered", "prompt_tokens", "completion_tokens", "model")}
