"""Which level of folders is the class and which the split: the same from a folder, a tar and a zip, or one refusal."""

import io
import itertools
import os
import random
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.datasets.catalog import build_catalog
from engine.datasets.layout import doubtful
from engine.errors import InputError
from tests.pictures import plain
from tests.unit.cataloguing import catalog, found_in, left


def tree(*folders, count=4):
    """Paths of pictures, so many in each folder, each with other bytes."""
    files = [f"{folder}/{n}.jpg".removeprefix("/") for folder in folders for n in range(count)]
    return {path: plain(100 + number) for number, path in enumerate(files)}


def folder_of(files, root):
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def tarred(files, path, mode="w", name="{}"):
    with tarfile.open(path, mode) as archive:
        for file, data in files.items():
            member = tarfile.TarInfo(name.format(file))
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def zipped(files, path, name="{}", **more):
    with zipfile.ZipFile(path, "w") as archive:
        for file, data in files.items():
            info = zipfile.ZipInfo("x")
            info.filename = name.format(file)
            for key, value in more.items():
                setattr(info, key, value)
            archive.writestr(info, data)
    return path


def backslashed(files):
    return {path.replace("/", "\\"): data for path, data in files.items()}


FORMS = {
    "folder": lambda files, at: folder_of(files, at / "set"),
    "flat": lambda files, at: folder_of(backslashed(files), at / "flat"),  # a zip with backslashes, unpacked on Linux
    "tar": lambda files, at: tarred(files, at / "set.tar", name="./{}"),
    "tgz": lambda files, at: tarred(files, at / "set.tgz", "w:gz", name="/{}"),
    "bz2": lambda files, at: tarred(files, at / "set.tar.bz2", "w:bz2", name="wrapper/{}"),
    "xz": lambda files, at: tarred(backslashed(files), at / "set.tar.xz", "w:xz", name="C:\\wrapper\\{}"),
    "zip": lambda files, at: zipped(files, at / "set.zip"),
    "windows": lambda files, at: zipped(backslashed(files), at / "windows.zip", create_system=0),
}


def read(files, at, forms=FORMS, **options):
    """What each form is read as: {label: {split: count}} and the digest, or the refusal without the source's name."""
    found = {}
    for form in forms:
        source = FORMS[form](files, at)
        try:
            catalogue = build_catalog(source, at / f"{form}-target", **options)
        except InputError as error:
            found[form] = str(error).replace(str(source), "SET").replace("\\", "/").replace("wrapper/", "")
            assert not (at / f"{form}-target").exists()
            continue
        counts = Counter((i.label, str(i.split)) for i in catalogue.images)
        found[form] = ({label: {s: n for (c, s), n in counts.items() if c == label} for label in catalogue.labels},
                       catalogue.digest)  # fmt: skip
        catalogue.close()
    return found


def same(files, at, **options):
    """What all forms are read as, after it was asserted that it is the same."""
    found = read(files, at, **options)
    assert len(set(map(repr, found.values()))) == 1, found
    return found["folder"]


PETS = {"cat": {"train": 4, "test": 4}, "dog": {"train": 4, "test": 4}}


@pytest.mark.parametrize(
    "folders",
    [
        ("train/cat", "train/dog", "test/cat", "test/dog"),
        ("cat/train", "dog/train", "cat/test", "dog/test"),
        ("Training/cat", "Training/dog", "Testing/cat", "Testing/dog"),
        ("data/train/cat", "data/train/dog", "data/holdout/cat", "data/holdout/dog"),
        ("cat/pictures/train", "dog/pictures/train", "cat/pictures/eval", "dog/pictures/eval"),
        ("seg_train/seg_train/cat", "seg_train/seg_train/dog", "seg_test/seg_test/cat", "seg_test/seg_test/dog"),
        ("train_images/cat", "train_images/dog", "test_images/cat", "test_images/dog"),
        ("a/b/TRAIN/cat/images", "a/b/TRAIN/dog/images", "a/b/Test/cat/images", "a/b/Test/dog/images"),
    ],
)
def test_names_of_splits_above_or_below_classes_are_splits(tmp_path, folders):
    counts, _ = same(tree(*folders), tmp_path, train=2, val=1, test=3)
    assert counts == {label: {"train": 2, "val": 1, "test": 3} for label in PETS}


