"""A job works with its own files only, whatever happened to the store and whatever lies in the home."""

import base64
import json
import os
import sqlite3
from dataclasses import replace

import pytest

from engine.azure import deployments
from engine.errors import JobError
from engine.jobs import made_for
from engine.jobs.binding import ResourceBinding
from engine.jobs.context import Context
from engine.jobs.identity import Identity, own_folder
from engine.jobs.kinds import deploy, training_data
from engine.jobs.process import start_time
from engine.jobs.standing import standing_costs
from engine.states import JobState, Split
from engine.store import Store
from engine.store.experiments import NewContestant, NewJob
from engine.store.migrations import MIGRATIONS
from engine.training.keeping import Keeper, load_best
from engine.training.state import State
from tests.pictures import catalogued, plain

ZERO_SHOT = NewContestant("zero-shot", "zero-shot", "gpt-4o", True, "Which?", "json")


def add(store, *jobs, name="e"):
    return store.experiments.add(name, dataset=None, profile="demo", spec="", contestants=[ZERO_SHOT], jobs=list(jobs))


def lose(home):
    for end in ("", "-wal", "-shm"):
        home.store.with_name(home.store.name + end).unlink(missing_ok=True)


def test_after_a_lost_store_a_job_of_the_same_number_has_another_folder_and_log(home):
    found = []
    for _ in range(2):
        store = Store(home.store)
        (number,) = add(store, NewJob("train", {}, 0))
        job = store.jobs.get(number)
        found.append((number, home.job(job), home.job_log(job)))
        store.close()
        lose(home)
    (first, folder, log), (second, other, other_log) = found
    assert first == second == 1
    assert folder != other and log != other_log
    assert folder.name.startswith("1-") and other.name.startswith("1-")


def test_a_job_of_a_deleted_experiment_leaves_its_folder_to_no_other(store, home):
    (number,) = add(store, NewJob("train", {}, 0))
    folder = home.job(store.jobs.get(number))
    store.experiments.delete("e")
    (again,) = add(store, NewJob("train", {}, 0))
    assert home.job(store.jobs.get(again)) != folder


def test_looking_makes_no_folder(store, home):
    add(store, NewJob("deploy", {"model": "gpt-4o"}, 0))
    assert standing_costs(store, home) == []
    assert not (home.root / "jobs").exists()


@pytest.fixture
def older(home):
    """A store as the version before wrote it: job 1 had begun, job 2 had not."""
    home.root.mkdir(mode=0o700)
    with sqlite3.connect(home.store) as db:
        for script in MIGRATIONS[:5]:
            db.executescript(script)
        db.execute("PRAGMA user_version = 5")
        db.execute("INSERT INTO experiments (name, profile, spec, created_at) VALUES ('e', 'demo', '', 0)")
        for nonce, started in (("aaaa", 5.0), ("bbbb", None)):
            db.execute(
                "INSERT INTO jobs (experiment_id, kind, nonce, parameters, state, created_at, started_at)"
                " VALUES (1, 'train', ?, '{}', 'paused', 0, ?)",
                (nonce, started),
            )
    db.close()
    store = Store(home.store)
    yield store
    store.close()


def test_jobs_of_an_older_version_keep_the_folders_that_they_wrote_to(older, home):
    began, waiting = older.jobs.get(1), older.jobs.get(2)
    assert (began.legacy, home.job(began)) == (True, home.root / "jobs" / "1")
    assert (waiting.legacy, home.job(waiting)) == (False, home.root / "jobs" / "2-bbbb")
    ids = add(older, NewJob("train", {}), name="new")
    assert not older.jobs.get(ids[0]).legacy


# -- files that a later attempt uses again


DATA = {"dataset": "dogs", "profile": "azure", "model": "gpt-4o-2024-08-06", "prompt": "Which?", "epochs": 2}


