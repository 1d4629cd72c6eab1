import mujoco
import numpy as np
import pytest

from daydreamer.config import TwinConfig
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.a1.twin import make_twin
from daydreamer.robots.quadruped.description import JOINTS, LEG_NAMES
from daydreamer.robots.quadruped.kinematics import leg_kinematics


@pytest.fixture(scope="module")
def twin():
    return make_twin(TwinConfig(), seed=0)


def random_pose(robot, seed):
    return np.random.default_rng(seed).uniform(robot.limits.lower_rad, robot.limits.upper_rad)


@pytest.mark.parametrize("seed", range(5))
def test_an_a1s_feet_and_knee_axes_are_where_mujoco_puts_them(twin, seed):
    pose = random_pose(A1, seed)
    data = mujoco.MjData(twin.model)
    data.qpos[:7] = (0, 0, 1, 1, 0, 0, 0)
    data.qpos[7:] = pose
    mujoco.mj_kinematics(twin.model, data)
    legs = leg_kinematics(A1, pose)
    for leg, name in enumerate(LEG_NAMES):
        foot = data.site(f"{name}_foot").xpos - data.body("trunk").xpos
        np.testing.assert_allclose(legs.foot_position_m[leg], foot, atol=1e-9)
        axis = data.joint(f"{name}_calf_joint").xaxis
        np.testing.assert_allclose(legs.knee_axis[leg], axis, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_jacobian_is_the_derivative_of_the_foot_position(robot, seed):
    pose, step = random_pose(robot, seed), 1e-6
    jacobian = leg_kinematics(robot, pose).jacobian_m_rad
    for joint in range(JOINTS):
        offset = step * np.eye(JOINTS)[joint]
        after, before = (leg_kinematics(robot, pose + sign * offset).foot_position_m for sign in (1, -1))
        expected = np.zeros((4, 3))
        expected[joint // 3] = jacobian[joint // 3, :, joint % 3]
        np.testing.assert_allclose((after - before) / (2 * step), expected, atol=1e-8)


def test_standing_feet_are_a_stand_height_below_the_trunk(robot):
    feet = leg_kinematics(robot, robot.stand_pose_rad).foot_position_m
    np.testing.assert_allclose(feet[:, 2] - robot.foot_radius_m, -robot.stand_height_m, atol=0.002)
