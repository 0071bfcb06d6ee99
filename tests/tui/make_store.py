"""Keeps the store of a home in which the demo has run, for the snapshots: `python -m tests.tui.make_store HOME`."""

import gzip
import sqlite3
import sys
from pathlib import Path

KEPT = Path(__file__).with_name("demo_run.sql.gz")


def main(home):
    home = home.resolve()
    connection = sqlite3.connect(home / "store.db")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    lines = [f"PRAGMA user_version = {version};", *connection.iterdump()]
    text = "\n".join(lines).replace(str(home), "/home/somebody/.local/share/dogcls-tui")
    KEPT.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(KEPT, KEPT.stat().st_size)


def restore(path):
    """Write the kept store to a path."""
    connection = sqlite3.connect(path)
    connection.executescript(gzip.decompress(KEPT.read_bytes()).decode())
    connection.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
