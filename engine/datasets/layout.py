"""From the folders of a source to classes and splits: which level of folders is the class, and which the split.

A level of folders is a split level where all its names are names of splits; a level with one name only carries no
information. What is left must be one level, the classes. Where it is not, nothing is guessed: the source is refused
until the level is given.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from engine.datasets.sources.base import EXTENSIONS, SPLIT_NAMES, shown, split_name, split_named
from engine.errors import InputError
from engine.quantities import counted
from engine.states import Split

SHOWN = 5
"""So many names are listed in a message."""
_SPLITS = "|".join(sorted(SPLIT_NAMES, key=len, reverse=True))
_TOKEN = re.compile(rf"(?<![a-z])({_SPLITS})(?![a-z])")
_CONTAINERS = (
    r"(my |all |new |the )?(image|img|picture|pic|photo|photograph|jpe?g|png|file|folder|data|dataset|download)s?"
    r"( ?(files?|folders?|copy|new|old|backup|\(?\d+\)?))?"
)
_NEW_FOLDERS = r"(new folder|untitled( folder)?|neuer ordner|nouveau dossier|nueva carpeta|nuova cartella) ?\(?\d*\)?"
_DOUBTFUL = tuple(
    (re.compile(pattern), why)
    for pattern, why in (
        (_SPLITS, "a split"),
        (rf"({_SPLITS}|fold|split|part|batch|chunk|subset|set|session|run) ?\(?\d+\)?", "a split"),
        (rf"({_SPLITS}) (set|data|dataset|images?|imgs|pictures|photos|files|folder|old|new|copy)", "a split"),
        (r"(img|image|dsc[nf]?|dcim|pict?|picture|photo|screenshot|scan|frame|pxl|mvi|gopr)[ (]*\d.*", "a file"),
        (r"(p|gp|wp) ?\d{6,}.*|\d{8}[ t]\d{4,}.*|[0-9a-f]{32,}|[0-9a-f]{8}( [0-9a-f]{4}){3} [0-9a-f]{12}", "a file"),
        (r"\d{3}(canon|nikon|nd\w{3}|msdcf|_?pana|olymp|_?fuji|apple|andro|media)", "a camera's folder"),
        (rf"{_CONTAINERS}|{_NEW_FOLDERS}", "a container"),
        (r"dcim|camera roll|te?mp|thumb(nail)?s?|backups?|annotations?|labels|masks", "a container"),
        (r"[@#$~].*", "a service folder"),
    )
)
"""Names that folders have for another reason than a class, and what they are like."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a folder's pictures belong to: a class, by its folder's name, and a split; None where there is none."""

    name: str | None
    split: Split | None


def doubtful(names: Iterable[str]) -> dict[str, str]:
    """Return the names that are hardly a class's, each with what it is like (`a file`, `a split`, `a container` …)."""
    found = {}
    for name in names:
        plain = " ".join(re.sub(r"[_\s-]+", " ", name.casefold()).split())
        if any(plain.endswith(ending) for ending in EXTENSIONS):
            found[name] = "a file"
        elif why := next((why for pattern, why in _DOUBTFUL if pattern.fullmatch(plain)), None):
            found[name] = why
    return found


def lay_out(folders: Collection[str], where: str, class_level: int | None = None) -> dict[str, Place]:
    """Find the class and the split of each folder that holds pictures.

    Args:
        folders: paths below the source, with `/`; "" is the source itself.
        where: the source, for messages.
        class_level: which level of folders is the class, 1 for the topmost; found from the names unless given.

    Raises:
        InputError: more than one level could be the class, two splits contradict each other, or no picture lies in a
            class folder.

    """
    paths = {folder: tuple(folder.split("/")) if folder else () for folder in folders}
    splits = _split_levels(list(paths.values()), class_level)
    for names in splits.values():
        tests = {split_name(name): name for name, split in sorted(names.items()) if split == Split.TEST}
        if len({name.startswith("test") or name == "tst" for name in tests}) > 1:
            raise InputError(
                f"{where}: which of {' and '.join(map(repr, tests.values()))} is the test part is not known.",
                "Rename the other one to val, or move it away.",
            )
    found = {}
    rest: dict[str, tuple[int, ...]] = {}  # of each folder the levels that are no split's
    for folder, path in paths.items():
        here = {splits[level][path[level]] for level in range(len(path)) if path[level] in splits.get(level, {})}
        if len(here) > 1:
            raise InputError(
                f"{where}: {shown(folder)} names two splits.", "Keep one of train, val and test in each path."
            )
        found[folder] = Place(None, next(iter(here), None))
        beside = len(path) - 1 if path and path[-1] not in splits.get(len(path) - 1, {}) else -1
        rest[folder] = tuple(level for level in range(len(path)) if level not in splits or level == beside)
    levels = _given(rest, class_level) if class_level is not None else _class_levels(paths, rest, where)
    return {
        folder: Place(paths[folder][levels[folder]], place.split) if folder in levels else place
        for folder, place in found.items()
    }


