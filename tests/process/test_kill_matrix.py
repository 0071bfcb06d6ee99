"""The matrix of kills at await points: every scenario, no hole, and a part of the kills.

All of them, in a quarter of an hour or less: `python -m tests.process.kill_matrix`, or KILL_EVERY=1 here.
"""

import ast
import os

from tests.process.kill_matrix import (
    KINDS,
    SCENARIOS,
    UNREACHED,
    holes,
    kill_at,
    runs,
    table,
)
from tests.process.points import FILES, ROOT, marked, points

EVERY = int(os.environ.get("KILL_EVERY", "28"))
PAID = ("create", "create.call", "ensure_created")
"""Functions that spend money: a kill after each of their calls is always among the chosen."""


def test_every_await_is_a_point():
    for file in FILES:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        nodes = list(ast.walk(tree))
        awaits = sum(isinstance(n, ast.Await | ast.AsyncFor) for n in nodes)
        awaits += sum(n.is_async for n in nodes if isinstance(n, ast.comprehension))
        awaits += sum(2 * len(n.items) for n in nodes if isinstance(n, ast.AsyncWith))
        found = marked(file)[0]
        assert len(found) == len({point.key for point in found}) == awaits


def test_the_points_are_those_of_what_a_job_reaches():
    units = {kind: {point.unit for point in points(kind)} for kind in KINDS}
    assert "engine/azure/batches.py:create" in units["batch"]
    assert "engine/azure/fine_tuning.py:ensure_created" in units["fine_tune"]
    assert "engine/azure/deployments.py:create" in units["deploy"]
    assert "engine/azure/deployments.py:list_deployments" not in units["deploy"]  # of the check before the start
    assert not units["deploy"] & units["fine_tune"]


def test_undisturbed_each_scenario_pays_once(explored):
    assert len(explored) == len(SCENARIOS)
    assert {f"{o.scenario.kind}, {o.scenario.name}": o.wrong for o in explored if o.wrong} == {}


def test_the_matrix_has_no_hole(explored):
    gaps = holes(list(KINDS), runs(explored))
    unexplained = [(kind, p.key, p.function, p.text, when) for kind, p, when, reason in gaps if reason is None]
    assert unexplained == [], "add a scenario that comes by it, or a reason to UNREACHED"
    assert len({reason for *_, reason in gaps}) <= len(UNREACHED)


def test_killed_at_a_point_it_goes_on_and_pays_once(lanes, explored):
    chosen = runs(explored)
    known = {(kind, p.key): p for kind in KINDS for p in points(kind)}

    def wanted(number, kind, key, when):
        paid = known[kind, key].function in PAID and when == "after" and "create(" in known[kind, key].text
        return number % EVERY == 0 or paid

    some = [ways for number, (at, ways) in enumerate(chosen.items()) if wanted(number, *at)]
    outcomes = lanes.map(kill_at, some)
    print(table(list(KINDS), outcomes, []))
    assert len(outcomes) >= len(chosen) / EVERY
    assert {(o.scenario.kind, o.scenario.name, o.point, o.when): o.wrong for o in outcomes if o.wrong} == {}
