"""Where a dog's parts are, and how a breed's colours lie on them. Lengths are in half-widths of the head."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

from engine.datasets.demo.breeds import Breed, Colour
from engine.datasets.demo.figure import Figure, Frame, Point, oval, smooth


@dataclass(frozen=True)
class Look:
    """One dog of a breed, in one pose.

    Attributes:
        breed: with the colours and lengths of just this dog.
        head: its frame.
        body: its frame.
        turn: where it looks, -1 (left) to 1.
        side: whether the body is seen from the side.
        tongue: whether it hangs out.

    """

    breed: Breed
    head: Frame
    body: Frame
    turn: float
    side: bool
    tongue: bool


def draw_body(figure: Figure, look: Look, rng: random.Random) -> None:
    """Draw everything below the neck."""
    (_side_body if look.side else _front_body)(figure, look, rng)


def _front_body(figure: Figure, look: Look, rng: random.Random) -> None:
    b, f = look.breed, look.body
    w, top = 1.05 * b.body + b.mane * 0.35, 0.55
    lower = _lower(b)
    hips, feet = 2.6 * b.body, 2.7 * b.body + 1.3 * b.legs
    for side in (-1, 1):
        figure.part(f, oval(side * w * 0.92, hips + 0.5, w * 0.52, 1.0 * b.body), _upper(b))
        figure.part(f, oval(side * w * 1.05, feet - 0.1, w * 0.42, 0.28), lower)
    torso = [(-0.75, top), (-w, 1.5), (-w * 0.95, hips), (0, hips + 0.9), (w * 0.95, hips), (w, 1.5), (0.75, top)]
    figure.part(f, smooth(torso), _upper(b))
    if b.marking in ("husky", "tricolour", "patches", "bicolour"):
        width = w * rng.uniform(0.45, 0.75)
        chest = [(-width * 0.6, 0.8), (-width, 1.6), (0, hips + 0.4), (width, 1.6), (width * 0.6, 0.8)]
        figure.patch(f, smooth(chest), b.light)
    elif b.marking == "points":
        for side in (-1, 1):
            figure.patch(f, oval(side * w * 0.42, 1.75, w * 0.3, 0.22, side * 0.4), b.light)
    elif b.marking == "saddle":
        figure.patch(f, oval(0, 2.2, w * 0.7, 1.4), b.light)
    for side in (-1, 1):
        leg = [(side * 0.12, hips - 0.6), (side * 0.2, feet), (side * 0.72, feet + 0.05), (side * w * 0.8, hips - 0.5)]
        figure.part(f, smooth(leg), lower if b.marking != "points" else b.base, 150)
        figure.patch(f, oval(side * 0.45, feet - 0.25, 0.4, 0.5), lower)
        figure.part(f, oval(side * 0.48, feet, 0.36, 0.24), lower, 150)
        for toe in (-0.12, 0.12):
            figure.line(f, [(side * 0.48 + toe, feet), (side * 0.48 + toe, feet + 0.2)], 100, 0.04)


def _side_body(figure: Figure, look: Look, rng: random.Random) -> None:
    b, f = look.breed, look.body
    length, depth = 3.0 * b.body, 1.05 * b.body + b.mane * 0.2
    ground = 1.2 + depth + 1.75 * b.legs
    lower = _lower(b)
    end = 0.2 + length

    def leg(x: float, near: bool) -> None:
        sway = rng.uniform(-0.25, 0.25)
        w = 0.3 * b.body
        outline = [(x - w * 1.3, 1.3), (x - w * 0.9 + sway, ground), (x + w + sway, ground), (x + w * 1.4, 1.3)]
        figure.part(f, smooth(outline), _upper(b) if b.marking != "spots" else b.base, 120)
        figure.patch(f, oval(x + sway, ground - 0.5, w * 1.5, 0.9), lower)
        figure.part(f, oval(x + sway - 0.1, ground, w * 1.4, 0.18), lower, 140)
        if not near:
            figure.line(f, frame_line(x, ground), 120, w * 2)

    def frame_line(x: float, bottom: float) -> list[Point]:
        return [(x, 1.6), (x, bottom)]

    if b.tail == 1:
        figure.part(f, oval(end - 0.3, 0.15, 0.6 + b.hair, 0.62 + b.hair), _upper(b))
    elif b.tail == -1:
        droop = rng.uniform(-0.6, 1.6)
        width = 0.14 + b.hair * 0.6
        outline = [
            (end - 0.5, 0.5),
            (end + 0.7, 0.3 + droop * 0.5),
            (end + 1.5, 0.5 + droop),
            (end + 0.6, 0.6 + width * 2),
        ]
        figure.part(f, smooth(outline), _upper(b))
    leg(0.75, False)
    leg(end - 0.9, False)
    torso = [
        (-0.4, 0.2), (0.6, 0.1), (length * 0.6, 0.25), (end, 0.45), (end + 0.1, 1.4),
        (length * 0.62, 1.1 + depth * 0.75), (0.5, 1.2 + depth), (-0.35, 1.5),
    ]  # fmt: skip
    figure.part(f, smooth(torso), _upper(b))
    if b.marking in ("saddle", "tricolour"):
        saddle = [(0.2, 0), (length * 0.9, 0.1), (length * 0.8, depth * 0.9 + 0.3), (length * 0.3, depth * 0.8 + 0.4)]
        figure.patch(f, smooth(saddle), b.dark)
    elif b.marking == "husky":
        figure.patch(f, oval(length * 0.45, 1.5 + depth, length * 0.75, depth * 0.75), b.light)
    elif b.marking == "bicolour":
        figure.patch(f, oval(0.1, 1.2, 1.25, 2.2), b.light)
    elif b.marking == "patches":
        for _ in range(3):
            figure.patch(f, oval(rng.uniform(0.8, end), rng.uniform(0.3, 1), rng.uniform(0.4, 0.9), 0.6), b.base)
    leg(0.35, True)
    leg(end - 0.45, True)
    figure.part(f, smooth([(-0.9, -0.4), (0.7, -0.2), (0.9, 1.2), (-0.3, 1.7)]), _upper(b), 170)
    if b.marking in ("husky", "tricolour", "patches"):
        figure.patch(f, smooth([(-0.9, 0), (0.0, 0.6), (0.1, 1.9), (-0.5, 1.6)]), b.light)


def _upper(b: Breed) -> Colour:
    return b.light if b.marking == "patches" else b.base


def _lower(b: Breed) -> Colour:
    return b.light if b.marking in ("points", "tricolour", "patches", "bicolour", "husky", "saddle") else b.base


def draw_head(figure: Figure, look: Look, rng: random.Random) -> None:
    """Draw neck, head, ears and their colours; the face comes later, over the fur."""
    b, f = look.breed, look.head
    s = b.skull
    if b.mane:
        ruff = 1.0 + b.mane * 0.75
        figure.part(f, oval(0, 0.35, s * ruff, ruff * 1.05), b.light if b.marking == "husky" else b.base, 150)
    else:
        neck = [(-0.75, 0.2), (-0.85, 1.5), (0.85, 1.5), (0.75, 0.2)]
        figure.part(f, smooth(neck), _upper(b), 160)
        if b.marking == "tricolour":
            figure.patch(f, oval(0, 1.4, 0.6, 0.7), b.light)
    if b.ears in ("prick", "button", "rose"):
        _ears(figure, look, rng)
    skull = [
        (-s * 0.55, -0.86), (0, -0.95), (s * 0.55, -0.86), (s * 0.97, -0.25), (s * 0.9, 0.4),
        (s * 0.5, 0.82), (0, 0.95), (-s * 0.5, 0.82), (-s * 0.9, 0.4), (-s * 0.97, -0.25),
    ]  # fmt: skip
    figure.part(f, smooth(skull), b.base)
    _head_colours(figure, look, rng)
    x, y, rx, ry = muzzle_of(look)
    colour = {
        "husky": b.light, "points": b.light, "mask": b.dark, "saddle": b.dark,
        "tricolour": b.light, "patches": b.light, "bicolour": b.light,
    }.get(b.marking, b.base)  # fmt: skip
    chin = [(x - rx * 0.55, y + ry * 0.6), (x, y + ry * 1.3), (x + rx * 0.55, y + ry * 0.6)]
    figure.part(f, smooth(chin), colour, 150)
    figure.part(f, oval(x, y, rx, ry), colour, 165 if b.hair > 0.25 else 140)
    if b.marking == "points":
        figure.patch(
            f, smooth([(x - rx * 0.35, -0.3), (x - rx * 0.5, y), (x + rx * 0.5, y), (x + rx * 0.35, -0.3)]), b.base
        )
    if b.marking == "mask":
        for fold in (-0.5, -0.62):
            figure.line(f, [(-0.4, fold), (0, fold + 0.1), (0.4, fold)], 90, 0.05)
    if b.ears in ("drop", "long"):
        _ears(figure, look, rng)


def _head_colours(figure: Figure, look: Look, rng: random.Random) -> None:
    b, f, x = look.breed, look.head, look.turn * 0.28
    if b.marking in ("husky", "tricolour", "patches"):
        wide = rng.uniform(0.1, 0.2)
        blaze = [
            (x - wide * 0.5, -0.85),
            (x - wide, -0.2),
            (x - 0.4, 0.3),
            (x + 0.4, 0.3),
            (x + wide, -0.2),
            (x + wide * 0.5, -0.85),
        ]
        if b.hair > 0.1 or b.marking != "husky":
            for side in (-1, 1):
                figure.patch(
                    f, oval(side * 0.72 + x * 0.5, 0.5, 0.42, 0.5, side * 0.5), b.light if b.base[0] > 60 else b.dark
                )
        figure.patch(f, smooth(blaze), b.light)
        if b.marking == "husky" and b.hair > 0.1:
            for side in (-1, 1):
                brow = b.light if b.base[0] > 60 else b.dark
                figure.patch(f, oval(side * 0.36 + x, -0.4, 0.15, 0.1, side * -0.5), brow)
    elif b.marking == "points":
        for side in (-1, 1):
            figure.patch(f, oval(side * 0.36 + x, -0.36, 0.12, 0.09, side * -0.3), b.light)
            figure.patch(f, oval(side * 0.66 + x, 0.48, 0.28, 0.34), b.light)
    elif b.marking == "mask":
        figure.patch(
            f, smooth([(-0.75, -0.05), (0, -0.25), (0.75, -0.05), (0.6, 0.75), (0, 0.9), (-0.6, 0.75)]), b.dark
        )
    elif b.marking == "saddle":
        figure.patch(f, oval(x * 0.6, -0.7, 0.5, 0.35), b.dark)
        figure.patch(f, smooth([(x - 0.25, -0.3), (x - 0.5, 0.5), (x + 0.5, 0.5), (x + 0.25, -0.3)]), b.dark)
    elif b.marking == "bicolour":
        figure.patch(f, oval(x, 0.1, 0.95, 1.1), b.light)


def _ears(figure: Figure, look: Look, rng: random.Random) -> None:
    b, f, t = look.breed, look.head, look.turn
    s, e = b.skull, b.ear
    colour = {"mask": b.dark, "saddle": b.dark, "husky": b.base, "patches": b.base}.get(b.marking, b.base)
    for side in (-1, 1):
        near = 1 - 0.25 * side * t
        x = side * s * 0.72 + t * -0.12

        def at(dx: float, y: float, x: float = x, side: int = side, near: float = near) -> Point:
            return x + side * dx * near, y

        lift = rng.uniform(-0.08, 0.08)
        if b.ears == "prick":
            outer = [at(-0.34, -0.62), at(0.0, -0.9 - 0.75 * e), at(0.16, -0.85 - 0.75 * e), at(0.36, -0.25)]
            figure.part(f, smooth(outer), colour)
            inner = [at(-0.14, -0.68), at(0.06, -0.8 - 0.55 * e), at(0.22, -0.45)]
            figure.patch(f, smooth(inner), _mix(colour, (196, 150, 140), 0.45 if b.base[0] < 240 else 0.6))
        elif b.ears == "button":
            figure.part(
                f, smooth([at(-0.15, -0.75), at(0.42, -0.7), at(0.5, -0.1 + 0.2 * e + lift), at(0.15, -0.3)]), colour
            )
        elif b.ears == "rose":
            figure.part(f, smooth([at(-0.1, -0.75), at(0.4, -0.7), at(0.52, -0.25 + lift), at(0.2, -0.2)]), colour)
        elif b.ears == "drop":
            outline = [
                at(-0.08, -0.72),
                at(0.32, -0.62),
                at(0.52, 0.0),
                at(0.44, 0.55 * e + lift),
                at(0.14, 0.42 * e),
                at(0.04, -0.2),
            ]
            figure.part(f, smooth(outline), colour, 90)
        else:
            outline = [
                at(0.0, -0.6),
                at(0.34, -0.5),
                at(0.6, 0.3),
                at(0.55, 1.15 * e + lift),
                at(0.18, 1.25 * e),
                at(0.02, 0.3),
            ]
            figure.part(f, smooth(outline), colour, 90)


def muzzle_of(look: Look) -> tuple[float, float, float, float]:
    """Return the muzzle's centre and radii, in the head's frame."""
    b = look.breed
    return look.turn * (0.2 + 0.35 * b.muzzle), 0.42 + 0.1 * b.muzzle, b.jaw, 0.3 + 0.2 * b.muzzle


def draw_face(picture: Image.Image, look: Look, rng: random.Random) -> None:
    """Draw eyes, nose and mouth, crisp, over the fur."""
    b, f = look.breed, look.head
    draw = ImageDraw.Draw(picture)

    def shape(outline: list[Point], colour: Colour) -> None:
        draw.polygon(f.at(outline), fill=colour)

    x, y, rx, ry = muzzle_of(look)
    if not b.fringe:
        size = 0.145 if b.muzzle > 0.2 else 0.19
        for side in (-1, 1):
            ex = side * (0.4 * b.skull) + look.turn * 0.26
            squash = 1 - 0.25 * max(0.0, side * look.turn)
            shape(oval(ex, -0.12, size * 1.3 * squash, size * 1.05, side * 0.2), (22, 18, 18))
            shape(oval(ex, -0.12, size * 0.95 * squash, size * 0.85), b.eyes)
            shape(oval(ex + look.turn * 0.03, -0.12, size * 0.5, size * 0.52), (8, 8, 10))
            shape(oval(ex + 0.04, -0.17, size * 0.22, size * 0.22), (240, 240, 244))
    nose_y = y - ry * (0.5 if b.muzzle > 0.2 else 0.75)
    w = 0.2 + 0.06 * b.jaw
    nx = x + look.turn * 0.06
    if look.tongue:
        shape(
            smooth(
                [(x - 0.17, y + ry * 0.5), (x - 0.16, y + ry + 0.3), (x + 0.16, y + ry + 0.3), (x + 0.17, y + ry * 0.5)]
            ),
            (206, 106, 116),
        )
    shape(
        smooth(
            [
                (nx - w, nose_y - 0.06),
                (nx, nose_y - 0.13),
                (nx + w, nose_y - 0.06),
                (nx + w * 0.5, nose_y + 0.12),
                (nx, nose_y + 0.17),
                (nx - w * 0.5, nose_y + 0.12),
            ]
        ),
        (26, 22, 24),
    )
    shape(oval(nx - w * 0.3, nose_y - 0.07, w * 0.3, 0.03), (104, 100, 104))
    width = max(1, round(f.scale * 0.045))
    corner = y + ry * 0.42
    dark = (36, 26, 26) if b.marking != "mask" and b.base[0] > 60 else (12, 10, 10)
    draw.line(f.at([(nx, nose_y + 0.15), (x, corner)]), fill=dark, width=width)
    for side in (-1, 1):
        arc = [
            (x + side * rx * math.sin(a) * 0.95, corner + ry * 0.28 * math.sin(2 * a))
            for a in (0, 0.35, 0.7, 1.05, 1.4)
        ]
        draw.line(f.at(arc), fill=dark, width=width, joint="curve")


def _mix(a: Colour, b: Colour, share: float) -> Colour:
    return tuple(round(u + (v - u) * share) for u, v in zip(a, b, strict=True))  # type: ignore[return-value]
