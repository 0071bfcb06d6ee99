"""An image that has changed since its dataset was added is neither sent, nor trained on, nor predicted."""

import itertools
import json
import shutil
import time

import pytest

from engine.states import Outcome
from engine.store import Store
from tests.conftest import Emulator
from tests.pictures import class_folders

WHY = "has changed since the dataset was added. Put the file back as it was, or add the dataset again"


class Blind(Emulator):
    """An emulator that answers at random."""

    def start(self):
        self.command.append("--no-brain")
        super().start()

    def paid(self):
        """Return how many requests were paid for: in batches, and singly."""
        ledger = self.ledger()
        return sum(batch["requests"] for batch in ledger["batches"]), ledger["chat_requests"]["total"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Blind(tmp_path_factory.mktemp("changed"), tmp_path_factory.mktemp("no-cache"), "instant")
    yield place
    place.stop()


class Set:
    """A dataset whose files are changed and put back."""

    def __init__(self, home, dogcls):
        self.home, self.dogcls = home, dogcls
        self.kept = {}

    def __call__(self, *arguments):
        return self.dogcls(self.home.root, *arguments)

    def store(self, look):
        store = Store(self.home.store)
        try:
            return look(store)
        finally:
            store.close()

    def spoil(self, split, place):
        """Change one byte of a file, and nothing of its size."""
        path = self.store(lambda store: store.datasets.images("set", split)[place].path)
        data = self.kept[path] = path.read_bytes()
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
        return path

    def heal(self):
        for path, data in self.kept.items():
            path.write_bytes(data)

    def outcomes(self, contestant=1):
        return self.store(lambda store: store.predictions.counts(contestant))

    def ended(self, job=1):
        until = time.monotonic() + 60
        for _ in itertools.count():
            found = self.store(lambda store: store.jobs.view(job))
            if found.state in ("succeeded", "failed"):
                return found
            assert time.monotonic() < until, found
            time.sleep(0.02)


@pytest.fixture
def data(home, dogcls, place, monkeypatch, tmp_path):
    for name, value in place.environment().items():
        monkeypatch.setenv(name, value)
    data = Set(home, dogcls)
    source = class_folders(tmp_path / "set", ["cat", "no cat"], 24)
    assert data("data", "add", source, "--name", "set", "--train", "12", "--val", "6", "--test", "6")[0] == 0
    return data


@pytest.mark.parametrize("kind", ["batch", "score"])
@pytest.mark.parametrize("gone", [False, True])
def test_that_image_fails_and_is_asked_about_once_its_file_is_back(data, place, kind, gone):
    path = data.spoil("test", 7)
    if gone:
        path.unlink()
    why = f"{path}: No such file or directory. Put the file back" if gone else f"{path}: {WHY}"
    options = ("--deployment", place.deployment) if kind == "score" else ("--retry", "batch")
    batched, single = place.paid()
    code, _, err = data("launch", kind, "--dataset", "set", *options, "--yes")
    assert code == 0, err
    assert data.outcomes() == {Outcome.ANSWERED: 11, Outcome.FAILED: 1}
    log = data("logs", "1")[1]
    assert why in log and "1 image has no answer" in log
    assert why in data.store(lambda store: store.predictions.an_error(1))
    assert data("resume", "1", "--yes")[0] == 0  # it is still not there: nothing is paid
    assert data.ended().state == "succeeded"
    asked = (batched + 11, single) if kind == "batch" else (batched, single + 11)
    assert place.paid() == asked
    data.heal()
    assert data("resume", "1", "--yes")[0] == 0
    assert data.ended().state == "succeeded"
    assert data.outcomes() == {Outcome.ANSWERED: 12}
    assert place.paid() == ((asked[0] + 1, single) if kind == "batch" else (batched, asked[1] + 1))


def test_in_real_time_it_is_no_other(data, place):
    path = data.spoil("test", 0)
    assert data("launch", "batch", "--dataset", "set", "--retry", "realtime", "--yes")[0] == 0
    assert data.outcomes() == {Outcome.ANSWERED: 11, Outcome.FAILED: 1}
    assert f"{path}: {WHY}" in data("logs", "1")[1]


def test_a_batch_of_which_nothing_can_be_read_says_so(data, place):
    for number in range(12):
        data.spoil("test", number)
    before = place.paid()
    code, _, err = data("launch", "batch", "--dataset", "set", "--yes")
    assert code == 1 and WHY in err and place.paid() == before
    data.heal()
    assert data("resume", "1", "--yes")[0] == 0 and data.ended().state == "succeeded"
    assert data.outcomes() == {Outcome.ANSWERED: 12}


def test_a_latency_is_of_no_other_image(data, place):
    path = data.spoil("test", 1)
    options = ("--dataset", "set", "--contestants", "zero-shot", "--retry", "none")
    assert data("run", *options, "--plain", "--yes")[0] == 0
    assert all(f"{path}: {WHY}" in data("logs", job)[1] for job in ("1", "2"))
    assert data.store(lambda store: len(store.predictions.latencies(1))) == 11


@pytest.mark.parametrize("split", ["train", "val"])
def test_fine_tuning_is_refused(data, place, split):
    paths = [data.spoil(split, number) for number in (2, 3)]
    before = len(place.ledger()["fine_tuning_jobs"])
    code, _, err = data("launch", "fine-tune", "--dataset", "set", "--yes")
    assert code == 1 and all(f"{path}: {WHY}" in err for path in paths)
    assert len(place.ledger()["fine_tuning_jobs"]) == before
    paths[0].write_bytes(b"another size")
    code, _, err = data("launch", "fine-tune", "--dataset", "set", "--yes")
    assert code == 2 and "Fine-tuning cannot start" in err and f"{paths[0]}: {WHY}" in err  # before it starts


def test_a_pilot_names_it_and_tells_of_the_others(data, place):
    path = data.spoil("val", 4)
    options = ("--dataset", "set", "--images", "12", "--value", "1", "--yes", "--json")
    code, out, _ = data("pilot", *options)
    found = json.loads(out)
    assert code == 0 and (found["n"], found["failed"]) == (11, 1) and f"{path}: {WHY}" in found["problem"]
    data.heal()
    before = place.paid()[1]
    found = json.loads(data("pilot", *options)[1])
    assert (found["n"], found["failed"], found["problem"]) == (12, 0, "") and place.paid()[1] == before + 1


def test_files_for_others_leave_it_out_by_name(data, tmp_path):
    path = data.spoil("test", 3)
    options = ("data", "jsonl", "set", "--kind", "batch", "--split", "test", "--output", tmp_path / "out")
    code, _, err = data(*options)
    assert code == 2 and f"{path}: has changed since the dataset was added" in err
    code, out, err = data(*options, "--skip-bad")
    assert code == 0 and json.loads(out)[0]["lines"] == 11 and path.name in err


def test_a_network_learns_from_no_other_image_and_predicts_none(warm_home, dogcls, dogs, tmp_path):
    data = Set(warm_home, dogcls)
    shutil.copytree(dogs, tmp_path / "dogs")
    split = ("--train", "9", "--val", "2", "--test", "5")
    assert data("data", "add", tmp_path / "dogs", "--name", "set", *split)[0] == 0
    learnt = data.spoil("train", 5)
    code, _, err = data("train", "--dataset", "set", "--epochs", "1")
    assert code in (1, 2) and f"{learnt}: {WHY}" in err
    assert data.outcomes() == {}
    data.heal()
    tested = data.spoil("test", 11)
    assert data("resume", "1", "--yes")[0] == 0
    view = data.ended()
    assert view.state == "failed"
    assert f"1 of 20 test images was not predicted: {tested}: {WHY}" in view.error
    assert data.outcomes() == {Outcome.ANSWERED: 19, Outcome.FAILED: 1}
    data.heal()
    assert data("resume", "1", "--yes")[0] == 0
    assert data.ended().state == "succeeded"
    assert data.outcomes() == {Outcome.ANSWERED: 20}