def identity(**changes):
    return replace(Identity("aaaa", "digest", "p" * 16, "azure:a"), **changes)


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({}, []),
        ({"job": "bbbb"}, ["job"]),
        ({"data": "other"}, ["data"]),
        ({"parameters": "q" * 16}, ["parameters"]),
        ({"resource": "azure:b"}, ["resource"]),
        ({"resource": ""}, []),  # it was bound later
    ],
)
def test_each_part_of_an_identity_counts(changes, differs):
    assert identity().differs(identity(**changes).plain()) == differs


def test_what_a_resume_may_change_is_no_part_of_it_and_what_decides_the_files_is(store):
    def of(**more):
        (number,) = add(store, NewJob("batch", {**DATA, "dataset": "", **more}), name=str(more))
        return replace(Identity.of(store, store.jobs.get(number)), job="")

    plain = of()
    for changed in ({"deployment": "d"}, {"concurrency": 3}, {"retry": "realtime"}, {"probe": 5}):
        assert of(**changed) == plain
    for changed in ({"epochs": 3}, {"prompt": "What?"}, {"model": "gpt-4.1"}):
        assert of(**changed).parameters != plain.parameters
    assert of(resource=ResourceBinding("https://a.openai.azure.com/").plain()).resource == "azure:a"


def test_a_folder_of_another_job_is_set_aside_and_not_used(tmp_path):
    folder, warning = own_folder(tmp_path / "1-aaaa", identity())
    assert warning == ""
    (folder / "round-1").mkdir()
    assert own_folder(folder, identity()) == (folder, "")  # its own is kept
    found, warning = own_folder(folder, identity(data="other"))
    assert found == folder and not (folder / "round-1").exists()
    assert (tmp_path / "1-aaaa.other-1" / "round-1").exists()
    assert "held files of another job (data)" in warning
    (folder / "identity.json").write_text("torn")
    assert "set aside as 1-aaaa.other-2" in own_folder(folder, identity(data="other"))[1]


@pytest.fixture
def tuning(store, home, tmp_path):
    """An attempt at a fine-tuning job on twelve pictures."""
    images = []
    for number in range(12):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(plain(number))
        found = catalogued(path, label=number % 2)
        images.append((path.name, found.label, "train", found.bytes, found.width, found.height, found.sha256))
    store.datasets.add(
        "dogs", source="x", root=tmp_path, split="given", seed=None, digest="d", labels=("a", "b"), images=images
    )
    parameters = {**DATA, "answer": "text", "detail": "low", "seed": 1, "batch_size": 1, "lr_multiplier": 1}
    who = NewContestant("ft", "fine-tuned", "gpt-4o", True, "Which?", "text")
    (number,) = store.experiments.add(
        "t", dataset="dogs", profile="azure", spec="", contestants=[who], jobs=[NewJob("fine-tune", parameters, 0)]
    )
    assert store.jobs.change(number, JobState.QUEUED, expected=(JobState.WAITING,), message="queued")
    assert store.jobs.claim(number, 1, os.getpid(), start_time(os.getpid()))
    with Context(home, store, store.jobs.get(number)) as context:
        (context.folder / "round-1").mkdir()
        yield context


def test_a_training_file_is_used_again_only_as_this_job_wrote_it(tuning):
    path = tuning.folder / "round-1" / "train.jsonl"
    facts = path.with_suffix(".facts.json")

    def prepared():
        before = len(tuning.store.jobs.lines(tuning.job.id))
        training_data.prepare(tuning, path, Split.TRAIN, "dogcls-x", 2)
        new = [line.message for line in tuning.store.jobs.lines(tuning.job.id)[before:]]
        return "anew" if any("wrote 12 train examples" in message for message in new) else "again"

    path.write_text("somebody else's")
    assert prepared() == "anew"  # nothing tells that it is this job's
    right = path.read_bytes()
    assert prepared() == "again"
    kept = json.loads(facts.read_text())
    for changes in ({"job": "other"}, {"data": "other"}, {"parameters": "other"}):
        facts.write_text(json.dumps({**kept, "identity": {**kept["identity"], **changes}}))
        assert prepared() == "anew"
    path.write_bytes(right.replace(b"Which?", b"What??"))
    assert prepared() == "anew" and path.read_bytes() == right
    facts.write_text(json.dumps({"examples": 12, "tokens": 5}))
    assert prepared() == "anew"  # of no job at all


