"""`dogcls-tui data jsonl`: files, previews, refusals; each line against what the service publishes."""

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine.datasets.training_file import check_training_file
from engine.jobs import exporting
from engine.jobs.spec import Spec
from tests.conftest import ROOT
from tests.pictures import plain

HOSTILE = ('say "hi"', "comma, [bracket]", "🐕 emoji", "plain")


@pytest.fixture
def home_of(dogcls, tmp_path):
    """Make a home with a dataset of drawn pictures, whose names say little of their labels."""

    def make(count=20, labels=HOSTILE, size=(48, 32), form="JPEG"):
        source = tmp_path / "source"
        for at, label in enumerate(labels):
            folder = source / label
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number:03d}.{form.lower()}").write_bytes(plain(97 * at + number, size=size, form=form))
        root = tmp_path / "home"
        code, _, err = dogcls(root, "data", "add", source, "--name", "set")
        assert code == 0, err
        return root, source

    return make


def jsonl(dogcls, root, *arguments):
    code, out, err = dogcls(root, "data", "jsonl", "set", *arguments)
    assert code == 0, err
    return json.loads(out), err


def lines_of(shard):
    data = Path(shard["path"]).read_bytes()
    assert data.endswith(b"\n") and not data.startswith(b"\xef\xbb\xbf")
    return [json.loads(line) for line in data.splitlines()]


def test_the_three_files_of_a_comparison(dogcls, home_of, tmp_path):
    root, _ = home_of()
    found, err = jsonl(dogcls, root, "--kind", "both", "--output", tmp_path / "out", "--deployment", "asked")
    assert [(s["kind"], s["split"]) for s in found] == [("fine-tune", "train"), ("fine-tune", "val"), ("batch", "test")]
    assert sum(s["lines"] for s in found) == 80
    assert "warning: batch test: 2 labels have commas, quotes" in err
    train, _, test = map(lines_of, found)
    for shard, what in ((found[0], "training"), (found[1], "validation")):
        checked = check_training_file(Path(shard["path"]), what=what)
        assert checked.problems == [] and checked.examples == shard["lines"] and checked.bytes == shard["bytes"]
    assert {line["messages"][-1]["content"] for line in train} == set(HOSTILE)
    assert len({line["custom_id"] for line in test}) == len(test)
    for line in test:
        assert list(line) == ["custom_id", "method", "url", "body"]
        assert (line["method"], line["url"], line["body"]["model"]) == ("POST", "/chat/completions", "asked")
        system, user = line["body"]["messages"]
        assert all(label in system["content"] for label in HOSTILE)
        (image,) = user["content"]
        assert image["type"] == "image_url" and image["image_url"]["detail"] == "low"
        head, data = image["image_url"]["url"].split(",")
        assert head == "data:image/jpeg;base64" and base64.b64decode(data)[:2] == b"\xff\xd8"
        schema = line["body"]["response_format"]["json_schema"]
        assert schema["strict"] is True and schema["schema"]["additionalProperties"] is False
    assert found[2]["enqueued_tokens"] > 85 * len(test)
    assert "tokens" in found[0] and "enqueued_tokens" not in found[0]


def test_ids_are_stable_and_unlike_labels_and_names(dogcls, home_of, tmp_path):
    root, source = home_of()
    first, _ = jsonl(dogcls, root, "--kind", "batch", "--split", "test", "--output", tmp_path / "a")
    code, _, _ = dogcls(tmp_path / "home2", "data", "add", source, "--name", "other")
    code, _, _ = dogcls(tmp_path / "home2", "data", "add", source, "--name", "set")
    assert code == 0
    second, _ = jsonl(dogcls, tmp_path / "home2", "--kind", "batch", "--split", "test", "--output", tmp_path / "b")
    assert first[0]["sha256"] == second[0]["sha256"]  # another store, other row numbers, the same bytes


def test_several_splits_of_one_kind(dogcls, home_of, tmp_path):
    root, _ = home_of()
    arguments = ("--kind", "batch", "--split", "val", "--split", "test", "--split", "val")
    found, _ = jsonl(dogcls, root, *arguments, "--output", tmp_path / "out")
    assert [s["split"] for s in found] == ["val", "test"]
    again, err = jsonl(dogcls, root, *arguments, "--output", tmp_path / "out")
    assert again == found and "1 file was there already" in err


