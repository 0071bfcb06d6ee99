"""One real request, before any is sent: what it says, how many tokens it takes, what it costs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.azure.prices import Prices, estimate_text_tokens, tokens_of_image
from engine.datasets.jsonl import Shard
from engine.datasets.prompt import Prompt
from engine.errors import InputError
from engine.jobs.plan import ANSWER_TOKENS
from engine.jobs.spec import Spec
from engine.states import Split
from engine.store import Store


@dataclass(frozen=True)
class RequestPreview:
    """One request about one test image. The body's image is told by its size, not by its bytes.

    Prices are in US dollars for 1,000 such requests.
    """

    image: Path
    body: str
    text_tokens: int
    image_tokens: int
    batch_usd: float
    real_time_usd: float


def preview(store: Store, spec: Spec, system: str, prices: Prices, number: int = 0) -> RequestPreview:
    """Make the request about one test image.

    Args:
        system: the system message, with `{labels}`.
        number: which test image.

    Raises:
        InputError: the prompt never says `{labels}`.

    """
    if "{labels}" not in system:
        raise InputError("The prompt never says {labels}.", "Put {labels} where the classes go.")
    dataset = store.datasets.get(spec.dataset)
    images = store.datasets.images(dataset.name, Split.TEST)
    image = images[number % len(images)]
    prompt = Prompt(system, "json", spec.detail)
    shown = f"data:image/…;base64,… ({image.bytes:,} bytes, {image.width}×{image.height})"
    body = json.dumps(prompt.request(spec.model, dataset.labels, shown), indent=2, ensure_ascii=False)
    text = estimate_text_tokens(prompt.render(dataset.labels))
    picture = tokens_of_image(image.width, image.height, spec.detail, spec.model)
    costs = [
        1000 * prices.inference_cost(spec.model, text + picture, ANSWER_TOKENS, batch=batch) for batch in (True, False)
    ]
    return RequestPreview(image.path, body, text, picture, costs[0], costs[1])


def write_jsonl(
    store: Store,
    name: str,
    kind: str,
    split: Split,
    prompt: Prompt,
    model: str,
    to: Path,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Shard]:
    """Write a dataset's split as files for the service; see `engine.jobs.exporting`.

    Args:
        kind: `batch` or `fine-tune`.
        model: of batch requests: the deployment.
        progress: called with (phase, done, total), a hundred times at most.

    Raises:
        InputError: the folder cannot be written, or an image cannot be read.

    """
    from engine.jobs.exporting import Order, write

    order = Order(name, kind, split.value, prompt, model)  # type: ignore[arg-type]
    exported, _ = write(store.db, order, to, progress=progress)
    return list(exported.shards)
