"""What all routes share: state, brain, pace, and the tasks under way."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import Request

from engine.emulator.brain.tuning import Head
from engine.emulator.brain.vision import Vision
from engine.emulator.errors import bad_request
from engine.emulator.state import Object, State

SUBSCRIPTION = "00000000-0000-4000-8000-000000000000"
GROUP = ACCOUNT = "emulator"
BASE_MODELS = ("gpt-4o-2024-08-06", "gpt-4.1-2025-04-14")
TUNED_DEPLOYMENTS = 5
DWELL = {"instant": 0.0, "fast": 0.25, "real": 60.0}
"""Seconds that an object stays in a state that is mere waiting. The work itself takes what it takes."""


@dataclass
class Service:
    """One running emulator."""

    state: State
    vision: Vision
    key: str
    speed: str
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)
    last_request: float = field(default_factory=time.monotonic)

    @property
    def dwell(self) -> float:
        """Seconds of waiting in a state."""
        return DWELL[self.speed]

    def run(self, key: str, work: Coroutine[Any, Any, None]) -> None:
        """Start a task of an object's life; there is one an object at most."""
        task = asyncio.create_task(work)
        self.tasks[key] = task
        task.add_done_callback(lambda _: self.tasks.pop(key, None))

    def head(self, model: str) -> Head | None:
        """Return a tuned model's head, or None for a base model."""
        if model in BASE_MODELS or ".ft-" not in model:
            return None
        if model not in self.heads:
            self.heads[model] = Head.load(self.model_path(model))
        return self.heads[model]

    def model_path(self, model: str) -> Path:
        """Return where a tuned model is kept."""
        folder = self.state.folder / "models"
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder / f"{model.replace(':', '@')}.npz"

    def knows_model(self, model: str) -> bool:
        """Tell whether there is a base or tuned model of this name."""
        return model in BASE_MODELS or (".ft-" in model and "/" not in model and self.model_path(model).exists())

    def add_deployment(self, name: str, model: str, sku: str, capacity: int, client: str) -> Object:
        """Add a deployment that is `Accepted` now, `Succeeded` soon, and answers a moment later."""
        now = time.time()
        value = {
            "id": (
                f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.CognitiveServices"
                f"/accounts/{ACCOUNT}/deployments/{name}"
            ),
            "name": name,
            "type": "Microsoft.CognitiveServices/accounts/deployments",
            "sku": {"name": sku, "capacity": capacity},
            "properties": {"model": {"format": "OpenAI", "name": model, "version": "1"}},
            "_ready_at": now + self.dwell,
            "_answers_at": now + 2 * self.dwell,
            "_serial": time.time_ns(),
        }
        self.state.deployments.put(name, value)
        return value

    def seed(self) -> None:
        """Make the two deployments that a new resource comes with."""
        for name, sku in (("gpt-4o", "GlobalStandard"), ("gpt-4o-batch", "GlobalBatch")):
            if self.state.deployments.get(name) is None:
                deployment = self.add_deployment(name, BASE_MODELS[0], sku, 1000, "emulator")
                deployment |= {"_ready_at": 0.0, "_answers_at": 0.0}
                self.state.deployments.put(name, deployment)


def service_of(request: Request) -> Service:
    """Return the service that a request is for."""
    service: Service = request.app.state.service
    return service


def client_of(request: Request) -> str:
    """Return who asks, as the ledger names it."""
    return request.headers.get("user-agent", "unknown")[:200]


async def json_body(request: Request) -> Object:
    """Return a request's JSON object.

    Raises:
        ApiError: it is none.

    """
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        raise bad_request("The request body is not valid JSON.") from None
    if not isinstance(body, dict):
        raise bad_request("The request body must be a JSON object.")
    return body


def paging(request: Request, default: int = 20) -> tuple[str | None, int]:
    """Return `after` and `limit` of a list request."""
    try:
        limit = int(request.query_params.get("limit", default))
    except ValueError:
        raise bad_request("limit must be a number.") from None
    if not 1 <= limit <= 10_000:
        raise bad_request("limit is out of range.")
    return request.query_params.get("after"), limit


def request_id() -> str:
    """Return a new request id in the service's shape."""
    raw = secrets.token_hex(16)
    return f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"
