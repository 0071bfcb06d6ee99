"""How an answer is written, token by token, and how probable each token was.

Which tokens GPT-4o would use is not known here: texts are cut by a rule that gives about as many. The
probabilities are the opinion's own, spread over the tokens as a language model would have them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from engine.emulator.brain.opinion import Opinion

_PIECES = re.compile(r" ?[^\W\d_]{1,6}| ?\d{1,3}| ?[^\w\s]{1,4}|\s+(?!\S)|\s|.", re.DOTALL)
"""A word's letters by sixes and a number's digits by threes, each with the space before it; signs by fours.

Of the article's prompt with its 120 breeds this makes 496 tokens (GPT-4o: 494 by its cost page), and of an answer in
JSON 7 (about 6)."""


@dataclass(frozen=True)
class Token:
    """One token of an answer.

    Attributes:
        text: what it adds to the answer.
        logprob: natural logarithm of its probability after all that stands before it.
        top: the most probable tokens at this place with their logarithms, most probable first.

    """

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...]


def tokenize(text: str) -> list[str]:
    """Cut a text into tokens of about four characters, which joined give the text again."""
    return _PIECES.findall(text)


def spell(
    before: str, opinion: Opinion, chosen: int, after: str, top: int, *, written: Callable[[str], str] = str
) -> list[Token]:
    """Return the tokens of `before`, the chosen label, and `after`.

    The labels make a trie of tokens. A token has the probability of all labels that go on so, among those that
    began so; its alternatives are its siblings in the trie. That a label ends is a choice as well, for others
    may go on ("terrier", "terrier mix"): it is made by the first token of `after`, which is probable as that
    end, or, where nothing follows, by the label's own last token, which then means "this, and no more". So the
    logarithms of the label's tokens, and of the one that ends it, always sum to the label's own. The rest of
    `before` and `after` is certain (0.0).

    Args:
        before: as the JSON before the label.
        opinion: the labels and their probabilities.
        chosen: position of the label that is written.
        after: as the JSON behind the label; may be empty.
        top: the most alternatives a token has, itself among them if it is one of the best; 0 for none.
        written: how a label is written in the answer, as with JSON's escapes; different labels stay different.

    """
    ending = tokenize(after)
    paths = [_path(written(label), ending[0] if ending else None) for label in opinion.labels]
    masses = np.exp(opinion.log_probabilities).tolist()
    tokens = [_certain(text, top) for text in tokenize(before)]
    alive = list(range(len(paths)))  # the labels that begin with the tokens so far
    for depth, taken in enumerate(paths[chosen]):
        ways: dict[_Step, float] = {}
        for n in alive:
            ways[paths[n][depth]] = ways.get(paths[n][depth], 0.0) + masses[n]
        total = math.log(sum(ways.values()))
        # The sums are rounded, and a probability is never above one.
        logs = {way: min(0.0, math.log(mass) - total) for way, mass in ways.items()}
        tokens.append(Token(taken[0], logs[taken], _best(logs, taken, top)))
        alive = [n for n in alive if paths[n][depth] == taken]
    return tokens + [_certain(text, top) for text in ending[1:]]


_Step = tuple[str, bool]
"""One step in the trie: a token, and whether the label ends with it."""


@lru_cache(maxsize=8192)
def _path(label: str, end: str | None) -> tuple[_Step, ...]:
    """Return a label's steps. The last one ends it, so that no label's steps begin another's."""
    texts = tokenize(label)
    if end is not None:
        texts.append(end)
    return tuple((text, n == len(texts)) for n, text in enumerate(texts, 1)) or (("", True),)


def _certain(text: str, top: int) -> Token:
    return Token(text, 0.0, ((text, 0.0),) if top else ())


def _best(logs: dict[_Step, float], taken: _Step, top: int) -> tuple[tuple[str, float], ...]:
    """Return the most probable ways as texts, each once: the way that was taken goes before its doubles."""
    best: dict[str, float] = {}
    for way, log in sorted(logs.items(), key=lambda item: -item[1]):
        if len(best) < top and (way == taken or way[0] != taken[0]):
            best.setdefault(way[0], log)
    return tuple(best.items())
