"""Where images come from: each source alone, and what it refuses."""

import base64
import csv
import json

import pytest

from engine.datasets.catalog import build_catalog
from engine.datasets.sources.digits import NAMES
from engine.datasets.splits import SplitPlan
from engine.errors import InputError
from engine.states import Split
from tests.pictures import class_folders, plain, tar_of, zip_of
from tests.unit.cataloguing import catalog, left


def parts(root, **counts):
    for split, count in counts.items():
        class_folders(root / split, ["cat", "dog"], count, start=1000 * len(split))
    return root


def splits(catalogue):
    return {split: len([i for i in catalogue.images if i.split == split]) for split in Split}


# -- trees that are split already


@pytest.mark.parametrize("form", ["folder", "tar", "tgz", "zip"])
def test_a_tree_that_is_split_keeps_its_split(tmp_path, form):
    root = parts(tmp_path / "set", train=8, valid=3, test=5)
    source = {
        "folder": lambda: root,
        "tar": lambda: tar_of(root, tmp_path / "set.tar", prefix="deep/"),
        "tgz": lambda: tar_of(root, tmp_path / "set.tgz"),
        "zip": lambda: zip_of(root, tmp_path / "set.zip"),
    }[form]()
    found = catalog(source, tmp_path)
    assert (found.split, splits(found)) == ("official", {"train": 16, "val": 6, "test": 10})
    assert found.digest == catalog(root, tmp_path).digest
    shuffled = build_catalog(root, tmp_path / "other", split="stratified")
    assert sum(splits(shuffled).values()) == 32
    assert shuffled.digest != found.digest


def test_a_split_without_validation_draws_it_from_training(tmp_path):
    root = parts(tmp_path / "set", train=20, test=5)
    found = catalog(root, tmp_path)
    assert splits(found) == {"train": 36, "val": 4, "test": 10}
    assert catalog(root, tmp_path).digest == found.digest != catalog(root, tmp_path, seed=7).digest
    assert {i.path.split("/")[0] for i in found.images if i.split == "test"} == {"test"}
    fewer = catalog(root, tmp_path, train=10, val=2, test=3)
    assert splits(fewer) == {"train": 20, "val": 4, "test": 6}


def test_an_official_split_that_is_none_is_refused(tmp_path):
    root = parts(tmp_path / "set", train=8, val=3)
    with pytest.raises(InputError, match=r"set: no test images in class folders, only train and val\. Add a test part"):
        catalog(root, tmp_path)
    class_folders(root / "elsewhere", ["cat"], 2)
    with pytest.raises(InputError, match=r"elsewhere/cat/000\.jpg: the source says no split"):
        catalog(root, tmp_path)
    with pytest.raises(InputError, match="no --per-class"):
        SplitPlan("official", per_class=3)


# -- CSV


def table(tmp_path, rows, head=("path", "label"), name="set.csv"):
    path = tmp_path / name
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])
    return path


def test_a_table_names_paths_and_labels(tmp_path):
    class_folders(tmp_path / "pictures", ["x", "y"], 10)
    rows = [(f"pictures/{c}/{n:03d}.jpg", label) for c, label in (("x", "Katze"), ("y", "כלב")) for n in range(10)]
    found = catalog(table(tmp_path, rows), tmp_path)
    assert (found.labels, found.root) == (["Katze", "כלב"], tmp_path)
    assert splits(found) == {"train": 16, "val": 2, "test": 2}


def test_a_table_may_name_the_split_and_use_other_words(tmp_path):
    class_folders(tmp_path / "pictures", ["x", "y"], 9)
    words = ["train"] * 5 + ["validation"] * 2 + ["test"] * 2
    rows = [(c, f"{c}/{n:03d}.jpg", words[n]) for c in "xy" for n in range(9)]
    path = table(tmp_path, rows, ("Was", "Wo", "set"))
    with pytest.raises(
        InputError, match=r"set\.csv: line 1: no column of paths among 'Was', 'Wo', 'set'.*--path-column"
    ):
        catalog(path, tmp_path, root=tmp_path / "pictures")
    options = {"root": tmp_path / "pictures", "path_column": "wo", "label_column": "WAS"}
    assert splits(catalog(path, tmp_path, **options)) == {"train": 10, "val": 4, "test": 4}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("x/000.jpg",), r"line 4: 1 field, the header has 2"),
        (("", "x"), "line 4: has no path"),
        (("x/000.jpg", " "), "line 4: has no label"),
        (("../../etc/passwd", "x"), r"line 4: '\.\./\.\./etc/passwd' leads out of .*--root"),
        (("/etc/passwd", "x"), "line 4: '/etc/passwd' leads out"),
        (("x/001.jpg", "y"), r"line 4: x/001\.jpg is there twice"),
        (("y/../x/001.jpg", "y"), r"line 4: x/001\.jpg is there twice"),
        (("x/none.jpg", "x"), r"x/none\.jpg: it is not there any more"),
        (("x/000.jpg", "x\ny"), "control characters"),
    ],
)
def test_lines_of_a_table_that_are_wrong_are_named(tmp_path, row, message):
    class_folders(tmp_path, ["x", "y"], 4)
    good = [("x/001.jpg", "x"), ("y/001.jpg", "y")]
    more = [(f"{c}/{n:03d}.jpg", c) for c in "xy" for n in (2, 3)]
    with pytest.raises(InputError, match=message):
        catalog(table(tmp_path, [*good, row, *more]), tmp_path)


