from hypothesis import given
from hypothesis import strategies as st

from tui.widgets.gallery import LEAST, MOST, SMALLEST, arranged


def test_two_pictures_have_the_room_of_eight():
    _, small, room = arranged(98, 30)
    across, large, for_two = arranged(98, 30, 2)
    assert room >= LEAST and for_two >= 2 == across
    assert large > 1.5 * small


@given(st.integers(SMALLEST, 300), st.integers(SMALLEST // 2 + 2, 80), st.integers(1, 1000))
def test_whatever_there_is_fits(width, height, there):
    across, cell, room = arranged(width, height, there)
    assert across * (cell + 1) - 1 <= width and 1 <= room <= MOST
    assert -(-room // across) * (cell // 2 + 2) <= height
