"""Validation: what a network makes of images that it does not learn from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from engine.training.data import Example, Judged, Watch
from engine.training.device import Runtime
from engine.training.sources import Source
from engine.training.step import on_device


@torch.inference_mode()
def judge(model: nn.Module, source: Source, runtime: Runtime, watch: Watch) -> tuple[torch.Tensor, torch.Tensor]:
    """Return probabilities `[n, classes]`, the mean over each image's views, and labels `[n]`."""
    model.eval()
    found, labels = [], []
    for views, truths in source.validation():
        watch.check()
        with runtime.autocast():
            logits = [model(on_device(view, runtime)).float() for view in views]
        found.append(torch.stack([each.softmax(1) for each in logits]).mean(0).cpu())
        labels.append(truths)
    return torch.cat(found), torch.cat(labels)


def judged(probabilities: torch.Tensor, examples: Sequence[Example]) -> list[Judged]:
    """Return what was said of each example."""
    best, said = probabilities.max(1)
    return [
        Judged(example.id, int(label), float(probability), float(probabilities[number, example.label]))
        for number, (example, label, probability) in enumerate(zip(examples, said, best, strict=True))
    ]
