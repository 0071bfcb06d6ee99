"""The colours: one `Look` a theme. Widgets ask `look()` when they draw, so that a new theme reaches everything."""

from __future__ import annotations

from dataclasses import dataclass

from textual.theme import Theme


@dataclass(frozen=True)
class Look:
    """Colours by what they mean. Nothing is told by colour alone: a word or a mark stands beside it."""

    name: str
    dark: bool
    accent: str
    ok: str
    warn: str
    bad: str
    info: str
    dim: str
    track: str
    ink: str
    zero_shot: str
    fine_tuned: str
    cnn: str
    background: str
    surface: str
    panel: str
    foreground: str
    cursor: str
    cursor_ink: str

    def state(self, state: str) -> tuple[str, str]:
        """Return the mark and the style of a job's state."""
        return {
            "waiting": ("·", self.dim),
            "queued": ("○", self.info),
            "running": ("●", f"bold {self.accent}"),
            "paused": ("‖", self.warn),
            "cancelling": ("◌", self.warn),
            "succeeded": ("✓", self.ok),
            "failed": ("✗", f"bold {self.bad}"),
            "cancelled": ("⊘", self.dim),
            "interrupted": ("!", f"bold {self.warn}"),
        }[state]

    def level(self, level: str) -> str:
        """Return the style of a log line's level."""
        return {"warning": self.warn, "error": f"bold {self.bad}", "debug": self.dim}.get(level, "")

    def contestant(self, kind: str | None) -> str:
        """Return the colour of a kind of contestant."""
        return {"zero-shot": self.zero_shot, "fine-tuned": self.fine_tuned, "cnn": self.cnn}.get(kind or "", self.dim)

    def theme(self) -> Theme:
        """Return the same for Textual's own widgets."""
        return Theme(
            name=self.name,
            primary=self.accent,
            secondary=self.info,
            accent=self.accent,
            foreground=self.foreground,
            background=self.background,
            surface=self.surface,
            panel=self.panel,
            success=self.ok,
            warning=self.warn,
            error=self.bad,
            dark=self.dark,
            variables={
                "border": self.track,
                "border-blurred": self.track,
                "footer-background": self.surface,
                "footer-key-foreground": self.accent,
                "footer-description-foreground": self.dim,
                "block-cursor-background": self.cursor,
                "block-cursor-foreground": self.cursor_ink,
                "block-cursor-blurred-background": self.panel,
                "block-cursor-blurred-foreground": self.foreground,
                "input-selection-background": self.cursor,
            },
        )


_DARK = Look(
    name="kennel",
    dark=True,
    accent="#e0a458",
    ok="#8fbf7f",
    warn="#e0b45c",
    bad="#e0736b",
    info="#7fb5d6",
    dim="#8b8f94",
    track="#3a4047",
    ink="#15171a",
    zero_shot="#7fb5d6",
    fine_tuned="#e0a458",
    cnn="#8fbf7f",
    background="#15171a",
    surface="#1b1e22",
    panel="#24282d",
    foreground="#d9d5cc",
    cursor="#3b3325",
    cursor_ink="#f4e7d0",
)
_LIGHT = Look(
    name="kennel-day",
    dark=False,
    accent="#95560a",
    ok="#35701f",
    warn="#85600a",
    bad="#b3261e",
    info="#1f5f8b",
    dim="#656b72",
    track="#c9c4ba",
    ink="#fdfbf6",
    zero_shot="#1f5f8b",
    fine_tuned="#95560a",
    cnn="#35701f",
    background="#fdfbf6",
    surface="#f3efe6",
    panel="#e9e4d8",
    foreground="#2a2c2f",
    cursor="#f0dfc0",
    cursor_ink="#2a1c05",
)
# Okabe and Ito's palette (2008): told apart by people with any of the common kinds of colour blindness.
_SAFE = Look(
    name="kennel-safe",
    dark=True,
    accent="#e69f00",
    ok="#56b4e9",
    warn="#f0e442",
    bad="#d55e00",
    info="#56b4e9",
    dim="#a0a0a0",
    track="#454545",
    ink="#101010",
    zero_shot="#56b4e9",
    fine_tuned="#e69f00",
    cnn="#cc79a7",
    background="#101010",
    surface="#181818",
    panel="#242424",
    foreground="#e6e6e6",
    cursor="#3a3320",
    cursor_ink="#ffffff",
)
# For terminals with 16 colours: every value is one of theirs (as rich has them), so that none is lost in the nearest.
_SIXTEEN = Look(
    name="kennel-16",
    dark=True,
    accent="#ffff55",
    ok="#55ff55",
    warn="#ffff55",
    bad="#ff5555",
    info="#55ffff",
    dim="#aaaaaa",
    track="#555555",
    ink="#000000",
    zero_shot="#55ffff",
    fine_tuned="#ffff55",
    cnn="#55ff55",
    background="#000000",
    surface="#000000",
    panel="#000000",
    foreground="#ffffff",
    cursor="#0000aa",
    cursor_ink="#ffffff",
)
LOOKS = {look.name: look for look in (_DARK, _LIGHT, _SAFE, _SIXTEEN)}
SIXTEEN = _SIXTEEN.name
DEFAULT = _DARK.name
_current = _DARK


def look() -> Look:
    """Return the colours of now."""
    return _current


def use(name: str) -> None:
    """Change them; a theme that is none of ours keeps the nearest look."""
    global _current
    _current = LOOKS.get(name, _current)
