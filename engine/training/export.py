"""A trained model as files for others: ONNX, safetensors, a model card.

They are written into a folder beside their place, run, compared with what predicts here, and only then put there.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from engine import __version__
from engine.backbones import whole_module
from engine.backbones.lite import LITES, trained_part
from engine.backbones.runner import session
from engine.backbones.torchvision_models import last_layer
from engine.errors import InputError, JobError
from engine.quantities import counted
from engine.training.card import Facts, Part, model_card
from engine.training.keeping import load_best
from engine.training.models import BACKBONES
from engine.training.predict import Predictor, load_predictor
from engine.training.recipes import Recipe

TOLERANCE = 1e-3
"""Of a probability: what a frozen part gives to trained blocks is kept in float16, and ONNX has float32 throughout."""
CARD, TENSORS = "README.md", "model.safetensors"
Told = Callable[[str, int, int], None]


def export_model(
    folder: Path,
    cache: Path,
    to: Path,
    facts: Facts,
    pictures: Sequence[Path],
    *,
    say: Callable[[str, str], None] = lambda _m, _l: None,
    progress: Told = lambda _p, _d, _t: None,
    identity: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Export the best epochs of a run.

    Args:
        folder: of its checkpoints.
        cache: of backbones.
        to: a folder; made if it does not exist. Nothing that is there is written over.
        facts: for the card.
        pictures: a few, on which the ONNX files must say what the checkpoints say; at least one.
        say: is told (message, level) when a damaged checkpoint is passed over.
        progress: is told (phase, done, total).
        identity: of the run, as far as it is known; see `load_predictor`.

    Returns:
        the files: one ONNX a backbone, `model.safetensors`, `README.md`.

    Raises:
        InputError: a file of these names is there already, or there is no space.
        JobError: no checkpoint can be read, or an ONNX file does not say what it should; nothing is left behind.
        WeightsError: the frozen backbone's own weights cannot be had any more, or are others.
        OSError, ValueError: a picture cannot be read; names it.

    """
    if not pictures:
        raise InputError("There is no picture to check the exported files on.", "Choose a dataset that has some.")
    predictor = load_predictor(folder, cache, say, identity)
    best = [load_best(folder, number, say, identity) for number in range(len(predictor.members))]
    names = [f"model-{number}.onnx" for number in range(1, len(best) + 1)] if len(best) > 1 else ["model.onnx"]
    there = [name for name in (*names, TENSORS, CARD) if (to / name).exists()]
    if there:
        raise InputError(f"{to / there[0]} is there already.", "Choose another folder with --to.")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{to.name}.", dir=to.parent) as made:
            partial = Path(made)
            parts = []
            for number, (name, each) in enumerate(zip(names, best, strict=True)):
                progress(f"writing {name}", number, len(best))
                parts.append(_write_onnx(partial / name, each, predictor, cache))
            progress("checking", 0, len(pictures))
            check_onnx([partial / name for name in names], predictor, pictures)
            progress("checking", len(pictures), len(pictures))
            _write_tensors(partial / TENSORS, best)
            card = model_card(facts, predictor.recipe.name, predictor.labels, parts, whole=best[0]["train"] == "all")
            (partial / CARD).write_text(card, encoding="utf-8")
            return _put(partial, to, [*names, TENSORS, CARD])
    except OSError as error:
        if error.errno in (
            errno.ENOSPC,
            errno.EDQUOT,
            errno.EACCES,
            errno.EROFS,
            errno.ENOTDIR,
            errno.EEXIST,
            errno.EPERM,
        ):
            raise InputError(f"{to}: {os.strerror(error.errno)}.", "Choose another folder with --to.") from None
        raise


def _put(partial: Path, to: Path, names: Sequence[str]) -> list[Path]:
    """Give finished files their names, the card last."""
    for name in names:
        with (partial / name).open("rb") as file:
            os.fsync(file.fileno())
    to.mkdir(exist_ok=True)
    for name in names:
        shutil.move(partial / name, to / name)
    return [to / name for name in names]


class _Answering(nn.Module):
    """From pictures uint8 `[n, size, size, 3]` to probabilities `[n, classes]`."""

    def __init__(self, network: nn.Module, classes: int, *, mirror: bool) -> None:
        super().__init__()
        self.network, self.classes, self.mirror = network, classes, mirror

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        pictures = pixels.permute(0, 3, 1, 2).float()
        if self.mirror:
            pictures = torch.cat([pictures, pictures.flip(3)])
        probabilities: torch.Tensor = self.network(pictures).softmax(1)
        return probabilities.view(2, -1, self.classes).mean(0) if self.mirror else probabilities


