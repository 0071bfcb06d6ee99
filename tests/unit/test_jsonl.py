import base64
import json
import re

import pytest

from engine.datasets.jsonl import measure_batch_shards, split_shard, write_batch_shards, write_training_file
from engine.datasets.prompt import ARTICLE_PROMPT, Prompt
from engine.errors import InputError
from tests.pictures import catalogued, plain

LABELS = ['say "hi"', "zwei", "三"]
TUNED = Prompt(ARTICLE_PROMPT, "text", "low")


@pytest.fixture
def pictures(tmp_path):
    paths = []
    for n, form in enumerate(("JPEG", "PNG", "WEBP", "JPEG")):
        path = tmp_path / f"{n}.jpg"  # names lie about the form
        path.write_bytes(plain(n, form=form))
        paths.append(catalogued(path))
    return paths


def lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_a_batch_line_is_one_request_with_the_original_bytes(tmp_path, pictures):
    items = [(f'id "{n}"', path, 0) for n, path in enumerate(pictures)]
    (shard,) = write_batch_shards(items, Prompt.default(), LABELS, "gpt-4o-batch", tmp_path, "in")
    found = lines(shard.path)
    assert [line["custom_id"] for line in found] == [i for i, _, _ in items]
    for line, picture in zip(found, pictures, strict=True):
        assert (line["method"], line["url"]) == ("POST", "/chat/completions")
        body = line["body"]
        assert body["model"] == "gpt-4o-batch"
        assert body["response_format"]["json_schema"]["schema"]["required"] == ["label"]
        system, user = body["messages"]
        assert all(label in system["content"] for label in LABELS)
        image = user["content"][0]["image_url"]
        assert image["detail"] == "low"
        head, data = image["url"].split(",", 1)
        assert base64.b64decode(data) == picture.path.read_bytes()
        assert head == f"data:image/{['jpeg', 'png', 'webp', 'jpeg'][pictures.index(picture)]};base64"


def test_shards_keep_both_limits(tmp_path, pictures):
    items = [(str(n), pictures[n % 4], 100) for n in range(10)]
    by_count = write_batch_shards(items, Prompt.default(), LABELS, "m", tmp_path, "a", max_requests=4)
    assert [s.requests for s in by_count] == [4, 4, 2]
    by_size = write_batch_shards(items, Prompt.default(), LABELS, "m", tmp_path, "b", max_bytes=4000)
    assert all(s.bytes <= 4000 for s in by_size)
    assert sum(s.requests for s in by_size) == 10
    ids = [line["custom_id"] for s in by_size for line in lines(s.path)]
    assert ids == [i for i, _, _ in items]


def test_the_same_input_gives_the_same_bytes(tmp_path, pictures):
    items = [(str(n), path, 0) for n, path in enumerate(pictures)]
    first, second = (write_batch_shards(items, Prompt.default(), LABELS, "m", tmp_path, s)[0] for s in "ab")
    assert first.sha256 == second.sha256


def test_a_training_line_ends_with_the_bare_label(tmp_path, pictures):
    shard = write_training_file(
        list(zip(pictures, [*LABELS, "zwei"], strict=True)), TUNED, LABELS, tmp_path / "t.jsonl"
    )
    assert [line["messages"][-1] for line in lines(shard.path)] == [
        {"role": "assistant", "content": label} for label in [*LABELS, "zwei"]
    ]


def test_an_image_that_is_gone_is_named_and_nothing_half_written_stays(tmp_path, pictures):
    pictures[2].path.unlink()
    before = set(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"2\.jpg: No such file"):
        write_batch_shards(
            [(str(n), p, 0) for n, p in enumerate(pictures)], Prompt.default(), LABELS, "m", tmp_path, "x"
        )
    with pytest.raises(InputError, match=r"2\.jpg: No such file"):
        write_training_file([(p, "zwei") for p in pictures], TUNED, LABELS, tmp_path / "x.jsonl")
    assert set(tmp_path.iterdir()) == before


