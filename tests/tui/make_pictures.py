"""Makes the README's pictures from a home in which the demo has run: `python -m tests.tui.make_pictures HOME`."""

import asyncio
import sys
from pathlib import Path

from engine import Engine
from tui.app import DogclsApp

TARGET = Path(__file__).parents[2] / "assets" / "pictures"


async def main(home):
    engine = Engine(home)
    app = DogclsApp(engine)
    async with app.run_test(size=(110, 32)) as pilot:
        while app.last_comparison is None:
            await pilot.pause(0.1)
        await pilot.pause(1.0)
        (TARGET / "live.svg").write_text(app.export_screenshot(title="dogcls-tui"), encoding="utf-8")
    engine.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
