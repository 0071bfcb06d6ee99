"""One connection: uvicorn's, with a limit on how long the head of a request may take."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0
MAX_WAITING = 512
"""Connections that have sent no whole head yet; one more, and the one that has waited longest is closed."""


class Connection(HttpToolsProtocol):
    """Uvicorn times nothing before a request is whole: a thousand half-open connections would stay for ever.

    It also tells the application whether the caller has left (`scope["extensions"]["gone"]`), and how to close
    the connection (`"close"`), for faults on demand.
    """

    _waiting: dict[Connection, asyncio.TimerHandle] = {}  # noqa: RUF012 - one for all, oldest first

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a head."""
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing any more."""
        self._expected()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Expect the rest of the head."""
        super().on_message_begin()
        extensions: dict[str, Any] = {"close": self.transport.close, "gone": self.transport.is_closing}
        self.scope["extensions"] = extensions
        self._expect()

    def on_headers_complete(self) -> None:
        """Let the application have the request."""
        self._expected()
        super().on_headers_complete()

    def _expect(self) -> None:
        if self not in self._waiting:
            if len(self._waiting) >= MAX_WAITING:
                oldest = next(iter(self._waiting))
                oldest._expected()
                oldest.transport.abort()
            self._waiting[self] = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _expected(self) -> None:
        timer = self._waiting.pop(self, None)
        if timer is not None:
            timer.cancel()
