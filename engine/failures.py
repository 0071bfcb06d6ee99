"""Exceptions of the system and of libraries, as errors that a user may see; and the door that makes them so.

Nothing but a `DogclsError` leaves the engine: a full disk, a home that was removed, a closed connection, a fault of
our own. Text of a library is never repeated, as it may hold a key; the system's own words are.
"""

from __future__ import annotations

import errno
import functools
import inspect
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

from engine import error_log
from engine.errors import DiskError, DogclsError, ServiceUnavailable, StoreError, UnexpectedError

C = TypeVar("C", bound=type)

_FULL = "Free some space on its disk, then try again; a job continues with: dogcls-tui resume"
_HINTS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: "Make its disk writable, or choose another --home.",
    errno.EACCES: "Give your user access to it, or choose another --home.",
    errno.EPERM: "Give your user access to it, or choose another --home.",
    errno.ENOENT: "Was it moved or deleted? Restore it, or choose another --home.",
    errno.EIO: "Check its disk.",
    errno.ENOTDIR: "A part of its path is a file, not a folder: choose another place.",
    errno.EISDIR: "It is a folder, not a file: choose another place.",
    errno.ELOOP: "It is a link that leads back to itself: correct it, or choose another place.",
    errno.EBADF: "It was closed by the program or script that started this one.",
    errno.ESTALE: "Connect its network disk again.",
    errno.EMFILE: "Raise the limit of open files (ulimit -n), or close other programs.",
    errno.ENFILE: "Close other programs: the system has no more open files.",
    errno.ENOMEM: "Close other programs: the system has no more memory.",
    errno.EAGAIN: "Close other programs: the system starts no more processes.",
    errno.ENAMETOOLONG: "Choose a shorter name, or a --home with a shorter path.",
}
_FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
_NETWORK = ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "azure", "h11", "anyio", "ssl", "socket")
_ROOT = Path(__file__).parents[1]


def described(error: BaseException, place: Path | None = None) -> DogclsError:
    """Return an exception as an error with one line that names the thing and the fact, and a hint.

    The traceback of a fault of our own is written to the home's `logs/errors.log`; the hint names that file.

    Args:
        error: any.
        place: what is named where the system names no file: it does not for a write to an open one.

    """
    if isinstance(error, DogclsError):
        return error
    library = type(error).__module__.partition(".")[0]
    if library in _NETWORK or isinstance(error, ConnectionError | TimeoutError):
        name = type(error).__name__
        return ServiceUnavailable(f"The service could not be reached ({name}).", "Check with: dogcls-tui doctor")
    if isinstance(error, OSError):
        return _of_system(error, place)
    if library == "sqlite3":
        return StoreError(f"The store cannot be used ({type(error).__name__}: {error}).", "Check its disk.")
    if isinstance(error, MemoryError):
        return DiskError("The system has no more memory.", "Close other programs, then try again.")
    kept = error_log.record(error)
    return UnexpectedError(
        f"Unexpected {type(error).__name__} in {_place(error)}.",
        f"This is a fault of dogcls-tui: report it with {'this line' if kept is None else f'the end of {kept}'}.",
    )


def _of_system(error: OSError, place: Path | None) -> DiskError:
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    if not names and place is not None and error.errno in _FULL_DISK:
        names = [str(place)]
    if error.errno == errno.ENOENT and not names and _is_folder_gone():
        return DiskError("The working folder is not there any more.", "Change to one that is (cd), then try again.")
    fact = f"{(error.strerror or str(error) or type(error).__name__).rstrip('.')}."
    hint = _HINTS.get(error.errno or 0, "")
    if error.errno == errno.ENOENT and "temporary directory" in fact:  # the standard library found none that it can use
        hint = "Set TMPDIR to a folder that can be written."
    return DiskError(f"{' → '.join(names)}: {fact}" if names else fact, hint)


def _is_folder_gone() -> bool:
    try:
        Path.cwd()
    except OSError:
        return True
    return False


def _place(error: BaseException) -> str:
    """Return the innermost line of ours that an exception went through."""
    place = "a library"
    for frame in traceback.extract_tb(error.__traceback__):
        path = Path(frame.filename)
        if path.is_relative_to(_ROOT) and "site-packages" not in path.relative_to(_ROOT).parts:
            place = f"{path.relative_to(_ROOT)}, line {frame.lineno}"
    return place


def door(cls: C) -> C:
    """Let nothing but errors that a user may see out of a class's public coroutines and iterators."""
    for name, method in list(vars(cls).items()):
        if name.startswith("_"):
            continue
        if inspect.iscoroutinefunction(method):
            setattr(cls, name, _coroutine(method))
        elif inspect.isasyncgenfunction(method):
            setattr(cls, name, _iterator(method))
    return cls


def _coroutine(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def described_method(*arguments: Any, **options: Any) -> Any:
        try:
            return await method(*arguments, **options)
        except (DogclsError, BrokenPipeError):  # the latter: who reads our output has left
            raise
        except Exception as error:
            raise described(error, _home_of(arguments)) from error

    return described_method


def _iterator(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def described_method(*arguments: Any, **options: Any) -> AsyncIterator[Any]:
        try:
            async for each in method(*arguments, **options):
                yield each
        except (DogclsError, BrokenPipeError):
            raise
        except Exception as error:
            raise described(error, _home_of(arguments)) from error

    return described_method


def _home_of(arguments: tuple[Any, ...]) -> Path | None:
    """Return the folder of the home that a method's object works on."""
    found = vars(arguments[0]) if arguments else {}
    home = found.get("home") or found.get("_home")
    return home.root if home is not None else None
