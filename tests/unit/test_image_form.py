import io

import pytest
from PIL import Image

from engine.datasets.headers import mime_of, mode_of, turned
from engine.datasets.image_form import BadImage, Form, quiet_decoders
from tests.pictures import plain


def picture(size, form="JPEG", mode="RGB", colour=0, **options):
    data = io.BytesIO()
    Image.new(mode, size, colour).save(data, form, **options)
    return data.getvalue()


def noise(size, form="JPEG", **options):
    data = io.BytesIO()
    Image.effect_noise(size, 90).convert("RGB").save(data, form, **options)
    return data.getvalue()


def turned_by(orientation, size=(60, 40), form="JPEG"):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return picture(size, form, exif=exif)


def opened(data):
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_bytes_pass_through_unless_something_else_is_asked_for(form):
    data = plain(1, form=form)
    assert Form().make(data, "low") == (data, f"image/{form.lower()}")


@pytest.mark.parametrize(
    ("size", "detail", "max_side", "sent"),
    [
        ((1000, 500), "low", None, (512, 256)),
        ((500, 1000), "low", None, (256, 512)),
        ((300, 200), "low", None, (300, 200)),
        ((300, 200), "low", 600, (300, 200)),  # never enlarged
        ((300, 200), "low", 150, (150, 100)),
        ((1000, 500), "low", 4000, (512, 256)),  # more than the model is shown is never sent
        ((4096, 2048), "high", None, (1536, 768)),
        ((6000, 300), "high", None, (2048, 102)),
        ((1000, 700), "high", None, (1000, 700)),
        ((2000, 1500), "high", 500, (500, 375)),
        ((5000, 1), "low", None, (512, 1)),
    ],
)
def test_images_are_scaled_to_what_detail_uses_anyway(size, detail, max_side, sent):
    form = Form("jpeg", max_side=max_side)
    assert form.size(*size, detail) == sent
    made, mime = form.make(picture(size), detail)
    assert (opened(made).size, mime) == (sent, "image/jpeg")


def test_the_original_goes_where_it_is_the_cheapest():
    small = noise((64, 64), quality=30)
    assert Form("jpeg", 95).make(small, "low")[0] is small
    large = noise((64, 64), quality=100)
    made = Form("jpeg", 30).make(large, "low")[0]
    assert len(made) < len(large)
    assert Form("png").make(small, "low")[1] == "image/png"  # another format was asked for


def test_as_it_is_with_a_largest_side_touches_only_larger_ones():
    form = Form(max_side=50)
    small = picture((50, 40), "PNG")
    assert form.make(small, "low") == (small, "image/png")
    made, mime = form.make(picture((100, 40), "PNG"), "low")
    assert (mime, opened(made).size) == ("image/png", (50, 20))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(60, 40), (1200, 800)])
def test_an_image_is_turned_as_its_exif_says(orientation, size):
    original = Image.new("RGB", size, "white")
    original.paste("red", (0, 0, size[0] // 2, size[1] // 2))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = io.BytesIO()
    original.save(data, "JPEG", exif=exif, quality=95)
    made = opened(Form("png").make(data.getvalue(), "low")[0])
    from PIL import ImageOps

    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(data.getvalue()))).resize(made.size)
    corners = [(2, 2), (made.width - 3, 2), (2, made.height - 3), (made.width - 3, made.height - 3)]
    assert (made.width > made.height) == (orientation < 5)
    assert not made.getexif()
    for corner in corners:
        assert all(abs(a - b) < 40 for a, b in zip(made.getpixel(corner), shown.getpixel(corner), strict=True)), corner


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_header_tells_of_a_turn_without_a_decoder(orientation):
    assert turned(turned_by(orientation)) == (orientation > 1)
    for form in ("PNG", "WEBP"):
        assert turned(turned_by(orientation, form=form)) == (orientation > 1)
    data = turned_by(orientation)
    assert turned(data[: data.index(b"Exif") + 20]) is False  # cut off


def test_a_picture_without_exif_is_not_turned():
    assert not any(turned(plain(1, form=form)) for form in ("JPEG", "PNG", "WEBP"))


@pytest.mark.parametrize(
    ("data", "mode"),
    [
        (picture((4, 4), mode="L"), "L"),
        (picture((4, 4)), "RGB"),
        (picture((4, 4), mode="CMYK", colour=(0, 0, 0, 0)), "CMYK"),
        (picture((4, 4), progressive=True), "RGB"),
        (picture((4, 4), "PNG", "L"), "L"),
        (picture((4, 4), "PNG", "P"), "P"),
        (picture((4, 4), "PNG", "RGBA"), "RGBA"),
        (picture((4, 4), "PNG", "LA"), "LA"),
        (picture((4, 4), "WEBP"), "RGB"),
        (b"\xff\xd8\xff", ""),
        (b"\xff\xd8\xff" + b"\xff" * 100, ""),
        (b"\x89PNG\r\n\x1a\n", ""),
    ],
)
def test_the_mode_is_read_from_the_header(data, mode):
    assert mode_of(data, mime_of(data)) == mode


@pytest.mark.parametrize("form", ["jpeg", "webp", "png"])
@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "P", "LA", "1"])
def test_what_is_encoded_anew_is_rgb(form, mode):
    source = picture((20, 10), "JPEG" if mode == "CMYK" else "PNG", mode, 0 if mode not in ("CMYK",) else (0, 0, 0, 0))
    made = opened(Form(form).make(source, "low")[0])
    assert made.mode in ("RGB", "RGBA") and made.size == (20, 10)


def test_the_same_picture_gives_the_same_bytes():
    data = noise((900, 700))
    for form in (Form("jpeg"), Form("webp", 60), Form("png", max_side=100)):
        assert form.make(data, "low") == form.make(data, "low")


def test_formats_that_the_service_does_not_take_are_converted_only_where_that_is_asked_for():
    gif = picture((20, 10), "GIF", "P")
    with pytest.raises(BadImage, match="neither JPEG, PNG nor WEBP; --format jpeg"):
        Form().make(gif, "low")
    assert Form("jpeg").make(gif, "low")[1] == "image/jpeg"


@pytest.mark.parametrize("data", [b"", b"no picture", plain(1, size=(64, 64))[:-60], b"\xff\xd8\xff\xe0"])
def test_what_cannot_be_decoded_is_told(data):
    with pytest.raises(BadImage, match="cannot be decoded"):
        Form("jpeg").make(data, "low")


def test_a_bomb_is_not_decoded():
    header = bytearray(picture((1, 1), "PNG"))
    import struct
    import zlib

    header[16:24] = struct.pack(">II", 50_000, 50_000)
    header[29:33] = struct.pack(">I", zlib.crc32(bytes(header[12:29])))
    with quiet_decoders(), pytest.raises(BadImage, match=r"50000×50000|cannot be decoded"):
        Form("jpeg").make(bytes(header), "low")


def test_metadata_is_not_sent():
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    data = picture((800, 600), exif=exif, comment=b"a secret word", icc_profile=b"profile")
    for form in ("jpeg", "webp", "png"):
        made = Form(form).make(data, "low")[0]
        assert b"secret" not in made and b"profile" not in made
