"""The closed vocabularies: states of a job, kinds of job and contestant, outcomes of a prediction."""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands.

    `waiting` for the jobs it needs → `queued` for a worker → `running` → one of the rest. `cancelling`: a worker
    ends what the job has on the service, then it is `cancelled`.
    """

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


ACTIVE = frozenset({JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING})
"""A worker has the job, or is about to."""

ENDED = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
"""Nothing more happens by itself, and jobs that need this one can know."""

CANCELLABLE = frozenset({JobState.WAITING, JobState.QUEUED, JobState.RUNNING, JobState.PAUSED, JobState.INTERRUPTED})
"""`cancel` ends these in any case; others where something of them is left on the service."""

RESUMABLE = frozenset({JobState.PAUSED, JobState.FAILED, JobState.CANCELLED, JobState.INTERRUPTED})
"""`resume` takes these up again."""


class JobKind(StrEnum):
    """What a job does; each is one class in `engine.jobs.kinds`."""

    BATCH = "batch"
    PROBE = "probe"
    FINE_TUNE = "fine-tune"
    DEPLOY = "deploy"
    SCORE = "score"
    TRAIN = "train"


class Request(StrEnum):
    """What somebody asked of a running job; the worker answers at its next safe point."""

    CANCEL = "cancel"
    PAUSE = "pause"


class ContestantKind(StrEnum):
    """Who predicted."""

    ZERO_SHOT = "zero-shot"
    FINE_TUNED = "fine-tuned"
    CNN = "cnn"


class Outcome(StrEnum):
    """How the question about one image ended. Every test image has exactly one."""

    ANSWERED = "answered"
    UNKNOWN_LABEL = "unknown_label"
    FILTERED = "filtered"
    FAILED = "failed"
    MISSING = "missing"


class Split(StrEnum):
    """Which part of a dataset an image belongs to."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
