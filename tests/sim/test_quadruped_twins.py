"""What every quadruped's twin must be: the body that its constants state, in the poses that its reward is made for.

Found by their folders, so that a robot that is added is tested without a word here.
"""

import msgspec
import mujoco
import numpy as np
import pytest

from daydreamer.config import RandomisationConfig, resolve
from daydreamer.contract.frames import GRAVITY_M_S2
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.go2.constants import GO2
from daydreamer.robots.quadruped.description import JOINT_NAMES, JOINTS, LEG_NAMES
from daydreamer.robots.quadruped.kinematics import leg_kinematics
from daydreamer.robots.quadruped.task import CONTROL_RATE_HZ, QuadrupedWalkTask
from daydreamer.robots.registry import find_robot
from sim.environment import make_environment
from sim.rehearsal import rehearse

ROBOTS = {robot.name: robot for robot in (A1, GO2)}


def configuration(robot, **twin):
    """That of a session with the robot's own driver."""
    return resolve(find_robot(robot).preset("walk", "default", "twin"), {"twin": twin})


def make_twin(robot, config, seed):
    return find_robot(robot).make_twin(config, seed)


@pytest.fixture(params=ROBOTS)
def robot(request):
    return ROBOTS[request.param]


@pytest.fixture
def task(robot):
    return QuadrupedWalkTask(robot)


@pytest.fixture
def twin(robot):
    return make_twin(robot.name, configuration(robot.name).twin, seed=0)


@pytest.fixture
def noiseless(robot):
    config = configuration(robot.name).twin
    return make_twin(robot.name, msgspec.structs.replace(config, **dict.fromkeys(noises(config), 0.0)), seed=0)


def noises(config):
    return [name for name in config.__struct_fields__ if "_noise_" in name]


def hold(twin, targets, seconds):
    for _ in range(round(seconds * CONTROL_RATE_HZ)):
        twin.command(targets)
        twin.advance(1 / CONTROL_RATE_HZ)


def test_the_driver_is_the_one_that_the_safety_supervisor_reckons_with(robot):
    config, gains = configuration(robot.name).twin, robot.limits.gains
    assert (gains.stiffness_n_m_rad == config.stiffness_n_m_rad).all()
    assert (gains.max_target_error_rad == config.max_target_error_rad).all()


def test_weighs_what_was_published(robot, twin):
    assert twin.model.body("trunk").subtreemass[0] == pytest.approx(robot.mass_kg)


def test_joints_are_in_the_order_and_within_the_limits_of_the_constants(robot, twin):
    model = twin.model
    assert twin.joint_names == JOINT_NAMES
    for index, name in enumerate(JOINT_NAMES):
        np.testing.assert_allclose(
            model.joint(name).range, [robot.limits.lower_rad[index], robot.limits.upper_rad[index]]
        )
        np.testing.assert_array_equal(
            model.actuator(name).ctrlrange, robot.limits.torque_n_m[index] * np.array((-1.0, 1.0))
        )


def test_feet_are_where_the_kinematics_puts_them(robot, twin):
    pose_rad = np.random.default_rng(0).uniform(robot.limits.lower_rad, robot.limits.upper_rad)
    twin.place_base(np.array((0.0, 0.0, 1.0)), np.array((1.0, 0.0, 0.0, 0.0)))
    twin.place_joints(pose_rad)
    mujoco.mj_kinematics(twin.model, twin.data)
    feet_m = [twin.data.geom(f"{leg}_foot").xpos - twin.data.body("trunk").xpos for leg in LEG_NAMES]
    # What the constants leave out is less than 3 mm.
    np.testing.assert_allclose(feet_m, leg_kinematics(robot, pose_rad).foot_position_m, atol=0.003)


def test_starts_at_rest_on_its_back_where_the_reward_is_five(robot, twin, task):
    truth = twin.truth()
    assert truth.up_z < -0.95
    assert np.linalg.norm(truth.velocity_m_s) < 0.01
    assert task.observe(twin.measure(), robot.stand_pose_rad).reward == pytest.approx(5.0, abs=0.1)


def test_lies_on_its_back_without_jitter(twin):
    twin.advance(3.0)  # the damped legs have sunk to their stops
    start_m = twin.truth().position_m
    for _ in range(40):
        twin.advance(0.05)
        assert np.abs(twin.data.qvel).max() < 0.02
    assert np.linalg.norm(twin.truth().position_m - start_m) < 0.002


def test_gets_up_from_its_belly_by_the_actions_that_its_task_states(robot, twin, task):
    """Folded it counts as getting up: neither as fallen nor as back on its feet."""
    actor = configuration(robot.name).actor
    twin.reset("standing")
    crouch, stretch = (task.joint_targets(action) for action in task.get_up_actions)
    hold(twin, crouch, 2.0)
    assert twin.truth().up_z > 0.95 and 0.05 < twin.truth().height_m < 0.17
    assert actor.fallen_reward < task.observe(twin.measure(), crouch).reward < actor.recovered_reward
    hold(twin, stretch, 2.0)
    assert twin.truth().up_z > 0.95
    assert robot.stand_height_m - 0.03 < twin.truth().height_m < robot.stand_height_m + 0.03
    assert task.observe(twin.measure(), stretch).reward > actor.recovered_reward


