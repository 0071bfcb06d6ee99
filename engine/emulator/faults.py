"""What may be asked of the emulator beyond the service: its speed, its brain, and things going wrong.

Everything is off by default. What is on is kept with the state, is named in a header of every answer, and
is found at `GET /emulator/settings`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from engine.emulator import durable
from engine.emulator.clock import SPEEDS, Clock
from engine.emulator.errors import ApiError, bad_request, content_filtered
from engine.emulator.operations import OPERATIONS

Kind = Literal[
    "401", "408", "429", "500", "502", "503", "refuse", "drop", "hang", "content_filter", "filtered_answer"
]  # fmt: skip
BEFORE = ("401", "408", "429", "500", "502", "503", "content_filter")
"""Kinds that are a refusal: nothing was done."""
FILTERS = ("content_filter", "filtered_answer")

SHARES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
LATENCIES = {
    "base": (1054, 1173, 1270, 1329, 1497, 1629, 1765, 1964, 2183, 2737, 4694),
    "tuned": (825, 1091, 1193, 1231, 1360, 1505, 1615, 1707, 1819, 2303, 3382),
}
"""Quantiles in ms at `SHARES`, of 600 calls to each model that Microsoft's article on fine-tuning GPT-4o for
image classification (October 2025) published."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class CallFault(_Model):
    """One way in which calls go wrong.

    Attributes:
        operation: of `OPERATIONS`, or a pattern of them.
        kind: a status that is answered before anything is done; `refuse`, the connection is dropped before
            anything is done; `drop`, it is dropped in mid-body after all was done; `hang`, all is done and
            never answered; `content_filter`, the prompt is filtered; `filtered_answer`, the answer is.
        rate: the share of calls.
        times: how many more calls; None, for ever.

    """

    operation: str = "*"
    kind: Kind
    rate: float = Field(1.0, ge=0, le=1)
    times: int | None = Field(None, ge=1)

    @field_validator("operation")
    @classmethod
    def _known(cls, value: str) -> str:
        if not any(fnmatchcase(name, value) for name in OPERATIONS):
            raise ValueError(f"no operation is named {value!r}; there are: {', '.join(OPERATIONS)}")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.kind in FILTERS and self.operation not in ("chat", "batches.line"):
            raise ValueError(f"{self.kind} is for the operations chat and batches.line")
        return self


class Faults(_Model):
    """What goes wrong.

    Attributes:
        latency: how long a chat request takes at least: `article` draws from the published calls; or ms.
        calls: calls that go wrong.
        lost_lines: the share of a batch's answers that stand in neither file.
        all_failed: every request of a batch fails; it ends `completed`, with no output file.
        empty_error_file: a batch that wholly succeeded names an error file of no bytes.
        fail_batch: batches fail in validation with this code.
        skipped_images: the share of training images that are dropped, silently.
        fail_training: fine-tuning jobs fail, as they do at times, through no fault of the user.
        clock_offset: seconds by which the clock is wrong.

    """

    latency: Literal["article"] | Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    calls: list[CallFault] = []
    lost_lines: float = Field(0.0, ge=0, le=1)
    all_failed: bool = False
    empty_error_file: bool = False
    fail_batch: str | None = Field(None, max_length=100)
    skipped_images: float = Field(0.0, ge=0, le=1)
    fail_training: bool = False
    clock_offset: float = Field(0.0, allow_inf_nan=False)

    def active(self) -> list[str]:
        """Return the names of what is on."""
        off = Faults()
        return [name for name in type(self).model_fields if getattr(self, name) != getattr(off, name)]


class Settings(_Model):
    """All that can be set while it runs.

    Attributes:
        speed: `real`, `fast`, `instant`, or how many times as fast as the service life cycles pass.
        brain: whether it looks at pictures; without, it answers at random, and fast.
        quota_minute: how many seconds a quota's minute lasts; None, as the speed has it.
        faults: what goes wrong.

    """

    speed: Literal["real", "fast", "instant"] | Annotated[float, Field(gt=0, allow_inf_nan=False)] = "fast"
    brain: bool = True
    quota_minute: float | None = Field(None, ge=0, allow_inf_nan=False)
    faults: Faults = Faults()

    @property
    def factor(self) -> float:
        """How many times as fast as the service."""
        return SPEEDS[self.speed] if isinstance(self.speed, str) else self.speed

    @property
    def minute(self) -> float:
        """How many seconds a quota's minute lasts; 0: no quota is enforced."""
        return 60.0 / self.factor if self.quota_minute is None else self.quota_minute


