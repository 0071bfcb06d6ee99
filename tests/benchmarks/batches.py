"""A batch of 100,000 requests: the real job in its own process, against a bare loop that moves the same bytes.

    python -m tests.benchmarks.batches [--requests 100000] [--small 1000]

Both talk to one emulator (brain off). The bare loop writes the lines, uploads them with the plain client, creates
the batches, polls, downloads, and reads each line as JSON; it keeps no store and can lose everything. The job is
what a user's worker does. Peak memory is of each one's process; the job runs with few requests too, so that what
grows with them shows.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engine.datasets.demo import BREEDS, draw_dog
from engine.datasets.jsonl import BATCH_BYTES, BATCH_REQUESTS
from engine.datasets.prompt import Prompt
from engine.jobs.paths import Home
from engine.states import JobKind, JobState
from engine.store import Store
from engine.store.experiments import NewContestant, NewJob

LABELS = tuple(breed.name for breed in BREEDS)
PICTURES = 32
MEMORY = re.compile(r"VmHWM:\s+(\d+) kB")


def pictures(folder, count):
    """Make a folder of so many images: a few drawn dogs under many names (hard links)."""
    folder.mkdir()
    originals = []
    for number in range(PICTURES):
        path = folder / f"dog-{number}.jpg"
        draw_dog(BREEDS[number % len(BREEDS)], number).resize((160, 160)).save(path, quality=80)
        originals.append(path)
    for number in range(count):
        os.link(originals[number % PICTURES], folder / f"{number:06d}.jpg")
    return originals


def catalogue(store, name, folder, originals, count):
    """Put the images into a store, as importing them would."""
    facts = [(len(data := path.read_bytes()), 160, 160, hashlib.sha256(data).hexdigest()) for path in originals]
    rows = ((f"{n:06d}.jpg", n % len(LABELS), "test", *facts[n % PICTURES]) for n in range(count))
    store.datasets.add(
        name, source="benchmark", root=folder, split="given", seed=None, digest=name, labels=LABELS, images=rows
    )


def measured(command, **options):
    """Run a process; return its seconds, its peak memory in MB, and its output."""
    start, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)
    while process.poll() is None:
        try:
            found = MEMORY.search(Path(f"/proc/{process.pid}/status").read_text())
        except OSError:
            found = None
        if found:
            peak = max(peak, int(found[1]))
        time.sleep(0.02)
    seconds = time.perf_counter() - start
    assert process.returncode == 0, process.returncode
    return seconds, peak / 1024, process.stdout.read()


def engine_way(place, home, name, environment):
    """Run the real job to its end in its own worker process."""
    store = Store(home.store)
    prompt = Prompt.default()
    parameters = {
        "dataset": name, "profile": "azure", "probe": 0, "model": "gpt-4o-2024-08-06", "prompt": prompt.system,
        "answer": "json", "detail": "low", "deployment": place["batch_deployment"], "retry": "batch",
        "realtime": place["deployment"], "concurrency": 8,
    }  # fmt: skip
    who = NewContestant("zero-shot", "zero-shot", "gpt-4o-2024-08-06", True, prompt.system, "json")
    (job,) = store.experiments.add(
        name, dataset=name, profile="azure", spec="", contestants=[who], jobs=[NewJob(JobKind.BATCH, parameters, 0)]
    )
    store.jobs.change(job, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    attempt = store.jobs.get(job).attempt
    command = [sys.executable, "-m", "engine.jobs.worker", "--home", str(home.root), str(job), str(attempt)]
    seconds, peak, _ = measured(command, env=os.environ | environment)
    view = store.jobs.view(job)
    assert view.state == "succeeded", view.error
    answered = store.predictions.counts(store.jobs.get(job).contestant_id)
    lines = [(line.at, line.message) for line in store.jobs.lines(job)]
    store.close()
    return seconds, peak, sum(answered.values()), lines


def bare_way(endpoint, key, deployment, folder, count, scratch):
    """Move the same bytes with the plain client, and keep nothing."""
    import openai

    client = openai.AzureOpenAI(azure_endpoint=endpoint, api_key=key, api_version="2025-04-01-preview", max_retries=0)
    body = Prompt.default()
    shards, file, size, lines = [], None, 0, 0
    for number in range(count):
        data = (folder / f"{number:06d}.jpg").read_bytes()
        url = "data:image/jpeg;base64," + base64.b64encode(data).decode()
        request = {"custom_id": f"image-{number + 1}", "method": "POST", "url": "/chat/completions"}
        line = json.dumps({**request, "body": body.request(deployment, LABELS, url)}).encode() + b"\n"
        if file is None or size + len(line) > BATCH_BYTES or lines == BATCH_REQUESTS:
            if file is not None:
                file.close()
            shards.append(scratch / f"{len(shards)}.jsonl")
            file, size, lines = shards[-1].open("wb"), 0, 0
        file.write(line)
        size, lines = size + len(line), lines + 1
    file.close()
    keep = {"seconds": 1_209_600, "anchor": "created_at"}
    batches, uploads = [], []
    for shard in shards:
        with shard.open("rb") as content:
            uploaded = client.files.create(file=(shard.name, content), purpose="batch", expires_after=keep)
        uploads.append(uploaded.id)
        while client.files.retrieve(uploaded.id).status != "processed":
            time.sleep(0.1)
        made = client.batches.create(
            input_file_id=uploaded.id, endpoint="/chat/completions", completion_window="24h", output_expires_after=keep
        )
        batches.append(made.id)
    read = 0
    while batches:
        time.sleep(0.3)
        for batch in map(client.batches.retrieve, list(batches)):
            if batch.status in ("completed", "failed", "expired", "cancelled"):
                assert batch.status == "completed", batch
                batches.remove(batch.id)
                path = scratch / f"{batch.id}.jsonl"
                with client.files.with_streaming_response.content(batch.output_file_id) as answer:
                    answer.stream_to_file(path)
                with path.open("rb") as found:
                    read += sum(json.loads(line)["response"]["status_code"] == 200 for line in found)
                client.files.delete(batch.output_file_id)
    for file_id in uploads:
        client.files.delete(file_id)
    print(read, len(shards), sum(shard.stat().st_size for shard in shards))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--small", type=int, default=1000, help="requests of the second, small job")
    parser.add_argument("--log", action="store_true", help="print the large job's log too")
    parser.add_argument("--bare", nargs=6, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        endpoint, key, deployment, folder, count, scratch = options.bare
        bare_way(endpoint, key, deployment, Path(folder), int(count), Path(scratch))
        return
    count = options.requests
    with tempfile.TemporaryDirectory(prefix="dogcls-batches-") as name:
        root = Path(name)
        command = [sys.executable, "-P", "-m", "engine.emulator", "--state", str(root / "state"), "--no-brain"]
        process = subprocess.Popen([*command, "--speed", "instant"], stdout=subprocess.PIPE)
        try:
            place = json.loads(process.stdout.readline())
            compare(place, root, count, min(count, options.small), options.log)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def compare(place, root, count, small, log):
    folder, home = root / "pictures", Home(root / "home")
    originals = pictures(folder, count)
    environment = {
        "AZURE_OPENAI_ENDPOINT": place["endpoint"], "AZURE_OPENAI_API_KEY": place["api_key"],
        "AZURE_OPENAI_DEPLOYMENT_NAME": place["deployment"],
        "AZURE_OPENAI_BATCH_DEPLOYMENT_NAME": place["batch_deployment"],
        "AZURE_SUBSCRIPTION_ID": place["subscription"], "AZURE_RESOURCE_GROUP": place["resource_group"],
        "AZURE_OPENAI_ACCOUNT": place["account"], "AZURE_ARM_ENDPOINT": place["arm_endpoint"],
    }  # fmt: skip
    store = Store(home.store)
    catalogue(store, "large", folder, originals, count)
    catalogue(store, "small", folder, originals, small)
    store.close()

    def bare(number):
        scratch = root / f"scratch-{number}"
        scratch.mkdir()
        command = [sys.executable, "-m", "tests.benchmarks.batches", "--bare", place["endpoint"], place["api_key"]]
        found = measured([*command, place["batch_deployment"], str(folder), str(number), str(scratch)])
        for path in scratch.iterdir():
            path.unlink()
        return found

    rows = []
    lines = []
    for title, number in (("small", small), ("large", count)):
        seconds, peak, told = bare(number)
        read, shards, size = map(int, told.split())
        assert read == number, read
        rows.append(("bare loop", number, shards, size, seconds, peak))
        seconds, peak, stored, lines = engine_way(place, home, title, environment)
        assert stored == number, stored
        rows.append(("the job", number, shards, size, seconds, peak))
    print(f"{'':<10}{'requests':>10}{'files':>7}{'MB':>8}{'seconds':>9}{'a second':>10}{'peak MB':>9}")
    for title, number, shards, size, seconds, peak in rows:
        print(
            f"{title:<10}{number:>10,}{shards:>7}{size / 1e6:>8.1f}{seconds:>9.1f}{number / seconds:>10,.0f}{peak:>9.1f}"
        )
    print(f"the job / bare loop, {count:,} requests: {rows[3][4] / rows[2][4]:.2f} of its time")
    print(f"the job, {count:,} requests against {small:,}: {rows[3][5] - rows[1][5]:+.1f} MB of peak memory")
    if log:
        for at, message in lines:
            print(f"{at - lines[0][0]:8.1f} s  {message}")


if __name__ == "__main__":
    main()
