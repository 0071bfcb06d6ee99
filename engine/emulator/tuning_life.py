"""A fine-tuning job's life: pending → running → succeeded, or paused, cancelled, failed on the way.

Training is deterministic and every epoch is saved, so a restart goes on at the last whole epoch; events
carry their place in the run, so that one that is told again after a restart is not told twice.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import csv
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from engine.backbones import cached_features
from engine.emulator.answering import categories
from engine.emulator.brain.tuning import Head, Step, new_moments, softmax_loss, train_epoch
from engine.emulator.brain.vision import prior
from engine.emulator.limits import MAX_EXAMPLES, MIN_EXAMPLES, example_of, json_lines
from engine.emulator.service import Service
from engine.emulator.state import Object

TERMINAL = ("succeeded", "failed", "cancelled")
_URL = re.compile(r"data:image/(?:jpeg|png|webp);base64,(.*)\Z", re.DOTALL)
KEPT_CHECKPOINTS = 3


class DataError(Exception):
    """The training data is not what it should be; the message is for the user."""


class _Interrupted(Exception):
    """Somebody asked to pause or cancel."""


class Tuning:
    """One job under way."""

    def __init__(self, service: Service, job: Object) -> None:
        self._service = service
        self._job = job
        self._folder = service.state.folder / "training" / job["id"]
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Lock()

    async def live(self) -> None:
        """Go through all states from wherever the job is."""
        job, dwell = self._job, self._service.dwell
        if job["status"] == "pending":
            self._tell("enqueued", "Job enqueued. Waiting for jobs ahead to complete.")
            await asyncio.sleep(dwell)
            if job["status"] == "pending":
                self._set("running")
        try:
            head, rows = await asyncio.to_thread(self._work)
        except _Interrupted:
            await asyncio.sleep(dwell)
            if job["status"] == "pausing":
                self._set("paused")
                self._tell(f"paused-{time.time_ns()}", "Job paused.")
            else:
                self._pay(job["_epochs_done"])
                self._set("cancelled", finished_at=int(time.time()))
                self._tell("cancelled", "Job cancelled.")
            return
        except DataError as error:
            body = {"code": "jsonlValidationFailed", "message": str(error), "param": "training_file"}
            self._tell("failed", f"Job failed. {error}", "error")
            self._set("failed", error=body, finished_at=int(time.time()))
            return
        self._finish(head, rows)

    # -- telling

    def _set(self, status: str, **more: Any) -> None:
        self._job.update(status=status, **more)
        self._service.state.tunings.put(self._job["id"], self._job)

    def _tell(self, place: str, message: str, level: str = "info", data: Object | None = None) -> None:
        """Add an event, unless the event of this place in the run is there already."""
        name = hashlib.sha256(f"{self._job['id']} {place}".encode()).hexdigest()[:32]
        with self._lock:
            if any(e["id"] == f"ftevent-{name}" for e in self._job["_events"]):
                return
            self._job["_events"].append(
                {
                    "id": f"ftevent-{name}",
                    "object": "fine_tuning.job.event",
                    "created_at": int(time.time()),
                    "level": level,
                    "type": "metrics" if data else "message",
                    "message": message,
                    "data": data or {},
                }
            )
            self._service.state.tunings.put(self._job["id"], self._job)

    def _check(self) -> None:
        if self._job["status"] in ("pausing", "cancelling"):
            raise _Interrupted

    # -- working, on a thread of its own

    def _work(self) -> tuple[Head, list[Object]]:
        job = self._job
        features, answers, labels, tokens = self._read(job["training_file"], "training")
        validation = self._read(job["validation_file"], "validation") if job["validation_file"] else None
        classes = sorted(set(labels) | set(answers))
        position = {label: number for number, label in enumerate(classes)}
        truths = np.array([position[a] for a in answers])
        knobs = job["_knobs"]
        batch = knobs["batch_size"] or max(1, min(32, len(truths) // 800 or 4))
        epochs = knobs["n_epochs"] or 2
        steps = -(-len(truths) // batch)
        job["hyperparameters"] = {
            "n_epochs": epochs,
            "batch_size": batch,
            "learning_rate_multiplier": knobs["learning_rate_multiplier"] or 1.0,
        }
        job["_tokens"] = tokens
        self._tell("started", "Job started.")
        self._tell("training", "Training started.")
        head, moments, rows, first = self._resume(classes, position)

        def on_step(step: Step) -> None:
            self._check()
            row = {"step": step.number, "train_loss": step.loss, "train_mean_token_accuracy": step.accuracy}
            rows.append(row)
            if step.number == 1 or step.number % 10 == 0:
                data = {**row, "total_steps": steps * epochs}
                self._tell(f"step-{step.number}", f"Step {step.number}: training loss={step.loss:.4f}", data=data)

        for epoch in range(first, epochs + 1):
            train_epoch(
                head,
                moments,
                features,
                truths,
                epoch=epoch,
                batch_size=batch,
                multiplier=job["hyperparameters"]["learning_rate_multiplier"],
                seed=job["seed"],
                total_steps=steps * epochs,
                on_step=on_step,
            )
            if validation is not None:
                known = [(f, position[a]) for f, a in zip(validation[0], validation[1], strict=True) if a in position]
                scores = head.scores(np.stack([f for f, _ in known])) if known else np.zeros((0, len(classes)))
                loss, accuracy, _ = softmax_loss(scores, np.array([t for _, t in known], int)) if known else (0, 0, 0)
                rows[-1].update(
                    valid_loss=loss,
                    valid_mean_token_accuracy=accuracy,
                    full_valid_loss=loss,
                    full_valid_mean_token_accuracy=accuracy,
                )
            self._save_epoch(head, moments, rows, epoch, steps * epoch)
        return head, rows

    def _read(self, file_id: str, what: str) -> tuple[np.ndarray, list[str], list[str], int]:
        """Return features, answers, categories of the prompt, and tokens of a file's examples."""
        self._tell(f"pre-{what}", f"Preprocessing started for {what} file.")
        path = self._service.state.blob(file_id)
        sources: list[Callable[[], bytes]] = []
        digests: list[str] = []
        answers: list[str] = []
        labels: dict[str, None] = {}
        tokens = 0
        for number, offset, line in json_lines(path):
            self._check()
            example = example_of(line)
            if isinstance(example, str):
                raise DataError(f"Invalid {what} file: line {number} {example}.")
            text, urls, answer = example
            if len(urls) != 1:
                raise DataError(f"The emulator trains on one image an example; line {number} has {len(urls)}.")
            match = _URL.match(urls[0]) if isinstance(urls[0], str) else None
            if match is None:
                raise DataError(f"Invalid {what} file: the image of line {number} is no JPEG, PNG or WEBP data URL.")
            digests.append(hashlib.sha256(match[1].encode()).hexdigest())
            sources.append(_picture_at(path, offset))
            answers.append(answer)
            labels.update(dict.fromkeys(categories(text)))
            tokens += -(-len(text) // 4) + 85 + -(-len(answer) // 4)
        if not (MIN_EXAMPLES if what == "training" else 1) <= len(answers) <= MAX_EXAMPLES:
            raise DataError(f"The {what} file has {len(answers)} examples; {MIN_EXAMPLES} to {MAX_EXAMPLES} are taken.")
        try:
            features = cached_features(
                self._service.vision.patient(),
                sources,
                digests,
                self._service.state.folder / "features",
                lambda *_: self._check(),
            )
        except (OSError, ValueError, binascii.Error) as error:
            raise DataError(f"Invalid {what} file: an image cannot be decoded ({error}).") from error
        self._tell(f"post-{what}", f"Preprocessing completed for {what} file.")
        return features, answers, list(labels), tokens

    def _resume(self, classes: list[str], position: dict[str, int]) -> tuple[Head, list[np.ndarray], list[Object], int]:
        """Return head, moments, rows and the epoch to go on with, from the last whole epoch."""
        saved = self._folder / "epoch.npz"
        if saved.exists():
            with np.load(saved, allow_pickle=False) as data:
                head = Head(classes, data["weight"].copy(), data["bias"].copy())
                moments = [data[f"moment{n}"].copy() for n in range(4)]
                rows: list[Object] = json.loads(str(data["rows"]))
                return head, moments, rows, int(data["epoch"]) + 1
        weight, bias = prior(self._service.vision.backbone(), classes)
        base = self._service.head(self._job["model"])  # continual fine-tuning starts from what was tuned before
        for row, label in enumerate(base.labels if base else []):
            if base is not None and label in position:
                weight[position[label]], bias[position[label]] = base.weight[row], base.bias[row]
        head = Head(classes, weight, bias)
        return head, new_moments(head), [], 1

    def _save_epoch(self, head: Head, moments: list[np.ndarray], rows: list[Object], epoch: int, step: int) -> None:
        partial = self._folder / "partial.npz"
        np.savez(
            partial,
            weight=head.weight,
            bias=head.bias,
            rows=json.dumps(rows),
            epoch=epoch,
            **{f"moment{n}": m for n, m in enumerate(moments)},  # type: ignore[arg-type]
        )
        partial.replace(self._folder / "epoch.npz")
        model = f"{self._job['_name']}:ckpt-step-{step}"
        head.save(self._service.model_path(model))
        metrics = {k: v for k, v in rows[-1].items() if k != "step"}
        point = {
            "id": f"ftckpt_{hashlib.sha256(model.encode()).hexdigest()[:32]}",
            "object": "fine_tuning.job.checkpoint",
            "created_at": int(time.time()),
            "fine_tuning_job_id": self._job["id"],
            "fine_tuned_model_checkpoint": model,
            "step_number": step,
            "metrics": {"step": step, **metrics},
        }
        others = [c for c in self._job["_checkpoints"] if c["id"] != point["id"]]
        self._job["_checkpoints"] = [*others, point][-KEPT_CHECKPOINTS:]
        self._job["_epochs_done"] = epoch
        self._service.state.tunings.put(self._job["id"], self._job)

    # -- ending

    def _pay(self, epochs: int) -> int:
        """Write the payment down: tokens of the examples × epochs."""
        billed = int(self._job.get("_tokens", 0)) * epochs
        self._service.state.ledger.write("fine_tuning_job", self._job["id"], billed_tokens=billed)
        return billed

    def _finish(self, head: Head, rows: list[Object]) -> None:
        job = self._job
        head.save(self._service.model_path(job["_name"]))
        self._tell("succeeded", "Job succeeded.")
        self._tell("evaluated", "Model evaluation passed.")
        if not job["result_files"]:
            path = self._folder / "results.csv"
            columns = ["step", "train_loss", "train_mean_token_accuracy", "valid_loss", "valid_mean_token_accuracy"]
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, columns, extrasaction="ignore")
                writer.writeheader()
                writer.writerows(rows)
            made = self._service.state.add_file(path, "results.csv", "fine-tune-results", 0.0)
            job["result_files"] = [made["id"]]
            self._tell("results", f"Completed results file: {made['id']}")
        billed = self._pay(job["hyperparameters"]["n_epochs"])
        self._tell("billed", f"Training tokens billed: {billed}")
        self._set("succeeded", fine_tuned_model=job["_name"], trained_tokens=billed, finished_at=int(time.time()))


def _picture_at(path: Path, offset: int) -> Callable[[], bytes]:
    """Return a function that reads one example's picture again, so that no file is held in memory."""

    def read() -> bytes:
        with path.open("rb") as file:
            file.seek(offset)
            example = example_of(json.loads(file.readline()))
        match = _URL.match(example[1][0]) if not isinstance(example, str) else None
        if match is None:
            raise ValueError("the file has changed")
        return base64.b64decode(match[1], validate=True)

    return read


def start(service: Service, job: Object) -> None:
    """Begin a job's life, or go on with it."""
    service.run(job["id"], Tuning(service, job).live())


def restart_all(service: Service) -> None:
    """Go on with every job that had not ended and is not paused."""
    for job in service.state.tunings.all():
        if job["status"] not in (*TERMINAL, "paused"):
            start(service, job)
