"""The training loop. It reads from top to bottom, and can be stopped after any step and gone on with.

A recipe's backbones are trained one after another, each through the recipe's phases. What is random in a step
hangs on the run's seed and the step's number alone, and a checkpoint holds all else; so a run that was killed
at any step and resumed gives the weights of one that was not (same machine, CPU).

Files in a run's folder: `last.pt`, to go on from; `best-N.pt`, of the N-th backbone, to predict with.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from engine.backbones.images import READING
from engine.backbones.weights import file_sha256
from engine.errors import InputError, JobError, LostClaim
from engine.quantities import agrees, counted
from engine.training import stages
from engine.training.data import Example, Watch
from engine.training.device import pick_runtime
from engine.training.judging import judge, judged
from engine.training.keeping import Keeper, data_digest
from engine.training.models import check_weights, freeze_statistics, parameter_groups, take_over
from engine.training.opening import Origin, Run, open_phase
from engine.training.recipes import Phase, Recipe
from engine.training.sources import Source
from engine.training.state import State
from engine.training.step import NotFinite, rate_factor, step
from engine.training.telling import Teller

CHECKPOINT_SECONDS = 10.0
"""A kill loses at most this much work."""
LEVELS = (0.5, 0.6167, 0.7, 0.8, 0.83, 0.85, 0.88, 0.9, 0.95)
"""Accuracies whose time is told; 61.67% is what the article's CNN came to."""


@dataclass(frozen=True)
class Trained:
    """What came out.

    Attributes:
        val_accuracy: of the best epochs of all backbones, their answers averaged.
        best_epochs: one a backbone, counted over its phases.
        seconds: all of it, over every attempt, features and decoding included as far as they were computed.
        from_cache: share of the features and decoded pictures that were in the cache before, 0 to 1: where it is above
            `FROM_CACHE`, a run without them takes longer than `seconds`.
        images_per_second: trained on, over all epochs and all of `seconds`.
        seconds_to_accuracy: seconds until a validation first reached a level, for the levels that were reached.

    """

    val_accuracy: float
    best_epochs: tuple[int, ...]
    seconds: float
    from_cache: float
    images_per_second: float
    seconds_to_accuracy: dict[float, float]
    origins: tuple[Origin, ...]
    device: str


def train(
    recipe: Recipe,
    labels: Sequence[str],
    training: Sequence[Example],
    validation: Sequence[Example],
    *,
    folder: Path,
    cache: Path,
    seed: int,
    watch: Watch,
    weights: Path | None = None,
    device: str = "auto",
    job: str = "",
) -> Trained:
    """Train a recipe, or go on from its last checkpoint.

    Args:
        recipe: what to do.
        labels: the classes; an example's label is a position in it.
        training: what is learned from.
        validation: what chooses the best epochs.
        folder: of the checkpoints.
        cache: of backbones, features, decoded pictures and downloaded weights.
        seed: of everything random.
        watch: is told, and may stop by raising.
        weights: a file instead of the backbone's own weights.
        device: auto, cpu, cuda or mps.
        job: the nonce of the job that trains; checkpoints of another job or of other images are not used.

    Raises:
        WeightsError: the recipe's weights cannot be had.
        InputError: nothing to learn from, or no such device.
        JobError: the loss is no number any more.

    """
    if not training or not validation:
        raise InputError("There are no training or no validation images.", "Choose another split.")
    check_weights(recipe, cache, weights, watch.phase)
    missing = sorted({*range(len(labels))} - {example.label for example in training})
    if missing:
        names = ", ".join(labels[position] for position in missing[:5])
        watch.say(
            f"{counted(len(missing), 'label')} {agrees(len(missing), 'has', 'have')} no training image and will"
            f" hardly be said: {names}",
            "warning",
        )
    run = Run(recipe, labels, training, validation, cache, seed, watch, weights, pick_runtime(device))
    return Trainer(run, folder, job).train()


