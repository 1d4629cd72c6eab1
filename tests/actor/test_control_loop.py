import itertools
import resource

import numpy as np
import pytest

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.config import ActorConfig, SafetyConfig, SessionConfig
from daydreamer.errors import UserError
from daydreamer.experience.log import ExperienceWriter, list_logs
from daydreamer.experience.tail import LogTail
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.a1.twin import make_twin
from daydreamer.robots.registry import find_robot, make_task
from daydreamer.safety.flags import SAFETY_FLAGS
from daydreamer.safety.states import SafetyState


class CountingPolicy:
    """Always the same action; its state counts the steps since it was made and carries the flags it was told."""

    def __init__(self, version: int, action: float = 0.2):
        self.version = version
        self.action = action
        self.calls: list[tuple[int, bool]] = []

    def initial_state(self):
        return 0

    def __call__(self, observation, state, is_first):
        self.calls.append((state, is_first))
        return np.full(12, self.action, np.float32), state + 1


class Rig:
    """The real twin, task and log, in lock-step."""

    def __init__(self, directory, earlier_steps=0, **actor):
        self.config = SessionConfig()
        self.task = make_task(self.config)
        self.spec = self.task.spec
        self.twin = make_twin(self.config.twin, seed=0)
        self.directory = directory
        self.writer = ExperienceWriter(directory, self.spec, 1, fsync_period_s=1.0)
        self.events = []
        self.loop = ControlLoop(
            self.task,
            ActorConfig(**actor),
            self.writer,
            actor_life=1,
            seed=0,
            earlier_steps=earlier_steps,
            clock=lambda: self.twin.time_s,
            on_event=lambda kind, **fields: self.events.append({"kind": kind} | fields),
        )

    def step(self, measurement=None):
        command = self.loop.step(measurement or self.twin.measure(), self.twin.time_s)
        self.twin.command(None if command.relaxes else command.setpoint)
        self.twin.advance(self.spec.control_period_s)
        return command

    def logged(self):
        return LogTail(list_logs(self.directory)[1], self.spec).read()


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path, random_s=0)


def test_episodes_are_cut_by_a_time_limit_that_is_not_terminal(rig):
    for _ in range(2 * rig.spec.episode_steps + 3):
        rig.step()
    steps = rig.logged()
    length = rig.spec.episode_steps
    assert [step.sequence for step in steps] == list(range(2 * length + 3))
    assert [step.sequence for step in steps if step.is_first] == [0, length, 2 * length]
    assert [step.sequence for step in steps if step.is_last] == [length - 1, 2 * length - 1]
    assert not any(step.is_terminal for step in steps)
    assert rig.loop.statistics.episodes == 2


def test_every_step_is_in_the_log_before_its_command_leaves(rig):
    for sequence in range(5):
        command = rig.loop.step(rig.twin.measure(), rig.twin.time_s)
        last = rig.logged()[-1]
        assert last.sequence == sequence
        np.testing.assert_allclose(last.action_sent, command.setpoint, atol=1e-6)
        rig.twin.command(command.setpoint)
        rig.twin.advance(0.05)


def test_the_task_is_told_the_command_that_the_robot_followed_also_across_episodes(rig):
    measured = rig.twin.measure()
    rig.step(measured)
    for _ in range(rig.spec.episode_steps + 2):
        rig.step()
    steps = rig.logged()
    np.testing.assert_allclose(
        steps[0].observation["joint_target"], A1.joint_range.normalise(measured["joint_position_rad"]), atol=1e-6
    )
    for before, step in itertools.pairwise(steps):
        np.testing.assert_allclose(
            step.observation["joint_target"], A1.joint_range.normalise(before.action_sent), atol=1e-6
        )


def test_after_an_interruption_the_robot_is_where_it_is_and_follows_nothing(rig):
    rig.step()
    rig.twin.advance(2.0)
    measured = rig.twin.measure()
    rig.step(measured)
    expected = A1.joint_range.normalise(measured["joint_position_rad"])
    np.testing.assert_allclose(rig.logged()[-1].observation["joint_target"], expected, atol=1e-6)


