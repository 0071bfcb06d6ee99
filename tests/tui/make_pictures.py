"""Makes the README's pictures from a real run of the demo in a new home: `python -m tests.tui.make_pictures`."""

import asyncio
import os
import tempfile
from pathlib import Path

from engine import ACTIVE, Engine
from tests.tui.looking import settled
from tui.app import DogclsApp

TARGET = Path(__file__).parents[2] / "assets" / "pictures"
SIZE = (104, 30)
ROOMS = {
    "pictures": (("2", "right_square_bracket"), ("train 224×224",)),
    "train": (("5", "m"), ("accuracy by step", "validation")),
    "results": (("6", "right_square_bracket"), ("taken for",)),
}


async def running(pilot, engine):
    """Wait until there is something to watch: the batch half done, the network learning."""
    while True:
        await pilot.pause(0.2)
        jobs = {job.kind: job for job in await engine.jobs()}
        train = jobs.get("train")
        if train is not None and ", epoch " in train.note and jobs["batch"].progress > 0.3:
            return


def keep(app, name):
    (TARGET / f"{name}.svg").write_text(app.export_screenshot(title="dogcls-tui"), encoding="utf-8")


async def main(home):
    engine = Engine(home, "demo")
    app = DogclsApp(engine)
    async with app.run_test(size=SIZE) as pilot:
        await settled(pilot, "run the demo")
        await pilot.press("d")
        await running(pilot, engine)
        await pilot.press("f")
        await pilot.pause(1.0)
        keep(app, "monitor")
        while any(job.state in (*ACTIVE, "waiting") for job in await engine.jobs()):
            await pilot.pause(0.5)
        for name, (keys, words) in ROOMS.items():
            for key in keys:
                await pilot.press(key)
                await pilot.pause(0.3)
            await settled(pilot, *words)
            await pilot.pause(1.0)
            keep(app, name)
    engine.close()


if __name__ == "__main__":
    os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        asyncio.run(main(Path(folder) / "home"))
