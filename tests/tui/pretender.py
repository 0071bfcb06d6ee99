"""Stands in the place of a running emulator, so that its page looks the same each time."""

import asyncio
from dataclasses import replace

from engine import EmulatorSettings, EmulatorView, InputError, Payment
from engine.events import CallFault, EmulatorFaults
from tests.tui.conftest import AT

LEDGER = (
    Payment("batch", AT, "dogcls-tui/0.1.0 (job 1)", id="batch_0c9b", requests=416, prompt_tokens=66_144,
            completion_tokens=3_090),
    Payment("chat", AT + 1, "dogcls-tui/0.1.0 (job 2)", name="gpt-4o", until=AT + 14, requests=30, prompt_tokens=4_770,
            completion_tokens=273),
    Payment("fine-tuning", AT + 2, "dogcls-tui/0.1.0 (job 3)", id="ftjob-1", name="dogcls-06f8", training_tokens=207_680),
    Payment("deployment", AT + 40, "azsdk-python-mgmt-cognitiveservices/14.1.0 Python/3.12", id="dogcls@1",
            name="dogcls-ec7b", model="gpt-4o-2024-08-06.ft-1"),
)  # fmt: skip


class Pretender:
    """Stands in the place of `engine.emulation`: says what it was given, and takes patches."""

    def __init__(self):
        self.found = EmulatorSettings()
        self.payments = LEDGER
        self.patches = []
        self.refusal = None
        self.resting = False
        self.looks = 0

    async def view(self):
        self.looks += 1
        if self.resting:
            return EmulatorView(running=False)
        return EmulatorView(True, "127.0.0.1:8000", 2, self.found.active)

    async def settings(self):
        return None if self.resting else self.found

    async def ledger(self):
        return None if self.resting else self.payments

    async def set(self, patch):
        await asyncio.sleep(0.05)
        self.resting = False
        if patch:
            self.patches.append(patch)
        if self.refusal:
            raise InputError(f"The emulator refuses this: {self.refusal}")
        patch = dict(patch)
        faults = patch.pop("faults", {})
        if faults:
            off = EmulatorFaults()
            calls = [CallFault(c["operation"], c["kind"], c.get("rate", 1.0), None) for c in faults.get("calls") or ()]
            faults = faults | ({"calls": tuple(calls)} if "calls" in faults else {})
            kept = {name: getattr(off, name) if value is None else value for name, value in faults.items()}
            self.found = replace(self.found, faults=replace(self.found.faults, **kept))
        self.found = replace(self.found, **patch)
        names = [n for n in vars(EmulatorFaults()) if getattr(self.found.faults, n) != getattr(EmulatorFaults(), n)]
        self.found = replace(self.found, active=tuple(names))
        return self.found
