"""Deleting an experiment, which nothing may run or cost for any more."""

from __future__ import annotations

import shutil

from engine.errors import InputError
from engine.jobs.paths import Home
from engine.jobs.scheduler import way_out
from engine.jobs.standing import standing_costs
from engine.states import ACTIVE, JobState
from engine.store import Store


def delete_experiment(store: Store, home: Home, name: str) -> None:
    """Delete an experiment with its predictions and its jobs' files.

    Raises:
        InputError: something of it still runs, here or on the service, waits there to be collected, or costs money.

    """
    jobs = store.jobs.views(name)
    for job in jobs:
        if job.state == JobState.CANCELLING:
            raise InputError(f"Job {job.id} of {name!r} is still being cancelled.", f"Wait. {way_out(job.id)}")
    if any(job.state in ACTIVE for job in jobs):
        raise InputError(f"Experiment {name!r} is still running.", "Cancel its jobs first.")
    if any(cost.experiment == name for cost in standing_costs(store, home)):
        raise InputError(f"A deployment of {name!r} still costs money.", "Delete it first.")
    for job in jobs:
        if job.on_service:
            raise InputError(
                f"Job {job.id} ({job.state}) of {name!r} may still run and cost on the service.",
                f"Cancel it first: dogcls-tui cancel {job.id}",
            )
    folders = [home.job(store.jobs.get(job.id)) for job in jobs]
    store.experiments.delete(name)
    for folder in folders:  # one that a kill leaves behind is of no other job: no other has its name
        shutil.rmtree(folder, ignore_errors=True)
