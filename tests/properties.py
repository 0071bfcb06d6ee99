"""How property tests are run: the same examples every time, few enough to be quick, nothing kept on disk."""

from hypothesis import settings

quick = settings(max_examples=80, derandomize=True, database=None, deadline=None)