@pytest.mark.parametrize("name", ["val", "Valid", "validation", "dev"])
def test_each_name_of_a_validation_part_is_one(tmp_path, name):
    folders = [f"{split}/{c}" for split in ("train", name, "test") for c in ("cat", "dog")]
    counts, _ = same(tree(*folders), tmp_path, forms=["folder", "zip"])
    assert counts == {label: {"train": 4, "val": 4, "test": 4} for label in PETS}


@pytest.mark.parametrize(
    ("folders", "labels"),
    [
        (("cat", "dog"), ["cat", "dog"]),
        (("data/set/cat", "data/set/dog"), ["cat", "dog"]),
        (("cat/images", "dog/images"), ["cat", "dog"]),
        (("train/train", "train/bus", "test/train", "test/bus"), ["bus", "train"]),  # `train` is a vehicle here
        (("cat", "cat/@eaDir/1.jpg", "dog", "#recycle/cat", "System Volume Information/x"), ["cat", "dog"]),
        (("cat", "dog", "__MACOSX/cat", ".thumbnails/x", "$RECYCLE.BIN/S-1/x", "lost+found/y"), ["cat", "dog"]),
        (("cat", "dog", ".ipynb_checkpoints/a", "dog/.picasaoriginals", "cat/node_modules/x"), ["cat", "dog"]),
        (("cat", "dog", "@Recycle/a", ".Trash-1000/files", ".sync/b", ".stversions/cat"), ["cat", "dog"]),
    ],
)
def test_what_is_a_class_and_what_is_not(tmp_path, folders, labels):
    counts, _ = same(tree(*folders), tmp_path)
    assert list(counts) == labels


