"""The training loop. It reads from top to bottom, and can be stopped after any epoch and gone on with.

Each epoch seeds itself from the run's seed and its own number, and a checkpoint holds everything that
an epoch starts from; so a run that was killed and resumed gives the weights of one that was not.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from engine.backbones import Backbone
from engine.backbones.backbone import usable_cores
from engine.errors import JobError
from engine.training import checkpoint, models
from engine.training.data import Example, Watch
from engine.training.device import pick_device
from engine.training.recipes import Recipe

Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Trained:
    """What came out: the best epoch by validation accuracy is the one that predicts.

    `seconds` is all of it, over every attempt; `images_per_second` of the training epochs.
    """

    epochs: int
    best_epoch: int
    val_accuracy: float
    seconds: float
    images_per_second: float
    model: str
    weights: str
    sha256: str
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
) -> Trained:
    """Train a recipe, or go on from its last checkpoint.

    Args:
        recipe: what to do.
        labels: the classes; an example's label is a position in it.
        training: what is learned from.
        validation: what chooses the best epoch.
        folder: of the checkpoints: `last.pt` and `best.pt`.
        cache: of backbones, features and downloaded weights.
        seed: of everything random.
        watch: is told, and may stop by raising.
        weights: for a full recipe, a file instead of torchvision's download.

    Raises:
        WeightsError: the recipe's weights cannot be had.
        JobError: the loss is no number any more.

    """
    torch.set_num_threads(usable_cores())
    device = pick_device() if recipe.kind == "full" else torch.device("cpu")
    started = time.monotonic()
    torch.manual_seed(seed)
    if recipe.kind == "frozen":
        backbone, origin = models.frozen_backbone(recipe, cache)
        watch.say(f"{origin.model}; weights: {origin.weights}")
        data: _Data = _Features(recipe, backbone, training, validation, cache, watch)
        model = models.linear_head(backbone.width, len(labels), recipe.dropout)
    else:
        model, origin = models.full_model(recipe, len(labels), cache, weights)
        watch.say(f"{origin.model}; weights: {origin.weights}; on {device}")
        data = _Images(recipe, training, validation, watch)
    model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    steps = -(-len(training) // recipe.batch_size)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.epochs * steps)

    identity = {"recipe": asdict(recipe), "labels": list(labels), "seed": seed, "sha256": origin.sha256}
    first, best, best_epoch, spent = _restore(folder, identity, model, optimizer, scheduler, watch)
    rate = 0.0
    for epoch in range(first, recipe.epochs + 1):
        torch.manual_seed(seed * 100_003 + epoch)
        loss, accuracy, rate = _epoch(model, data, optimizer, scheduler, device, epoch, recipe, steps, watch)
        val_loss, val_accuracy = evaluate(model, data.validation(), device, watch)
        step = epoch * steps
        for name, value in (
            ("train_loss", loss),
            ("train_accuracy", accuracy),
            ("val_loss", val_loss),
            ("val_accuracy", val_accuracy),
            ("learning_rate", optimizer.param_groups[0]["lr"]),
            ("images_per_second", rate),
        ):
            watch.metric(name, value, step, float(epoch))
        watch.say(
            f"epoch {epoch}/{recipe.epochs}: loss {loss:.3f}, accuracy {accuracy:.1%},"
            f" validation {val_accuracy:.1%}, {rate:,.0f} images/s"
        )
        improved = val_accuracy > best
        if improved:
            best, best_epoch = val_accuracy, epoch
        state = {
            **identity,
            "epoch": epoch,
            "best": best,
            "best_epoch": best_epoch,
            "seconds": spent + time.monotonic() - started,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
            "origin": asdict(origin),
        }
        if improved:
            checkpoint.save(folder / "best.pt", state)
        checkpoint.save(folder / "last.pt", state)  # last, so that it never tells of a best that is not there
    seconds = spent + time.monotonic() - started
    return Trained(
        recipe.epochs, best_epoch, best, seconds, rate, origin.model, origin.weights, origin.sha256, str(device)
    )


def _restore(
    folder: Path,
    identity: dict[str, Any],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    watch: Watch,
) -> tuple[int, float, int, float]:
    """Return the epoch to go on with, the best accuracy and epoch so far, and the seconds spent."""
    for name in ("last.pt", "best.pt"):
        state = checkpoint.load(folder / name)
        if state is None:
            if (folder / name).exists():
                watch.say(f"{name} is damaged and was passed over")
            continue
        if any(state.get(key) != value for key, value in identity.items()):
            watch.say(f"{name} is of another run (recipe, labels, seed or weights) and was passed over")
            continue
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        watch.say(f"going on after epoch {state['epoch']}")
        return state["epoch"] + 1, state["best"], state["best_epoch"], state["seconds"]
    return 1, -1.0, 0, 0.0


def _epoch(
    model: nn.Module,
    data: _Data,
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler,
    device: torch.device,
    epoch: int,
    recipe: Recipe,
    steps: int,
    watch: Watch,
) -> tuple[float, float, float]:
    """Train one epoch; return mean loss, accuracy, images a second."""
    model.train()
    total_loss, right, seen = 0.0, 0, 0
    started = time.monotonic()
    for number, (pictures, truths) in enumerate(data.training(), start=1):
        watch.check()
        pictures, truths = pictures.to(device), truths.to(device)
        logits = model(pictures)
        loss = nn.functional.cross_entropy(logits, truths)
        if not torch.isfinite(loss):
            raise JobError(
                f"The loss is {loss.item()} in epoch {epoch}.", "Resume to go on before it, or change the recipe."
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
        scheduler.step()
        total_loss += loss.item() * len(truths)
        right += int((logits.argmax(1) == truths).sum())
        seen += len(truths)
        step = (epoch - 1) * steps + number
        watch.phase(f"epoch {epoch} of {recipe.epochs}", step, recipe.epochs * steps)
        if recipe.kind == "full" or number == steps:
            watch.metric("loss", loss.item(), step, epoch - 1 + number / steps)
    return total_loss / seen, right / seen, seen / max(time.monotonic() - started, 1e-9)


@torch.inference_mode()
def evaluate(model: nn.Module, batches: Iterable[Batch], device: torch.device, watch: Watch) -> tuple[float, float]:
    """Return mean loss and accuracy."""
    model.eval()
    total_loss, right, seen = 0.0, 0, 0
    for pictures, truths in batches:
        watch.check()
        logits = model(pictures.to(device))
        truths = truths.to(device)
        total_loss += nn.functional.cross_entropy(logits, truths, reduction="sum").item()
        right += int((logits.argmax(1) == truths).sum())
        seen += len(truths)
    return total_loss / seen, right / seen


class _Data:
    """Batches of (inputs, labels), shuffled for training by torch's own generator."""

    def training(self) -> Iterator[Batch]:
        raise NotImplementedError

    def validation(self) -> Iterable[Batch]:
        raise NotImplementedError


