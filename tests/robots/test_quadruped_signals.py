"""Quantities that people read."""

import numpy as np

from daydreamer.robots.quadruped.signals import signals
from daydreamer.robots.quadruped.task import VELOCITY_SCALE_M_S


def test_angles_are_in_degrees_and_speed_in_metres_per_second(robot):
    observation = {
        "joint_position": np.stack([robot.joint_range.normalise(robot.stand_pose_rad)] * 3),
        "gravity_up": np.array([(0.0, 0.0, 1.0), (0.0, 0.0, -1.0), (np.sin(0.5), 0.0, np.cos(0.5))]),
        "velocity": np.array([(0.2 / VELOCITY_SCALE_M_S, 9.0, 9.0)] * 3),
    }
    shown = signals(robot, observation)
    assert len(shown["joints"]) == 12
    np.testing.assert_allclose(shown["joints"]["FL thigh"], np.rad2deg(0.9))
    np.testing.assert_allclose(shown["joints"]["RR calf"], np.rad2deg(-1.8))
    np.testing.assert_allclose(shown["attitude"]["tilt"], (0.0, 180.0, np.rad2deg(0.5)), atol=1e-6)
    np.testing.assert_allclose(shown["attitude"]["nose up"], (0.0, 0.0, np.rad2deg(0.5)), atol=1e-6)
    np.testing.assert_allclose(shown["speed"]["forward"], 0.2)
