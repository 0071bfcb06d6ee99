"""A dog as layers: coat, silhouette and creases, put together from smooth closed shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from engine.datasets.demo.breeds import Colour

SIDE = 288
"""Pixels at which dogs are drawn; pictures are made smaller from there."""
Point = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """Where a part of the dog stands: origin in pixels, pixels a unit, a turn in radians, a mirror."""

    x: float
    y: float
    scale: float
    angle: float = 0.0
    mirror: bool = False

    def at(self, points: Sequence[Point]) -> list[Point]:
        """Return points in pixels."""
        cos, sin = math.cos(self.angle) * self.scale, math.sin(self.angle) * self.scale
        flip = -1 if self.mirror else 1
        return [(self.x + flip * (px * cos - py * sin), self.y + px * sin + py * cos) for px, py in points]


def oval(x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> list[Point]:
    """Return the outline of an ellipse."""
    cos, sin = math.cos(turn), math.sin(turn)
    circle = [(rx * math.cos(a), ry * math.sin(a)) for a in np.linspace(0, 2 * math.pi, 28, endpoint=False)]
    return [(x + u * cos - v * sin, y + u * sin + v * cos) for u, v in circle]


def smooth(points: Sequence[Point]) -> list[Point]:
    """Return a closed curve through a few points (a Catmull-Rom spline, 8 pieces a side)."""
    p = np.array(points, float)
    before, after, far = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    t = np.linspace(0, 1, 8, endpoint=False)[None, :, None]
    a, b, c, d = (v[:, None, :] for v in (before, p, after, far))
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return [(float(x), float(y)) for x, y in curve.reshape(-1, 2)]


class Figure:
    """The layers, all `[SIDE, SIDE]`: `coat` RGB, `mask` (the silhouette) and `crease` (shadows between parts)."""

    def __init__(self) -> None:
        self.coat = Image.new("RGB", (SIDE, SIDE))
        self.mask = Image.new("L", (SIDE, SIDE))
        self.crease = Image.new("L", (SIDE, SIDE), 255)
        self._coat = ImageDraw.Draw(self.coat)
        self._mask = ImageDraw.Draw(self.mask)
        self._crease = ImageDraw.Draw(self.crease)

    def part(self, frame: Frame, outline: Sequence[Point], colour: Colour, crease: int = 110) -> None:
        """Draw a part of the body; what lies behind it gets a shadow at its edge."""
        points = frame.at(outline)
        self._coat.polygon(points, fill=colour)
        self._mask.polygon(points, fill=255)
        self._crease.polygon(points, fill=255)
        self._crease.line([*points, points[0]], fill=crease, width=max(1, round(frame.scale * 0.08)))

    def patch(self, frame: Frame, outline: Sequence[Point], colour: Colour) -> None:
        """Colour a region of the coat."""
        self._coat.polygon(frame.at(outline), fill=colour)

    def line(self, frame: Frame, points: Sequence[Point], dark: int, width: float) -> None:
        """Draw a fold."""
        self._crease.line(frame.at(points), fill=dark, width=max(1, round(frame.scale * width)), joint="curve")
