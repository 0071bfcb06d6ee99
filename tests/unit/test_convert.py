import io

import pytest
from PIL import Image

from engine.datasets.convert import Converter, rgb_jpeg
from tests.pictures import catalogued, plain

SIZE = (40, 30)


def picture(mode, colour, form, **options):
    data = io.BytesIO()
    Image.new(mode, SIZE, colour).save(data, form, **options)
    return data.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_what_is_rgb_stays_byte_for_byte(form):
    data = plain(3, form=form)
    assert rgb_jpeg(data) == (data, "RGB")


def palette():
    data = io.BytesIO()
    Image.new("RGB", SIZE, (200, 10, 10)).convert("P").save(data, "PNG")
    return data.getvalue()


@pytest.mark.parametrize(
    ("data", "mode", "colour"),
    [
        (picture("L", 90, "JPEG"), "L", (90, 90, 90)),
        (picture("1", 1, "PNG"), "1", (255, 255, 255)),
        (picture("I;16", 0x8000, "PNG"), "I;16", (127, 127, 127)),  # scaled down, not cut off
        (picture("LA", (10, 0), "PNG"), "LA", (255, 255, 255)),  # transparent is white
        (picture("CMYK", (0, 255, 255, 0), "JPEG"), "CMYK", (255, 0, 0)),
        (palette(), "P", (204, 0, 0)),
    ],
)
def test_other_modes_become_an_rgb_jpeg(data, mode, colour):
    made, was = rgb_jpeg(data)
    assert was == mode
    with Image.open(io.BytesIO(made)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", SIZE)
        found = image.getpixel((20, 15))
    assert all(abs(one - other) <= 6 for one, other in zip(found, colour, strict=True)), found


def test_the_copy_is_turned_as_the_exif_says():
    exif = Image.Exif()
    exif[0x0112] = 6
    made, _ = rgb_jpeg(picture("L", 90, "JPEG", exif=exif))
    with Image.open(io.BytesIO(made)) as image:
        assert image.size == SIZE[::-1] and not image.getexif()


def test_it_is_remembered_what_was_converted(tmp_path):
    grey, rgb = tmp_path / "grey.jpg", tmp_path / "rgb.jpg"
    grey.write_bytes(picture("L", 90, "JPEG"))
    rgb.write_bytes(plain(1))
    converter = Converter()
    assert converter.read(catalogued(rgb)) == rgb.read_bytes()
    assert converter.read(catalogued(grey)) != grey.read_bytes()
    assert converter.converted == {grey: "L"}
