"""The breeds of the demo set, told as a few numbers each. The names are ImageNet's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Colour = tuple[int, int, int]
Ears = Literal["drop", "long", "prick", "button", "rose", "hidden"]
Marking = Literal["plain", "spots", "husky", "points", "mask", "saddle", "tricolour", "patches", "bicolour"]
Weave = Literal["straight", "curls", "cords"]


@dataclass(frozen=True)
class Breed:
    """How a breed looks. Lengths are in half-widths of its head.

    Attributes:
        name: as ImageNet spells it.
        base: the coat.
        light: the second colour: chest, blaze, points.
        dark: the third: mask, saddle, patches.
        marking: how the three are laid over the dog.
        ears: their form.
        ear: their size.
        skull: width of the head to its height.
        muzzle: how far it comes out, 0 (flat) to 1.
        jaw: width of the muzzle.
        hair: its length.
        weave: how it lies.
        mane: how much wider it makes the neck.
        body: size of the body to the head.
        legs: their length.
        fringe: whether hair hangs over the eyes.
        tail: curled over the back (1), hanging (-1), or none (0).
        eyes: the iris.

    """

    name: str
    base: Colour
    light: Colour
    dark: Colour
    marking: Marking
    ears: Ears
    ear: float = 1.0
    skull: float = 1.0
    muzzle: float = 0.6
    jaw: float = 0.48
    hair: float = 0.05
    weave: Weave = "straight"
    mane: float = 0.0
    body: float = 1.0
    legs: float = 1.0
    fringe: bool = False
    tail: int = -1
    eyes: Colour = (74, 44, 20)


_WHITE, _CREAM, _BLACK, _TAN = (238, 236, 230), (232, 214, 182), (28, 26, 28), (176, 104, 50)

BREEDS = (
    Breed("dalmatian", _WHITE, _WHITE, (34, 30, 30), "spots", "drop", muzzle=0.7, jaw=0.44, body=1.15, legs=1.2),
    Breed(
        "Siberian husky",
        (92, 94, 102),
        (236, 236, 236),
        (58, 60, 68),
        "husky",
        "prick",
        muzzle=0.65,
        jaw=0.42,
        hair=0.16,
        mane=0.25,
        body=1.1,
        tail=1,
        eyes=(120, 172, 214),
    ),
    Breed(
        "Samoyed",
        (244, 242, 236),
        (250, 249, 246),
        (226, 220, 208),
        "plain",
        "prick",
        ear=0.75,
        skull=1.05,
        muzzle=0.55,
        jaw=0.42,
        hair=0.34,
        mane=0.6,
        body=1.15,
        tail=1,
    ),
    Breed(
        "Rottweiler",
        _BLACK,
        (160, 88, 36),
        _BLACK,
        "points",
        "button",
        skull=1.1,
        muzzle=0.6,
        jaw=0.56,
        hair=0.04,
        body=1.25,
        tail=0,
    ),
    Breed(
        "pug",
        (206, 170, 122),
        (214, 182, 138),
        (36, 30, 28),
        "mask",
        "rose",
        ear=0.7,
        skull=1.15,
        muzzle=0.1,
        jaw=0.62,
        hair=0.03,
        body=0.85,
        legs=0.6,
        tail=1,
    ),
    Breed(
        "Old English sheepdog",
        (122, 126, 134),
        (240, 240, 238),
        (96, 100, 108),
        "bicolour",
        "hidden",
        skull=1.15,
        muzzle=0.5,
        jaw=0.56,
        hair=0.5,
        mane=0.5,
        body=1.25,
        fringe=True,
        tail=0,
    ),
    Breed(
        "komondor",
        (232, 226, 208),
        (238, 232, 216),
        (206, 196, 170),
        "plain",
        "hidden",
        skull=1.1,
        muzzle=0.5,
        jaw=0.5,
        hair=0.55,
        weave="cords",
        mane=0.55,
        body=1.3,
        fringe=True,
    ),
    Breed(
        "Irish setter",
        (138, 54, 22),
        (150, 66, 30),
        (112, 40, 16),
        "plain",
        "long",
        ear=1.1,
        skull=0.9,
        muzzle=0.8,
        jaw=0.4,
        hair=0.2,
        mane=0.1,
        body=1.15,
        legs=1.15,
    ),
    Breed(
        "golden retriever",
        (206, 154, 88),
        (226, 186, 126),
        (180, 126, 66),
        "plain",
        "drop",
        ear=0.9,
        skull=1.05,
        muzzle=0.65,
        jaw=0.5,
        hair=0.17,
        mane=0.25,
        body=1.15,
    ),
    Breed(
        "beagle",
        (170, 104, 54),
        (240, 238, 232),
        (38, 32, 30),
        "tricolour",
        "long",
        ear=0.95,
        muzzle=0.6,
        jaw=0.46,
        hair=0.04,
        body=0.95,
        legs=0.8,
        tail=1,
    ),
    Breed(
        "Bernese mountain dog",
        (30, 28, 30),
        (238, 236, 230),
        (150, 78, 32),
        "husky",
        "drop",
        skull=1.1,
        muzzle=0.6,
        jaw=0.5,
        hair=0.2,
        mane=0.35,
        body=1.25,
    ),
    Breed(
        "Saint Bernard",
        (160, 86, 42),
        (240, 236, 228),
        (46, 32, 26),
        "patches",
        "drop",
        ear=0.9,
        skull=1.15,
        muzzle=0.5,
        jaw=0.62,
        hair=0.14,
        mane=0.3,
        body=1.35,
    ),
    Breed(
        "German shepherd",
        (166, 118, 66),
        (186, 140, 86),
        (34, 30, 30),
        "saddle",
        "prick",
        ear=1.25,
        skull=0.95,
        muzzle=0.75,
        jaw=0.42,
        hair=0.1,
        mane=0.2,
        body=1.2,
        legs=1.1,
    ),
    Breed(
        "standard poodle",
        (36, 34, 38),
        (48, 46, 50),
        (26, 24, 28),
        "plain",
        "long",
        skull=0.9,
        muzzle=0.85,
        jaw=0.32,
        hair=0.3,
        weave="curls",
        mane=0.3,
        body=1.05,
        legs=1.2,
        tail=1,
    ),
    Breed(
        "Pomeranian",
        (214, 138, 66),
        (236, 184, 120),
        (180, 104, 44),
        "plain",
        "prick",
        ear=0.55,
        skull=1.1,
        muzzle=0.35,
        jaw=0.34,
        hair=0.36,
        mane=0.75,
        body=0.8,
        legs=0.55,
        tail=1,
    ),
    Breed(
        "Boston bull",
        (30, 27, 28),
        (240, 238, 234),
        _BLACK,
        "husky",
        "prick",
        ear=0.95,
        skull=1.1,
        muzzle=0.15,
        jaw=0.56,
        hair=0.03,
        body=0.85,
        legs=0.85,
        tail=0,
    ),
)