@pytest.mark.parametrize(
    ("folders", "refusal"),
    [
        (("train", "test"), "SET: no images in class folders below train, test. Put"),
        (("", "a"), "SET: only one class, 'a'"),
        (("cat/a", "cat/b", "dog/a", "dog/b"), "which level of folders is the class is not known. Give it:"),
        (("cat", "cat/young", "dog"), "pictures lie in cat/young, and in cat: which level of folders is the class"),
        (("part1/cat", "part2/cat", "part2/dog"), "which level of folders is the class is not known"),
        (("train/cat", "train/dog", "test"), "SET: no test images in class folders, only train. Add a test part"),
        (("train/cat/test", "train/dog/train", "test/cat/test"), "train/cat/test names two splits"),
        (("train/cat", "eval/cat", "test/cat", "holdout/cat"), "which of 'eval' and 'holdout' and 'test' is the test part"),
        (("train/cat", "train/dog", "test/cat", "test/dog", "train2/cat"), "train2/cat/0.jpg: the source says no split"),
        (("train/cat", "train/dog", "test/cat", "test/dog", "cat"), "cat/0.jpg: the source says no split for it"),
        (("cat", "dog", "IMG_0001"), "names that are hardly classes: 'IMG_0001' (like a file); they hold 4 of 12"),
        (("cat", "dog", "train2"), "'train2' (like a split)"),
        (("cat", "dog", "New folder (2)", "images"), "'New folder (2)' (like a container), 'images' (like a container)"),
        (("cat", "dog", "train"), "'train' (like a split)"),
        (("cat", "dog", "@backup"), "'@backup' (like a service folder)"),
        (("fold1/cat", "fold1/dog", "fold2/cat", "fold2/dog"), "--class-level 1 ('fold1') or --class-level 2 ('cat')"),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_refused_once_and_for_all_forms_alike(tmp_path, folders, refusal):
    found = read(tree(*folders), tmp_path)
    wrapped = {"xz", "bz2"}  # a level more
    levels = wrapped if "--class-level" in refusal or folders == ("train", "test") else set()
    assert all(refusal in told for form, told in found.items() if form not in levels), found
    assert all(isinstance(told, str) for told in found.values())


def test_the_level_of_classes_can_be_given(tmp_path):
    files = tree("cat/a", "cat/b", "dog/a", "dog", count=3)
    forms = ["folder", "zip", "tar", "tgz", "windows"]
    counts, _ = same(files, tmp_path, forms=forms, class_level=1, split="test-only")
    assert counts == {"cat": {"test": 6}, "dog": {"test": 6}}
    counts, _ = same(files, tmp_path / "2", forms=forms, class_level=2, split="test-only")
    assert counts == {"a": {"test": 6}, "b": {"test": 3}}
    folders = ("cat/train", "cat/test", "train/train", "train/test")
    counts, _ = same(tree(*folders), tmp_path / "3", forms=forms, class_level=1, train=2, val=1, test=1)
    assert counts == {c: {"train": 2, "val": 1, "test": 1} for c in ("cat", "train")}


def test_doubtful_classes_that_are_accepted_are_among_the_findings(tmp_path):
    counts, _ = same(tree("cat", "part 1", "train2"), tmp_path, accept_classes=True)
    assert list(counts) == ["cat", "part 1", "train2"]
    found = build_catalog(tmp_path / "set", tmp_path / "again", accept_classes=True)
    told = [what for _, kind, _, what, *_ in found.staging.findings() if kind == "class-name"]
    assert sorted(told) == ["the class 'part 1' has a name like a split", "the class 'train2' has a name like a split"]


NAMES_OF_CLASSES = ("Pug", "0", "00042", "class 1", "A", "n02085620-Chihuahua", "defect", "ok", "unknown", "other",
                    "background", "raw", "cooked", "mask on", "T-shirt", "screw", "type2", "Part number", "set menu",
                    "Valkyrie", "developer", "tester", "picnic", "database", "filet", "tempura", "imagery")  # fmt: skip
NAMES_OF_OTHER = ("IMG_0001", "IMG-20200101-WA0003", "DSC01234", "DSCN0001", "100CANON", "image (3)", "cat.jpg",
                  "Screenshot 2021-03-04", "P1010023", "20210304_121314", "new folder", "Neuer Ordner (2)", "Images",
                  "photos", "my pictures", "dataset", "data_old", "fold3", "split_1", "Part2", "train-2", "test images",
                  "validation", "eval", "holdout", "Thumbs", "annotations", "temp", "@tmp", "~old",
                  "d41d8cd98f00b204e9800998ecf8427e")  # fmt: skip


def test_names_of_classes_are_told_from_names_of_files_splits_and_containers():
    assert doubtful(NAMES_OF_CLASSES) == {}
    assert list(doubtful(NAMES_OF_OTHER)) == list(NAMES_OF_OTHER)


def test_pictures_beside_classes_are_in_no_class(tmp_path):
    found = catalog(folder_of(tree("", "data", "data/train/cat", "data/test/cat", "data/train/dog", "data/test/dog",
                                   "data/test"), tmp_path / "set"), tmp_path)  # fmt: skip
    assert found.labels == ["cat", "dog"]
    assert {path for kind, path in found_in(found) if kind == "no-class"} == {
        f"{folder}{n}.jpg" for folder in ("", "data/", "data/test/") for n in range(4)
    }


def test_the_same_names_in_two_parents_are_two_pictures(tmp_path):
    files = tree("one/cat", "two/cat", "one/dog", "two/dog")
    forms = ["folder", "zip", "tar", "windows"]
    counts, _ = same(files, tmp_path, forms=forms, class_level=2, split="test-only")
    assert counts == {"cat": {"test": 8}, "dog": {"test": 8}}
    assert (tmp_path / "zip-target/one/cat/0.jpg").read_bytes() == files["one/cat/0.jpg"]
    assert (tmp_path / "windows-target/two/cat/0.jpg").read_bytes() == files["two/cat/0.jpg"]


def test_one_name_twice_in_an_archive_is_refused(tmp_path):
    files = tree("cat", "dog")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(zipped(files, tmp_path / "set.zip"), "a") as z:
        z.writestr("cat/0.jpg", plain(9))
    with pytest.raises(InputError, match=r"set\.zip: cat/0\.jpg is there twice"):
        catalog(tmp_path / "set.zip", tmp_path)
    tarred({"./dog/1.jpg": plain(8)}, tarred(files, tmp_path / "set.tar"), "a")
    with pytest.raises(InputError, match=r"set\.tar: dog/1\.jpg is there twice"):
        catalog(tmp_path / "set.tar", tmp_path)
    tarred({"dog/1.jpg/1.jpg": plain(8)}, tarred(files, tmp_path / "set.tar"), "a")
    with pytest.raises(InputError, match=r"set\.tar: dog/1\.jpg is both a picture and a folder"):
        catalog(tmp_path / "set.tar", tmp_path, accept_classes=True)
    assert not left(tmp_path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_picture_that_is_a_link_in_an_archive_is_never_passed_over(tmp_path, kind):
    path = tarred(tree("cat", "dog"), tmp_path / "set.tar")
    with tarfile.open(path, "a") as archive:
        member = tarfile.TarInfo("cat/link.jpg")
        member.type, member.linkname = kind, "cat/0.jpg"
        archive.addfile(member)
    with pytest.raises(InputError, match=r"cat/link\.jpg: it is a link in the archive, and no picture\. Pack"):
        catalog(path, tmp_path)
    assert ("packed-link", "cat/link.jpg") in found_in(catalog(path, tmp_path, skip_bad=True))


def test_a_class_of_unusable_pictures_is_no_class_that_is_not_there(tmp_path):
    source = folder_of(tree("dog"), tmp_path / "set")
    folder_of(tree("all"), tmp_path)
    (source / "cat").mkdir()
    for n in range(4):
        (source / "cat" / f"{n}.jpg").symlink_to(tmp_path / "all" / f"{n}.jpg")
    with pytest.raises(
        InputError, match=r"cat/0\.jpg: it is a link that leads out of the source \(3 more cannot be used"
    ):
        catalog(source, tmp_path)
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add(source, "set")
    with pytest.raises(InputError, match=r"cat/0\.jpg: it is a link in the archive, and no picture \(3 more"):
        catalog(tmp_path / "set.tar", tmp_path)


def test_a_link_to_itself_is_refused_by_name(tmp_path):
    source = folder_of(tree("cat", "dog"), tmp_path / "set")
    (source / "cat" / "loop.jpg").symlink_to("loop.jpg")
    (source / "cat" / "loop").symlink_to("loop")
    with pytest.raises(InputError, match=r"cat/loop\.jpg: it is a link to itself"):
        catalog(source, tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_service_folder_that_nobody_may_read_is_no_matter(tmp_path):
    source = folder_of(tree("cat", "dog"), tmp_path / "set")
    (source / "lost+found").mkdir(mode=0)
    assert catalog(source, tmp_path).labels == ["cat", "dog"]


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"flag_bits": 1}, r"set\.zip: its pictures are encrypted \(a password\), such as cat/0\.jpg\. Unpack it with"),
        ({"flag_bits": 1, "compress_type": 99}, r"its pictures are encrypted \(AES\)"),
        ({"compress_type": 9}, r"its pictures are compressed by Deflate64, which cannot be read here, such as cat/0"),
        ({"compress_type": 93}, r"its pictures are compressed by Zstandard"),
    ],
)
@pytest.mark.parametrize("skip_bad", [False, True])
def test_a_zip_that_cannot_be_read_is_refused_before_anything_is_copied(
    tmp_path, monkeypatch, changes, refusal, skip_bad
):
    path = zipped(tree("cat", "dog"), tmp_path / "set.zip")
    data = bytearray(path.read_bytes())
    for signature, flags, method in ((b"PK\1\2", 8, 10), (b"PK\3\4", 6, 8)):  # of the directory, and of each file
        at = -1
        while (at := data.find(signature, at + 1)) >= 0:
            for offset, value in ((flags, changes.get("flag_bits", 0)), (method, changes.get("compress_type", 0))):
                data[at + offset : at + offset + 2] = struct.pack("<H", value)
    path.write_bytes(data)
    monkeypatch.setattr("engine.datasets.catalog.examine", lambda *_, **__: pytest.fail("something was copied"))
    with pytest.raises(InputError, match=refusal):
        catalog(path, tmp_path, skip_bad=skip_bad)
    assert not left(tmp_path)


