"""Looking at pictures: many at once, in two lanes, and at things that are none."""

import asyncio
import io
import threading
import warnings

import numpy as np
import pytest
from PIL import Image
from threadpoolctl import threadpool_info

from engine.backbones import load_backbone, pixels
from engine.emulator.brain import vision as vision_module
from engine.emulator.brain.vision import Vision, image_facts
from tests.pictures import plain


@pytest.fixture
def vision(backbones):
    vision = Vision(backbones)
    yield vision
    vision.close()


@pytest.fixture(scope="module")
def jpegs(dogs):
    return [path.read_bytes() for path in sorted(dogs.rglob("*.jpg"))[:32]]


def encoded(form, mode="RGB", size=(40, 30), **more):
    out = io.BytesIO()
    Image.new(mode, size, 7).save(out, form, **more)
    return out.getvalue()


async def test_many_at_once_see_what_each_would_see_alone(vision, jpegs, backbones):
    together = await asyncio.gather(*(vision.look(jpeg, urgent=n % 2 == 0) for n, jpeg in enumerate(jpegs)))
    alone = load_backbone(backbones / "backbones")
    for jpeg, found in zip(jpegs, together, strict=True):
        assert (found.shape, found.dtype) == ((alone.width,), np.float32)
        np.testing.assert_allclose(found, alone.features(pixels(jpeg)[None])[0], atol=1e-4)
        np.testing.assert_array_equal(found, await vision.look(jpeg, urgent=True))


async def test_the_event_loop_goes_on_meanwhile(vision, jpegs):
    vision.warm_up()
    looking = asyncio.gather(*(vision.look(jpeg, urgent=True) for jpeg in jpegs))
    turns = 0
    while not looking.done():
        await asyncio.sleep(0)
        turns += 1
    await looking
    assert turns > len(jpegs)


async def test_who_is_in_a_hurry_does_not_stand_in_line_behind_a_batch(vision, jpegs):
    vision.warm_up()
    batch = [asyncio.ensure_future(vision.look(jpeg, urgent=False)) for jpeg in jpegs * 4]
    await vision.look(jpegs[0], urgent=True)
    assert sum(future.done() for future in batch) < len(batch) // 2
    for future in batch:
        future.cancel()
    await asyncio.gather(*batch, return_exceptions=True)


def test_numpy_has_one_core_as_long_as_there_is_a_brain(backbones):
    def cores():
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    before = cores()
    vision = Vision(backbones)
    assert cores() == {1}
    vision.close()
    assert cores() == before


def test_long_work_sees_the_same_from_its_own_thread(vision, jpegs):
    patient = vision.patient()
    decoded = [pixels(jpeg) for jpeg in jpegs[:11]]
    np.testing.assert_allclose(patient.features(np.stack(decoded)), vision.backbone().features(decoded), atol=1e-4)
    assert patient.identity == vision.backbone().identity


@pytest.mark.parametrize(
    ("form", "mode"),
    [("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("PNG", "I;16"), ("PNG", "1"), ("WEBP", "RGB"), ("GIF", "P")],
)  # fmt: skip
async def test_facts_are_those_of_the_header(vision, form, mode):
    picture = encoded(form, mode)
    assert image_facts(picture) == (form, mode, 40, 30)
    assert (await vision.look(picture, urgent=True)).shape == (vision.backbone().width,)


def test_a_camera_s_jpeg_with_more_pictures_behind_it_is_a_jpeg():
    picture = encoded("MPO", save_all=True, append_images=[Image.new("RGB", (40, 30))])
    assert image_facts(picture)[0] == "JPEG"


async def test_facts_need_only_the_header_but_a_look_needs_all(vision):
    torn = plain(size=(400, 300))[:700]
    assert image_facts(torn)[2:] == (400, 300)
    with pytest.raises((OSError, ValueError)):
        await vision.look(torn, urgent=True)


BAD = {
    "nothing": b"",
    "text": b"not a picture",
    "a bitmap": encoded("BMP"),
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    "a PNG whose chunks are broken": encoded("PNG")[:30] + b"\xff" * 60,
    "a GIF's head": encoded("GIF")[:10],
    "a WebP's head": encoded("WEBP")[:20],
    "a JPEG's head": encoded("JPEG")[:3],
}


@pytest.mark.parametrize("picture", BAD.values(), ids=BAD)
async def test_what_is_no_picture_is_told_as_that(vision, picture):
    with pytest.raises(ValueError, match="no picture") as told:
        image_facts(picture)
    assert "0x" not in str(told.value)
    with pytest.raises((OSError, ValueError)):
        await vision.look(picture, urgent=True)
    assert (await vision.look(plain(), urgent=True)).any()  # and the next one is looked at


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
async def test_damage_anywhere_raises_only_what_is_promised(vision, form):
    whole = bytearray(encoded(form, size=(64, 64)))
    rng = np.random.default_rng(1)
    for _ in range(60):
        damaged = whole.copy()
        for place in rng.integers(0, len(whole), 3):
            damaged[place] = rng.integers(256)
        try:
            await vision.look(bytes(damaged), urgent=True)
        except (OSError, ValueError):
            continue


@pytest.mark.parametrize("error", [SyntaxError("broken PNG file"), KeyError(0), MemoryError()])
async def test_whatever_a_decoder_raises_becomes_a_value_error(vision, monkeypatch, error):
    def pixels(*_):
        raise error

    monkeypatch.setattr(vision_module, "pixels", pixels)
    with pytest.raises(ValueError, match="damaged"):
        await vision.look(plain(), urgent=True)


async def test_large_pictures_raise_no_warnings_and_too_large_ones_are_refused(vision, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Vision(vision._cache).close()  # a server's vision settles what may be said
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow warns here, and refuses what is twice as large
        assert (await vision.look(plain(size=(40, 30)), urgent=True)).any()
        with pytest.raises(ValueError, match="pixels"):
            image_facts(plain(size=(80, 60)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    monkeypatch.setattr(vision_module, "MAX_PIXELS", 1000)
    with pytest.raises(ValueError, match="1,000"):
        image_facts(plain(size=(40, 30)))


async def test_large_pictures_are_decoded_one_at_a_time(vision, monkeypatch):
    vision.warm_up()
    inside, most, lock = 0, 0, threading.Lock()

    def watched(picture, size):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        try:
            return pixels(picture, size)
        finally:
            with lock:
                inside -= 1

    monkeypatch.setattr(vision_module, "LARGE", 100)
    monkeypatch.setattr(vision_module, "pixels", watched)
    await asyncio.gather(*(vision.look(plain(n, (600, 400)), urgent=n % 2 == 0) for n in range(12)))
    assert most == 1
