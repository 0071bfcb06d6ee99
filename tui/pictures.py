"""Which pictures this terminal can draw.

textual-image finds out when it is imported: it writes questions to the terminal and waits for answers. That
must happen before the app starts, and takes time on a slow line; so it is imported only where the
environment says that the terminal draws pictures, or where somebody asks for it.
"""

from __future__ import annotations

import os
from typing import Any

_graphics: Any = None
_HINTS = ("KITTY_WINDOW_ID", "WEZTERM_PANE", "GHOSTTY_RESOURCES_DIR", "ITERM_SESSION_ID")


def prepare(wanted: str = "auto") -> None:
    """Find out, before the app starts, whether this terminal draws real pictures.

    Args:
        wanted: `auto`, `sixel`, `kitty` or `blocks`.

    """
    global _graphics
    named = os.environ.get("TERM", "").startswith(("foot", "xterm-kitty"))
    capable = named or any(os.environ.get(name) for name in _HINTS)
    if wanted == "blocks" or (wanted == "auto" and (not capable or os.environ.get("TMUX"))):
        return
    from textual_image import widget

    _graphics = {"sixel": widget.SixelImage, "kitty": widget.TGPImage}.get(wanted, widget.Image)


def graphics() -> Any:
    """Return the widget that draws real pictures, or None where half blocks must do."""
    return _graphics
