"""Everything the emulator knows, on disk: one JSON file an object, blobs for contents, a ledger.

A write is a temporary file renamed, so that a kill at any moment leaves the old or the new. Keys that
start with `_` are the emulator's own and never leave it.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Object = dict[str, Any]


class Collection:
    """Objects of one kind, by id, kept in memory and on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._objects: dict[str, Object] = {}
        for path in folder.glob("*.json"):
            found = json.loads(path.read_text(encoding="utf-8"))
            self._objects[found["_key"]] = found

    def put(self, key: str, value: Object) -> None:
        """Add or replace an object."""
        value["_key"] = key
        self._objects[key] = value
        path = self._folder / f"{_file_name(key)}.json"
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(value), encoding="utf-8")
        partial.replace(path)

    def get(self, key: str) -> Object | None:
        """Return an object, or None."""
        return self._objects.get(key)

    def delete(self, key: str) -> None:
        """Remove an object."""
        del self._objects[key]
        (self._folder / f"{_file_name(key)}.json").unlink(missing_ok=True)

    def all(self) -> list[Object]:
        """Return all objects, newest first."""
        return sorted(self._objects.values(), key=lambda o: o["_serial"], reverse=True)


def _file_name(key: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else f"%{ord(c):x}" for c in key)


def public(value: Object) -> Object:
    """Return an object without the emulator's own keys."""
    return {key: inner for key, inner in value.items() if not key.startswith("_")}


class Ledger:
    """What was paid for, one JSON line a payment; a later line of the same kind and id replaces the first."""

    def __init__(self, path: Path) -> None:
        self._rows: dict[tuple[str, str], Object] = {}
        if path.exists():
            for line in path.read_bytes().splitlines():
                try:
                    row = json.loads(line)
                except ValueError:  # the last line of a process that was killed
                    continue
                self._rows[row["kind"], row["id"]] = row
        self._file = path.open("ab", buffering=0)

    def write(self, kind: str, key: str, **values: Any) -> None:
        """Write a payment down, or more of one that was written before."""
        row = {**self._rows.get((kind, key), {"at": time.time()}), "kind": kind, "id": key, **values}
        self._rows[kind, key] = row
        self._file.write(b"\n" + json.dumps(row).encode())  # the newline first: it ends a torn line

    def rows(self, kind: str) -> Iterator[Object]:
        """Yield the payments of one kind, oldest first."""
        for (found, _), row in self._rows.items():
            if found == kind:
                yield {key: value for key, value in row.items() if key != "kind"}


class State:
    """One emulated resource."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.blobs = folder / "blobs"
        self.blobs.mkdir(exist_ok=True, mode=0o700)
        self.files = Collection(folder / "files")
        self.batches = Collection(folder / "batches")
        self.tunings = Collection(folder / "tunings")
        self.deployments = Collection(folder / "deployments")
        self.ledger = Ledger(folder / "ledger.jsonl")

    def blob(self, file_id: str) -> Path:
        """Return where a file's content is."""
        return self.blobs / file_id

    def add_file(self, content: Path, filename: str, purpose: str, delay: float, **extra: Any) -> Object:
        """Take over a file from disk; it is `processed` after a delay in seconds."""
        file_id = f"file-{secrets.token_hex(16)}"
        size = content.stat().st_size
        content.replace(self.blob(file_id))
        value = {
            "id": file_id,
            "object": "file",
            "bytes": size,
            "created_at": int(time.time()),
            "filename": filename,
            "purpose": purpose,
            "status": "pending",
            "status_details": None,
            "_processed_at": time.time() + delay,
            "_serial": time.time_ns(),
            **extra,
        }
        self.files.put(file_id, value)
        return value


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
