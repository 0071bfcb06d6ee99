"""A file from the web, fetched so that a broken line costs only what had not come yet."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from engine import __version__
from engine.errors import InputError, ServiceUnavailable
from engine.network import opener
from engine.store.files import private_folder, write_atomic

Progress = Callable[[str, int, int], None]
CHUNK = 1 << 18
ATTEMPTS = 6
TIMEOUT = 60.0
_WORTH_A_RETRY = frozenset({408, 429, 500, 502, 503, 504})
pause: Callable[[float], None] = time.sleep
"""Between attempts. Tests replace it."""


@dataclass
class Fetched:
    """What is known of a file: where it is from, its version there, its size, and (when complete) its sha256."""

    url: str
    version: str = ""
    size: int = -1
    sha256: str = ""


class _Cut(Exception):
    """The line broke."""


def fetch(url: str, path: Path, *, most: int, sha256: str | None = None, progress: Progress | None = None) -> Fetched:
    """Fetch a file; go on where an earlier attempt has stopped; do nothing if it is there already.

    Args:
        url: http or https.
        path: where it goes; `<path>.json` beside it tells what is known of it.
        most: bytes; more are refused.
        sha256: what it must have, if that is known.
        progress: called with (phase, bytes, bytes in all).

    Raises:
        InputError: it is not what it should be, or the disk is full.
        ServiceUnavailable: the line broke again and again; what has come stays for the next time.

    """
    if not url.startswith(("http://", "https://")):
        raise InputError(f"{url}: not an http address.", "Give one that begins with http:// or https://.")
    private_folder(path.parent)
    known = _read(path, url)
    if path.exists():
        if known.sha256 and _sha256(path) == known.sha256 and sha256 in (None, known.sha256):
            return known
        path.unlink()  # of another place, or damaged
        known = Fetched(url)
    for attempt in range(ATTEMPTS):
        try:
            _go_on(url, path, known, most, progress)
            break
        except (_Cut, TimeoutError, ConnectionError, http.client.HTTPException, urllib.error.URLError) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it holds the connection
            if isinstance(error, urllib.error.HTTPError) and error.code not in _WORTH_A_RETRY:
                raise InputError(
                    f"{url}: {error.code} {error.reason}.", "Is it still there? Try again later."
                ) from None
            if attempt == ATTEMPTS - 1:
                reason = getattr(error, "reason", None) or error
                cure = "What has come is kept; the same command goes on from there."
                raise ServiceUnavailable(f"{url}: {reason}.", cure) from error
            pause(min(30.0, 2.0**attempt))
    known.sha256 = _sha256(_partial(path))
    if sha256 is not None and known.sha256 != sha256:
        _partial(path).unlink()
        raise InputError(f"{url}: its sha256 is {known.sha256}, not {sha256}.", "Do not use it; try again.")
    _write(path, known)
    _partial(path).rename(path)
    return known


def _go_on(url: str, path: Path, known: Fetched, most: int, progress: Progress | None) -> None:
    """Fetch what is missing."""
    partial = _partial(path)
    have = partial.stat().st_size if partial.exists() and known.version else 0
    headers = {"User-Agent": f"dogcls-tui/{__version__}", "Accept-Encoding": "identity"}
    if have and have == known.size:
        return
    if have:  # `If-Range`: another version of the file comes whole instead
        headers |= {"Range": f"bytes={have}-", "If-Range": known.version}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - `fetch` has seen to its scheme
    with opener(url).open(request, timeout=TIMEOUT) as answer:
        if answer.status != 206 or not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            have = 0
        length = answer.headers.get("Content-Length")
        known.size = have + int(length) if length and length.isdecimal() else -1
        # A weak tag does not say that the bytes are the same.
        tag = answer.headers.get("ETag", "")
        known.version = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")
        if known.size > most:
            raise InputError(f"{url}: {known.size:,} bytes, and {most:,} were expected at most.", "Is this the file?")
        if known.size - have > shutil.disk_usage(path.parent).free:
            raise InputError(f"{path}: {known.size:,} bytes do not fit on its disk.", "Free some space.")
        _write(path, known)
        try:
            with partial.open("ab" if have else "wb") as out:
                partial.chmod(0o600)
                while chunk := answer.read(CHUNK):
                    out.write(chunk)
                    have += len(chunk)
                    if have > most:
                        raise InputError(f"{url}: more than {most:,} bytes.", "Is this the file?")
                    if progress is not None:
                        progress(f"fetching {path.name}", have, max(known.size, have))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                partial.unlink(missing_ok=True)
                raise InputError(f"{path}: {error.strerror}.", "Free some space.") from None
            raise _Cut(str(error)) from error
    if known.size >= 0 and have != known.size:
        raise _Cut(f"{have:,} of {known.size:,} bytes came")


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _write(path: Path, known: Fetched) -> None:
    write_atomic(_note(path), json.dumps(asdict(known), indent=1))


def _read(path: Path, url: str) -> Fetched:
    with contextlib.suppress(OSError, ValueError, TypeError):
        known = Fetched(**json.loads(_note(path).read_text(encoding="utf-8")))
        if known.url == url:
            return known
    _partial(path).unlink(missing_ok=True)
    return Fetched(url)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
