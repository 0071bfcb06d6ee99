"""A pilot before the purchase: a few validation images, asked for cents, and what they say of the whole.

Answers are kept in a file by what was asked, so that a pilot that is run again, or goes on after a
kill, pays for no image twice.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from engine.azure.prices import Prices, estimate_text_tokens, load_prices, tokens_of_image
from engine.datasets.prompt import image_mime
from engine.errors import ConfigurationError, InputError
from engine.evaluation.answers import reader_of
from engine.evaluation.economics import Economics
from engine.evaluation.metrics import wilson
from engine.evaluation.returns import Return, return_on
from engine.evaluation.terms import Terms
from engine.evaluation.words import UNKNOWN, dollars
from engine.jobs import service
from engine.jobs.binding import DEMO
from engine.jobs.bought import Question, read_answers
from engine.jobs.paths import Home
from engine.jobs.plan import ANSWER_TOKENS, make_plan, make_price, prompts
from engine.jobs.spec import Spec
from engine.quantities import counted, nouns
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
        tuned: what the costs of a fine-tuned model are made of, by the pilot's own tokens.
        base: likewise of zero-shot.
        terms: under which both are computed, as they are in results.
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
    tuned: Economics
    base: Economics
    terms: Terms
    emulated: bool
    problem: str = ""

    def at(self, terms: Terms) -> PilotResult:
        """Return what follows under other terms."""
        return replace(self, terms=terms)

    @property
    def possible_points(self) -> float:
        """The most that fine-tuning can gain: what zero-shot gets wrong, at the low end of the interval."""
        return 100 * (1 - self.low)

    @property
    def extra(self) -> Return | None:
        """What fine-tuning costs more over the horizon; None where that is not known before it was timed."""
        if not self.tuned.known(self.terms):
            return None
        return return_on(self.tuned, self.base, 0.0, 0.0, 0.0, self.terms)

    @property
    def needed_points(self) -> float | None:
        """Percentage points that fine-tuning must gain to pay; None where a correct answer's value is not set."""
        extra = self.extra
        return extra.needed_points if extra is not None and self.terms.value else None

    @property
    def needed_value(self) -> float | None:
        """US dollars that a correct answer must be worth at least, if fine-tuning gained all that it can."""
        extra, possible = self.extra, self.possible_points / 100 * self.terms.images
        return max(0.0, extra.cost) / possible if extra is not None and possible > 0 else None

    @property
    def sentence(self) -> str:
        """The result in words."""
        who = "The emulator's zero-shot" if self.emulated else "Zero-shot"
        reach = (
            f"{who} will reach {self.low:.0%} to {self.high:.0%} ({self.correct} of"
            f" {counted(self.n, 'pilot image')} right)."
        )
        if self.failed and self.problem:
            reach += f" {self.failed} not answered: {self.problem}"
        return f"{reach} {self._price}"

    @property
    def _price(self) -> str:
        """What fine-tuning costs more, and what would pay for it."""
        extra, needed = self.extra, self.needed_points
        if extra is None:
            return "What fine-tuning costs is unknown: the time that an answer takes was not measured yet."
        told = f"For {self.terms.horizon} fine-tuning costs about {dollars(max(0.0, extra.cost))} more ({self.parts})"
        possible, stake = f"{self.possible_points:.1f} points", f"at ${self.terms.value:g} a correct answer"
        if needed is None:
            return f"{told}: if it gains all {possible} that it can, a correct answer must be worth {self._least}."
        if needed > self.possible_points:
            return f"{told}: {stake} it cannot pay for itself, whatever it gains: {needed:,.1f} points of {possible}."
        return f"{told}: {stake} it has to gain {needed:.1f} points to pay for itself."

    @property
    def _least(self) -> str:
        return UNKNOWN if self.needed_value is None else f"{dollars(self.needed_value)} or more"

    @property
    def parts(self) -> str:
        """The extra cost part by part, in words."""
        extra, hours = self.extra, self.terms.hosting_hours
        if extra is None:
            return UNKNOWN
        hosted = "while it answers" if hours is None else f"{hours:g} {nouns(hours, 'hour')} a day"
        parts = [f"training {dollars(extra.training)}", f"hosting {dollars(extra.hosting)} for {hosted}"]
        if extra.inference:
            parts.append(f"requests {dollars(extra.inference)}")
        parts.append("labels: not priced" if self.terms.label_price is None else f"labels {dollars(extra.labels)}")
        return ", ".join(parts)


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

    def result(self, terms: Terms) -> PilotResult:
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
        model, spent = self._spec.model, self._prices.inference_cost(self._spec.model, into, out)
        base, tuned = price.ahead
        if n:
            waiting = 1000 * self._prices.inference_cost(model, into, out, batch=True) / n
            base = replace(base, per_thousand=1000 * spent / n, batch_per_thousand=waiting)
            tuned = replace(tuned, per_thousand=1000 * spent / n)
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
            tuned=tuned,
            base=base,
            terms=terms,
            emulated=self._place.emulated,
            problem=self._problem,
        )


def _kept(answer: object) -> dict[str, object]:
    values = asdict(answer)  # type: ignore[call-overload]
    return {name: values[name] for name in ("text", "filtered", "prompt_tokens", "completion_tokens", "model")}
