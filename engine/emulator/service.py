"""What all routes share: state, brain, time, quota, and the tasks under way."""

from __future__ import annotations

import asyncio
import json
import logging
import zipfile
from collections.abc import Callable, Coroutine
from functools import lru_cache
from pathlib import Path
from typing import Any

from starlette.requests import Request

from engine.emulator import durable
from engine.emulator.brain.tuning import Head
from engine.emulator.brain.vision import Vision
from engine.emulator.clock import Clock
from engine.emulator.errors import ApiError, bad_request
from engine.emulator.faults import Control
from engine.emulator.journal import Journal
from engine.emulator.ledger import Ledger
from engine.emulator.quota import Quota
from engine.emulator.state import Object, State, check_version

SUBSCRIPTION = "00000000-0000-4000-8000-000000000000"
GROUP = ACCOUNT = "emulator"
TUNABLE = ("gpt-4o-2024-08-06", "gpt-4.1-2025-04-14")
BASE_MODELS = (*TUNABLE, "gpt-4o-mini-2024-07-18")
DAY = 86_400
PARSED_APART = 2**20
"""Bytes from which a JSON body is parsed on another thread."""
ROOM_SECONDS = 2.0
"""How long work waits on a full disk before it tries again."""
_log = logging.getLogger("uvicorn.error")


