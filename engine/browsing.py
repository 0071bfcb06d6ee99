"""Looking: everything that a screen shows and that changes nothing. `Engine.browse` holds one.

All methods are coroutines and leave the event loop free; lists that can be long are read by the page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from engine.events import ImageView, JobDetail, LogLine, Metric, Score, StandingCost
from engine.failures import door
from engine.jobs.paths import Home
from engine.learning import Learning
from engine.store import Store

if TYPE_CHECKING:
    from engine.datasets.prompt import Prompt
    from engine.datasets.thumbnails import Thumbnail
    from engine.evaluation.details import Answers
    from engine.jobs.again import Again
    from engine.jobs.preview import RequestPreview

PRINTED_BYTES = 32_768
"""As much as anybody reads of what a process printed."""


@door
class Browser:
    """Reads one home."""

    def __init__(self, store: Store, home: Home, profile: str) -> None:
        self._store = store
        self._home = home
        self._profile = profile
        self.learning = Learning(store)
        """Recipes, and training runs."""
        self._watcher = ThreadPoolExecutor(1, "version")
        """One thread, as the version is counted by connection, and each thread has its own."""

    async def version(self) -> int:
        """Return a number that changes whenever another connection has written to the store."""
        return await asyncio.get_running_loop().run_in_executor(self._watcher, self._store.db.version)

    def close(self) -> None:
        """End the thread that reads the version."""
        self._watcher.shutdown()

    async def needed(self, kind: str, name: str) -> str:
        """Return which job needs a deployment, model or file of the service, and its state; "" where none does."""
        from engine.jobs.needed import Needed

        def read() -> str:
            return Needed(self._store, self._home).reason(kind, (name,))

        return await asyncio.to_thread(read)

    # -- results

    async def scores(self) -> list[Score]:
        """Return how many test images each contestant of each experiment got right so far."""
        return await asyncio.to_thread(self._store.predictions.scores)

    async def answers(self, experiment: str) -> Answers:
        """Return who said what of which test image; raises NotFoundError."""
        from engine.jobs.comparing import answers

        return await asyncio.to_thread(answers, self._store, experiment)

    async def call(self, experiment: str) -> str:
        """Return the call to an experiment's tuned deployment, as curl and as Python; raises NotFoundError."""
        from engine.jobs.sample_code import sample_code

        return await asyncio.to_thread(sample_code, self._store, self._home, experiment)

    # -- datasets

    async def images(
        self, dataset: str, offset: int, limit: int, *, split: str | None = None, label: int | None = None
    ) -> list[ImageView]:
        """Return a page of a dataset's images."""

        def read() -> list[ImageView]:
            labels = self._store.datasets.get(dataset).labels
            found = self._store.datasets.page(dataset, split, label, offset, limit)
            return [ImageView(str(i.path), labels[i.label], i.split, i.bytes, i.width, i.height) for i in found]

        return await asyncio.to_thread(read)

    async def thumbnail(self, path: Path, width: int, height: int) -> Thumbnail:
        """Fit a picture into width × height pixels; raises InputError."""

        def read() -> Thumbnail:
            from engine.datasets.thumbnails import thumbnail  # Pillow: not before the first paint

            return thumbnail(path, width, height)

        return await asyncio.to_thread(read)

    async def request(self, dataset: str, prompt: Prompt, number: int = 0) -> RequestPreview:
        """Return one real request with its tokens and price; raises InputError, NotFoundError."""

        def read() -> RequestPreview:
            from engine.azure.prices import load_prices
            from engine.jobs.preview import preview

            return preview(self._store, dataset, prompt, load_prices(self._home.prices), number)

        return await asyncio.to_thread(read)

    # -- jobs

    async def job(self, job_id: int) -> JobDetail:
        """Return everything about one job; raises NotFoundError."""

        def read() -> JobDetail:
            view, stored = self._store.jobs.view(job_id), self._store.jobs.get(job_id)
            folder = self._home.job(stored)
            files = []
            for path in sorted(folder.rglob("*")):
                if path.is_file() and not path.name.startswith("."):
                    stat = path.stat()
                    files.append((str(path.relative_to(folder)), stat.st_size, stat.st_mtime))
            remote = tuple(self._store.jobs.remote_calls(job_id))
            result = stored.result or {}
            return JobDetail(
                view=view,
                parameters=stored.parameters,
                result=result,
                pid=stored.pid,
                heartbeat_at=stored.heartbeat_at,
                remote=remote,
                files=tuple(files),
                folder=str(folder),
                printed=_end_of(self._home.job_log(stored)),
            )

        return await asyncio.to_thread(read)

    async def again(self, job_id: int, retry: str | None = None) -> Again:
        """Return which jobs a resume starts again (see `engine.jobs.again`), and what is paid again for it.

        Args:
            job_id: the job.
            retry: how a batch queries again, `batch` or `realtime`; as it was planned unless given.

        Raises:
            InputError, ConfigurationError: it cannot be resumed so.

        """
        from engine.jobs.again import again

        return await asyncio.to_thread(again, self._store, self._home, job_id, retry)

    async def log_size(self, job_id: int, levels: Sequence[str] = (), text: str = "") -> int:
        """Count a log's lines of these levels (all unless given) that contain a text."""
        return await asyncio.to_thread(self._store.logs.size, job_id, levels, text)

    async def log_page(
        self, job_id: int, offset: int, limit: int, levels: Sequence[str] = (), text: str = ""
    ) -> list[LogLine]:
        """Return such lines by position."""
        return await asyncio.to_thread(self._store.logs.page, job_id, offset, limit, levels, text)

    async def log_lengths(self, job_id: int, offset: int, levels: Sequence[str] = ()) -> list[int]:
        """Return the length in bytes of each line from a position on."""
        return await asyncio.to_thread(self._store.logs.lengths, job_id, offset, levels)

    async def log_find(
        self, job_id: int, text: str, position: int, *, back: bool = False, levels: Sequence[str] = ()
    ) -> int | None:
        """Return the position of the next (or last) line that contains a text."""

        def read() -> int | None:
            return self._store.logs.find(job_id, text, position, back=back, levels=levels)

        return await asyncio.to_thread(read)

    async def metrics_since(self, job_id: int, after: float) -> list[Metric]:
        """Return what a job measured after a moment."""
        return await asyncio.to_thread(self._store.jobs.last_metrics, job_id, after)

    async def consequences(self, job_id: int) -> tuple[str, ...]:
        """Return in sentences what else ends when a job is cancelled: on the service, and of the other jobs."""
        from engine.jobs.cancelling import consequences

        return await asyncio.to_thread(consequences, self._store, self._home, job_id)

    async def remains(self, job_id: int) -> tuple[str, ...]:
        """Return in sentences what stays on the service when the cancel of a job is given up; raises InputError."""
        from engine.jobs.giving_up import remains

        return await asyncio.to_thread(remains, self._store, self._home, job_id)

    # -- money and the service

    async def standing(self) -> list[StandingCost]:
        """Return our deployments that live, and cost."""

        def read() -> list[StandingCost]:
            from engine.jobs.standing import standing_costs

            return standing_costs(self._store, self._home)

        return await asyncio.to_thread(read)


def _end_of(path: Path) -> str:
    """Return the end of a file that may be large, or may not be there."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - PRINTED_BYTES))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""
