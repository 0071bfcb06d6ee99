"""Sets of request files: shards, going on, and nobody else's files overwritten."""

import json
import os

import pytest

from engine.datasets import export as exporting
from engine.datasets import shard_file
from engine.datasets.export import Exporter, Limits, Line
from engine.datasets.shard_file import ShardFile
from engine.errors import InputError, StoreError

RECIPE = {"dataset": "d", "form": "as-is"}
LIMITS = Limits(bytes=1000, lines=4)


def line(number, size=50, tokens=10, why=""):
    text = f"{number:06d}".ljust(size - 1, ".").encode() + b"\n"
    return Line(f"{number}.jpg", (text[:10], text[10:]), len(text), tokens, why)


def numbers(count, bad=(), stop=None, size=50):
    def lines(skip):
        for number in range(skip, count):
            if number == stop:
                raise KeyboardInterrupt
            yield line(number, size, why="broken" if number in bad else "")

    return lines


def exporter(folder, recipe=RECIPE, limits=LIMITS, skip_bad=False):
    return Exporter(folder, "d-batch-test", recipe, limits, skip_bad=skip_bad)


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.jsonl"))}


def cut_off(folder, stop, **options):
    with pytest.raises(KeyboardInterrupt):
        exporter(folder, **options).write(numbers(10, stop=stop))


def asked_from(folder):
    """Write the set to its end; return from where lines were asked for."""
    asked = []

    def lines(skip):
        asked.append(skip)
        return numbers(10)(skip)

    exporter(folder).write(lines)
    return asked


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def whole(tmp_path):
    """What an undisturbed run writes of ten lines."""
    (tmp_path / "whole").mkdir()
    exporter(tmp_path / "whole").write(numbers(10))
    return content(tmp_path / "whole")


@pytest.mark.parametrize(
    ("limits", "counts"),
    [
        (Limits(1000, 4), [4, 4, 2]),
        (Limits(150, 100), [3, 3, 3, 1]),
        (Limits(1000, 100, 25), [2] * 5),
        (Limits(1000, 100, 5), [1] * 10),  # one line over the quota stands alone
        (Limits(1000, 10), [10]),
    ],
)
def test_files_keep_every_limit(folder, limits, counts):
    found = exporter(folder, limits=limits).write(numbers(10))
    assert [shard.requests for shard in found.shards] == counts
    assert b"".join(content(folder).values()) == b"".join(b"".join(line(n).parts) for n in range(10))
    assert [shard.bytes for shard in found.shards] == [len(data) for data in content(folder).values()]
    assert (folder / "d-batch-test.manifest.json").exists()
    assert not list(folder.glob(".*"))


def test_nothing_is_a_set_of_no_files(folder):
    assert exporter(folder).write(numbers(0)).shards == ()
    assert exporter(folder).write(numbers(0)).shards == ()


def test_a_finished_set_is_not_written_again(folder, whole):
    first = exporter(folder).write(numbers(10))
    stamps = [path.stat().st_mtime_ns for path in folder.glob("*.jsonl")]
    assert asked_from(folder) == []
    again = exporter(folder).write(numbers(10))
    assert again.shards == first.shards and again.kept == 3
    assert [path.stat().st_mtime_ns for path in folder.glob("*.jsonl")] == stamps
    assert content(folder) == whole


@pytest.mark.parametrize("stop", range(10))
def test_a_run_that_was_cut_off_goes_on_where_it_was(folder, whole, stop):
    cut_off(folder, stop)
    assert asked_from(folder) == [stop]
    assert content(folder) == whole
    assert not list(folder.glob(".*"))


def test_a_temporary_file_that_the_disk_lost_is_written_anew(folder, whole):
    cut_off(folder, 6)
    (part,) = folder.glob(".*.part")
    part.write_bytes(b"\0" * part.stat().st_size)
    assert asked_from(folder) == [4]
    assert content(folder) == whole


def test_what_lies_behind_the_last_checkpoint_is_cut_off(folder, whole):
    cut_off(folder, 6)
    (part,) = folder.glob(".*.part")
    with part.open("ab") as file:
        file.write(b"half a li")
    assert asked_from(folder) == [6]
    assert content(folder) == whole


def test_a_kill_between_the_manifest_and_the_name_loses_nothing(folder, whole, monkeypatch):
    def killed(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ShardFile, "publish", killed)
        cut_off(folder, None)
    assert content(folder) == {}
    assert asked_from(folder) == [4]
    assert content(folder) == whole


def test_a_file_that_was_removed_is_made_again(folder, whole):
    exporter(folder).write(numbers(10))
    (folder / "d-batch-test-00002.jsonl").unlink()
    exporter(folder).write(numbers(10))
    assert content(folder) == whole


