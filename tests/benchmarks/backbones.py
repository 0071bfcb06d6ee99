"""How fast frozen backbones see, and whether they still see the same: `python -m tests.benchmarks.backbones FOLDER`.

FOLDER holds photographs, a folder for each label, named as ImageNet names it (Stanford Dogs' own folders do;
https://vision.stanford.edu/aditya86/ImageNetDogs). All ways look at the same pictures in turn, round after round,
since a small machine is seldom alone; told are the best and the median round, and the ratio to eager float32 torch
in the same round. "From files" includes the decoding; all others are given pixels.

    eager               the same network in torch, float32, 32 at once, as one would write it
    channels-last       the same, in the memory order that its convolutions prefer
    bf16                the same under autocast to bfloat16, channels-last
    session BxT         ONNX Runtime, float32: B at once on T threads of one run
    runs of B           ONNX Runtime, float32: as many runs of B at once as there are cores, each on one thread
    int8, runs of B     the same, quantised statically (QDQ, a scale a channel, uint8 × int8), calibrated on 128 pictures
    from files          what the product does: `cached_features`, with an empty cache

Then the accuracy of two heads on the features of each: ImageNet's own rows of the labels, and a logistic regression
on a half of the pictures, judged on the other. The last lines are of one picture at a time, in milliseconds.

Why the product does not use int8: see WHY_NOT_INT8, which is printed too.
"""

import argparse
import hashlib
import logging
import random
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from engine.backbones import cached_features, load_backbone, match_imagenet, pixels
from engine.backbones.backbone import usable_cores
from engine.backbones.lite import MEAN, STD, frozen_part, lite_network, packaged_lite
from engine.backbones.modules import normalised
from engine.backbones.runner import session

SLOWLY = 1200
"""Pictures that eager torch is asked to look at, at most, for the accuracy."""

WHY_NOT_INT8 = """\
int8 is not used in the product. It costs no accuracy (of 3,000 photographs ImageNet's rows know 86.03%, of float32
85.97%; a regression 78.40% and 78.47%) and was 1.1 and 1.9 times as fast in two runs (medians), but it is not simple:
- it has to be calibrated on photographs, which took 9 and 13 s, where it then saves 4 and 23 s on 6,000 pictures;
- calibrated on a run's own pictures, features would no longer be the picture's and the network's alone, and runs on
  other pictures could not share them;
- uint8 × int8 saturates on x86 processors without VNNI, so that the same picture would be seen differently there:
  https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html"""


def onnx_file(cache, name):
    (path,) = cache.glob(f"{name}-cut0-*.onnx")
    return path


