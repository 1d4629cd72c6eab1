import numpy as np
import pytest

from daydreamer.config import ActorConfig, SessionConfig, TwinConfig, resolve
from daydreamer.contract.signals import Measurement
from daydreamer.errors import UserError
from daydreamer.replay import mirror
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.a1.twin import make_twin
from daydreamer.robots.quadruped.description import JOINTS
from daydreamer.robots.quadruped.kinematics import leg_kinematics
from daydreamer.robots.quadruped.task import CONTROL_RATE_HZ, QuadrupedWalkTask
from daydreamer.robots.registry import find_robot, make_task
from daydreamer.safety.filter import LowPassFilter


@pytest.fixture(scope="module")
def measurement():
    return make_twin(TwinConfig(), seed=0).measure()


def test_observation_matches_the_spec(measurement, robot):
    task = QuadrupedWalkTask(robot)
    target = np.linspace(-1, 1, JOINTS)
    state = task.observe(measurement, task.joint_targets(target))
    assert list(state.observation) == list(task.spec.observation)
    for key, space in task.spec.observation.items():
        assert (state.observation[key].shape, state.observation[key].dtype) == (space.shape, space.dtype), key
    assert sum(space.size for space in task.spec.observation.values()) == 45
    assert tuple(state.reward_terms) == task.spec.reward_terms
    assert tuple(state.info) == task.spec.info
    np.testing.assert_allclose(state.observation["gravity_up"], [0, 0, -1], atol=0.05)
    expected = robot.joint_range.normalise(task.joint_targets(target))
    np.testing.assert_allclose(state.observation["joint_target"], expected, atol=1e-6)
    assert state.info["published_reward"] == pytest.approx(5.0, abs=0.1)


def test_observation_keeps_nothing_of_its_inputs(measurement):
    target_rad = A1.stand_pose_rad.copy()
    state = QuadrupedWalkTask(A1).observe(measurement, target_rad)
    before = state.observation["joint_target"].copy()
    target_rad[:] = 7
    np.testing.assert_array_equal(state.observation["joint_target"], before)


def test_an_a1s_actions_span_the_published_range():
    task = QuadrupedWalkTask(A1)
    np.testing.assert_allclose(task.joint_targets(np.full(12, -1.0))[:3], [-0.787, -0.995, -2.679])
    np.testing.assert_allclose(task.joint_targets(np.full(12, 1.0))[-3:], [0.787, 3.665, -1.2])


def test_actions_span_their_range_around_the_stand_pose(robot):
    task = QuadrupedWalkTask(robot)
    np.testing.assert_allclose(task.joint_targets(np.full(12, -1.0)), robot.action_lower_rad)
    np.testing.assert_allclose(task.joint_targets(np.full(12, 1.0)), robot.action_upper_rad)
    standing = robot.joint_range.normalise(task.joint_targets(np.zeros(12)))
    np.testing.assert_allclose(standing, robot.reward_stand_pose, atol=1e-3)
    way = np.array([task.joint_targets(np.full(12, x)) for x in np.linspace(-1, 1, 201)])
    change = np.diff(way, axis=0)
    assert (change > 0).all()
    assert (change[100] < change[-1]).all() and (change[100, 1] < 0.1 * change[-1, 1])  # finer around the stand pose
    np.testing.assert_allclose(change[100] / 0.01, robot.near_rad, rtol=1e-3)
    np.testing.assert_array_equal(task.joint_targets(np.full(12, 3.0)), task.joint_targets(np.ones(12)))
    assert (task.joint_targets(-np.ones(12)) > task.embodiment.limits.lower_rad).all()
    assert (task.joint_targets(np.ones(12)) < task.embodiment.limits.upper_rad).all()


def test_observed_joints_are_in_units_of_the_range(measurement, robot):
    task, action = QuadrupedWalkTask(robot), np.linspace(-0.9, 0.9, JOINTS)
    measurement["joint_position_rad"] = task.joint_targets(action)
    observed = task.observe(measurement, robot.stand_pose_rad).observation["joint_position"]
    np.testing.assert_allclose(observed, robot.joint_range.normalise(task.joint_targets(action)), atol=1e-6)


def test_the_mirror_image_of_a_motion_is_a_motion_of_the_mirror_image():
    """Mirrored actions move the real twin through mirrored observations: signs and order of every element."""
    spec = QuadrupedWalkTask(A1).spec
    random = np.random.default_rng(0)
    actions = np.repeat(random.uniform(-0.4, 0.4, (2, 12)), 5, 0)
    quiet = TwinConfig(**{name: 0.0 for name in TwinConfig.__struct_fields__ if "noise" in name})

    def observe(actions):
        twin, task = make_twin(quiet, seed=0), QuadrupedWalkTask(A1)
        twin.reset("standing")
        twin.data.qpos[2] += 5.0  # in free fall: contacts are chaotic
        for action in actions:
            twin.command(task.joint_targets(action))
            twin.advance(0.05)
            state = task.observe(twin.measure(), task.joint_targets(action))
        return state.observation

    plain = observe(actions)
    turned = observe([mirror("action", action, spec) for action in actions])
    assert spec.mirror.keys() == plain.keys() | {"action"}
    for key, values in plain.items():
        np.testing.assert_allclose(turned[key], mirror(f"observation/{key}", values, spec), atol=0.02, err_msg=key)
        assert not np.array_equal(turned[key], values), key


