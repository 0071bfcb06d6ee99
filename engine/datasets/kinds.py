"""The kinds of things that a check finds, each with how bad it is, a sentence and the cure: one table for everybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Kind:
    """One kind of finding: its level, what is said of one or several files, and the cure."""

    level: Level
    one: str
    many: str
    cure: str

    def sentence(self, count: int) -> str:
        """Return what is said of so many files."""
        return f"1 {self.one}" if count == 1 else f"{count:,} {self.many}"


def _images(level: Level, singular: str, plural: str, cure: str) -> Kind:
    return Kind(level, f"image {singular}", f"images {plural}", cure)


# An image of one of these cannot be used: adding stops, or leaves it out where that was asked for.
UNUSABLE: dict[str, Kind] = {
    "empty": _images("error", "is empty (0 bytes)", "are empty (0 bytes)", "Remove them, or fetch them again."),
    "no-image": _images("error", "is no image", "are no images", "Remove them, or replace them."),
    "truncated": _images("error", "is cut off", "are cut off", "Remove them, or fetch them again."),
    "broken": _images("error", "cannot be decoded", "cannot be decoded", "Remove them, or replace them."),
    "format": _images(
        "error", "is of a format that nobody takes", "are of formats that nobody takes", "Convert them to JPEG or PNG."
    ),
    "pixels": _images(
        "error", "has too many pixels, and was not decoded", "have too many pixels, and were not decoded",
        "Scale them down.",
    ),
    "bytes": _images("error", "is over 10 MB", "are over 10 MB", "Scale them down."),
    "missing": _images(
        "error", "is not there any more", "are not there any more", "Put them back, or add the set again."
    ),
    "unreadable": _images("error", "cannot be read", "cannot be read", "Check the files and their permissions."),
    "changed": _images(
        "error", "is another than was catalogued", "are others than were catalogued",
        "Restore them, or add the set again.",
    ),
    "name": _images(
        "error", "has a name that is not UTF-8, or too long", "have names that are not UTF-8, or too long",
        "Rename them.",
    ),
    "link": _images(
        "error", "is a link that leads out of the source", "are links that lead out of the source",
        "Copy the pictures there.",
    ),
    "packed-link": _images(
        "error", "is a link in the archive, and no picture", "are links in the archive, and no pictures",
        "Pack the pictures themselves.",
    ),
    "sparse": _images(
        "error", "is stored as a sparse file", "are stored as sparse files", "Pack them with their content."
    ),
}  # fmt: skip

# An image of one of these is used; people should know.
NOTED: dict[str, Kind] = {
    "mode": _images(
        "warning", "is neither RGB nor RGBA, which is all that fine-tuning takes",
        "are neither RGB nor RGBA, which is all that fine-tuning takes",
        "Convert them, or let that be done for fine-tuning: --convert.",
    ),
    "orientation": _images(
        "warning", "is stored turned, and upright only by its EXIF",
        "are stored turned, and upright only by their EXIF",
        "Save them upright: not everybody heeds EXIF.",
    ),
    "animated": _images(
        "warning", "is animated; its first picture counts", "are animated; their first picture counts",
        "Save the picture that is meant.",
    ),
    "several": _images(
        "note", "holds several pictures (MPO); the first counts", "hold several pictures (MPO); the first counts",
        "Nothing needs to be done.",
    ),
    "extension": _images(
        "note", "has a name that says another format than its content",
        "have names that say another format than their content", "Rename them; here the content counts.",
    ),
    "small": _images(
        "note", "has a side under 64 pixels", "have a side under 64 pixels", "Expect them to be hard for everybody."
    ),
    "unsure": _images(
        "note", "is too small or too flat to tell for certain which others look like it",
        "are too small or too flat to tell for certain which others look like them",
        "Exact copies are found all the same; look for others yourself.",
    ),
    "odd-name": _images(
        "warning", "has a name with control characters or marks of direction",
        "have names with control characters or marks of direction", "Rename them; they are shown without these.",
    ),
}  # fmt: skip

# A source's entries that are no images of it.
PASSED: dict[str, Kind] = {
    "archive-link": Kind(
        "warning", "link in the archive was not followed", "links in the archive were not followed",
        "Pack the pictures themselves.",
    ),
    "unsafe-path": Kind(
        "warning", "entry whose path leaves the archive was not read",
        "entries whose paths leave the archive were not read",
        "Trust this archive no further than its maker.",
    ),
    "folder-link": Kind(
        "warning", "link to a folder was not followed", "links to folders were not followed", "Move the folder there."
    ),
    "special": Kind(
        "warning", "entry is neither a file nor a folder", "entries are neither files nor folders", "Remove them."
    ),
    "no-class": Kind(
        "warning", "picture lies in no class folder", "pictures lie in no class folder", "Move them into one."
    ),
    "other-file": Kind(
        "note", "file is no picture by its name", "files are no pictures by their names", "Nothing needs to be done."
    ),
}  # fmt: skip

KINDS = {**UNUSABLE, **NOTED, **PASSED}
