"""Draws the whole set, on as many cores as there are."""

from __future__ import annotations

import random
import signal
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from engine.datasets.demo.breeds import BREEDS
from engine.datasets.demo.drawing import draw_dog

CHUNK = 20


def write_demo_set(
    target: Path, per_class: int, *, seed: int = 42, progress: Callable[[int, int], None] | None = None
) -> None:
    """Draw `per_class` dogs of each breed into class folders under `target`.

    Args:
        target: a folder; made if it does not exist.
        per_class: pictures a breed.
        seed: the same seed gives the same pictures.
        progress: called with (done, total).

    """
    work = []
    for number, breed in enumerate(BREEDS):
        (target / breed.name).mkdir(parents=True, exist_ok=True, mode=0o700)
        work += [(target, number, start, min(start + CHUNK, per_class), seed) for start in range(0, per_class, CHUNK)]
    done, total = 0, per_class * len(BREEDS)
    # Spawned, not forked: the caller may run threads.
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=_quiet) as pool:
        try:
            for finished in as_completed([pool.submit(_draw, *item) for item in work]):
                done += finished.result()
                if progress is not None:
                    progress(done, total)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _quiet() -> None:
    """Leave Ctrl-C to the process that waits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _draw(target: Path, breed: int, start: int, stop: int, seed: int) -> int:
    for number in range(start, stop):
        own = zlib.crc32(f"{seed} {BREEDS[breed].name} {number}".encode())
        quality = random.Random(own).randint(70, 92)
        draw_dog(BREEDS[breed], own).save(target / BREEDS[breed].name / f"{number:04d}.jpg", quality=quality)
    return stop - start