class Service:
    """One running emulator."""

    def __init__(self, folder: Path, cache: Path, key: str, options: dict[str, Any] | None = None) -> None:
        """Open (or make) what is kept in a folder.

        Args:
            folder: where everything is kept.
            cache: where the exported backbone is kept.
            key: what every request must carry.
            options: settings that differ from those that the folder has, as a merge patch.

        Raises:
            ApiError: an option is not valid, the key is empty, or the folder is of a newer version.
            OSError: the folder cannot be read or written.

        """
        if not key:
            raise ApiError(400, "", "The key is empty: it would let in every request.")
        self.clock = Clock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        check_version(folder)
        self.control = Control(folder / "settings.json", self.clock, options or {})
        self.state = State(folder, self.clock)
        self.ledger = Ledger(folder / "ledger.jsonl", self.clock.now)
        self.quota = Quota(self.clock, self.control)
        self.vision = Vision(cache)
        self.key = key
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.journals: dict[str, Journal] = {}
        self.last_request = 0.0
        self._swept = 0.0
        self._head = lru_cache(16)(lambda model: Head.load(self.model_path(model)))
        self._seed()
        for path in self.model_path("").parent.glob("*.npz"):
            if not zipfile.is_zipfile(path):
                durable.set_aside(path, "damaged")

    def run(self, key: str, work: Coroutine[Any, Any, None]) -> None:
        """Start a task of an object's life; there is one an object at most."""
        task = asyncio.create_task(work)
        self.tasks[key] = task
        task.add_done_callback(lambda _: self._ended(key, task))

    async def again_when_there_is_room(self, key: str, live: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Live through an object's life; on a full disk, try again later from what was kept."""
        while True:
            try:
                return await live()
            except FileNotFoundError:
                raise
            except OSError as error:
                _log.error("%s: %s; it continues when there is room", key, error)
                await asyncio.sleep(ROOM_SECONDS)

    def _ended(self, key: str, task: asyncio.Task[None]) -> None:
        if self.tasks.get(key) is task:
            del self.tasks[key]
        if not task.cancelled() and (error := task.exception()):
            _log.error("the life of %s", key, exc_info=error)
        self.clock.changed()

    # -- models

    def head(self, model: str) -> Head | None:
        """Return a tuned model's head, or None for a base model."""
        return self._head(model) if tuned(model) else None

    def model_path(self, model: str) -> Path:
        """Return where a tuned model is kept."""
        folder = self.state.folder / "models"
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder / f"{model.replace(':', '@')}.npz"

    def knows_model(self, model: str) -> bool:
        """Tell whether there is a base or tuned model of this name."""
        return model in BASE_MODELS or (tuned(model) and "/" not in model and self.model_path(model).exists())

    def tuned_models(self) -> list[tuple[str, int]]:
        """Return the tuned models, checkpoints aside, and when each was made; newest first."""
        files = [path for path in self.model_path("").parent.glob("*.npz") if tuned(path.stem) and "@" not in path.stem]
        made = [(path.stem, int(path.stat().st_mtime)) for path in files if not path.name.startswith(".")]
        return sorted(made, key=lambda model: (-model[1], model[0]))

    # -- deployments

    def add_deployment(self, name: str, model: Object, sku: str, capacity: int) -> Object:
        """Add a deployment that is `Accepted` now, `Succeeded` soon, and answers a moment later."""
        now = self.clock.now()
        value = {
            "id": (
                f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.CognitiveServices"
                f"/accounts/{ACCOUNT}/deployments/{name}"
            ),
            "name": name,
            "type": "Microsoft.CognitiveServices/accounts/deployments",
            "sku": {"name": sku, "capacity": capacity},
            "properties": {"model": model},
            "_created": now,
            "_since": now,
            "_used": now,
            "_deleting": None,
            "_serial": self.state.serial(),
        }
        self.state.deployments.put(name, value)
        return value

    def deployment(self, name: str) -> Object | None:
        """Return a deployment that answers: one that is there, is whole, and has appeared."""
        found = self.state.deployments.get(name)
        if found is None or found["_deleting"] or not self.clock.passed(found["_since"], "deploying", "appearing"):
            return None
        return found

    def begin_deletion(self, deployment: Object) -> None:
        """Stop a deployment's meter; it is gone a moment later."""
        deployment["_deleting"] = self.clock.now()
        self.state.deployments.put(deployment["name"], deployment)
        key = f"{deployment['name']}@{deployment['_serial']}"
        self.ledger.write("deployment", key, deleted_at=deployment["_deleting"])

    def _seed(self) -> None:
        """Make the two deployments that a new resource comes with."""
        for name, sku, capacity in (("gpt-4o", "GlobalStandard", 10_000), ("gpt-4o-batch", "GlobalBatch", 5_000_000)):
            if self.state.deployments.get(name) is None:
                model = {"format": "OpenAI", "name": "gpt-4o", "version": "2024-08-06"}
                deployment = self.add_deployment(name, model, sku, capacity)
                deployment["_since"] = 0.0
                self.state.deployments.put(name, deployment)

    # -- what time takes away

    def sweep(self) -> None:
        """Take away what has expired: files, deployments of the developer tier and those long idle."""
        now = self.clock.now()
        if abs(now - self._swept) < 1:
            return
        self._swept = now
        for file in self.state.files.all():
            if now >= file.get("expires_at", now + 1):
                self.state.drop_file(file["id"])
        for upload in self.state.uploads.all():
            if upload["status"] == "pending" and now >= upload["expires_at"]:
                upload["status"] = "expired"
                self.state.uploads.put(upload["id"], upload)
                self.state.drop_parts(upload)
        for deployment in self.state.deployments.all():
            if deployment["_deleting"]:
                if self.clock.passed(deployment["_deleting"], "deleting"):
                    self.state.deployments.delete(deployment["name"])
            elif (deployment["sku"]["name"] == "DeveloperTier" and now >= deployment["_since"] + DAY) or (
                tuned(model_of(deployment)) and now >= deployment["_used"] + 15 * DAY
            ):
                self.begin_deletion(deployment)


def tuned(model: str) -> bool:
    """Tell whether a name is a fine-tuned model's."""
    return ".ft-" in model


def model_of(deployment: Object) -> str:
    """Return the full name of a deployment's model, as chat completions and the list of models give it."""
    model: Object = deployment["properties"]["model"]
    name = str(model["name"])
    return name if tuned(name) or name in BASE_MODELS else f"{name}-{model['version']}"


def service_of(request: Request) -> Service:
    """Return the service that a request is for."""
    service: Service = request.app.state.service
    return service


def client_of(request: Request) -> str:
    """Return who asks, as the ledger names it."""
    return request.headers.get("user-agent", "unknown")[:200]


async def json_body(request: Request, *also: str) -> Object:
    """Return a request's JSON object.

    Args:
        request: the request.
        also: content types that are taken beside `application/json`.

    Raises:
        ApiError: it is none.

    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind not in ("application/json", *also):
        raise ApiError(415, "unsupportedMediaType", f"The content type {kind!r} is not application/json.")
    raw = await request.body()
    try:
        body = await asyncio.to_thread(json.loads, raw) if len(raw) > PARSED_APART else json.loads(raw)
    except (ValueError, RecursionError):
        raise bad_request("The request body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise bad_request("The request body must be a JSON object.")
    return body


def paging(request: Request, default: int = 20, most: int = 100) -> tuple[str | None, int]:
    """Return `after` and `limit` of a list request."""
    try:
        limit = int(request.query_params.get("limit", default))
    except ValueError:
        raise bad_request("limit must be a number.") from None
    if not 1 <= limit <= most:
        raise bad_request(f"limit must be 1 to {most}.")
    return request.query_params.get("after"), limit


def location(request: Request, item_id: str) -> str:
    """Return the address of what a create has made, in the flavour that was called."""
    url = request.url
    return f"{url.scheme}://{url.netloc}{url.path.rstrip('/')}/{item_id}" + (f"?{url.query}" if url.query else "")
