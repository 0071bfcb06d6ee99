"""Fur: hair that follows the body, grows over its edges, and catches the light."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from PIL import Image
from scipy.ndimage import uniform_filter

from engine.datasets.demo.breeds import Weave
from engine.datasets.demo.figure import SIDE, Figure

_SHEET = 448
_ANGLES = 20
_LENGTHS = (3, 6, 12)
"""Of the streaks, in pixels to each side; a sheet of each is made once."""


def _blur(values: np.ndarray, radius: float) -> np.ndarray:
    size = max(1, round(2 * radius + 1))
    once = uniform_filter(np.asarray(values, np.float32), size)
    return np.asarray(uniform_filter(once, size))


def _even(values: np.ndarray) -> np.ndarray:
    """Spread values evenly over 0 to 1."""
    scaled = (values - values.mean()) / (values.std() + 1e-9)
    return np.asarray(np.clip(0.5 + 0.29 * scaled, 0, 1), np.float32)


@cache
def _streaks(length: int) -> np.ndarray:
    """Return noise smeared along each of `_ANGLES` directions of half a turn, `[angles, sheet, sheet]`."""
    noise = np.random.default_rng(length).standard_normal((_SHEET, _SHEET)).astype(np.float32)
    sheets = []
    for number in range(_ANGLES):
        angle = math.pi * number / _ANGLES
        steps = range(-length, length + 1)
        moved = [np.roll(noise, (round(k * math.sin(angle)), round(k * math.cos(angle))), (0, 1)) for k in steps]
        sheets.append(_even(np.sum(moved, 0)))
    return np.stack(sheets)


@cache
def _curls() -> np.ndarray:
    noise = np.random.default_rng(1).standard_normal((_SHEET, _SHEET)).astype(np.float32)
    return _even(np.abs(_blur(noise, 2.5) - _blur(noise, 5)))


@cache
def _cords() -> np.ndarray:
    noise = np.random.default_rng(2).standard_normal((_SHEET // 40, _SHEET // 4)).astype(np.float32)
    image = Image.fromarray(noise, "F").resize((_SHEET, _SHEET), Image.Resampling.BICUBIC)
    fine = _streaks(_LENGTHS[0])[_ANGLES // 2]
    return _even(_even(np.asarray(image)) + 0.35 * fine)


def grow(
    figure: Figure, *, hair: float, weave: Weave, light: tuple[float, float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Turn a figure's flat layers into a lit, hairy dog.

    Args:
        figure: what was drawn.
        hair: its length in pixels.
        weave: how it lies.
        light: where the light comes from, in pixels' directions.
        rng: moves the texture about.

    Returns:
        colours `[SIDE, SIDE, 3]` and coverage `[SIDE, SIDE]`, 0 to 1.

    """
    mask = np.asarray(figure.mask, np.float32) / 255
    bulk = _blur(mask * _blur(np.asarray(figure.crease, np.float32) / 255, 2), 9)
    down, right = np.gradient(bulk)
    # Hair points outwards where the body curves away, and hangs everywhere a little.
    along_x, along_y = -right, -down + 0.006
    size = np.hypot(along_x, along_y) + 1e-6
    along_x, along_y = along_x / size, along_y / size

    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    dy, dx = (int(v) for v in rng.integers(0, _SHEET - SIDE, 2))
    if weave == "curls":
        texture = _curls()[rows + dy, columns + dx]
    elif weave == "cords":
        texture = _cords()[rows + dy, columns + dx]
    else:
        bins = np.round(np.arctan2(along_y, along_x) * (_ANGLES / math.pi)).astype(np.int32) % _ANGLES
        length = min(_LENGTHS, key=lambda known: abs(known - hair))
        texture = _streaks(length)[bins, rows + dy, columns + dx]

    back = hair * (texture - 0.35)
    from_y = np.clip(rows - along_y * back, 0, SIDE - 1).astype(np.int32)
    from_x = np.clip(columns - along_x * back, 0, SIDE - 1).astype(np.int32)
    coverage = mask[from_y, from_x]
    coat = np.asarray(figure.coat, np.float32)[from_y, from_x]
    crease = _blur(np.asarray(figure.crease, np.float32) / 255, 1.5 + hair * 0.12)

    shade = 1 - 9.0 * (right * light[0] + down * light[1])
    depth = 0.16 + min(0.3, hair * 0.018) + (0.25 if weave != "straight" else 0)
    bright = np.clip(shade, 0.45, 1.35) * (0.45 + 0.55 * crease) * (1 + depth * (texture - 0.5) * 2)
    # A black coat still shines: a little light is added as well as multiplied.
    lit = coat * bright[..., None] + 16 * np.clip(texture - 0.55, 0, 1)[..., None] * (1 + hair * 0.05)
    return lit, coverage
