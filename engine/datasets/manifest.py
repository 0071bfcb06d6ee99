"""What a folder of request files was made of, and how far it has come: a small file beside them.

A file is written down here before it gets its name, so that after a kill each name belongs to a whole file
of ours, and every other one is somebody else's.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine.datasets.shard_file import Prefix, fits, same
from engine.errors import InputError
from engine.store.files import write_atomic

MOST_NAMED = 100
"""So many images that were left out are named; the rest is counted."""
_CURE = "Choose another folder with --output, or remove what lies there."


@dataclass
class Written:
    """One finished file, and how far the split was read when it ended."""

    file: str
    lines: int
    bytes: int
    sha256: str
    tokens: int
    position: int
    skipped: int


@dataclass
class Begun:
    """The file that was being written."""

    file: str
    prefix: Prefix
    position: int
    skipped: int


@dataclass
class Manifest:
    """The state of one set of files.

    Attributes:
        recipe: all that decides their bytes.
        shards: the finished ones.
        begun: the one under way.
        bad: (position, image, why) of those that were left out, the first of them.
        complete: whether all is there.

    """

    recipe: dict[str, Any]
    shards: list[Written] = field(default_factory=list)
    begun: Begun | None = None
    bad: list[tuple[int, str, str]] = field(default_factory=list)
    complete: bool = False

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        write_atomic(path, json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> Manifest | None:
        """Read it; None where there is none.

        Raises:
            InputError: it is none of ours.

        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: {error}.", _CURE) from None
        try:
            begun = found["begun"]
            if begun is not None:
                begun = Begun(**{**begun, "prefix": Prefix(**begun["prefix"])})
            shards = [Written(**shard) for shard in found["shards"]]
            bad = [(int(at), str(name), str(why)) for at, name, why in found["bad"]]
            return cls(dict(found["recipe"]), shards, begun, bad, bool(found["complete"]))
        except (TypeError, KeyError, ValueError):
            raise InputError(f"{path}: this describes no files of ours.", _CURE) from None


def take_up(path: Path, recipe: dict[str, Any], stem: str) -> Manifest:
    """Return what is there of a set of files, and is what it was; everything after the first gap is forgotten.

    Args:
        path: of the manifest, in the files' folder.
        recipe: all that decides the files' bytes.
        stem: their names begin with it.

    Raises:
        InputError: there are files that would be overwritten and are not the same set's, or were changed since.

    """
    folder = path.parent
    for left in folder.glob(f".{path.name}.*"):  # by a kill while it was written down
        left.unlink()
    found = Manifest.load(path) or Manifest(recipe)
    if found.recipe != recipe and not any((folder / shard.file).exists() for shard in found.shards):
        found = Manifest(recipe)  # nothing was finished: what was begun otherwise is begun anew
    if found.recipe != recipe:
        other = [key for key in {**found.recipe, **recipe} if found.recipe.get(key) != recipe.get(key)]
        raise InputError(f"{path}: the files here were made otherwise ({', '.join(other)}).", _CURE)
    mine = {shard.file: shard for shard in found.shards}
    for file in sorted(folder.glob(f"{stem}-[0-9][0-9][0-9][0-9][0-9].jsonl")):
        shard = mine.get(file.name)
        if shard is None:
            raise InputError(f"{file}: would be overwritten.", _CURE)
        if not same(file, shard.bytes, shard.sha256):
            raise InputError(f"{file}: has been changed since it was written.", _CURE)
    kept: list[Written] = []
    for shard in found.shards:
        file = folder / shard.file
        if not file.exists():
            if not same(partial(file), shard.bytes, shard.sha256):
                break
            partial(file).replace(file)  # it was killed between writing this down and the name
        kept.append(shard)
    if len(kept) < len(found.shards):
        found.complete, found.begun = False, None
    found.shards = kept
    begun = found.begun
    if begun is not None and not fits(partial(folder / begun.file), begun.prefix):
        found.begun = None
    position = kept[-1].position if kept else 0
    if found.begun is not None:
        position = found.begun.position
    if not found.complete:
        found.bad = [bad for bad in found.bad if bad[0] < position]
    return found


def partial(path: Path) -> Path:
    """Return the temporary name of a file: the next run must find it."""
    return path.with_name(f".{path.name}.part")
