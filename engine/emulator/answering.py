"""One chat completion: what the brain sees, and how the service writes it down."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Callable
from typing import Any

import numpy as np

from engine.emulator.asking import CONFIDENCE, Question, not_an_image
from engine.emulator.brain.opinion import Opinion, blind, choose, tuned, zero_shot
from engine.emulator.brain.spelling import Token, spell, tokenize
from engine.emulator.brain.tuning import Head
from engine.emulator.service import Service
from engine.emulator.state import Object

_SAFE = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
_FILTERED = {**_SAFE, "violence": {"filtered": True, "severity": "medium"}}
_ALONE = "I am an emulator and only tell what a picture shows: send one, and a list of categories."


async def complete(service: Service, model: str, question: Question, *, urgent: bool, filtered: bool = False) -> Object:
    """Answer a question with a deployment's model, as the service's JSON body.

    Args:
        service: whose brain looks.
        model: the full name of the model.
        question: what is asked.
        urgent: whether somebody waits for it, as for a real-time request.
        filtered: whether the content filter catches the answer.

    Raises:
        ApiError: 400, the picture is none.

    """
    head = await asyncio.to_thread(service.head, model) if question.pictures and ".ft-" in model else None
    opinion = await _opinion(service, head, question, urgent)
    chosen = choose(opinion, question.temperature, question.seed)
    before, after = "", ""
    written: Callable[[str], str] = str
    if fields := question.fields or ((head.key,) if head and head.key else ()):
        before, after = _around(fields, float(np.exp(opinion.log_probabilities[chosen])))
        written = _escaped
    tokens = [*tokenize(before), *tokenize(written(opinion.labels[chosen])), *tokenize(after)]
    reason = "stop"
    if question.max_tokens is not None and len(tokens) > question.max_tokens:
        tokens, reason = tokens[: question.max_tokens], "length"
    content: str | None = "".join(tokens)
    logprobs = None
    if question.alternatives is not None:
        spelled = spell(before, opinion, chosen, after, question.alternatives, written=written)
        logprobs = _logprobs(spelled[: len(tokens)])
    if filtered:
        content, reason, logprobs = None, "content_filter", None
    return {
        "id": f"chatcmpl-{secrets.token_urlsafe(21)}",
        "object": "chat.completion",
        "created": int(service.clock.now()),
        "model": model,
        "system_fingerprint": "fp_emulator" if service.control.settings.brain else "fp_emulator_blind",
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": _SAFE}],
        "choices": [
            {
                "index": 0,
                "finish_reason": reason,
                "logprobs": logprobs,
                "message": {"role": "assistant", "content": content, "refusal": None},
                "content_filter_results": _FILTERED if filtered else _SAFE,
            }
        ],
        "usage": {
            "prompt_tokens": question.prompt_tokens,
            "completion_tokens": len(tokens),
            "total_tokens": question.prompt_tokens + len(tokens),
        },
    }


async def _opinion(service: Service, head: Head | None, question: Question, urgent: bool) -> Opinion:
    """Return what the model thinks of the picture; where there is none, it has only one thing to say."""
    if not question.pictures:
        return Opinion((_ALONE,), np.zeros(1))
    if not service.control.settings.brain:
        labels = head.labels if head and not question.closed else question.labels
        return blind(hashlib.sha256(b"".join(question.pictures)).digest(), labels)
    try:
        looks = [service.vision.look(picture, urgent=urgent) for picture in question.pictures]
        features = np.mean(await asyncio.gather(*looks), 0)  # several are taken for views of one thing
    except (OSError, ValueError):
        raise not_an_image() from None
    if head is None:
        return zero_shot(service.vision.backbone(), features, question.labels, closed=question.closed)
    found = tuned(head, features)
    return _restricted(found, question.labels) if question.closed else found


def _restricted(opinion: Opinion, labels: list[str]) -> Opinion:
    """Return an opinion over these labels alone: a strict schema lets nothing else be said."""
    known = dict(zip(opinion.labels, opinion.log_probabilities, strict=True))
    logs = np.array([known.get(label, -50.0) for label in labels])
    return Opinion(tuple(labels), logs - np.logaddexp.reduce(logs))


def _around(fields: tuple[str, ...], probability: float) -> tuple[str, str]:
    """Return what stands before and after the label in the JSON object of these fields."""
    mark = "\0"
    wanted = {name: round(probability, 4) if name in CONFIDENCE and len(fields) > 1 else mark for name in fields}
    before, _, after = json.dumps(wanted, ensure_ascii=False).partition(_escaped(mark))
    return before, after


def _escaped(text: str) -> str:
    """Return a text as it stands between the quotes of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _logprobs(tokens: list[Token]) -> Object:
    return {
        "content": [
            {
                **_shown(token.text, token.logprob),
                "top_logprobs": [_shown(text, logprob) for text, logprob in token.top],
            }
            for token in tokens
        ],
        "refusal": None,
    }


def _shown(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}
