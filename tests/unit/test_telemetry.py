"""ONNX Runtime sends nothing and writes nothing: the switch is set before the library is loaded."""

import os
import subprocess
import sys

import pytest

from engine.training.card import example

LOAD = "import onnxruntime; from onnxruntime import SessionOptions; SessionOptions()"


def files_after(code, folder):
    """Run Python code with an empty home folder; return the files that it left there."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("XDG_") and k != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", code], env={**environment, "HOME": str(folder)}, check=True)
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("first", ["import engine", "import engine.emulator", "from engine.backbones import runner"])
def test_no_device_id_after_the_package_is_imported(first, tmp_path):
    assert files_after(f"{first}; {LOAD}", tmp_path) == []


def test_a_setting_of_the_user_does_not_switch_it_on(tmp_path):
    assert files_after(f"import os; os.environ['ORT_DISABLE_TELEMETRY'] = '0'; import engine; {LOAD}", tmp_path) == []


def test_the_exported_program_switches_it_off_before_the_import():
    lines = example(["model.onnx"], whole=False).splitlines()
    switch = next(n for n, line in enumerate(lines) if 'os.environ["ORT_DISABLE_TELEMETRY"] = "1"' in line)
    assert switch < next(n for n, line in enumerate(lines) if "onnxruntime" in line and "import" in line)
