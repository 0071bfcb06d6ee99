"""The emulator as a process: one line on stdout says how to reach it, then it serves until stopped."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import re
import resource
import secrets
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvicorn
from filelock import FileLock, Timeout

from engine.emulator import durable
from engine.emulator.app import create_app
from engine.emulator.connection import Connection
from engine.emulator.errors import ApiError
from engine.emulator.service import ACCOUNT, GROUP, SUBSCRIPTION, Service

KEY_VARIABLE = "DOGCLS_EMULATOR_KEY"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def main(argv: list[str] | None = None) -> int:
    """Serve; return the exit code: 0 stopped, 2 the state or the port is in use, or an option is not valid."""
    parser = argparse.ArgumentParser(prog="dogcls-tui emulator", description="A local Azure OpenAI.")
    parser.add_argument("--state", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--cache", type=Path, help="where the exported backbone is kept")
    parser.add_argument("--host", default="127.0.0.1", help="anything but loopback is your own decision")
    parser.add_argument("--port", type=int, default=0, help="0: the last one, or a free one")
    parser.add_argument("--speed", help="real, fast, instant, or how many times as fast as the service")
    parser.add_argument("--no-brain", action="store_true", help="answer at random, without looking")
    parser.add_argument("--quota-minute", type=float, help="seconds that a quota's minute lasts")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=VALUE", help="see README.md")
    parser.add_argument("--idle-exit", type=float, help="seconds without a request or work, then it ends")
    arguments = parser.parse_args(argv)
    os.umask(0o077)
    state: Path = arguments.state.resolve()
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with FileLock(state / "lock", timeout=0):
            return _serve(arguments, state)
    except Timeout:
        print(f"error: {state}: another emulator runs on this state.", file=sys.stderr)
        return 2
    except ApiError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.filename or state}: {error.strerror or error}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


class KeyFilter(logging.Filter):
    """Keeps the key out of a log, tracebacks included."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key

    def filter(self, record: logging.LogRecord) -> bool:
        """Replace the key in one record."""
        record.msg, record.args = record.getMessage().replace(self._key, "…"), ()
        if record.exc_info:
            record.exc_text = logging.Formatter().formatException(record.exc_info).replace(self._key, "…")
        return True


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line says of the settings, as a merge patch.

    Raises:
        ApiError: a fault is not written as NAME=VALUE.

    """
    options: dict[str, Any] = {}
    if arguments.speed is not None:
        options["speed"] = _value(arguments.speed)
    if arguments.no_brain:
        options["brain"] = False
    if arguments.quota_minute is not None:
        options["quota_minute"] = arguments.quota_minute
    faults: dict[str, Any] = {}
    for text in arguments.fault:
        name, equals, value = text.partition("=")
        if not equals:
            raise ApiError(400, "", f"--fault {text}: write NAME=VALUE, such as lost_lines=0.1")
        if name == "calls":  # OPERATION KIND [RATE [TIMES]]
            words = value.split()
            keys = ("operation", "kind", "rate", "times")
            if len(words) not in (2, 3, 4):
                raise ApiError(400, "", f"--fault {text}: write calls=OPERATION KIND [RATE [TIMES]]")
            call = {k: w if k in ("operation", "kind") else _value(w) for k, w in zip(keys, words, strict=False)}
            faults.setdefault("calls", []).append(call)
        else:
            faults[name] = _value(value)
    return options | ({"faults": faults} if faults else {})


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _serve(arguments: argparse.Namespace, state: Path) -> int:
    # Uploads are spooled by the multipart parser: beside the state, not in the system's folder.
    spool = state / "spool"
    spool.mkdir(exist_ok=True, mode=0o700)
    for left in spool.iterdir():
        left.unlink()
    tempfile.tempdir = str(spool)
    key = _key(state)
    service = Service(state, (arguments.cache or state / "cache").resolve(), key, _options(arguments))
    try:
        listener = _bind(arguments.host, arguments.port, state / "port")
    except OSError as error:
        print(f"error: port {arguments.port}: {error.strerror}.", file=sys.stderr)
        return 2
    port = listener.getsockname()[1]
    with contextlib.suppress(OSError):  # a full disk: the next start may find another port
        durable.write(state / "port", str(port).encode())
    if arguments.host not in LOOPBACK:
        print(f"warning: it listens on {arguments.host}: whoever has the key may use it.", file=sys.stderr)
    # Many callers at once are many files open at once.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 65_536), hard), hard))
    config = uvicorn.Config(
        create_app(service),
        http=Connection,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=2,
        lifespan="on",
    )
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).addFilter(KeyFilter(key))
    server = _Server(config, _first_line(arguments.host, port, service), service, arguments.idle_exit)
    server.run(sockets=[listener])
    return 0


class _Server(uvicorn.Server):
    """Uvicorn that says where it is once it listens, and ends when nobody has needed it for long."""

    def __init__(self, config: uvicorn.Config, line: str, service: Service, idle_exit: float | None) -> None:
        super().__init__(config)
        self._line = line
        self._service = service
        self._idle_exit = idle_exit

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._service.last_request = time.monotonic()
        print(self._line, flush=True)
        if self._idle_exit is not None:
            self._idle = asyncio.create_task(self._watch(self._idle_exit))

    async def _watch(self, seconds: float) -> None:
        while time.monotonic() - self._service.last_request < seconds or self._service.tasks:  # noqa: ASYNC110
            await asyncio.sleep(min(seconds, 5.0))
        self.should_exit = True


def _first_line(host: str, port: int, service: Service) -> str:
    url = f"http://{host}:{port}"
    return json.dumps(
        {
            "endpoint": url,
            "arm_endpoint": url,
            "api_key": service.key,
            "deployment": "gpt-4o",
            "batch_deployment": "gpt-4o-batch",
            "subscription": SUBSCRIPTION,
            "resource_group": GROUP,
            "account": ACCOUNT,
            "pid": os.getpid(),
        }
    )


def _key(state: Path) -> str:
    """Return the key: from the environment, else the state's own, made once."""
    given = os.environ.get(KEY_VARIABLE, "").strip()
    if given:
        return given
    path = state / "key"
    kept = path.read_bytes().decode("ascii", "replace").strip() if path.exists() else ""
    if not re.fullmatch(r"[0-9a-f]{64}", kept):
        if path.exists():
            durable.set_aside(path, "no key; a new one is made")
        kept = secrets.token_hex(32)
        durable.write(path, kept.encode())
    return kept


def _bind(host: str, port: int, remembered: Path) -> socket.socket:
    """Return a listening socket: the port that is wanted, else the last one, else a free one."""
    wanted = [port]
    if port == 0 and remembered.exists():
        last_one = remembered.read_bytes().strip()
        known = int(last_one) if last_one.isdigit() and len(last_one) <= 5 else 0
        wanted = [known, 0] if known < 65_536 else [0]
    for last, candidate in enumerate(wanted, start=1):
        # Named, so that asyncio knows it for TCP and turns Nagle's algorithm off: with it on, the second
        # packet of each answer waits 40 ms for the first one's acknowledgement.
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
        except OSError:
            listener.close()
            if last == len(wanted):
                raise
            continue
        return listener
    raise AssertionError("the loop returns or raises")