@pytest.mark.parametrize(
    ("raw", "label", "known"),
    [
        ("Müller".encode("cp437"), "Müller", False),
        ("Müller".encode("cp850"), "Müller", False),
        ("Müller".encode(), "Müller", True),
        ("猫".encode(), "猫", True),
        ("子猫".encode("shift-jis"), "ÄqöL", False),
        ("кот".encode("cp866"), "¬«Γ", False),
    ],
)
def test_names_of_an_unmarked_zip_are_read_as_what_they_are_or_questioned(tmp_path, raw, label, known):
    name = "X" * len(raw)
    path = zipped({f"{c}/{n}.jpg": plain(10 * len(c) + n) for c in (name, "dog") for n in range(4)}, tmp_path / "a.zip")
    path.write_bytes(path.read_bytes().replace(name.encode(), raw))
    if not known:
        with pytest.raises(InputError, match=f"names are in no known encoding, read as '{label}'. Pack it anew"):
            catalog(path, tmp_path)
    assert label in catalog(path, tmp_path, accept_classes=not known).labels


def test_a_zip_entry_may_have_its_name_as_utf8_beside_it(tmp_path):
    path, files = tmp_path / "set.zip", tree("cat", "dog")
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            info, told = zipfile.ZipInfo(name), name.replace("dog", "כלב").encode()
            info.extra = struct.pack("<HHBL", 0x7075, 5 + len(told), 1, zlib.crc32(name.encode())) + told
            archive.writestr(info, data)
    raw = path.read_bytes().replace(b"dog/", b"d\x9cg/")
    for name in files:  # the field belongs to the name as it is now
        changed = name.encode().replace(b"dog/", b"d\x9cg/")
        raw = raw.replace(struct.pack("<L", zlib.crc32(name.encode())), struct.pack("<L", zlib.crc32(changed)))
    path.write_bytes(raw)
    assert catalog(path, tmp_path).labels == ["cat", "כלב"]


