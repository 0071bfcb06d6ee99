"""By hand: every script of a folder of known faults, one after another, with one row for each.

    python -m tests.process.known_faults FOLDER [--only input/03 faults/07 ...] [--log FILE] [--timeout SECONDS]

Run it from the project's root with its environment; `dogcls-tui` is the one beside the running Python. The folder has
`input/NN-name/run.sh` and `faults/NN-name.py`, which exit with 1 and print `FAULT` lines while the fault is present and
with 77 where they cannot run; `figures/*.csv` for `dogcls-tui score`; `figures/*.py` and `jobs/*.py`, which print the
state of things (their output is kept in full) or are pytest files (`test_*.py`). The exit code is 1 if any script shows
a fault.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SKIPPED = 77
TIMEOUT_SECONDS = 1500.0


@dataclass(frozen=True)
class Case:
    """One script: its name (`input/03-cancel-interrupted`), its command, and whether its exit code is a verdict."""

    name: str
    command: tuple[str, ...]
    judged: bool = True


@dataclass(frozen=True)
class Result:
    case: Case
    seconds: float
    code: int | None
    """None if the time ran out."""
    output: str

    @property
    def faults(self):
        """Return the lines that name a fault; a script that ended badly without one counts as one."""
        if self.code == SKIPPED:
            return []
        found = [line.strip() for line in self.output.splitlines() if line.lstrip().startswith("FAULT")]
        if self.code is None:
            found.append("FAULT: the time ran out")
        elif self.code and not found:
            last = self.output.strip().splitlines() or [""]
            found.append(f"FAULT: exit code {self.code}: {last[-1].strip()[:200]}")
        return found

    @property
    def verdict(self):
        if self.code == SKIPPED:
            return "skipped: " + " ".join(self.output.split())[-120:]
        if self.faults:
            return f"{len(self.faults)} fault" + ("s" if len(self.faults) > 1 else "")
        return "ok" if self.case.judged else "printed"


def cases(folder):
    """Return the scripts of a folder in the order of their names."""
    found = [Case(f"input/{path.parent.name}", ("bash", str(path))) for path in sorted(folder.glob("input/*/run.sh"))]
    for path in sorted(folder.glob("faults/[0-9]*.py")):
        found.append(Case(f"faults/{path.stem}", (sys.executable, str(path))))
    for path in sorted(folder.glob("figures/*.csv")):
        command = Path(sys.executable).parent / "dogcls-tui"
        found.append(Case(f"figures/{path.stem}", (str(command), "score", str(path)), judged=False))
    for path in sorted(folder.glob("figures/*.py")):
        found.append(Case(f"figures/{path.stem}", (sys.executable, str(path)), judged=False))
    for path in sorted(folder.glob("jobs/*.py")):
        if path.stem.startswith("test_"):
            options = ("-q", "-s", "-c", "pyproject.toml", "-p", "no:cacheprovider", "--rootdir", ".")
            found.append(Case(f"jobs/{path.stem}", (sys.executable, "-m", "pytest", *options, str(path))))
        else:
            found.append(Case(f"jobs/{path.stem}", (sys.executable, str(path)), judged=False))
    return found


def chosen(found, only):
    """Return the cases that are named by the beginning of their names; all if no name is given."""
    unknown = [name for name in only if not any(case.name.startswith(name) for case in found)]
    if unknown:
        raise SystemExit(f"No script has the name {', '.join(unknown)}.")
    return [case for case in found if not only or any(case.name.startswith(name) for name in only)]


def run(case, timeout):
    """Run a script in a session of its own; end the session if its time is over."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AZURE_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    environment["PYTHONUNBUFFERED"] = "1"
    begun = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            case.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment,
            start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):  # bash scripts clean up after the first
                if process.poll() is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, number)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(10)
        output.seek(0)
        text = output.read().decode(errors="replace")
    return Result(case, time.monotonic() - begun, code, text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="beginnings of names: input/03 jobs/r1")
    parser.add_argument("--log", type=Path, help="a file for the rows and every output in full")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_SECONDS, help="seconds for each script")
    options = parser.parse_args()
    found = chosen(cases(options.folder.resolve()), options.only)
    width = max((len(case.name) for case in found), default=0)
    results = []
    with options.log.open("w", encoding="utf-8") if options.log else contextlib.nullcontext() as log:

        def show(text, *, log_only=False):
            if log:
                print(text, file=log, flush=True)
            if not log_only:
                print(text, flush=True)

        for case in found:
            result = run(case, options.timeout)
            results.append(result)
            code = "-" if result.code is None else result.code
            show(f"{case.name:<{width}}  {result.seconds:6.1f} s  {code:>3}  {result.verdict}")
            for line in result.faults:
                show(f"    {line}")
            show("".join(f"    | {line}\n" for line in result.output.splitlines()), log_only=case.judged)
        faulty = [result for result in results if result.faults]
        show(
            f"{len(results)} scripts, {len(faulty)} with faults, {sum(r.code == SKIPPED for r in results)} skipped,"
            f" {sum(r.seconds for r in results):.0f} s"
        )
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
