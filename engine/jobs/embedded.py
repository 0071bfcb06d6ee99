"""The launcher of the demo profile: starts the emulator, and starts it again when it has died.

It knows its command line alone; `engine.emulation` asks the one that runs, as any client may.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from filelock import FileLock

from engine import secrets
from engine.errors import ServiceUnavailable
from engine.jobs.paths import Home
from engine.jobs.process import alive, detach, start_time
from engine.store import reserve
from engine.store.files import write_atomic

START_SECONDS = 60.0
LEAVING_SECONDS = 10.0
IDLE_SECONDS = 900
"""An emulator that nobody has talked to for so long ends by itself; the next worker starts it again."""


@dataclass(frozen=True)
class Embedded:
    """A running emulator, as it described itself on its first line."""

    endpoint: str
    arm_endpoint: str
    api_key: str
    deployment: str
    batch_deployment: str
    subscription: str
    resource_group: str
    account: str
    pid: int

    def __post_init__(self) -> None:
        secrets.register(self.api_key)

    def __repr__(self) -> str:
        """Leave the key out."""
        return f"Embedded({self.endpoint}, pid {self.pid})"


def _file(home: Home) -> Path:
    return home.emulator / "service.json"


def running(home: Home) -> Embedded | None:
    """Return the home's emulator, if its process is alive."""
    try:
        data = json.loads(_file(home).read_text(encoding="utf-8"))
        started = data.pop("started")
        found = Embedded(**data)
        return found if alive(found.pid, started) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # none, damaged, or of another version
        return None


def ensure(home: Home) -> Embedded:
    """Return the home's emulator, starting it on its old state when it is dead. Blocks up to a minute.

    Raises:
        ServiceUnavailable: it would not start; names its log.
        ReadOnlyError: it is not running, and the home is only read.

    """
    found = running(home)
    if found is not None:
        return found
    if home.readonly:
        raise home.refusal("The embedded emulator is not running, and cannot be started")
    with FileLock(home.emulator / "launch.lock"):
        return running(home) or _start(home)


def _start(home: Home) -> Embedded:
    log = home.logs / "emulator.log"
    state = ["--state", str(home.emulator / "state"), "--cache", str(home.cache)]
    _end_unknown(home)
    already = log.stat().st_size if log.exists() else 0
    # The first line holds the key, so it goes through a pipe and not into the log.
    process = detach("engine.emulator", [*state, "--idle-exit", str(IDLE_SECONDS)], log, pipe=True)
    assert process.stdout is not None
    with process.stdout as output:
        ready, _, _ = select.select([output], [], [], START_SECONDS)
        line = output.readline() if ready else b""
    try:
        found = Embedded(**json.loads(line))
    except (ValueError, TypeError):
        if reserve.is_full(home.root):
            why = f"{home.root}: No space left on device."
            raise ServiceUnavailable(
                f"The embedded emulator did not start. {why}", "Free some space on its disk."
            ) from None
        raise ServiceUnavailable(f"The embedded emulator did not start.{_why(log, already)}", f"See {log}.") from None
    write_atomic(_file(home), json.dumps({**asdict(found), "started": start_time(found.pid)}))
    return found


def _end_unknown(home: Home) -> None:
    """End an emulator of this home that `service.json` does not describe: the file was damaged or deleted."""
    state = str(home.emulator / "state")
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "engine.emulator" in command and state in command and process.pid != os.getpid():
            with contextlib.suppress(psutil.Error):
                process.terminate()
                process.wait(LEAVING_SECONDS)


def _why(log: Path, already: int) -> str:
    """Return what an emulator that did not start has printed last, if that is its own error."""
    try:
        with log.open("rb") as file:
            file.seek(already)
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    last = lines[-1] if lines else ""
    return f" {last.removeprefix('error: ')}" if last.startswith("error: ") else ""


def stop(home: Home) -> None:
    """End the home's emulator, if one is running; its state stays."""
    found = running(home)
    if found is not None:
        os.kill(found.pid, 15)
