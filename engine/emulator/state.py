"""Everything the emulator knows, on disk: one JSON file an object, blobs for contents.

A write is durable (see `durable`) before it is answered, so that a kill or a power cut at any moment leaves the old or
the new. Keys that start with `_` are the emulator's own and never leave it.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from pathlib import Path
from typing import Any

from engine.emulator import durable
from engine.emulator.clock import Clock
from engine.emulator.errors import ApiError

Object = dict[str, Any]
VERSION = 1
"""Of the state's files. A change that an older file does not fit comes with a step that makes it fit."""
REQUIRED = {
    "files": "id bytes created_at filename purpose status _since",
    "uploads": "id bytes expires_at filename purpose status _parts",
    "batches": "id status input_file_id endpoint request_counts created_at expires_at _deployment _tokens _keep",
    "tunings": "id status training_file model hyperparameters created_at result_files seed _name _checkpoints _steps",
    "deployments": "name sku properties _created _since _used _deleting",
}
"""What every object of a kind has; a file without one of these is not of this version, or damaged."""


class Collection:
    """Objects of one kind, by id, kept in memory and on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Lock()  # routes and the threads of work under way write the same objects
        self._objects: dict[str, Object] = {}
        for left in folder.glob(".*"):  # of a write that a kill has interrupted
            left.unlink()
        required = {"_key", "_serial", *REQUIRED.get(folder.name, "").split()}
        for path in sorted(folder.glob("*.json")):
            found, why = _read(path, required)
            if why:
                durable.set_aside(path, why)
            else:
                self._objects[found["_key"]] = found

    def put(self, key: str, value: Object) -> None:
        """Add or replace an object; it is on the disk before this returns."""
        path = self._folder / f"{_file_name(key)}.json"
        with self._lock:
            value["_key"] = key
            durable.write(path, json.dumps(value).encode())
            self._objects[key] = value

    def get(self, key: str) -> Object | None:
        """Return an object, or None."""
        return self._objects.get(key)

    def delete(self, key: str) -> None:
        """Remove an object."""
        with self._lock:
            del self._objects[key]
            (self._folder / f"{_file_name(key)}.json").unlink(missing_ok=True)

    def set_aside(self, key: str, why: str) -> None:
        """Remove an object that is damaged, but keep its file under another name."""
        with self._lock:
            del self._objects[key]
            durable.set_aside(self._folder / f"{_file_name(key)}.json", why)

    def all(self) -> list[Object]:
        """Return all objects, newest first."""
        return sorted(self._objects.values(), key=lambda o: o["_serial"], reverse=True)


def _read(path: Path, required: set[str]) -> tuple[Object, str]:
    """Return an object, and why it cannot be used ("" if it can)."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return {}, "no JSON" if path.stat().st_size else "empty"
    if not isinstance(found, dict):
        return {}, "no JSON object"
    if missing := sorted(required - found.keys()):
        return {}, f"of another version, without {', '.join(missing)}"
    if not isinstance(found["_serial"], int) or _file_name(str(found["_key"])) != path.stem:
        return {}, "not the object that its name says"
    return found, ""


def check_version(folder: Path) -> None:
    """Check which version of the emulator has written a folder; mark it with this one.

    A folder without a mark is of the time before there were marks: its files are those of version 1.

    Raises:
        ApiError: it is of a newer version.

    """
    path = folder / "version"
    try:
        found = int(path.read_bytes())
    except FileNotFoundError:
        found = 0
    except ValueError:
        durable.set_aside(path, "no number")
        found = 0
    if found > VERSION:
        message = f"{folder}: made by a newer emulator (state version {found}). Upgrade, or choose another folder."
        raise ApiError(400, "", message)
    if found < VERSION:
        durable.write(path, f"{VERSION}\n".encode())


def _file_name(key: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else f"%{ord(c):x}" for c in key)


def public(value: Object) -> Object:
    """Return an object without the emulator's own keys."""
    return {key: inner for key, inner in value.items() if not key.startswith("_")}


class State:
    """One emulated resource."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self._clock = clock
        self._last_serial = 0
        self.blobs = folder / "blobs"
        self.blobs.mkdir(exist_ok=True, mode=0o700)
        self.files = Collection(folder / "files")
        for file in self.files.all():  # a file without its content is none
            blob = self.blob(file["id"])
            if not blob.is_file() or blob.stat().st_size != file["bytes"]:
                self.files.set_aside(file["id"], f"its content {blob} is not there, or not whole")
        self.uploads = Collection(folder / "uploads")
        self.batches = Collection(folder / "batches")
        self.tunings = Collection(folder / "tunings")
        self.deployments = Collection(folder / "deployments")

    def serial(self) -> int:
        """Return a number above all that were given before, whatever the clock does."""
        self._last_serial = max(time.time_ns(), self._last_serial + 1)
        return self._last_serial

    def blob(self, file_id: str) -> Path:
        """Return where a file's content is."""
        return self.blobs / file_id

    def add_file(
        self, content: Path, filename: str, purpose: str, *, ready: bool, expires_in: int | None = None
    ) -> Object:
        """Take over a file from disk.

        Args:
            content: is moved.
            filename: as the client calls it.
            purpose: of the file.
            ready: whether it is `processed` at once, as the service's own files are.
            expires_in: seconds after which it expires; None, never.

        """
        file_id = f"file-{secrets.token_hex(16)}"
        size = content.stat().st_size
        durable.keep(content, self.blob(file_id))
        now = self._clock.now()
        value = {
            "id": file_id,
            "object": "file",
            "bytes": size,
            "created_at": int(now),
            "filename": filename,
            "purpose": purpose,
            "status": "processed" if ready else "pending",
            "status_details": None,
            "_since": now,
            "_serial": self.serial(),
        }
        if expires_in is not None:
            value["expires_at"] = int(now) + expires_in
        self.files.put(file_id, value)
        return value

    def drop_file(self, file_id: str) -> None:
        """Delete a file and its content."""
        self.files.delete(file_id)
        self.blob(file_id).unlink(missing_ok=True)

    def drop_parts(self, upload: Object) -> None:
        """Delete what was uploaded in parts."""
        for part in upload["_parts"]:
            self.blob(part).unlink(missing_ok=True)


def page(items: list[Object], after: str | None, limit: int) -> dict[str, Any]:
    """Return one page of a list (newest first unless the caller turned it)."""
    start = 0
    if after:
        start = next((n + 1 for n, item in enumerate(items) if item["id"] == after), len(items))
    chosen = items[start : start + limit]
    return {
        "object": "list",
        "data": [public(item) for item in chosen],
        "first_id": chosen[0]["id"] if chosen else None,
        "last_id": chosen[-1]["id"] if chosen else None,
        "has_more": start + limit < len(items),
    }