def test_verify_names_files_of_other_jobs_and_other_images(store, home, tuning, tmp_path):
    path = tuning.folder / "round-1" / "train.jsonl"
    training_data.prepare(tuning, path, Split.TRAIN, "dogcls-x", 2)
    (who,) = store.experiments.contestants("t")

    def differs():
        (found,) = made_for.check(store, home, who, [tuning.job], every=True)
        assert found.held is not bool(found.differs)
        return found.differs

    assert differs() == ()
    other = base64.b64encode(plain(99))
    lines = path.read_bytes().splitlines()
    mine = base64.b64encode(plain(0))
    assert mine in lines[0]
    path.write_bytes(b"\n".join([lines[0].replace(mine, other), *lines[1:]]) + b"\n")
    assert [d.partition(": ")[2] for d in differs()] == [
        "round-1/train.facts.json: train.jsonl has changed",
        "round-1/train.jsonl: 1 of 12 images is not of the train split",
    ]
    (tuning.folder / "identity.json").write_text(json.dumps({**tuning.identity.plain(), "job": "other"}))
    assert "identity.json: its job is another" in differs()[0]


def test_checkpoints_of_another_job_or_of_other_images_are_passed_over(tmp_path):
    mine = {"job": "aaaa", "data": "d", "recipe": {"name": "quick"}, "seed": 1, "given": ""}
    for key in ("job", "data", "seed"):
        folder, said = tmp_path / key, []
        foreign = Keeper(folder, {**mine, key: "other"}, lambda *a: None)
        foreign.save_last(State(), {})
        foreign.save_best(0, {"given": "/weights.pt"})
        keeper = Keeper(folder, mine, lambda message, level, said=said: said.append((level, message)))
        assert keeper.restore() is None
        with pytest.raises(JobError):
            keeper.best(0)
        assert said == [("warning", f"{name} is of another run ({key}) and was passed over") for name in
                        ("last.pt", "best-0.pt")]  # fmt: skip
        with pytest.raises(JobError):
            load_best(folder, 0, lambda *a: None, {key: mine[key]})
        foreign.save_best(0, {})
    older = Keeper(tmp_path / "older", {key: value for key, value in mine.items() if key not in ("job", "data")}, print)
    older.save_last(State(), {})
    assert Keeper(tmp_path / "older", mine, print).restore() is not None  # of a version that did not keep them


async def test_a_deployment_of_another_model_is_replaced_and_never_queried(tuning, monkeypatch):
    there, calls = [deployments.Deployment("n", "gpt-4o.ft-old", "Succeeded")], []

    async def wait_gone(*_, **__):
        return there[-1] if there else None

    async def delete(_azure, name):
        calls.append(("delete", name))
        there.clear()

    async def create(_azure, name, model, **_):
        calls.append(("create", name, model))

    async def wait_ready(*_, **__):
        pass

    for function in (wait_gone, delete, create, wait_ready):
        monkeypatch.setattr(deployments, function.__name__, function)
    await deploy.ensure_deployed(tuning, None, "n", "gpt-4o.ft-new", tuning.folder)
    assert calls == [("delete", "n"), ("create", "n", "gpt-4o.ft-new")]
    there[:], calls[:] = [deployments.Deployment("n", "gpt-4o.ft-new", "Succeeded")], []
    await deploy.ensure_deployed(tuning, None, "n", "gpt-4o.ft-new", tuning.folder)
    assert calls == []
