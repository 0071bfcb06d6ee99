"""One reading of pictures: models, thumbnails, fingerprints, brightness, crops and requests see the same."""

import io
import json
import subprocess
import sys
import warnings
from functools import partial

import numpy as np
import pytest
from PIL import Image

from engine.backbones import cached_features, images, load_backbone, pixels
from engine.backbones.images import as_seen, decoded, eight_bits, opened, to_rgb
from engine.datasets.checks import BadImageError, check_image
from engine.datasets.convert import Converter, rgb_jpeg
from engine.datasets.crops import crop
from engine.datasets.data_uri import data_uri
from engine.datasets.image_form import BadImage
from engine.datasets.image_form import Form as Sent
from engine.datasets.thumbnails import thumbnail
from engine.emulator.brain import vision
from engine.errors import InputError
from engine.jobs import predicting
from engine.jobs.brightness import brightness
from engine.training.pictures import Form, Pack
from engine.training.predict import Predictor
from tests.forms import BLACK, GREY, LOSSLESS, LOSSY, encoded, png, shape, turned
from tests.pictures import catalogued
from tests.unit.test_training import example


def photograph(size=(150, 110)):
    """A picture with detail and colours, not square."""
    small = np.random.default_rng(5).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def seen(data, folder, box=None):
    """What each road makes of a picture."""
    path = folder / "picture"
    path.write_bytes(data)
    request, _ = Sent("png").make(data, "low")
    found = {
        "features": pixels(data, 96).tobytes(),
        "features of a file": pixels(path, 96).tobytes(),
        "training": Form(80).of(data).tobytes(),
        "validation": Form(80, 70).of(path).tobytes(),
        "thumbnail": thumbnail(path, 40, 30),
        "report": data_uri(path),
        "fingerprint": check_image(data).alike,
        "brightness": brightness([catalogued(path)], folder / "unused", measure=True),
        "emulator": vision._decoded(data, 96).tobytes(),
        "request": decoded(request, 96).tobytes(),
    }
    return found | ({"crop": crop(data, box)} if box else {})


@pytest.mark.parametrize("form", LOSSLESS)
def test_what_is_the_same_picture_is_seen_as_the_same(form, tmp_path):
    picture = photograph()
    box = None if "EXIF" in form else (10, 20, 90, 100)
    assert seen(LOSSLESS[form](picture), tmp_path, box) == seen(encoded(picture), tmp_path, box)


@pytest.mark.parametrize("form", GREY)
def test_greys_of_any_depth_are_seen_as_the_same(form, tmp_path):
    grey = photograph().convert("L")
    assert seen(GREY[form](grey), tmp_path) == seen(encoded(grey.convert("RGB")), tmp_path)


@pytest.mark.parametrize("form", BLACK)
def test_a_shape_on_transparent_ground_is_seen_as_on_white(form, tmp_path):
    mask = shape()
    on_white = encoded(Image.eval(mask, lambda value: 255 - value).convert("RGB"))
    box = None if "EXIF" in form else (10, 20, 70, 80)
    found, expected = seen(BLACK[form](mask), tmp_path, box), seen(on_white, tmp_path, box)
    if form == "P with alphas":  # 254 of 255, so that Pillow keeps it as bytes
        assert (
            abs(
                np.frombuffer(found["features"], np.uint8).astype(int) - np.frombuffer(expected["features"], np.uint8)
            ).max()
            <= 1
        )
        return
    assert found == expected
    assert not any(kind == "unsure" for kind, _ in check_image(BLACK[form](mask)).flags)


@pytest.mark.parametrize("form", LOSSY)
def test_palette_and_cmyk_are_seen_nearly_the_same(form):
    picture = photograph()
    found = np.asarray(decoded(LOSSY[form](picture), 96)).astype(int)
    assert abs(found - np.asarray(picture)).mean() < 12


@pytest.mark.parametrize(
    "mode", ["CMYK", "YCbCr", "HSV", "LAB", "RGBX", "RGBa", "RGBA", "1", "L", "La", "LA", "PA", "P"]
)
def test_every_mode_of_pillow_is_seen(mode):
    picture = photograph()
    if mode in ("1", "L", "La", "LA"):
        picture = picture.convert("L").convert("RGB")
    other = picture.convert({"RGBa": "RGBA", "La": "LA"}.get(mode, mode)).convert(mode)
    found = np.asarray(as_seen(other)).astype(int)
    assert found.shape == (110, 150, 3)
    assert abs(found - np.asarray(picture)).mean() < (130 if mode == "1" else 30 if mode in ("P", "PA") else 5)


