"""One step of the optimizer, on whatever memory there is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from engine.errors import JobError
from engine.training.device import Runtime
from engine.training.recipes import Phase


class NotFinite(JobError):
    """The loss is no number any more."""


@dataclass(frozen=True)
class Stepped:
    """What a step gave: its mean loss, how many it got right, and the part of a batch that fitted in memory."""

    loss: float
    right: int
    part: int


def rate_factor(phase: Phase, done: float) -> float:
    """Return what learning rates are multiplied with after a share `done` of a phase's steps.

    A linear warm-up, then half a cosine down to 0 (Loshchilov & Hutter, SGDR, https://arxiv.org/abs/1608.03983,
    without restarts).
    """
    if done < phase.warmup:
        return done / phase.warmup
    return 0.5 * (1 + math.cos(math.pi * (done - phase.warmup) / (1 - phase.warmup)))


def step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    runtime: Runtime,
    inputs: torch.Tensor,
    truths: torch.Tensor,
    *,
    smoothing: float,
    part: int,
) -> Stepped:
    """Take one step.

    Where a batch does not fit in memory it is taken in halves, quarters and so on, whose gradients add up to the
    same step (batch norms aside, which then see the smaller part).

    Args:
        inputs: `[n, …]`, on the CPU.
        truths: `[n]` int64, on the CPU.
        part: how many of a batch are taken at once, at most.

    Raises:
        NotFinite: the loss is infinite or no number; weights are as before.
        RuntimeError: not even one example fits.

    """
    while True:
        try:
            loss, right = _gradients(model, optimizer, scaler, runtime, inputs, truths, smoothing, part)
            break
        except RuntimeError as error:
            if part <= 1 or not _no_memory(error):
                raise
        # Out of the handler: there the error still holds the frames, and they the tensors.
        part = max(1, min(part, len(truths)) // 2)
        optimizer.zero_grad(set_to_none=True)
        if runtime.device.type == "cuda":
            torch.cuda.empty_cache()
    if not math.isfinite(loss):
        optimizer.zero_grad(set_to_none=True)
        raise NotFinite(f"The loss is {loss}.")
    scaler.step(optimizer)
    scaler.update()
    return Stepped(loss, right, part)


def _gradients(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    runtime: Runtime,
    inputs: torch.Tensor,
    truths: torch.Tensor,
    smoothing: float,
    part: int,
) -> tuple[float, int]:
    optimizer.zero_grad(set_to_none=True)
    total = torch.zeros((), device=runtime.device)
    right = torch.zeros((), device=runtime.device, dtype=torch.int64)
    for some, answers in zip(torch.split(inputs, part), torch.split(truths, part), strict=True):
        here, there = on_device(some, runtime), answers.to(runtime.device, non_blocking=True)
        with runtime.autocast():
            logits = model(here).float()
        loss = nn.functional.cross_entropy(logits, there, label_smoothing=smoothing, reduction="sum") / len(truths)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        total += loss.detach()
        right += (logits.detach().argmax(1) == there).sum()
    return float(total), int(right)


def on_device(inputs: torch.Tensor, runtime: Runtime) -> torch.Tensor:
    """Send inputs to the device; pictures and maps in channels-last order, which convolutions want."""
    layout = torch.channels_last if inputs.dim() == 4 else torch.preserve_format
    return inputs.to(runtime.device, non_blocking=True).contiguous(memory_format=layout)


def _no_memory(error: RuntimeError) -> bool:
    # CUDA has a class of its own; the CPU's allocator only words.
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