class Control:
    """The settings in force: kept on disk, changed by merge patches, rolled for each call."""

    def __init__(self, path: Path, clock: Clock, options: dict[str, Any]) -> None:
        self._path = path
        self._clock = clock
        self.random = random.Random()
        self.settings = Settings()
        if path.exists():
            try:
                self.settings = Settings.model_validate_json(path.read_bytes())
            except ValidationError:
                durable.set_aside(path, "damaged, or of another version; the settings are as new")
        if options:
            self.patch(options)
        self._apply()

    @property
    def faults(self) -> Faults:
        """What goes wrong at present."""
        return self.settings.faults

    def shown(self) -> dict[str, Any]:
        """Return the settings as JSON, and the names of the faults that are on."""
        return {**self.settings.model_dump(mode="json"), "active": self.active}

    def patch(self, change: dict[str, Any]) -> None:
        """Change settings by a JSON merge patch (RFC 7396); null restores a default.

        Raises:
            ApiError: 400, names what is not valid. Nothing has changed then.

        """
        try:
            self.settings = Settings.model_validate(_merged(self.settings.model_dump(mode="json"), change))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"] if str(part) in change or not _technical(part))
            raise bad_request(f"{place}: {first['msg']}") from None
        self._apply()
        self._save()

    def _save(self) -> None:
        durable.write(self._path, self.settings.model_dump_json().encode())

    def _apply(self) -> None:
        self.active = self.faults.active()
        self._clock.factor, self._clock.offset = self.settings.factor, self.faults.clock_offset
        self._clock.changed()

    def happens(self, share: float) -> bool:
        """Roll for something that happens to a share."""
        return share > 0 and self.random.random() < share

    def call(self, operation: str) -> str | None:
        """Return what goes wrong with this call, if anything does."""
        for fault in self.faults.calls:
            if fnmatchcase(operation, fault.operation) and self.happens(fault.rate):
                if fault.times is not None:
                    if fault.times == 1:
                        self.faults.calls.remove(fault)
                    else:
                        fault.times -= 1
                    self.active = self.faults.active()
                    self._save()
                return fault.kind
        return None

    def latency(self, tuned: bool) -> float:
        """Return how many seconds a chat request takes at least."""
        wanted = self.faults.latency
        if wanted is None:
            return 0.0
        if wanted == "article":
            return _interpolated(LATENCIES["tuned" if tuned else "base"], self.random.random()) / 1000
        return wanted / 1000


def refusal(kind: str) -> ApiError:
    """Return the refusal of a kind that is one (see `BEFORE`)."""
    match kind:
        case "401":
            return ApiError(401, "401", "Access token is missing, invalid, audience is incorrect, or have expired.")
        case "408":
            return ApiError(408, "Timeout", "The operation was timeout.")
        case "429":
            message = (
                "Requests to the ChatCompletions_Create Operation have exceeded call rate limit."
                " Please retry after 1 second."
            )
            return ApiError(429, "429", message, headers={"Retry-After": "1"})
        case "502":
            return ApiError(502, "502", "Bad Gateway", html=True)
        case "503":
            return ApiError(503, "503", "The service is temporarily unable to process your request.")
        case "content_filter":
            return content_filtered()
        case _:
            return ApiError(500, "InternalServerError", "The server had an error while processing your request.")


def _interpolated(quantiles: Sequence[float], share: float) -> float:
    for (low, at_low), (high, at_high) in pairwise(zip(SHARES, quantiles, strict=True)):
        if share <= high:
            return at_low + (at_high - at_low) * (share - low) / (high - low)
    return quantiles[-1]


def _technical(part: int | str) -> bool:
    """Tell whether a part of an error's place is pydantic's name of a union's branch, not one of ours."""
    return isinstance(part, str) and (part.startswith("literal[") or part in ("float", "int", "bool", "str"))


def _merged(old: Any, change: Any) -> Any:
    if not isinstance(change, dict) or not isinstance(old, dict):
        return change
    result = dict(old)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result
