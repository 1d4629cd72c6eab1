"""What a quadruped never asks of the contract: slow policies, wheels, cameras alone, choices, episodes that end."""

import pathlib
import sys

import jax
import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from contract_toys import BEYOND_RAD, GOAL_RAD, MOVE_RAD, WHEELS, ArmTask, Body, CartTask

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.config import ActorConfig, LearnerConfig, ModelConfig, SafetyConfig
from daydreamer.contract.embodiment import Finding
from daydreamer.contract.signals import CAMERA, JOINT_POSITION, Signal, joint_signals
from daydreamer.errors import UserError
from daydreamer.learner.agent import Agent
from daydreamer.policy.policy import Policy
from daydreamer.replay import Replay
from daydreamer.robots.registry import Interface
from daydreamer.safety.flags import SAFETY_FLAGS
from daydreamer.safety.states import SafetyState
from daydreamer.safety.supervisor import SafetySupervisor


class Chooses:
    """A policy that always says the same."""

    version, created_wall_s = 1, 0.0

    def __init__(self, action):
        self.action = np.asarray(action)

    def initial_state(self):
        return None

    def __call__(self, observation, state, is_first):
        return self.action, None


class Rig:
    """A robot that lives in real time, tick by tick; `steps` is its log."""

    def __init__(self, task, action, safety=SafetyConfig(ramp_speed_rad_s=5.0), **actor):
        self.task, self.body = task, Body(task)
        self.steps, self.events, self.commands, self.rolled = [], [], [], 0
        self.loop = ControlLoop(
            task,
            ActorConfig(**{"random_s": 0.0} | actor),
            self,
            actor_life=1,
            seed=0,
            safety=safety,
            clock=lambda: self.body.now_s,
            on_event=lambda kind, **fields: self.events.append((kind, fields)),
        )
        self.loop.set_policy(Chooses(action))
        if safety is not None:
            self.live(0.5)
            assert self.loop.supervisor.activate("test")

    def append(self, step):
        step.sequence += self.rolled  # as a log does that has rolled
        self.steps.append(step)

    def live(self, seconds, each=lambda: None):
        for _ in range(round(seconds / self.loop.tick_period_s)):
            each()
            command = self.loop.step(self.body.measure(), self.body.now_s)
            self.body.obey(command)
            self.commands.append(command)
            self.body.now_s += self.loop.tick_period_s
        return self

    @property
    def state(self):
        return self.loop.supervisor.state

    def kinds(self, kind):
        return [fields for each, fields in self.events if each == kind]


STAYS, FORWARD, BACKWARD = 1, 2, 0


def test_a_policy_of_two_hertz_is_logged_at_every_choice_and_its_robot_watched_in_between():
    rig = Rig(ArmTask(), STAYS)
    assert rig.loop.ticks_per_step == 10
    rig.live(20.0)
    assert len(rig.steps) == 40 and rig.state is SafetyState.RUNNING
    assert [step.sequence for step in rig.steps if step.is_first] == [0]
    assert all(command is not None for command in rig.commands[10:])
    np.testing.assert_allclose(np.diff([step.monotonic_ns for step in rig.steps]) * 1e-9, 0.5)


def test_a_stuck_encoder_of_a_slow_robot_is_found_within_its_time():
    rig = Rig(ArmTask(), STAYS).live(5.0)
    rig.body.stuck[1] = rig.body.setpoint[1] + 0.01
    rig.live(1.0)
    assert rig.state is SafetyState.DAMPING and "encoder_stuck" in rig.loop.supervisor.watchdogs.raised


def test_between_two_choices_the_guard_lets_the_robot_come_nearer_no_faster_than_it_may():
    task = ArmTask(rate_hz=0.5)
    rig = Rig(task, FORWARD, low_pass_cutoff_hz=0.0).live(4.0)
    rate_rad_s = task.embodiment.limits.command_rate_rad_s[0]
    path = np.array([command.setpoint[0] for command in rig.commands if command is not None and not command.relaxes])
    assert np.diff(path).max() <= rate_rad_s * rig.loop.tick_period_s + 1e-9
    assert path[-1] == pytest.approx(2 * MOVE_RAD, abs=0.01)  # a choice counts once, not at every tick


