"""The keys at the bottom of a screen."""

from __future__ import annotations

from textual.widgets import Footer


class KeyFooter(Footer):
    """Textual's footer without the palette's key, composed again only when the keys it shows have changed.

    Textual refreshes the bindings with every move of the focus, and composing the footer makes a widget a key.
    """

    _composed: list[tuple[str, str, str, bool]] | None = None

    def __init__(self) -> None:
        """Show the keys of the screen."""
        super().__init__(show_command_palette=False)

    async def recompose(self) -> None:
        """Compose the keys again, if any has changed."""
        active = self.screen.active_bindings.values()
        shown = [(b.key, self.app.get_key_display(b), b.description, on) for _, b, on, _ in active if b.show]
        if shown != self._composed:
            self._composed = shown
            await super().recompose()
