"""A batch's life: validating → in_progress → finalizing → completed, or one of the other ends.

Answers are appended to a partial file as they come; a restart asks only what is not in it yet.
"""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from pathlib import Path
from typing import Any, BinaryIO

from engine.emulator.answering import complete
from engine.emulator.asking import parse
from engine.emulator.batch_file import Checked, check, json_lines, loads, short
from engine.emulator.errors import ApiError
from engine.emulator.faults import BEFORE, refusal
from engine.emulator.service import Service, model_of, tuned
from engine.emulator.state import Object

TERMINAL = ("completed", "failed", "expired", "cancelled")
AT_ONCE = 16
_MESSAGES = {"token_limit_exceeded": "The number of enqueued tokens has surpassed the configured limit."}


def start(service: Service, batch: Object) -> None:
    """Begin a batch's life, or go on with it."""
    service.run(batch["id"], service.again_when_there_is_room(batch["id"], lambda: _live(service, batch)))


def restart_all(service: Service) -> None:
    """Go on with every batch that had not ended."""
    for batch in service.state.batches.all():
        if batch["status"] not in TERMINAL:
            start(service, batch)


def enter(service: Service, batch: Object, status: str, **more: Any) -> None:
    """Put a batch into a state, and note when."""
    batch.update(status=status, **{f"{status}_at": int(service.clock.now())}, **more)
    service.state.batches.put(batch["id"], batch)
    service.clock.changed()


async def first_deployment(service: Service, file_id: str) -> str:
    """Return which deployment a batch file's first request names; "" where it names none."""

    def read() -> str:
        with service.state.blob(file_id).open("rb") as file:
            body = (loads(file.readline(2**20)) or {}).get("body")
        return str(body.get("model", "")) if isinstance(body, dict) else ""

    return await asyncio.to_thread(read)


def enqueued_tokens(service: Service, deployment: str) -> int:
    """Return the tokens of all unfinished batches of a deployment."""
    return sum(
        batch["_tokens"]
        for batch in service.state.batches.all()
        if batch["_deployment"] == deployment and batch["status"] not in TERMINAL
    )


async def _live(service: Service, batch: Object) -> None:
    try:
        await _pass_through(service, batch)
    except FileNotFoundError:  # the input file was deleted, or has expired, under the batch's feet
        error = {"code": "invalid_request", "message": "The input file is gone.", "param": None, "line": None}
        enter(service, batch, "failed", errors={"object": "list", "data": [error]})


async def _pass_through(service: Service, batch: Object) -> None:
    content = service.state.blob(batch["input_file_id"])
    if batch["status"] == "validating":
        await service.clock.wait("validating")
        found = await _validated(service, batch, content)
        if found.errors and batch["status"] == "validating":
            enter(service, batch, "failed", errors={"object": "list", "data": found.errors})
            return
        if batch["status"] == "validating":
            counts = {"total": found.count, "completed": 0, "failed": 0}
            batch["_tokens"] = found.tokens
            enter(service, batch, "in_progress", request_counts=counts, _deployment=found.deployment)
    if batch["status"] == "in_progress":
        await _answer_all(service, batch, content)
    if batch["status"] == "in_progress" and _is_late(service, batch):
        end = "expired"
    elif batch["status"] == "cancelling":
        await service.clock.wait("cancelling")
        end = "cancelled"
    else:
        if batch["status"] == "in_progress":
            enter(service, batch, "finalizing")
        await service.clock.wait("finalizing")
        end = "completed"
    await asyncio.to_thread(_write_results, service, batch)
    enter(service, batch, end)
    _partial(service, batch).unlink(missing_ok=True)


def _is_late(service: Service, batch: Object) -> bool:
    return bool(service.clock.now() >= batch["expires_at"])


async def _validated(service: Service, batch: Object, content: Path) -> Checked:
    code = service.control.faults.fail_batch
    if code:
        found = Checked()
        found.add(code, _MESSAGES.get(code, "The batch failed in validation, as the emulator was asked."))
        return found
    skus = {d["name"]: d["sku"]["name"] for d in service.state.deployments.all() if not tuned(model_of(d))}
    found = await asyncio.to_thread(check, content, short(batch["endpoint"]), skus)
    deployment = service.state.deployments.get(found.deployment)
    if deployment and not found.errors:
        limit = deployment["sku"]["capacity"]
        if enqueued_tokens(service, found.deployment) + found.tokens > limit * 1000:
            found.add(
                "token_limit_exceeded",
                f"The number of enqueued tokens has surpassed the configured limit of {limit}K for the deployment"
                f" '{found.deployment}'. Please either increase the limit or try again once the current jobs have"
                " finished.",
            )
    return found


