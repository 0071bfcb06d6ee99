"""A fine-tuning job's life: pending → running → succeeded, or paused, cancelled, failed on the way.

Training is deterministic, and every step could be the last before a kill: what was saved is gone on from,
at the very step.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import time
from pathlib import Path

import numpy as np

from engine.backbones import cached_features
from engine.emulator.brain.tuning import Head, calibrate, new_moments, steps
from engine.emulator.brain.vision import prior
from engine.emulator.examples import DataError, Examples, read
from engine.emulator.journal import Journal
from engine.emulator.service import Service
from engine.emulator.state import Object
from engine.emulator.training import Run

TERMINAL = ("succeeded", "failed", "cancelled")
STOPPING = ("pausing", "cancelled")
KEPT_CHECKPOINTS = 3
SAVE_SECONDS = 2.0
MAX_TOKENS = 2_000_000_000
"""Tokens of the training file times epochs."""
COLUMNS = (
    "step",
    "train_loss",
    "train_mean_token_accuracy",
    "valid_loss",
    "valid_mean_token_accuracy",
    "full_valid_loss",
    "full_valid_mean_token_accuracy",
)


class _Interrupted(Exception):
    """Somebody asked to pause or cancel."""


class _Failed(Exception):
    """The service itself has failed."""


class Tuning:
    """One job under way."""

    def __init__(self, service: Service, job: Object) -> None:
        self._service = service
        self._job = job
        self._folder = folder_of(service, job["id"])
        self._journal = journal_of(service, job["id"])

    async def live(self) -> None:
        """Go through all states from wherever the job is."""
        job, clock = self._job, self._service.clock
        try:
            await self._turn()
            head, rows = await asyncio.to_thread(self._work)
            self._check()
            await clock.wait("evaluating")
            self._check()
            await asyncio.to_thread(self._keep, head, rows)
            self._check()
            self._finish()
        except _Interrupted:
            if job["status"] == "pausing":
                await clock.wait("pausing")
            if job["status"] == "pausing":  # nobody has cancelled it meanwhile
                self._set("paused")
                self._tell(f"paused-{time.time_ns()}", "Job paused.")
            else:
                self._tell("cancelled", "Job cancelled.")
                self._pay()
                self._set("cancelled", _settled=True)
        except DataError as error:
            self._fail("jsonlValidationFailed", str(error), "training_file")
        except FileNotFoundError:
            for name in ("training_file", "validation_file"):
                if job[name] and not self._service.state.blob(job[name]).exists():
                    self._fail("fileImportFailed", f"The {name} {job[name]} is gone.", name)
                    return
            raise
        except _Failed:
            self._fail("internalError", "The job failed with an internal error (500). It is not charged.", None)

    async def _turn(self) -> None:
        """Wait until no other job runs and none has waited longer; then run."""
        job, service = self._job, self._service
        if job["status"] == "pending":
            self._tell("enqueued", "Job enqueued. Waiting for jobs ahead to complete.")
            await service.clock.wait("queue")
        while job["status"] in ("pending", "resuming"):
            others = [
                other for other in service.state.tunings.all() if other is not job and other["id"] in service.tasks
            ]
            waiting = [other for other in others if other["status"] in ("pending", "resuming")]
            if len(waiting) == len(others) and not any(_goes_before(other, job) for other in waiting):
                self._set("running")
                return
            await service.clock.until_changed()
        self._check()

    # -- telling

    def _set(self, status: str, **more: object) -> None:
        self._job.update(status=status, **more)
        self._service.state.tunings.put(self._job["id"], self._job)
        self._service.clock.changed()

    def _tell(self, place: str, message: str, *, level: str = "info", data: Object | None = None) -> None:
        self._journal.tell(self._job["id"], place, message, level=level, data=data)

    def _fail(self, code: str, message: str, param: str | None) -> None:
        self._tell("failed", f"Job failed. {message}", level="error")
        error = {"code": code, "message": message, "param": param}
        self._set("failed", error=error, finished_at=int(self._service.clock.now()))

    def _check(self) -> None:
        if self._job["status"] in STOPPING:
            raise _Interrupted

    def _wait(self, what: str) -> None:
        """Sit a waiting out, on the worker's thread."""
        clock, since = self._service.clock, time.monotonic()
        while time.monotonic() < since + clock.seconds(what):
            self._check()
            time.sleep(0.02)

    # -- working, on a thread of its own

    def _work(self) -> tuple[Head, list[Object]]:
        job = self._job
        training = self._read(job["training_file"], "training")
        validation = self._read(job["validation_file"], "validation") if job["validation_file"] else None
        self._tell("started", "Job started.")
        self._tell("importing", "Data import started.")
        self._wait("import")
        features = self._features(training, "training")
        held_out = self._features(validation, "validation") if validation else None
        self._tell("imported", "Data import completed.")
        classes = sorted(set(training.labels) | set(training.answers))
        position = {label: number for number, label in enumerate(classes)}
        truths = np.array([position[answer] for answer in training.answers])
        self._settle_knobs(training)
        self._tell("tuning", "Fine-tuning started.")
        self._tell("gpus", "Waiting for GPUs.")
        self._wait("gpus")
        self._tell("training", "Training started.")
        run = Run.load(self._folder / "progress.npz", classes) or self._begin(classes, position)
        run.head.key = training.key
        if not run.rows:
            self._tell("results", "Created results file.")
        if self._service.control.faults.fail_training:
            raise _Failed
        judged = None
        if validation and held_out is not None:
            known = [n for n, answer in enumerate(validation.answers) if answer in position]
            judged = held_out[known], np.array([position[validation.answers[n]] for n in known], int)
        self._train(run, features, truths, judged)
        if judged is not None and len(judged[1]):
            calibrate(run.head, *judged)
        else:
            calibrate(run.head, features, truths, held_out=False)
        return run.head, run.rows

    def _settle_knobs(self, training: Examples) -> None:
        """Choose what was left to the service (a batch size of 6 was chosen for 4,800 examples)."""
        job, knobs, count = self._job, self._job["_knobs"], len(training.answers)
        chosen = {
            "n_epochs": knobs["n_epochs"] or (3 if count < 1000 else 2),
            "batch_size": knobs["batch_size"] or max(1, min(256, round(count / 800))),
            "learning_rate_multiplier": knobs["learning_rate_multiplier"] or 1.0,
        }
        if training.billed * chosen["n_epochs"] > MAX_TOKENS:
            raise DataError(f"The training file times epochs has more than {MAX_TOKENS:,} tokens.")
        job.update(hyperparameters=chosen, _billed=training.billed, _seen=training.seen)
        self._service.state.tunings.put(job["id"], job)

    def _train(
        self, run: Run, features: np.ndarray, truths: np.ndarray, judged: tuple[np.ndarray, np.ndarray] | None
    ) -> None:
        knobs = self._job["hyperparameters"]
        an_epoch = -(-len(truths) // knobs["batch_size"])
        total = an_epoch * knobs["n_epochs"]
        saved = time.monotonic()
        self._job.update(_steps=run.step, _total_steps=total)
        for step in steps(
            run.head,
            run.moments,
            features,
            truths,
            batch_size=knobs["batch_size"],
            epochs=knobs["n_epochs"],
            multiplier=knobs["learning_rate_multiplier"],
            seed=self._job["seed"],
            after=run.step,
        ):
            run.note(step)
            if step.number == 1 or step.number % 10 == 0:
                data = {**run.rows[-1], "total_steps": total}
                self._tell(f"step-{step.number}", f"Step {step.number}: training loss={step.loss:.4f}", data=data)
            ended = step.number % an_epoch == 0
            if ended:
                if judged is not None:
                    run.judge(*judged)
                self._add_checkpoint(run)
            stopping = self._job["status"] in STOPPING
            if ended or stopping or time.monotonic() > saved + SAVE_SECONDS:
                run.save(self._folder / "progress.npz")
                saved = time.monotonic()
                self._job["_steps"] = step.number
                self._service.state.tunings.put(self._job["id"], self._job)
            if stopping and not ended and self._job["status"] == "pausing":
                self._add_checkpoint(run)  # a paused job leaves a model that can be deployed
            self._check()

    def _read(self, file_id: str, what: str) -> Examples:
        self._tell(f"pre-{what}", f"Preprocessing started for {what} file.")
        control = self._service.control
        # Deterministic, so that a restart drops the same ones.
        dice = np.random.default_rng(int(hashlib.sha256(f"{self._job['id']}{what}".encode()).hexdigest()[:8], 16))
        share = control.faults.skipped_images if what == "training" else 0.0
        path = self._service.state.blob(file_id)
        found = read(path, what, check=self._check, skip=lambda: bool(share and dice.random() < share))
        if not found.answers:
            raise DataError(f"Invalid {what} file: no image of it may be used.")
        self._tell(f"post-{what}", f"Preprocessing completed for {what} file.")
        return found

    def _features(self, examples: Examples, what: str) -> np.ndarray:
        if not self._service.control.settings.brain:  # it does not look; it learns nothing, at once
            return np.zeros((len(examples.answers), self._service.vision.backbone().width), np.float32)
        try:
            found = cached_features(
                self._service.vision.patient(),
                examples.sources,
                examples.digests,
                self._service.state.folder / "features",
                lambda *_: self._check(),
            )
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno is not None:  # of the disk, not of a picture
                raise
            raise DataError(f"Invalid {what} file: an image cannot be decoded ({error}).") from error
        # Several pictures of an example are taken for views of one thing.
        starts = np.cumsum([0, *examples.pictures[:-1]])
        return np.add.reduceat(found, starts) / np.array(examples.pictures, np.float32)[:, None]

    def _begin(self, classes: list[str], position: dict[str, int]) -> Run:
        weight, bias = prior(self._service.vision.backbone(), classes)
        base = self._service.head(self._job["model"])  # continual fine-tuning starts from what was tuned before
        for row, label in enumerate(base.labels if base else []):
            if base is not None and label in position:
                weight[position[label]], bias[position[label]] = base.weight[row], base.bias[row]
        head = Head(classes, weight, bias)
        return Run(head, new_moments(head))

    def _add_checkpoint(self, run: Run) -> None:
        job, row = self._job, run.rows[-1]
        model = f"{job['_name']}:ckpt-step-{row['step']}"
        run.head.save(self._service.model_path(model))
        point = {
            "id": f"ftckpt_{hashlib.sha256(model.encode()).hexdigest()[:32]}",
            "object": "fine_tuning.job.checkpoint",
            "created_at": int(self._service.clock.now()),
            "fine_tuning_job_id": job["id"],
            "fine_tuned_model_checkpoint": model,
            "step_number": row["step"],
            "metrics": dict(row),
        }
        others = [c for c in job["_checkpoints"] if c["id"] != point["id"]]
        job["_checkpoints"] = [*others, point][-KEPT_CHECKPOINTS:]
        self._service.state.tunings.put(job["id"], job)

    # -- ending

    def _pay(self) -> int:
        """Write the payment down: tokens of the examples × epochs, for the part that was done."""
        job = self._job
        epochs = job["hyperparameters"].get("n_epochs", 0)
        share = job["_steps"] / job["_total_steps"] if job["_total_steps"] else 0.0
        billed: int = round(job["_billed"] * epochs * share)
        self._service.ledger.write("fine_tuning_job", job["id"], billed_tokens=billed)
        return billed

    def _keep(self, head: Head, rows: list[Object]) -> None:
        """Save the model and the results file."""
        job = self._job
        head.save(self._service.model_path(job["_name"]))
        if not job["result_files"]:
            made = self._service.state.add_file(
                self._results(rows), f"step_metrics_{job['id']}.csv", "fine-tune-results", ready=True
            )
            job["result_files"] = [made["id"]]

    def _finish(self) -> None:
        job = self._job
        self._tell("succeeded", "Job succeeded.")
        self._tell("evaluated", "Model evaluation passed.")
        self._tell("completed", f"Completed results file: {job['result_files'][0]}")
        billed = self._pay()
        self._tell("billed", f"Training tokens billed: {billed}")
        self._set(
            "succeeded",
            fine_tuned_model=job["_name"],
            trained_tokens=job["_seen"] * job["hyperparameters"]["n_epochs"],
            finished_at=int(self._service.clock.now()),
        )

    def _results(self, rows: list[Object]) -> Path:
        path = self._folder / "results.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        return path


def _goes_before(one: Object, other: Object) -> bool:
    """Tell which of two waiting jobs has its turn first: what is resumed, then what was made first."""
    return (one["status"] != "resuming", one["_serial"]) < (other["status"] != "resuming", other["_serial"])


def folder_of(service: Service, job_id: str) -> Path:
    """Return where a job keeps what it needs to go on."""
    folder = service.state.folder / "training" / job_id
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def journal_of(service: Service, job_id: str) -> Journal:
    """Return a job's events."""
    if job_id not in service.journals:
        service.journals[job_id] = Journal(folder_of(service, job_id) / "events.jsonl", service.clock)
    return service.journals[job_id]


def start(service: Service, job: Object) -> None:
    """Begin a job's life, or go on with it."""
    service.run(job["id"], service.again_when_there_is_room(job["id"], lambda: Tuning(service, job).live()))


def restart_all(service: Service) -> None:
    """Go on with every job that had not ended and is not paused."""
    for job in service.state.tunings.all():
        ended = job["status"] in TERMINAL and (job["status"] != "cancelled" or job["_settled"])
        if not ended and job["status"] != "paused":
            start(service, job)
