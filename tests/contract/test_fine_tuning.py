"""Fine-tuning: jobs, what they say while they run, and what they leave."""

import csv
import io
import re
import time

import httpx2
import pytest

from tests.contract import steps
from tests.contract.steps import (
    BASE,
    ended_job,
    items,
    pictures,
    refused,
    rows,
    settle,
    start_job,
    until,
    upload,
)

pytestmark = pytest.mark.emulator_only("training costs $27.50 a million tokens; the article's script trains once")

CODES = {"conflict", "invalidPayload", "forbidden", "notFound", "unexpectedEntityState", "quotaExceeded"}
METRICS = {
    "train_loss",
    "train_mean_token_accuracy",
    "valid_loss",
    "full_valid_loss",
    "full_valid_mean_token_accuracy",
}
STORY = (  # what a run says, oldest first
    r"job enqueued.*waiting for jobs ahead",
    r"preprocessing started",
    r"preprocessing completed",
    r"job started",
    r"import",
    r"fine-?tuning started",
    r"GPU",
    r"training started",
    r"created results file",
    r"^Step 1: training loss=\d",
    r"^Step 10: training loss=\d",
    r"^Step 20: training loss=\d",
    r"succeeded",
    r"evaluation passed",
    r"completed results file",
    r"^Training tokens billed: [\d,]+$",
)


@pytest.fixture(scope="module")
def trained(place, dogs):
    """A job with everything, trained once: four epochs of seven steps, with validation; and how it ended."""
    with place.client("dated") as client:
        files = [
            client.files.create(file=(name, steps.jsonl(rows(dogs, numbers))), purpose="fine-tune").id
            for name, numbers in (("training.jsonl", range(10)), ("checking.jsonl", range(10, 12)))
        ]
        job = client.fine_tuning.jobs.create(
            model=BASE,
            training_file=files[0],
            validation_file=files[1],
            suffix="My_suffix-1",
            seed=42,
            hyperparameters={"n_epochs": 4, "batch_size": 6, "learning_rate_multiplier": 0.5},
        )
        end = time.monotonic() + 60
        while not (done := client.fine_tuning.jobs.retrieve(job.id)).finished_at and time.monotonic() < end:
            time.sleep(0.05)
        for file in files:
            client.files.delete(file)
    assert done.status == "succeeded", done.error
    return done


# --- a job's life ----------------------------------------------------------------------------------------------------


async def test_the_life_of_a_job(any_client, place, dogs):
    client = any_client
    training, checking = [await upload(client, place, rows(dogs, numbers), "fine-tune") for numbers in (range(3), [3])]
    job = await start_job(client, training, checking, epochs=2, suffix="life")
    assert job.status in ("created", "pending", "queued", "validating_files")
    done = await ended_job(client, place, job)
    assert done.status == "succeeded", done.error
    assert re.fullmatch(rf"{BASE}\.ft-[0-9a-f]+-life", done.fine_tuned_model)
    assert done.finished_at >= done.created_at and done.trained_tokens > 0 and done.error is None
    events = await items(client.fine_tuning.jobs.list_events(job.id, limit=100))
    assert len({event.id for event in events}) == len(events) >= 10
    points = await items(client.fine_tuning.jobs.checkpoints.list(job.id))
    assert sorted(point.step_number for point in points) == [2, 4]
    assert (await settle(client.files.content(done.result_files[0]))).text.startswith("step,")
    assert job.id in [listed.id for listed in await items(client.fine_tuning.jobs.list())]
    with refused((400, 409)):
        await settle(client.fine_tuning.jobs.cancel(job.id))
    gone = await settle(client.delete(f"/fine_tuning/jobs/{job.id}", cast_to=httpx2.Response))
    assert gone.status_code == 204
    with refused(404, "notFound"):
        await settle(client.fine_tuning.jobs.retrieve(job.id))


async def test_a_new_job_object(client, place, dogs):
    training = await upload(client, place, rows(dogs), "fine-tune")
    chosen = {"n_epochs": 1, "batch_size": 6, "learning_rate_multiplier": 0.5}
    raw = client.fine_tuning.jobs.with_raw_response.create(
        model=BASE, training_file=training.id, hyperparameters=chosen, seed=7
    )
    assert raw.http_response.status_code == 201
    body = raw.http_response.json()
    assert raw.headers["location"].split("?")[0].endswith(f"/fine_tuning/jobs/{body['id']}")
    assert re.fullmatch(r"ftjob-[0-9a-f]{32}", body["id"])
    assert (body["object"], body["model"], body["seed"]) == ("fine_tuning.job", BASE, 7)
    assert (body["training_file"], body["validation_file"]) == (training.id, None)
    assert body["status"] in ("created", "pending")
    for name in ("fine_tuned_model", "result_files", "organization_id", "method", "finished_at", "error"):
        assert body[name] is None, name
    assert {"trained_tokens", "estimated_finish"} <= set(body)
    assert body["hyperparameters"] == chosen
    await ended_job(client, place, raw.parse())


