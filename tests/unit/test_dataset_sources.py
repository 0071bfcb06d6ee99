"""Where images come from, friendly and hostile: each source alone, and what it refuses."""

import base64
import csv
import errno
import io
import json
import os
import sys
import tarfile
import zipfile

import pytest

from engine.datasets import looking
from engine.datasets.catalog import build_catalog
from engine.datasets.sources import Passed, open_source
from engine.datasets.sources.archive import MOST_AT_ONCE
from engine.datasets.sources.digits import NAMES
from engine.errors import InputError
from engine.states import Split
from engine.store.staging import Staging
from tests.pictures import class_folders, plain, tar_of, zip_of


def catalog(source, tmp_path, **options):
    return build_catalog(source, tmp_path / "target", **options)


def left(tmp_path):
    """What stands beside the target after something was refused."""
    return [p.name for p in tmp_path.iterdir() if "target" in p.name]


def found_in(catalogue):
    """(kind, path) of everything that was noted."""
    staging = catalogue.staging
    return {(kind, path) for number, kind, *_ in staging.findings() for path, _ in staging.finding_files(number)}


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
    with pytest.raises(InputError, match="'cat' has 0 images in its official test part"):
        catalog(root, tmp_path)
    class_folders(root / "elsewhere", ["cat"], 2)
    with pytest.raises(InputError, match=r"elsewhere/cat/000\.jpg: the source says no split"):
        catalog(root, tmp_path)
    with pytest.raises(InputError, match="no --per-class"):
        catalog(root, tmp_path, split="official", per_class=3)


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
        (("x/000.jpg",), r"line 4: has 1 columns"),
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
    with pytest.raises(InputError, match=r"set\.csv: not UTF-8"):
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
    with pytest.raises(InputError, match="line 1 is no UTF-8"):
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


# -- hostile


def test_links_of_a_folder_are_not_followed_out_of_it(tmp_path):
    source = class_folders(tmp_path / "set", ["a", "b"], 5)
    (tmp_path / "secret.jpg").write_bytes(plain(999))
    (source / "a" / "inside.jpg").symlink_to(source / "b" / "000.jpg")
    (source / "loop").symlink_to(source)
    os.mkfifo(source / "a" / "pipe.jpg")
    found = catalog(source, tmp_path)
    assert len(found.images) == 11
    assert {("folder-link", "loop"), ("special", "a/pipe.jpg")} <= found_in(found)
    (source / "a" / "outside.jpg").symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(InputError, match=r"set/a/outside\.jpg: it is a link that leads out of the source\. Copy"):
        catalog(source, tmp_path)
    assert ("link", "a/outside.jpg") in found_in(catalog(source, tmp_path, skip_bad=True))