def test_stands_still(robot, twin):
    twin.reset("standing")
    hold(twin, robot.stand_pose_rad, 2.0)
    start = twin.truth()
    hold(twin, robot.stand_pose_rad, 2.0)
    end = twin.truth()
    assert end.up_z > 0.99
    # The driver sags under the weight; what is left is what the legs' angles say.
    assert robot.stand_height_m - 0.03 < end.height_m < robot.stand_height_m
    feet_m = leg_kinematics(robot, twin.data.qpos[7:]).foot_position_m
    assert end.height_m == pytest.approx(robot.foot_radius_m - feet_m[:, 2].mean(), abs=0.002)
    assert np.linalg.norm(end.position_m - start.position_m) < 0.01
    force_n = twin.measure()["foot_force_n"]
    assert force_n.sum() == pytest.approx(robot.mass_kg * GRAVITY_M_S2, rel=0.05)
    assert (force_n > 10).all()


def test_standing_as_the_reward_asks_gives_nine(robot, twin, task):
    twin.reset("standing")
    # The PD controller sags under the weight: the target leads the pose that it is to give.
    pose_rad = task.joint_targets(np.zeros(JOINTS))
    for _ in range(60):
        hold(twin, pose_rad + 0.5 * (pose_rad - twin.data.qpos[7:]), 0.05)
        state = task.observe(twin.measure(), robot.stand_pose_rad)
    assert state.reward == pytest.approx(9.0, abs=0.2)
    assert state.info["published_reward"] == pytest.approx(9.0, abs=0.2)


def test_rolls_over(twin, task):
    """The body allows what the robot is to learn: random swings of the legs turn it over within a minute."""
    random = np.random.default_rng(0)
    for _ in range(100):
        hold(twin, task.joint_targets(random.choice((-1.0, 1.0), JOINTS)), 0.6)
        if twin.truth().up_z > 0.7:
            return
    pytest.fail("still not upright")


def test_an_accelerometer_and_a_gyroscope_at_rest(robot, noiseless):
    noiseless.reset("standing")
    hold(noiseless, robot.stand_pose_rad, 1.0)
    standing = noiseless.measure()
    np.testing.assert_allclose(standing["linear_acceleration_m_s2"], [0, 0, 9.81], atol=0.2)
    np.testing.assert_allclose(standing["angular_velocity_rad_s"], 0, atol=0.02)
    noiseless.reset()
    np.testing.assert_allclose(noiseless.measure()["linear_acceleration_m_s2"], [0, 0, -9.81], atol=0.3)


@pytest.mark.parametrize("timeout_s, stands", [(0.25, False), (0.0, True)])
def test_a_dead_actor_lets_the_robot_sink_but_not_without_a_timeout(robot, timeout_s, stands):
    twin = make_twin(robot.name, configuration(robot.name, command_timeout_s=timeout_s).twin, seed=0)
    twin.reset("standing")
    hold(twin, robot.stand_pose_rad, 0.5)
    twin.advance(3.0)
    assert (twin.truth().height_m > robot.stand_height_m - 0.03) == stands
    assert stands or twin.truth().height_m < 0.15


@pytest.mark.parametrize("randomised", [False, True])
def test_random_actions_give_nothing_that_is_not_finite(robot, randomised):
    config = configuration(robot.name, randomisation=msgspec.to_builtins(RandomisationConfig(enabled=randomised)))
    environment = make_environment(robot.name, config)
    random = np.random.default_rng(0)
    environment.reset()
    for _ in range(300):
        time_step = environment.step(random.uniform(-1.0, 1.0, JOINTS))
        for key, values in time_step.observation.items():
            assert np.isfinite(values).all(), key
        assert time_step.reward is None or 0.0 <= time_step.reward <= 14.0
        assert np.isfinite(environment.physics.get_state()).all()
    assert environment.truth.position_m[2] > 0.0


def test_every_drawn_robot_stands(robot):
    for seed in range(3):
        twin = make_twin(robot.name, configuration(robot.name, randomisation={"enabled": True}).twin, seed)
        twin.reset("standing")
        hold(twin, robot.stand_pose_rad, 1.0)
        assert twin.truth().height_m > 0.7 * robot.stand_height_m, twin.drawn


def test_an_incident_can_be_rehearsed_with_it(robot):
    config = configuration(robot.name)
    (incident,) = resolve({"twin": {"incidents": [{"kind": "network_stall", "start_s": 0.5}]}}).twin.incidents
    result = rehearse(incident, seconds=2.0, config=config, robot=robot.name)
    assert result.reactions == ["holding: state_stale", "running: all clear"]
    assert result.lowest_height_m > 0.6 * robot.stand_height_m
