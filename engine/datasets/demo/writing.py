"""Draws the whole set, on as many cores as there are."""

from __future__ import annotations

import errno
import io
import os
import random
import subprocess
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from engine.datasets.demo.breeds import BREEDS
from engine.datasets.demo.drawing import draw_dog


def write_demo_set(
    target: Path, per_class: int, *, seed: int = 42, progress: Callable[[int, int], None] | None = None
) -> None:
    """Draw `per_class` dogs of each breed into class folders under `target`.

    Args:
        target: a folder; made if it does not exist.
        per_class: pictures a breed.
        seed: the same seed gives the same pictures.
        progress: called with (done, total), from other threads, one at a time; may raise to stop.

    """
    for breed in BREEDS:
        (target / breed.name).mkdir(parents=True, exist_ok=True, mode=0o700)
    done, total, lock = 0, per_class * len(BREEDS), Lock()
    helpers = min(os.cpu_count() or 1, len(BREEDS))
    # Processes of our own making: the ones of multiprocessing cannot be started under a terminal app,
    # whose stderr is no file, and would import our caller's main module again.
    command = [sys.executable, "-P", "-m", "engine.datasets.demo", str(target), str(per_class), str(seed)]
    running = [
        subprocess.Popen(
            [*command, str(number), str(helpers)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us
        )
        for number in range(helpers)
    ]

    def follow(process: subprocess.Popen[bytes]) -> None:
        nonlocal done
        assert process.stdout is not None
        for line in process.stdout:
            with lock:
                done += int(line)
                if progress is not None:
                    progress(done, total)
        code = process.wait()
        if code in errno.errorcode and code != 1:  # see `__main__`
            raise OSError(code, os.strerror(code), str(target))
        if code != 0:
            raise OSError(f"{target}: drawing stopped with exit code {code}")

    try:
        with ThreadPoolExecutor(helpers) as pool:
            for finished in [pool.submit(follow, process) for process in running]:
                finished.result()
    finally:
        for process in running:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def draw_share(target: Path, per_class: int, seed: int, share: int, shares: int, told: Callable[[int], None]) -> None:
    """Draw every `shares`-th picture, beginning with number `share`; tell of each ten."""
    work = [(breed, number) for breed in BREEDS for number in range(per_class)][share::shares]
    for count, (breed, number) in enumerate(work, start=1):
        own = zlib.crc32(f"{seed} {breed.name} {number}".encode())
        quality = random.Random(own).randint(70, 92)
        drawn = io.BytesIO()  # Pillow itself does not report why a file cannot be written
        draw_dog(breed, own).save(drawn, "JPEG", quality=quality)
        (target / breed.name / f"{number:04d}.jpg").write_bytes(drawn.getbuffer())
        if count % 10 == 0:
            told(10)
    told(len(work) % 10)