def test_random_actions_come_first_and_differ_then_the_policy_acts(tmp_path):
    rig = Rig(tmp_path, random_s=0.5, random_hold_s=0.1, earlier_steps=4)
    rig.loop.set_policy(CountingPolicy(version=7))
    for _ in range(12):
        rig.step()
    steps = rig.logged()
    assert [step.policy_version for step in steps] == [0] * 6 + [7] * 6
    random = np.array([step.action_requested for step in steps[:6]])
    held = random[::2]
    np.testing.assert_array_equal(random, np.repeat(held, 2, 0))
    assert np.unique(held, axis=0).shape == held.shape and np.abs(held).max() <= 1
    assert rig.loop.statistics.env_steps == 16


def test_the_same_seed_gives_the_same_experience(tmp_path):
    rigs = [Rig(tmp_path / name) for name in "ab"]
    for rig in rigs:
        for _ in range(20):
            rig.step()
    for one, other in zip(rigs[0].logged(), rigs[1].logged(), strict=True):
        np.testing.assert_array_equal(one.action_requested, other.action_requested)
        assert one.reward == other.reward


def test_a_new_policy_takes_over_at_the_next_step_with_the_state_of_the_old_one(rig):
    old, new = CountingPolicy(1), CountingPolicy(2)
    rig.loop.set_policy(old)
    for _ in range(3):
        rig.step()
    rig.loop.set_policy(new)
    rig.step()
    assert old.calls == [(0, True), (1, False), (2, False)]
    assert new.calls == [(3, False)]
    assert [step.policy_version for step in rig.logged()] == [1, 1, 1, 2]


def test_the_recurrent_state_starts_afresh_with_every_episode(rig):
    policy = CountingPolicy(1)
    rig.loop.set_policy(policy)
    for _ in range(rig.spec.episode_steps + 1):
        rig.step()
    assert policy.calls[-2:] == [(rig.spec.episode_steps - 1, False), (0, True)]


def test_a_stale_state_is_not_experience_and_a_new_episode_follows(tmp_path):
    rig = Rig(tmp_path, random_s=0, state_timeout_s=0.22, damp_timeout_s=1.02)
    rig.step()
    measurement = rig.twin.measure()
    rig.step(measurement)
    flags = [rig.step(measurement).flags for _ in range(24)]
    rig.step()
    steps = rig.logged()
    stale = SAFETY_FLAGS["state_stale"]
    # Four periods are tolerated, and twenty until damping.
    assert [bool(flag & stale) for flag in flags] == [False] * 4 + [True] * 20
    assert [bool(flag & SAFETY_FLAGS["damping"]) for flag in flags] == [False] * 20 + [True] * 4
    assert len(steps) == 7 and [step.is_first for step in steps] == [True] + [False] * 5 + [True]
    kinds = [
        (event["kind"], event.get("name") or event.get("after"))
        for event in rig.events
        if "cleared" not in event["kind"]
    ]
    start = [("safety_state", "ramping"), ("safety_state", "running")]
    assert kinds == [
        *start,
        ("watchdog", "state_stale"),
        ("safety_state", "holding"),
        ("watchdog", "state_lost"),
        ("safety_state", "damping"),
        *start,
    ]


@pytest.mark.parametrize("field", ["joint_position_rad", "orientation_wxyz", "angular_velocity_rad_s"])
def test_a_measurement_that_is_not_finite_is_held_over_and_never_logged(rig, field):
    before = rig.step()
    measurement = rig.twin.measure()
    measurement[field][0] = np.nan
    command = rig.step(measurement)
    np.testing.assert_array_equal(command.setpoint, before.setpoint)
    assert command.flags & SAFETY_FLAGS["holding"]
    rig.step()
    steps = rig.logged()
    assert len(steps) == 2 and steps[1].is_first