def test_relative_actions_go_on_from_what_was_told_before():
    rig = Rig(ArmTask(), FORWARD, low_pass_cutoff_hz=0.0).live(2.0)
    sent = [step.action_sent[0] for step in rig.steps]
    np.testing.assert_allclose(np.diff(sent), MOVE_RAD, atol=0.06)  # logged as it leaves, nearly there a tick later


@pytest.mark.parametrize(
    ("action", "ending", "end_rad"), [(FORWARD, "success", GOAL_RAD), (BACKWARD, "failure", BEYOND_RAD)]
)
def test_an_episode_that_succeeds_or_fails_is_terminal_and_the_next_one_begins_where_the_task_wants(
    action, ending, end_rad
):
    rig = Rig(ArmTask(goes_home=True), action, low_pass_cutoff_hz=0.0)
    rig.rolled = -1000
    rig.live(12.0)
    ends = [index for index, step in enumerate(rig.steps) if step.is_last]
    assert ends and all(rig.steps[end].is_terminal for end in ends)
    assert [fields["ending"] for fields in rig.kinds("episode_end")] == [ending] * len(ends)
    assert [fields["sequence"] for fields in rig.kinds("episode_end")] == [rig.steps[end].sequence for end in ends]
    for end in ends:
        assert abs(rig.steps[end].observation["joint_position"][0]) > abs(end_rad)
    for begin in (end + 1 for end in ends if end + 1 < len(rig.steps)):
        assert rig.steps[begin].is_first and abs(rig.steps[begin].observation["joint_position"][0]) < 0.06
    assert rig.loop.restart_ticks > 0
    # Going home is nothing to learn from, but through the guard.
    path = np.array([command.setpoint[0] for command in rig.commands if command is not None and not command.relaxes])
    assert np.abs(np.diff(path)).max() <= rig.loop.tick_period_s * 1.0 + 1e-9


def test_a_restart_that_never_ends_is_given_up_and_said():
    task = ArmTask(goes_home=True)
    task.restart = lambda measurement, elapsed_s: np.array((0.3, 0.0))
    rig = Rig(task, STAYS, restart_timeout_s=2.0).live(6.0)
    assert [fields["elapsed_s"] > 2.0 for fields in rig.kinds("restart_timeout")] == [True]
    assert rig.steps and rig.steps[0].is_first


def test_a_time_limit_is_no_end_to_the_learner():
    rig = Rig(ArmTask(), STAYS).live(60.0)
    last = [step for step in rig.steps if step.is_last]
    assert [step.sequence for step in last] == [49, 99] and not any(step.is_terminal for step in last)


def test_random_actions_of_a_choice_are_classes():
    rig = Rig(ArmTask(), STAYS, random_s=20.0, random_hold_s=0.5).live(20.0)
    assert {int(step.action_requested) for step in rig.steps} == {0, 1, 2}
    assert {step.policy_version for step in rig.steps} == {0}


def test_the_same_in_lock_step_without_a_safety_supervisor_that_knows_of_time():
    rig = Rig(ArmTask(goes_home=True), FORWARD, safety=None, low_pass_cutoff_hz=0.0).live(20.0)
    assert [step.is_first for step in rig.steps].count(True) >= 2 and any(step.is_terminal for step in rig.steps)


# Wheels and a camera.


def test_wheels_are_told_speeds_within_limits_and_accelerations():
    rig = Rig(CartTask(), [3.0, -3.0], low_pass_cutoff_hz=0.0)
    rig.live(3.0, lambda: setattr(rig.body, "picture_s", rig.body.now_s))
    twists = np.array([command.setpoint for command in rig.commands if command is not None])
    assert np.abs(np.diff(twists, axis=0)).max(0) == pytest.approx([0.05, 0.4])
    np.testing.assert_allclose(twists[-1], [WHEELS.forward_m_s, -WHEELS.turn_rad_s])
    assert len(rig.steps) == 15 and rig.steps[-1].action_sent.shape == (2,)


