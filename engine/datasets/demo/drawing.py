"""One picture of one dog: everything about it is drawn from one random number."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
from PIL import Image

from engine.datasets.demo.anatomy import Look, draw_body, draw_face, draw_head
from engine.datasets.demo.breeds import Breed, Colour
from engine.datasets.demo.figure import SIDE, Figure, Frame, oval
from engine.datasets.demo.fur import grow
from engine.datasets.demo.scene import background, in_the_way, photograph

SIZE = 224


def draw_dog(breed: Breed, seed: int) -> Image.Image:
    """Return a picture `SIZE` × `SIZE` of a dog of a breed; the same seed gives the same picture."""
    rng, noise = random.Random(seed), np.random.default_rng(seed)
    dog = _individual(breed, rng)
    look = _pose(dog, rng)
    figure = Figure()
    draw_body(figure, look, rng)
    draw_head(figure, look, rng)
    if dog.marking == "spots":
        _spots(figure, look, rng)
    light = (rng.uniform(-1, 1), rng.uniform(-1.2, 0.1))
    hair = dog.hair * look.head.scale * rng.uniform(0.85, 1.15) + 1.0
    coat, coverage = grow(figure, hair=hair, weave=dog.weave, light=light, rng=noise)

    scene = background(noise)
    scene = scene + coverage[..., None] * (coat - scene)
    picture = Image.fromarray(np.clip(scene, 0, 255).astype(np.uint8))
    draw_face(picture, look, rng)
    return photograph(in_the_way(np.asarray(picture, np.float32), noise), noise, SIZE)


def _individual(breed: Breed, rng: random.Random) -> Breed:
    """Return one dog of a breed: no two have quite the same coat or build."""
    tone = max(0.5, rng.gauss(1, 0.12))

    def dyed(colour: Colour) -> Colour:
        r, g, b = (min(255, max(0, round(c * tone * rng.gauss(1, 0.05)))) for c in colour)
        return r, g, b

    def about(value: float, share: float = 0.12) -> float:
        return value * max(0.4, rng.gauss(1, share))

    return replace(
        breed,
        base=dyed(breed.base),
        light=dyed(breed.light),
        dark=dyed(breed.dark),
        ear=about(breed.ear),
        skull=about(breed.skull, 0.06),
        muzzle=about(breed.muzzle),
        jaw=about(breed.jaw, 0.08),
        hair=about(breed.hair, 0.15),
        mane=about(breed.mane),
        body=about(breed.body, 0.08),
        legs=about(breed.legs),
    )


def _pose(dog: Breed, rng: random.Random) -> Look:
    """Return where the dog is in the picture and how it holds itself."""
    turn = max(-0.9, min(0.9, rng.gauss(0, 0.4)))
    tilt = rng.gauss(0, 0.13)
    tongue = rng.random() < 0.35
    kind = rng.choices(("portrait", "sitting", "standing"), (5, 3, 2))[0]
    mirror = rng.random() < 0.5
    near = 0.9 * math.exp(rng.gauss(0, 0.25))
    cx = SIDE * rng.gauss(0.5, 0.1)
    if kind == "portrait":
        scale = SIDE * 0.24 * near
        y = SIDE * rng.gauss(0.45, 0.08)
        return Look(dog, Frame(cx, y, scale, tilt, mirror), Frame(cx, y, scale, 0, mirror), turn, False, tongue)
    if kind == "sitting":
        height = 2.2 + 2.7 * dog.body + 1.3 * dog.legs
        scale = SIDE * 0.8 / height * near
        y = SIDE * rng.gauss(0.5, 0.05) - (height / 2 - 1.4) * scale
        return Look(dog, Frame(cx, y, scale, tilt, mirror), Frame(cx, y, scale, 0, mirror), turn, False, tongue)
    length = 3.6 + 3.0 * dog.body
    scale = SIDE * 0.84 / length * near
    x = cx + (1 if mirror else -1) * (length / 2 - 1.5) * scale
    y = SIDE * rng.uniform(0.3, 0.45)
    head = Frame(x, y, scale, tilt, mirror)
    return Look(dog, head, Frame(x, y + 0.55 * scale, scale, 0, mirror), turn, True, tongue)


def _spots(figure: Figure, look: Look, rng: random.Random) -> None:
    dark = look.breed.dark
    unit = look.head.scale
    page = Frame(0, 0, 1)
    for _ in range(round(rng.uniform(60, 120) * max(1.0, (60 / unit) ** 1.2))):
        r = unit * rng.uniform(0.05, 0.15)
        x, y = rng.uniform(0, SIDE), rng.uniform(0, SIDE)
        figure.patch(page, oval(x, y, r, r * rng.uniform(0.6, 1.3), rng.uniform(0, 3)), dark)
