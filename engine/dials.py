"""The emulator's settings in people's words: what each means, how its value is written, and read again.

The same words are typed on the command line, typed in the app, and shown by both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from engine.errors import InputError
from engine.events import EmulatorSettings

OFF = "off"
DEFAULT = "default"
_ON = ("on", "true", "yes")
_OFF = (OFF, "false", "no")
_UNSET = ("", DEFAULT, "none", "null")


@dataclass(frozen=True)
class Dial:
    """One setting: what it is, in which words it is written, and the words that are tried most.

    The first of `usual` is the default. `more` is what one wants to know while typing.
    """

    name: str
    title: str
    help: str
    allowed: str
    usual: tuple[str, ...]
    fault: bool = True
    more: str = ""


DIALS = (
    Dial(
        "speed",
        "speed",
        "How fast waiting passes: real is the service's pace, 20 is 20 times that.",
        "real, fast, instant, a number",
        ("fast", "instant", "real"),
        fault=False,
    ),
    Dial(
        "brain",
        "looks at pictures",
        "on: a small network really looks. off: it answers at random, and faster.",
        "on, off",
        ("on", OFF),
        fault=False,
    ),
    Dial(
        "quota_minute",
        "quota's minute",
        "Seconds that a minute of tokens and requests lasts. off: there is no quota.",
        "seconds, default, off",
        (DEFAULT, "60", OFF),
        fault=False,
    ),
    Dial(
        "latency",
        "latency",
        "A chat request takes so long at least. article: as 600 published calls did.",
        "article, milliseconds",
        (OFF, "article", "3000"),
    ),
    Dial(
        "calls",
        "failing calls",
        "Calls go wrong, as in chat 429 20%: one in five is refused. ; parts several.",
        "chat 429 20%; batches.* 500",
        (OFF, "chat 429 20%", "* 503 10%", "chat drop 5%"),
        more="OPERATION KIND [SHARE [TIMES]]. Kinds: 401 408 429 500 502 503 refuse drop hang content_filter"
        " filtered_answer. Operations: chat files.create batches.get fine_tuning.* deployments.put …",
    ),
    Dial(
        "lost_lines",
        "lost lines",
        "A share of a batch's answers is in neither its output nor its error file.",
        "0% to 100%",
        (OFF, "5%", "25%"),
    ),
    Dial(
        "all_failed",
        "all requests fail",
        "Every request of a batch fails; the batch completes without an output file.",
        "on, off",
        (OFF, "on"),
    ),
    Dial(
        "empty_error_file",
        "empty error file",
        "A batch that wholly succeeded names an error file that has nothing in it.",
        "on, off",
        (OFF, "on"),
    ),
    Dial(
        "fail_batch",
        "batches refused",
        "Batches fail when their file is checked, with this code of the service.",
        "a code",
        (OFF, "token_limit_exceeded", "invalid_json_line"),
        more="Such as token_limit_exceeded invalid_json_line model_mismatch duplicate_custom_id empty_file.",
    ),
    Dial(
        "skipped_images",
        "skipped pictures",
        "A share of the training pictures is left out, without a word.",
        "0% to 100%",
        (OFF, "5%", "25%"),
    ),
    Dial(
        "fail_training",
        "training fails",
        "Fine-tuning jobs fail, as they do at times through no fault of yours.",
        "on, off",
        (OFF, "on"),
    ),
    Dial(
        "clock_offset",
        "clock is ahead",
        "Its clock is ahead by so many seconds: batches, files, deployments expire.",
        "seconds",
        (OFF, "3600", "86400"),
    ),
)
"""In the order in which they are shown."""
_DIALS = {dial.name: dial for dial in DIALS}
_SHARES = ("lost_lines", "skipped_images")


def dial_text(settings: EmulatorSettings, name: str) -> str:
    """Return a setting's value in the words in which it may be typed."""
    if name in ("speed", "brain", "quota_minute"):
        value: object = getattr(settings, name)
    else:
        value = getattr(settings.faults, name)
    if name == "calls":
        calls = []
        for call in settings.faults.calls:
            rate = "" if call.rate == 1 and call.times is None else f" {_percent(call.rate)}"
            calls.append(f"{call.operation} {call.kind}{rate}{'' if call.times is None else f' {call.times}'}")
        return "; ".join(calls) or OFF
    if isinstance(value, bool):
        return "on" if value else OFF
    if name in _SHARES and isinstance(value, float):
        return _percent(value) if value else OFF
    if value is None:
        return DEFAULT if name == "quota_minute" else OFF
    if value == 0 and name != "latency":
        return OFF
    return value if isinstance(value, str) else f"{value:.12g}"


def emulator_patch(texts: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the merge patch of (name, value in words). `faults` `off` comes first: it puts all of them out.

    Raises:
        InputError: names a value that cannot be read. What is allowed is for the emulator to say.

    """
    patch: dict[str, Any] = {}
    faults: dict[str, Any] = {}
    for name, text in texts:
        if name == "faults":
            if text.strip().lower() not in (*_OFF, *_UNSET):
                raise InputError(f"faults={text}: only off can be said of all.", "Name one, as in lost_lines=5%.")
            faults |= {dial.name: None for dial in DIALS if dial.fault}
            continue
        value = value_of(name, text)
        if not _DIALS[name].fault:
            patch[name] = value
        elif name == "calls" and value and faults.get("calls"):
            faults["calls"] += value
        else:
            faults[name] = value
    if faults:
        patch["faults"] = faults
    return patch


def value_of(name: str, text: str) -> Any:
    """Return a setting's value as the emulator takes it; None for its default.

    Raises:
        InputError: there is no such setting, or its value cannot be read.

    """
    dial = _DIALS.get(name)
    if dial is None:
        raise InputError(f"The emulator has no setting {name!r}.", f"Choose one of: {', '.join(_DIALS)}.")
    given = text.strip()
    word = given.lower()
    if word in _UNSET or (dial.fault and word in _OFF):
        return None
    if dial.allowed == "on, off":
        if word not in (*_ON, *_OFF):
            raise InputError(f"{name}={given}: say on or off.")
        return word in _ON
    if name == "calls":
        return [_call(part) for part in given.split(";") if part.strip()] or None
    if name == "fail_batch":
        return given
    if (name, word) in (("latency", "article"), ("speed", "real"), ("speed", "fast"), ("speed", "instant")):
        return word
    if name == "quota_minute" and word in _OFF:
        return 0.0
    return _number(f"{name}={given}", word, dial.allowed, share=name in _SHARES)


def _call(text: str) -> dict[str, Any]:
    words = text.split()
    if not 2 <= len(words) <= 4:
        raise InputError(f"calls={text.strip()}: write OPERATION KIND [SHARE [TIMES]].", "As in: calls='chat 429 20%'.")
    call: dict[str, Any] = {"operation": words[0], "kind": words[1]}
    told = f"calls={text.strip()}"
    if len(words) > 2:
        call["rate"] = _number(told, words[2], "a share such as 20%", share=True)
    if len(words) > 3:
        call["times"] = _number(told, words[3], "a whole number of times")
    return call


def _number(told: str, word: str, allowed: str, *, share: bool = False) -> int | float:
    """Read a number, a share also with its sign of percent."""
    percent = share and word.endswith("%")
    try:
        value = float(word.removesuffix("%")) if percent else float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):  # JSON has no word for it
        raise InputError(f"{told}: {word!r} cannot be read.", f"Allowed: {allowed}.")
    value = round(value / 100, 12) if percent else value
    return int(value) if value == int(value) else value


def _percent(share: float) -> str:
    return f"{share * 100:.10g}%"