def quantised(path, calibration, folder):
    """Quantise an exported network; return the file and the seconds that it took."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self._left = iter(np.array_split(calibration, len(calibration) // 8))

        def get_next(self):
            piece = next(self._left, None)
            return None if piece is None else {"pixels": piece}

    started = time.perf_counter()
    ready, target = folder / "ready.onnx", folder / "int8.onnx"
    quant_pre_process(path, ready, skip_symbolic_shape=True)
    quantize_static(
        ready, target, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    return target, time.perf_counter() - started


def in_pieces(pictures, size):
    return [pictures[at : at + size] for at in range(0, len(pictures), size)]


def run(network, piece):
    return network.run(None, {"pixels": piece})[0]


def torch_ways(name):
    """Return the networks that torch runs, each as a function of pictures."""
    network = normalised(frozen_part(lite_network(name, packaged_lite(name)), 0), MEAN, STD).eval()

    def look(pictures, *, last=False, lower=False):
        order = torch.channels_last if last else torch.contiguous_format
        network.to(memory_format=order)
        found = []
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=lower):
            for piece in in_pieces(pictures, 32):
                inputs = torch.from_numpy(piece).permute(0, 3, 1, 2).contiguous(memory_format=order)
                found.append(network(inputs).float().numpy())
        return np.concatenate(found)

    return {
        "eager": look,
        "channels-last": lambda pictures: look(pictures, last=True),
        "bf16": lambda pictures: look(pictures, last=True, lower=True),
    }


def ways(name, cache, small, pool):
    """Return all ways to look at pixels; the sweep over threads and batches only with `small` false."""
    path, cores = onnx_file(cache, name), usable_cores()
    found = torch_ways(name)

    def one(network, size):
        return lambda pictures: np.concatenate([run(network, piece) for piece in in_pieces(pictures, size)])

    def many(network, size):
        return lambda pictures: np.concatenate(list(pool.map(lambda p: run(network, p), in_pieces(pictures, size))))

    spread, single = session(path, cores), session(path, 1)
    for size in (32,) if small else (1, 2, 4, 8, 16, 32, 64):
        found[f"session {size}x{cores}"] = one(spread, size)
    for size in (2,) if small else (1, 2, 4, 8, 16, 32):
        found[f"runs of {size}"] = many(single, size)
    return found, many


def head_accuracy(features, rows, labels):
    """Return the accuracy of ImageNet's rows, and of a regression on every second picture judged on the others."""
    from sklearn.linear_model import LogisticRegression

    weight, bias = rows
    known = float(((features @ weight.T + bias).argmax(1) == labels).mean())
    scaled = (features - features[::2].mean(0)) / (features[::2].std(0) + 1e-6)
    head = LogisticRegression(C=0.01, max_iter=200).fit(scaled[::2], labels[::2])
    return known, float(head.score(scaled[1::2], labels[1::2]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="photographs, a folder for each label")
    parser.add_argument("--backbone", default="efficientnet-lite0", help="an EfficientNet-Lite")
    parser.add_argument("--images", type=int, default=1200, help="for accuracy; 64 of them are timed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sweep", action="store_true", help="try numbers of pictures at once and of threads")
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # the quantiser has much to say
    torch.set_num_threads(usable_cores())
    files = sorted(options.folder.rglob("*.jpg"))
    random.Random(0).shuffle(files)
    calibrating, files = files[:128], sorted(files[128 : 128 + options.images])
    names = sorted({file.parent.name for file in files})
    labels = np.array([names.index(file.parent.name) for file in files])
    classes = match_imagenet([name.split("-", 1)[-1] for name in names])  # without the number that some sets prefix
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(usable_cores()) as pool:
        folder = Path(place)
        backbone = load_backbone(folder, options.backbone)
        print(f"{backbone.name}, {backbone.size} pixels, {usable_cores()} cores, {len(files)} pictures")
        pictures = np.stack(list(pool.map(lambda file: pixels(file, backbone.size), files)))
        calibration = np.stack([pixels(file, backbone.size) for file in calibrating])
        found, many = ways(options.backbone, folder, not options.sweep, pool)
        path, seconds = quantised(onnx_file(folder, options.backbone), calibration, folder)
        found["int8, runs of 2"] = many(session(path, 1), 2)
        timed, chosen = pictures[:: len(pictures) // 64][:64], files[:: len(files) // 64][:64]
        digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in chosen]
        turns = {name: (lambda look=look: look(timed)) for name, look in found.items()}
        turns["from files"] = lambda: cached_features(backbone, chosen, digests, Path(tempfile.mkdtemp(dir=place)))
        rates = {name: [] for name in turns}
        for number in range(options.rounds + 1):
            for name, look in turns.items():
                started = time.perf_counter()
                look()
                if number:  # the first round warms up
                    rates[name].append(len(timed) / (time.perf_counter() - started))
        ratios = {name: np.array(rates[name]) / np.array(rates["eager"]) for name in rates}
        for name, each in rates.items():
            print(
                f"{name:18} best {max(each):6.0f}/s  median {np.median(each):6.0f}/s"
                f"  × eager {np.median(ratios[name]):5.2f} ({ratios[name].min():.2f} to {ratios[name].max():.2f})"
            )
        print(f"quantising took {seconds:.1f} s")
        rows = None
        if all(position is not None for position in classes):
            rows = backbone.head_weight[classes], backbone.head_bias[classes]
        for name in (*(("eager", "bf16") if len(files) <= SLOWLY else ()), "runs of 2", "int8, runs of 2"):
            features = found[name](pictures)
            if rows is not None:
                known, regression = head_accuracy(features, rows, labels)
                print(f"{name:18} ImageNet's rows {known:.2%}, logistic regression {regression:.2%}", flush=True)
        for threads in (1, usable_cores()):
            alone, times = session(onnx_file(folder, options.backbone), threads), []
            for picture in timed:
                started = time.perf_counter()
                run(alone, picture[None])
                times.append(1000 * (time.perf_counter() - started))
            print(f"one picture on {threads} threads: p50 {np.median(times):.1f} ms")
        print(WHY_NOT_INT8)


if __name__ == "__main__":
    main()
