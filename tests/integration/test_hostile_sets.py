"""Hostile pictures and names in every form of a source, through the commands that a stranger runs on them.

Nothing crashes, steers the terminal, is dropped unsaid, or leaves anything half-written behind.
"""

import base64
import csv
import io
import json
import os
import re
import sqlite3
import sys
import tarfile
import warnings
import zipfile
from functools import partial

import pytest

from engine.datasets.sources.base import LONGEST_NAME
from engine.errors import InputError
from engine.jobs.importing import _alone, add_dataset
from tests.pictures import class_folders, plain, tar_of
from tests.unit.test_dataset_checks import bomb, encoded, frames, noise, sixteen_bits

FORMS = ("folder", "tar", "zip", "csv", "jsonl")
ARCHIVES = ("tar", "tgz", "zip")
STEERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
GOOD = [(f"{label}/{n:03d}.png", encoded(noise(100 * c + n))) for c, label in enumerate("ab") for n in range(8)]
PNG = encoded(noise(900))


def file_of(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def make(root, form, files):
    """Write a source; the JSONL has no names, and the table lies beside the folder."""
    if form in ("folder", "csv"):
        for name, data in files:
            file_of(root / "set" / name).write_bytes(data)
        if form == "folder":
            return root / "set"
        with (root / "set.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("path", "label"), *((f"set/{n}", n.split("/")[-2]) for n, _ in files)])
        return root / "set.csv"
    path = root / f"set.{form}"
    if form == "jsonl":
        with path.open("w", encoding="utf-8") as file:
            for name, data in files:
                kind = {"png": "png", "heic": "heic"}.get(name.rsplit(".", 1)[-1], "jpeg")
                url = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
                content = [{"type": "image_url", "image_url": {"url": url}}]
                answer = {"role": "assistant", "content": name.split("/")[-2]}
                file.write(json.dumps({"messages": [{"role": "user", "content": content}, answer]}) + "\n")
    elif form == "zip":
        with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a name that is there twice
            for name, data in files:
                archive.writestr(name, data)
    else:
        with tarfile.open(path, "w:gz" if form == "tgz" else "w") as archive:
            for name, data in files:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def cli(tmp_path, dogcls):
    """Run a command, and see that nothing of what it prints can steer a terminal."""

    def run(*arguments):
        code, out, err = dogcls(tmp_path / "home", *arguments)
        assert not STEERS.search(out), out
        assert not STEERS.search(err), err
        return code, out, err

    return run


def nothing_half_written(tmp_path):
    datasets = tmp_path / "home" / "datasets"
    return not [path for path in datasets.iterdir() if path.name.startswith(".")]


def looked_at_by_all(cli, tmp_path):
    """Run what comes after adding; return the check's kinds of findings with their files."""
    assert cli("data", "check", "set")[0] == 0
    code, out, _ = cli("data", "check", "set", "--json")
    assert code == 0
    for command in (("show", "set"), ("show", "set", "--json"), ("list",)):
        assert cli("data", *command)[0] == 0
    files = ("--kind", "batch", "--split", "train", "--deployment", "d", "--output", tmp_path / "out")
    assert cli("data", "jsonl", "set", *files, "--format", "jpeg")[0] == 0
    return {kind["kind"]: kind["files"] for kind in json.loads(out)["kinds"]}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("names", "datas", "kinds"),
    [
        (
            ("new\nline.png", "\x1b[2J\x1b]0;x\x07\x9b31m.png", "\u202egnp.exe.png", "كلب.png", "[bold]x.png"),
            [encoded(noise(900 + n)) for n in range(5)],
            {"odd-name": 3},
        ),
        (
            ("cmyk.jpg", "bit16.png", "lies.jpg"),
            [encoded(noise(900, mode="CMYK"), "JPEG"), sixteen_bits(), PNG],
            {"mode": 2, "extension": 1},
        ),
    ],
    ids=["names", "modes"],
)
def test_what_can_be_used_is_used_and_told(cli, tmp_path, form, names, datas, kinds):
    source = make(tmp_path, form, [*GOOD, *((f"a/{name}", data) for name, data in zip(names, datas, strict=True))])
    assert cli("data", "add", source, "--name", "set")[0] == 0
    # A JSONL file has no names; what a data URL says of its type becomes one.
    found = looked_at_by_all(cli, tmp_path)
    assert {kind: count for kind, count in found.items() if kind in kinds} == (
        {} if form == "jsonl" and "odd-name" in kinds else kinds
    )
    (listed,) = json.loads(cli("data", "list", "--json")[1])
    assert listed["train"] + listed["val"] + listed["test"] == len(GOOD) + len(names)
    assert nothing_half_written(tmp_path)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("name", "data", "kind", "words"),
    [
        ("a/zero.png", b"", "empty", "it has 0 bytes. Remove it, or fetch it again"),
        ("a/bomb.png", bomb(), "pixels", "2,500,000,000 pixels, and 100,000,000 are the limit. Scale it down"),
        ("a/anim.jpg", frames("GIF"), "format", "no GIF (animated: 2 pictures). Convert it to JPEG or PNG"),
        ("a/x.heic", b"\0\0\0\x18ftypheic" + bytes(100), "format", "Convert it to JPEG or PNG"),
        ("a/\x1b[31mtext.png", b"text", "no-image", "this is no image. Remove it, or replace it"),
    ],
    ids=["empty", "bomb", "gif", "heic", "text"],
)
def test_what_cannot_be_used_is_refused_by_name_or_left_out_by_name(cli, tmp_path, form, name, data, kind, words):
    source = make(tmp_path, form, [*GOOD, (name, data)])
    code, out, err = cli("data", "add", source, "--name", "set")
    assert (code, out) == (2, "")
    named = ("line-00000017", "line 17") if form == "jsonl" else (name.split("/")[1].replace("\x1b", ""),)
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert any(word in line for word in named)
    assert words in line
    assert nothing_half_written(tmp_path)
    assert cli("data", "list", "--json")[1].strip() == "[]"
    code, _, err = cli("data", "add", source, "--name", "set", "--skip-bad")
    assert code == 0
    assert "left out: 1 file" in err
    assert f" {kind} " in err
    assert looked_at_by_all(cli, tmp_path)[kind] == 1  # a check does not forget what was left out


