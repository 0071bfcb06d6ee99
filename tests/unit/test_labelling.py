"""What a learning curve says, and does not promise."""

import io

import pytest
from rich.console import Console

from engine import CurvePoint
from tui.widgets.labelling import NOTHING, labelling, sentence


def points(*accuracies, half=0.03):
    return [CurvePoint(5 * 2**n, 20 * 2**n, a, a - half, a + half) for n, a in enumerate(accuracies)]


@pytest.mark.parametrize(
    ("curve", "told"),
    [
        (points(0.6, 0.8), "From 5 to 10 images a class: +20.0 points. It still climbs"),
        (points(0.6, 0.8, 0.81), "From 10 to 20 images a class: +1.0 points. That may be chance"),
        (points(0.8, 0.8), "+0.0 points. It has levelled off"),
        (points(0.8, 0.7), "-10.0 points. It has levelled off"),
        (points(0.8), "One point is no curve"),
    ],
)
def test_what_it_says(curve, told):
    assert told in sentence(curve)


@pytest.mark.parametrize("width", [20, 56, 90])
def test_the_chart_keeps_its_width_and_the_order_of_the_labels(width):
    console = Console(width=max(width, 56), record=True, file=io.StringIO())
    console.print(labelling(points(0.6, 0.8, 0.81)[::-1], width))
    lines = console.export_text().splitlines()
    rows = [line.split() for line in lines[1:4]]
    assert [row[0] for row in rows] == ["5", "10", "20"]
    assert ["60.0%" in rows[0], "80.0%" in rows[1], "81.0%" in rows[2]] == [True] * 3
    assert ("images" in lines[0]) == (width >= 70)


def test_without_a_curve_a_plain_sentence():
    assert str(labelling([], 60)) == NOTHING


def test_what_was_left_out_of_a_curve_stands_below_it():
    console = Console(width=100, file=io.StringIO())
    console.print(labelling(points(0.6, 0.8), 100, note="left out: all 300 images"))
    assert "left out: all 300 images" in console.file.getvalue()