@pytest.mark.parametrize("stop", ["emergency_stop", "pause"])
def test_a_stop_of_a_robot_on_wheels_is_a_command_of_zero_and_not_silence(stop):
    rig = Rig(CartTask(), [1.0, 0.0])
    rig.live(3.0, lambda: setattr(rig.body, "picture_s", rig.body.now_s))
    getattr(rig.loop.supervisor, stop)()
    rig.live(1.0, lambda: setattr(rig.body, "picture_s", rig.body.now_s))
    after = np.array([command.setpoint for command in rig.commands[-20:]])
    assert np.isfinite(after).all() and not after[-1].any()
    assert after[0].any() == (stop == "pause"), "a pause slows down, an emergency stop stops"


def test_a_camera_of_five_hertz_is_not_stale_beside_joints_of_a_hundred_and_holds_when_it_is():
    rig = Rig(CartTask(rate_hz=20.0), [1.0, 0.0])

    def see_now_and_then():
        if rig.body.now_s - rig.body.picture_s > 0.19:
            rig.body.picture_s = rig.body.now_s

    rig.live(5.0, see_now_and_then)
    assert rig.state is SafetyState.RUNNING and len(rig.steps) == 100
    rig.live(2.0)
    assert rig.state is SafetyState.HOLDING and "image_stale" in rig.loop.supervisor.watchdogs.raised
    assert not rig.commands[-1].setpoint.any()
    rig.live(0.5, see_now_and_then)
    assert rig.state is SafetyState.RUNNING


def test_a_slow_signal_that_is_no_picture_has_an_age_of_its_own():
    signals = joint_signals(2) | {"gripper_force_n": Signal((1,), largest=1e3, stale_s=2.0)}
    rig = Rig(ArmTask(signals=signals), STAYS)
    measure, heard_s = rig.body.measure, [rig.body.now_s]

    def with_gripper():
        measurement = measure()
        measurement.values["gripper_force_n"] = np.zeros(1)
        measurement.received_s = {"gripper_force_n": heard_s[0]}
        return measurement

    rig.body.measure = with_gripper
    rig.live(1.5)
    assert rig.state is SafetyState.RUNNING
    rig.live(1.5)
    assert rig.state is SafetyState.HOLDING
    assert rig.kinds("watchdog")[-1]["subject"] == "gripper_force_n"
    heard_s[0] = rig.body.now_s
    rig.live(0.5)
    assert rig.state is SafetyState.RUNNING


def test_a_check_of_the_robots_own_holds_it():
    class Warm:
        """Finds the shoulder beyond a fifth of a radian too warm."""

        def forget(self):
            pass

        def update(self, elapsed_s, measurement, commanded):
            angle_rad = float(measurement[JOINT_POSITION][0])
            return Finding(angle_rad > 0.2, angle_rad, 0.2, "shoulder")

    rig = Rig(ArmTask(make_checks=lambda config: [Warm()]), FORWARD, low_pass_cutoff_hz=0.0).live(3.0)
    assert rig.state is SafetyState.HOLDING
    trip = rig.kinds("watchdog")[-1]
    assert (trip["name"], trip["subject"]) == ("implausible", "shoulder")


def test_a_pose_that_the_robot_does_not_have_is_named():
    with pytest.raises(UserError, match="safety.ramp_pose is 'stand'.*'arm'.*choose one of rest"):
        SafetySupervisor(ArmTask(), ActorConfig(), SafetyConfig(ramp_pose="stand"))


def test_a_limit_of_wheels_that_is_not_stated_is_refused_by_name():
    task = CartTask()
    for name in ("forward_m_s", "acceleration_m_s2", "temperature_c"):
        limits = type(WHEELS)(**{**vars(WHEELS), name: None})
        with pytest.raises(UserError, match=name):
            task.embodiment.make_guard(limits, 0.0, 20.0)


def test_no_request_whatever_leaves_the_limits_of_wheels():
    random = np.random.default_rng(0)
    guard = CartTask().embodiment.make_guard(WHEELS, 3.0, 20.0)
    before = np.zeros(2)
    for _ in range(5000):
        requested = random.choice([0.0, 1.0, -1.0, np.nan, np.inf, 1e300, -3.0], 2) * random.standard_normal(2)
        finite = bool(np.isfinite(requested).all())
        command = random.choice([guard.command, guard.follow] if finite else [guard.command])(requested, before)
        assert finite or command.flags & SAFETY_FLAGS["action_not_finite"]
        assert -WHEELS.backward_m_s - 1e-12 <= command.setpoint[0] <= WHEELS.forward_m_s + 1e-12
        assert abs(command.setpoint[1]) <= WHEELS.turn_rad_s + 1e-12
        assert (np.abs(command.setpoint - before) <= np.array((0.05, 0.4)) + 1e-12).all()
        before = command.setpoint


