"""What the painter lets through leaves the same screen as everything would have, in far fewer bytes."""

import random

import pyte
import pytest
from rich.cells import cell_len, set_cell_size

from tui.painter import Painter

ROWS, COLUMNS = 8, 30
PENS = ("0", "1;38;2;224;164;88;48;2;21;23;26", "38;5;12", "7")
WORDS = ("loss 0.5432", "┌─ Jobs ─┐", "狗🐕", "e\u0301te\u0301", "⣿⣀", " ", "a longer line than most")


class Glass:
    """A terminal, and what stands on it."""

    def __init__(self):
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self.stream = pyte.Stream(self.screen)

    def cells(self):
        return [[self.screen.buffer[row][column] for column in range(COLUMNS)] for row in range(ROWS)]


def frame(chance):
    """Return a frame as Textual writes one: jumps, colours, text, between the marks of a synchronized update."""
    told = ["\x1b[?2026h"]
    for _ in range(chance.randint(1, 6)):
        row, column = chance.randrange(ROWS), chance.randrange(COLUMNS - 1)
        told.append(f"\x1b[{row + 1};{column + 1}H")
        room = COLUMNS - column
        for _ in range(chance.randint(1, 3)):
            word = chance.choice(WORDS)
            word = set_cell_size(word, min(room, cell_len(word)))  # it ends where the row does
            room -= cell_len(word)
            told.append(f"\x1b[{chance.choice(PENS)}m{word}\x1b[0m")
    told.append(f"\x1b[{ROWS};1H\x1b[?2026l")
    return "".join(told)


@pytest.mark.parametrize("seed", range(40))
def test_the_screen_is_the_same(seed):
    chance = random.Random(seed)
    painter, all_of_it, sparing = Painter(), Glass(), Glass()
    for number in range(60):
        data = frame(chance)
        all_of_it.stream.feed(data)
        sparing.stream.feed(painter.paint(data))
        assert sparing.cells() == all_of_it.cells(), f"frame {number}"
        if chance.random() < 0.1:  # another program clears the screen and asks for all of it
            data = "\x1b[2J"
            all_of_it.stream.feed(data)
            sparing.stream.feed(painter.paint(data))
        if chance.random() < 0.1:
            painter.forget()


def test_a_frame_that_changes_nothing_sends_nothing():
    painter = Painter()
    data = "\x1b[?2026h\x1b[2;3H\x1b[1mtime\x1b[0m left\x1b[?2026l"
    assert "time" in painter.paint(data)
    assert painter.paint(data) == ""


def test_only_the_cells_that_differ_are_sent():
    painter = Painter()
    painter.paint("\x1b[1;1H" + "a" * 40 + "12:59")
    assert painter.paint("\x1b[1;1H" + "a" * 40 + "13:00") == "\x1b[1;42H3:00"


def test_what_may_touch_the_screen_is_forgotten_and_what_may_not_is_not():
    painter = Painter()
    data = "\x1b[1;1Hhere"
    painter.paint(data)
    assert painter.paint("\x1b]2;a title\x07\x07\x1b[?25l") == "\x1b]2;a title\x07\x07\x1b[?25l"
    assert painter.paint(data) == ""
    assert "\x1b[?1049l" in painter.paint("\x1b[?1049l")
    assert "here" in painter.paint(data)


def test_the_shell_does_not_inherit_our_colours():
    painter = Painter()
    painter.paint("\x1b[1;1H\x1b[1mbold\x1b[0m")
    assert painter.paint("\x1b[?1049l").endswith("\x1b[0m\x1b[?1049l")