class Trainer:
    """One run, from its last checkpoint to its end."""

    def __init__(self, run: Run, folder: Path, job: str = "") -> None:
        self._run = run
        images = [[(example.sha256, example.label) for example in part] for part in (run.training, run.validation)]
        identity = {
            "job": job,
            "data": data_digest(*images),
            "recipe": run.recipe.model_dump(mode="json"),
            "labels": list(run.labels),
            "seed": run.seed,
            "given": file_sha256(run.weights) if run.weights else "",
            "reading": READING,
        }
        self._keeper = Keeper(folder, identity, run.watch.say)
        self._teller = Teller(run.watch, run.runtime)
        self._state = State()
        self._images, self._busy = 0, 0.0  # trained on in this phase, and the seconds that its steps took
        self._phase_began = time.monotonic()
        self._before = 0.0  # seconds of earlier attempts
        self._started = self._saved_at = time.monotonic()

    # -- from top to bottom

    def train(self) -> Trained:
        """Train what is not trained yet."""
        recipe, watch = self._run.recipe, self._run.watch
        saved = self._keeper.restore()
        if saved is not None:
            self._state = State(**saved["state"])
            self._before = self._state.seconds
        watch.say(f"recipe {recipe.name} on {self._run.runtime.name}")
        while self._state.member < len(recipe.backbones):
            while self._state.phase < len(recipe.phases):
                self._phase(recipe.backbones[self._state.member], recipe.phases[self._state.phase], saved)
                saved = None
            self._state.next_member()
            self._save({})
        best = [self._keeper.best(number) for number in range(len(recipe.backbones))]
        together = torch.stack([each["validation"] for each in best]).mean(0)
        truths = torch.tensor([example.label for example in self._run.validation])
        watch.validated(judged(together, self._run.validation))
        return Trained(
            float((together.argmax(1) == truths).float().mean()),
            tuple(each["best_epoch"] for each in best),
            self._seconds(),
            self._state.from_cache,
            self._state.images / max(self._seconds(), 1e-9),
            {level: seconds for level in LEVELS for seconds in _first(self._state.reached, level)},
            tuple(Origin(**each["origin"]) for each in best),
            self._run.runtime.name,
        )

    def _phase(self, name: str, phase: Phase, saved: dict[str, Any] | None) -> None:
        """Train one backbone through one phase, or what a checkpoint leaves of it."""
        state = self._state
        goes_on = saved is not None and "model" in saved
        place = (self._run.seed, state.member, state.phase)
        torch.manual_seed(hash(place))
        self._run.watch.phase(f"{name}, {phase.train}: making ready", 0, 0)
        self._images, self._busy, self._phase_began = 0, 0.0, time.monotonic()
        self._run.runtime.use(light=phase.train == "head")
        stage = stages.look(state.member, state.phase)
        model, source, origin = open_phase(self._run, name, phase, hash(place) % 2**32, stage)
        self._run.watch.stage(stages.learn(state.member, state.phase))
        state.opened(source.key, source.needed, source.computed)
        model.to(self._run.runtime.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs
        optimizer = torch.optim.AdamW(parameter_groups(model, phase), weight_decay=phase.weight_decay)
        parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "scaler": self._run.runtime.scaler()}
        if goes_on:
            assert saved is not None
            for key, part in parts.items():
                part.load_state_dict(saved[key])
            self._run.watch.say(f"going on after step {state.step} of epoch {state.epoch}/{phase.epochs}")
        else:
            if state.phase:  # from what the phase before did best
                take_over(model, self._keeper.best(state.member)["model"])
            self._save(parts)
        while state.epoch <= phase.epochs and not (phase.patience and state.stale >= phase.patience):
            self._steps(model, source, phase, origin, parts)
            self._validate(model, source, phase, origin)
            state.next_epoch()
        state.next_phase()
        self._save({})

    def _steps(self, model: nn.Module, source: Source, phase: Phase, origin: Origin, parts: dict[str, Any]) -> None:
        """Take the steps that are left of the epoch."""
        state, optimizer = self._state, parts["optimizer"]
        steps = -(-len(self._run.training) // phase.batch_size)
        model.train()
        if phase.train == "blocks":
            freeze_statistics(model)
        began = time.monotonic()
        for inputs, truths in source.training(state.epoch, state.step):
            self._check(parts)
            done = ((state.epoch - 1) * steps + state.step) / (phase.epochs * steps)
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * rate_factor(phase, done) * state.slower
            torch.manual_seed(hash((self._run.seed, state.total)))
            try:
                took = step(
                    model,
                    optimizer,
                    parts["scaler"],
                    self._run.runtime,
                    inputs,
                    truths,
                    smoothing=phase.label_smoothing,
                    part=state.part or phase.batch_size,
                )
            except NotFinite as error:
                raise self._diverged(error) from None
            if took.part < (state.part or phase.batch_size):
                state.part = took.part
                self._run.watch.say(
                    f"a batch of {phase.batch_size} does not fit in memory: {took.part} are taken at a time", "warning"
                )
            state.loss += took.loss * len(truths)
            state.right += took.right
            state.seen += len(truths)
            state.step += 1
            state.total += 1
            self._images += len(truths)
            state.images += len(truths)
            self._busy, began = self._busy + time.monotonic() - began, time.monotonic()
            self._teller.step(
                origin.backbone,
                phase,
                state,
                steps=steps,
                loss=took.loss,
                accuracy=took.right / len(truths),
                rate=optimizer.param_groups[-1]["lr"],
                speed=self._speed,
                end_to_end=self._end_to_end,
            )

    def _validate(self, model: nn.Module, source: Source, phase: Phase, origin: Origin) -> None:
        """Look at the validation images; keep the weights if no epoch before did better."""
        state = self._state
        probabilities, truths = judge(model, source, self._run.runtime, self._run.watch)
        accuracy = float((probabilities.argmax(1) == truths).float().mean())
        loss = float(nn.functional.nll_loss(probabilities.clamp_min(1e-12).log(), truths))
        epoch = state.past + state.epoch
        for name, value in (
            ("train_loss", state.loss / state.seen),
            ("train_accuracy", state.right / state.seen),
            ("val_loss", loss),
            ("val_accuracy", accuracy),
        ):
            self._run.watch.metric(name, value, state.total, float(epoch))
        self._run.watch.say(
            f"{origin.backbone}, {phase.train}, epoch {state.epoch}/{phase.epochs}:"
            f" loss {state.loss / state.seen:.3f}, accuracy {state.right / state.seen:.1%},"
            f" validation {accuracy:.1%}, {self._end_to_end:,.0f} images/s"
        )
        self._run.watch.validated(judged(probabilities, self._run.validation))
        if accuracy > max((reached for _, reached in state.reached), default=-1.0):
            state.reached.append([self._seconds(), accuracy])
        if (accuracy, -loss) <= (state.best_accuracy, -state.best_loss):
            state.stale += 1
            return
        state.best_accuracy, state.best_loss, state.stale = accuracy, loss, 0
        self._keeper.save_best(
            state.member,
            {
                "backbone": origin.backbone,
                "origin": vars(origin),
                "given": str(self._run.weights or ""),
                "train": phase.train,
                "blocks": phase.blocks,
                "best_epoch": epoch,
                "model": model.state_dict(),
                "validation": probabilities,
            },
        )

    # -- its parts

    def _check(self, parts: dict[str, Any]) -> None:
        """Save now and then; stop where it is asked for, at this step."""
        try:
            self._run.watch.check()
        except (Exception, LostClaim):
            raise  # another attempt runs this job now, and has its files
        except BaseException:  # asked to stop
            self._save(parts)
            raise
        if time.monotonic() - self._saved_at > CHECKPOINT_SECONDS:
            self._save(parts)

    def _save(self, parts: dict[str, Any]) -> None:
        self._state.seconds = self._seconds()
        self._keeper.save_last(self._state, {key: part.state_dict() for key, part in parts.items()})
        self._saved_at = time.monotonic()

    def _diverged(self, error: NotFinite) -> JobError:
        """Write down, for whoever resumes, to go on from the checkpoint before at half the rate."""
        place = f"step {self._state.step + 1} of epoch {self._state.epoch}"
        saved = self._keeper.restore()
        if saved is not None:
            state = State(**saved.pop("state"))
            state.slower /= 2
            self._keeper.save_state(state, saved)
        return JobError(
            f"{error} It was in {place}.", "Resume to go on from the checkpoint before, at half the learning rate."
        )

    @property
    def _speed(self) -> float:
        """Images a second of this phase's steps, the wait for them included: what tells how long the rest takes."""
        return self._images / max(self._busy, 1e-9)

    @property
    def _end_to_end(self) -> float:
        """Images a second that this phase has trained on since it began: decoding, features and validation included."""
        return self._images / max(time.monotonic() - self._phase_began, 1e-9)

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._started


def _first(reached: list[list[float]], level: float) -> list[float]:
    """Return the seconds at which a level was first reached, if it was."""
    return [seconds for seconds, accuracy in reached if accuracy >= level][:1]
