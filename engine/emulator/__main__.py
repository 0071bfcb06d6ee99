"""Run with `python -m engine.emulator`."""

import sys

from engine.emulator.server import main

sys.exit(main())