class _Features(_Data):
    """A frozen recipe's features, all in memory: 5 kB an image."""

    def __init__(
        self,
        recipe: Recipe,
        backbone: Backbone,
        training: Sequence[Example],
        validation: Sequence[Example],
        cache: Path,
        watch: Watch,
    ) -> None:
        total = len(training) + len(validation)

        def progress(offset: int, done: int) -> None:
            watch.phase("looking at pictures", offset + done, total)
            watch.check()

        self._size = recipe.batch_size
        self._train = models.features(backbone, training, cache, lambda done, _: progress(0, done))
        self._val = models.features(backbone, validation, cache, lambda done, _: progress(len(training), done))
        self._train_labels = torch.tensor([e.label for e in training])
        self._val_labels = torch.tensor([e.label for e in validation])

    def training(self) -> Iterator[Batch]:
        order = torch.randperm(len(self._train))
        for chosen in torch.split(order, self._size):
            yield self._train[chosen], self._train_labels[chosen]

    def validation(self) -> Iterable[Batch]:
        return [(self._val, self._val_labels)]


class _Images(_Data):
    """A full recipe's pictures, decoded and augmented anew each epoch."""

    def __init__(
        self, recipe: Recipe, training: Sequence[Example], validation: Sequence[Example], watch: Watch
    ) -> None:
        watch.check()
        self._training = models.batches(recipe, training, training=True)
        self._validation = models.batches(recipe, validation, training=False)

    def training(self) -> Iterator[Batch]:
        yield from self._training

    def validation(self) -> Iterable[Batch]:
        return self._validation
