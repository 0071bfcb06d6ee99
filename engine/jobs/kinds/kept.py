"""The request files of an earlier attempt: used again only where this job wrote them and nothing has changed them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.errors import JobError
from engine.jobs.context import Context
from engine.jobs.identity import sha256_of
from engine.jobs.kinds.collecting import TRANSIENT, File
from engine.store.files import write_atomic

MANIFEST = "shards.json"


def kept_files(context: Context, folder: Path, intents: Mapping[str, str | None]) -> dict[str, Any] | None:
    """Return the manifest of a round, if it and its files are what this job wrote; None where they are written anew.

    Args:
        context: of the job.
        folder: of the round.
        intents: of the job's batches, with their ids on the service.

    Raises:
        JobError: they are not this job's, and batches were made of this round already.

    """
    try:
        kept: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = [File(**value) for value in kept["files"]]
        kept.setdefault("limit", None)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        wrong = [f"{MANIFEST} cannot be read"]
    else:
        wrong = _wrong(context, folder, kept, files, intents)
        if not wrong:
            return kept
    if any(key.startswith(f"{folder.name}-") for key in intents):
        raise JobError(
            f"{folder}: {'; '.join(wrong)}. Batches were made of this round, so that it is not written anew.",
            "Cancel the job, then start the experiment again.",
        )
    context.say(f"{folder.name} was not made for this job ({'; '.join(wrong)}): it is written anew", "warning")
    for path in folder.iterdir():
        path.unlink()
    return None


def write_manifest(context: Context, folder: Path, limit: int | None, deployment: str, files: Sequence[File]) -> None:
    """Write down a round's files, and what they were made for."""
    kept = [{k: v for k, v in asdict(file).items() if k not in TRANSIENT} for file in files]
    of = {"identity": context.identity.plain(), "deployment": deployment}
    write_atomic(folder / MANIFEST, json.dumps({**of, "limit": limit, "files": kept}))


def own_manifest(context: Context, folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a round if this job wrote it; else None. Nothing is changed."""
    try:
        kept: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        for value in kept["files"]:
            File(**value)
        kept.setdefault("limit", None)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if "identity" not in kept:
        return kept if context.job.legacy else None
    return None if context.identity.differs(kept["identity"]) else kept


def _wrong(
    context: Context, folder: Path, kept: Mapping[str, Any], files: list[File], intents: Mapping[str, str | None]
) -> list[str]:
    if "identity" not in kept and context.job.legacy:
        return []
    wrong = [f"its {name} is another" for name in context.identity.differs(kept.get("identity"))]
    if kept.get("deployment") != context.job.parameters["deployment"]:
        return wrong  # the name was corrected: files without a batch are about to be rewritten
    for index, file in enumerate(files):
        key = f"{folder.name}-{index}" + ("" if file.attempt == 1 else f"-{file.attempt}")
        unsent = file.state == "open" and not intents.get(key) and not file.input_id
        if unsent and file.sha256 and sha256_of(folder / file.name) != file.sha256:
            wrong.append(f"{file.name} is not as it was written")
    return wrong
