"""The emulator while it runs: its speed, its faults, its ledger. `Engine.emulation` holds one.

To us it is a server like any other: this talks to it over its socket, with its key, which never leaves.
Looking never starts it; setting something does.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine import dials
from engine.errors import InputError, NotFoundError, ServiceError, ServiceUnavailable
from engine.events import CallFault, EmulatorFaults, EmulatorSettings, EmulatorView, Payment
from engine.failures import door
from engine.jobs import embedded
from engine.jobs.paths import Home, open_home

DEMO = "demo"
LOOK_SECONDS = 2.0
"""How long a sign of life is waited for: it is asked for again and again."""
ANSWER_SECONDS = 15.0
LEAVING_SECONDS = 5.0
"""How long an emulator that is just ending is waited for, before it is given up."""
Json = dict[str, Any]


@door
class Emulation:
    """The emulator of one home; there is one for the profile `demo` alone."""

    def __init__(self, home: Home, profile: str, *, readonly: bool = False) -> None:
        self._home = home
        self._profile = profile
        self._readonly = readonly

    async def view(self) -> EmulatorView:
        """Return whether it runs, and which faults are on. Costs little, starts nothing, raises nothing."""
        return await asyncio.to_thread(self._view)

    async def settings(self) -> EmulatorSettings | None:
        """Return its settings; None while it is not running.

        Raises:
            NotFoundError: the profile is another one than `demo`.
            ServiceError: it gives no answer.

        """
        found = await asyncio.to_thread(self._look, "settings")
        return None if found is None else _settings(found)

    async def ledger(self) -> tuple[Payment, ...] | None:
        """Return what it was paid for, oldest first; None while it is not running. Raises as `settings` does."""
        found = await asyncio.to_thread(self._look, "ledger")
        return None if found is None else _payments(found)

    async def set(self, patch: Mapping[str, Any]) -> EmulatorSettings:
        """Change settings at once; return them all. It is started if it is not running: up to a minute.

        Args:
            patch: a JSON merge patch (RFC 7396) of the settings, null restoring a default; see
                `emulator_patch`. An empty one only starts it.

        Raises:
            InputError: it refuses them, and says why; nothing has changed then.
            ReadOnlyError: this engine only looks.
            NotFoundError: the profile is another one than `demo`.
            ServiceError: it would not start, or gives no answer.

        """
        if self._readonly:
            raise self._home.refusal()
        self._ours()
        return _settings(await asyncio.to_thread(self._change, dict(patch)))

    # -- in threads

    def _ours(self) -> None:
        if self._profile != DEMO:
            raise NotFoundError(
                f"The profile {self._profile!r} does not talk to the embedded emulator.", "Choose --profile demo."
            )

    def _view(self) -> EmulatorView:
        place = embedded.running(self._home) if self._profile == DEMO else None
        if place is None:
            return EmulatorView(running=False)
        view = EmulatorView(running=True, address=urlsplit(place.endpoint).netloc)
        try:
            found = _call(place, "GET", "health", LOOK_SECONDS)
        except (ServiceError, OSError):  # it is ending, or too busy for it just now
            return view
        return replace(view, under_way=_int(found.get("under_way")), active=_names(found.get("active")))

    def _look(self, what: str) -> Json | None:
        self._ours()
        place = embedded.running(self._home)
        if place is None:
            return None
        try:
            return _call(place, "GET", what, ANSWER_SECONDS)
        except ConnectionRefusedError:  # it is ending
            return None
        except OSError:
            raise self._silent() from None

    def _change(self, patch: Json) -> Json:
        until = time.monotonic() + LEAVING_SECONDS
        while True:
            place = embedded.ensure(self._home)
            try:
                # Asked for and set apart: to start it is no reason to write its settings.
                return _call(place, "PATCH" if patch else "GET", "settings", ANSWER_SECONDS, patch)
            except ConnectionError:  # it is ending: the next one takes over from it
                if time.monotonic() > until:
                    raise self._silent() from None
                time.sleep(0.2)
            except OSError:
                raise self._silent() from None

    def _silent(self) -> ServiceUnavailable:
        log = self._home.logs / "emulator.log"
        return ServiceUnavailable("The embedded emulator gives no answer.", f"Try again; its log is {log}.")


def _call(place: embedded.Embedded, method: str, what: str, seconds: float, body: Json | None = None) -> Json:
    """Make one request, straight to the loopback: no proxy of the environment is asked.

    Raises:
        InputError: 400; the emulator's own words.
        ServiceError: any other refusal, or an answer that is none.
        OSError: no answer.

    """
    from http.client import HTTPConnection, HTTPException  # not before the first paint

    url = urlsplit(place.endpoint)
    connection = HTTPConnection(url.hostname or "", url.port, timeout=seconds)
    headers = {"api-key": place.api_key, "Content-Type": "application/merge-patch+json"}
    try:
        connection.request(method, f"/emulator/{what}", json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        status, raw = answer.status, answer.read()
    except HTTPException as error:
        raise ConnectionError(type(error).__name__) from None
    finally:
        connection.close()
    try:
        found = json.loads(raw)
    except ValueError:
        found = None
    if status == HTTPStatus.OK and isinstance(found, dict):
        return found
    refusal = found.get("error") if isinstance(found, dict) else None
    told = str(refusal.get("message", "")) if isinstance(refusal, dict) else ""
    if status == HTTPStatus.BAD_REQUEST and told:
        raise InputError(f"The emulator refuses this: {told}")
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED):
        raise ServiceError(
            "The running emulator is of another version and has no settings.",
            f"End process {place.pid}; the next job starts a new one.",
            status=status,
        )
    raise ServiceError(f"The emulator answered {status}. {told}".strip(), status=status)


# -- what it says, as views; what is missing or of another kind counts as its default


def _settings(found: Json) -> EmulatorSettings:
    faults = found.get("faults")
    faults = faults if isinstance(faults, dict) else {}
    speed, minute, latency = found.get("speed"), found.get("quota_minute"), faults.get("latency")
    fail_batch = faults.get("fail_batch")
    return EmulatorSettings(
        speed=float(speed) if isinstance(speed, int | float) else str(speed or "fast"),
        brain=found.get("brain") is not False,
        quota_minute=None if minute is None else _float(minute),
        faults=EmulatorFaults(
            latency=latency if latency is None or isinstance(latency, str) else _float(latency),
            calls=tuple(_call_fault(call) for call in _rows(faults, "calls")),
            lost_lines=_float(faults.get("lost_lines")),
            all_failed=faults.get("all_failed") is True,
            empty_error_file=faults.get("empty_error_file") is True,
            fail_batch=None if fail_batch is None else str(fail_batch),
            skipped_images=_float(faults.get("skipped_images")),
            fail_training=faults.get("fail_training") is True,
            clock_offset=_float(faults.get("clock_offset")),
        ),
        active=_names(found.get("active")),
    )


def _call_fault(call: Json) -> CallFault:
    times = call.get("times")
    return CallFault(
        str(call.get("operation", "*")),
        str(call.get("kind", "")),
        _float(call.get("rate", 1.0)),
        None if times is None else _int(times),
    )


def _payments(found: Json) -> tuple[Payment, ...]:
    payments = [
        *(_payment("batch", row, id=_str(row, "id")) for row in _rows(found, "batches")),
        *(
            _payment("fine-tuning", row, id=_str(row, "id"), name=_str(row, "suffix"))
            for row in _rows(found, "fine_tuning_jobs")
        ),
        *(
            _payment("deployment", row, id=_str(row, "id"), name=_str(row, "name"), until=row.get("deleted_at"))
            for row in _rows(found, "deployments")
        ),
        *(
            _payment("chat", row, name=_str(row, "deployment"), at=row.get("first_at"), until=row.get("last_at"))
            for row in _rows(found, "chats")
        ),
    ]
    return tuple(sorted(payments, key=lambda payment: payment.at))


def _payment(kind: str, row: Json, **more: Any) -> Payment:
    at, until = more.pop("at", row.get("at")), more.pop("until", None)
    return Payment(
        kind=kind,
        at=_float(at),
        until=None if until is None else _float(until),
        client=_str(row, "client"),
        model=_str(row, "model"),
        requests=_int(row.get("requests")),
        prompt_tokens=_int(row.get("prompt_tokens")),
        completion_tokens=_int(row.get("completion_tokens")),
        training_tokens=_int(row.get("billed_tokens")),
        **more,
    )


def _rows(found: Json, name: str) -> list[Json]:
    rows = found.get(name)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _names(found: object) -> tuple[str, ...]:
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _str(row: Json, name: str) -> str:
    return str(row.get(name) or "")


def _int(found: object) -> int:
    return int(found) if isinstance(found, int | float) else 0


def _float(found: object) -> float:
    return float(found) if isinstance(found, int | float) else 0.0


def emulator_command(
    home: Path | None,
    state: Path | None = None,
    *,
    host: str | None = None,
    port: int = 0,
    speed: str | None = None,
    brain: bool = True,
    faults: tuple[str, ...] = (),
    quota_minute: float | None = None,
) -> list[str]:
    """Return the command line of a stand-alone emulator. What is not given stays as its state has it.

    Args:
        state: its folder; one of the home's unless given, never the embedded emulator's.
        speed: `real`, `fast`, `instant`, or how many times as fast as the service.
        brain: False: it answers at random, without looking.
        faults: NAME=VALUE each, as `emulator_patch` takes them.

    Raises:
        InputError: a speed or a fault is not understood; the emulator itself checks the rest.

    """
    place = open_home(home)
    if place.readonly:
        raise place.refusal("No emulator is started")
    folder = state.resolve() if state else place.root / "emulator-standalone"
    arguments = ["--state", str(folder), "--cache", str(place.cache), "--port", str(port)]
    if host is not None:
        arguments += ["--host", host]
    pace = None if speed is None else dials.value_of("speed", speed)
    if pace is not None:
        arguments += ["--speed", str(pace)]
    if not brain:
        arguments.append("--no-brain")
    if quota_minute is not None:
        arguments += ["--quota-minute", f"{quota_minute:g}"]
    for fault in faults:
        arguments += _options(fault)
    return [sys.executable, "-P", "-m", "engine.emulator", *arguments]


def _options(fault: str) -> list[str]:
    """Return NAME=VALUE as the emulator's own command line takes it.

    Raises:
        InputError: it cannot be read.

    """
    names = [dial.name for dial in dials.DIALS if dial.fault]
    name, equals, text = fault.partition("=")
    if not equals or name not in names:
        raise InputError(f"--fault {fault}: write NAME=VALUE, as in lost_lines=5%.", f"Names: {', '.join(names)}.")
    value = dials.value_of(name, text)
    if name != "calls" or value is None:
        return ["--fault", f"{name}={json.dumps(value)}"]
    options = []
    for call in value:
        options += ["--fault", f"calls={' '.join(str(part) for part in call.values())}"]
    return options
