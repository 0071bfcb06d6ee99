"""The article's sequence of calls, with the plain clients: `python -m tests.contract.article --flavour v1 --client async`.

It runs on an emulator that it starts, or with DOGCLS_CONTRACT=azure on the resource that the environment names (see
conftest.py), where it costs money and says so first. It prints a line a step, and ends with 1 at the first deviation.
"""

import argparse
import asyncio
import contextlib
import csv
import io
import json
import sys
import tempfile
import time
from pathlib import Path

import openai
from azure.core.exceptions import AzureError

from tests.contract.places import CLIENTS, FLAVOURS, ON_AZURE, Place
from tests.contract.steps import (
    BASE,
    EXPIRY,
    SCHEMA,
    deploy,
    deployment_body,
    ended_batch,
    ended_job,
    example,
    first_answer,
    items,
    line,
    lines_of,
    pictures,
    question,
    remove,
    settle,
    start_job,
    until,
)
from tests.pictures import kennel

TRAIN, VALIDATION, TEST = range(10), range(10, 12), range(12, 16)
EPOCHS = 2
COLUMNS = {"step", "train_loss", "train_mean_token_accuracy", "valid_loss"}


class Deviation(AssertionError):
    """The service did something else than the page says."""


def expect(holds, what):
    """Stop at the first deviation."""
    if not holds:
        raise Deviation(what)


