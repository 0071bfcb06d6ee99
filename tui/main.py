"""Where `dogcls-tui` begins. Without arguments the app opens before the command line is even loaded."""

from __future__ import annotations

import sys
from pathlib import Path

from engine import DogclsError, described, give_up, guard_streams, make_private, open_closed
from tui.text import literal


def main() -> None:
    """Open the app or run a command; turn every error into one line and its exit code."""
    open_closed()
    guard_streams()
    try:
        Path.cwd()  # of a folder that is gone: an error here, and not somewhere within a library
        make_private()
        if len(sys.argv) == 1:
            from tui.opening import open_app
            from tui.options import Globals

            open_app(Globals())
        else:
            from tui.cli import app

            app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has left
        give_up(sys.stdout)
        give_up(sys.stderr)
        sys.exit(1)
    except OSError as error:
        if error.filename == "stdout":
            give_up(sys.stdout)
        _end(str(described(error)), 1)
    except Exception as error:
        found = error if isinstance(error, DogclsError) else described(error)
        _end(str(found), found.exit_code)


def _end(line: str, code: int) -> None:
    print(f"error: {literal(line)}", file=sys.stderr)
    sys.exit(code)