def test_a_loop_that_stood_still_begins_a_new_episode_from_where_the_robot_is(rig):
    rig.loop.set_policy(CountingPolicy(1))
    for _ in range(3):
        rig.step()
    rig.twin.command(None)
    rig.twin.advance(2.0)
    measured = rig.twin.measure()
    command = rig.step(measured)
    assert rig.logged()[-1].is_first
    assert np.abs(command.setpoint - np.clip(measured["joint_position_rad"], -2.68, 4.1)).max() < 0.3


def test_an_action_that_is_not_finite_is_held_reported_and_kept_out_of_the_log(rig):
    rig.loop.set_policy(CountingPolicy(1))
    before = rig.step()
    rig.loop.set_policy(CountingPolicy(2, action=np.nan))
    command = rig.step()
    np.testing.assert_array_equal(command.setpoint, before.setpoint)
    recovered = CountingPolicy(3)
    rig.loop.set_policy(recovered)
    rig.step()
    bad = rig.logged()[1]
    assert bad.safety_flags & SAFETY_FLAGS["action_not_finite"] and np.all(bad.action_requested == 0)
    assert rig.events[-1] == {"kind": "action_not_finite", "policy_version": 2}
    assert rig.loop.supervisor.limiter.counts["action_not_finite"] == 1
    # The state may hold the same poison as the action did.
    assert recovered.calls == [(0, True)]


def test_a_failing_log_lets_no_command_out(rig):
    rig.step()
    # A file that may not grow fails like a full disk; Python ignores the signal that would come with it.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (rig.writer.path.stat().st_size, hard))
    try:
        with pytest.raises(UserError, match="cannot be written"):
            rig.step()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(rig.logged()) == 1


def test_figures_are_means_of_what_was_logged(rig):
    for _ in range(250):
        rig.step()
    steps = rig.logged()
    recent = rig.loop.statistics.recent()
    assert recent["reward"] == pytest.approx(np.mean([step.reward for step in steps[-200:]]))
    speeds = [step.info["forward_velocity_m_s"] for step in steps[-200:]]
    assert recent["info/forward_velocity_m_s"] == pytest.approx(np.mean(speeds))
    assert rig.loop.statistics.reward_mean == pytest.approx(np.mean([step.reward for step in steps]))


class LiveRig(Rig):
    """As on a robot: with all that is watched there, and messages instead of a simulator's word."""

    def __init__(self, directory, change=lambda index, measurement: None, before_append=lambda index: None, **safety):
        super().__init__(directory, random_s=0)
        self.now_s = 0.0
        self.change = change
        self.index = 0
        writer = self.writer

        class Writer:
            def append(_, step):
                before_append(self.index)
                writer.append(step)

        self.loop = ControlLoop(
            self.task,
            ActorConfig(random_s=0),
            Writer(),
            actor_life=1,
            seed=0,
            safety=SafetyConfig(**safety),
            clock=lambda: self.now_s,
            on_event=lambda kind, **fields: self.events.append({"kind": kind} | fields),
        )
        self.loop.set_policy(CountingPolicy(1))
        self.loop.supervisor.activate()

    @property
    def state(self):
        return self.loop.supervisor.state

    def tick(self, count=1):
        commands = []
        for _ in range(count):
            measurement = self.twin.measure()
            measurement.time_s = self.now_s
            self.change(self.index, measurement)
            command = self.loop.step(measurement, self.now_s)
            if command is not None:
                self.twin.command(None if command.relaxes else command.setpoint)
            self.twin.advance(0.05)
            self.now_s += 0.05
            self.index += 1
            commands.append(command)
        return commands

    def run(self):
        while self.state is not SafetyState.RUNNING:
            self.tick()
        return self


