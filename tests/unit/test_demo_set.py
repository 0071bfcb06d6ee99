import hashlib
import io

import numpy as np
from PIL import Image

from engine.backbones import match_imagenet
from engine.datasets.checks import check_image
from engine.datasets.demo import BREEDS, SIZE, draw_dog, write_demo_set


def test_there_are_enough_breeds_and_imagenet_knows_each():
    assert len(BREEDS) >= 12
    assert len({breed.name for breed in BREEDS}) == len(BREEDS)
    assert None not in match_imagenet([breed.name for breed in BREEDS])


def test_the_breeds_differ_in_what_the_eye_sees():
    for trait in ("base", "ears", "marking", "muzzle", "body"):
        assert len({getattr(breed, trait) for breed in BREEDS}) >= 4


def digest(image):
    out = io.BytesIO()
    image.save(out, "PNG")
    return hashlib.sha256(out.getvalue()).hexdigest()


def test_a_seed_is_one_picture():
    for breed in BREEDS:
        one, again, other = (draw_dog(breed, seed) for seed in (1, 1, 2))
        assert one.size == (SIZE, SIZE)
        assert digest(one) == digest(again) != digest(other)


def test_pictures_vary_in_light_and_place():
    means = np.array([np.asarray(draw_dog(BREEDS[0], seed)).mean((0, 1)) for seed in range(12)])
    assert (means.std(0) > 10).all()


def test_the_whole_set_is_written_and_told_of(tmp_path):
    told = []
    write_demo_set(tmp_path / "a", 2, seed=7, progress=lambda done, total: told.append((done, total)))
    total = 2 * len(BREEDS)
    assert told[-1] == (total, total)
    files = sorted((tmp_path / "a").rglob("*.jpg"))
    assert len(files) == total
    for file in files:
        assert check_image(file.read_bytes()).width == SIZE
        with Image.open(file) as image:
            assert image.format == "JPEG"
        assert file.stat().st_mode & 0o777 == 0o600
    write_demo_set(tmp_path / "b", 2, seed=7)
    assert [f.read_bytes() for f in files] == [f.read_bytes() for f in sorted((tmp_path / "b").rglob("*.jpg"))]
