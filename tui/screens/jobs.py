"""What may be done to a job, wherever one is chosen: the same keys, the same questions."""

from __future__ import annotations

import asyncio
from pathlib import Path

from engine import (
    CANCELLABLE,
    RESUMABLE,
    Again,
    JobKind,
    JobView,
    RemoteItem,
    StandingCost,
    agrees,
    counted,
    make_spec,
    write_outputs,
)
from tui.bridge import Looked
from tui.guard import work
from tui.screens.base import Room
from tui.screens.dialogs import AskScreen, ChooseScreen, ConfirmScreen
from tui.text import dollars, literal, moment
from tui.widgets.logview import LogView

_CANCEL = {
    "batch": "Requests that were answered already are paid for.",
    "fine-tune": "What was trained already is paid for.",
    "deploy": "A deployment that was made already is deleted, so that it costs nothing more.",
}
_AGAIN = (("batch", "in a smaller batch: half the price, up to a day"), ("realtime", "in real time: now"))


class JobRoom(Room):
    """A room in which one job is chosen and its log is in sight."""

    def __init__(self) -> None:
        super().__init__()
        self._standing: list[StandingCost] = []
        self._offered: object = None

    @property
    def job(self) -> JobView | None:
        """The chosen job."""
        return None

    @property
    def item(self) -> RemoteItem | None:
        """The chosen thing on the service."""
        return None

    @property
    def log_view(self) -> LogView:
        """The log in sight."""
        return self.query_one(LogView)

    def offer_keys(self, looked: Looked | None = None) -> None:
        """Let the footer follow, but only when what it hangs on has changed: it is laid out anew each time."""
        if looked is not None:
            self._standing = looked.standing
        job, item = self.job, self.item
        marks = (
            job and (job.id, job.state, job.on_service, bool(job.error)),
            item and (item.id, item.state),
            len(self._standing),
        )
        if marks != self._offered:
            self._offered = marks
            self.refresh_bindings()

    def _deployment(self) -> StandingCost | None:
        job = self.job
        return next((cost for cost in self._standing if job is not None and cost.job_id == job.id), None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show only the keys that would do something now; with --readonly none that would change anything."""
        job = self.job if self.is_mounted else None
        if action in ("cancel", "pause", "resume", "deploy", "delete") and self.engine.readonly:
            return False
        if action == "cancel":
            return job is not None and _can_cancel(job)
        if action == "pause":
            return job is not None and job.state in ("queued", "running", "waiting")
        if action == "resume":
            return job is not None and (job.state in RESUMABLE or bool(job.unanswered))
        if action == "deploy":
            return job is not None and job.kind == "fine-tune" and job.state == "succeeded"
        if action == "delete":
            item = self.item
            return self._deployment() is not None or (item is not None and item.kind in ("deployment", "file"))
        if action == "details":
            return job is not None
        return True

    @work
    async def action_cancel(self) -> None:
        """Ask, then cancel the chosen job."""
        job = self.job
        if job is None:
            return
        found = await self.desk.doing(self.engine.browse.consequences(job.id))
        if not isinstance(found, tuple):
            return
        consequence = " ".join((_CANCEL.get(job.kind, "What it has stored is kept."), *found))
        if await self.app.push_screen_wait(ConfirmScreen(f"Cancel {job.kind} {job.id}?", consequence)):
            await self.desk.doing(self.engine.cancel(job.id))

    @work
    async def action_pause(self) -> None:
        """Pause the chosen job."""
        if job := self.job:
            await self.desk.doing(self.engine.pause(job.id))

    @work
    async def action_resume(self) -> None:
        """Resume the chosen job with what it needs; what is paid again for it is shown first."""
        job = self.job
        if job is None:
            return
        retry = None
        if job.unanswered and job.kind == "batch":
            question = (
                f"{counted(job.unanswered, 'image')} {agrees(job.unanswered, 'has', 'have')} no answer."
                " How to query again?"
            )
            retry = await self.app.push_screen_wait(ChooseScreen(question, _AGAIN))
            if retry is None:
                return
        found = await self.desk.doing(self.engine.browse.again(job.id, retry))
        if not isinstance(found, Again):
            return
        price = "an unknown price" if found.usd is None else f"about {dollars(found.usd)}"
        question = f"Resume {job.kind} {job.id} for {price}?"
        if not found.lines or await self.app.push_screen_wait(ConfirmScreen(question, "\n".join(found.sentences))):
            await self._resume(job, retry)

    async def _resume(self, job: JobView, retry: str | None = None) -> None:
        """Resume a job; a deployment that the settings name instead of the job's is shown and accepted first."""
        found = await self.desk.doing(self.engine.remote.corrections(job.id, retry))
        if not isinstance(found, tuple):
            return
        if not found:
            await self.desk.doing(self.engine.resume(job.id, retry))
            return
        changes = "\n".join(correction.sentence for correction in found)
        if await self.app.push_screen_wait(ConfirmScreen("Resume with other deployments?", changes)):
            await self.desk.doing(self.engine.resume(job.id, retry, found))

    @work
    async def action_deploy(self) -> None:
        """Name the price, then deploy the model that the chosen job tuned."""
        if self.job is None:
            return
        detail = await self.engine.browse.job(self.job.id)
        model = str(detail.result.get("model") or "")
        spec = make_spec({"dataset": "", "model": str(detail.parameters["model"])})
        found = await self.desk.doing(self.engine.plan_job(JobKind.DEPLOY, spec, tuned_model=model))
        if not isinstance(found, tuple):
            return
        plan, price = found
        sums = "; ".join(f"{line.item} {line.detail} {dollars(line.usd)}" for line in price.lines)
        told = f"{sums}. It goes on costing until it is deleted, used or not."
        if await self.app.push_screen_wait(ConfirmScreen(f"Deploy {model}?", told)):
            if await self.desk.doing(self.engine.check(plan)) is None:
                return
            await self.desk.doing(self.engine.start(spec, plan), "The deployment is on its way.")

    @work
    async def action_delete(self) -> None:
        """Ask, then delete the chosen job's deployment."""
        cost = self._deployment()
        if cost is not None:
            spent = dollars(cost.usd if cost.price_is_known else None)
            told = f"Its model stays; it cost {spent} since {moment(cost.since)}."
            needed = await self.engine.browse.needed("deployment", cost.deployment)
            if needed:
                told = f"It is {needed}: that job fails, or makes another when it is resumed. {told}"
            if await self.app.push_screen_wait(ConfirmScreen(f"Delete deployment {cost.deployment}?", told)):
                work = self.engine.delete_deployment(cost.job_id, force=bool(needed))
                await self.desk.doing(work, "It costs nothing more.")

    def look_at_service(self) -> object:
        """Ask the service again what stands on it."""
        return None

    # -- the log

    @work
    async def action_search(self) -> None:
        """Ask for a text, and go to the next line that has it."""
        text = await self.app.push_screen_wait(AskScreen("Search the log for", self.log_view.searched))
        if text is not None:
            self.log_view.search(text)

    def action_search_next(self) -> None:
        """Go to the next line that has it."""
        self.log_view.search()

    def action_search_last(self) -> None:
        """Go to the last line that has it."""
        self.log_view.search(back=True)

    def action_level(self) -> None:
        """Show fewer levels."""
        self.log_view.next_level()

    def action_wrap(self) -> None:
        """Wrap long lines, or cut them."""
        self.log_view.toggle_wrap()

    @work
    async def action_copy(self) -> None:
        """Send the chosen line to the clipboard."""
        line = await self.log_view.line()
        if line is not None:
            self.desk.send(line.message)

    @work
    async def action_save(self) -> None:
        """Save the whole log to a file."""
        view = self.log_view
        if view.job_id is None:
            return
        name = await self.app.push_screen_wait(AskScreen("Save the log as", f"job-{view.job_id}.log"))
        if name:
            await self.desk.doing(_write(name, await view.all_lines()), f"Saved as {name}")


def _can_cancel(job: JobView) -> bool:
    """Whether a cancel would do something; while the job is being cancelled, only where that does not succeed."""
    if job.state == "cancelling":
        return bool(job.error)
    return job.state in CANCELLABLE or job.on_service


async def _write(name: str, lines: list[str]) -> None:
    path = await asyncio.to_thread(lambda: Path(name).expanduser())
    await asyncio.to_thread(write_outputs, {path: literal("\n".join(lines)) + "\n"})
