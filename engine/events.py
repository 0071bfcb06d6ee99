"""What the engine tells whoever watches: plain, frozen values, safe to hand between threads.

States and kinds are the strings of `engine.states`; times are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass

WAITS_FOR_SETTINGS = "waits for a dogcls-tui with the settings"
"""What the note of a waiting job begins with when this process's settings mean another resource than the job's."""


@dataclass(frozen=True)
class JobView:
    """One job as it stands now."""

    id: int
    kind: str
    experiment: str
    contestant: str | None
    state: str
    attempt: int
    done: int
    total: int
    note: str
    error: str | None
    request: str | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    cost_usd: float
    needs: tuple[int, ...]
    cost_is_known: bool = True
    """False where the price of something that was paid is not in the table: then `cost_usd` is the rest."""
    unanswered: int = 0
    """Images that a job which has succeeded has left without an answer; `resume` asks about these again."""
    on_service: bool = False
    """Whether it may have something on the service that runs or costs: `cancel` ends that, whatever its state."""
    cancelled_with: int | None = None
    """The job because of which it was cancelled; None where the user cancelled it."""
    worked_seconds: float = 0.0
    """Time that its ended attempts worked: without pauses, and without waiting for other jobs."""
    working_since: float | None = None
    """Since when the attempt that runs has worked, as far as a clock for people can show it; None while none runs."""

    def seconds(self, at: float) -> float:
        """Return how long the job has worked until a moment, all attempts together."""
        running = 0.0 if self.working_since is None else max(0.0, at - self.working_since)
        return self.worked_seconds + running

    @property
    def waits_for_settings(self) -> bool:
        """Whether it waits for a process whose settings mean the job's resource."""
        return self.state == "waiting" and self.note.startswith(WAITS_FOR_SETTINGS)

    @property
    def done_of_total(self) -> str:
        """What is done in its own units, such as images; in per cent where a job's stages count different things."""
        if not self.total:
            return ""
        return f"{self.progress:.0%}" if self.kind == "train" else f"{self.done:,} of {self.total:,}"

    @property
    def progress(self) -> float:
        """Share of the work that is done, 0 to 1."""
        if self.state == "succeeded" and not self.unanswered:
            return 1.0
        return min(1.0, self.done / self.total) if self.total else 0.0


@dataclass(frozen=True)
class LogLine:
    """One line of a job's log. `id` grows, so that a reader can ask for what came after."""

    id: int
    job_id: int
    at: float
    level: str
    message: str


@dataclass(frozen=True)
class Metric:
    """One measured value of a job (`loss`, `val_accuracy` …)."""

    job_id: int
    name: str
    step: int
    epoch: float | None
    value: float
    at: float


@dataclass(frozen=True)
class ExperimentView:
    """A named set of jobs over one split of one dataset.

    `state` is `running` while any job has a worker, `succeeded` when all did, else the state that
    most wants attention.
    """

    name: str
    dataset: str | None
    profile: str
    state: str
    created_at: float
    jobs_done: int
    jobs_total: int
    cost_usd: float
    cost_is_known: bool = True
    """False where the price of something that was paid is not known: then `cost_usd` is the rest."""


@dataclass(frozen=True)
class DatasetView:
    """A dataset in the store: how many images each split has, and which ones (`digest`)."""

    name: str
    source: str
    root: str
    split: str
    seed: int | None
    digest: str
    labels: tuple[str, ...]
    train: int
    val: int
    test: int
    created_at: float


@dataclass(frozen=True)
class JobDetail:
    """Everything about one job: what it was told, what came of it, what it has on the service and on disk.

    `remote` rows are (operation, id on the service or None, when intended). `files` are (path below
    the job's folder, bytes, when changed). `printed` is the end of what its processes printed beside the log.
    """

    view: JobView
    parameters: dict[str, object]
    result: dict[str, object]
    pid: int | None
    heartbeat_at: float | None
    remote: tuple[tuple[str, str | None, float], ...]
    files: tuple[tuple[str, int, float], ...]
    folder: str
    printed: str


@dataclass(frozen=True)
class StandingCost:
    """A deployment that lives: it costs money whether it is used or not. US dollars."""

    job_id: int
    experiment: str
    deployment: str
    since: float
    usd_per_hour: float
    usd: float
    price_is_known: bool = True
    """False where the price table lacks the model: then both sums are 0."""


