"""What a job's files were made for: a file of another job, data set or question is never used for this one.

The folder of a job holds its identity, and so do the files in it that a later attempt uses again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.errors import NotFoundError
from engine.jobs.binding import ResourceBinding
from engine.settings_sources import resource_of
from engine.store import Store
from engine.store.files import private_folder, write_atomic
from engine.store.jobs import StoredJob

FILE = "identity.json"
CHANGEABLE = frozenset({
    "resource", "profile", "deployment", "realtime", "retry", "concurrency", "keep_deployment", "probe", "device",
})  # fmt: skip
"""Parameters that a resume may change: they decide how a job is done, and not what its files hold."""


@dataclass(frozen=True)
class Identity:
    """The job (its nonce), its data set's digest, its parameters' digest, and its resource ("" for none)."""

    job: str
    data: str
    parameters: str
    resource: str

    @classmethod
    def of(cls, store: Store, job: StoredJob) -> Identity:
        """Return what a job's files have to be made for."""
        p = job.parameters
        try:
            data = store.datasets.get(str(p["dataset"])).digest if p.get("dataset") else ""
        except NotFoundError:  # the job itself reports it
            data = ""
        decisive = {name: value for name, value in p.items() if name not in CHANGEABLE}
        digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
        binding = ResourceBinding.read(p) if "profile" in p and job.kind != "train" else None
        resource = "" if binding is None else resource_of(binding.endpoint) if binding.endpoint else "demo"
        return cls(job.nonce, data, digest[:16], resource)

    def plain(self) -> dict[str, str]:
        """Return it as a file holds it."""
        return asdict(self)

    def differs(self, found: object) -> list[str]:
        """Return in which parts a file's identity is another; a job bound to a resource later keeps its files."""
        if not isinstance(found, Mapping):
            return ["identity"]
        mine = self.plain()
        optional = ("resource",) if not (found.get("resource") and self.resource) else ()
        return [name for name in mine if name not in optional and found.get(name) != mine[name]]


def own_folder(folder: Path, identity: Identity) -> tuple[Path, str]:
    """Make a job's folder, and return it with a warning where another job's files lay there.

    Those are set aside under another name, and nothing of them is used.
    """
    private_folder(folder)
    kept, warning = folder / FILE, ""
    try:
        differs = identity.differs(json.loads(kept.read_text(encoding="utf-8")))
    except FileNotFoundError:
        differs = []
    except (OSError, ValueError):
        differs = ["identity"]
    if differs:
        aside = next(
            path
            for number in range(1, 1_000_000)
            if not (path := folder.with_name(f"{folder.name}.other-{number}")).exists()
        )
        folder.rename(aside)
        private_folder(folder)
        warning = f"{folder.name} held files of another job ({', '.join(differs)}): set aside as {aside.name}, not used"
    if not kept.exists():
        write_atomic(kept, json.dumps(identity.plain()))
    return folder, warning


def sha256_of(path: Path) -> str:
    """Return the digest of a file; empty where there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