def test_other_files_are_not_overwritten(folder):
    other = folder / "d-batch-test-00002.jsonl"
    other.write_text("mine")
    with pytest.raises(InputError, match=r"00002\.jsonl: would be overwritten"):
        exporter(folder).write(numbers(10))
    assert other.read_text() == "mine" and len(content(folder)) == 1


def test_files_of_another_recipe_are_not_overwritten(folder, whole):
    exporter(folder).write(numbers(10))
    with pytest.raises(InputError, match=r"made otherwise \(form\)"):
        exporter(folder, RECIPE | {"form": "jpeg"}).write(numbers(10))
    assert content(folder) == whole


def test_what_was_only_begun_with_another_recipe_gives_way(folder, whole):
    cut_off(folder, 3, recipe=RECIPE | {"form": "jpeg"})
    assert asked_from(folder) == [0]
    assert content(folder) == whole


def test_a_changed_file_is_noticed(folder):
    exporter(folder).write(numbers(10))
    path = folder / "d-batch-test-00001.jsonl"
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))
    with pytest.raises(InputError, match="has been changed since it was written"):
        exporter(folder).write(numbers(10))


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"recipe": 1, "begun": {}, "shards": [], "bad": []}', '"x"'])
def test_a_manifest_that_is_none_is_refused(folder, text):
    (folder / "d-batch-test.manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json"):
        exporter(folder).write(numbers(10))


def test_a_bad_image_ends_it_and_names_itself(folder, whole):
    with pytest.raises(InputError, match=r"6\.jpg: broken\. .*--skip-bad"):
        exporter(folder).write(numbers(10, bad={6}))
    assert asked_from(folder) == [6]  # it was mended
    assert content(folder) == whole


@pytest.mark.parametrize("stop", [None, 0, 2, 3, 5, 9])
def test_bad_images_are_left_out_where_that_is_asked_for(folder, stop):
    bad = {2, 3, 9}
    if stop is not None:
        with pytest.raises(KeyboardInterrupt):
            exporter(folder, skip_bad=True).write(numbers(10, bad, stop))
    found = exporter(folder, skip_bad=True).write(numbers(10, bad))
    assert found.skipped == 3 and found.bad == tuple((f"{n}.jpg", "broken") for n in sorted(bad))
    assert [shard.requests for shard in found.shards] == [4, 3]
    again = exporter(folder, skip_bad=True).write(numbers(10, bad))
    assert (again.skipped, again.bad, again.shards) == (found.skipped, found.bad, found.shards)


def test_many_bad_images_are_counted_and_the_first_are_named(folder):
    found = exporter(folder, skip_bad=True).write(numbers(500, range(500)))
    assert (found.skipped, len(found.bad), found.shards) == (500, 100, ())


def test_a_line_that_no_file_can_hold_is_bad(folder):
    with pytest.raises(InputError, match=r"0\.jpg: its line has 2,000 bytes, and a file has at most 1,000"):
        exporter(folder).write(numbers(1, size=2000))


def test_a_full_disk_is_told_and_the_next_run_goes_on(folder, whole, monkeypatch):
    real, written = os.write, []

    def full(file, data):
        written.append(len(data))
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        return real(file, data)

    with monkeypatch.context() as patch:
        patch.setattr(shard_file.os, "write", full)
        with pytest.raises(StoreError, match="No space left on device"):
            exporter(folder).write(numbers(10))
    exporter(folder).write(numbers(10))
    assert content(folder) == whole


def test_a_full_disk_is_noticed_by_the_thread_that_writes(folder, monkeypatch):
    def full(file, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shard_file, "CHUNK", 200)
    monkeypatch.setattr(shard_file.os, "write", full)
    with pytest.raises(StoreError, match="No space left"):
        exporter(folder, limits=Limits(10**6, 10**6)).write(numbers(1000))


@pytest.mark.parametrize("chunk", [1, 64, 1000, 1 << 21])
def test_chunks_and_checkpoints_change_nothing(folder, whole, chunk, monkeypatch):
    monkeypatch.setattr(shard_file, "CHUNK", chunk)
    monkeypatch.setattr(exporting, "CHECKPOINT_SECONDS", 0.0)
    exporter(folder).write(numbers(10))
    assert content(folder) == whole


def test_two_runs_do_not_write_into_one_folder(folder):
    def lines(skip):
        with pytest.raises(StoreError, match="another process writes here"):
            exporter(folder).write(numbers(10))
        yield from numbers(10)(skip)

    exporter(folder).write(lines)


def test_the_manifest_tells_what_the_files_are(folder):
    found = exporter(folder).write(numbers(10))
    told = json.loads((folder / "d-batch-test.manifest.json").read_text())
    assert told["recipe"] == RECIPE and told["complete"] is True and told["begun"] is None
    assert [s["sha256"] for s in told["shards"]] == [s.sha256 for s in found.shards]
