"""Counts agree with their nouns, no zero has a sign, ranges adjoin: in the helpers, and wherever a number is worded."""

import ast
import html
import math
import re
from dataclasses import replace

import pytest

from engine.outcomes import Outcomes
from engine.quantities import agrees, between, counted, nouns, points, signed, unsigned
from tests.outcomes import experiment
from tests.unit.test_borders import ROOT, SOURCES


def test_counts_agree_with_their_nouns():
    assert [counted(n, "image") for n in (0, 1, 2, 20_580)] == ["0 images", "1 image", "2 images", "20,580 images"]
    assert counted(1, "test image") == "1 test image" and counted(3, "test image") == "3 test images"
    assert [counted(2, noun) for noun in ("class", "batch", "query", "day", "box")] == [
        "2 classes", "2 batches", "2 queries", "2 days", "2 boxes",
    ]  # fmt: skip
    assert counted(2, "child", "children") == "2 children"
    assert counted(2, "epoch") == "2 epochs"
    assert [counted(x, "image") for x in (0.6, 1.4, 1.6)] == ["1 image", "1 image", "2 images"]
    assert [nouns(x, "month") for x in (1, 1.0, 1.5, 0)] == ["month", "month", "months", "months"]
    assert [agrees(n, "is", "are") for n in (0, 1, 2)] == ["are", "is", "are"]


@pytest.mark.parametrize("tiny", [0.0, -0.0, 1e-9, -1e-9, 0.00049, -0.00049])
def test_no_zero_has_a_minus(tiny):
    assert points(tiny) == "+0.0" and signed(tiny, 0) == "+0" and unsigned(tiny) == "0.0"
    assert points(-0.0012) == "-0.1" and points(0.5) == "+50.0" and signed(-1234.5, 0) == "-1,234"


@pytest.mark.parametrize("crossing", [1.0, 2.0, 409_652.0, 409_652.1, 409_652.5, 409_652.9])
def test_ranges_that_adjoin_name_the_same_number_and_leave_none_out(crossing):
    first, second = between(0.0, crossing, "images a month"), between(crossing, math.inf, "images a month")
    if crossing <= 1:
        assert second == "at any number of images a month"
        return
    (last,), (begin,) = re.findall(r"[\d,]+", first), re.findall(r"[\d,]+", second)
    assert first == f"below {last} images a month" and second == f"from {begin} images a month" and last == begin
    whole = int(begin.replace(",", ""))
    assert whole >= crossing > whole - 1  # each whole number belongs to one of the two
    assert between(5, crossing, "") == f"from 5 to below {last}"


# -- every surface

NOUNS = (
    "images|tokens|requests|files|labels|examples|answers|jobs|classes|batches|deployments|pairs|lines|epochs|rows|fields|"
    "columns|pictures|outcomes|cascades|attempts|networks|blocks|backbones|findings|members|characters|predictions|months"
)
BARE = re.compile(rf"^ (?!of (?:the|its) )(?:[a-z-]+ ){{0,2}}?({NOUNS})\b(?!/s)")
EXCEPTIONS = {  # what stands before the noun is no number, or never 1
    "engine/emulator/": "another company's server: its messages are the service's own",
    "engine/datasets/demo/": "nobody is shown them",
}
WORDS = re.compile(
    r"^(split|of|what|kind|way|purpose|name|names|said|where|which|whom|who|sent|form|unit|told|problem|why|on|have|have_|"
    r"are|other|it|many|more|measured|price|cost|hint|reason|experiment|dataset|backbone|command|place|measure|this)$"
)


def _number(node):
    """Return the name of what is shown as a number; None for a constant, a word, or what `counted` has worded."""
    value = node.value
    if isinstance(value, ast.Call):
        called = getattr(value.func, "id", getattr(value.func, "attr", ""))
        return "len" if called in ("len", "sum", "max", "min") else None
    name = value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", None)
    if isinstance(value, ast.BinOp | ast.Subscript):
        name = "sum"
    if name is None or name.isupper() or WORDS.match(name) or node.conversion != -1:
        return None
    return name


def _bare_plurals(tree):
    for node in ast.walk(tree):
        if not isinstance(node, ast.JoinedStr):
            continue
        for before, after in zip(node.values, node.values[1:], strict=False):
            if isinstance(before, ast.FormattedValue) and isinstance(after, ast.Constant):
                found = BARE.match(after.value)
                if found and _number(before):
                    yield node.lineno, _number(before), found[0]


def test_no_sentence_has_a_plural_behind_a_bare_number():
    """`1 images`: every count goes through `counted`, which a screen, a table, a log and an error share."""
    found = [
        (name, *bare)
        for name, path in ((path.relative_to(ROOT).as_posix(), path) for path in SOURCES)
        if not name.startswith(tuple(EXCEPTIONS))
        for bare in _bare_plurals(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


def test_no_figure_with_a_sign_can_be_a_signed_zero():
    """A format with `+` shows -0.0: `signed` and `points` do not."""
    sign = re.compile(r"\{[^{}]*:[^{}]*\+[^{}gz]*\.\d[f%]\}")
    assert [(p.name, sign.findall(p.read_text(encoding="utf-8"))) for p in SOURCES if sign.search(p.read_text())] == []


def test_the_check_itself_finds_them():
    assert list(_bare_plurals(ast.parse('f"{n:,} images have no answer"')))
    assert list(_bare_plurals(ast.parse('f"{len(found)} training images"')))
    assert not list(_bare_plurals(ast.parse("f\"{counted(n, 'image')}\"")))
    assert not list(_bare_plurals(ast.parse('f"at most {MOST} images"')))


FORMS = ("table", "markdown", "html", "full-json", "csv", "csv-classes")
WRONG = re.compile(
    rf"(?<![\d.,/-])1 (?:[a-z-]+ ){{0,2}}?({NOUNS})\b|(?<![\d.eE])[-−]\$?0(\.0+)?(?![\d.,/:%-]\d?)[ )<,]"
)


@pytest.mark.parametrize("labels", [("cat",), ("cat", "dog")], ids=["one image", "two images"])
async def test_no_rendered_surface_has_one_images_or_a_signed_zero(store, home, tmp_path, labels):
    """The smallest comparisons: one or two test images, contestants that are equal or not, money for nothing."""
    experiment(store, tmp_path / "pets", labels=labels, each=1)
    outcomes = Outcomes(store, home)
    found = await outcomes.findings("pets", replace(await outcomes.terms(), volume=1, months=1, value=1e-6))
    for form in FORMS:
        text = html.unescape(re.sub(r"<(style|script|svg).*?</\1>|<[^>]*>", " ", await outcomes.render(found, form)))
        assert [text[max(0, m.start() - 40) : m.end() + 20] for m in WRONG.finditer(text)] == [], form


def test_the_check_of_surfaces_itself_finds_them():
    assert all(WRONG.search(text) for text in ("the 1 images", "1 test images", "a -0.0 points", "net −$0.00 (", "-0 "))
    assert not any(WRONG.search(text) for text in ("1 image", "11 images", "0.1 images", "-0.1 points", "2026-01-0 "))
