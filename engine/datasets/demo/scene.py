"""What is behind the dog, and the camera in front of it."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from engine.datasets.demo.figure import SIDE

_GROUNDS = {  # (far colour, near colour, how rough the near one is)
    "meadow": ((150, 180, 205), (86, 120, 52), 34),
    "snow": ((176, 196, 216), (226, 232, 240), 12),
    "sand": ((160, 196, 214), (206, 182, 140), 18),
    "room": ((196, 182, 164), (140, 98, 64), 14),
    "sofa": ((120, 128, 138), (104, 74, 78), 10),
    "studio": ((110, 118, 128), (92, 98, 108), 4),
    "street": ((128, 126, 122), (110, 110, 112), 22),
    "wood": ((58, 78, 50), (90, 82, 56), 40),
}
_GREENISH = np.array([1.0, 1.0, 0.9], np.float32)


def _cloud(rng: np.random.Generator, cells: int) -> np.ndarray:
    """Return smooth noise `[SIDE, SIDE]` with about so many bumps across."""
    small = rng.standard_normal((cells + 3, cells + 3)).astype(np.float32)
    return np.asarray(Image.fromarray(small, "F").resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _normal(rng: np.random.Generator, spread: float) -> np.ndarray:
    """Return a random change of colour."""
    return rng.normal(0, spread, 3).astype(np.float32)


def background(rng: np.random.Generator) -> np.ndarray:
    """Return a place `[SIDE, SIDE, 3]`, out of focus."""
    far, near, rough = list(_GROUNDS.values())[rng.integers(len(_GROUNDS))]
    horizon = SIDE * rng.uniform(0.3, 0.7) + 14 * _cloud(rng, 2)
    rows = np.arange(SIDE, dtype=np.float32)[:, None]
    share = np.clip((rows - horizon) / 14, 0, 1)[..., None]
    tint = _normal(rng, 14)
    place = (1 - share) * (np.array(far, np.float32) + tint) + share * (np.array(near, np.float32) + tint * 0.7)
    for cells in (4, 11, 90):
        strength = rough * 0.45
        place = place + (_cloud(rng, cells) * strength)[..., None] * _GREENISH
    for _ in range(rng.integers(0, 5)):  # blurred things
        x, y, r = rng.uniform(0, SIDE), rng.uniform(0, SIDE * 0.8), rng.uniform(10, 60)
        columns = np.arange(SIDE, dtype=np.float32)[None, :]
        blob = np.clip(1.3 - np.hypot(columns - x, (rows - y) * rng.uniform(0.4, 1.6)) / r, 0, 1)
        place = place + blob[..., None] * _normal(rng, 60)
    return np.asarray(np.clip(place, 0, 255))


def in_the_way(scene: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put things between the dog and the camera: bars, grass, a shadow."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    kind = rng.random()
    if kind < 0.12:  # bars of a fence
        lean = rng.uniform(-0.3, 0.3)
        gap, width = rng.uniform(30, 70), rng.uniform(4, 10)
        bars = np.clip((width - np.abs((columns + lean * rows) % gap - gap / 2)) / 3, 0, 1)
        return np.asarray(scene + bars[..., None] * (rng.uniform(30, 210, 3).astype(np.float32) - scene))
    if kind < 0.28:  # something soft, close to the lens
        for _ in range(rng.integers(1, 4)):
            x, y, r = rng.uniform(0, SIDE), rng.uniform(SIDE * 0.2, SIDE), rng.uniform(25, 75)
            blob = np.clip(1.4 - np.hypot(columns - x, rows - y) / r, 0, 1) * rng.uniform(0.7, 1)
            scene = scene + blob[..., None] * (rng.uniform(20, 200, 3).astype(np.float32) - scene)
        return scene
    if kind < 0.4:  # half in the shade
        edge = np.clip((columns * rng.uniform(-1, 1) + rows * rng.uniform(-1, 1) + rng.uniform(-60, 60)) / 12, 0, 1)
        return np.asarray(scene * (1 - 0.7 * edge[..., None]))
    return scene


def photograph(scene: np.ndarray, rng: np.random.Generator, size: int) -> Image.Image:
    """Take a picture: exposure, colour of the light, a lens, a sensor.

    Args:
        scene: `[SIDE, SIDE, 3]`.
        rng: decides all of it.
        size: side of the picture, in pixels.

    """
    exposure = float(np.exp(rng.normal(0, 0.28)))
    warmth = rng.normal(0, 0.07)
    light = np.array([1 + warmth, 1 + rng.normal(0, 0.02), 1 - warmth], np.float32)
    fall = 1 + _cloud(rng, 1) * 0.12
    lit = 255 * np.clip(scene / 255 * exposure * light * fall[..., None], 0, 1) ** rng.uniform(0.85, 1.2)
    if rng.random() < 0.1:
        lit = lit.mean(2, keepdims=True).repeat(3, 2)
    image = Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8)).resize((size, size), Image.Resampling.LANCZOS)
    blur = max(0.0, rng.normal(0.2, 0.7))
    if blur > 0.2:
        image = image.filter(ImageFilter.GaussianBlur(blur))
    noisy = np.asarray(image, np.float32) + rng.standard_normal((size, size, 1), np.float32) * (
        abs(rng.normal(0, 9)) + 1
    )
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