def test_cameras_are_named_among_the_signals():
    assert list(CartTask().embodiment.cameras) == [CAMERA]


# Learning.


# One layer each and two imagined steps: what takes its time is to compile them.
LAYERS = {"encoder_layers": 1, "actor_layers": 1, "critic_layers": 1}
MODEL = ModelConfig(deterministic=16, hidden=16, stochastic=4, classes=4, units=16, **LAYERS)
LEARNER = LearnerConfig(batch_size=2, batch_length=8, imagination_starts=4, imagination_horizon=2)
TOYS = pytest.mark.parametrize(
    "task, action", [(ArmTask(), FORWARD), (CartTask(), [0.5, 0.1])], ids=["choices", "camera alone"]
)


def lived(task, action):
    """Steps that were logged, and a replay of them."""
    rig = Rig(task, action, random_s=10.0, random_hold_s=0.5).live(60.0)
    replay = Replay(task.spec, 4096)
    replay.append(rig.steps)
    return rig.steps, replay


@TOYS
def test_a_gradient_step_fits_what_was_logged_and_the_policy_what_is_seen(task, action):
    """Traced, and not compiled, which takes long."""
    steps, replay = lived(task, action)
    agent = Agent(task.spec, MODEL, LEARNER)
    state = jax.eval_shape(lambda: agent.initialize(0))
    after, metrics = jax.eval_shape(agent.update, state, replay.state)
    assert jax.tree.map(np.shape, after) == jax.tree.map(np.shape, state)
    assert metrics["loss/total"].shape == ()
    policy = Policy.untrained(task.spec, MODEL)
    chosen, _ = policy(steps[-1].observation, policy.initial_state(), True)
    assert_may_be_done(task, chosen)


@pytest.mark.long
@TOYS
def test_a_model_and_a_policy_are_learned_from_what_was_logged(task, action):
    steps, replay = lived(task, action)
    agent = Agent(task.spec, MODEL, LEARNER)
    state = jax.jit(agent.initialize, static_argnums=0)(0)
    before = jax.tree.map(np.array, state.parameters)
    for _ in range(2):
        state, metrics = agent.update(state, replay.state)
    assert (int(state.updates), int(state.skipped)) == (2, 0)
    assert all(np.isfinite(value).all() for value in metrics.values())
    changed = jax.tree.map(lambda old, new: bool((old != new).any()), before, state.parameters)
    assert sum(jax.tree.leaves(changed)) > len(jax.tree.leaves(changed)) / 2
    policy = Policy(agent.policy_parameters(state), task.spec, MODEL, version=1, seed=0)
    chosen, _ = policy(steps[-1].observation, policy.initial_state(), True)
    assert_may_be_done(task, chosen)


def assert_may_be_done(task, chosen):
    if task.spec.action.is_discrete:
        assert int(chosen) in range(task.spec.action.classes)
    else:
        assert chosen.shape == (2,) and (np.abs(chosen) <= 1.0).all()


# What cannot be kept safe is refused when it is made.


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"safety_rate_hz": 5.0}, "watched 5 times a second"),
        ({"signals": {JOINT_POSITION: Signal((2,))}}, "must sense"),
        ({"setpoint_kind": "twist"}, "which its limits are not of"),
    ],
)
def test_a_robot_that_cannot_be_kept_safe_is_refused(changes, words):
    with pytest.raises(UserError, match=words):
        ArmTask(**changes)


def test_a_measurement_that_lacks_the_joints_is_refused_and_the_robot_held():
    rig = Rig(ArmTask(), STAYS).live(2.0)
    measure = rig.body.measure

    def without_joints():
        measurement = measure()
        measurement.values.pop(JOINT_POSITION)
        return measurement

    rig.body.measure = without_joints
    rig.live(0.5)
    assert rig.state is SafetyState.HOLDING
    assert rig.kinds("measurement_refused")


def test_an_interface_has_a_driver_by_both_names_or_none():
    with pytest.raises(ValueError, match="both, or neither"):
        Interface(driver="somebody.driver_node")
