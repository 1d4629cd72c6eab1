"""The post and the robot's marker in pictures, at places worked out by hand."""

import numpy as np
import pytest

from daydreamer.robots.burger.sight import find_post, find_robot

ALL = slice(None)


def patched(rows, columns, colour):
    picture = np.full((64, 64, 3), 90, np.uint8)
    picture[rows, columns] = colour
    return picture


def test_no_post():
    assert find_post(patched(ALL, ALL, (90, 90, 90))).tolist() == [0.0, 0.0, 0.0]
    assert find_post(np.zeros((64, 64, 3), np.uint8)).tolist() == [0.0, 0.0, 0.0]  # a dark room has no colours


@pytest.mark.parametrize("exposure", [0.4, 1.0, 1.25])
def test_the_post_is_where_it_is_however_the_picture_is_exposed(exposure):
    colour = (np.array((200, 20, 20)) * exposure).astype(np.uint8)
    assert find_post(patched(slice(10, 40), slice(0, 8), colour)) == pytest.approx((1.0, 0.875, 8 / 19.2))
    assert find_post(patched(ALL, slice(0, 48), colour)) == pytest.approx((1.0, 0.25, 1.0))


def test_orange_and_brown_are_no_post():
    assert find_post(patched(ALL, slice(0, 8), (230, 130, 40)))[0] == 0.0
    assert find_post(patched(ALL, slice(0, 8), (150, 100, 70)))[0] == 0.0


def test_the_robot_is_found_in_arena_units():
    green = (20, 200, 30)
    # Pixels 4 to 60 are the arena: 18 is a quarter of the way, 46 three quarters.
    assert find_robot(patched(slice(44, 48), slice(16, 20), green)) == pytest.approx((0.25, 0.75))
    assert find_robot(patched(slice(44, 45), slice(16, 18), green)) is None  # a speck
    assert find_robot(patched(ALL, slice(0, 8), (200, 20, 20))) is None