@dataclass(frozen=True)
class RemoteItem:
    """Something on the service, ours or not: a batch, a fine-tuning job, a deployment or a file.

    `job_id` is ours if it is known to be. `needed` names the job of this home that still needs it; else it is empty.
    """

    kind: str
    id: str
    name: str
    state: str
    created_at: float | None
    detail: str
    job_id: int | None
    needed: str = ""


@dataclass(frozen=True)
class ImageView:
    """One image of a dataset."""

    path: str
    label: str
    split: str
    bytes: int
    width: int
    height: int


@dataclass(frozen=True)
class Score:
    """How a contestant stands: right answers and finished questions, of so many test images.

    `majority` of these are of the most frequent class: always naming it is right as often.
    """

    experiment: str
    contestant: str
    kind: str
    emulated: bool
    right: int
    asked: int
    n: int
    majority: int = 0


@dataclass(frozen=True)
class Leftover:
    """Something on the service that could be deleted.

    `kept` names what still needs it; else it is empty. `job_id` is the job of this home that made it, `origin` names
    another maker. `known_by` are its id and name and those of what it belongs to, by which the store recognises it.
    """

    kind: str
    id: str
    name: str
    detail: str
    created_at: float | None
    kept: str
    job_id: int | None = None
    origin: str = ""
    known_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checkup:
    """One thing that was checked of a profile. `state` is `ok`, `warning`, `problem` or `unknown`."""

    name: str
    state: str
    found: str
    cure: str = ""


@dataclass(frozen=True)
class CallFault:
    """Calls of the emulator that go wrong: which operation, how, what share, and how many more (None: all)."""

    operation: str
    kind: str
    rate: float
    times: int | None


@dataclass(frozen=True)
class EmulatorFaults:
    """What the emulator does wrong on request; the defaults are off."""

    latency: str | float | None = None
    calls: tuple[CallFault, ...] = ()
    lost_lines: float = 0.0
    all_failed: bool = False
    empty_error_file: bool = False
    fail_batch: str | None = None
    skipped_images: float = 0.0
    fail_training: bool = False
    clock_offset: float = 0.0


@dataclass(frozen=True)
class EmulatorSettings:
    """What can be set on the emulator while it runs. `active` are the names of the faults that are on."""

    speed: str | float = "fast"
    brain: bool = True
    quota_minute: float | None = None
    faults: EmulatorFaults = EmulatorFaults()
    active: tuple[str, ...] = ()


@dataclass(frozen=True)
class EmulatorView:
    """Whether the emulator runs, where, on how much it works, and which faults are on."""

    running: bool
    address: str = ""
    under_way: int = 0
    active: tuple[str, ...] = ()


@dataclass(frozen=True)
class Payment:
    """One line of the emulator's ledger: what would have been paid for.

    `kind` is `batch`, `fine-tuning`, `deployment` or `chat`; a `chat` adds up all requests of one client to
    one deployment, from `at` until `until`. A deployment's `until` is when it was deleted.
    """

    kind: str
    at: float
    client: str
    id: str = ""
    name: str = ""
    model: str = ""
    until: float | None = None
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    training_tokens: int = 0


@dataclass(frozen=True)
class RecipeView:
    """A recipe in words.

    Attributes:
        phases: one sentence each.
        weights: what it starts from, and where that comes from.
        settings: everything that it sets, as plain values.
        seconds: what it is likely to take here, from its last run in this home; None while there was none.

    """

    name: str
    about: str
    backbones: tuple[str, ...]
    phases: tuple[str, ...]
    weights: str
    settings: dict[str, object]
    seconds: float | None = None


@dataclass(frozen=True)
class WorstPicture:
    """One validation image. `path` is its file, `name` that path below the dataset's folder; the rest is what was said.

    `sure` is the probability of what was said, `truth_sure` the one given to the truth.
    """

    image_id: int
    path: str
    name: str
    truth: str
    said: str
    sure: float
    truth_sure: float


@dataclass(frozen=True)
class CurvePoint:
    """Accuracy when learned from so many images a class, with its 95% interval."""

    per_class: int
    images: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class TrainingView:
    """How a training run stands, beside what it measures; what is not known yet is empty or None."""

    recipe: str
    device: str
    weights: tuple[str, ...] = ()
    val_accuracy: float | None = None
    curve: tuple[CurvePoint, ...] = ()
    caution: str = ""
    doubled: str = ""
    curve_note: str = ""