def test_sources_without_training_images(tmp_path):
    counts, _ = same(tree("test/cat", "test/dog"), tmp_path)
    assert counts == {"cat": {"test": 4}, "dog": {"test": 4}}
    counts, _ = same(tree("val/cat", "val/dog", "test/cat", "test/dog"), tmp_path / "2")
    assert counts == {c: {"val": 4, "test": 4} for c in ("cat", "dog")}
    counts, _ = same(tree("cat", "dog"), tmp_path / "3", split="test-only", test=3)
    assert counts == {c: {"test": 3} for c in ("cat", "dog")}
    for options, refusal in (
        ({"train": 3}, "The split is test-only: it takes no --train"),
        ({"per_class": 9}, "The class 'cat' has 4 images, and 9 are needed"),
        ({"per_class": 2, "test": 3}, "--per-class 2 is not 3"),
    ):
        with pytest.raises(InputError, match=refusal):
            build_catalog(tmp_path / "3" / "set", tmp_path / "x", split="test-only", **options)
    with pytest.raises(InputError, match="The source has no train images: it takes no --train"):
        build_catalog(tmp_path / "2" / "set", tmp_path / "x", train=1, val=1, test=1)
    found = build_catalog(tmp_path / "set", tmp_path / "x")
    assert any("no training images" in what for _, kind, _, what, *_ in found.staging.findings() if kind == "examples")


SPLIT_WORDS = [
    ("train", "test"),
    ("Training", "VALIDATION", "Testing"),
    ("train", "dev", "holdout"),
    ("trn", "valid", "eval"),
]
JUNK = ["@eaDir/x.jpg", "#recycle", "__MACOSX", ".dvc/cache", "lost+found", "System Volume Information", ".git/x"]


@settings(max_examples=25, derandomize=True, database=None, deadline=None)
@given(
    wrapper=st.sampled_from(["", "data/", "My set/2021/"]),
    words=st.none() | st.sampled_from(SPLIT_WORDS),
    below=st.booleans(),
    inner=st.sampled_from(["", "/images"]),
    classes=st.lists(st.sampled_from(["cat", "Dog", "0", "ä b", "train station", "猫"]), min_size=2, max_size=3, unique=True),
    junk=st.lists(st.sampled_from(JUNK), max_size=3, unique=True),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_one_tree_is_one_catalogue_whatever_it_is_packed_in(wrapper, words, below, inner, classes, junk, seed):
    files, count = {}, 3
    for split, name in itertools.product(words or [""], classes):
        levels = [name, split] if below else [split, name]
        folder = wrapper + "/".join(filter(None, levels)) + inner
        files |= {f"{folder}/{n}.jpg": plain(len(files) + n) for n in range(count)}
    for place in junk:
        files[f"{random.Random(seed).choice(['', wrapper])}{place}/1.jpg"] = plain(999)
    with tempfile.TemporaryDirectory() as at:
        counts, _ = same(files, Path(at))
    assert set(counts) == {name.strip() for name in classes}
    parts = {"train": 2, "val": 1, "test": 3} if words and len(words) == 2 else {"train": 3, "val": 3, "test": 3}
    assert all(found == (parts if words else {"train": 1, "val": 1, "test": 1}) for found in counts.values())
