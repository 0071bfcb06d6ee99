"""The emulator's ledger as a table: what was paid for, by whom, when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from engine import Payment, counted
from tui.styles.theme import look
from tui.text import moment, one_line
from tui.widgets.tables import Table
from tui.wording import client_name

WIDE = 96
"""Columns inside the table from which both kinds of tokens and an end have room."""
DAY_SECONDS = 12 * 3600.0
_NAMES = {"batch": "batch", "fine-tuning": "fine-tuning job", "deployment": "deployment"}


class LedgerTable(Table):
    """One row a payment, the newest on top."""

    def show(self, payments: Sequence[Payment]) -> None:
        """Show these payments."""
        wide = self.content_size.width >= WIDE
        columns = ["time", "paid for", "what", "by", "requests"]
        columns += ["tokens in", "tokens out", "trained on", "until"] if wide else ["tokens"]
        rows, newest = {}, payments[-1].at if payments else 0.0
        for payment in reversed(payments):
            rows[f"{payment.kind}:{payment.id}:{payment.name}:{payment.client}"] = _cells(payment, newest, wide)
        top = self.cursor_row == 0
        self.fill(columns, rows)
        if top and rows:  # whoever is at the top stays there, and sees what is new
            self.move_cursor(row=0)


def _clock(at: float, newest: float) -> str:
    """Return a moment's time of day; of one that is long past, its date too."""
    return moment(at)[11:] if newest - at < DAY_SECONDS else moment(at)[5:16]


def _cells(payment: Payment, newest: float, wide: bool) -> list[Text]:
    def count(number: int) -> Text:
        return Text(f"{number:,}" if number else "", justify="right")

    dim, both = look().dim, payment.prompt_tokens + payment.completion_tokens
    cells = [
        Text(_clock(payment.at, newest), dim),
        Text(payment.kind),
        Text(one_line(payment.name or payment.id, 80)),
        Text(client_name(payment.client), dim),
        count(payment.requests),
    ]
    if not wide:
        return [*cells, count(both + payment.training_tokens)]
    until = Text(_clock(payment.until, newest), dim) if payment.until is not None else Text("")
    if payment.kind == "deployment" and payment.until is None:
        until = Text("stands", look().warn)
    tokens = [count(payment.prompt_tokens), count(payment.completion_tokens), count(payment.training_tokens)]
    return [*cells, *tokens, until]


def summary(payments: Sequence[Payment]) -> str:
    """Return a ledger in a line."""
    kinds = Counter(payment.kind for payment in payments)
    parts = [counted(kinds[kind], name)
             for kind, name in _NAMES.items() if kinds[kind]]  # fmt: skip
    chats = sum(payment.requests for payment in payments if payment.kind == "chat")
    if chats:
        parts.append(counted(chats, "chat request"))
    return " · ".join(parts) or "nothing was paid for yet"
