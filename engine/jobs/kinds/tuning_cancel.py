"""Cancels what fine-tuning has on the service: the jobs that were made there, and the files uploaded for them."""

from __future__ import annotations

import asyncio

from engine.azure import files, fine_tuning
from engine.azure.connection import Azure
from engine.azure.patience import patiently
from engine.errors import ServiceError
from engine.jobs.context import Context
from engine.jobs.kinds.fine_tune import (
    OPERATION,
    _Run,
    charge,
    last_events,
    poll_seconds,
    read_events,
    read_status,
    settle,
    upload_name,
)
from engine.jobs.service import connected
from engine.states import Split
from engine.store.files import private_folder

SHOW_SECONDS = 5.0
"""How long a job may take to show in the service's list, once it is there."""


async def cancel(context: Context) -> None:
    """Cancel the job's fine-tuning jobs, wait for their end, and delete what was uploaded for them.

    What was done until then is paid for. The files cost nothing, but count against the resource's quota, and the
    next round uploads its own; a tuned model stays.
    """
    calls = context.store.jobs.open_calls(context.job.id, OPERATION)
    if not calls:
        return
    context.say("cancelling on the service")
    async with connected(context) as azure:
        if None in calls.values():  # a call was cut off: its job may be there
            await asyncio.sleep(min(poll_seconds(azure), SHOW_SECONDS))
        for key, known in calls.items():
            private_folder(context.folder / key)
            tuning_id = known or await _find(context, azure, key)
            if tuning_id is None:
                context.store.jobs.ended(context.job.id, OPERATION, key)
            else:
                await _end(_Run(context, azure, tuning_id, key))
            await _delete_uploads(context, azure, key)


async def _find(context: Context, azure: Azure, key: str) -> str | None:
    """Return the id of the fine-tuning job of a round; None where the service has none."""
    name = upload_name(context, key, Split.TRAIN)
    file_id = await patiently(lambda: files.find(azure, name, "fine-tune"), say=context.say)
    if file_id is None:
        return None
    found = await patiently(lambda: fine_tuning.find(azure, file_id), say=context.say)
    if found is None:
        return None
    context.store.jobs.made(context.job.id, OPERATION, key, found.id)
    return found.id


async def _delete_uploads(context: Context, azure: Azure, key: str) -> None:
    for split in (Split.TRAIN, Split.VAL):
        name = upload_name(context, key, split)
        try:
            file_id = await patiently(lambda n=name: files.find(azure, n, "fine-tune"), say=context.say)  # type: ignore[misc]
            if file_id is not None:
                await files.delete(azure, file_id)
        except ServiceError as error:
            context.say(f"{name} was not deleted from the service: {error.message}", "warning")


async def _end(made: _Run) -> None:
    """Cancel it and wait for its end: what was done until then is paid for."""
    context = made.context
    sent, told = False, ""
    try:
        while not (status := await read_status(made)).terminal:
            if not sent:
                try:
                    await patiently(lambda: fine_tuning.cancel(made.azure, made.id), say=context.say)
                    context.say(f"fine-tuning job {made.id}: cancel sent to the service")
                    sent = True
                except ServiceError as error:
                    if error.status != 409:
                        raise
                    if error.message != told:  # in this state it cannot be cancelled: the next one is waited for
                        told = error.message
                        context.say(f"the service did not cancel it: {error}", "warning")
            await asyncio.sleep(poll_seconds(made.azure))
        await read_events(made)
        if made.step:
            await last_events(made, status)
    except ServiceError as error:
        if error.status != 404:
            raise
        context.say(f"fine-tuning job {made.id} is gone from the service", "warning")
        made.over()
        return
    if status.status == "succeeded":
        usd = charge(made, made.billed or status.trained_tokens or 0, estimated=made.billed is None)
        context.store.jobs.ended(context.job.id, OPERATION, made.key)
        context.say(
            f"fine-tuning job {made.id} had succeeded before the service could cancel it; ${usd:.2f} in total."
            " A resume of the job takes its model.",
            "warning",
        )
        return
    settle(made, status)
