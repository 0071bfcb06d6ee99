from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation.economics import Economics, Terms, by_name
from engine.evaluation.frontier import Point, frontier, points
from engine.states import ContestantKind
from tests.properties import quick
from tests.unit.test_cascade import CNN, MONEY, VLM, WHO, at, build
from tests.unit.test_economics import row


def point(name, usd, accuracy):
    return Point(name, "cnn", usd, accuracy, 0.0, 1.0)


def test_who_is_dearer_and_no_better_is_dominated():
    found = frontier(
        [point("a", 1, 0.6), point("b", 2, 0.8), point("c", 3, 0.7), point("d", 4, 0.8), point("e", 5, 0.9)]
    )
    assert [p.name for p in found] == ["a", "b", "c", "d", "e"]
    assert {p.name: p.dominated_by for p in found if p.dominated} == {"c": ("b",), "d": ("b",)}


def test_equals_do_not_dominate_each_other():
    assert not any(p.dominated for p in frontier([point("a", 1, 0.6), point("b", 1, 0.6)]))
    assert frontier([]) == []


@quick
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 1.0, 2.5, 3.0, 9.0]), st.sampled_from([0.1, 0.5, 0.7, 0.9])), max_size=15)
)
def test_on_the_frontier_nobody_is_dominated(rows):
    found = frontier([point(str(n), usd, accuracy) for n, (usd, accuracy) in enumerate(rows)])
    kept = [p for p in found if not p.dominated]
    assert bool(kept) == bool(rows)
    for p in kept:
        assert not any(
            o.usd <= p.usd and o.accuracy >= p.accuracy and (o.usd, o.accuracy) != (p.usd, p.accuracy) for o in found
        )
    by = {p.name: p for p in found}
    for p in found:
        assert all(by[o].usd <= p.usd and by[o].accuracy >= p.accuracy for o in p.dominated_by)
        assert not p.dominated or not by[p.dominated_by[0]].dominated or by[p.dominated_by[0]].accuracy > p.accuracy
    steps = sorted({(p.usd, p.accuracy) for p in kept})
    assert steps == sorted(steps, key=lambda step: step[1])


def test_contestants_and_cascades_stand_together():
    results = [row("cnn", ContestantKind.CNN, 370), row("other", ContestantKind.CNN, 1)]
    cascade = build(WHO, CNN, VLM, at(0.5), economics=MONEY)
    unpriced = build(WHO, CNN, VLM, at(0.5))
    found = points(results, [cascade, unpriced], by_name([Economics("cnn", 12, 1)]), Terms(volume=1000, months=12))
    assert [(p.name, p.kind, p.usd) for p in found] == [
        ("cnn", "cnn", 2.0), ("cnn → zero-shot (emulated)", "cascade", 0.75),
    ]  # fmt: skip
