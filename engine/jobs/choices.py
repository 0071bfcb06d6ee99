"""What each form of the images would come to, before one is chosen: measured on a sample, carried over to all."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from engine.azure.prices import Prices
from engine.datasets.export import Line
from engine.datasets.image_form import Form, quiet_decoders
from engine.errors import InputError
from engine.jobs.exporting import LIMITS, Order, Producer
from engine.store.db import Database
from engine.store.entries import sample

SAMPLE = 200
FORMS = (Form(), Form("jpeg", 90), Form("jpeg", 85), Form("jpeg", 75), Form("webp", 80), Form("png"))


@dataclass(frozen=True)
class Choice:
    """One form of the images. All but `sampled` and `unusable` is about the whole split.

    Attributes:
        name: of the form, as the command line's options.
        form: itself.
        chosen: whether it is what was asked for.
        sampled: images that were really encoded.
        unusable: of them, those that cannot be sent in this form.
        images: in the split.
        image_bytes: one image on average, before.
        sent_bytes: one image on average, as it is sent.
        upload_bytes: all lines.
        files: how many they fill.
        tokens: about how many all lines take.
        usd: the batch's price, or that of an epoch; None where the model has no price.

    """

    name: str
    form: Form
    chosen: bool
    sampled: int
    unusable: int
    images: int
    image_bytes: float
    sent_bytes: float
    upload_bytes: int
    files: int
    tokens: int
    usd: float | None


def choices(
    db: Database,
    order: Order,
    prices: Prices,
    *,
    most: int = SAMPLE,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Choice]:
    """Try the common forms, and the order's own, on a sample that is spread over the split.

    Args:
        db: has the dataset.
        order: what would be written.
        prices: of the order's model.
        most: images of the sample.
        progress: called with (phase, done, total) before each form.

    """
    total = Producer(db, order).total
    found = sample(db, order.dataset, order.split, total, most)
    forms = [order.form, *(form for form in FORMS if form != order.form)]
    if order.form.max_side is not None:  # what is compared with it has the same size
        forms[1:] = [replace(form, max_side=order.form.max_side) for form in forms[1:] if form.format != "as-is"]
        forms = [Form(), *dict.fromkeys(forms)]
    made = []
    with quiet_decoders(), ThreadPoolExecutor(os.cpu_count() or 1, "image") as pool:
        for number, form in enumerate(forms):
            if progress is not None:
                progress("measuring", number, len(forms))
            producer = Producer(db, replace(order, form=form))
            lines = list(pool.map(producer.line, range(len(found)), found))
            before = sum(entry.bytes for entry in found) / max(1, len(found))
            made.append(_choice(producer, lines, before, total, prices, chosen=form == order.form))
    return made


def _choice(
    producer: Producer, lines: list[Line], before: float, total: int, prices: Prices, *, chosen: bool
) -> Choice:
    order, limits = producer.order, LIMITS[producer.order.kind]
    good = [line for line in lines if not line.why]
    share = total / max(1, len(lines))
    upload = round(share * sum(line.length for line in good))
    tokens = round(share * sum(line.tokens for line in good))
    requests = round(share * len(good))
    sent = sum(len(line.parts[-2]) // 4 * 3 - line.parts[-2].count(b"=") for line in good)
    return Choice(
        name=name_of(order.form),
        form=order.form,
        chosen=chosen,
        sampled=len(lines),
        unusable=len(lines) - len(good),
        images=total,
        image_bytes=before,
        sent_bytes=sent / max(1, len(good)),
        upload_bytes=upload,
        files=max(-(-upload // limits.bytes), -(-requests // limits.lines)),
        tokens=tokens,
        usd=_usd(order, requests, tokens, prices),
    )


def _usd(order: Order, requests: int, tokens: int, prices: Prices) -> float | None:
    from engine.jobs.plan import ANSWER_TOKENS  # loads the checker of parameters

    try:
        if order.kind == "fine-tune":
            return prices.training_cost(order.model, tokens)
        return prices.inference_cost(order.model, tokens, requests * ANSWER_TOKENS, batch=True)
    except InputError:
        return None


def name_of(form: Form) -> str:
    """Return a form as the options that choose it."""
    side = f" --max-side {form.max_side}" if form.max_side is not None else ""
    quality = (
        f" --quality {form.quality}" if form.format in ("jpeg", "webp") or (side and form.format == "as-is") else ""
    )
    return f"--format {form.format}{quality}{side}"
