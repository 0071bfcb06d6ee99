"""One real request, before any is sent: what it says, how many tokens it takes, what it costs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from engine.azure.prices import Prices, estimate_text_tokens, tokens_of_image
from engine.datasets.prompt import Prompt
from engine.errors import InputError
from engine.jobs.plan import ANSWER_TOKENS
from engine.settings import MODEL
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


def preview(store: Store, dataset: str, prompt: Prompt, prices: Prices, number: int = 0) -> RequestPreview:
    """Make the request about one test image.

    Args:
        store: has the dataset.
        dataset: its name.
        prompt: the question.
        prices: of the base model.
        number: which test image.

    Raises:
        InputError: the prompt never says `{labels}`, or nothing is to be tested.

    """
    if "{labels}" not in prompt.words:
        raise InputError("The prompt never says {labels}.", "Put {labels} where the classes go.")
    data = store.datasets.get(dataset)
    if not data.test:
        raise InputError(f"{dataset} has no test images.", "Add it again with --test.")
    image = store.datasets.page(dataset, Split.TEST, None, number % data.test, 1)[0]
    shown = f"data:image/…;base64,… ({image.bytes:,} bytes, {image.width}×{image.height})"
    body = json.dumps(prompt.request(MODEL, data.labels, shown), indent=2, ensure_ascii=False)
    text = estimate_text_tokens(prompt.text(data.labels))
    picture = tokens_of_image(image.width, image.height, prompt.detail, MODEL)
    costs = [1000 * prices.inference_cost(MODEL, text + picture, ANSWER_TOKENS, batch=batch) for batch in (True, False)]
    return RequestPreview(image.path, body, text, picture, costs[0], costs[1])
