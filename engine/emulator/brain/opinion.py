"""What the brain thinks of a picture: a probability for every answer that it may give."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from engine.backbones import Backbone, imagenet_classes, match_imagenet
from engine.emulator.brain.tuning import Head

COLDEST, WARMEST = 0.67, 1.18
"""The temperature for a picture of what is on the list, and for one that is of nothing on it; others lie between.

The network was trained with smoothed labels and is too modest about photographs of what it knows, and too
sure of what it never saw. Fitted by likelihood to the article's 5,400 training and validation photographs (of
whose mass 7% is outside the list) and the demo's 720 drawings (94%) together. The expected calibration error (15
bins, over the list) on the test pictures of both goes from 0.103 to 0.034 (chance alone makes 0.033 of 600) and
from 0.102 to 0.090 (0.062 of 416); one temperature for both can only have 0.034 and 0.195, or 0.103 and 0.102. Stanford
Dogs was drawn from ImageNet: of photographs that it has not seen the network may be a little too sure."""

STRAYING = 0.003
"""How easily a model says something that is not on the list: the weight of such a class beside a listed one.

Of the article's 6,000 photographs none is called something that is not among its 120 breeds (0.01% of the
probability is outside), of the demo's 1,136 drawings 1.2%, and of the same photographs asked about as one of five
cats 91%. At 0.3 it would be 0.2% of the photographs, but 73% of the drawings, which look more like other things than
like dogs."""

STRAYS = 20
"""The most classes outside the list that an opinion names."""

GRAIN = 0.02
"""How unevenly words that say nothing to the network share what is left over: enough to break the tie."""

_NEVER = 1e-30
"""Least weight of an answer, so that it has a logarithm."""


@dataclass(frozen=True)
class Opinion:
    """Answers and the logarithms of their probabilities, which sum to one.

    Attributes:
        labels: `n` answers, each once.
        log_probabilities: float64 `[n]`, natural logarithms.

    """

    labels: tuple[str, ...]
    log_probabilities: np.ndarray

    @property
    def best(self) -> int:
        """Position of the most probable answer, the first of equals."""
        return int(self.log_probabilities.argmax())


def zero_shot(backbone: Backbone, features: np.ndarray, labels: Sequence[str], *, closed: bool) -> Opinion:
    """Return an untuned model's opinion: what ImageNet's classes say of the labels, by name.

    With `p` the calibrated probabilities of the thousand classes and `R` the sum of those that are not on the
    list: a listed class has its `p` (labels that mean the same class share it); labels that ImageNet does not
    know have `R · (1 - STRAYING)` between them, evenly but for a grain that hangs on the picture and the label,
    so that the choice among them is chance; a class outside the list has `STRAYING · p`. All is then divided
    by its sum.

    Args:
        backbone: whose last layer is asked.
        features: float32 `[width]`, of one picture.
        labels: the list that was given; empty if there was none: then the answer is any of ImageNet's classes.
        closed: whether nothing outside the list can be said, as under a strict schema with an enumeration.

    Returns:
        the listed labels in their order (each once), then, unless `closed`, the likeliest `STRAYS` others.

    """
    listed = tuple(dict.fromkeys(labels))
    logits = backbone.logits(features[None])[0].astype(np.float64)
    if not listed:
        weights = _merged(_softmax(logits / COLDEST))
        named = np.flatnonzero(weights)
        return _opinion([imagenet_classes()[n] for n in named], weights[named])
    known = _known(listed)
    meant = sorted({k for k in known if k is not None})
    outside = 1 - _merged(_softmax(logits))[meant].sum()
    p = _merged(_softmax(logits / (COLDEST + (WARMEST - COLDEST) * outside)))
    sharing = np.bincount([k for k in known if k is not None], minlength=len(p))
    weights = np.array([0.0 if k is None else p[k] / sharing[k] for k in known])
    rest = p.copy()
    rest[meant] = 0
    foreign = [n for n, k in enumerate(known) if k is None]
    if foreign:
        grain = _grain(features, [listed[n] for n in foreign])
        weights[foreign] = rest.sum() * (1 - STRAYING) * grain / grain.sum()
    if closed:
        return _opinion(listed, weights)
    strays = [n for n in np.argsort(-rest, kind="stable")[:STRAYS] if rest[n] > 0]
    names = [*listed, *(imagenet_classes()[n] for n in strays)]
    return _opinion(names, np.concatenate([weights, STRAYING * rest[strays]]))


def tuned(head: Head, features: np.ndarray) -> Opinion:
    """Return a fine-tuned head's opinion of features `[width]`, at its own temperature; it knows its labels only."""
    logits = head.scores(features[None])[0].astype(np.float64)
    return _opinion(head.labels, _softmax(logits / head.temperature))


