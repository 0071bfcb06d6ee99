"""The borders of the house, read from the imports themselves."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "engine").rglob("*.py"), *(ROOT / "tui").rglob("*.py")])
HOMES = {
    "sqlite3": ["engine/store/"],
    "aiosqlite": ["engine/store/"],
    "openai": ["engine/azure/"],
    "azure": ["engine/azure/"],
    "torch": ["engine/backbones/", "engine/training/", "engine/emulator/brain"],
    "torchvision": ["engine/backbones/", "engine/training/", "engine/emulator/brain"],
    "onnxruntime": ["engine/backbones/", "engine/training/", "engine/emulator/brain"],
}
HEAVY = ("openai", "azure", "torch", "torchvision", "pandas", "sklearn")


def imports(path: Path) -> Iterator[str]:
    """Absolute dotted names of everything that a file imports, `from a import b` as `a.b` too."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield stem
            yield from (f"{stem}.{alias.name}" for alias in node.names)


def breaches(relative: str, names: Iterator[str]) -> list[str]:
    found = []
    for name in names:
        top = name.split(".")[0]
        if relative.startswith("engine/") and top in ("tui", "textual"):
            found.append(f"{relative}: engine imports {name}")
        if top in HOMES and not any(relative.startswith(home) for home in HOMES[top]):
            found.append(f"{relative}: {name} outside {HOMES[top]}")
        if relative.startswith("engine/emulator/"):
            if top == "engine" and name != "engine" and not name.startswith(("engine.emulator", "engine.backbones")):
                found.append(f"{relative}: the emulator imports {name}")
        elif f"{name}.".startswith("engine.emulator."):
            found.append(f"{relative}: {name} is another company's server")
        if relative.startswith("tui/") and top == "engine" and name.count(".") > 1:
            found.append(f"{relative}: {name} is behind engine's public names")
        if relative in ("engine/errors.py", "engine/states.py", "engine/events.py") and top in (
            "engine",
            "tui",
        ):
            found.append(f"{relative}: imports {name} of ours")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_border_is_crossed(path):
    assert breaches(path.relative_to(ROOT).as_posix(), imports(path)) == []


@pytest.mark.parametrize(
    ("relative", "name"),
    [
        ("engine/jobs/x.py", "textual.app"),
        ("engine/jobs/x.py", "sqlite3"),
        ("engine/store/x.py", "openai"),
        ("engine/emulator/app.py", "torch"),
        ("engine/emulator/app.py", "engine.errors"),
        ("engine/azure/x.py", "engine.emulator.app"),
        ("tui/app.py", "engine.store.Store"),
        ("engine/events.py", "engine.states"),
    ],
)
def test_the_check_itself_sees_breaches(relative, name):
    assert breaches(relative, iter([name]))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_stay_small(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_nothing_heavy_is_imported_for_the_app_or_the_command_line():
    code = f"import sys, tui.cli, tui.app; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
