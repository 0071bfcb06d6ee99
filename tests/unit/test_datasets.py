import io
import tarfile

import pytest

from engine.datasets.catalog import build_catalog
from engine.datasets.labels import Labels, clean_label
from engine.datasets.splits import assign
from engine.errors import InputError
from engine.states import Split
from tests.pictures import class_folders, plain, tar_of, zip_of


@pytest.mark.parametrize(
    ("folder", "label"),
    [
        ("n02085620-Chihuahua", "Chihuahua"),
        ("n02097658-silky_terrier", "Silky Terrier"),
        ("n02093859-Kerry_blue_terrier", "Kerry Blue Terrier"),
        ("n02085936-Maltese_dog", "Maltese Dog"),
        ("n02113023-Pembroke", "Pembroke"),
        ("n02105855-Shetland_sheepdog-x", "Shetland Sheepdog-X"),
        ("my_class", "my class"),
        ("Bird-of-prey", "Bird-of-prey"),
    ],
)
def test_folder_names_become_labels(folder, label):
    assert clean_label(folder) == label


def test_two_folders_of_one_label_are_refused():
    with pytest.raises(InputError, match=r"'n02085620-Pug' and 'pug' both mean"):
        labels = Labels()
        labels.of("pug")
        labels.of("n02085620-Pug")


def items(classes=3, count=60):
    return {f"c{c}": [f"c{c}/{n:03d}.jpg" for n in reversed(range(count))] for c in range(classes)}


def test_the_articles_split_is_the_first_fifty_in_path_order():
    rows = assign(items(), "article")
    first = [path for path, label, split in rows if label == "c0" and split == Split.TRAIN]
    assert first == [f"c0/{n:03d}.jpg" for n in range(40)]
    assert [p for p, label, s in rows if label == "c1" and s == Split.VAL] == [f"c1/{n:03d}.jpg" for n in range(40, 45)]
    assert [p for p, label, s in rows if label == "c2" and s == Split.TEST] == [
        f"c2/{n:03d}.jpg" for n in range(45, 50)
    ]
    assert len(rows) == 150


def test_the_stratified_split_is_eighty_ten_ten_and_hangs_on_the_seed():
    rows = assign(items(), "stratified", seed=42)
    counts = [sum(split == wanted for _, _, split in rows) for wanted in Split]
    assert counts == [144, 18, 18]
    assert rows == assign(items(), "stratified", seed=42)
    assert rows != assign(items(), "stratified", seed=43)


def test_a_class_more_does_not_change_the_split_of_the_others():
    few = set(assign(items(2)))
    assert few <= set(assign(items(3)))


@pytest.mark.parametrize(
    ("count", "options", "message"),
    [
        (49, {"kind": "article"}, r"'c0' has 49 images, and 50 are needed"),
        (2, {}, r"'c0' has 2 images, and 3 are needed"),
        (60, {"train": 40}, "go together"),
        (60, {"train": 40, "val": 5, "test": 5, "per_class": 60}, r"60 is not 40 \+ 5 \+ 5"),
        (60, {"kind": "article", "per_class": 30}, "40/5/5"),
        (60, {"per_class": 61}, "61 are needed"),
    ],
)
def test_splits_that_cannot_be_made_name_the_cure(count, options, message):
    with pytest.raises(InputError, match=message) as caught:
        assign(items(count=count), **options)
    assert caught.value.cure


def test_a_folder_stays_where_it_is(tmp_path):
    source = class_folders(tmp_path / "set", ["a", "b"], 10)
    catalog = build_catalog(source, tmp_path / "target")
    assert catalog.root == source
    assert not (tmp_path / "target").exists()
    assert [len([i for i in catalog.images if i.split == s]) for s in Split] == [16, 2, 2]


def test_an_archive_is_the_same_dataset_as_its_folder(tmp_path):
    source = class_folders(tmp_path / "set", ["a", "b"], 10)
    folder = build_catalog(source, tmp_path / "0")
    tar = build_catalog(tar_of(source, tmp_path / "set.tar"), tmp_path / "1")
    gz = build_catalog(tar_of(source, tmp_path / "deep.tar.gz", prefix="Images/"), tmp_path / "2")
    zipped = build_catalog(zip_of(source, tmp_path / "set.zip"), tmp_path / "3")
    assert folder.digest == tar.digest == gz.digest == zipped.digest
    assert sorted(p.name for p in (tmp_path / "1").iterdir()) == ["a", "b"]
    assert (tmp_path / "1" / "a" / "000.jpg").stat().st_mode & 0o777 == 0o600


def test_an_archive_cannot_write_outside_its_folder(tmp_path):
    source = class_folders(tmp_path / "set", ["a", "b"], 5)
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as archive:
        for file in sorted(source.rglob("*.jpg")):
            archive.add(file, str(file.relative_to(source)))
            archive.add(file, f"../../{file.relative_to(source)}")
        outside = tarfile.TarInfo("/a/outside.jpg")
        outside.size = len(plain(999))
        archive.addfile(outside, io.BytesIO(plain(999)))
        link = tarfile.TarInfo("a/link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    target = tmp_path / "home" / "target"
    target.parent.mkdir()
    catalog = build_catalog(path, target, skip_bad=True)
    assert len(catalog.images) == 11
    assert {p.name for p in tmp_path.iterdir()} == {"set", "evil.tar", "home"}
    written = sorted(str(p.relative_to(target)) for p in (tmp_path / "home").rglob("*") if p.is_file())
    assert sorted(written) == sorted([f"{c}/{n:03d}.jpg" for c in "ab" for n in range(5)] + ["a/outside.jpg"])


def bad_image(tmp_path, data, name="009.jpg"):
    source = class_folders(tmp_path / "set", ["a", "b"], 9)
    (source / "b" / name).write_bytes(data)
    return source


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello, I am text", r"b/009\.jpg: this is no image\. Remove it"),
        (plain(size=(300, 300))[:-400], r"b/009\.jpg: it cannot be decoded \(.*truncated"),
        (b"", r"b/009\.jpg: this is no image"),
        (plain(form="GIF"), r"b/009\.jpg: the service takes no GIF\. Convert"),
    ],
)
def test_a_bad_image_is_named_and_nothing_is_left(tmp_path, data, message):
    source = bad_image(tmp_path, data)
    with pytest.raises(InputError, match=message):
        build_catalog(tar_of(source, tmp_path / "set.tar"), tmp_path / "target")
    assert {p.name for p in tmp_path.iterdir()} == {"set", "set.tar"}


@pytest.mark.parametrize("name", ["missing", "missing.tar"])
def test_what_is_not_there_is_named(tmp_path, name):
    with pytest.raises(InputError, match=f"{name}: no such file or folder"):
        build_catalog(tmp_path / name, tmp_path / "target")


def test_an_empty_folder_and_a_single_class_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no images in class folders"):
        build_catalog(tmp_path / "empty", tmp_path / "target")
    with pytest.raises(InputError, match="only one class"):
        build_catalog(class_folders(tmp_path / "one", ["a"], 5), tmp_path / "target")


def test_a_broken_archive_is_one_line(tmp_path):
    for name in ("a.tar", "a.zip", "a.tar.gz"):
        (tmp_path / name).write_bytes(b"not an archive" * 100)
        with pytest.raises(InputError, match=name):
            build_catalog(tmp_path / name, tmp_path / "target")
