"""Chat completions, in both flavours, and models."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engine.emulator.answering import complete
from engine.emulator.errors import ApiError, not_found
from engine.emulator.service import BASE_MODELS, client_of, json_body, request_id, service_of
from engine.emulator.state import Object


async def chat(request: Request) -> Response:
    """Answer one request. The deployment is looked up before the request is read, as the service does."""
    service = service_of(request)
    body = await json_body(request)
    name = request.path_params.get("deployment") or str(body.get("model"))
    deployment = service.state.deployments.get(name)
    if deployment is None or time.time() < deployment["_answers_at"]:
        raise ApiError(
            404,
            "DeploymentNotFound",
            "The API deployment for this resource does not exist. If you created the deployment within the last"
            " 5 minutes, please wait a moment and try again.",
        )
    if "Batch" in deployment["sku"]["name"]:
        raise ApiError(
            400, "OperationNotSupported", "The chatCompletion operation does not work with a batch deployment."
        )
    completion = await complete(service, deployment["properties"]["model"]["name"], body, urgent=True)
    answer = JSONResponse(completion, headers={"apim-request-id": request_id(), "x-ms-region": "Emulator"})
    if not await request.is_disconnected():  # nobody is there to be charged
        service.state.ledger.write(
            "chat",
            completion["id"],
            deployment=name,
            client=client_of(request),
            prompt_tokens=completion["usage"]["prompt_tokens"],
            completion_tokens=completion["usage"]["completion_tokens"],
        )
    return answer


def _models(request: Request) -> list[Object]:
    names = list(BASE_MODELS)
    names += [j["fine_tuned_model"] for j in service_of(request).state.tunings.all() if j["fine_tuned_model"]]
    return [
        {
            "id": name,
            "object": "model",
            "status": "succeeded",
            "created_at": 0,
            "lifecycle_status": "generally-available",
            "capabilities": {"fine_tune": True, "inference": True, "chat_completion": True, "completion": False},
        }
        for name in names
    ]


async def models(request: Request) -> Response:
    """List models."""
    return JSONResponse({"object": "list", "data": _models(request)})


async def model(request: Request) -> Response:
    """Return one model."""
    name = request.path_params["id"]
    for found in _models(request):
        if found["id"] == name:
            return JSONResponse(found)
    raise not_found("model", name)


DATED = [Route("/deployments/{deployment}/chat/completions", chat, methods=["POST"])]
V1 = [Route("/chat/completions", chat, methods=["POST"])]
ROUTES = [Route("/models", models), Route("/models/{id}", model)]
