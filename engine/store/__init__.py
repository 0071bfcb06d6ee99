"""The store: SQLite (WAL) and atomic files. The only room with sqlite3, and the only truth."""

from engine.store.store import Store

__all__ = ["Store"]
