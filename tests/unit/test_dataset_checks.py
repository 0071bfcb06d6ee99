"""What a check finds of pictures, of a set, and of what changed since it was catalogued."""

import io
import os
import sqlite3
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from engine.datasets import checks, examining
from engine.datasets.catalog import build_catalog, digest_of
from engine.datasets.checks import BadImageError, check_image
from engine.datasets.likeness import Likeness, Print, fingerprint
from engine.datasets.looking import Task, look_at_all, read_file
from engine.errors import InputError
from engine.jobs.importing import add_dataset, check_dataset, findings
from tests.pictures import class_folders, plain


def encoded(image, form="PNG", **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def noise(seed=0, size=(96, 96), mode="RGB"):
    """A picture with detail, which no other seed's looks like."""
    small = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).convert(mode)


def bomb(side=50_000):
    """A PNG that says it has so many pixels a side, and is a few bytes long."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def frames(form, **options):
    return encoded(noise(1), form, save_all=True, append_images=[noise(2)], **options)


def damaged(png):
    """A PNG whose compressed pixels are none any more."""
    at = png.index(b"IDAT") + 4
    return png[:at] + b"\xff" * 40 + png[at + 40 :]


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"", "empty", "0 bytes"),
        (b"hello, I am text", "no-image", "this is no image"),
        (encoded(noise(), "JPEG")[:-900], "truncated", "truncated"),
        (encoded(noise())[:-900], "truncated", "truncated"),
        (bomb(), "pixels", "2,500,000,000 pixels"),
        (bomb(11_000), "pixels", "11000×11000 pixels"),
        (frames("GIF"), "format", r"no GIF \(animated: 2 pictures\)"),
        (encoded(noise(), "TIFF"), "format", "no TIFF"),
        (encoded(noise(), "BMP"), "format", "no BMP"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 100, "format", "no HEIC"),
        (b"\0\0\0\x18ftypmif1" + b"\0" * 100, "format", "no HEIC"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "format", "no SVG"),
        (plain() + b"\0" * 10_000_000, "bytes", "and the service takes 10,000,000"),
        (damaged(encoded(noise())), "broken", "cannot be decoded"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_cure(data, kind, words):
    with pytest.raises(BadImageError, match=words) as caught:
        check_image(data, "x.jpg")
    assert caught.value.kind == kind
    assert caught.value.cure


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda image: pytest.fail("decoded"))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: pytest.fail("decoded"))
    for side in (50_000, 11_000):
        with pytest.raises(BadImageError):
            check_image(bomb(side))


def sixteen_bits():
    return encoded(Image.fromarray(np.arange(96 * 96, dtype=np.uint16).reshape(96, 96)))


@pytest.mark.parametrize(
    ("data", "name", "flags"),
    [
        (encoded(noise(), "JPEG"), "a.jpg", []),
        (encoded(noise(mode="RGBA")), "a.PNG", []),
        (encoded(noise(), "WEBP"), "a.webp", []),
        (encoded(noise(mode="CMYK"), "JPEG"), "a.jpeg", [("mode", "CMYK")]),
        (encoded(noise(mode="L")), "a.png", [("mode", "L")]),
        (encoded(noise(mode="P")), "a.png", [("mode", "P")]),
        (sixteen_bits(), "a.png", [("mode", "I;16")]),
        (encoded(noise()), "a.jpg", [("extension", "content: PNG")]),
        (encoded(noise(size=(40, 90))), "a.png", [("small", "40×90")]),
        (frames("WEBP"), "a.webp", [("animated", "2 pictures")]),
        (frames("PNG"), "a.png", [("animated", "2 pictures")]),
        (frames("MPO"), "a.jpg", [("several", "2 pictures")]),
    ],
)
def test_what_is_used_is_noted(data, name, flags):
    found = check_image(data, name)
    assert list(found.flags) == flags
    assert found.alike is not None


def test_a_picture_that_lies_on_its_side_is_noted():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert check_image(encoded(noise(), "JPEG", exif=exif)).flags == (("orientation", "orientation 6"),)


def test_a_large_picture_is_decoded_alone(monkeypatch):
    taken = []

    class Lock:
        def __enter__(self):
            taken.append(1)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(checks, "MANY_PIXELS", 5000)
    monkeypatch.setattr(checks, "_large", Lock())
    check_image(encoded(noise()))
    assert taken == [1]


def test_what_is_scaled_or_saved_anew_looks_alike_and_nothing_else_does():
    likeness = Likeness()
    for key in range(40):
        likeness.add(key, fingerprint(noise(key)))
    likeness.add(100, fingerprint(noise(3).resize((61, 50))))
    again = Image.open(io.BytesIO(encoded(noise(7), "JPEG", quality=30)))
    likeness.add(101, fingerprint(again))
    likeness.add(102, fingerprint(noise(7)))
    assert list(likeness.groups()) == [[3, 100], [7, 101, 102]]


def test_one_colour_looks_like_nothing():
    assert fingerprint(Image.new("RGB", (90, 90), "red")) is None
    assert list(Likeness().groups()) == []


def test_many_fingerprints_are_grouped_as_comparing_all_would():
    random = np.random.default_rng(5)
    cosines = random.integers(-(2**63), 2**63 - 1, 600)
    cosines[300:] = cosines[:300] ^ (1 << random.integers(0, 62, 300)) ^ (1 << random.integers(0, 62, 300))
    cosines[500:] ^= 0x1FF00  # too far
    pixels = random.integers(-127, 128, (300, 64)).astype(np.int8)
    likeness = Likeness()
    for key, value in enumerate(cosines.tolist()):
        likeness.add(key, Print(value, 0, pixels[key % 300].tobytes()))
    found = {tuple(group) for group in likeness.groups()}
    bits = cosines.view(np.uint64)
    near = {(a, b) for a in range(600) for b in range(a + 1, 600) if int(np.bitwise_count(bits[a] ^ bits[b])) <= 8}
    assert near
    assert found == near


def blurred(seed, spread=0.0, base=0):
    """One of many pictures of a kind: what they share, and a little of its own."""
    shared, own = (np.random.default_rng(n).normal(128, 45, (6, 6)) for n in (base, seed))
    pixels = np.clip(shared + spread * (own - 128), 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize((64, 64), Image.Resampling.BICUBIC)


def test_pictures_of_a_kind_are_no_chain_and_only_copies_among_them_are_found():
    likeness = Likeness()
    for key in range(400):
        likeness.add(key, fingerprint(blurred(1000 + key, 0.35)))
    for key in (5, 77):
        likeness.add(400 + key, fingerprint(blurred(1000 + key, 0.35).resize((50, 50))))
    likeness.add(500, fingerprint(Image.open(io.BytesIO(encoded(blurred(1200, 0.35), "JPEG", quality=40)))))
    assert list(likeness.groups()) == [[5, 405], [77, 477], [200, 500]]
    assert len(likeness.crowded()) > 200


def test_nobody_is_in_a_group_because_of_somebody_in_between():
    likeness = Likeness()
    chain = [Image.blend(noise(1), noise(2), at / 10) for at in range(11)]
    for key, image in enumerate([*chain, *map(noise, range(10, 400))]):
        likeness.add(key, fingerprint(image))
    groups = list(likeness.groups())
    assert all(max(group) - min(group) <= 6 for group in groups), groups
    assert {key for group in groups for key in group} == set(range(11))
    assert not any(set(one) < set(other) for one in groups for other in groups)


def test_a_thousand_copies_are_one_group_and_soon_found():
    likeness = Likeness()
    base = noise(3)
    pixels = np.asarray(base, dtype=np.int16)
    for key in range(1000):
        grain = np.random.default_rng(key).integers(-3, 4, pixels.shape)
        likeness.add(key, fingerprint(Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))))
    (group,) = likeness.groups()
    assert group == list(range(1000))


def test_processes_find_what_one_does(tmp_path):
    class_folders(tmp_path / "set", ["a"], 40)
    (tmp_path / "set" / "a" / "039.jpg").write_bytes(b"text")
    files = sorted((tmp_path / "set" / "a").iterdir())
    tasks = [Task(n, file.name, file=str(file)) for n, file in enumerate(files)]
    assert list(look_at_all(tasks, 40, processes=2)) == list(look_at_all(tasks, 40, processes=1))


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path, monkeypatch):
    path = tmp_path / "a.jpg"
    path.write_bytes(plain() * 20)
    real = os.fstat
    seen = []

    def grows(descriptor):
        found = real(descriptor)
        if not seen:
            path.write_bytes(plain() * 30)
        seen.append(found)
        return found

    monkeypatch.setattr(os, "fstat", grows)
    with pytest.raises(BadImageError, match="it changed while it was read"):
        read_file(str(path))


def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(BadImageError, match="no regular file"):
        read_file(str(tmp_path / "a.jpg"))


def pictures(root, classes=("a", "b"), count=10, start=0):
    for c, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for n in range(count):
            (root / name / f"{n:03d}.png").write_bytes(encoded(noise(start + 100 * c + n)))
    return root


def add(store, home, source, name="set", **options):
    return add_dataset(store, home, str(source), name, None, options)


def kinds(store, name="set"):
    return {f.kind: f for f in findings(store, name, 0, 100)}


def test_a_clean_set_has_nothing_to_tell(store, home, tmp_path):
    add(store, home, pictures(tmp_path / "set"))
    assert findings(store, "set", 0, 10) == []
    report = check_dataset(store, "set")
    assert (report.images, report.kinds) == (20, ())
    assert report.images_per_second > 0


def test_copies_conflicts_leaks_and_look_alikes_are_found(store, home, tmp_path):
    source = pictures(tmp_path / "set", count=30)
    (source / "a" / "copy.png").write_bytes((source / "a" / "000.png").read_bytes())
    (source / "b" / "wrong.png").write_bytes((source / "a" / "001.png").read_bytes())
    (source / "b" / "almost.png").write_bytes(encoded(noise(103, (80, 80)), "PNG"))
    (source / "b" / "A.png").write_bytes(encoded(noise(500)))
    (source / "b" / "a.png").write_bytes(encoded(noise(501)))
    (source / "b" / "red\x1b[31m.png").write_bytes(encoded(noise(502, mode="L")))
    add(store, home, source)
    found = kinds(store)
    assert set(found) in (
        {"label-conflict", one, two, "case", "odd-name", "mode"}
        for one in ("leakage", "duplicate")
        for two in ("near-leakage", "near-duplicate")
    )
    conflict = found["label-conflict"]
    assert (conflict.level, conflict.files) == ("error", 2)
    assert sorted(spot.partition(" ")[0] for spot in conflict.where) == ["a/001.png", "b/wrong.png"]
    assert conflict.cure == "Remove the wrong ones."
    assert found["mode"].what == "1 image is neither RGB nor RGBA, which is all that fine-tuning takes"
    assert found["mode"].where == ("b/red\x1b[31m.png (L)",)


def test_imbalance_and_too_few_examples_are_told(store, home, tmp_path):
    source = pictures(tmp_path / "set", count=3)
    for n in range(30):
        (source / "a" / f"more{n}.png").write_bytes(encoded(noise(1000 + n)))
    add(store, home, source)
    assert kinds(store)["imbalance"].what == "train: 27 of 'a', but 1 of 'b'"
    few = pictures(tmp_path / "few", count=4, start=5000)
    add(store, home, few, "few")
    assert kinds(store, "few")["examples"].what == "4 training images, and fine-tuning takes 10 to 50,000"


def test_bad_ones_are_counted_or_left_out_by_name(store, home, tmp_path):
    source = pictures(tmp_path / "set", count=20)
    (source / "a" / "000.png").write_bytes(b"")
    (source / "b" / "000.png").write_bytes(bomb())
    (source / "b" / "001.jpg").write_bytes(frames("GIF"))
    with pytest.raises(InputError, match=r"set/a/000\.png: .* \(2 more cannot be used\)\. .*--skip-bad") as caught:
        add(store, home, source)
    assert "fetch it again" in caught.value.cure
    assert store.datasets.all() == []
    dataset = add(store, home, source, skip_bad=True)
    assert dataset.train + dataset.val + dataset.test == 38
    found = kinds(store)
    assert {"empty", "pixels", "format"} <= set(found)
    assert found["format"].where == ("b/001.jpg (the service takes no GIF (animated: 2 pictures))",)
    assert all(found[kind].left_out for kind in ("empty", "pixels", "format"))


def test_a_class_of_which_nothing_is_left_is_refused(store, home, tmp_path):
    source = pictures(tmp_path / "set", count=3)
    for file in (source / "b").iterdir():
        file.write_bytes(b"")
    with pytest.raises(InputError, match="class 'b' has no train image left"):
        add(store, home, source, skip_bad=True)
    assert store.datasets.all() == []


def test_what_changed_or_went_since_is_found(store, home, tmp_path):
    source = pictures(tmp_path / "set")
    add(store, home, source)
    (source / "a" / "000.png").write_bytes(encoded(noise(999)))
    (source / "a" / "001.png").unlink()
    (source / "b" / "002.png").chmod(0o644)
    check_dataset(store, "set")
    found = kinds(store)
    assert set(found) == {"changed", "missing"}
    assert found["changed"].where == ("a/000.png (another content than was catalogued)",)
    assert found["missing"].where == ("a/001.png (it is not there any more)",)
    assert len(store.datasets.images("set", "train")) == 16  # nothing is dropped


def test_a_catalogue_that_somebody_wrote_to_is_found(store, home, tmp_path):
    add(store, home, pictures(tmp_path / "set"))
    with store.db.transaction() as db:
        db.execute("DELETE FROM images WHERE id = 1")
    check_dataset(store, "set")
    assert "the catalogue is not the one that was frozen" in kinds(store)["digest"].what


def test_a_set_that_changes_while_it_is_added_is_refused(store, home, tmp_path, monkeypatch):
    source = pictures(tmp_path / "set")
    real = examining.look_at_all

    def meddle(*arguments, **options):
        yield from real(*arguments, **options)
        (source / "b" / "005.png").write_bytes(encoded(noise(77)) + b"more")

    monkeypatch.setattr(examining, "look_at_all", meddle)
    with pytest.raises(InputError, match=r"set/b/005\.png: it changed while the set was read"):
        add(store, home, source)
    assert store.datasets.all() == []


def test_findings_and_their_files_are_read_by_the_page(store, home, tmp_path):
    source = pictures(tmp_path / "set", count=3)
    for n in range(7):
        (source / "a" / f"small{n}.png").write_bytes(encoded(noise(300 + n, (32, 32))))
    add(store, home, source)
    (small,) = findings(store, "set", 0, 10, "small")
    assert (small.what, small.files, small.level) == ("7 images have a side under 64 pixels", 7, "note")
    assert [len(store.findings.files(small.id, at, 3)) for at in (0, 3, 6, 9)] == [3, 3, 1, 0]
    assert store.findings.counts("set")[-1][:2] in (("small", "note"), ("examples", "note"))
    every = findings(store, "set", 0, 100)
    assert [f for at in range(len(every)) for f in findings(store, "set", at, 1)] == every


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE images SET split = 'test' WHERE id = 1", "a catalogued image never changes"),
        ("UPDATE labels SET name = 'x' WHERE position = 0", "a catalogued label never changes"),
        ("DELETE FROM images WHERE id = 1", "an experiment looks at these images"),
        (
            "INSERT INTO images (dataset_id, path, label, split, bytes, width, height, sha256)"
            " VALUES (1, 'new', 0, 'test', 1, 1, 1, '')",
            "an experiment looks at these images",
        ),
    ],
)
def test_what_is_catalogued_stays_the_same_for_every_contestant(store, home, tmp_path, statement, words):
    add(store, home, pictures(tmp_path / "set"))
    store.experiments.add("e", dataset="set", profile="demo", spec="", contestants=[], jobs=[], estimates=[])
    with pytest.raises(sqlite3.IntegrityError, match=words), store.db.transaction() as db:
        db.execute(statement)
    assert digest_of(sorted(_contents(store))) == store.datasets.get("set").digest


def _contents(store):
    return [f"{sha256} {split} {label}" for _, label, split, sha256 in store.datasets.catalogued("set")]


def test_the_digest_says_which_image_is_in_which_split(tmp_path):
    source = pictures(tmp_path / "set")
    first = build_catalog(source, tmp_path / "x")
    again = build_catalog(source, tmp_path / "x")
    other = build_catalog(source, tmp_path / "x", seed=43)
    assert first.digest == again.digest != other.digest
    assert first.digest == digest_of(sorted(f"{i.sha256} {i.split} {i.label}" for i in first.images))
