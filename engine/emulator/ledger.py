"""What was paid for: one JSON line a payment, so that a kill loses none, nor a power cut any but chat requests."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

_log = logging.getLogger("uvicorn.error")
Row = dict[str, Any]
KINDS = {"batch": "batches", "fine_tuning_job": "fine_tuning_jobs", "deployment": "deployments"}


class Ledger:
    """Payments by kind and id; a later line of the same kind and id replaces the first.

    Chat requests are too many to be kept one by one: they are added up by deployment and client.
    """

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self._now = now
        self._path = path
        self._rows: dict[tuple[str, str], Row] = {}
        self._chats: dict[tuple[str, str], Row] = {}
        if path.exists():
            with path.open("rb") as file:
                for line in file:
                    self._read(line)
        self._file = path.open("ab", buffering=0)

    def close(self) -> None:
        """Write no more."""
        self._file.close()

    def _read(self, line: bytes) -> None:
        try:
            row = json.loads(line)
            if row["kind"] == "chat":
                self._add(row)
            elif row["kind"] in KINDS:
                self._rows[row["kind"], row["id"]] = row
        except (ValueError, TypeError, KeyError):  # an empty line, or one of a process that was killed
            if line.strip():
                _log.warning("%s: a damaged line was left out", self._path)

    def _append(self, row: Row) -> None:
        self._file.write(b"\n" + json.dumps(row).encode())  # the newline first: it ends a torn line

    def write(self, kind: str, key: str, **values: Any) -> None:
        """Write a payment down, or more of one that was written before."""
        row = {**self._rows.get((kind, key), {"at": self._now()}), "kind": kind, "id": key, **values}
        self._append(row)
        os.fsync(self._file.fileno())
        self._rows[kind, key] = row

    def chat(self, deployment: str, client: str, prompt_tokens: int, completion_tokens: int) -> None:
        """Write one answered chat request down."""
        row = {
            "kind": "chat",
            "at": self._now(),
            "deployment": deployment,
            "client": client,
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
        }
        self._add(row)
        self._append(row)

    def _add(self, row: Row) -> None:
        key = (row["deployment"], row["client"])
        tokens = {name: int(row[name]) for name in ("prompt_tokens", "completion_tokens")}
        at = float(row["at"])
        total = self._chats.get(key)
        if total is None:
            total = self._chats[key] = {
                "deployment": key[0],
                "client": key[1],
                "requests": 0,
                "first_at": at,
                "last_at": at,
                "prompt_tokens": 0,
                "completion_tokens": 0,
            }
        total["requests"] += 1
        total["last_at"] = at
        for name, count in tokens.items():
            total[name] += count

    def shown(self) -> dict[str, Any]:
        """Return everything, oldest first."""
        shown: dict[str, Any] = {name: [] for name in KINDS.values()}
        for (kind, _), row in self._rows.items():
            shown[KINDS[kind]].append({key: value for key, value in row.items() if key != "kind"})
        by_deployment: Counter[str] = Counter()
        by_client: Counter[str] = Counter()
        for (deployment, client), row in self._chats.items():
            by_deployment[deployment] += row["requests"]
            by_client[client] += row["requests"]
        shown["chat_requests"] = {
            "total": by_client.total(),
            "by_deployment": by_deployment,
            "by_client": by_client,
        }
        shown["chats"] = list(self._chats.values())
        return shown