@pytest.mark.parametrize("form", [*ARCHIVES, "csv"])
def test_paths_that_lead_out_write_and_read_nothing_there(cli, tmp_path, form):
    root = tmp_path / "deep" / "er"
    root.mkdir(parents=True)
    if form == "csv":
        (tmp_path / "deep" / "slip.png").write_bytes(PNG)
        source = make(root, form, GOOD)
        with source.open("a") as file:
            file.write("set/../../slip.png,a\n")
        code, _, err = cli("data", "add", source, "--name", "set")
        assert code == 2
        assert "line 18: 'set/../../slip.png' leads out of" in err
        return
    source = make(root, form, [*GOOD, ("../../a/slip.png", PNG), ("/a/absolute.png", PNG)])
    assert cli("data", "add", source, "--name", "set")[0] == 0
    assert looked_at_by_all(cli, tmp_path)["unsafe-path"] == 1
    assert not list(tmp_path.rglob("slip.png"))
    assert [p.parent.parent for p in tmp_path.rglob("absolute.png")] == [tmp_path / "home" / "datasets" / "set"]


@pytest.mark.parametrize("form", ARCHIVES)
def test_a_name_that_no_disk_takes_is_left_out_by_name(cli, tmp_path, form):
    source = make(tmp_path, form, [*GOOD, (f"a/{'x' * LONGEST_NAME}.png", PNG)])
    code, _, err = cli("data", "add", source, "--name", "set")
    assert code == 2
    assert "its name is longer than 255 bytes. Shorten it." in err
    assert cli("data", "add", source, "--name", "set", "--skip-bad")[0] == 0


@pytest.mark.parametrize("form", ARCHIVES)
def test_a_name_that_is_there_twice_is_refused(cli, tmp_path, form):
    source = make(tmp_path, form, [*GOOD, ("a/000.png", PNG)])
    code, _, err = cli("data", "add", source, "--name", "set")
    assert (code, "a/000.png is there twice. Rename or remove one" in err) == (2, True)
    assert nothing_half_written(tmp_path)


@pytest.mark.parametrize("form", FORMS)
def test_classes_that_differ_in_capitals_alone_or_could_steer_are_refused(cli, tmp_path, form):
    for number, (label, words) in enumerate((("A", "'A' and 'a'"), ("c\x1b[2J", r"'c\x1b[2J'"), ("c\nd", r"'c\nd'"))):
        source = make(file_of(tmp_path / str(number) / "x").parent, form, [*GOOD, (f"{label}/0.png", PNG)])
        code, _, err = cli("data", "add", source, "--name", "set")
        assert (code, words in err, "Rename" in err) == (2, True, True), err
    assert nothing_half_written(tmp_path)


@pytest.mark.skipif(sys.platform == "darwin", reason="its disks take UTF-8 names only")
def test_a_class_that_is_not_utf8_is_left_out_by_name(cli, tmp_path):
    for form in ("folder", "tar"):
        root = file_of(tmp_path / form / "x").parent
        source = make(root, form, [*GOOD, (os.fsdecode(b"c\xff/0.png"), PNG)])
        code, _, err = cli("data", "add", source, "--name", form)
        assert (code, r"c\udcff/0.png: its name is not UTF-8. Rename it." in err) == (2, True)
        assert cli("data", "add", source, "--name", form, "--skip-bad")[0] == 0


def test_a_store_on_a_full_disk_is_not_called_a_stranger(cli, tmp_path, monkeypatch):
    class Full(sqlite3.Connection):
        def execute(self, sql, *parameters):
            if "user_version" in sql:
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR
                raise error
            return super().execute(sql, *parameters)

    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *arguments, **options: real(*arguments, factory=Full, **options))
    code, _, err = cli("data", "list")
    assert (code, "store.db: disk I/O error. Check its disk: is it full?" in err) == (1, True)


def test_what_a_killed_import_left_goes_and_one_that_runs_is_left_alone(store, home, tmp_path):
    source = str(tar_of(class_folders(tmp_path / "set", ["a", "b"], 5), tmp_path / "set.tar"))
    for left in (".dead.partial", ".alive.partial"):
        (home.datasets / left / "a").mkdir(parents=True)
        (home.datasets / left / "a" / "0.jpg").write_bytes(plain(1))
    add = partial(add_dataset, store, home, source)
    with _alone(home.datasets, "alive"):
        with pytest.raises(InputError, match="'alive' is just being added by another process"):
            add("alive", None, {})
        add("dead", None, {})
        assert {p.name for p in home.datasets.iterdir()} == {"dead", ".alive.partial", ".alive.lock"}
    add("alive", None, {})
    assert {p.name for p in home.datasets.iterdir()} == {"dead", "alive"}