def write_jsonl(path, rows):
    """Write rows as the notebooks do, one JSON text a line."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")
    return path


class Sequence:
    """One run: its place, its clients, and what it has said so far."""

    def __init__(self, place, client, arm, dogs, folder, say=print):
        self.place, self.client, self.arm, self.dogs, self.folder = place, client, arm, dogs, folder
        self.started = time.monotonic()
        self._say = say
        self.files = []

    def say(self, text):
        """Print a step with the seconds since the start."""
        self._say(f"{time.monotonic() - self.started:8.1f} s  {text}")

    def warn_of_cost(self, text):
        """Say what the next step costs, where that is money."""
        if not self.place.emulated:
            self.say(f"costs money: {text}")

    async def upload(self, path, purpose, **more):
        """Upload a file, and poll until the service can use it."""
        with path.open("rb") as content:
            made = await settle(self.client.files.create(file=content, purpose=purpose, **more))
        self.files.append(made.id)
        expect(made.id.startswith("file-") and made.purpose == purpose, f"an uploaded file is {made}")
        if more:
            expect(made.expires_at == made.created_at + 1209600, f"the expiry is {made.expires_at}, not two weeks on")
        ready = await until(
            lambda: self.client.files.retrieve(made.id),
            lambda file: file.status in ("processed", "error"),
            every=self.place.look,
            patience=self.place.patience,
        )
        expect(ready.status == "processed", f"{path.name} ends as {ready.status}: {ready.status_details}")
        expect(ready.bytes == path.stat().st_size, f"{path.name} has {ready.bytes} bytes at the service")
        self.say(f"{path.name}: {ready.bytes} bytes are {ready.id}")
        return ready

    async def zero_shot(self):
        """Ask the untouched model about the test images, in a batch; return its accuracy."""
        chosen = pictures(self.dogs, TEST)
        rows = [
            line(f"test-{n}", self.place.batch_deployment, question(path), response_format=SCHEMA, temperature=0)
            for n, (_, path) in enumerate(chosen)
        ]
        self.warn_of_cost(f"{len(rows)} questions in a batch, less than a cent at $1.25 a million tokens")
        file = await self.upload(write_jsonl(self.folder / "batch.jsonl", rows), "batch", extra_body=EXPIRY)
        batch = await settle(
            self.client.batches.create(input_file_id=file.id, endpoint="/chat/completions", completion_window="24h")
        )
        expect(batch.id.startswith("batch_"), f"a batch is named {batch.id}")
        self.say(f"{batch.id} is {batch.status}")
        batch = await ended_batch(self.client, self.place, batch)
        expect(batch.status == "completed", f"the batch ends as {batch.status}: {batch.errors}")
        self.files.extend(found for found in (batch.output_file_id, batch.error_file_id) if found)
        answers = {}
        for row in await lines_of(self.client, batch.output_file_id) + await lines_of(self.client, batch.error_file_id):
            expect(row["custom_id"] not in answers, f"{row['custom_id']} is answered twice")
            answers[row["custom_id"]] = row["response"] if row["response"] else {"status_code": 0}
        expect(set(answers) <= {row["custom_id"] for row in rows}, "the batch answers what was not asked")
        good = {name: found["body"] for name, found in answers.items() if found["status_code"] == 200}
        expect(good, "not one answer in a completed batch")
        said = {name: json.loads(body["choices"][0]["message"]["content"])["breed"] for name, body in good.items()}
        counts = f"{len(good)} answered, {len(answers) - len(good)} failed, {len(rows) - len(answers)} missing"
        right = sum(said.get(f"test-{n}") == breed for n, (breed, _) in enumerate(chosen))
        self.say(f"{batch.id} is completed: {counts}")
        return right / len(chosen)

    async def fine_tune(self):
        """Train a model as the article does; return its job."""
        train = [example(path, breed) for breed, path in pictures(self.dogs, TRAIN)]
        validation = [example(path, breed) for breed, path in pictures(self.dogs, VALIDATION)]
        tokens = len(train) * EPOCHS * 150
        self.warn_of_cost(f"training on about {tokens} tokens, ${tokens * 27.5 / 1e6:.2f} at $27.50 a million")
        training = await self.upload(write_jsonl(self.folder / "train.jsonl", train), "fine-tune")
        checking = await self.upload(write_jsonl(self.folder / "validation.jsonl", validation), "fine-tune")
        job = await start_job(
            self.client,
            training,
            checking,
            hyperparameters={"n_epochs": EPOCHS, "batch_size": 6, "learning_rate_multiplier": 0.5},
            seed=42,
        )
        expect(job.id.startswith("ftjob-") and job.model == BASE and job.seed == 42, f"a new job is {job}")
        self.say(f"{job.id} is {job.status}")
        job = await ended_job(self.client, self.place, job)
        expect(job.status == "succeeded", f"the job ends as {job.status}: {job.error}")
        expect(job.fine_tuned_model.startswith(f"{BASE}.ft-"), f"the model is named {job.fine_tuned_model}")
        self.say(f"{job.id} is succeeded: {job.fine_tuned_model}")

        events = await items(self.client.fine_tuning.jobs.list_events(job.id, limit=100))
        expect(events[-1].message.startswith("Job enqueued"), f"its first event is {events[-1].message!r}")
        paid = [event.message for event in events if event.message.startswith("Training tokens billed")]
        expect(paid, "no event says how many tokens are billed")
        checkpoints = await items(self.client.fine_tuning.jobs.checkpoints.list(job.id))
        steps = sorted(point.step_number for point in checkpoints)
        expect(steps and all(":ckpt-step-" in p.fine_tuned_model_checkpoint for p in checkpoints), "no checkpoints")
        self.say(f"{len(events)} events ({paid[0]}), checkpoints after steps {steps}")

        expect(job.result_files, "a job that has succeeded names its results file")
        self.files.extend(job.result_files)
        content = await settle(self.client.files.content(job.result_files[0]))
        rows = list(csv.DictReader(io.StringIO(content.text)))
        expect(rows and set(rows[0]) >= COLUMNS, f"the results file begins {content.text[:80]!r}")
        expect(int(rows[-1]["step"]) == steps[-1], "the results file ends at another step than the checkpoints")
        self.say(f"results file: {len(rows)} steps, loss {rows[0]['train_loss']} to {rows[-1]['train_loss']}")
        return job

    async def tuned(self, job):
        """Deploy the tuned model, score it with real-time calls, delete it; return its accuracy."""
        name = f"contract-{job.id[-8:]}"
        self.warn_of_cost(f"the deployment {name}, $1.70 for each hour that it stands")
        try:
            made = await deploy(self.arm, self.place, name, deployment_body(job.fine_tuned_model))
            state = made.properties.provisioning_state
            expect(state == "Succeeded", f"the deployment ends as {state}")
            self.say(f"{name} is deployed")
            chosen, latencies, right = pictures(self.dogs, TEST), [], 0
            for n, (breed, path) in enumerate(chosen):
                asked = {"model": name, "messages": question(path), "temperature": 0}
                if not n:
                    await first_answer(self.client, self.place, **asked)
                began = time.monotonic()
                answer = await settle(self.client.chat.completions.create(**asked))
                latencies.append(time.monotonic() - began)
                expect(
                    answer.choices[0].finish_reason == "stop", f"an answer ends by {answer.choices[0].finish_reason}"
                )
                right += answer.choices[0].message.content == breed
            latencies.sort()
            self.say(f"{len(chosen)} questions, half of them within {latencies[len(latencies) // 2] * 1000:.0f} ms")
        finally:
            await remove(self.arm, self.place, name)
            self.say(f"{name} is deleted")
        return right / len(chosen)

    async def tidy(self):
        """Delete every file of this run."""
        for file in dict.fromkeys(self.files):
            gone = await settle(self.client.files.delete(file))
            expect(gone.deleted and gone.id == file, f"deleting {file} answers {gone}")
        self.say(f"{len(set(self.files))} files are deleted")

    async def run(self):
        """Take every step; return both accuracies."""
        try:
            zero_shot = await self.zero_shot()
            job = await self.fine_tune()
            tuned = await self.tuned(job)
        except BaseException:
            with contextlib.suppress(Exception):  # the first deviation is what is told
                await self.tidy()
            raise
        await self.tidy()
        count = len(pictures(self.dogs, TEST))
        self.say(f"accuracy over {count} images: zero-shot {zero_shot:.1%}, fine-tuned {tuned:.1%}")
        return zero_shot, tuned


async def article(place, flavour, kind, dogs, folder, say=print):
    """Take the article's steps with one kind of client."""
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context if kind == "async" else stack.enter_context
        client = await settle(enter(place.client(flavour, kind)))
        arm = await settle(enter(place.management(kind)))
        return await Sequence(place, client, arm, dogs, folder, say).run()


def main(arguments=None):
    """Run the sequence from the command line; return 0, or 1 at a deviation."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract.article", description="The article's calls.")
    parser.add_argument("--flavour", choices=FLAVOURS, default="dated", help="the dated API, or /openai/v1")
    parser.add_argument("--client", choices=CLIENTS, default="sync", help="which client of openai and Azure")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        folder = Path(scratch)
        if ON_AZURE:
            place = Place.configured()
            print(f"on {place.endpoint}, as the environment says: this costs money")
        else:
            from tests.conftest import Emulator

            emulator = Emulator(folder / "state", folder / "cache")
            stack.callback(emulator.stop)
            place = Place.of(emulator)
            print(f"on an emulator of its own, {place.endpoint}: nothing costs money, and its answers are its own")
        dogs = kennel(folder / "dogs", TEST.stop)
        try:
            asyncio.run(article(place, options.flavour, options.client, dogs, folder))
        except (AssertionError, LookupError, ValueError, openai.OpenAIError, AzureError) as error:
            print(f"deviation: {type(error).__name__}: {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
