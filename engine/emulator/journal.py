"""What a fine-tuning job says: its events, appended to a file of its own."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path

from engine.emulator.clock import Clock
from engine.emulator.state import Object


class Journal:
    """Events of one job, oldest first.

    Each has its place in the run, so that one that is told again after a restart is not told twice.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._events: list[Object] = []
        if path.exists():
            for line in path.read_bytes().splitlines():
                try:
                    event = json.loads(line)
                except ValueError:  # the last line of a process that was killed, or an empty one
                    continue
                if isinstance(event, dict) and "id" in event:
                    self._events.append(event)
        self._told = {event["id"] for event in self._events}

    def tell(self, job_id: str, place: str, message: str, *, level: str = "info", data: Object | None = None) -> None:
        """Add an event, unless the event of this place in the run is there already."""
        name = f"ftevent-{hashlib.sha256(f'{job_id} {place}'.encode()).hexdigest()[:32]}"
        with self._lock:
            if name in self._told:
                return
            event = {
                "id": name,
                "object": "fine_tuning.job.event",
                "created_at": int(self._clock.now()),
                "level": level,
                "type": "metrics" if data else "message",
                "message": message,
                "data": data or {},
            }
            self._told.add(name)
            self._events.append(event)
            with self._path.open("ab", buffering=0) as file:
                file.write(b"\n" + json.dumps(event).encode())

    def newest_first(self) -> list[Object]:
        """Return all events."""
        with self._lock:
            return self._events[::-1]
