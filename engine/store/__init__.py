"""The store: SQLite (WAL) and atomic files. The only room with sqlite3, and the only truth."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.store.store import Store

__all__ = ["Store"]


def __getattr__(name: str) -> Any:
    """Load the whole store when it is first asked for; a command that only reads images needs less."""
    if name != "Store":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from engine.store.store import Store

    globals()[name] = Store
    return Store
