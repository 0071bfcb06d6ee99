"""Where `dogcls-tui` begins. Without arguments the app opens before the command line is even loaded."""

from __future__ import annotations

import os
import sys

from engine import DogclsError, described, guard_streams
from tui.text import literal


def main() -> None:
    """Open the app or run a command; turn every known error into one line and its exit code."""
    guard_streams()
    try:
        if len(sys.argv) == 1 and sys.stdout.isatty():
            from tui.opening import open_app
            from tui.options import Globals

            open_app(Globals(umask=os.umask(0o077)))
        else:
            from tui.cli import app

            app()
    except DogclsError as error:
        print(f"error: {literal(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        print(f"error: {literal(str(described(error)))}", file=sys.stderr)
        sys.exit(1)
