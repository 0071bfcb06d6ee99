"""Latency of a contestant that answers in batches: a few single requests, one after another."""

from __future__ import annotations

from typing import Any

from engine.azure import chat
from engine.azure.answers import Answer
from engine.azure.patience import stoppable
from engine.errors import JobError
from engine.jobs.context import Context
from engine.jobs.kinds.asking import Asking, custom_id, image_id
from engine.jobs.service import connected
from engine.quantities import counted


async def run(context: Context) -> dict[str, Any]:
    """Ask about the first test images that were not asked about yet, and store how long each took.

    Raises:
        JobError: the deployment has answered none of them.

    """
    asking = Asking.of(context)
    parameters = context.job.parameters
    known = context.store.predictions.latencies(asking.contestant_id)
    images = asking.images[: parameters["probe"]]
    todo = [image for image in images if image.id not in known]
    done = len(images) - len(todo)
    refusals: list[str] = []

    def on_answer(answer: Answer, _in_flight: int) -> None:
        nonlocal done
        asking.check_model(answer)
        if answer.latency_ms is not None and answer.error is None:
            done += 1
            context.store.predictions.add_latency(
                asking.contestant_id,
                image_id(answer.custom_id),
                answer.latency_ms,
                answer.prompt_tokens,
                answer.completion_tokens,
                total_ms=answer.total_ms,
                attempts=answer.attempts,
                paid=asking.paid(answer),
            )
        elif answer.error:
            refusals.append(answer.error)
            job_id, charge = asking.paid(answer)
            context.store.jobs.add_to(job_id, asking.contestant_id, charge)
            context.say(f"{answer.custom_id}: {answer.error}", "warning")
        context.progress(done, len(images), "")

    async with connected(context) as azure:
        await stoppable(chat.warm_up(azure, parameters["deployment"]), context.check)
        await chat.score(
            azure,
            parameters["deployment"],
            ((custom_id(image), asking.body(image, parameters["deployment"])) for image in todo),
            concurrency=1,
            on_answer=on_answer,
            stop=context.asked,
            say=context.say,
        )
    context.check()
    measured = context.store.predictions.latencies(asking.contestant_id).keys() & {image.id for image in images}
    if images and not measured:
        raise JobError(
            f"Deployment {parameters['deployment']} answered none of {counted(len(images), 'request')}"
            f"{f': {refusals[0]}' if refusals else ''}.",
            "Correct AZURE_OPENAI_DEPLOYMENT_NAME, or wait until the deployment answers; then resume the job.",
        )
    return {"requests": len(images), "measured": len(measured)}
