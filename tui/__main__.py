"""`python -m tui` is `dogcls-tui`."""

from tui.cli import main

main()
