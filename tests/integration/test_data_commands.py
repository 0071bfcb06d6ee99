"""`data add` and `data check` on the command line: what they print, and their exit codes."""

import asyncio
import json
from functools import partial

import pytest

from engine import Engine
from tests.pictures import class_folders, plain, tar_of


@pytest.fixture
def cli(tmp_path, dogcls):
    return partial(dogcls, tmp_path / "home")


@pytest.fixture
def source(tmp_path):
    root = class_folders(tmp_path / "set", ["finch", "wren"], 10)
    (root / "wren" / "copy\x1b[31m.jpg").write_bytes(plain(3))
    return root


def test_a_check_is_one_json_object_with_findings_and_speed(cli, source):
    code, _, err = cli("data", "add", source, "--name", "birds")
    assert code == 0
    assert "label-conflict" in err
    assert "see: dogcls-tui data check birds" in err
    code, out, err = cli("data", "check", "birds", "--json")
    assert (code, "checking images" in err) == (0, True)
    found = json.loads(out)
    assert (found["dataset"], found["images"]) == ("birds", 21)
    assert found["seconds"] > 0
    assert found["images_per_second"] > 0
    assert [k["kind"] for k in found["kinds"]] == ["label-conflict", "odd-name", "small", "unsure"]
    assert found["total"] == len(found["findings"]) == 4
    first = found["findings"][0]
    assert (first["severity"], first["files"], first["cure"]) == ("error", 2, "Remove the wrong ones.")
    assert sorted(w.split("/")[0] for w in first["where"]) == ["finch", "wren"]


def test_a_check_is_readable_and_no_name_steers_the_terminal(cli, source):
    cli("data", "add", source, "--name", "birds")
    code, out, err = cli("data", "check", "birds")
    assert code == 0
    assert "\x1b" not in out + err
    assert "one picture under different labels. Remove the wrong ones." in out
    assert "wren/copy[31m.jpg" in out
    assert "21 images checked in" in out
    assert "and 3 findings more (--most)" in cli("data", "check", "birds", "--most", "1")[1]


def test_an_unknown_dataset_is_bad_input(cli):
    code, out, err = cli("data", "check", "cats", "--json")
    assert (code, out) == (2, "")
    assert "There is no dataset 'cats'" in err


def test_readonly_checks_nothing(cli, source):
    cli("data", "add", source, "--name", "birds")
    assert cli("--readonly", "data", "check", "birds")[0] == 2


def test_what_is_left_out_is_named_and_counted(cli, source):
    (source / "finch" / "000.jpg").write_bytes(b"")
    (source / "finch" / "001.jpg").write_bytes(b"text")
    code, _, err = cli("data", "add", source, "--name", "birds")
    assert code == 2
    assert "(1 more cannot be used)" in err
    code, _, err = cli("data", "add", source, "--name", "birds", "--skip-bad")
    assert code == 0
    assert "left out: finch/000.jpg: this is no image: it has 0 bytes" in err
    assert "left out: finch/001.jpg: this is no image" in err
    assert "left out: 2 files" in err


def test_the_demo_takes_none_of_the_other_sources_options(cli):
    for option in (("--skip-bad",), ("--split", "official"), ("--root", "/")):
        assert cli("data", "add", "demo", "--name", "x", *option)[0] == 2


async def test_adding_that_is_cancelled_stops_and_leaves_nothing(tmp_path):
    engine = Engine(tmp_path / "home")
    source = tar_of(class_folders(tmp_path / "set", ["a", "b"], 400), tmp_path / "set.tar")
    loop, told = asyncio.get_running_loop(), []
    task = asyncio.ensure_future(
        engine.add_dataset(
            str(source), "set", lambda *step: (told.append(step), loop.call_soon_threadsafe(task.cancel))
        )
    )
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told[-1][1] < 800
    assert await engine.datasets() == []
    assert list((tmp_path / "home" / "datasets").iterdir()) == []
    engine.close()