def test_a_preview_writes_nothing_and_tells_each_form(dogcls, home_of, tmp_path):
    root, _ = home_of(count=70, size=(640, 480))
    found, err = jsonl(
        dogcls, root, "--kind", "fine-tune", "--split", "train", "--preview", "--format", "jpeg", "--quality", "40",
        "--max-side", "100", "--detail", "high",
    )  # fmt: skip
    assert not (tmp_path / "out").exists()
    assert "measured on 112 of 224 images" in err
    chosen = [row for row in found if row["chosen"]]
    assert [row["name"] for row in chosen] == ["--format jpeg --quality 40 --max-side 100"]
    plain_row = next(row for row in found if row["name"] == "--format as-is")
    assert chosen[0]["sent_bytes"] < plain_row["sent_bytes"] == plain_row["image_bytes"]
    assert chosen[0]["tokens"] < plain_row["tokens"]  # one tile instead of two
    assert chosen[0]["usd"] < plain_row["usd"]
    written, _ = jsonl(
        dogcls, root, "--kind", "fine-tune", "--split", "train", "--output", tmp_path / "out", "--format", "jpeg",
        "--quality", "40", "--max-side", "100", "--detail", "high",
    )  # fmt: skip
    assert sum(s["bytes"] for s in written) == pytest.approx(chosen[0]["upload_bytes"], rel=0.02)
    assert sum(s["tokens"] for s in written) == pytest.approx(chosen[0]["tokens"], rel=0.02)


def test_a_small_split_is_previewed_whole(dogcls, home_of):
    root, _ = home_of()
    found, err = jsonl(dogcls, root, "--kind", "batch", "--split", "test", "--preview", "--model", "no-such-model")
    assert "measured on all 8 images" in err and "no price" in err
    assert {row["usd"] for row in found} == {None}


def test_a_prompt_file_and_plain_answers(dogcls, home_of, tmp_path):
    root, _ = home_of()
    prompt = tmp_path / "prompt.toml"
    prompt.write_text('user = "One of {labels}"\nlabels = "json"\n')
    arguments = ("--split", "test", "--prompt", prompt, "--output", tmp_path / "out")
    found, err = jsonl(dogcls, root, "--kind", "batch", "--answer", "text", *arguments)
    line = lines_of(found[0])[0]
    assert "response_format" not in line["body"]
    (user,) = line["body"]["messages"]
    listed = user["content"][0]["text"].removeprefix("One of ")
    assert set(json.loads(listed)) == set(HOSTILE)
    assert "warning" not in err
    found, _ = jsonl(dogcls, root, "--kind", "fine-tune", "--answer", "json", *arguments)
    assert {json.loads(line["messages"][-1]["content"])["label"] for line in lines_of(found[0])} == set(HOSTILE)


def test_bad_images_are_named_and_left_out_only_where_that_is_asked_for(dogcls, home_of, tmp_path):
    root, _ = home_of()
    for one in tmp_path.rglob("003.jpeg"):
        one.unlink()
    arguments = ("--kind", "batch", "--split", "train", "--split", "val", "--split", "test", "--output", tmp_path / "o")
    code, out, err = dogcls(root, "data", "jsonl", "set", *arguments)
    assert code == 2 and out == "" and "003.jpeg: No such file" in err and "--skip-bad" in err
    found, err = jsonl(dogcls, root, *arguments, "--skip-bad")
    assert sum(s["lines"] for s in found) == 76
    assert err.count("left out: ") == 4


@pytest.mark.parametrize("size", [False, True])
def test_a_source_that_changed_is_noticed(dogcls, home_of, tmp_path, size):
    root, _ = home_of()
    for one in tmp_path.rglob("003.jpeg"):
        data = one.read_bytes()
        one.write_bytes(data + b"more" if size else data[:-1] + b"!")
    code, _, err = dogcls(
        root, "data", "jsonl", "set", "--kind", "batch", "--split", "train", "--output", tmp_path / "out"
    )
    assert code == 2 and "003.jpeg: has changed since the dataset was added" in err


