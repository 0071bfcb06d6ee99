"""What trains: which device, in which precision, on how many threads."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import psutil
import torch

from engine.backbones.backbone import usable_cores
from engine.errors import InputError

DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Runtime:
    """A device and how it is used best.

    Attributes:
        device: where weights and pictures are.
        precision: of the forward pass; weights and optimizer stay float32. On a CPU it is float32: bfloat16 was
            no faster in the backward pass of depthwise convolutions, which is where these networks spend it.
        threads: that a CPU uses, at most.
        workers: processes that decode and augment beside it.

    """

    device: torch.device
    precision: torch.dtype
    threads: int
    workers: int

    @property
    def name(self) -> str:
        """Say it to people."""
        kind = str(self.precision).removeprefix("torch.")
        if self.device.type == "cuda":
            return f"{torch.cuda.get_device_name(self.device)} ({kind})"
        if self.device.type == "cpu":
            return f"cpu, {self.threads} threads ({kind})"
        return f"{self.device.type} ({kind})"

    def use(self, *, light: bool) -> None:
        """Set torch's threads: one for a last layer alone, whose steps are over before others have woken up."""
        torch.set_num_threads(1 if light else self.threads)

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context of a forward pass."""
        lower = self.precision != torch.float32
        return torch.autocast(self.device.type, dtype=self.precision if lower else None, enabled=lower)

    def scaler(self) -> torch.amp.GradScaler:
        """Return what keeps float16 gradients from vanishing; it does nothing in other precisions."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == torch.float16)

    def memory(self) -> float:
        """Return MB in use: of the GPU where there is one, else of this process."""
        if self.device.type == "cuda":
            return torch.cuda.memory_allocated(self.device) / 1e6
        return float(psutil.Process().memory_info().rss) / 1e6


def pick_runtime(name: str = "auto") -> Runtime:
    """Return how to use a device: `auto` prefers CUDA, then MPS, then the CPU.

    Raises:
        InputError: the named device is not there.

    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, there in available.items() if there)
    if not available.get(name):
        there = ", ".join(device for device, is_there in available.items() if is_there)
        raise InputError(f"There is no device {name!r} here.", f"Choose one of: {there}.")
    cores = usable_cores()
    if name == "cuda":
        precision = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        return Runtime(torch.device(name), precision, cores, workers=max(1, min(cores - 1, 12)))
    # Beside a CPU that trains, one process in four augments: about 5 ms a picture against 20 and more.
    return Runtime(torch.device(name), torch.float32, cores, workers=max(1, cores // 4))
