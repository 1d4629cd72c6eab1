import numpy as np
import pytest

from daydreamer.robots.portrayal import portray
from daydreamer.robots.quadruped.skeleton import leg_points_m, level_rotation, skeleton_m
from daydreamer.robots.quadruped.task import QuadrupedWalkTask

RANDOM = np.random.default_rng(0)


def observe(robot, up, joints_rad):
    return {"gravity_up": np.array(up), "joint_position": robot.joint_range.normalise(joints_rad)}


def test_joints_survive_the_way_there_and_back(robot):
    angles = RANDOM.uniform(robot.limits.lower_rad, robot.limits.upper_rad)
    np.testing.assert_allclose(robot.joint_range.denormalise(robot.joint_range.normalise(angles)), angles)


def test_links_keep_their_lengths_in_every_pose(robot):
    """Hip offset, thigh and calf; the foot comes from the odometry's kinematics, the knee from the skeleton's own."""
    for _ in range(100):
        points = leg_points_m(robot, RANDOM.uniform(robot.limits.lower_rad, robot.limits.upper_rad))
        lengths_m = np.linalg.norm(np.diff(points, axis=1), axis=-1)
        expected_m = (abs(robot.thigh_offset_m[0]), robot.thigh_length_m, robot.calf_length_m)
        np.testing.assert_allclose(lengths_m, np.tile(expected_m, (4, 1)), atol=1e-9)


def test_standing_is_as_high_as_published(robot):
    lines = skeleton_m(robot, observe(robot, (0.0, 0.0, 1.0), robot.stand_pose_rad))
    hip_height_m = lines["FL"][0, 2]
    assert hip_height_m == pytest.approx(robot.stand_height_m, abs=robot.foot_radius_m + 0.01)
    assert lines["FL"][1, 1] > 0 > lines["FR"][1, 1] and lines["head"][1, 0] > 0


def test_dashboard_and_report_draw_it(robot):
    portrayal = portray(QuadrupedWalkTask(robot).spec)
    seen = observe(robot, (0.0, 0.0, 1.0), robot.stand_pose_rad)
    np.testing.assert_array_equal(portrayal.skeleton_m(seen)["FL"], skeleton_m(robot, seen)["FL"])


def test_on_its_back_the_feet_point_up(robot):
    lines = skeleton_m(robot, observe(robot, (0.0, 0.0, -1.0), robot.stand_pose_rad))
    assert lines["RR"][-1, 2] > lines["RR"][0, 2] and lines["trunk_top"][:, 2].max() == pytest.approx(0.0)


@pytest.mark.parametrize("up", [(0.0, 0.0, 1.0), (0.6, 0.0, 0.8), (0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (-1.0, 0.0, 0.0)])
def test_up_is_up(up):
    rotation = level_rotation(np.array(up))
    np.testing.assert_allclose(rotation @ up, (0.0, 0.0, 1.0), atol=1e-9)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
