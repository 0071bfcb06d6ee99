"""Real-time scoring of the test images: what a fine-tuned model needs, as it cannot be used in a batch.

The first requests go one after another, and the latency that is compared is taken from those alone; the rest
go as many at a time as the deployment keeps up with. Each answer is stored as it comes, so that a kill loses
only what was in flight.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from engine.azure import chat
from engine.azure.answers import Answer
from engine.azure.connection import Azure
from engine.azure.pace import Pace
from engine.azure.patience import stoppable
from engine.errors import JobError, ServiceError
from engine.jobs.context import Context
from engine.jobs.kinds.asking import Asking, custom_id
from engine.jobs.kinds.deploy import charge_hours, close_if_gone, ensure_deployed, take_down
from engine.jobs.service import connected
from engine.quantities import agrees, counted
from engine.states import JobKind, Outcome
from engine.store.datasets import StoredImage

METER_SECONDS = 1.0
"""How often the cost so far is written down."""


async def run(context: Context) -> dict[str, Any]:
    """Ask about every test image; delete the deployment that was made for it, unless told to keep it."""
    asking = Asking.of(context)
    deployed = next(
        (n.result for n in context.store.jobs.needed(context.job.id) if n.result and n.kind == JobKind.DEPLOY),
        None,
    )
    name = deployed["deployment"] if deployed else context.job.parameters.get("deployment")
    if name is None:
        raise JobError(f"Job {context.job.id} has no deployment to ask.")
    async with connected(context) as azure:
        try:
            if asking.unsettled():
                if deployed:
                    await ensure_deployed(context, azure, name, deployed["tuned_model"], _folder(asking, deployed))
                await _ask_all(asking, azure, name, deployed)
        except ServiceError:
            if deployed:  # it may have been deleted by another hand
                await close_if_gone(context, azure, name, context.home.job(deployed["job"]))
            raise
        finally:
            _charge(asking, deployed)
        unsettled = len(asking.unsettled())
        if unsettled == len(asking.images):
            reason = context.store.predictions.an_error(asking.contestant_id)
            message = f"Deployment {name} answered no request{f': {reason}' if reason else ''}."
            raise JobError(message, "Correct the cause, then resume the job.")
        if deployed and not context.job.parameters.get("keep_deployment"):
            job = context.store.jobs.get(deployed["job"])
            await stoppable(take_down(context.store, context.home, azure, job, context.say), context.check)
    if unsettled:
        context.say(
            f"{counted(unsettled, 'image')} {agrees(unsettled, 'has', 'have')} no answer, which counts as wrong;"
            " a resume queries again",
            "warning",
        )
    return {"images": len(asking.images), "unanswered": unsettled}


async def cancel(context: Context) -> None:
    """Delete the deployment that was made for this job, unless another job needs it; the answers are kept."""
    for number in context.store.jobs.idle_deployments(context.job.id):
        context.say("cancelling on the service")
        async with connected(context) as azure:
            await take_down(context.store, context.home, azure, context.store.jobs.get(number), context.say)


async def _ask_all(asking: Asking, azure: Azure, deployment: str, deployed: dict[str, Any] | None) -> None:
    context = asking.context
    todo = asking.unsettled()
    total = len(asking.images)
    done = total - len(todo)
    charged_at = -math.inf
    alone = asking.context.job.parameters["probe"] - len(context.store.predictions.latencies(asking.contestant_id))

    pace = Pace(1)  # one for both parts: what the single requests are told of the limits, the others keep to

    def on_answer(answer: Answer, in_flight: int) -> None:
        nonlocal done, charged_at
        prediction = asking.prediction(answer, answer.latency_ms)
        done += prediction.outcome != Outcome.FAILED
        context.store.predictions.add(asking.contestant_id, [prediction], paid=asking.paid(answer))
        if pace.most == 1 and answer.latency_ms is not None and answer.error is None:
            context.store.predictions.add_latency(
                asking.contestant_id,
                prediction.image_id,
                answer.latency_ms,
                total_ms=answer.total_ms,
                attempts=answer.attempts,
            )
        if answer.error:
            context.say(f"{answer.custom_id}: {answer.error}", "warning")
        context.progress(done, total, f"{in_flight} at a time")
        if time.monotonic() - charged_at > METER_SECONDS:
            charged_at = time.monotonic()
            _charge(asking, deployed)

    async def ask(images: list[StoredImage], concurrency: int) -> None:
        await chat.score(
            azure,
            deployment,
            ((custom_id(image), asking.body(image, deployment)) for image in images),
            concurrency=concurrency,
            on_answer=on_answer,
            stop=context.asked,
            say=context.say,
            pace=pace,
        )
        context.check()

    context.progress(done, total, "")
    await stoppable(chat.warm_up(azure, deployment), context.check)
    await ask(todo[: max(0, alone)], 1)
    await ask(todo[max(0, alone) :], context.job.parameters["concurrency"])
    if pace.refused:
        context.say(
            f"{counted(pace.refused, 'request')} {agrees(pace.refused, 'was', 'were')} refused as too many, and"
            " made again"
        )


def _folder(asking: Asking, deployed: dict[str, Any]) -> Path:
    """Return the folder of the job that made the deployment."""
    context = asking.context
    return context.home.job(context.store.jobs.get(deployed["job"]))


def _charge(asking: Asking, deployed: dict[str, Any] | None) -> None:
    """Charge the deployment's hours so far."""
    context = asking.context
    if deployed is not None:
        charge_hours(context.store, context.home, context.store.jobs.get(deployed["job"]))
