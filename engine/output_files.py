"""Files that a user has named: whole or not written at all, for others to read as the user's umask says."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from engine.errors import InputError

_umask: int | None = None
"""The user's own, as it was before `make_private`."""


def user_rights(rights: int) -> int:
    """Return what the user's umask leaves of a file's or folder's rights."""
    return rights & ~(_umask if _umask is not None else 0o022)


def make_private() -> None:
    """Let everything that this process makes be its user's only; `write_outputs` still goes by the user's umask."""
    global _umask
    found = os.umask(0o077)
    _umask = found if _umask is None else _umask


def write_outputs(contents: Mapping[Path, str]) -> None:
    """Write files that the user has named: each is whole, and all are written or none.

    A file that was there is replaced at the end only, and keeps its rights; a link to it stays a link. A pipe or a
    device (`/dev/stdout`) is written to. What is new has the rights that the user's umask leaves.

    Raises:
        InputError: one cannot be written; what was there is as before.

    """
    from engine.store.files import sync_folder  # not before the app's first screen

    partial: dict[Path, str] = {}
    path = Path()
    try:
        for path, content in contents.items():
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if _is_stream(path):
                with path.open("ab") as stream:
                    stream.write(content.encode())
            else:
                target = Path(os.path.realpath(path))
                if target.is_symlink():
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                partial[target] = _partial_of(target, content.encode())
        for path, name in partial.items():
            Path(name).replace(path)
            sync_folder(path.parent)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "no name of a file") or type(error).__name__
        was_there = os.path.isfile(path)  # noqa: PTH113 – pathlib's fails for a name that is too long
        kept = "The file that was there is unchanged. " if was_there else ""
        raise InputError(f"{path}: {reason}.", f"{kept}Choose another place, or make room or rights there.") from None
    finally:
        for name in partial.values():
            with contextlib.suppress(OSError):
                Path(name).unlink(missing_ok=True)


def _is_stream(path: Path) -> bool:
    """Return whether a path is a pipe, a device, or a name of an open file, to which its holder writes on."""
    return (path.exists() and not path.is_file()) or path.absolute().is_relative_to("/dev")


def _partial_of(target: Path, data: bytes) -> str:
    """Write data to a file beside the one that it will replace, on the disk when this returns; return its name."""
    rights = user_rights(0o666)
    if target.exists():
        rights = target.stat().st_mode & 0o777
        if not os.access(target, os.W_OK):  # to be replaced, it would not have to be writable
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".dogcls-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), rights)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return name