def test_a_table_that_is_none_is_refused(tmp_path):
    (tmp_path / "set.csv").write_bytes(b"path,label\nM\xfcller.jpg,a\n")
    with pytest.raises(InputError, match=r"set\.csv: line 2: this is not UTF-8"):
        catalog(tmp_path / "set.csv", tmp_path)
    (tmp_path / "set.csv").write_text("path,label\n" + "x" * 200_000 + ",a\n")
    with pytest.raises(InputError, match=r"set\.csv: line 2: field larger"):
        catalog(tmp_path / "set.csv", tmp_path)
    (tmp_path / "set.csv").write_text("")
    with pytest.raises(InputError, match="no column of paths among none"):
        catalog(tmp_path / "set.csv", tmp_path)


# -- JSONL


def url(n):
    return "data:image/jpeg;base64," + base64.b64encode(plain(n)).decode()


def message(n, role="user"):
    return {"role": role, "content": [{"type": "image_url", "image_url": {"url": url(n), "detail": "low"}}]}


def examples(count=20, answer=lambda n: ["Pug", "Chow"][n % 2]):
    system = {"role": "system", "content": "Which?"}
    return [{"messages": [system, message(n), {"role": "assistant", "content": answer(n)}]} for n in range(count)]


def lines(tmp_path, objects, name="set.jsonl"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(o) + "\n" for o in objects), encoding="utf-8-sig")
    return path


@pytest.mark.parametrize(
    "answer", [lambda n: ["Pug", "Chow"][n % 2], lambda n: json.dumps({"breed": ["Pug", "Chow"][n % 2]})]
)
def test_a_fine_tuning_file_is_a_dataset(tmp_path, answer):
    found = catalog(lines(tmp_path, examples(answer=answer)), tmp_path)
    assert (found.labels, splits(found)) == (["Chow", "Pug"], {"train": 16, "val": 2, "test": 2})
    assert (found.root / "images/000/line-00000003.jpg").read_bytes() == plain(2)
    assert {i.path: i.label for i in found.images}["images/000/line-00000003.jpg"] == "Pug"


def batch(count=20):
    return [{"custom_id": f"id-{n}", "body": {"messages": [message(n)]}} for n in range(count)]


def test_a_batch_file_takes_its_labels_from_a_table(tmp_path):
    path = lines(tmp_path, batch())
    with pytest.raises(InputError, match=r"line 1 is a batch request, which has no answer.*--labels"):
        catalog(path, tmp_path)
    labels = table(tmp_path, [(f"id-{n}", "ab"[n % 2]) for n in range(20)], ("custom_id", "label"), "labels.csv")
    assert splits(catalog(path, tmp_path, labels=labels)) == {"train": 16, "val": 2, "test": 2}
    labels = table(tmp_path, [(f"id-{n}", "a") for n in range(7)], ("custom_id", "label"), "labels.csv")
    with pytest.raises(InputError, match=r"line 8 has the custom_id 'id-7', of which .*labels\.csv knows no label"):
        build_catalog(path, tmp_path / "x", labels=labels)
    labels = table(tmp_path, [("id-1", "a"), ("id-1", "b")], ("custom_id", "label"), "labels.csv")
    with pytest.raises(InputError, match=r"labels\.csv: line 3: two labels for 'id-1'"):
        build_catalog(path, tmp_path / "x", labels=labels)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 3 is no JSON"),
        ("[" * 100_000, "line 3 is no JSON"),
        ("[]", "line 3 has 0 images"),
        (json.dumps({"messages": [message(1), message(2)]}), "line 3 has 2 images"),
        (json.dumps({"messages": [message(1)]}), "line 3 has no assistant's answer"),
        (json.dumps(examples(1)[0]).replace("data:image/jpeg", "https://x/y"), "lies elsewhere"),
        (json.dumps(examples(1)[0]).replace("base64,/9j", "base64,*9j"), "its base64 is broken"),
    ],
)
def test_lines_that_are_wrong_are_named(tmp_path, line, problem):
    path = lines(tmp_path, examples())
    text = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*text[:2], line, *text[2:]]) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=problem):
        catalog(path, tmp_path)
    assert not left(tmp_path)


def test_a_line_that_is_no_utf8_is_named(tmp_path):
    (tmp_path / "set.jsonl").write_bytes(b'{"messages": "\xff"}\n')
    with pytest.raises(InputError, match="line 1: this is not UTF-8"):
        catalog(tmp_path / "set.jsonl", tmp_path)


# -- digits


def test_the_digits_are_always_at_hand(tmp_path):
    from engine.jobs.importing import add_dataset
    from engine.jobs.paths import Home
    from engine.store import Store

    home = Home(tmp_path / "home")
    store = Store(home.store)
    found = add_dataset(store, home, "digits", "digits", None, {"train": 8, "val": 2, "test": 4})
    assert sorted(found.labels) == sorted(NAMES)
    assert (found.train, found.val, found.test, found.source) == (80, 20, 40, "digits")
    image = store.datasets.images("digits", "test")[0]
    assert (image.width, image.height, image.path.suffix) == (96, 96, ".png")
    store.close()


def test_without_shared_memory_one_process_reads_all_pictures(tmp_path, monkeypatch):
    """Such as in a container without /dev/shm: slower, and with the same result."""
    import multiprocessing

    from engine import orphans
    from engine.datasets import looking

    class Nothing:
        def Lock(self):
            raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(multiprocessing, "get_context", lambda method: Nothing())
    assert not orphans.can_share()
    monkeypatch.setattr(looking, "look", lambda task: task * 2)
    assert list(looking.look_at_all(iter(range(5)), 5, 4)) == [0, 2, 4, 6, 8]
