"""The runner of a folder of known faults: its rows, its exit code, and its choice by name."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.process import known_faults


@pytest.fixture
def folder(tmp_path):
    scripts = {
        "input/01-well/run.sh": "command -v python >/dev/null && exit 0",
        "input/02-bad/run.sh": "echo 'FAULT: it costs on'; exit 1",
        "input/03-root/run.sh": "echo 'needs root'; exit 77",
        "faults/07-two.py": "print('FAULT one')\nprint('FAULT two')\nraise SystemExit(1)",
        "faults/08-slow.py": "import time\ntime.sleep(60)",
        "faults/lib.py": "raise SystemExit(1)",
        "jobs/r1_prints.py": "print('beats 3')",
        "jobs/r2_broken.py": "raise ValueError('renamed')",
    }
    for name, text in scripts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_each_script_has_a_row(folder):
    log = folder / "log"
    done = subprocess.run(
        [sys.executable, "-m", "tests.process.known_faults", str(folder), "--timeout", "2", "--log", str(log)],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    rows = {line.split()[0]: line.split(maxsplit=4)[3:] for line in done.stdout.splitlines() if " s  " in line}
    assert {name: row[0] for name, row in rows.items()} == {
        "input/01-well": "0", "input/02-bad": "1", "input/03-root": "77", "faults/07-two": "1", "faults/08-slow": "-",
        "jobs/r1_prints": "0", "jobs/r2_broken": "1",
    }  # fmt: skip
    verdicts = {name: row[1] for name, row in rows.items()}
    assert verdicts["input/01-well"] == "ok"
    assert verdicts["faults/07-two"] == "2 faults"
    assert verdicts["faults/08-slow"] == verdicts["jobs/r2_broken"] == "1 fault"
    assert verdicts["jobs/r1_prints"] == "printed"
    assert verdicts["input/03-root"] == "skipped: needs root"
    assert "    | beats 3" in done.stdout
    assert "FAULT: exit code 1: ValueError: renamed" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("7 scripts, 4 with faults, 1 skipped")
    assert "    | FAULT two" in log.read_text()


def test_scripts_are_chosen_by_the_beginning_of_their_names(folder):
    found = known_faults.cases(folder)
    assert [case.name for case in known_faults.chosen(found, ["input/02", "jobs/r1"])] == [
        "input/02-bad",
        "jobs/r1_prints",
    ]
    with pytest.raises(SystemExit, match="input/09"):
        known_faults.chosen(found, ["input/09"])


def test_a_script_whose_time_is_over_is_ended(folder):
    case = known_faults.Case("faults/08-slow", (sys.executable, str(Path(folder) / "faults/08-slow.py")))
    result = known_faults.run(case, 0.5)
    assert result.code is None and result.seconds < 30
    assert result.faults == ["FAULT: the time ran out"]