def test_an_image_that_has_changed_is_named_and_the_rest_can_go_on(tmp_path, pictures):
    changed = pictures[1]
    other = bytearray(changed.path.read_bytes())
    other[-20] ^= 1  # of the same size
    changed.path.write_bytes(other)
    why = r"1\.jpg: has changed since the dataset was added\. Put the file back as it was, or add the dataset again"
    items = [(str(n), picture, 7) for n, picture in enumerate(pictures)]
    with pytest.raises(InputError, match=why):
        write_batch_shards(items, Prompt.default(), LABELS, "m", tmp_path, "x")
    with pytest.raises(InputError, match=why):
        write_training_file([(p, "zwei") for p in pictures], TUNED, LABELS, tmp_path / "x.jsonl")
    told = []
    (shard,) = write_batch_shards(
        items, Prompt.default(), LABELS, "m", tmp_path, "x", failed=lambda name, error: told.append((name, str(error)))
    )
    assert [line["custom_id"] for line in lines(shard.path)] == ["0", "2", "3"]
    assert (shard.requests, shard.tokens) == (3, 21)
    ((name, error),) = told
    assert name == "1" and re.search(why, error)
    changed.path.write_bytes(b"shorter")
    with pytest.raises(InputError, match=r"1\.jpg: has changed .* \(it had [\d,]+ bytes, and has 7\)"):
        changed.read()
    changed.path.write_bytes(bytes(changed.bytes + 9))
    with pytest.raises(InputError, match=r"and has over"):
        changed.read()


def test_a_training_file_over_the_limit_is_refused(tmp_path, pictures):
    with pytest.raises(InputError, match="over"):
        write_training_file([(pictures[0], "zwei")] * 5, TUNED, LABELS, tmp_path / "x.jsonl", max_bytes=2000)


def test_a_prompt_file_must_name_the_labels(tmp_path):
    path = tmp_path / "prompt.txt"
    path.write_text("Which dog?")
    with pytest.raises(InputError, match=r"never says \{labels\}"):
        Prompt.from_file(path)
    path.write_text("Which of {labels}?")
    assert Prompt.from_file(path).render(["a", "b"]) == "Which of a, b?"


def test_shards_keep_the_quota_of_tokens_and_one_request_over_it_stands_alone(tmp_path, pictures):
    items = [(str(n), pictures[n % 4], tokens) for n, tokens in enumerate((40, 40, 40, 200, 10))]
    shards = write_batch_shards(items, Prompt.default(), LABELS, "m", tmp_path, "a", max_tokens=100)
    assert [(s.requests, s.tokens) for s in shards] == [(2, 80), (1, 40), (1, 200), (1, 10)]


def test_a_request_that_no_file_can_hold_names_its_image(tmp_path, pictures):
    with pytest.raises(InputError, match=r"0\.jpg: its request has .* bytes; a batch file has at most 100"):
        write_batch_shards([("x", pictures[0], 0)], Prompt.default(), LABELS, "m", tmp_path, "a", max_bytes=100)
    assert not list(tmp_path.glob("*a-*"))


def test_a_shard_is_split_without_a_line_lost(tmp_path, pictures):
    items = [(str(n), pictures[n % 4], 10) for n in range(10)]
    (whole,) = write_batch_shards(items, Prompt.default(), LABELS, "m", tmp_path, "a")
    parts = split_shard(whole, 3)
    assert [(s.path.name, s.requests, s.tokens) for s in parts] == [
        ("a-00001-1.jsonl", 3, 30), ("a-00001-2.jsonl", 3, 30), ("a-00001-3.jsonl", 4, 40),
    ]  # fmt: skip
    assert b"".join(s.path.read_bytes() for s in parts) == whole.path.read_bytes()
    assert sum(s.bytes for s in parts) == whole.bytes


@pytest.mark.parametrize("limits", [{}, {"max_bytes": 4000}, {"max_requests": 3}, {"max_tokens": 100}])
def test_what_will_be_written_is_known_before(tmp_path, limits):
    paths = []
    for n in range(12):
        paths.append(tmp_path / f"{n}.{('jpg', 'png', 'webp')[n % 3]}")
        paths[-1].write_bytes(plain(n, form=("JPEG", "PNG", "WEBP")[n % 3]))
    asked = [(f"image-{n}", catalogued(path), 40 + n) for n, path in enumerate(paths)]
    written = write_batch_shards(asked, Prompt.default(), LABELS, "m", tmp_path, "a", **limits)
    sized = [(name, image.path, image.bytes, tokens) for name, image, tokens in asked]
    measured = measure_batch_shards(sized, Prompt.default(), LABELS, "m", **limits)
    assert [(s.requests, s.bytes, s.tokens) for s in measured] == [(s.requests, s.bytes, s.tokens) for s in written]


def test_nothing_becomes_no_file():
    assert measure_batch_shards([], Prompt.default(), LABELS, "m") == []
