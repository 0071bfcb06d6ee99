"""The kinds of job: each module has `async def run(context) -> dict`, the result for jobs that need it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from engine.states import JobKind

if TYPE_CHECKING:
    from engine.jobs.context import Context

_MODULES = {
    JobKind.BATCH: "batch",
    JobKind.PROBE: "probe",
    JobKind.FINE_TUNE: "fine_tune",
    JobKind.DEPLOY: "deploy",
    JobKind.SCORE: "score",
    JobKind.TRAIN: "train",
}
_CANCELS = {
    JobKind.BATCH: "batch",
    JobKind.FINE_TUNE: "tuning_cancel",
    JobKind.DEPLOY: "deploy",
    JobKind.SCORE: "score",
}
"""The modules with `async def cancel(context)`, of the kinds that leave something on the service."""


async def run(context: Context) -> dict[str, Any]:
    """Do a job. Only the module of its kind is imported, so that no worker loads what it does not use."""
    module = import_module(f"engine.jobs.kinds.{_MODULES[JobKind(context.job.kind)]}")
    result: dict[str, Any] = await module.run(context)
    return result


async def cancel(context: Context) -> None:
    """End on the service what a job has made there, and charge it; what is paid for is kept.

    Whatever state the job was in; it may be called any number of times.
    """
    name = _CANCELS.get(JobKind(context.job.kind))
    if name is not None:
        await import_module(f"engine.jobs.kinds.{name}").cancel(context)