def test_the_rate_limit_obstructs_only_leaps_across_the_whole_range(robot):
    task = QuadrupedWalkTask(robot)
    low_pass = LowPassFilter(ActorConfig().low_pass_cutoff_hz, CONTROL_RATE_HZ)
    before = task.joint_targets(np.full(12, -0.8))
    low_pass.reset(before)
    for _ in range(40):
        after = low_pass(task.joint_targets(np.full(12, 0.8)))
        assert (np.abs(after - before) * CONTROL_RATE_HZ < task.embodiment.limits.command_rate_rad_s).all()
        before = after


def test_a_wanted_image_that_is_missing_or_wrong_is_the_users_to_mend(measurement):
    task = QuadrupedWalkTask(A1, camera=True)
    with pytest.raises(UserError, match="no image has arrived"):
        task.observe(measurement, A1.stand_pose_rad)
    measurement["camera"] = np.zeros((48, 64, 3), np.uint8)
    with pytest.raises(UserError, match="shape"):
        task.observe(measurement, A1.stand_pose_rad)
    measurement["camera"] = np.zeros((64, 64, 3), np.uint8)
    assert task.observe(measurement, A1.stand_pose_rad).observation["camera"].shape == (64, 64, 3)


def test_the_camera_changes_the_spec():
    assert QuadrupedWalkTask(A1, camera=True).spec.hash != QuadrupedWalkTask(A1).spec.hash


def test_a_preset_adds_the_camera():
    image = resolve(find_robot("a1").preset("walk", "image", "twin"))
    assert "camera" in make_task(image).spec.observation
    assert "camera" not in make_task(SessionConfig()).spec.observation


def standing(robot, time_s=0.0, **changes):
    """As the reward wants it, upright, four feet loaded."""
    at_rest = Measurement(
        time_s=time_s,
        values=dict(
            joint_position_rad=robot.joint_range.denormalise(robot.reward_stand_pose),
            joint_velocity_rad_s=np.zeros(JOINTS),
            orientation_wxyz=np.array([1.0, 0.0, 0.0, 0.0]),
            angular_velocity_rad_s=np.zeros(3),
            linear_acceleration_m_s2=np.array([0.0, 0.0, 9.81]),
            foot_force_n=np.full(4, 30.0),
        ),
    )
    time_s = changes.pop("time_s", at_rest.time_s)
    return Measurement(time_s, at_rest.values | changes)


def test_standing_pays_nine_and_lying_folded_on_the_belly_counts_as_getting_up(robot):
    task, target = QuadrupedWalkTask(robot), robot.stand_pose_rad
    state = task.observe(standing(robot), target)
    assert state.reward == state.info["published_reward"] == pytest.approx(9.0)
    assert list(state.reward_terms.values()) == pytest.approx([1.0, 1.0, 1.0, 1.0, 0.0])
    np.testing.assert_allclose(state.observation["velocity"], 0.0, atol=1e-9)
    on_its_back = standing(robot, orientation_wxyz=np.array([0.0, 1.0, 0.0, 0.0]))
    assert task.observe(on_its_back, target).reward == pytest.approx(5.0)
    # Half a range away from the pose in every knee: the far end is two away.
    bent = robot.joint_range.denormalise(robot.reward_stand_pose - np.tile([0.0, 0.0, 1.0], 4))
    assert task.observe(standing(robot, joint_position_rad=bent), target).reward == pytest.approx(8.5)


def test_walking_pays_fourteen(robot):
    """Feet pushed back at 0.4 m/s each, without rolling: hips and calves as the leg's triangle demands."""
    task, pose = QuadrupedWalkTask(robot), robot.joint_range.denormalise(robot.reward_stand_pose)
    jacobian = leg_kinematics(robot, pose).jacobian_m_rad
    rates = np.concatenate([np.linalg.solve(leg, [-0.4, 0.0, 0.0]) for leg in jacobian])
    for step in range(20):
        state = task.observe(standing(robot, 0.05 * step, joint_velocity_rad_s=rates), robot.stand_pose_rad)
    assert state.reward == pytest.approx(14.0, abs=0.5)
    assert state.info["forward_velocity_m_s"] == pytest.approx(0.4, abs=0.05)


def test_an_operator_who_touches_nothing_asks_for_the_stand_pose(robot):
    task = QuadrupedWalkTask(robot)
    targets = task.joint_targets(task.operator_action(np.zeros(4)))
    np.testing.assert_allclose(robot.joint_range.normalise(targets), robot.reward_stand_pose, atol=1e-6)
    lowered = task.joint_targets(task.operator_action(np.array([0.0, 1.0, 0.0, 0.0])))
    legs = leg_kinematics(robot, lowered).foot_position_m
    assert np.all(legs[:, 2] > leg_kinematics(robot, targets).foot_position_m[:, 2] + 0.03)  # feet nearer to the trunk
