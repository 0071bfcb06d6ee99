"""The emulator, killed and started again on the same state: every object goes on to its end, once."""

import base64
import io
import json
import signal

import openai
import pytest

from tests.conftest import Emulator, wait_for
from tests.pictures import KENNEL

SYSTEM = f"Classify the following input image into one of the following categories: [{', '.join(KENNEL)}]."
ENDS = ("completed", "failed", "expired", "cancelled", "succeeded")


def message(path):
    url = "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()
    content = [{"type": "image_url", "image_url": {"url": url, "detail": "low"}}]
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}]


def jsonl(rows):
    return io.BytesIO("".join(json.dumps(row) + "\n" for row in rows).encode())


def pictures(dogs):
    return [(breed, dogs / breed / f"{n:03d}.jpg") for breed in KENNEL for n in range(16)]


def client_of(emulator):
    return openai.OpenAI(base_url=f"{emulator.endpoint}/openai/v1/", api_key=emulator.api_key, max_retries=5)


def again(emulator):
    """Kill it, and start it on what it left."""
    emulator.stop(signal.SIGKILL)
    emulator.start()


@pytest.fixture
def place(tmp_path, backbones):
    emulator = Emulator(tmp_path / "state", backbones, "instant")
    yield emulator
    emulator.stop()


def test_a_batch_killed_in_every_state_is_answered_once(place, dogs):
    with client_of(place) as client:
        rows = [
            {
                "custom_id": f"q{n}",
                "method": "POST",
                "url": "/chat/completions",
                "body": {"model": place.batch_deployment, "messages": message(path)},
            }
            for n, (_, path) in enumerate(pictures(dogs))
        ]
        # slow enough to be met in each state
        speed(client, 20)
        file = client.files.create(file=("in.jsonl", jsonl(rows)), purpose="batch")
        wait_for(lambda: client.files.retrieve(file.id).status == "processed")
        batch = client.batches.create(
            input_file_id=file.id, endpoint="/chat/completions", completion_window="24h", metadata={"mine": "yes"}
        )
    seen = []
    while True:
        with client_of(place) as client:
            found = wait_for(lambda c=client: new(c.batches.retrieve(batch.id), seen), what="the next state")
            counts = found.request_counts
        if found.status in ENDS:
            break
        again(place)
    assert seen[0] == "validating"
    assert seen[-1] == "completed"
    assert (counts.total, counts.completed, counts.failed) == (len(rows), len(rows), 0)
    assert found.metadata == {"mine": "yes"}
    with client_of(place) as client:
        lines = [json.loads(line) for line in client.files.content(found.output_file_id).text.splitlines()]
    assert sorted(line["custom_id"] for line in lines) == sorted(row["custom_id"] for row in rows)
    (paid,) = place.ledger()["batches"]
    assert paid["requests"] == len(rows)


def new(found, seen):
    """Return an object when it is in a state that was not seen yet."""
    if found.status in seen:
        return None
    seen.append(found.status)
    return found


def speed(client, value):
    root = str(client.base_url).removesuffix("/openai/v1/")
    answer = client._client.patch(
        f"{root}/emulator/settings", json={"speed": value}, headers={"api-key": client.api_key}
    )
    assert answer.status_code == 200, answer.text


def tuning_files(client, dogs):
    rows = [{"messages": [*message(path), {"role": "assistant", "content": breed}]} for breed, path in pictures(dogs)]
    training = client.files.create(file=("train.jsonl", jsonl(rows)), purpose="fine-tune")
    wait_for(lambda: client.files.retrieve(training.id).status == "processed")
    return training.id


def train(client, file, **more):
    return client.fine_tuning.jobs.create(
        model="gpt-4o-2024-08-06", training_file=file, seed=7, hyperparameters={"n_epochs": 3, "batch_size": 2}, **more
    )


def told(client, job_id):
    return [event.message for event in client.fine_tuning.jobs.list_events(job_id, limit=100)][::-1]


def losses(client, job_id):
    return [line for line in told(client, job_id) if line.startswith("Step ")]


def succeeded(client, job_id):
    def done():
        job = client.fine_tuning.jobs.retrieve(job_id)
        assert job.status not in ("failed", "cancelled"), job.error
        return job.status == "succeeded"

    wait_for(done, what="the training")


def test_a_training_killed_again_and_again_learns_the_same(place, dogs):
    with client_of(place) as client:
        file = tuning_files(client, dogs)
        plain = train(client, file)
        succeeded(client, plain.id)
        wanted = losses(client, plain.id)
        speed(client, 20)
        job = train(client, file)
    for reached in ("Preprocessing started", "Job started", "Waiting for GPUs", "Step 1:"):
        with client_of(place) as client:
            wait_for(lambda c=client, r=reached: any(line.startswith(r) for line in told(c, job.id)), what=reached)
        again(place)
    with client_of(place) as client:
        succeeded(client, job.id)
        lines = told(client, job.id)
        assert losses(client, job.id) == wanted
        assert len(lines) == len(set(lines))
        done = client.fine_tuning.jobs.retrieve(job.id)
        table = client.files.content(done.result_files[0]).text.splitlines()
        assert [line.split(",")[0] for line in table[1:]] == [str(n) for n in range(1, 97)]
    paid = {row["id"]: row["billed_tokens"] for row in place.ledger()["fine_tuning_jobs"]}
    assert paid[job.id] == paid[plain.id] > 0


def test_pausing_and_killing_changes_no_step(place, dogs):
    with client_of(place) as client:
        file = tuning_files(client, dogs)
        plain = train(client, file)
        succeeded(client, plain.id)
        wanted = losses(client, plain.id)
        speed(client, 20)
        job = train(client, file)
        other = train(client, file, suffix="second")
        wait_for(lambda: client.fine_tuning.jobs.retrieve(job.id).status == "running", what="the first")
        client.fine_tuning.jobs.pause(job.id)
        wait_for(lambda: client.fine_tuning.jobs.retrieve(job.id).status == "paused", what="the pause")
    again(place)
    with client_of(place) as client:
        assert client.fine_tuning.jobs.retrieve(job.id).status == "paused"
        succeeded(client, other.id)
        client.fine_tuning.jobs.resume(job.id)
        succeeded(client, job.id)
        assert losses(client, job.id) == losses(client, other.id) == wanted


def test_faults_and_deployments_are_still_there(place):
    with client_of(place) as client:
        root = place.endpoint
        headers = {"api-key": place.api_key}
        change = {"faults": {"lost_lines": 0.5}}
        assert client._client.patch(f"{root}/emulator/settings", json=change, headers=headers).status_code == 200
    again(place)
    with client_of(place) as client:
        answer = client._client.get(f"{place.endpoint}/emulator/settings", headers={"api-key": place.api_key})
        assert answer.json()["active"] == ["lost_lines"]
        assert answer.headers["x-emulator-faults"] == "lost_lines"
        assert client.models.list().data
