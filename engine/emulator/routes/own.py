"""What the real service has not: the ledger and a sign of life."""

from __future__ import annotations

from collections import Counter

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engine.emulator.service import service_of


async def ledger(request: Request) -> Response:
    """Return everything that was paid for, by client and time."""
    rows = service_of(request).state.ledger
    chats = list(rows.rows("chat"))
    groups: dict[tuple[str, str], list[dict[str, object]]] = {}
    for row in chats:
        groups.setdefault((row["deployment"], row["client"]), []).append(row)
    return JSONResponse(
        {
            "batches": list(rows.rows("batch")),
            "fine_tuning_jobs": list(rows.rows("fine_tuning_job")),
            "deployments": list(rows.rows("deployment")),
            "chat_requests": {
                "total": len(chats),
                "by_deployment": Counter(row["deployment"] for row in chats),
                "by_client": Counter(row["client"] for row in chats),
            },
            "chats": [
                {
                    "deployment": deployment,
                    "client": client,
                    "requests": len(found),
                    "first_at": found[0]["at"],
                    "last_at": found[-1]["at"],
                    "prompt_tokens": sum(int(str(r["prompt_tokens"])) for r in found),
                    "completion_tokens": sum(int(str(r["completion_tokens"])) for r in found),
                }
                for (deployment, client), found in groups.items()
            ],
        }
    )


async def health(request: Request) -> Response:
    """Say that it lives, and at what pace."""
    service = service_of(request)
    return JSONResponse({"status": "ok", "emulator": True, "speed": service.speed, "under_way": len(service.tasks)})


ROUTES = [Route("/emulator/ledger", ledger), Route("/emulator/health", health)]