def test_links_devices_and_ways_out_of_archives_are_told(tmp_path):
    source = class_folders(tmp_path / "set", ["a", "b"], 5)
    path = tar_of(source, tmp_path / "set.tar")
    with tarfile.open(path, "a") as archive:
        for name, kind in (
            ("a/sym.jpg", tarfile.SYMTYPE),
            ("a/hard.jpg", tarfile.LNKTYPE),
            ("a/dev.jpg", tarfile.CHRTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "../../etc/passwd"
            archive.addfile(member)
        slip = tarfile.TarInfo("../../a/slip.jpg")
        slip.size = len(plain(5))
        archive.addfile(slip, io.BytesIO(plain(5)))
    found = catalog(path, tmp_path)
    assert len(found.images) == 10
    assert {
        ("archive-link", "a/sym.jpg"), ("archive-link", "a/hard.jpg"), ("special", "a/dev.jpg"),
        ("unsafe-path", "../../a/slip.jpg"),
    } <= found_in(found)  # fmt: skip

    path = zip_of(source, tmp_path / "set.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../a/slip.jpg", plain(5))
        link = zipfile.ZipInfo("a/link.jpg")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    found = build_catalog(path, tmp_path / "zipped")
    assert {("unsafe-path", "../../a/slip.jpg"), ("archive-link", "a/link.jpg")} <= found_in(found)
    assert {p.name for p in tmp_path.iterdir()} == {"set", "set.tar", "set.zip", "target", "zipped"}


@pytest.mark.skipif(sys.platform == "darwin", reason="its disks take UTF-8 names only")
def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    source = class_folders(tmp_path / "set", ["a", "b"], 5)
    (source / "a" / os.fsdecode(b"M\xfcller.jpg")).write_bytes(plain(99))
    with pytest.raises(InputError, match=r"set/a/M\\udcfcller\.jpg: its name is not UTF-8\. Rename it"):
        catalog(source, tmp_path)
    found = catalog(source, tmp_path, skip_bad=True)
    assert len(found.images) == 10
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add(source, "x")
    with pytest.raises(InputError, match="its name is not UTF-8"):
        catalog(tmp_path / "set.tar", tmp_path)


def test_names_may_be_strange(tmp_path):
    source = class_folders(tmp_path / "set", ["a", "כלב"], 4)
    for n, name in enumerate(("new\nline.jpg", "\x1b[2Jclear.jpg", "\u202egpj.exe.jpg", "كلب.jpg", "[b]x[b].jpg")):
        (source / "a" / name).write_bytes(plain(50 + n))
    found = catalog(source, tmp_path)
    assert {i.path for i in found.images} >= {"a/new\nline.jpg", "a/كلب.jpg", "a/[b]x[b].jpg"}
    odd = {path for kind, path in found_in(found) if kind == "odd-name"}
    assert odd == {"a/new\nline.jpg", "a/\x1b[2Jclear.jpg", "a/\u202egpj.exe.jpg"}
    archive = build_catalog(tar_of(source, tmp_path / "set.tar"), tmp_path / "other")
    assert archive.digest == found.digest


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2J", "a\u202eb"])
def test_a_class_whose_name_could_steer_a_prompt_is_refused(tmp_path, name):
    class_folders(tmp_path / "set", [name, "b"], 4)
    with pytest.raises(InputError, match="has control characters or marks of direction in its name") as caught:
        catalog(tmp_path / "set", tmp_path)
    assert name not in str(caught.value)


def test_names_that_differ_in_capitals_alone(tmp_path, monkeypatch):
    source = class_folders(tmp_path / "set", ["a", "b"], 4)
    (source / "a" / "X.jpg").write_bytes(plain(50))
    (source / "a" / "x.jpg").write_bytes(plain(51))
    found = catalog(source, tmp_path)
    assert {("case", "a/X.jpg"), ("case", "a/x.jpg")} <= found_in(found)
    # A disk on which both are one must not lose either.
    real = os.open

    def one(path, flags, *more, **options):
        return real(str(path).replace("/X.jpg", "/x.jpg"), flags, *more, **options)

    monkeypatch.setattr(looking.os, "open", one)
    with pytest.raises(InputError, match=r"two names that are one on this disk\. Rename"):
        catalog(tar_of(source, tmp_path / "set.tar"), tmp_path)
    assert not left(tmp_path)


def sized(name, size, **more):
    member = tarfile.TarInfo(name)
    member.size = size
    for key, value in more.items():
        setattr(member, key, value)
    return member


def test_absurd_sizes_are_refused_unread(tmp_path):
    source = class_folders(tmp_path / "set", ["a", "b"], 5)
    path = tar_of(source, tmp_path / "set.tar")
    with tarfile.open(path, "a") as archive:
        archive.addfile(sized("a/huge.jpg", 10**7 + 512), io.BytesIO(bytes(10**7 + 512)))
    with pytest.raises(InputError, match=r"a/huge\.jpg: 10,000,512 bytes, and the service takes 10,000,000\. Scale"):
        catalog(path, tmp_path)
    with zipfile.ZipFile(zip_of(source, tmp_path / "set.zip"), "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/bomb.jpg", bytes(10**7 + 1))
    with pytest.raises(InputError, match=r"a/bomb\.jpg: 10,000,001 bytes"):
        catalog(tmp_path / "set.zip", tmp_path)
    with tarfile.open(tmp_path / "bomb.tgz", "w:gz") as archive:
        archive.add(source / "a" / "000.jpg", "a/000.jpg")
        archive.fileobj.write(sized("a/bomb.jpg", 10**12).tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(InputError, match=r"bomb\.tgz: a/bomb\.jpg: 1,000,000,000,000 bytes, unpacked"):
        catalog(tmp_path / "bomb.tgz", tmp_path)
    assert not left(tmp_path)


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path):
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as archive:
        archive.fileobj.write(sized("x", MOST_AT_ONCE + 1, type=tarfile.GNUTYPE_LONGNAME).tobuf(tarfile.GNU_FORMAT))
        for _ in range(MOST_AT_ONCE // 512 + 2):
            archive.fileobj.write(bytes(512))
    with pytest.raises(InputError, match=r"set\.tar\.gz: no readable tar file"):
        catalog(tmp_path / "set.tar.gz", tmp_path)


def test_a_sparse_member_is_refused(tmp_path):
    source = class_folders(tmp_path / "set", ["a", "b"], 5)
    path = tar_of(source, tmp_path / "set.tar")
    with tarfile.open(path, "a", format=tarfile.GNU_FORMAT) as archive:
        header = bytearray(sized("a/sparse.jpg", 512, type=tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
        header[386:398], header[398:410] = b"%011o\0" % 0, b"%011o\0" % 512
        header[483:495] = b"%011o\0" % 10**9
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        archive.fileobj.seek(archive.offset)
        archive.fileobj.write(header + bytes(512))
        archive.offset = archive.fileobj.tell()
    with pytest.raises(InputError, match=r"a/sparse\.jpg: it is stored as a sparse file"):
        catalog(path, tmp_path)


@pytest.mark.parametrize("name", ["set.tar", "set.tgz", "set.zip"])
def test_an_archive_that_is_cut_off_leaves_nothing(tmp_path, name):
    source = class_folders(tmp_path / "set", ["a", "b"], 30)
    path = zip_of(source, tmp_path / name) if name.endswith("zip") else tar_of(source, tmp_path / name)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        catalog(path, tmp_path)
    assert not left(tmp_path)


def test_a_zip_with_a_wrong_checksum_or_a_password_is_named(tmp_path):
    source = class_folders(tmp_path / "set", ["a", "b"], 5)
    path = zip_of(source, tmp_path / "set.zip")
    data = path.read_bytes()
    first = data.index(plain(0))
    path.write_bytes(data[: first + 300] + b"XX" + data[first + 302 :])
    with pytest.raises(InputError, match=r"a/000\.jpg: Bad CRC-32"):
        catalog(path, tmp_path)


@pytest.mark.parametrize("after", [0, 7])
def test_a_disk_that_fills_up_leaves_nothing(tmp_path, monkeypatch, after):
    source = tar_of(class_folders(tmp_path / "set", ["a", "b"], 10), tmp_path / "set.tar")
    real, opened = os.open, []

    def full(path, flags, *more, **options):
        if "partial" in str(path) and flags & os.O_CREAT:
            opened.append(path)
            if len(opened) > after:
                raise OSError(errno.ENOSPC, "No space left on device", path)
        return real(path, flags, *more, **options)

    monkeypatch.setattr(looking.os, "open", full)
    with pytest.raises(InputError, match=r"No space left on device\. Free some space"):
        catalog(source, tmp_path)
    assert not left(tmp_path)


def test_what_cannot_fit_is_told_before_anything_is_unpacked(tmp_path, monkeypatch):
    source = tar_of(class_folders(tmp_path / "set", ["a", "b"], 10), tmp_path / "set.tar")
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 100})())
    with pytest.raises(InputError, match=r"its pictures take [\d,]+ bytes, and 100 are free"):
        catalog(source, tmp_path)
    assert not left(tmp_path)


def test_an_archive_that_changes_meanwhile_is_refused(tmp_path, monkeypatch):
    source = tar_of(class_folders(tmp_path / "set", ["a", "b"], 10), tmp_path / "set.tar")
    real = Staging.leave_out_bad

    def meddle(staging):
        with source.open("ab") as file:
            file.write(b"\0" * 512)
        return real(staging)

    monkeypatch.setattr(Staging, "leave_out_bad", meddle)
    with pytest.raises(InputError, match=r"set\.tar: it changed while the set was read"):
        catalog(source, tmp_path)
    assert not left(tmp_path)


def test_what_is_no_picture_is_told_and_junk_is_not(tmp_path):
    source = class_folders(tmp_path / "set", ["a", "b"], 5)
    for name in ("readme.txt", "a/notes.md", "a/.DS_Store", "a/._000.jpg", "Thumbs.db", "stray.jpg"):
        (source / name).write_bytes(plain(7))
    found = {(e.kind, e.path) for e in open_source(source).scan() if isinstance(e, Passed)}
    assert found == {("other-file", "readme.txt"), ("other-file", "a/notes.md"), ("no-class", "stray.jpg")}
