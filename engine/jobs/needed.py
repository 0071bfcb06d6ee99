"""What on the service is still needed: by which job of this home, and in which state that job is.

Cleaning up offers nothing of it, and everything is checked once more right before it is deleted: a job may have been
resumed since the list was made. The store decides; the listing of the service only adds which files belong together.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from engine.jobs.paths import Home
from engine.quantities import counted
from engine.states import JobKind, JobState
from engine.store import Store
from engine.store.holdings import Holder

MARK = "dogcls-"
"""What the names of all that we make on a service begin with, and the suffixes of our models."""
_MARKED = re.compile(r"dogcls-([0-9a-f]{12})(?:-(round-\d+)\b)?")
AT_REST = frozenset({JobState.SUCCEEDED, JobState.CANCELLED})
"""In these states a job needs nothing of its own any more; resumed, it may need its tuned model."""
_FOR_OTHERS = frozenset({"deployment", "model"})
"""What a job needs of those that it depends on; their training files have done their work."""


def is_marked(names: Iterable[str]) -> bool:
    """Return whether a dogcls-tui made a thing, of this home or another."""
    return any(name.startswith(MARK) or f"-{MARK}" in name for name in names)


class Needed:
    """The store's knowledge of what its jobs need on the service, as it is now."""

    def __init__(self, store: Store, home: Home) -> None:
        self._store = store
        self._home = home
        self._holders = {holder.id: holder for holder in store.holdings.all()}
        self._by_nonce: dict[str, Holder] = {}
        self._makers: dict[str, list[tuple[Holder, str]]] = defaultdict(list)
        self._users: dict[str, list[Holder]] = defaultdict(list)
        self._next: dict[int, list[Holder]] = defaultdict(list)
        for holder in self._holders.values():
            self._by_nonce[holder.nonce] = holder
            for name, number in holder.owns.items():
                self._makers[name].append((holder, number))
            for name in holder.uses if holder.state not in AT_REST else ():
                self._users[name].append(holder)
            for job_id in holder.needs:
                self._next[job_id].append(holder)
        self._deleted = store.holdings.deleted()
        self._over: dict[int, frozenset[str]] = {}

    def is_ours(self, names: Iterable[str]) -> bool:
        """Return whether a job of this home made a thing, also a job that was deleted with its experiment.

        Args:
            names: everything that the thing is known by: its id and name, and those of what uses it.

        """
        names = tuple(names)
        former = (nonce in self._deleted for name in names for nonce, _ in _MARKED.findall(name))
        return self.job_of(names) is not None or any(former)

    def job_of(self, names: Iterable[str]) -> int | None:
        """Return the number of the job that made a thing; None where no job of this home did."""
        return next((holder.id for holder, _ in self._owners(names)), None)

    def reason(self, kind: str, names: Iterable[str]) -> str:
        """Return why a thing is needed, as in "needed by job 3 (paused)"; "" where no job needs it.

        Args:
            kind: `deployment`, `model` or `file`.
            names: everything that the thing is known by.

        """
        names = tuple(names)
        for name in names:
            for holder in self._users.get(name, ()):
                return f"needed by job {holder.id} ({holder.state})"
        owners = list(self._owners(names))
        for owner, number in owners:
            if kind == "file" and number and number in self._rounds_over(owner.id):
                continue
            for holder in (owner, *(self._dependents(owner.id) if kind in _FOR_OTHERS else ())):
                if holder.state not in AT_REST:
                    return f"needed by job {holder.id} ({holder.state})"
        for owner, _ in owners if kind == "model" else ():
            for holder in (owner, *self._dependents(owner.id)):
                if holder.state == JobState.CANCELLED:
                    return f"needed by job {holder.id} (cancelled) if it is resumed"
                if holder.kind == JobKind.SCORE and holder.unanswered:
                    return f"needed by job {holder.id} ({counted(holder.unanswered, 'image')} without an answer)"
        return ""

    def _owners(self, names: Iterable[str]) -> Iterator[tuple[Holder, str]]:
        """Yield the jobs that made a thing, each with the round that it was made in ("" where no name has one)."""
        for name in names:
            yield from self._makers.get(name, ())
            for nonce, number in _MARKED.findall(name):
                if nonce in self._by_nonce:
                    yield self._by_nonce[nonce], number

    def _dependents(self, job_id: int) -> Iterator[Holder]:
        """Yield the jobs that need a job, directly or through others."""
        for holder in self._next.get(job_id, ()):
            yield holder
            yield from self._dependents(holder.id)

    def _rounds_over(self, job_id: int) -> frozenset[str]:
        """Return the rounds of a job that have ended: a resume starts another, with files of its own."""
        if job_id not in self._over:
            folder = self._home.job(self._store.jobs.get(job_id))
            self._over[job_id] = frozenset(path.parent.name for path in folder.glob("round-*/over"))
        return self._over[job_id]
