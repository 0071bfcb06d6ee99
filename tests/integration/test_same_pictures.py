"""The same pictures as RGB, with alpha, as palette, of 16 bits, as CMYK, turned by EXIF: one answer, one thumbnail, one look.

Run it with `-s` to read the table; with `-m full` it is about the real photographs, where they lie in `../shared/data`.
"""

import hashlib
import operator
import tarfile
from functools import partial

import numpy as np
import pytest
from PIL import Image

from engine.datasets.checks import check_image
from engine.datasets.likeness import Likeness
from engine.datasets.thumbnails import thumbnail
from engine.training.data import Example
from engine.training.loop import train
from engine.training.predict import load_predictor
from engine.training.recipes import get_recipe
from tests.conftest import ROOT
from tests.forms import BLACK, LOSSLESS, LOSSY, encoded
from tests.pictures import KENNEL
from tests.unit.test_training import Watch

PHOTOGRAPHS = ROOT.parent / "shared" / "data" / "stanford-dogs-50.tar"


def drawn(dogs, _folder):
    """Return drawn dogs: labels, (file, label) to train on, to validate, to compare, how many of these in all
    lossless forms, and the lossy forms of them all.

    All are compared, for of some a single other answer would be more than two points.
    """
    files = [(dogs / name / f"{n:03d}.jpg", label) for n in range(16) for label, name in enumerate(KENNEL)]
    return KENNEL, files[:40], files[40:48], files, 3, ("palette", "CMYK")


def photographs(_dogs, folder):
    """Return the article's photographs likewise, 40 of each breed, 5 and 5 others."""
    if not PHOTOGRAPHS.exists():
        pytest.skip("the photographs are not here")
    with tarfile.open(PHOTOGRAPHS) as archive:
        archive.extractall(folder, filter="data")
    breeds = sorted({path.parent for path in folder.rglob("*.jpg")})
    splits = ([], [], [])
    for label, breed in enumerate(breeds):
        for n, path in enumerate(sorted(breed.glob("*.jpg"))):
            splits[0 if n < 40 else 1 if n < 45 else 2].append((path, label))
    return tuple(breed.name for breed in breeds), *splits, 30, tuple(LOSSY)


def example(path, label):
    data = path.read_bytes()
    return Example(path, label, hashlib.sha256(data).hexdigest(), len(data))


@pytest.mark.parametrize("source", [drawn, pytest.param(photographs, marks=pytest.mark.full)])
def test_the_same_pictures_have_the_same_answers_thumbnails_and_fingerprints(source, dogs, backbones, tmp_path):
    labels, training, validation, test, count, lossy = source(dogs, tmp_path)
    recipe, runs = get_recipe("quick", epochs=2), tmp_path / "runs"
    parts = [[example(*each) for each in part] for part in (training, validation)]
    train(recipe, labels, *parts, folder=runs, cache=backbones, seed=42, watch=Watch(), device="cpu")
    predictor = load_predictor(runs, backbones)
    pictures = [Image.open(path).convert("RGB") for path, _ in test]
    truth = np.array([label for _, label in test])

    def answers(files):
        return predictor.predict([partial(bytes, data) for data in files])

    def small(data):
        (tmp_path / "one").write_bytes(data)
        return thumbnail(tmp_path / "one", 80, 60)

    def prints(files):
        return [check_image(data).alike for data in files]

    plain = [encoded(picture) for picture in pictures]
    fingerprints, told = prints(plain), answers(plain)
    right = (told.argmax(1) == truth).mean()
    print(f"\n{'RGB':<40}{right:7.1%} of {len(truth)}")
    step = len(pictures) // count
    expected, some = answers(plain[::step]), pictures[::step]  # as many at once: else the last bits differ
    thumbnails = [small(data) for data in plain[::step]]
    for name, form in LOSSLESS.items():
        files = [form(picture) for picture in some]
        same = int((answers(files) == expected).all(1).sum())
        shown = sum(map(operator.eq, map(small, files), thumbnails))
        alike = sum(map(operator.eq, prints(files), fingerprints[::step]))
        print(f"{name:<40}{same:>4} answers,{shown:>4} thumbnails,{alike:>4} fingerprints the same, of {len(some)}")
        assert same == shown == alike == len(some), name
    for name in lossy:
        files = [LOSSY[name](picture) for picture in pictures]
        accuracy = (answers(files).argmax(1) == truth).mean()
        grouped = together(fingerprints, prints(files))
        print(f"{name:<40}{accuracy:7.1%} of {len(truth)},{grouped:>4} in the group of the RGB picture")
        assert abs(accuracy - right) <= 0.02, name
        assert grouped == len(pictures), name


def together(ones, others):
    """Return how many pictures are in one group of near-duplicates with themselves in another form."""
    likeness = Likeness()
    for number, each in enumerate(zip(ones, others, strict=True)):
        likeness.add(2 * number, each[0])
        likeness.add(2 * number + 1, each[1])
    pairs = {(one, other) for group in likeness.groups() for one in group for other in group}
    return sum((2 * number, 2 * number + 1) in pairs for number in range(len(ones)))


def test_shapes_on_transparent_ground_are_predicted_as_on_white(backbones, tmp_path):
    """Trained on icons whose shape is in their alpha alone, and judged on them: all right, as on white."""
    from tests.forms import shape

    kinds = [shape(96).rotate(turn) for turn in (0, 90, 180, 270)]
    rng = np.random.default_rng(3)

    def moved(kind):
        return kind.rotate(float(rng.uniform(-12, 12)), translate=tuple(rng.integers(-6, 7, 2).tolist()))

    masks = [(moved(kind), label) for _ in range(18) for label, kind in enumerate(kinds)]
    files = []
    for number, (mask, label) in enumerate(masks):
        path = tmp_path / f"{number}.png"
        path.write_bytes(BLACK["RGBA"](mask))
        files.append(example(path, label))
    cache = backbones
    train(
        get_recipe("quick", epochs=12), ("a", "b", "c", "d"), files[:40], files[40:48],
        folder=tmp_path / "runs", cache=cache, seed=42, watch=Watch(), device="cpu",
    )  # fmt: skip
    predictor = load_predictor(tmp_path / "runs", cache)
    tested = masks[48:]

    def answers(form):
        return predictor.predict([partial(form, mask) for mask, _ in tested])

    on_white = answers(lambda mask: encoded(Image.eval(mask, lambda value: 255 - value).convert("RGB")))
    assert (on_white.argmax(1) == [label for _, label in tested]).mean() > 0.9
    for name in ("RGBA", "LA", "P with an index", "RGB with a colour", "RGBA, EXIF 7"):
        np.testing.assert_array_equal(answers(BLACK[name]), on_white, err_msg=name)
