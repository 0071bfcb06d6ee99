"""The colours. Everything else refers to these by name."""

from __future__ import annotations

from textual.theme import Theme

THEME = Theme(
    name="kennel",
    primary="#e0a458",
    secondary="#7fb5d6",
    accent="#f0c987",
    foreground="#d9d5cc",
    background="#15171a",
    surface="#1b1e22",
    panel="#24282d",
    success="#8fbf7f",
    warning="#e0b45c",
    error="#e0736b",
    dark=True,
    variables={
        "border": "#3a4047",
        "border-blurred": "#2b3036",
        "footer-background": "#1b1e22",
        "footer-key-foreground": "#e0a458",
        "footer-description-foreground": "#9a9a94",
        "block-cursor-background": "#3b3325",
        "block-cursor-foreground": "#f4e7d0",
        "block-cursor-blurred-background": "#26292e",
        "block-cursor-blurred-foreground": "#d9d5cc",
    },
)

STATES = {
    "waiting": ("·", "dim"),
    "queued": ("○", "#7fb5d6"),
    "running": ("●", "bold #e0a458"),
    "paused": ("‖", "#e0b45c"),
    "succeeded": ("✓", "#8fbf7f"),
    "failed": ("✗", "bold #e0736b"),
    "cancelled": ("⊘", "#9a9a94"),
    "interrupted": ("!", "bold #e0b45c"),
}
"""The mark and the style of each state; the word always stands beside it, for those who see no colour."""

LEVELS = {"warning": "#e0b45c", "error": "bold #e0736b", "debug": "dim"}
DIM = "#8b8f94"
"""Captions and times: readable, but not what the eye lands on."""
ERROR = "#e0736b"
ACCENT = "#e0a458"
TRACK = "#3a4047"
CONTESTANTS = {"zero-shot": "#7fb5d6", "fine-tuned": "#e0a458", "cnn": "#8fbf7f"}
