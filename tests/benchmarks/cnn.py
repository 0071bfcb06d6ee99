"""What the local CNN does on this machine: `python -m tests.benchmarks.cnn SOURCE [--split article] [--recipes …]`.

SOURCE is a folder, tar or zip of class folders. Each recipe is run by the command line in a process and a home of
its own, as a user would, first with nothing cached and then again with everything cached. Told are the test accuracy
with its interval, seconds to train, seconds until the validation accuracy first reached 61.67% (what the article's
CNN came to), images a second of the last epoch, and the median time from one file to its label.

`--throughput` measures instead, in one process, how many images a second the article's recipe trains, pictures from
disk and augmented by its workers, against the same network stepping on random tensors that are in memory already;
and how many a second a worker augments. The ceiling of the ratio on a machine without spare cores is told too:
a core that augments is not there to step.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = [sys.executable, "-m", "tui"]


def run(home, *arguments):
    done = subprocess.run([*COMMAND, "--home", str(home), *map(str, arguments)], stdout=subprocess.PIPE, check=False)
    return done.returncode, done.stdout.decode()


def table(source, split, names, weights):
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        run(home, "data", "add", source, "--name", "pictures", "--split", split)
        print(
            f"{'recipe':<16}{'accuracy':>10}{'95%':>16}{'train s':>9}{'61.67% s':>10}{'img/s':>8}{'p50 ms':>8}{'all s':>8}"
        )
        for name in names:
            given = ["--weights", weights] if weights and name == "article" else []
            for cache in ("cold", "warm"):
                began = time.monotonic()
                code, text = run(home, "train", "--dataset", "pictures", "--recipe", name, *given, "--json")
                if code:
                    print(f"{name:<16} exit {code}")
                    break
                told = json.loads(text)
                reached = told["seconds_to_accuracy"].get("0.6167")
                print(
                    f"{name + ', ' + cache:<16}{told['accuracy']:>10.2%}{told['accuracy_low']:>9.1%}–{told['accuracy_high']:.1%}"
                    f"{told['train_seconds']:>9.1f}{reached or float('nan'):>10.1f}{told['images_per_second'] or float('nan'):>8.0f}"
                    f"{told['latency_ms']['p50']:>8.1f}{time.monotonic() - began:>8.1f}",
                    flush=True,
                )


class Watch:
    def phase(self, *_):
        pass

    metric = say = validated = stage = phase

    def check(self):
        pass


def throughput(source, count, size=64):
    import hashlib

    import torch

    from engine.backbones import whole_module
    from engine.training.data import Example
    from engine.training.device import pick_runtime
    from engine.training.models import parameter_groups
    from engine.training.recipes import get_recipe
    from engine.training.sources import Pictures
    from engine.training.step import step

    files = sorted(Path(source).rglob("*.jp*g"))[:count]
    examples = [
        Example(f, n % 120, hashlib.sha256(f.read_bytes()).hexdigest(), f.stat().st_size) for n, f in enumerate(files)
    ]
    runtime = pick_runtime()
    runtime.use(light=False)
    recipe = get_recipe("article")
    (phase,) = recipe.phases
    torch.manual_seed(0)
    model, _, side = whole_module("mobilenet_v3_small", 120, pretrained=False, dropout=recipe.dropout)
    model.to(runtime.device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(parameter_groups(model, phase), weight_decay=phase.weight_decay)
    scaler = runtime.scaler()

    def steps(batches):
        done, began = 0, None
        for inputs, truths in batches:
            step(model, optimizer, scaler, runtime, inputs, truths, smoothing=0, part=size)
            if began is None:  # the first one is not counted
                began = time.monotonic()
            else:
                done += len(truths)
        return done / (time.monotonic() - began)

    fixed = [(torch.randint(0, 255, (size, 3, side, side), dtype=torch.uint8), torch.arange(size) % 120)]
    with tempfile.TemporaryDirectory() as folder:
        common = {"cache": Path(folder), "batch_size": size, "seed": 0, "watch": Watch(), "mirror": False}
        data = Pictures(examples, examples[:size], size=side, augment="article", workers=runtime.workers, **common)
        rows = {"random tensors in memory": [], "pictures from disk, augmented": []}
        for number in range(3):
            rows["random tensors in memory"].append(steps(fixed * (count // size)))
            rows["pictures from disk, augmented"].append(steps(data.training(number + 1, 0)))
        one = torch.get_num_threads()
        torch.set_num_threads(1)
        from engine.training.pictures import Augmented, Form, Pack

        pack = Pack(examples[:200], Form(round(side * 256 / 224)), Path(folder) / "pictures")
        pack.fill(lambda done, total: None)
        augmented = Augmented(pack, "article", side, 0)
        began = time.monotonic()
        for number in range(200):
            augmented[1, number]
        alone = (time.monotonic() - began) / 200
        torch.set_num_threads(one)
    print(f"on {runtime.name}, {runtime.workers} workers; memory {runtime.memory():,.0f} MB")
    median = {name: sorted(values)[1] for name, values in rows.items()}
    for name, values in rows.items():
        print(f"{name:<32}{median[name]:>8.1f} images/s   of {', '.join(f'{v:.1f}' for v in values)}")
    bare, real = median.values()
    print(
        f"ratio {real / bare:.2f}; augmenting takes {alone * 1000:.1f} ms of a core an image, a step {1000 / bare:.1f} ms"
    )
    if runtime.device.type == "cpu":
        cores = torch.get_num_threads()
        print(f"ceiling if both share {cores} cores: {(cores / bare) / (cores / bare + alone):.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--split", default="article")
    parser.add_argument("--recipes", default="quick,best,article")
    parser.add_argument(
        "--weights", help="of MobileNetV3-Small, for the article's recipe, where none can be downloaded"
    )
    parser.add_argument("--throughput", action="store_true")
    parser.add_argument("--count", type=int, default=640, help="pictures for --throughput")
    chosen = parser.parse_args()
    if chosen.throughput:
        throughput(chosen.source, chosen.count)
    else:
        table(chosen.source, chosen.split, chosen.recipes.split(","), chosen.weights)


if __name__ == "__main__":
    main()
