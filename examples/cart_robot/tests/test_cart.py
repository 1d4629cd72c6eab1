"""The cart keeps daydreamer's contract, and what is its own is right."""

import numpy as np
import pytest
from cart_robot import ROBOT
from cart_robot.blob import find_post
from cart_robot.constants import TWIST_OF_WHEELS, WHEELS_OF_TWIST

from daydreamer.conformance import describe, examine, failures


@pytest.mark.parametrize("task", ROBOT.tasks)
def test_contract(task, tmp_path):
    checks = examine(ROBOT, task, tmp_path)
    assert not failures(checks), describe(checks)


def test_the_post_is_found_where_it_is():
    picture = np.full((64, 64, 3), 90, np.uint8)
    assert find_post(picture).tolist() == [0.0, 0.0, 0.0]
    picture[:, :8] = (200, 20, 20)
    assert find_post(picture) == pytest.approx((1.0, 0.875, 8 / (0.2 * 64)))
    picture[:, :48] = (200, 20, 20)
    assert find_post(picture) == pytest.approx((1.0, 0.25, 1.0))


def test_wheels_that_turn_alike_drive_straight_ahead():
    assert TWIST_OF_WHEELS @ (10.0, 10.0) == pytest.approx((0.33, 0.0))
    forward_m_s, turn_rad_s = TWIST_OF_WHEELS @ (-1.0, 1.0)
    assert forward_m_s == pytest.approx(0.0) and turn_rad_s == pytest.approx(2 * 0.033 / 0.16)  # to the left
    assert WHEELS_OF_TWIST @ TWIST_OF_WHEELS == pytest.approx(np.eye(2))