def test_a_transparent_premultiplied_picture_lies_on_white():
    for mode, straight in (("RGBa", "RGBA"), ("La", "LA")):
        image = Image.new(straight, (4, 4), 0).convert(mode)
        assert as_seen(image).getcolors() == [(16, (255, 255, 255))]
    palette = Image.new("PA", (4, 4))
    palette.putalpha(0)
    assert as_seen(palette).getcolors() == [(16, (255, 255, 255))]


@pytest.mark.parametrize(
    ("mode", "dtype"), [("I;16", "<u2"), ("I;16L", "<u2"), ("I;16B", ">u2"), ("I", "<i4"), ("F", "<f4")]
)
def test_sixteen_bits_made_of_eight_are_these_eight(mode, dtype):
    values = np.arange(256).reshape(16, 16)
    image = Image.frombytes(mode, (16, 16), (values * 257).astype(dtype).tobytes())
    found = np.asarray(to_rgb(image))
    assert (found == values[..., None]).all()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 99.6, 255.0]], np.float32), [0, 100, 255]),
        (np.array([[0.0, 257.0 * 9, 65535.0]], np.float32), [0, 9, 255]),
        (np.array([[0.0, 1e6, 2e6]], np.float32), [0, 128, 255]),
        (np.array([[-5.0, np.nan, 1.0]], np.float32), [0, 0, 255]),
        (np.array([[-np.inf, 0.5, np.inf]], np.float32), [0, 128, 255]),
        (np.array([[-7, 65535, 65535 // 2]], np.int32), [0, 255, 127]),
        (np.array([[0, 500_000, 1_000_000]], np.int32), [0, 127, 255]),
        (np.array([[256, 257, 513]], np.uint16), [0, 1, 1]),
    ],
)
def test_ranges_of_more_than_eight_bits(values, expected):
    assert eight_bits(values)[0].tolist() == expected


def test_floats_of_a_tiff_are_read():
    grey = photograph().convert("L")
    tiff = encoded(Image.fromarray(np.asarray(grey).astype(np.float32) / 255), "TIFF")
    assert pixels(tiff, 96).tobytes() == pixels(encoded(grey), 96).tobytes()


def test_large_pictures_are_put_on_white_in_strips(monkeypatch):
    image = Image.new("RGBA", (40, 30))
    image.paste((9, 8, 7, 128), (0, 10, 40, 30))
    whole = to_rgb(image).tobytes()
    crop, heights = Image.Image.crop, []

    def watched(self, box=None):
        heights.append(box[3] - box[1])
        return crop(self, box)

    monkeypatch.setattr(Image.Image, "crop", watched)
    wide = image.resize((2_000_000, 3), Image.Resampling.NEAREST)
    assert to_rgb(wide).size == wide.size and heights == [2, 1]
    assert whole == Image.alpha_composite(Image.new("RGBA", (40, 30), "white"), image).convert("RGB").tobytes()


@pytest.mark.parametrize("orientation", range(2, 9))
def test_what_is_in_a_box_is_upright(orientation):
    picture = Image.new("RGB", (80, 60), "white")
    picture.paste("red", (0, 0, 8, 8))  # upright, at the top left
    whole = Image.open(io.BytesIO(turned(picture, orientation)))
    cut = Image.open(io.BytesIO(crop(turned(picture, orientation), (0, 0, *whole.size))))
    assert cut.size == (80, 60)
    red, green, _ = cut.getpixel((3, 3))
    assert red > 200 and green < 60


# -- what was computed from pixels as they were read before


def test_features_of_another_reading_are_not_used(backbones, tmp_path, monkeypatch):
    backbone, reads = load_backbone(backbones / "backbones"), []

    def look():
        def source():
            reads.append(1)
            return encoded(photograph())

        return np.asarray(cached_features(backbone, [source], ["d" * 64], tmp_path))

    look(), look()
    assert len(reads) == 1
    monkeypatch.setattr("engine.backbones.backbone.READING", images.READING + 1)
    look()
    assert len(reads) == 2


def test_the_features_of_before_there_was_a_number_are_not_used(backbones):
    backbone = load_backbone(backbones / "backbones")
    assert backbone.identity.endswith(f"-{backbone.prepared}-{images.READING}")


def test_decoded_pictures_of_another_reading_are_not_used(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(photograph()))

    def pack():
        made = Pack([example(path, 0)], Form(64), tmp_path / "pictures")
        made.fill(lambda *_: None)

    pack()
    (old,) = (tmp_path / "pictures").iterdir()
    monkeypatch.setattr("engine.training.pictures.READING", images.READING + 1)
    pack()
    assert len([*(tmp_path / "pictures").iterdir()]) == 2 and old.name == f"64-0-{images.READING}"


def test_brightness_of_before_is_not_used(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(BLACK["RGBA"](shape()))
    image = catalogued(path)
    (tmp_path / "brightness.json").write_text(json.dumps({image.sha256: 0.0}))
    (found,) = brightness([image], tmp_path, measure=True)
    assert found > 100


# -- what is no picture, or a hostile one

JUNK = b"RIFFxxxxno picture at all"
BOMB = png(np.zeros((1, 1), int), 8, 0, size=(65535, 65535))


def roads(data, folder):
    """Every road that reads a picture, each a function to call; those that read files have the name `bad.png`."""
    path = folder / "bad.png"
    path.write_bytes(data)
    image = catalogued(path)
    predictor = Predictor(None, [], [type("Member", (), {"picture": lambda self, source: pixels(source)})()])
    backbone = type("Backbone", (), {"size": 96, "shape": (1,), "dtype": np.dtype("f4"), "identity": "x"})()
    return {
        "pixels": partial(pixels, data),
        "training": partial(Form(80).of, data),
        "pack": partial(Pack([example(path, 0)], Form(80), folder)._decode, example(path, 0)),
        "features": partial(cached_features, backbone, [image.read], [image.sha256], folder / "f"),
        "predict": partial(predictor.predict, [image.read]),
        "thumbnail": partial(thumbnail, path, 40, 30),
        "crop": partial(crop, data, (0, 0, 9, 9)),
        "check": partial(check_image, data),
        "request": partial(Sent("png").make, data, "low"),
        "copy": partial(Converter().read, image),
        "deployment": partial(predicting._decode, data),
        "emulator": partial(vision._decoded, data, 96),
    }


@pytest.mark.parametrize(
    "data", [JUNK, BOMB, b"", encoded(photograph().convert("L"))[:2000]], ids=["junk", "bomb", "empty", "torn"]
)
def test_every_road_refuses_what_is_no_picture_without_naming_an_object(data, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, call in roads(data, tmp_path).items():
            with pytest.raises((OSError, ValueError, InputError, BadImage)) as told:
                call()
            assert " object at" not in str(told.value) and "BytesIO" not in str(told.value), name
            assert str(told.value), name
            if name in ("pack", "features", "predict", "thumbnail", "copy"):
                assert "bad.png: " in str(told.value), name
                assert str(told.value).count("bad.png") == 1, name


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
    with pytest.raises(images.TooManyPixels, match="65535×65535"), opened(BOMB):
        pass
    with pytest.raises(BadImageError) as told:
        crop(BOMB, (0, 0, 9, 9))
    assert told.value.kind == "pixels"


def test_whatever_a_decoder_raises_is_one_of_two_errors(monkeypatch):
    for error in (SyntaxError("broken"), KeyError(0), MemoryError(), EOFError()):
        with pytest.raises(ValueError), opened(encoded(photograph())):
            raise error


def test_the_readers_need_nothing_but_pillow_and_numpy(tmp_path):
    import inspect

    path = tmp_path / "x.png"
    path.write_bytes(GREY["I;16, EXIF 5"](photograph().convert("L")))
    program = "import sys\nimport numpy as np\nfrom PIL import Image\n" + "\n".join(
        map(inspect.getsource, images.READERS)
    )
    program += "\nsys.stdout.buffer.write(as_seen(Image.open(sys.argv[1])).tobytes())"
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, cwd=tmp_path, check=True)
    assert done.stdout == decoded(path, 10).tobytes()


def test_a_copy_for_fine_tuning_is_what_is_seen():
    made, mode = rgb_jpeg(BLACK["LA"](shape()))
    with Image.open(io.BytesIO(made)) as copy:
        assert mode == "LA" and copy.getpixel((1, 1)) == (255, 255, 255)