@pytest.mark.parametrize(
    "form",
    [
        {"hyperparameters": {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.5}},
        {"method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 4}}}},
        {"hyperparameters": {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": -1}},
        {"hyperparameters": {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}},
        {"hyperparameters": {"n_epochs": -1, "batch_size": -1, "learning_rate_multiplier": -1}},
        {},
        {"method": {"type": "supervised"}},
    ],
    ids=["old", "new", "old -1", "auto", "all -1", "none", "new none"],
)
async def test_forms_of_hyperparameters(client, place, dogs, form):
    training = await upload(client, place, rows(dogs), "fine-tune")
    job = client.fine_tuning.jobs.create(model=BASE, training_file=training.id, seed=1, **form)
    done = await ended_job(client, place, job)
    assert done.status == "succeeded", done.error
    last = max(point.step_number for point in client.fine_tuning.jobs.checkpoints.list(job.id))
    if "4" in str(form):
        assert last == 6  # two epochs of three steps
        assert (done.hyperparameters.n_epochs, done.hyperparameters.batch_size) == (2, 4)
    else:
        assert last >= 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_epochs": 0},
        {"n_epochs": "many"},
        {"batch_size": 0},
        {"learning_rate_multiplier": 0},
        {"learning_rate_multiplier": -0.5},
    ],
    ids=str,
)
async def test_impossible_hyperparameters_are_refused(client, place, dogs, wrong):
    training = await upload(client, place, rows(dogs), "fine-tune")
    for form in (
        {"hyperparameters": wrong},
        {"method": {"type": "supervised", "supervised": {"hyperparameters": wrong}}},
    ):
        with refused(400, CODES):
            client.fine_tuning.jobs.create(model=BASE, training_file=training.id, **form)


async def test_other_methods_are_refused(client, place, dogs):
    training = await upload(client, place, rows(dogs), "fine-tune")
    for method in ({"type": "dpo"}, {"type": "reinforcement"}, {"type": "poetry"}, {}):
        with refused((400, 501)):
            client.fine_tuning.jobs.create(model=BASE, training_file=training.id, method=method)


async def test_the_suffix(client, place, dogs, trained):
    assert re.fullmatch(rf"{BASE}\.ft-[0-9a-f]+-My_suffix-1", trained.fine_tuned_model)
    training = await upload(client, place, rows(dogs), "fine-tune")
    for wrong in ("a" * 41, "two words", "dot.ted", "ünder"):
        with refused(400, CODES):
            await start_job(client, training, suffix=wrong)
    longest = await ended_job(client, place, await start_job(client, training, suffix="a" * 40))
    assert longest.fine_tuned_model.endswith("-" + "a" * 40)
    none = await ended_job(client, place, await start_job(client, training))
    assert re.fullmatch(rf"{BASE}\.ft-[0-9a-f]+", none.fine_tuned_model)


async def test_models_that_can_be_tuned(client, place, dogs):
    training = await upload(client, place, rows(dogs), "fine-tune")
    for wrong in ("gpt-nothing", "gpt-4o-mini-2024-07-18", "gpt-4o-2024-05-13", "", "gpt-4o-2024-08-06.ft-0123456789"):
        with refused((400, 404), CODES):
            await start_job(client, training, model=wrong)
    other = await ended_job(client, place, await start_job(client, training, model="gpt-4.1-2025-04-14"))
    assert re.fullmatch(r"gpt-4\.1-2025-04-14\.ft-[0-9a-f]+", other.fine_tuned_model)


async def test_the_kinds_of_training(client, place, dogs):
    training = await upload(client, place, rows(dogs), "fine-tune")
    for kind in ("Standard", "GlobalStandard", "Developer"):
        job = await start_job(client, training, extra_body={"trainingType": kind})
        assert (await ended_job(client, place, job)).status == "succeeded"
    with refused(400, CODES):
        await start_job(client, training, extra_body={"trainingType": "Poetry"})


async def test_the_files_must_be_there_and_for_tuning(client, place, dogs):
    training = await upload(client, place, rows(dogs), "fine-tune")
    other = await upload(client, place, rows(dogs), "batch")
    for wrong in ("file-0123456789abcdef0123456789abcdef", other.id):
        with refused((400, 404), CODES):
            client.fine_tuning.jobs.create(model=BASE, training_file=wrong)
        with refused((400, 404), CODES):
            client.fine_tuning.jobs.create(model=BASE, training_file=training.id, validation_file=wrong)
    for body in ({"model": BASE}, {"training_file": training.id}, []):
        with refused(400, CODES):
            client.post("/fine_tuning/jobs", cast_to=object, body=body)


async def test_a_seed_is_chosen_where_none_is_given(client, place, dogs):
    training = await upload(client, place, rows(dogs), "fine-tune")
    job = client.fine_tuning.jobs.create(model=BASE, training_file=training.id)
    assert isinstance(job.seed, int)
    await ended_job(client, place, job)


@pytest.mark.parametrize("name", ["ftjob-0123456789abcdef0123456789abcdef", "nothing"])
def test_an_unknown_job_is_not_found(client, name):
    jobs = client.fine_tuning.jobs
    for call in (jobs.retrieve, jobs.list_events, jobs.checkpoints.list, jobs.cancel, jobs.pause, jobs.resume):
        with refused(404, "notFound"):
            call(name)
    with refused(404, "notFound"):
        client.delete(f"/fine_tuning/jobs/{name}", cast_to=httpx2.Response)


# --- what a job tells and leaves -------------------------------------------------------------------------------------


def test_the_events_tell_the_story(client, trained):
    events = list(client.fine_tuning.jobs.list_events(trained.id, limit=100))[::-1]
    told = [event.message for event in events]
    at = -1
    for pattern in STORY:
        at = next((n for n in range(at + 1, len(told)) if re.search(pattern, told[n], re.IGNORECASE)), None)
        assert at is not None, f"{pattern} is missing, or out of its order, in {told}"
    for stage in ("started", "completed"):  # once for each file
        assert sum(f"preprocessing {stage}" in text.lower() for text in told) == 2
    assert [int(text.split()[1][:-1]) for text in told if text.startswith("Step ")] == [1, 10, 20]


def test_an_event(client, trained):
    raw = client.fine_tuning.jobs.with_raw_response.list_events(trained.id, limit=100).http_response.json()
    for event in raw["data"]:
        assert event["id"].startswith("ftevent-") and event["object"] == "fine_tuning.job.event"
        assert event["level"] == "info" and event["type"] in ("message", "metrics")
        assert event["created_at"] >= trained.created_at
        assert (event["type"] == "metrics") == event["message"].startswith("Step ")
        if event["type"] == "metrics":
            assert event["data"]["step"] == int(event["message"].split()[1][:-1])
    times = [event["created_at"] for event in raw["data"]]
    assert times == sorted(times, reverse=True)  # the newest first


def test_events_come_page_by_page(client, trained):
    whole = [event.id for event in client.fine_tuning.jobs.list_events(trained.id, limit=100)]
    page = client.fine_tuning.jobs.list_events(trained.id, limit=4)
    assert [event.id for event in page.data] == whole[:4] and page.has_more is True
    following = client.fine_tuning.jobs.list_events(trained.id, limit=4, after=whole[3])
    assert [event.id for event in following.data] == whole[4:8]
    last = client.fine_tuning.jobs.list_events(trained.id, limit=100, after=whole[-3])
    assert [event.id for event in last.data] == whole[-2:] and last.has_more is False
    assert [event.id for event in client.fine_tuning.jobs.list_events(trained.id, limit=3)] == whole


def test_jobs_come_page_by_page(client, trained):
    whole = [job.id for job in client.fine_tuning.jobs.list(limit=100)]
    assert trained.id in whole and len(whole) == len(set(whole))
    page = client.fine_tuning.jobs.list(limit=1)
    assert [job.id for job in page.data] == whole[:1] and page.has_more is (len(whole) > 1)
    assert [job.id for job in client.fine_tuning.jobs.list(limit=1)] == whole


def test_the_last_three_checkpoints_are_kept(client, trained):
    points = sorted(client.fine_tuning.jobs.checkpoints.list(trained.id), key=lambda point: point.step_number)
    assert [point.step_number for point in points] == [14, 21, 28]
    for point in points:
        assert re.fullmatch(r"ftckpt_\w+", point.id) and point.object == "fine_tuning.job.checkpoint"
        assert point.fine_tuning_job_id == trained.id
        base = re.match(rf"{BASE}\.ft-[0-9a-f]+", trained.fine_tuned_model)[0]
        name = rf"{re.escape(base)}(-My_suffix-1)?:ckpt-step-{point.step_number}"
        assert re.fullmatch(name, point.fine_tuned_model_checkpoint)
        metrics = point.metrics.model_dump()
        assert metrics["step"] == point.step_number
        assert all(metrics[name] > 0 for name in METRICS)
        assert metrics["valid_mean_token_accuracy"] is not None
    page = client.fine_tuning.jobs.checkpoints.list(trained.id, limit=2)
    assert len(page.data) == 2 and page.has_more
    assert len(list(client.fine_tuning.jobs.checkpoints.list(trained.id, limit=1))) == 3


def test_the_results_file(client, trained):
    (name,) = trained.result_files
    assert client.files.retrieve(name).purpose == "fine-tune-results"
    table = csv.DictReader(io.StringIO(client.files.content(name).text))
    cells = list(table)
    assert table.fieldnames[0] == "step" and set(table.fieldnames) >= METRICS
    assert {"valid_mean_token_accuracy", "validation_mean_token_accuracy"} & set(table.fieldnames)
    assert [int(row["step"]) for row in cells] == list(range(1, 29))
    assert all(float(row["train_loss"]) > 0 and 0 <= float(row["train_mean_token_accuracy"]) <= 1 for row in cells)
    checked = [row["valid_loss"] for row in cells if row["valid_loss"]]
    assert 0 < len(checked) < len(cells)  # sparse
    for event in client.fine_tuning.jobs.list_events(trained.id, limit=100):
        if step := re.match(r"Step (\d+): training loss=([\d.]+)", event.message):
            assert float(cells[int(step[1]) - 1]["train_loss"]) == pytest.approx(float(step[2]), abs=0.006)


def test_what_is_billed(client, trained, place, dogs):
    """Each example is paid for as often as it is looked at: about what a question and its answer cost."""
    (told,) = [
        event.message
        for event in client.fine_tuning.jobs.list_events(trained.id, limit=100)
        if event.message.startswith("Training tokens billed")
    ]
    billed = int(told.split(": ")[1].replace(",", ""))
    asked = steps.question(pictures(dogs, [0])[0][1])
    usage = client.chat.completions.create(model=place.deployment, messages=asked).usage
    assert billed == pytest.approx(usage.total_tokens * 40 * 4, rel=0.1)
    assert trained.trained_tokens > 0


# --- training --------------------------------------------------------------------------------------------------------


async def losses(client, place, job):
    """Return the loss of every step of a job, as its results file has them."""
    done = await ended_job(client, place, job)
    text = client.files.content(done.result_files[0]).text
    return [row["train_loss"] for row in csv.DictReader(io.StringIO(text))]


async def test_a_seed_makes_the_same_losses(client, place, dogs):
    training = await upload(client, place, rows(dogs), "fine-tune")
    found = []
    for seed in (5, 5, 6):
        found.append(await losses(client, place, await start_job(client, training, epochs=2, seed=seed)))
    assert found[0] == found[1] != found[2]


async def test_a_tuned_model_is_tuned_further(client, place, dogs, taught):
    training = await upload(client, place, rows(dogs), "fine-tune")
    job = await start_job(client, training, model=taught.fine_tuned_model, suffix="on")
    further = await losses(client, place, job)
    done = client.fine_tuning.jobs.retrieve(job.id)
    assert done.model == taught.fine_tuned_model
    assert done.fine_tuned_model != taught.fine_tuned_model and done.fine_tuned_model.startswith(f"{BASE}.ft-")
    fresh = await losses(client, place, await start_job(client, training))
    assert float(further[0]) < float(fresh[0])


async def test_one_job_runs_at_a_time(client, place, dogs):
    training = await upload(client, place, rows(dogs), "fine-tune")
    mine = [(await start_job(client, training, epochs=5)).id for _ in range(3)]

    def states():
        listed = client.fine_tuning.jobs.list(limit=100)
        return {job.id: job.status for job in listed.data if job.id in mine}

    def ended(found):
        assert sum(status == "running" for status in found.values()) <= 1
        return set(found.values()) == {"succeeded"}

    await until(states, ended)
    finished = [client.fine_tuning.jobs.retrieve(name).finished_at for name in mine]
    assert finished == sorted(finished)  # in the order in which they came
