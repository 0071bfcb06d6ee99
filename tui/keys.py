"""One table of keys: it feeds dispatch, footer, help and palette."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding


@dataclass(frozen=True)
class Key:
    """One key (or several, by commas), what it does, and how that is told in short and in full."""

    keys: str
    action: str
    label: str
    help: str
    footer: bool = True


KEYS = (
    Key("d", "demo", "demo", "Run the demo: drawn dogs, the embedded emulator, no account, no cost."),
    Key("c", "cancel", "cancel", "Cancel the chosen job. You are asked first."),
    Key("p", "pause", "pause", "Pause the chosen job; it can be resumed."),
    Key("r", "resume", "resume", "Set the chosen job and the rest of its experiment going again."),
    Key("f", "follow", "follow", "Follow whichever job is running."),
    Key("question_mark", "help", "help", "Show or hide these keys."),
    Key("q", "quit", "quit", "Close the app. Jobs go on without it."),
)

MOVING = (
    ("j k ↓ ↑", "Next, previous: experiment, job, or line of the log."),
    ("g G", "First, last."),
    ("tab  h l", "Between experiments, jobs, log and comparison."),
    ("ctrl+p", "Every action, by name."),
)


def bindings() -> list[Binding]:
    """Return the table as Textual wants it."""
    return [
        Binding(key.keys, key.action, key.label, show=key.footer, key_display="?" if key.action == "help" else None)
        for key in KEYS
    ]
