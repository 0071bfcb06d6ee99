"""How long adding and checking a dataset takes, and how much memory, as it grows; and of a real one.

    python -m tests.benchmarks.datasets [--sizes 1000,10000,100000] [--source SET.tar ...] [--processes N]

The sets are small PNGs, a few pictures again and again, each with bytes of its own. Each measurement is a whole
process of its own; memory is the peak of that process, and of the largest of those that check pictures for it. What a
million would take is the straight line through the last two sizes; only the search for look-alikes grows with the
square, and is measured by itself, with fingerprints of pictures that have nothing in common.
"""

import argparse
import io
import json
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from engine.datasets.likeness import Likeness, Print
from engine.jobs.importing import add_dataset, check_dataset, findings
from engine.jobs.paths import Home
from engine.store import Store

PICTURES, CLASSES, SIDE = 64, 10, 64
MILLION = 1_000_000


def make(folder, count):
    """Write so many PNGs: a comment chunk before the last one tells each from all others."""
    originals = []
    for number in range(PICTURES):
        pixels = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        out = io.BytesIO()
        Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(out, "PNG")
        originals.append(out.getvalue())
    for label in range(CLASSES):
        (folder / f"class-{label}").mkdir(parents=True)
    for number in range(count):
        data, text = originals[number % PICTURES], b"tEXtnumber\0%d" % number
        chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
        (folder / f"class-{number % CLASSES}" / f"{number:07d}.png").write_bytes(data[:-12] + chunk + data[-12:])


def measure(what, home, source):
    """Do one thing in this process, and print what it took."""
    home = Home(Path(home))
    store = Store(home.store)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    if what == "add":
        dataset = add_dataset(store, home, source, "set", None, {})
        images = dataset.train + dataset.val + dataset.test
    else:
        images = check_dataset(store, "set").images
    seconds = time.perf_counter() - started
    found = [f for f in findings(store, "set", 0, 1000) if f.kind.startswith("near")] if what == "check" else []
    peak, worker = (
        resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(u.ru_utime + u.ru_stime for u in used)
    near = [[f.kind, f.where[:10]] for f in found]
    print(
        json.dumps(
            {
                "images": images,
                "seconds": seconds,
                "start": before / 1024,
                "peak": peak,
                "worker": worker,
                "cpu": cpu,
                "near": near,
            }
        )
    )
    store.close()


def in_a_process(what, home, source):
    command = [sys.executable, "-m", "tests.benchmarks.datasets", "--measure", what, "--home", home, str(source)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def tell(what, found):
    print(
        f"{what:<8}{found['images']:>9,}{found['seconds']:>9.2f} s{found['images'] / found['seconds']:>9,.0f}/s"
        f"{found['peak']:>9.1f} MB{found['worker']:>9.1f} MB   (starts at {found['start']:.1f} MB; {found['cpu']:.1f} s of CPU)",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--source", action="append", default=[], help="a real set, too")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--home", help=argparse.SUPPRESS)
    parser.add_argument("set", nargs="?", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure, options.home, options.set)
        return
    print(f"{'':<8}{'images':>9}{'time':>11}{'speed':>11}{'peak':>12}{'a worker':>12}")
    for source in options.source:
        with tempfile.TemporaryDirectory() as home:
            for what in ("add", "check"):
                found = in_a_process(what, home, Path(source).resolve())
                tell(what, found)
            for kind, where in found["near"]:
                print(f"  {kind:<16}{' = '.join(where)}")
    taken = {"add": [], "check": []}
    for size in map(int, options.sizes.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder) / "set", size)
            for what, measured in taken.items():
                found = in_a_process(what, f"{folder}/home", f"{folder}/set")
                measured.append(found)
                tell(what, found)
    for size in map(int, options.sizes.split(",")):
        likeness, random = Likeness(), np.random.default_rng(size)
        for key, (one, two) in enumerate(random.integers(-(2**63), 2**63 - 1, (size, 2)).tolist()):
            likeness.add(key, Print(one, two, random.bytes(64)))
        started = time.perf_counter()
        groups = sum(1 for _ in likeness.groups())
        print(f"alike   {size:>9,}{time.perf_counter() - started:>9.2f} s   {groups} groups", flush=True)
    for what, measured in taken.items():
        if len(measured) > 1:
            a, b = measured[-2:]
            steps = (MILLION - b["images"]) / (b["images"] - a["images"])
            seconds, peak = (b[key] + steps * (b[key] - a[key]) for key in ("seconds", "peak"))
            print(f"{what:<8}{MILLION:>9,}{seconds:>9.0f} s{'':>11}{peak:>9.0f} MB, by the line through the last two")


if __name__ == "__main__":
    main()
