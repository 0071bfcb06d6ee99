"""How the app starts, and how it ends when something is wrong."""

import os
import subprocess
import sys

from tests.conftest import ROOT


def headless(code, tmp_path):
    """Run a script that opens the app on no terminal."""
    script = tmp_path / "script.py"
    script.write_text(code)
    return subprocess.run(
        [sys.executable, str(script), str(tmp_path / "home")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
    )


def test_nothing_heavy_before_the_first_paint(tmp_path):
    done = headless(
        """
import sys
from tui import main
from tui.app import DogclsApp
heavy = ("openai", "torch", "torchvision", "pandas", "sklearn", "azure", "numpy", "PIL", "onnxruntime")
ours = ("pydantic", "sqlite3", "typer", "psutil", "engine.store")
def on_ready(self):
    print([m for m in heavy + ours if m in sys.modules])
    self.exit()
DogclsApp.on_ready = on_ready
DogclsApp(lambda: None).run(headless=True)
""",
        tmp_path,
    )
    assert done.stdout.strip().endswith("[]"), done.stdout + done.stderr


def test_a_crash_shows_where_but_no_values(tmp_path):
    done = headless(
        """
import sys
from engine import Engine
from tui.app import DogclsApp
from pathlib import Path
class Broken(DogclsApp):
    def on_mount(self):
        key = "sesame-" + "0123456789"
        raise RuntimeError("a defect")
Broken(Engine(Path(sys.argv[1]))).run(headless=True)
""",
        tmp_path,
    )
    told = done.stdout + done.stderr
    assert "a defect" in told
    assert "sesame-0123456789" not in told
