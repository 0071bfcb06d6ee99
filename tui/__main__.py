"""`python -m tui` is `dogcls-tui`."""

from tui.main import main

main()
