"""A dataset's split as request files: which images, in which form, with which question, how many tokens."""

from __future__ import annotations

import os
from binascii import b2a_base64
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.azure.prices import estimate_text_tokens, tokens_of_image
from engine.datasets.export import Exported, Exporter, Limits, Line
from engine.datasets.headers import mode_of, turned
from engine.datasets.image_form import BadImage, Form, quiet_decoders
from engine.datasets.lines import BatchLines, TrainingLines
from engine.datasets.prompt import Prompt
from engine.errors import InputError
from engine.quantities import agrees, counted
from engine.store.entries import Entry, catalogued, entries
from engine.store.frozen import look

if TYPE_CHECKING:
    from engine.store.db import Database

LIMITS = {"batch": Limits(200_000_000, 100_000), "fine-tune": Limits(512_000_000, 50_000)}
"""Of one file; the service's. Those of `engine.datasets.jsonl` and `training_file`, without loading Pillow."""
MOST_IMAGE_BYTES = 10_000_000
FEWEST_EXAMPLES = 10
CONTEXT_TOKENS = {"batch": 128_000, "fine-tune": 65_536}
"""What a request, and a training example, of the models that can be tuned on images may have."""
LONG_PROMPT_TOKENS = 4_000
"""From here on a prompt is worth a word: it is paid for with every image."""
MODEL = "gpt-4o-2024-08-06"
"""Whose prices and tokens are told, unless another is named."""

AS_IS = Form()


@dataclass(frozen=True)
class Order:
    """What is to be written.

    Attributes:
        dataset: its name.
        kind: batch requests or training examples.
        split: train, val or test.
        prompt: the question.
        model: whose tokens and prices are told.
        deployment: whom the requests of a batch ask; the model's name unless given.
        form: of the images.

    """

    dataset: str
    kind: Literal["batch", "fine-tune"]
    split: str
    prompt: Prompt
    model: str = MODEL
    deployment: str = ""
    form: Form = AS_IS

    @property
    def stem(self) -> str:
        """What the files' names begin with."""
        return f"{self.dataset}-{self.kind}-{self.split}"

    def of(self, model: str) -> Order:
        """Return the same for another model."""
        return replace(self, model=model)