def blind(digest: bytes, labels: Sequence[str]) -> Opinion:
    """Return what one says without looking: every answer as likely as the next, but for a grain to choose by.

    Args:
        digest: of the picture's bytes, so that the same picture gets the same answer.
        labels: the list that was given; if it is empty, ImageNet's classes.

    """
    names = tuple(dict.fromkeys(labels)) or tuple(dict.fromkeys(imagenet_classes()))
    # One hash for all: this has to cost next to nothing, thousands of times a second.
    drawn = np.frombuffer(hashlib.shake_128(digest).digest(4 * len(names)), np.uint32)
    weights = 1 + drawn * (GRAIN / 2**32)
    return Opinion(names, np.log(weights / weights.sum()))


def choose(opinion: Opinion, temperature: float | None, seed: int | None) -> int:
    """Return the position of an answer.

    Args:
        opinion: what to choose from.
        temperature: None or 0 for the most probable answer; else one is drawn with weights `p ** (1 / temperature)`.
        seed: of the draw; None for a new one each time.

    """
    if not temperature:
        return opinion.best
    with np.errstate(over="ignore"):  # near 0 all but the best go to nothing, as they should
        weights = np.exp((opinion.log_probabilities - opinion.log_probabilities.max()) / temperature)
    sums = weights.cumsum()
    drawn = np.random.default_rng(None if seed is None else abs(seed)).random() * sums[-1]
    return min(int(np.searchsorted(sums, drawn, "right")), len(sums) - 1)


@lru_cache(maxsize=16)
def _known(labels: tuple[str, ...]) -> list[int | None]:
    """Return `match_imagenet(labels)`; a dataset's list comes again with every picture."""
    return match_imagenet(labels)


@cache
def _namesakes() -> np.ndarray:
    """For each class the first of the same name: who says "cardigan" may mean the dog or the jacket."""
    return np.array([n if found is None else found for n, found in enumerate(match_imagenet(imagenet_classes()))])


def _merged(p: np.ndarray) -> np.ndarray:
    """Return probabilities `[1000]` with those of classes of the same name put together."""
    return np.bincount(_namesakes(), p, minlength=len(p))


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max())
    return np.asarray(weights / weights.sum())


def _opinion(labels: Sequence[str], weights: np.ndarray) -> Opinion:
    weights = np.maximum(weights, _NEVER)
    return Opinion(tuple(labels), np.log(weights / weights.sum()))


def _grain(features: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """Return weights `[n]` a little above one that hang on the picture and on each label, and on nothing shown.

    A digest of the order of the strongest features is a picture's own, and does not change with the last bits
    of them, as other machines or batch sizes might give.
    """
    key = hashlib.blake2b(np.argsort(features, kind="stable")[-32:].astype("<u2").tobytes(), digest_size=32).digest()
    digests = b"".join(hashlib.blake2b(n.encode("utf-8", "replace"), digest_size=4, key=key).digest() for n in labels)
    return np.asarray(1 + np.frombuffer(digests, "<u4") * (GRAIN / 2**32))
