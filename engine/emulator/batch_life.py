"""A batch's life: validating → in_progress → finalizing → completed, or one of the other ends.

Answers are appended to a partial file as they come; a restart asks only what is not in it yet.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from pathlib import Path
from typing import Any

from engine.emulator.answering import complete
from engine.emulator.errors import ApiError
from engine.emulator.limits import batch_errors, json_lines, short
from engine.emulator.service import Service, request_id
from engine.emulator.state import Object

TERMINAL = ("completed", "failed", "expired", "cancelled")
AT_ONCE = 16


def start(service: Service, batch: Object) -> None:
    """Begin a batch's life, or go on with it."""
    service.run(batch["id"], _live(service, batch))


def restart_all(service: Service) -> None:
    """Go on with every batch that had not ended."""
    for batch in service.state.batches.all():
        if batch["status"] not in TERMINAL:
            start(service, batch)


def _enter(service: Service, batch: Object, status: str, **more: Any) -> None:
    batch.update(status=status, **{f"{status}_at": int(time.time())}, **more)
    service.state.batches.put(batch["id"], batch)


async def _live(service: Service, batch: Object) -> None:
    content = service.state.blob(batch["input_file_id"])
    if batch["status"] == "validating":
        await asyncio.sleep(service.dwell)
        skus = {
            d["name"]: d["sku"]["name"]
            for d in service.state.deployments.all()
            if ".ft-" not in d["properties"]["model"]["name"]
        }
        errors, count, deployment = await asyncio.to_thread(batch_errors, content, short(batch["endpoint"]), skus)
        if errors:
            _enter(service, batch, "failed", errors={"object": "list", "data": errors})
            return
        counts = {"total": count, "completed": 0, "failed": 0}
        if batch["status"] == "validating":
            _enter(service, batch, "in_progress", request_counts=counts, _deployment=deployment)
    if batch["status"] == "in_progress":
        await _answer_all(service, batch, content)
    if batch["status"] == "cancelling":
        await asyncio.sleep(service.dwell)
        _write_results(service, batch)
        _enter(service, batch, "cancelled")
        _partial(service, batch).unlink(missing_ok=True)
        return
    if batch["status"] == "in_progress":
        _enter(service, batch, "finalizing")
    if batch["status"] == "finalizing":
        await asyncio.sleep(service.dwell)
        _write_results(service, batch)
        _enter(service, batch, "completed")
        _partial(service, batch).unlink(missing_ok=True)


def _partial(service: Service, batch: Object) -> Path:
    return service.state.folder / f"{batch['id']}.partial.jsonl"


def _read_partial(path: Path) -> dict[str, Object]:
    found = {}
    if path.exists():
        for _, _, line in json_lines(path):
            if line is not None and "custom_id" in line:  # the last line of a killed process may be torn
                found[line["custom_id"]] = line
    return found


async def _answer_all(service: Service, batch: Object, content: Path) -> None:
    path = _partial(service, batch)
    known = await asyncio.to_thread(_read_partial, path)
    deployment = service.state.deployments.get(batch["_deployment"])
    model = deployment["properties"]["model"]["name"] if deployment else ""
    counts = {"total": batch["request_counts"]["total"], "completed": 0, "failed": 0}
    for line in known.values():
        counts["completed" if line["response"]["status_code"] == 200 else "failed"] += 1
    batch["request_counts"] = counts
    requests = json_lines(content)

    with path.open("ab", buffering=0) as out:
        out.write(b"\n")  # ends a torn line

        async def worker() -> None:
            for _, _, request in requests:
                if batch["status"] != "in_progress":
                    return
                if request is None or request["custom_id"] in known:
                    continue
                status, body = 200, {}
                try:
                    body = await complete(service, model, request["body"], urgent=False)
                except ApiError as error:
                    status, body = error.status, error.body
                response = {"request_id": request_id(), "status_code": status, "body": body}
                line = {"custom_id": request["custom_id"], "response": response, "error": None}
                out.write(json.dumps(line).encode() + b"\n")
                counts["completed" if status == 200 else "failed"] += 1

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


def _write_results(service: Service, batch: Object) -> None:
    """Make output and error files (lines in no order), and write the payment down."""
    lines = list(_read_partial(_partial(service, batch)).values())
    random.shuffle(lines)
    good = [line for line in lines if line["response"]["status_code"] == 200]
    bad = [line for line in lines if line["response"]["status_code"] != 200]
    for name, chosen in (("output", good), ("error", bad)):
        # A file that an earlier, killed attempt at this moment has made is kept.
        if chosen and not batch[f"{name}_file_id"]:
            path = service.state.folder / f"{batch['id']}.{name}.partial"
            path.write_text("".join(json.dumps(line) + "\n" for line in chosen), encoding="utf-8")
            made = service.state.add_file(path, f"{batch['id']}_{name}.jsonl", "batch_output", 0.0)
            batch[f"{name}_file_id"] = made["id"]
            service.state.batches.put(batch["id"], batch)
    batch["request_counts"].update(completed=len(good), failed=len(bad))
    usage = [line["response"]["body"]["usage"] for line in good]
    service.state.ledger.write(
        "batch",
        batch["id"],
        requests=len(good),
        prompt_tokens=sum(u["prompt_tokens"] for u in usage),
        completion_tokens=sum(u["completion_tokens"] for u in usage),
    )
