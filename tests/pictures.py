"""Pictures for tests: drawn by the program's own demo set, or plain colours where what they show is no matter."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

from PIL import Image

from engine.datasets.demo import BREEDS, draw_dog
from engine.store.datasets import StoredImage

KENNEL = ("dalmatian", "pug", "German shepherd", "Bernese mountain dog")


def plain(seed=0, size=(32, 24), form="JPEG"):
    """Return an encoded picture whose bytes hang on the seed."""
    image = Image.new("RGB", size, (seed * 37 % 256, seed * 101 % 256, seed // 7 % 256))
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()


def catalogued(path: Path, number=0, label=0):
    """Return a file as a dataset has it; one that is not there as if it had been."""
    data = path.read_bytes() if path.exists() else b"gone"
    return StoredImage(number, path, label, "test", len(data), 32, 24, hashlib.sha256(data).hexdigest())


def class_folders(root: Path, classes, count, *, start=0):
    """Write `count` plain pictures for each class."""
    for c, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for n in range(count):
            (root / name / f"{n:03d}.jpg").write_bytes(plain(start + 100 * c + n))
    return root


def kennel(root: Path, count, breeds=KENNEL):
    """Draw `count` dogs of each of a few breeds."""
    for breed in BREEDS:
        if breed.name in breeds:
            (root / breed.name).mkdir(parents=True)
            for n in range(count):
                draw_dog(breed, 1000 + n).save(root / breed.name / f"{n:03d}.jpg", quality=85)
    return root


def tar_of(folder: Path, path: Path, prefix=""):
    """Pack a folder of class folders."""
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for file in sorted(folder.rglob("*.jpg")):
            archive.add(file, prefix + str(file.relative_to(folder)))
    return path


def zip_of(folder: Path, path: Path):
    """Pack a folder of class folders."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.jpg")):
            archive.write(file, str(file.relative_to(folder)))
    return path
