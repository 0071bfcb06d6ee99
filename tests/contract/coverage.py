"""Which test asks which route with which client: `python -m tests.contract.coverage` runs the suite and prints a table."""

import os
import re
import sys
from collections import Counter, defaultdict

SEEN = defaultdict(lambda: defaultdict(set))
COLUMNS = ("dated sync", "dated async", "v1 sync", "v1 async", "ARM sync", "ARM async")

_NAMES = (
    (r"^/openai/deployments/[^/]+/", "/openai/deployments/{deployment}/"),
    (r"^/api/projects/[^/]+/openai/v1", "/api/projects/{project}/openai/v1"),
    (r"/(files|uploads|batches|jobs|models|checkpoints)/[^/]+", r"/\1/{id}"),
    (r"^/subscriptions/.*/deployments$", "…/accounts/{account}/deployments"),
    (r"^/subscriptions/.*/deployments/[^/]+$", "…/accounts/{account}/deployments/{deployment}"),
    (r"^/subscriptions/.*", "…/(operation)"),
)


def route(path):
    """Return a path with names for what differs."""
    for pattern, name in _NAMES:
        path = re.sub(pattern, name, path)
    return path.removeprefix("/openai/v1").removeprefix("/openai") if "projects" not in path else path


def note(method, path, column):
    """Note one request of the test that runs now; tidying up after it is no check."""
    running = os.environ.get("PYTEST_CURRENT_TEST", "")
    if not running.endswith("(teardown)"):
        test = running.split("[")[0].split(" ")[0].split("/")[-1]
        SEEN[f"{method:6} {route(path)}"][column].add(test)


def hooks(flavour, kind):
    """Return an http client's hooks."""

    def plain(request):
        note(request.method, request.url.path, f"{flavour} {kind}")

    async def awaited(request):
        plain(request)

    return {"request": [plain if kind == "sync" else awaited]}


def arm_hook(kind):
    """Return a hook for Azure's client."""

    def noted(request):
        path = "/" + request.http_request.url.split("://", 1)[1].split("/", 1)[1].split("?")[0]
        note(request.http_request.method, path, f"ARM {kind}")

    return noted


def table():
    """Return the table as lines of Markdown: how many tests ask a route, and the three that ask least of others."""
    tests = {name: set().union(*columns.values()) for name, columns in SEEN.items()}
    breadth = Counter(test for found in tests.values() for test in found)
    lines = ["| route | " + " | ".join(COLUMNS) + " | tests |", "|---" * (len(COLUMNS) + 2) + "|"]
    for name in sorted(SEEN, key=lambda name: (name.split()[1], name)):
        counts = [str(len(SEEN[name][column]) or "–") for column in COLUMNS]
        told = sorted(tests[name], key=lambda test: (breadth[test], test))[:3]
        more = f" and {len(tests[name]) - 3} more" if len(tests[name]) > 3 else ""
        shown = ", ".join(f"`{test.replace('.py', '')}`" for test in told)
        lines.append(f"| `{' '.join(name.split())}` | {' | '.join(counts)} | {shown}{more} |")
    return lines


if __name__ == "__main__":
    import pytest

    from tests.contract import coverage

    code = pytest.main(["-q", "tests/contract", *sys.argv[1:]])
    print("\n".join(coverage.table()))
    sys.exit(code)
