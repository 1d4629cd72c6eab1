"""Each robot's figures against what follows by hand from its URDF and from what it has to do."""

import numpy as np
import pytest
import yaml

from daydreamer.robots.a1.constants import A1
from daydreamer.robots.go2.constants import GO2
from daydreamer.robots.quadruped.description import FOOT_NAMES, JOINT_NAMES
from daydreamer.robots.quadruped.kinematics import leg_kinematics
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.safety.limiter import POSITION_MARGIN_RAD, check_limits


def feet_m(hip, thigh, calf):
    return leg_kinematics(GO2, np.tile([hip, thigh, calf], 4)).foot_position_m


def test_legs_that_hang_straight_end_two_links_below_the_hips():
    expected = [(0.1934, -0.142, -0.426), (0.1934, 0.142, -0.426), (-0.1934, -0.142, -0.426), (-0.1934, 0.142, -0.426)]
    np.testing.assert_allclose(feet_m(0.0, 0.0, 0.0), expected, atol=1e-12)


def test_angles_turn_as_rep_103_says():
    """A positive hip swings all feet to the left, a positive thigh backwards, a negative calf forwards."""
    front_right, front_left, rear_right, rear_left = feet_m(np.pi / 2, 0.0, 0.0)
    np.testing.assert_allclose(front_left, [0.1934, 0.0465 + 0.426, 0.0955], atol=1e-12)
    np.testing.assert_allclose(rear_right, [-0.1934, -0.0465 + 0.426, -0.0955], atol=1e-12)
    np.testing.assert_allclose(feet_m(0.0, np.pi / 2, 0.0)[1], [0.1934 - 0.426, 0.142, 0.0], atol=1e-12)
    np.testing.assert_allclose(feet_m(0.0, 0.0, -np.pi / 2)[1], [0.1934 + 0.213, 0.142, -0.213], atol=1e-12)


@pytest.mark.parametrize(
    "joint, lower_rad, upper_rad, torque_n_m, speed_rad_s",
    [
        ("FL_hip_joint", -1.0472, 1.0472, 23.7, 30.1),
        ("FR_thigh_joint", -1.5708, 3.4907, 23.7, 30.1),
        ("RR_thigh_joint", -0.5236, 4.5379, 23.7, 30.1),
        ("RL_thigh_joint", -0.5236, 4.5379, 23.7, 30.1),
        ("RL_calf_joint", -2.7227, -0.83776, 45.43, 15.7),
    ],
)
def test_limits_are_those_of_the_urdf(joint, lower_rad, upper_rad, torque_n_m, speed_rad_s):
    index, limits = JOINT_NAMES.index(joint), GO2.limits
    assert (limits.lower_rad[index], limits.upper_rad[index]) == (lower_rad, upper_rad)
    assert (limits.torque_n_m[index], limits.command_rate_rad_s[index]) == (torque_n_m, speed_rad_s)
    assert limits.velocity_rad_s[index] > speed_rad_s


def test_motors_and_feet_are_in_unitrees_order():
    # unitree_sdk2_python, example/go2/low_level/unitree_legged_const.py: FR_0 is 0, FL_0 is 3, RR_0 is 6, RL_0 is 9.
    assert [JOINT_NAMES.index(f"{leg}_hip_joint") for leg in ("FR", "FL", "RR", "RL")] == [0, 3, 6, 9]
    assert [name[:2] for name in FOOT_NAMES] == ["FR", "FL", "RR", "RL"]


def test_poses_and_targets_are_within_the_limits_that_the_supervisor_keeps(robot):
    limits, task = robot.limits, QuadrupedWalkTask(robot)
    check_limits(limits, len(JOINT_NAMES))
    reached = [*task.embodiment.poses.values(), *(task.joint_targets(np.full(12, x)) for x in (-1.0, 0.0, 1.0))]
    for pose_rad in reached:
        assert (pose_rad > limits.lower_rad + POSITION_MARGIN_RAD).all()
        assert (pose_rad < limits.upper_rad - POSITION_MARGIN_RAD).all()


def test_the_driver_can_give_what_two_legs_need_and_no_more_than_the_motors_can(robot):
    torque_n_m = robot.limits.gains.stiffness_n_m_rad * robot.limits.gains.max_target_error_rad
    lever_m = robot.thigh_length_m * np.sin(robot.stand_pose_rad[1])
    assert torque_n_m[2] > 1.4 * lever_m * robot.mass_kg * 9.81 / 2
    assert (torque_n_m < robot.limits.torque_n_m).all()


def test_the_drivers_parameters_are_what_the_folder_says(robot, pytestconfig):
    parameters = yaml.safe_load((pytestconfig.rootpath / "config" / f"{robot.name}.yaml").read_text())
    driver, gains = parameters[f"/**/unitree_{robot.name}"]["ros__parameters"], robot.limits.gains
    assert driver["stiffness_n_m_rad"] * 4 == gains.stiffness_n_m_rad.tolist()
    assert [driver["max_target_error_rad"]] * 12 == gains.max_target_error_rad.tolist()


def test_folded_legs_get_up_and_sit_down(robot):
    """From the rest pose the first of the actions that get the robot up folds its legs, the second stands."""
    task = QuadrupedWalkTask(robot)
    folded, up = (task.joint_targets(action) for action in task.get_up_actions)
    np.testing.assert_allclose(folded, robot.rest_pose_rad, atol=0.01)
    heights = [-leg_kinematics(robot, pose).foot_position_m[:, 2].mean() for pose in (folded, up)]
    assert heights[0] < 0.45 * heights[1]


def test_an_a1_is_what_it_was():
    """Sessions recorded before it shared its code with other robots still open."""
    assert QuadrupedWalkTask(A1).spec.hash == "a11c257ca8b2"
    assert QuadrupedWalkTask(A1, camera=True).spec.hash == "8c68978c5ef5"


def test_a_go2_is_not_an_a1():
    assert QuadrupedWalkTask(GO2).spec.hash != QuadrupedWalkTask(A1).spec.hash
