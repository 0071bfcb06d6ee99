"""What a terminal can do besides showing text: clipboard, title, bell, progress."""

from __future__ import annotations

import base64
import os
import sys

LIMIT = 74_000
"""Longer texts are refused by many terminals (xterm's limit for one OSC 52 is 74,994 bytes)."""

KEEP_TITLE, OLD_TITLE = "\x1b[22;2t", "\x1b]2;\x07\x1b[23;2t"
"""Have the terminal remember its title (XTWINOPS), and put it back; those that cannot are left with none."""


INCAPABLE = ("", "dumb", "unknown")
"""Values of TERM of terminals (and of what stands in for one) that cannot place text on a screen."""


def problem() -> tuple[str, str] | None:
    """Return why the app cannot be shown here, and a hint; None where it can.

    It reads keys from stdin, and draws on stderr, or on stdout where stderr goes to a file.
    """
    hint = "Use --plain or --once, or name a command (see --help)."
    term = os.environ.get("TERM", "")
    if not sys.stdout.isatty():
        return "The app needs a terminal, and stdout is none.", hint
    if not sys.stdin.isatty():
        return "The app needs a terminal for its keys, and stdin is none.", hint
    if term in INCAPABLE:
        what = f"TERM={term}" if term else "TERM is not set"
        return (
            f"The app needs a terminal that can place text on its screen ({what}).",
            f"Set TERM, as in TERM=xterm-256color. {hint}",
        )
    return None


def clipboard(text: str) -> str | None:
    """Return the sequence that puts a text on the terminal's clipboard (OSC 52), or None if it is too long."""
    data = base64.b64encode(text.encode()).decode("ascii")
    return None if len(data) > LIMIT else _through(f"\x1b]52;c;{data}\x07")


def title(text: str) -> str:
    """Return the sequence that sets the terminal's title. The text must hold no control characters."""
    return f"\x1b]2;{text}\x07"


def progress(share: float | None) -> str:
    """Return the sequence that shows progress on the terminal's tab (OSC 9;4), or takes it away."""
    return _through("\x1b]9;4;0;0\x07" if share is None else f"\x1b]9;4;1;{round(share * 100)}\x07")


def notice(text: str) -> str:
    """Return the sequences of a bell and of a desktop notice (OSC 9)."""
    return "\x07" + _through(f"\x1b]9;{text}\x07")


def _through(sequence: str) -> str:
    """Wrap a sequence so that tmux (with allow-passthrough) hands it on to the terminal it runs in."""
    if not os.environ.get("TMUX"):
        return sequence
    doubled = sequence.replace("\x1b", "\x1b\x1b")
    # tmux itself takes the bare one where set-clipboard is on; the terminal takes the wrapped one.
    return f"{sequence}\x1bPtmux;{doubled}\x1b\\"
