"""Cancelling: what a job has on the service is ended there too, and what else ends with a job.

The worker of a job that is `cancelling` retries until nothing of the job runs or costs on the service; the scheduler
starts another one when it has died. The job is `cancelled` only then.
"""

from __future__ import annotations

import random
import sys
import traceback

from engine.azure.patience import stoppable
from engine.azure.prices import load_prices
from engine.errors import DogclsError, ForeignResource, InputError
from engine.events import JobView
from engine.jobs import kinds, service
from engine.jobs.context import Context, Stopped
from engine.jobs.paths import Home
from engine.jobs.scheduler import unneeded, way_out
from engine.states import JobKind, JobState
from engine.store import Store
from engine.store.jobs import StoredJob

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 600.0
NOTE = "cancelling on the service"


async def cancel_on_service(context: Context) -> None:
    """End what a job has on the service; retry for as long as the service refuses or cannot be reached.

    Raises:
        Stopped: the process must end; the job stays `cancelling`, and another worker continues.
        LostClaim: another worker has it.

    """
    costs = remaining_costs(context.store, context.home, context.job)
    context.store.jobs.describe(context.job.id, f"{NOTE}; {costs}" if costs else NOTE, None)
    wait, told, out = FIRST_SECONDS, "", way_out(context.job.id)
    while True:
        try:
            await stoppable(kinds.cancel(context), context.check)
            return
        except ForeignResource as error:  # a process with the settings of its resource continues
            context.store.jobs.describe(context.job.id, service.waits_for(context.job), f"{error} {out}")
            context.say(f"{error} {out}", "warning")
            raise Stopped(None) from None
        except DogclsError as error:
            problem = str(error)
        except Exception as error:
            # A defect of ours must not leave costs that continue: the process log has the traceback, and it is retried.
            traceback.print_exc(file=sys.stderr)
            problem = f"Unexpected {type(error).__name__}: {error}"
        context.store.jobs.describe(
            context.job.id, NOTE, f"Not cancelled on the service yet: {costs or ''} {problem} {out}"
        )
        if problem != told:
            told = problem
            context.say(f"not cancelled on the service yet; it is retried. {problem} {costs} {out}", "warning")
        await context.sleep(wait * random.uniform(1.0, 1.25))
        wait = min(wait * 2, LONGEST_SECONDS)


def remaining_costs(store: Store, home: Home, job: StoredJob) -> str:
    """Return in words what a job's part on the service costs until it has ended there; nothing where there is none."""
    makers = [job.id, *store.jobs.idle_deployments(job.id)]
    deployed = [store.jobs.get(n) for n in makers if store.jobs.open_calls(n, "deployment")]
    if deployed:
        return "; ".join(f"deployment dogcls-{d.nonce} costs {_hourly(home, d)} until it is deleted" for d in deployed)
    if job.kind == JobKind.FINE_TUNE and store.jobs.open_calls(job.id, "fine-tune"):
        return "the service charges the tokens that it trains on until it has stopped"
    if job.kind == JobKind.BATCH and store.jobs.open_calls(job.id, "batch"):
        return "the service charges the requests that it answers until the batch has stopped"
    return ""


def _hourly(home: Home, job: StoredJob) -> str:
    try:
        return f"${load_prices(home.prices).hosting_cost(str(job.parameters['model']), 3600):.2f} an hour"
    except (InputError, KeyError):
        return "an unknown sum an hour"


def consequences(store: Store, home: Home, job_id: int) -> tuple[str, ...]:
    """Return in sentences what else ends when a job is cancelled: on the service, and of the other jobs.

    Raises:
        NotFoundError: there is no such job.

    """
    job = store.jobs.get(job_id)
    view = store.jobs.view(job_id)
    views = store.jobs.views(view.experiment)
    found = []
    if view.on_service:
        ids = [i for op in ("batch", "fine-tune") for i in store.jobs.open_calls(job_id, op).values() if i]
        names = [f"dogcls-{store.jobs.get(n).nonce}" for n in store.jobs.idle_deployments(job_id)]
        names += list(store.jobs.open_calls(job_id, "deployment"))
        if ids:
            found.append(f"{_listed(ids)} is cancelled on the service.")
        if names:
            price = _hourly(home, job)
            found.append(f"Deployment {_listed(names)}, which costs {price}, is deleted on the service.")
        if not ids and not names:
            found.append("What it has made on the service is looked for and cancelled there.")
    if alone := unneeded(store, job_id):
        found.append(f"{_jobs(alone)}, which only this job needs, is cancelled too.")
    if waiting := dependents(views, job_id):
        found.append(
            f"{_jobs(waiting)}, which {'needs' if len(waiting) == 1 else 'need'} it, cannot start and end too."
        )
    return tuple(found)


def dependents(views: list[JobView], job_id: int) -> list[JobView]:
    """Return the jobs that wait for a job, directly or through others."""
    found: dict[int, JobView] = {}
    for view in sorted(views, key=lambda v: v.id):
        if view.state == JobState.WAITING and any(need == job_id or need in found for need in view.needs):
            found[view.id] = view
    return list(found.values())


def _jobs(views: list[JobView]) -> str:
    return _listed([f"{view.kind} {view.id}" for view in views])


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
