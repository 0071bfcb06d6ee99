"""One share of the drawing, as a process: TARGET PER_CLASS SEED SHARE SHARES; prints how many it drew.

Where a picture cannot be written, the exit code is the system's error number.
"""

import os
import sys
from pathlib import Path

from engine.datasets.demo.writing import draw_share

os.umask(0o077)
per_class, seed, share, shares = (int(value) for value in sys.argv[2:6])
try:
    draw_share(Path(sys.argv[1]), per_class, seed, share, shares, lambda count: print(count, flush=True))
except OSError as error:
    sys.exit(error.errno or 1)