class Producer:
    """Makes the lines of an order."""

    def __init__(self, db: Database, order: Order) -> None:
        self.order = order
        self.dataset = catalogued(db, order.dataset)
        self.total = self.dataset.counts.get(order.split, 0)
        if not self.total:
            raise InputError(f"{order.dataset} has no {order.split} images.", "Choose another split.")
        self.turned = 0
        """Images that are sent as they are, and that EXIF says to turn."""
        self._db = db
        labels = self.dataset.labels
        self.text_tokens = estimate_text_tokens(order.prompt.text(labels))
        self._answers = [estimate_text_tokens(label) for label in labels] if order.kind == "fine-tune" else []
        self._root = f"{self.dataset.root.rstrip('/')}/"
        self._batch = BatchLines(order.prompt, labels, order.deployment or order.model)
        self._training = TrainingLines(order.prompt, labels)
        self._image_tokens = lru_cache(4096)(self._tokens_of_size)

    def _tokens_of_size(self, width: int, height: int) -> int:
        order = self.order
        size = order.form.size(width, height, order.prompt.detail)
        return tokens_of_image(*size, order.prompt.detail, order.model)

    def lines(self, skip: int) -> Iterator[Line]:
        """Yield all lines but the first, in the split's order; what is scaled is scaled on all cores."""
        found = enumerate(entries(self._db, self.order.dataset, self.order.split, skip), skip)
        if self.order.form.untouched:
            for position, entry in found:
                yield self.line(position, entry)
            return
        from concurrent.futures import Future, ThreadPoolExecutor

        workers = os.cpu_count() or 1
        under_way: deque[Future[Line]] = deque()
        with quiet_decoders(), ThreadPoolExecutor(workers, "image") as pool:
            try:
                for position, entry in found:
                    under_way.append(pool.submit(self.line, position, entry))
                    if len(under_way) > 2 * workers:
                        yield under_way.popleft().result()
                while under_way:
                    yield under_way.popleft().result()
            finally:
                for future in under_way:
                    future.cancel()

    def line(self, position: int, entry: Entry) -> Line:
        """Return one line, or why there is none."""
        order = self.order
        _, name, label, size, width, height, sha256 = entry
        path = self._root + name
        try:
            data, mime = order.form.make(read_image(path, size, sha256), order.prompt.detail)
            if self._answers:
                if len(data) > MOST_IMAGE_BYTES:
                    raise BadImage(f"{len(data):,} bytes, and the service takes {MOST_IMAGE_BYTES:,}; scale it down")
                mode = mode_of(data, mime)
                if mode not in ("RGB", "RGBA", ""):
                    raise BadImage(f"the mode is {mode}, and RGB or RGBA is taken; --format jpeg converts it")
        except BadImage as bad:
            return Line(path, why=str(bad))
        if turned(data):
            self.turned += 1
        base64 = b2a_base64(data, newline=False)
        tokens = self.text_tokens + self._image_tokens(width, height)
        if self._answers:
            tokens += self._answers[label]  # it is trained on, and paid for
            parts = self._training.parts(self.dataset.labels[label], mime, base64)
        else:
            parts = self._batch.parts(f"{order.split}-{position:06d}-{sha256[:12]}", mime, base64)
        return Line(path, parts, sum(map(len, parts)), tokens)

    def recipe(self) -> dict[str, Any]:
        """Return all that decides the bytes."""
        order = self.order
        return {
            "version": 1,
            "dataset": order.dataset,
            "digest": self.dataset.digest,
            "labels": len(self.dataset.labels),
            "split": order.split,
            "images": self.total,
            "kind": order.kind,
            "prompt": asdict(order.prompt),
            "asks": (order.deployment or order.model) if order.kind == "batch" else "",
            "model": order.model,
            "form": "as-is" if order.form.untouched else {**asdict(order.form), "pillow": pillow_version()},
        }

    def cautions(self) -> list[str]:
        """Return what is worth knowing before anything is written."""
        order, labels = self.order, self.dataset.labels
        found = []
        listed = estimate_text_tokens(", ".join(labels))
        most = CONTEXT_TOKENS[order.kind]
        if self.text_tokens > most:
            found.append(
                f"the prompt has about {counted(self.text_tokens, 'token')}, its {counted(len(labels), 'label')}"
                f" about {listed:,}: over"
                f" the {most:,} that a {'request' if order.kind == 'batch' else 'training example'} may have"
            )
        elif self.text_tokens > LONG_PROMPT_TOKENS:
            found.append(
                f"the prompt has about {counted(self.text_tokens, 'token')}, its {counted(len(labels), 'label')}"
                f" about {listed:,}; it is"
                f" paid for {self.total:,} times: {counted(self.text_tokens * self.total, 'token')}"
            )
        if ambiguous := order.prompt.caution(labels):
            found.append(ambiguous)
        if order.kind == "fine-tune" and order.split == "train" and self.total < FEWEST_EXAMPLES:
            found.append(f"{counted(self.total, 'training example')}, and the service takes at least {FEWEST_EXAMPLES}")
        return found


def write(
    db: Database,
    order: Order,
    to: Path,
    *,
    skip_bad: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[Exported, list[str]]:
    """Write an order into a folder, going on where an earlier run ended.

    Args:
        db: has the dataset.
        order: what.
        to: the folder; it is made where it is not there.
        skip_bad: leave images out that cannot be sent.
        progress: called with (phase, done, total), a hundred times at most.

    Returns:
        what is there, and what is worth knowing of it.

    Raises:
        InputError: an image cannot be sent, or other files are in the way.
        StoreError: the disk is full, or another run writes there.

    """
    producer = Producer(db, order)
    to = to.expanduser().absolute()
    try:
        to.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{to}: {error.strerror}.", "Choose another folder.") from None
    step = max(1, producer.total // 100)

    def told(done: int) -> None:
        if progress is not None and (done % step == 0 or done == producer.total):
            progress(f"{order.kind} {order.split}", done, producer.total)

    exporter = Exporter(to, order.stem, producer.recipe(), LIMITS[order.kind], skip_bad=skip_bad)
    exported = exporter.write(producer.lines, told)
    notes = []
    if producer.turned:
        notes.append(
            f"{counted(producer.turned, 'image')} {agrees(producer.turned, 'is', 'are')} to be turned as their"
            f" EXIF says, which the service may not read:"
            " --format jpeg turns the pixels"
        )
    if order.kind == "fine-tune" and len(exported.shards) > 1:
        notes.append(
            f"{counted(len(exported.shards), 'file')}: a fine-tuning job takes one; tune on the first and the"
            f" tuned model on the"
            " next, or make the images smaller (--max-side, --quality)"
        )
    return exported, notes


def read_image(path: str, size: int, sha256: str) -> bytes:
    """Read an image as it was catalogued.

    Raises:
        BadImage: it cannot be read, or has changed since.

    """
    data, why = look(path, size, sha256)
    if why:
        raise BadImage(why)
    return data


def pillow_version() -> str:
    """Return Pillow's version: another one may encode otherwise."""
    from importlib.metadata import version

    return version("pillow")
