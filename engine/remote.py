"""The whole resource of a profile, whoever started what. `Engine.remote` holds one.

The app and the command line watch and end here what they did not start.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import DogclsError, InputError
from engine.events import Checkup, Leftover, RemoteItem
from engine.failures import door
from engine.jobs.paths import Home
from engine.store import Store

if TYPE_CHECKING:
    from engine.jobs.correcting import Correction
    from engine.jobs.outlook import Known, Outlook
    from engine.jobs.plan import Plan


@door
class Remote:
    """One profile's resource."""

    def __init__(self, store: Store, home: Home, profile: str, *, readonly: bool = False) -> None:
        self._store = store
        self._home = home
        self._profile = profile
        self._readonly = readonly
        self._quotas: Known = {}

    def _writing(self) -> None:
        if self._readonly:
            raise self._home.refusal()

    async def items(self) -> list[RemoteItem]:
        """Return the newest batches, fine-tuning jobs, deployments and files, ours or not.

        Raises:
            ServiceError, ConfigurationError: the service cannot be reached, or does not let us in.

        """
        from engine.jobs.resource import remote_items

        return await remote_items(self._store, self._home, self._profile, readonly=self._readonly)

    def follow(self, item_id: str) -> AsyncIterator[str]:
        """Yield how a batch or fine-tuning job stands whenever that changes, until its end."""
        from engine.jobs.resource import follow_remote

        return follow_remote(self._home, self._profile, item_id)

    async def cancel(self, item_id: str) -> None:
        """Cancel a batch or a fine-tuning job; what was done is kept, and paid for."""
        from engine.jobs.resource import cancel_remote

        self._writing()
        await cancel_remote(self._home, self._profile, item_id)

    async def download(self, item_id: str, folder: Path) -> list[Path]:
        """Download what a batch or fine-tuning job has made, or a file; return the paths.

        Raises:
            InputError: there is nothing to download.

        """
        from engine.jobs.resource import download_remote

        return await download_remote(self._home, self._profile, item_id, folder)

    async def delete(self, item_id: str, *, known_by: Sequence[str] = (), force: bool = False) -> None:
        """Delete a deployment, a file or a tuned model. The hours of a deployment of ours are charged to its job.

        Args:
            item_id: its id on the service; of a deployment its name.
            known_by: what it was listed with (see `Leftover`); without it the service is listed first.
            force: also what a job of this home still needs.

        Raises:
            InputError: a job still needs it.

        """
        from engine.azure.resource import kind_of
        from engine.jobs.needed import Needed
        from engine.jobs.resource import delete_remote
        from engine.jobs.standing import delete_deployment, standing_costs

        self._writing()
        if not known_by and not force:
            found = await self.leftovers(everybodys=True)
            known_by = next((item.known_by for item in found if item.id == item_id), (item_id,))
        standing = await asyncio.to_thread(standing_costs, self._store, self._home)
        job_id = next((cost.job_id for cost in standing if cost.deployment == item_id), None)
        if not force:
            # Immediately before the deletion: a job may have been resumed since its thing was listed.
            needed = await asyncio.to_thread(Needed, self._store, self._home)
            if why := needed.reason(kind_of(item_id), known_by):
                raise InputError(f"{item_id} is {why}.", "Cancel the job first, or wait for its end.")
        if job_id is None:
            await delete_remote(self._home, self._profile, item_id)
        else:
            await delete_deployment(self._store, self._home, job_id)

    async def leftovers(self, *, everybodys: bool = False) -> list[Leftover]:
        """Return what could be deleted: deployments of tuned models, tuned models, files.

        Args:
            everybodys: also what other homes and other tools have made.

        """
        from engine.jobs.resource import leftovers

        return await leftovers(self._store, self._home, self._profile, everybodys=everybodys)

    async def hourly_usd(self, model: str) -> float:
        """Return what a deployment of a tuned model costs an hour, used or not, by the price table; US dollars.

        Raises:
            InputError: the table does not have the model, or cannot be read.

        """
        from engine.azure.prices import load_prices

        prices = await asyncio.to_thread(load_prices, self._home.prices)
        return prices.hosting_cost(model, 3600)

    async def clean(self, items: Sequence[Leftover]) -> list[tuple[Leftover, str]]:
        """Delete things one after another; return each with what went wrong ("" for nothing).

        The others are deleted although one cannot be. What a job has come to need since it was listed is left.
        """
        self._writing()
        result = []
        for item in items:
            try:
                await self.delete(item.id, known_by=item.known_by or (item.id, item.name))
            except DogclsError as error:
                result.append((item, str(error)))
            else:
                result.append((item, ""))
        return result

    async def outlook(self, plan: Plan) -> tuple[Outlook, ...]:
        """Return what a plan's jobs will meet: quotas, where the service tells them, and the files of a batch.

        Raises:
            DogclsError: the profile is not configured; where only a quota is not known, that is said in words.

        """
        from engine.jobs.outlook import outlook

        return await outlook(self._store, self._home, self._profile, plan, self._quotas)

    async def corrections(self, job_id: int, retry: str | None = None) -> tuple[Correction, ...]:
        """Return the deployment names that a resume would take from the settings; check those that it will use.

        Raises:
            ForeignResource: the settings mean another resource than the job's.
            ConfigurationError: a deployment does not fit, or serves another model than that of the answers so far.

        """
        from engine.jobs import correcting, scheduler

        if not self._readonly:
            await asyncio.to_thread(scheduler.recover, self._store)
        job_ids = await asyncio.to_thread(scheduler.resumed_with, self._store, job_id)
        return await correcting.find(self._store, self._home, job_ids, {job_id: retry} if retry else {})

    async def doctor(self) -> list[Checkup]:
        """Check endpoint, sign-in, clock, proxy, roles, deployments with their SKUs, and quota. Costs nothing."""
        from engine.jobs.doctor import examine

        return await examine(self._home, self._profile)