def refuse_doubtful(classes: Mapping[str, int], unsure: Collection[str], where: str, *, split: bool) -> None:
    """Refuse classes whose names are those of files, splits or containers, or may have been read wrongly.

    Args:
        classes: their names, with the number of pictures.
        unsure: those whose encoding is not known.
        where: the source, for the message.
        split: whether the source has split folders: then a class may have a split's name (`train`, the vehicle).

    Raises:
        InputError: names them.

    """
    if unsure:
        listed = ", ".join(repr(shown(name)) for name in sorted(unsure)[:SHOWN])
        raise InputError(
            f"{where}: class folders whose names are in no known encoding, read as {listed}.",
            "Pack it anew with names in UTF-8; if they are right, add --accept-classes.",
        )
    found = doubtful(name for name in classes if not (split and split_named(name)))
    if not found:
        return
    listed = ", ".join(f"{shown(name)!r} (like {why})" for name, why in list(found.items())[:SHOWN])
    more = f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    pictures = sum(classes[name] for name in found)
    raise InputError(
        f"{where}: class folders with names that are hardly classes: {listed}{more}; they hold {pictures:,} of"
        f" {counted(sum(classes.values()), 'picture')}.",
        "Rename them, or move their pictures; if they are classes, add --accept-classes.",
    )


def _split_levels(paths: Sequence[tuple[str, ...]], class_level: int | None) -> dict[int, dict[str, Split]]:
    """Return the levels whose names are names of splits, and what each of these means there."""
    found = {}
    for level in range(max(map(len, paths), default=0)):
        if level + 1 == class_level:
            continue
        meaning = _meaning({path[level] for path in paths if len(path) > level})
        if meaning is not None:
            found[level] = meaning
    return found


def _meaning(names: set[str]) -> dict[str, Split] | None:
    """Return the split of each name of a level that is one's; None where the level is no split level.

    `seg_train` and `seg_test` are names of splits too, as they differ in nothing else. A level that has folders of two
    splits is a split level, whatever lies beside these.
    """
    exact = {name: split for name in names if (split := split_named(name))}
    if len(exact) == len(names) or len(set(exact.values())) > 1:
        return exact
    if len(names) == 1:
        return None
    found, rests = {}, set()
    for name in names:
        folded = name.casefold()
        tokens = _TOKEN.findall(folded)
        if len(tokens) != 1:
            return None
        found[name] = SPLIT_NAMES[tokens[0]]
        rests.add(_TOKEN.sub("\0", folded))
    return found if len(rests) == 1 and len(set(found.values())) == len(names) else None


def _given(rest: Mapping[str, tuple[int, ...]], class_level: int) -> dict[str, int]:
    return {folder: class_level - 1 for folder, levels in rest.items() if class_level - 1 in levels}


def _class_levels(
    paths: Mapping[str, tuple[str, ...]], rest: Mapping[str, tuple[int, ...]], where: str
) -> dict[str, int]:
    """Return the level of each folder's class; a folder that is not there lies in none."""
    left = {folder: levels for folder, levels in rest.items() if levels}

    def names(position: int) -> set[str]:
        return {paths[folder][levels[position]] for folder, levels in left.items()}

    # Folders around everything else; pictures that lie directly in one of these are in no class folder.
    while left and len(names(0)) == 1 and any(len(levels) > 1 for levels in left.values()):
        left = {folder: levels[1:] for folder, levels in left.items() if len(levels) > 1}
    # A level of one name below the classes, such as `images`.
    while len({len(levels) for levels in left.values()}) == 1 and len(names(-1)) == 1 and len(names(0)) > 1:
        left = {folder: levels[:-1] for folder, levels in left.items()}
    if all(len(levels) == 1 for levels in left.values()):
        return {folder: levels[0] for folder, levels in left.items()}
    raise _ambiguous(paths, left, where)


def _ambiguous(paths: Mapping[str, tuple[str, ...]], left: Mapping[str, tuple[int, ...]], where: str) -> InputError:
    deepest = max(sorted(left), key=lambda folder: len(left[folder]))
    path, levels = paths[deepest], left[deepest]
    shallow = min(sorted(left), key=lambda folder: len(left[folder]))
    also = f", and in {shown(shallow)}" if len(left[shallow]) < len(levels) else ""
    choices = " or ".join(f"--class-level {level + 1} ({shown(path[level])!r})" for level in levels[:3])
    return InputError(
        f"{where}: pictures lie in {shown(deepest)}{also}: which level of folders is the class is not known.",
        f"Give it: {choices}.",
    )
