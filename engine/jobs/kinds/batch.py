"""Zero-shot through the Batch API, in rounds.

A round asks about all images without a final answer; it is over when every batch of it has ended, however it
ended. What failed or is missing then is asked again, as the user chose: in a smaller batch, in real time, or
not at all. A job that is resumed goes on with its round; one that is resumed after its rounds ended
(cancelled, expired, some requests failed) starts another for what is left.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from engine.azure import chat
from engine.azure.answers import Answer
from engine.azure.batches import read_output
from engine.azure.connection import Azure
from engine.azure.patience import stoppable
from engine.errors import JobError
from engine.jobs.context import Context
from engine.jobs.kinds.asking import Asking, custom_id
from engine.jobs.kinds.collecting import Collector
from engine.jobs.kinds.rounds import Round
from engine.jobs.service import connected
from engine.quantities import agrees, counted
from engine.states import Outcome
from engine.store.files import private_folder

MORE_ROUNDS = 2


async def run(context: Context) -> dict[str, Any]:
    """Ask about every test image, and store what came back."""
    asking = Asking.of(context)
    if asking.left():
        async with connected(context) as azure:
            await asyncio.to_thread(_read_again, asking, azure)
            if asking.left():
                await _ask(asking, azure)
    return _finish(asking)


def _read_again(asking: Asking, azure: Azure) -> None:
    """Store and charge the answers of batches that the store does not know, as after it was restored from a copy."""
    context, left = asking.context, asking.left()
    known = set(context.store.jobs.intents(context.job.id, "batch").values())
    for path in sorted(context.folder.glob("round-*/output-*.jsonl")):
        batch_id = path.stem.removeprefix("output-")
        if batch_id in known:
            continue
        Collector(asking, azure, path.parent, 0.0).store([path])
        answers = list(read_output([path]))
        tokens = sum(a.prompt_tokens for a in answers), sum(a.completion_tokens for a in answers)
        charge = asking.charge(f"batch:{batch_id}", *tokens, batch=True)
        context.store.jobs.record(context.job.id, asking.contestant_id, charge)
    if read := left - asking.left():
        context.say(
            f"{counted(read, 'answer')} of earlier rounds read again, because the store did not have them", "warning"
        )


async def cancel(context: Context) -> None:
    """Cancel the batches that have not ended, and keep what they answered: that is paid for."""
    if not context.store.jobs.open_calls(context.job.id, "batch"):
        return
    asking = Asking.of(context)
    async with connected(context) as azure:
        await Round(asking, azure, _folder(context.folder)).cancel()


async def _ask(asking: Asking, azure: Azure) -> None:
    context = asking.context
    retry = context.job.parameters.get("retry", "batch")
    for number in range(1 + MORE_ROUNDS):
        if retry == "realtime" and _batches_are_over(context.folder):
            break
        round_ = Round(asking, azure, _folder(context.folder))
        await stoppable(round_.finish(), context.check)
        left = asking.left()
        if not left or retry == "none" or (left == asking.count and not round_.cut_short):
            return  # where all were tried and none was answered, the same once more will not help
        if not round_.requests:
            break  # of what is left no file can be read
        if number < MORE_ROUNDS and retry == "batch":
            context.say(
                f"{left:,} of {counted(asking.count, 'image')} {agrees(left, 'has', 'have')} no answer:"
                " queried again, in a batch"
            )
    if retry == "realtime":
        await _ask_now(asking, azure)


def _folder(folder: Path) -> Path:
    """Return the folder of the round to go on with: the last one, or a new one if that is over."""
    number = 1
    while (folder / f"round-{number}" / "over").exists():
        number += 1
    return private_folder(folder / f"round-{number}")


def _batches_are_over(folder: Path) -> bool:
    """Tell whether only what batches left unanswered is left: the last round came to an end of its own."""
    ended = sorted(folder.glob("round-*/over"), key=lambda path: int(path.parent.name.removeprefix("round-")))
    going_on = (_folder(folder) / "shards.json").exists()
    return bool(ended) and not going_on and ended[-1].read_text(encoding="utf-8") != "cancelled"


async def _ask_now(asking: Asking, azure: Azure) -> None:
    """Ask about what is left in real time; it costs twice as much and takes seconds."""
    context = asking.context
    deployment = context.job.parameters.get("realtime")
    total, done = asking.count, asking.count - asking.left()
    if not deployment or done == total:
        return
    context.say(
        f"{total - done:,} of {counted(total, 'image')} {agrees(total - done, 'has', 'have')} no answer:"
        " queried in real time"
    )

    def on_answer(answer: Answer, *_: object) -> None:
        nonlocal done
        prediction = asking.prediction(answer, answer.latency_ms)
        done += prediction.outcome != Outcome.FAILED
        context.store.predictions.add(asking.contestant_id, [prediction], paid=asking.paid(answer))
        context.progress(done, total, "in real time")

    await chat.score(
        azure,
        deployment,
        ((custom_id(image), asking.body(image, deployment)) for image in asking.remaining()),
        concurrency=context.job.parameters.get("concurrency", 8),
        on_answer=on_answer,
        stop=context.asked,
        say=context.say,
    )
    context.check()


def _finish(asking: Asking) -> dict[str, Any]:
    context = asking.context
    left = asking.left()
    if left == asking.count:
        error = context.store.predictions.an_error(asking.contestant_id)
        raise JobError(
            f"No request of the batch was answered{f': {error}' if error else ''}.", "Resume the job to ask again."
        )
    if left:
        context.say(
            f"{counted(left, 'image')} {agrees(left, 'has', 'have')} no answer, which counts as wrong;"
            " a resume queries again",
            "warning",
        )
    filtered = context.store.predictions.counts(asking.contestant_id).get(Outcome.FILTERED, 0)
    if filtered:
        context.say(
            f"the content filter stopped {counted(filtered, 'image')}; that is final, and counts as wrong",
            "warning",
        )
    context.progress(asking.count - left, asking.count, "")
    return {"images": asking.count, "unanswered": left}
