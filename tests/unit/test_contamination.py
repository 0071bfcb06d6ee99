"""The caution about pictures that ImageNet weights have seen: under whatever labels, from every source."""

import json
from pathlib import PurePath

import pytest

from engine.backbones import imagenet_classes, imagenet_synsets
from engine.datasets.imagenet import imagenet_name
from engine.jobs.scoring import score
from engine.training.caution import imagenet_caution
from tests.pictures import plain, tar_of, zip_of
from tests.unit.cataloguing import catalog
from tests.unit.test_labels import request

STANFORD = [f"n02085620-Chihuahua/n02085620_{n}.jpg" for n in range(10)]


def own(count, split="test"):
    return [(f"own/{n}.jpg", "dog", split) for n in range(count)]


@pytest.mark.parametrize(
    ("labels", "images", "words"),
    [
        (["Chihuahua"], STANFORD, "10 of 10 files are named as ImageNet's are, 1 of 1 label is among"),
        (["Chihuahua", "my dog"], [f"dog/n02085620_{n}.JPEG" for n in range(3)], "1 of 2 labels"),
        (["n02085620"], [f"n02085620/{n}.jpg" for n in range(3)], "3 of 3 files are named as ImageNet's are. The back"),
        (["dog"], [f"train/n02085620/images/{n}.jpg" for n in range(3)], "3 of 3 files"),
        (["dog"], ["dog/N02085620_7.PNG"], "1 of 1 file is named"),
        (["gizmo"], STANFORD, "10 of 10 files"),  # whatever the label
        (["dog"], [f"images/000/line-0000000{n}-n02085620_{n}.jpg" for n in range(3)], "3 of 3 files"),
        (["dog"], ["dog/n01440764_10026_n01440764.JPEG"], "1 of 1 file is named"),
        (["n02085620"], [(f"{n}.jpg", "n02085620", "test") for n in range(3)], "3 of the 3 test images among them"),
        (["dog"], ["dog/ILSVRC2012_val_00001234.JPEG"], "It is of the parts on which such weights are tested"),
        (["dog"], ["x/ilsvrc2012_val_00001234_n01440764.jpeg", *STANFORD], "very pictures; 1 of them is of the parts"),
        (["dog"], [f"x/ILSVRC2012_val_0000123{n}.JPEG" for n in (4, 5)], "These are of the parts"),
        (["dog"], ["x/ILSVRC2012_test_00001234.JPEG"], ". It is of the parts"),
        (["dog"], [("n02085620/1.jpg", "dog", "test"), *own(199, "train"), *own(9)], "1 of 209 files is named"),
        (["dog"], [*STANFORD[:1], *own(19, "train")], "1 of 20 files"),
        (["dog"], [*STANFORD[:1], *own(30, "train"), *own(9)], ""),  # a handful
        (["pug"], ["pug/a.jpg"], ""),  # anybody may have taken it
        (["dog"], ["n02084071/n02084071_12.JPEG"], ""),  # of ImageNet-21k only
        (["pug"], ["pug/n0211095_1.jpg", "n021-x/xn02110958_1.jpg", "n021109581/2.jpg", "ILSVRC2012_value_1.jpg"], ""),
        ([], [], ""),
        (["pug"], [], ""),
    ],
)
def test_imagenet_weights_meet_imagenet_pictures(labels, images, words):
    rows = [(image, "dog", "train") if isinstance(image, str) else image for image in images]
    found = imagenet_caution(labels, [(PurePath("/d") / path, label, split) for path, label, split in rows])
    assert (words in found) if words else (found == "")
    assert found == "" or found.startswith("ImageNet weights meet ImageNet pictures")


def test_the_synsets_are_those_of_the_classes():
    assert len(imagenet_synsets()) == 1000 and {"n01440764", "n02085620", "n15075141"} <= imagenet_synsets()
    assert imagenet_classes()[0] == "tench" and imagenet_classes()[151] == "Chihuahua"


def cautioned(source, tmp_path, **options):
    found = catalog(source, tmp_path, **options)
    return imagenet_caution(found.labels, [(found.root / i.path, i.label, i.split) for i in found.images])


def tree(tmp_path, name):
    """A folder of two classes; `name` is of the class and the number."""
    for n in range(24):
        path = tmp_path / "set" / name(n % 2, n)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(plain(n))
    return tmp_path / "set"


NAMES = {
    "bare synsets": lambda c, n: f"{('n02085620', 'n01440764')[c]}/{n}.jpg",
    "Imagenette": lambda c, n: f"{('fish', 'dog')[c]}/{('n01440764', 'n02085620')[c]}_{n}.jpg",
    "validation": lambda c, n: f"{('fish', 'dog')[c]}/ILSVRC2012_val_{n:08d}.jpg",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["folder", "tar", "zip", "csv"])
def test_it_comes_from_folders_archives_and_tables_alike(tmp_path, name, form):
    root = tree(tmp_path, NAMES[name])
    source = root
    if form == "csv":
        rows = (f"{path.relative_to(tmp_path)},{'ab'[n % 2]}" for n, path in enumerate(sorted(root.rglob("*.jpg"))))
        source = tmp_path / "set.csv"
        source.write_text("path,label\n" + "\n".join(rows))
    elif form != "folder":
        source = (tar_of if form == "tar" else zip_of)(root, tmp_path / f"set.{form}")
    assert "24 of 24 files are named as ImageNet's are" in cautioned(source, tmp_path)


@pytest.mark.parametrize(
    ("more", "answer"),
    [
        ({}, "n02085620 n01440764"),
        ({"file": "train/n02085620_7.JPEG"}, "dog fish"),
        ({"metadata": {"source": ["ILSVRC2012_val_00000007.JPEG"]}}, "dog fish"),
    ],
)
def test_it_comes_from_jsonl_too(tmp_path, more, answer):
    labels = answer.split()
    path = tmp_path / "set.jsonl"
    rows = (request(n, messages=[{"role": "assistant", "content": labels[n % 2]}], **more) for n in range(24))
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert "24 of 24 files are named as ImageNet's are" in cautioned(path, tmp_path)


def test_it_comes_from_the_ids_of_a_batch(tmp_path):
    path, labels = tmp_path / "set.jsonl", tmp_path / "labels.csv"
    rows = [(f"n02085620_{n}", request(n)) for n in range(24)]
    path.write_text("".join(f"{json.dumps({'custom_id': name, 'body': body})}\n" for name, body in rows))
    labels.write_text("custom_id,label\n" + "".join(f"{name},{'ab'[n % 2]}\n" for n, (name, _) in enumerate(rows)))
    assert "24 of 24 files are named as ImageNet's are" in cautioned(path, tmp_path, labels=labels)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_noted_beside_predictions_made_elsewhere(tmp_path, name):
    rows = (f"a,{NAMES[name](n % 2, n)},{'xy'[n % 2]},x" for n in range(24))
    (tmp_path / "p.csv").write_text("contestant,image,truth,answer\n" + "\n".join(rows))
    assert (
        "24 of 24 images are named as ImageNet's are: a contestant with ImageNet weights may have learned from these"
        " very pictures." in score(tmp_path / "p.csv", None, tmp_path / "none.toml").notes
    )


def test_a_name_is_looked_for_in_texts_that_are_short():
    assert imagenet_name({"a": ["x", {"b": "see N02085620_7.jpeg"}]}) == "N02085620_7"
    assert imagenet_name({"a": "one of n02085620, n01440764", "b": 7, "c": None, "d": "x" * 1000 + "n02085620_7"}) == ""