def test_other_files_stay(dogcls, home_of, tmp_path):
    root, _ = home_of()
    (tmp_path / "out").mkdir()
    mine = tmp_path / "out" / "set-batch-test-00001.jsonl"
    mine.write_text("mine")
    code, out, err = dogcls(root, "data", "jsonl", "set", "--kind", "both", "--output", mine.parent, "--split", "test")
    assert (code, out, mine.read_text()) == (2, "", "mine") and "would be overwritten" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--kind", "batch", "--split", "test"), "There is no --output"),
        (("--kind", "batch", "--output", "x"), "There is no --split"),
        (("--kind", "batch", "--split", "test", "--output", "x", "--quality", "50"), "--quality changes nothing"),
        (("--kind", "both", "--output", "x", "--prompt", "nowhere.txt"), "nowhere.txt"),
        (("--kind", "song", "--output", "x"), "song"),
        (("--kind", "both", "--output", "x", "--max-side", "2"), "--max-side"),
    ],
)
def test_mistakes_are_told(dogcls, home_of, arguments, says):
    root, _ = home_of(count=3, labels=("a", "b"))
    code, out, err = dogcls(root, "data", "jsonl", "set", *arguments)
    assert (code, out) == (2, "") and says in err


def test_an_unknown_dataset(dogcls, tmp_path):
    code, _, err = dogcls(tmp_path / "home", "data", "jsonl", "none", "--kind", "both", "--output", tmp_path / "out")
    assert code == 2 and "There is no dataset 'none'" in err and not (tmp_path / "out").exists()


def test_grey_pictures_are_no_training_examples_until_they_are_converted(dogcls, tmp_path):
    import io

    from PIL import Image

    for label in "ab":
        (tmp_path / "grey" / label).mkdir(parents=True)
        for number in range(10):
            data = io.BytesIO()
            Image.new("L", (30, 20), 9 * number + ord(label)).save(data, "JPEG")
            (tmp_path / "grey" / label / f"{number}.jpg").write_bytes(data.getvalue())
    root = tmp_path / "home"
    assert dogcls(root, "data", "add", tmp_path / "grey", "--name", "set")[0] == 0
    arguments = ("--kind", "fine-tune", "--split", "train", "--output", tmp_path / "out")
    code, _, err = dogcls(root, "data", "jsonl", "set", *arguments)
    assert code == 2 and "the mode is L" in err and "--format jpeg" in err
    found, _ = jsonl(dogcls, root, *arguments, "--format", "jpeg")  # the begun set of greys gives way
    assert check_training_file(Path(found[0]["path"])).problems == []


def test_two_thousand_labels_are_told_with_their_tokens(dogcls, tmp_path, store, home):
    (tmp_path / "p").mkdir()
    data = plain(1)
    (tmp_path / "p" / "a.jpg").write_bytes(data)
    labels = [f"a class with quite a long name, number {number}" for number in range(2000)]
    store.datasets.add(
        "set", source="test", root=tmp_path / "p", split="given", seed=None, digest="0", labels=labels,
        images=[("a.jpg", 1999, "test", len(data), 32, 24, hashlib.sha256(data).hexdigest())],
    )  # fmt: skip
    found, err = jsonl(dogcls, home.root, "--kind", "batch", "--split", "test", "--output", tmp_path / "out")
    assert "its 2,000 labels about" in err and found[0]["enqueued_tokens"] > 20_000
    assert labels[-1] in lines_of(found[0])[0]["body"]["messages"][0]["content"]


def test_the_command_loads_nothing_heavy(home_of, tmp_path):
    root, _ = home_of(count=3, labels=("a", "b"))
    code = (
        "import sys, atexit\n"
        "heavy = ('torch', 'pandas', 'numpy', 'openai', 'azure', 'textual', 'PIL', 'sklearn', 'asyncio')\n"
        "atexit.register(lambda: print([m for m in heavy if m in sys.modules]))\n"
        "from tui.main import main\nmain()"
    )
    arguments = ["--home", str(root), "data", "jsonl", "set", "--kind", "both", "--deployment", "d", "--output"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_limits_are_those_of_the_jobs():
    from engine.datasets import checks, jsonl, training_file

    assert exporting.LIMITS["batch"].bytes == jsonl.BATCH_BYTES
    assert exporting.LIMITS["batch"].lines == jsonl.BATCH_REQUESTS
    assert exporting.LIMITS["fine-tune"].bytes == jsonl.TRAINING_BYTES
    assert exporting.LIMITS["fine-tune"].lines == training_file.MAX_EXAMPLES
    assert exporting.MOST_IMAGE_BYTES == checks.MAX_BYTES
    assert Spec.model_fields["model"].default == exporting.MODEL
    assert training_file.MIN_EXAMPLES == exporting.FEWEST_EXAMPLES


def test_every_command_is_found_in_its_module():
    from tui.lazy import MODULES, commands_of

    found = [name for module in dict.fromkeys(MODULES.values()) for name in commands_of(module)]
    assert sorted(found) == sorted(MODULES)
