"""Looking at the app as a person does: what stands on the screen, and waiting until it does."""

import pytest

SIZES = [pytest.param((80, 24), id="80x24"), pytest.param((120, 40), id="120x40")]
SMALL = [SIZES[0], pytest.param((120, 40), id="120x40", marks=pytest.mark.full)]
"""Sizes where only the colours differ from a picture of both: the larger one is taken by `-m full`."""
LOOKS = [
    pytest.param(
        look, size, id=f"{look}-{size[0]}x{size[1]}", marks=[pytest.mark.full] * (look != "dark" and size[0] > 80)
    )
    for look in ("dark", "light", "no-color", "ascii")
    for size in ((80, 24), (120, 40))
]
"""Each look and size; those that show nothing new but their colours by `-m full`."""


async def until(pilot, condition, what):
    """Wait until the screen shows something."""
    for _ in range(600):
        await pilot.pause(0.02)
        if condition():
            return
    raise AssertionError(f"the screen never showed {what}:\n{text_of(pilot.app)}")


async def shows(pilot, *words):
    """Wait until all these words stand on the screen."""
    await until(pilot, lambda: all(word in text_of(pilot.app) for word in words), " and ".join(words))


async def settled(pilot, *words):
    """Wait until these words are there, and nothing has changed for a while."""
    await shows(pilot, *words)
    last, same = "", 0
    for _ in range(200):
        await pilot.pause(0.05)
        now = text_of(pilot.app)
        same = same + 1 if now == last else 0
        last = now
        if same >= 6:
            return
    raise AssertionError(f"the screen never came to rest:\n{last}")


def text_of(app):
    """Return what the screen shows, as text."""
    width, height = app.size
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in lines[:height])[: (width + 1) * height]


def footer(app):
    """Return the line of keys."""
    return "".join(text_of(app).splitlines()[-1:])