def _partial(service: Service, batch: Object) -> Path:
    return service.state.folder / f"{batch['id']}.partial.jsonl"


def _answered(line: Object) -> bool:
    response = line["response"]
    return response is not None and response["status_code"] == 200


def _read_partial(path: Path) -> tuple[set[str], Object]:
    """Return the ids of what is answered already, and how many of it well and how many not."""
    known: set[str] = set()
    counts = {"completed": 0, "failed": 0}
    if path.exists():
        for _, _, line in json_lines(path):
            if line is not None and "custom_id" in line:  # the last line of a killed process may be torn
                known.add(line["custom_id"])
                counts["completed" if _answered(line) else "failed"] += 1
    return known, counts


async def _answer_all(service: Service, batch: Object, content: Path) -> None:
    path = _partial(service, batch)
    known, done = await asyncio.to_thread(_read_partial, path)
    counts = batch["request_counts"]
    counts.update(done)
    deployment = service.state.deployments.get(batch["_deployment"])
    model = model_of(deployment) if deployment else ""
    requests = json_lines(content)
    with path.open("ab", buffering=0) as out:
        out.write(b"\n")  # ends a torn line

        async def worker() -> None:
            for _, _, request in requests:
                if batch["status"] != "in_progress" or _is_late(service, batch):
                    return
                if request is None or request["custom_id"] in known:
                    continue
                line = {"custom_id": request["custom_id"], **await _line(service, model, request["body"])}
                out.write(json.dumps(line).encode() + b"\n")
                counts["completed" if _answered(line) else "failed"] += 1
                await asyncio.sleep(0)  # others have a turn, though nothing had to be waited for

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


async def _line(service: Service, model: str, body: Object) -> Object:
    """Return what stands in a batch's files for one request."""
    fault = service.control.call("batches.line") or ("500" if service.control.faults.all_failed else None)
    status = 200
    answer: Object
    try:
        if fault in BEFORE:
            raise refusal(fault)
        if fault in ("refuse", "drop", "hang"):  # no connection is there to be broken
            message = "The request was not answered in time."
            return {"response": None, "error": {"code": "request_timeout", "message": message}}
        answer = await complete(service, model, parse(body, model), urgent=False, filtered=fault == "filtered_answer")
    except ApiError as error:
        status, answer = error.status, error.body
    response = {"request_id": str(uuid.uuid4()), "status_code": status, "body": answer}
    return {"response": response, "error": None}


def _write_results(service: Service, batch: Object) -> None:
    """Make output and error files (lines in no order), and write the payment down."""
    path = _partial(service, batch)
    places: dict[str, list[int]] = {"output": [], "error": []}
    usage = {"prompt_tokens": 0, "completion_tokens": 0}
    if path.exists():
        for _, offset, line in json_lines(path):
            if line is None or "custom_id" not in line:
                continue
            places["output" if _answered(line) else "error"].append(offset)
            if _answered(line):
                for name in usage:
                    usage[name] += line["response"]["body"]["usage"][name]
    faults = service.control.faults
    batch["request_counts"].update(completed=len(places["output"]), failed=len(places["error"]))
    for name, offsets in places.items():
        empty = name == "error" and not offsets and bool(places["output"]) and faults.empty_error_file
        # A file that an earlier, killed attempt at this moment has made is kept.
        if (offsets or empty) and not batch[f"{name}_file_id"]:
            kept = [offset for offset in offsets if not service.control.happens(faults.lost_lines)]
            random.shuffle(kept)
            made = _add_results(service, batch, name, path, kept)
            batch[f"{name}_file_id"] = made["id"]
            service.state.batches.put(batch["id"], batch)
    service.ledger.write("batch", batch["id"], requests=len(places["output"]), **usage)


def _add_results(service: Service, batch: Object, name: str, lines: Path, offsets: list[int]) -> Object:
    path = service.state.folder / f"{batch['id']}.{name}.partial"
    with path.open("wb") as out:
        if offsets:
            with lines.open("rb") as found:
                _copy(found, offsets, out)
    keep = batch["_keep"].get("seconds")
    return service.state.add_file(
        path,
        f"{batch['id']}_{name}.jsonl",
        "batch_output",
        ready=True,
        expires_in=None if keep is None else int(keep),
    )


def _copy(found: BinaryIO, offsets: list[int], out: BinaryIO) -> None:
    for offset in offsets:
        found.seek(offset)
        out.write(found.readline())