def whole_network(best: dict[str, Any], cache: Path) -> tuple[nn.Module, int]:
    """Return a checkpoint's network in one piece, the frozen part too, and the side of its pictures in pixels.

    It takes pictures uint8 or float `[n, 3, size, size]`, 0 to 255, and gives logits.
    """
    recipe, classes = Recipe(**best["recipe"]), len(best["labels"])
    if best["train"] == "all":
        network, _, size = whole_module(best["backbone"], classes, dropout=recipe.dropout, pretrained=False)
        network.load_state_dict(best["model"])
        return network.eval(), size
    given = Path(best["given"]) if best["given"] else None
    network, _, size = whole_module(best["backbone"], classes, given, cache=cache / BACKBONES)
    inner: Any = network.network
    if best["blocks"]:
        tail = {name.removeprefix("body."): v for name, v in best["model"].items() if name.startswith("body.")}
        trained_part(inner, best["blocks"]).load_state_dict(tail)
    parent, last = (inner, "_fc") if best["backbone"] in LITES else last_layer(inner)
    head = {name.rpartition(".")[2]: v for name, v in best["model"].items() if name.startswith("head.")}
    getattr(parent, last).load_state_dict(head)
    return network.eval(), size


def _write_onnx(path: Path, best: dict[str, Any], predictor: Predictor, cache: Path) -> Part:
    """Write one member's ONNX file; return what the card says of it."""
    import onnx

    network, size = whole_network(best, cache)
    module = _Answering(network, len(predictor.labels), mirror=predictor.recipe.mirror).eval()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # see engine.backbones.export: the older exporter, without onnxscript
        torch.onnx.export(
            module,
            (torch.zeros(2, size, size, 3, dtype=torch.uint8),),
            str(path),
            input_names=["pixels"],
            output_names=["probabilities"],
            dynamic_axes={"pixels": {0: "n"}, "probabilities": {0: "n"}},
            opset_version=17,
            dynamo=False,
        )
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, _metadata([best]))
    onnx.save(model, str(path))
    origin = best["origin"]
    what = {"head": "its last layer was trained", "all": "every weight was trained"}.get(
        best["train"], f"its last {counted(best['blocks'], 'block')} and its last layer were trained"
    )
    packaged = best["backbone"] in LITES and not best["given"]
    return Part(path.name, best["backbone"], origin["weights"], origin["sha256"], what, size, packaged)


def check_onnx(files: Sequence[Path], predictor: Predictor, pictures: Sequence[Path]) -> None:
    """Run exported files on pictures, all at once and one alone, against what predicts here.

    Raises:
        JobError: a probability is further off than `TOLERANCE`, or a label is another one.

    """
    averaged = []
    for file, member in zip(files, predictor.members, strict=True):
        pixels = np.stack([member.picture(path) for path in pictures])
        run = session(file, 1)
        (found,) = run.run(["probabilities"], {"pixels": pixels})
        (alone,) = run.run(["probabilities"], {"pixels": pixels[:1]})
        averaged.append(found)
        off = max(float(np.abs(found - member.predict(pixels)).max()), float(np.abs(alone - found[:1]).max()))
        if not off <= TOLERANCE:  # also where it is no number
            raise JobError(
                f"{file.name}: a probability is {off:.4f} off what the checkpoint says; nothing was written.",
                "This is a defect of the export: report it with the backbone's name.",
            )
    found, expected = np.mean(averaged, axis=0), predictor.predict(pictures)
    rows = np.arange(len(pictures))
    # Two labels that are as likely as each other may change places; more than that they may not.
    lost = expected.max(1) - expected[rows, found.argmax(1)]
    if float(lost.max()) > 2 * TOLERANCE:
        raise JobError(f"{pictures[int(lost.argmax())]}: the exported model says another label; nothing was written.")


def _write_tensors(path: Path, best: Sequence[dict[str, Any]]) -> None:
    """Write what was trained; with several backbones each name begins with its backbone's number, from 1."""
    from safetensors.torch import save_file

    several = len(best) > 1
    tensors = {
        f"{number}.{name}" if several else name: value.detach().contiguous().clone()
        for number, each in enumerate(best, start=1)
        for name, value in each["model"].items()
    }
    save_file(tensors, path, metadata=_metadata(best))


def _metadata(best: Sequence[dict[str, Any]]) -> dict[str, str]:
    return {
        "labels": json.dumps(best[0]["labels"], ensure_ascii=False),
        "recipe": json.dumps(best[0]["recipe"]),
        "backbone": " + ".join(each["backbone"] for each in best),
        "weights": " + ".join(each["origin"]["weights"] for each in best),
        "weights_sha256": " + ".join(each["origin"]["sha256"] for each in best),
        "trained": " + ".join(
            f"{counted(each['blocks'], 'block')}" if each["blocks"] else each["train"] for each in best
        ),
        "made_by": f"dogcls-tui {__version__}",
    }
