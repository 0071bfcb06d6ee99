"""The handwritten digits that scikit-learn carries: 1,797 grey pictures of 8×8 pixels, drawn larger, as PNG.

E. Alpaydin and C. Kaynak's Optical Recognition of Handwritten Digits (UCI, 1998, CC BY 4.0), its test part.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from engine.datasets.looking import Task
from engine.datasets.sources.base import Entry, Passed

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SIDE = 96
"""Large enough for whoever looks, small enough to cost little."""


class DigitsSource:
    """Draws the digits."""

    in_place = False
    labels_given = True
    in_folders = False

    def __init__(self) -> None:
        from sklearn.datasets import load_digits  # slow to import, and wanted nowhere else

        self.path = Path("digits")
        found: Any = load_digits()
        self._pictures, self._labels = found.images, found.target

    def scan(self) -> Iterator[Entry | Passed]:
        """List them, in scikit-learn's order."""
        for number, label in enumerate(self._labels):
            name = NAMES[int(label)]
            yield Entry(name, f"{name}/{number:04d}.png", str(number))

    def task(self, number: int, path: str, where: str, to: str | None) -> Task:
        """Draw one, dark on white as on paper."""
        grey = (255 - self._pictures[int(where)] * (255 / 16)).round().astype("uint8")
        image = Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BICUBIC).convert("RGB")
        out = io.BytesIO()
        image.save(out, "PNG")
        return Task(number, path, out.getvalue(), to=to)

    def unpacked_bytes(self) -> int:
        """Return about how much they take."""
        return len(self._labels) * 6_000

    def same(self, where: str, size: int, mtime: int) -> bool:
        """They never change."""
        return True

    def close(self) -> None:
        """Nothing is open."""