@pytest.mark.parametrize("stall_s", [0.5, 3.0])
def test_nothing_is_sent_that_was_decided_before_a_stall(tmp_path, stall_s):
    stall_at = []

    def before_append(index):
        if stall_at and index == stall_at[0]:
            rig.now_s += stall_s

    rig = LiveRig(tmp_path, before_append=before_append).run()
    rig.tick(10)
    stall_at.append(rig.index)
    (command,) = rig.tick()
    assert command is None or command.relaxes
    assert (command is None) == (stall_s < 1.0)
    assert rig.events[-1]["kind"] in ("command_withdrawn", "safety_state")
    commands = rig.tick(5)
    measured = rig.twin.measure()["joint_position_rad"]
    assert all(command.relaxes or np.abs(command.setpoint - measured).max() < 1.5 for command in commands)


def test_a_wrong_angle_is_neither_followed_nor_learned_from(tmp_path):
    wrong_at = []

    def change(index, measurement):
        if index in wrong_at:
            measurement["joint_position_rad"][4] += 2.35

    rig = LiveRig(tmp_path, change).run()
    rig.tick(10)
    wrong_at.append(rig.index)
    rig.tick(2)
    before, wrong, after = (step.observation["joint_position"][4] for step in rig.logged()[-3:])
    assert abs(wrong - before) < 0.01 and abs(after - before) < 0.3
    assert rig.loop.supervisor.refused == {f"joint_position_rad of {rig.spec.joint_names[4]}": 1}


def test_joints_that_do_not_follow_are_no_experience_to_learn_from_and_wait_for_an_operator(tmp_path):
    stuck_rad = []

    def change(index, measurement):
        if stuck_rad:  # its own stop is pressed: whatever it is told, it stays where it is
            measurement["joint_position_rad"][:] = stuck_rad[0] + 0.001 * np.sin(index + np.arange(12))
            measurement["joint_velocity_rad_s"][:] = 0.0

    hardware = find_robot("a1").preset("walk", "default", "hardware")["safety"]
    rig = LiveRig(tmp_path, change, **{name: hardware[name] for name in ("not_following_action", "latching")}).run()
    rig.loop.set_policy(CountingPolicy(2, action=0.8))
    rig.tick(20)
    logged = len(rig.logged())
    stuck_rad.append(A1.rest_pose_rad)
    while rig.state is SafetyState.RUNNING:
        rig.tick()
    flag = SAFETY_FLAGS["not_following"]
    steps = rig.logged()[logged:]
    assert 80 <= len(steps) < 100
    flagged = [bool(step.safety_flags & flag) for step in steps]
    assert (
        sum(flagged) > 60 and all(flagged[-60:]) and not any(step.safety_flags & flag for step in rig.logged()[:logged])
    )
    stuck_rad.clear()
    assert all(command.relaxes for command in rig.tick(100))  # released: nothing moves
    assert rig.loop.supervisor.resume(rig.now_s)
    rig.run()


@pytest.mark.parametrize("stop", ["emergency_stop", "deactivate", "none"])
def test_nothing_that_is_not_finite_leaves_by_either_interface(tmp_path, stop):
    def change(index, measurement):
        if index > 60:
            measurement["joint_position_rad"][7] = np.nan

    rig = LiveRig(tmp_path, change)
    for index in range(110):
        if index == 70 and stop != "none":
            getattr(rig.loop.supervisor, stop)()
        (command,) = rig.tick()
        stand_in_rad = rig.loop.supervisor.stand_in_rad
        assert stand_in_rad is None or np.isfinite(stand_in_rad).all()
        assert stand_in_rad is not None or index < 2
        assert command is None or command.relaxes or np.isfinite(command.setpoint).all()
        if stand_in_rad is not None:
            assert np.all(stand_in_rad >= A1.limits.lower_rad) and np.all(stand_in_rad <= A1.limits.upper_rad)


def test_an_orientation_without_length_for_a_moment_is_held_over(tmp_path):
    def change(index, measurement):
        if 100 <= index < 104:
            measurement["orientation_wxyz"][:] = 0.0

    rig = LiveRig(tmp_path, change).run()
    rig.tick(100 - rig.index)
    rig.tick(4)
    assert rig.state is SafetyState.HOLDING
    rig.tick()
    assert rig.state is SafetyState.RUNNING and rig.logged()[-1].is_first
