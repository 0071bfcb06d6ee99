"""What is told of each step, without slowing it."""

from __future__ import annotations

import time

from engine.training.data import Watch
from engine.training.device import Runtime
from engine.training.recipes import Phase
from engine.training.state import State

METRIC_SECONDS = 0.05
"""Steps are told of at most this often: a last layer takes hundreds a second."""


class Teller:
    """Tells a watch of steps."""

    def __init__(self, watch: Watch, runtime: Runtime) -> None:
        self._watch, self._runtime = watch, runtime
        self._told_at = time.monotonic()

    def step(
        self,
        name: str,
        phase: Phase,
        state: State,
        *,
        steps: int,
        loss: float,
        accuracy: float,
        rate: float,
        speed: float,
        end_to_end: float,
    ) -> None:
        """Tell how far a phase is, and of a step if the last telling was long enough ago or it ends an epoch.

        Args:
            name: the backbone.
            phase: which trains.
            state: after the step.
            steps: an epoch has.
            loss, accuracy: of the step's batch.
            rate: the head's learning rate.
            speed: images a second of the steps.
            end_to_end: images a second since the phase began.

        """
        whole, done = phase.epochs * steps, (state.epoch - 1) * steps + state.step
        seconds = (whole - done) * phase.batch_size / speed
        left = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
        note = f"{name}, {phase.train}, epoch {state.epoch} of {phase.epochs}, {left} left"
        self._watch.phase(note, done, whole)
        now = time.monotonic()
        if now - self._told_at < METRIC_SECONDS and state.step < steps:
            return
        self._told_at = now
        for measure, value in (
            ("loss", loss),
            ("accuracy", accuracy),
            ("learning_rate", rate),
            ("images_per_second", end_to_end),
            ("memory_mb", self._runtime.memory()),
            ("seconds_left", seconds),
        ):
            self._watch.metric(measure, value, state.total, state.past + state.epoch - 1 + state.step / steps)
