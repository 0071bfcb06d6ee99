"""Chat completions, in both flavours."""

from __future__ import annotations

import asyncio
import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from engine.emulator.answering import complete
from engine.emulator.asking import parse
from engine.emulator.errors import ApiError, invalid
from engine.emulator.routes.calls import operation
from engine.emulator.service import client_of, json_body, model_of, service_of, tuned

ASSUMED_ANSWER = 16
"""Tokens that the quota's estimate puts in for an answer whose length is not limited."""


async def chat(request: Request) -> Response:
    """Answer one request. The deployment is looked up before the request is read, as the service does."""
    service = service_of(request)
    began = time.monotonic()
    body = await json_body(request)
    name = request.path_params.get("deployment") or body.get("model")
    if not isinstance(name, str):
        raise invalid("you must provide a model parameter", "model")
    deployment = service.deployment(name)
    if deployment is None:
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
    model = model_of(deployment)
    question = parse(body, model)
    estimate = question.prompt_tokens + (question.max_tokens or ASSUMED_ANSWER)
    headers = service.quota.take(deployment, estimate, request.query_params.get("api-version", "v1"))
    deployment["_used"] = service.clock.now()
    filtered = getattr(request.state, "filtered", False)
    completion = await complete(service, model, question, urgent=True, filtered=filtered)
    if (left := began + service.control.latency(tuned(model)) - time.monotonic()) > 0:
        await asyncio.sleep(left)
    if not request.scope["extensions"]["gone"]():  # else nobody is there to be charged
        usage = completion["usage"]
        service.ledger.chat(name, client_of(request), usage["prompt_tokens"], usage["completion_tokens"])
    return JSONResponse(completion, headers=headers)


DATED = [operation("chat", "POST", "/deployments/{deployment}/chat/completions", chat)]
V1 = [operation("chat", "POST", "/chat/completions", chat)]
