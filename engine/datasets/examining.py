"""The one pass over the pictures of a staged set: each is read, decoded, hashed and compared; what is found is staged.

Used when a set is added and when one that is catalogued is checked again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from engine.datasets.checks import odd_name
from engine.datasets.findings import find
from engine.datasets.likeness import SMALLEST, Likeness
from engine.datasets.looking import Task, look_at_all
from engine.datasets.sources import Passed, Source
from engine.datasets.sources.base import shown
from engine.errors import InputError
from engine.store.staging import Staged, Staging

Progress = Callable[[str, int, int], None]
BATCH = 500


def examine(
    staging: Staging,
    source: Source,
    unpack_to: Path | None = None,
    progress: Progress | None = None,
    *,
    skip_bad: bool = True,
    processes: int | None = None,
) -> None:
    """Look at every picture, and stage what is found.

    Args:
        staging: holds what is to be looked at.
        source: reads it.
        unpack_to: where pictures are written.
        progress: called with (phase, done, total).
        skip_bad: go on without what is unusable, instead of refusing it all.
        processes: see `engine.datasets.looking.look_at_all`.

    Raises:
        InputError: something is unusable, cannot be written, or changed meanwhile.

    """
    count = staging.count()
    if unpack_to is not None:
        _enough_room(source, unpack_to)
    likeness = Likeness()
    staged: dict[int, Staged] = {}  # those under way
    good: list[tuple[int, int, int, str, int, int]] = []
    flags: list[tuple[str, str, str, bool, str, str]] = []

    def keep() -> None:
        staging.looked(good)
        staging.flag(flags)
        good.clear()
        flags.clear()

    for done, found in enumerate(look_at_all(_tasks(staging, source, unpack_to, staged), count, processes), start=1):
        image = staged.pop(found.id)
        checked = found.checked
        if checked is None:
            flags.append((found.kind, image.path, found.problem, True, found.problem, found.cure))
        else:
            if image.expected is not None and image.expected != checked.sha256:
                flags.append(("changed", image.path, "another content than was catalogued", True, "", ""))
            good.append((checked.bytes, checked.width, checked.height, checked.sha256, found.mtime, found.id))
            flags += [(kind, image.path, note, False, "", "") for kind, note in checked.flags]
            if checked.alike is not None:
                likeness.add(found.id, checked.alike, tiny=min(checked.width, checked.height) < SMALLEST)
        if odd_name(image.path):
            flags.append(("odd-name", image.path, "", False, "", ""))
        if done % BATCH == 0:
            keep()
        if progress is not None and (done % 100 == 0 or done == count):
            progress("checking images", done, count)
    keep()
    if not skip_bad:
        refuse_bad(staging, source)
    staging.leave_out_bad()
    _unchanged(staging, source)
    report = progress or (lambda _phase, _done, _total: None)
    report("comparing images", 0, count)
    find(staging, likeness, lambda share: report("comparing images", int(share * count), count))
    report("comparing images", count, count)


def refuse_bad(staging: Staging, source: Source) -> None:
    """Refuse a set of which something is unusable.

    Raises:
        InputError: names the first such file, and how many more there are.

    """
    bad = staging.first_bad()
    if bad is not None:
        path, problem, cure, count = bad
        more = f" ({count - 1:,} more cannot be used)" if count > 1 else ""
        raise InputError(f"{source.path}/{path}: {problem}{more}.", f"{cure} --skip-bad leaves such files out.")


def flag_passed(staging: Staging, passed: list[Passed]) -> None:
    """Stage what a source has and does not give."""
    staging.flag((p.kind, p.path, p.note or p.problem, bool(p.problem), p.problem, p.cure) for p in passed)


def _tasks(staging: Staging, source: Source, unpack_to: Path | None, staged: dict[int, Staged]) -> Iterator[Task]:
    folders: set[Path] = set()
    for image in staging.to_look_at():
        staged[image.id] = image
        to = None
        if unpack_to is not None:
            file = unpack_to / image.path
            if file.parent not in folders:
                file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                folders.add(file.parent)
            to = str(file)
        yield source.task(image.id, image.path, image.place, to)


def _enough_room(source: Source, unpack_to: Path) -> None:
    free = shutil.disk_usage(unpack_to).free
    needed = source.unpacked_bytes()
    if needed > free:
        raise InputError(
            f"{source.path}: its pictures take {needed:,} bytes, and {free:,} are free in {unpack_to.parent}.",
            "Free some space, or choose a --home on another disk.",
        )


def _unchanged(staging: Staging, source: Source) -> None:
    """Look whether everything is still what it was when it was read, for a set that changes is no set.

    Raises:
        InputError: names the first picture that is not.

    """
    for path, place, size, mtime in staging.read_from():
        if not source.same(place, size, mtime):
            what = f"{source.path}/{shown(path)}" if source.in_place else str(source.path)
            raise InputError(
                f"{what}: it changed while the set was read.", "Wait until nobody writes there; try again."
            )
        if not source.in_place:
            return  # one file holds them all
