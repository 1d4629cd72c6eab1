"""The supervisor on a clock of the test's own: state machine, watchdogs and ramp together."""

import dataclasses

import numpy as np
import pytest

from daydreamer.config import ActorConfig, SafetyConfig
from daydreamer.experience.step import SAFETY_FLAGS
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.base import Measurement
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.safety.states import SafetyState
from daydreamer.safety.supervisor import SafetySupervisor
from daydreamer.safety.watchdogs import StallWatch

PERIOD_S = 0.05
FOLDED_RAD = np.array([0.1, 2.0, -2.0] * 4)
TASK = QuadrupedWalkTask(A1)


class Rig:
    """A robot that does not move, looked at twenty times a second."""

    def __init__(self, **safety):
        self.events = []
        self.supervisor = SafetySupervisor(
            TASK,
            ActorConfig(),
            SafetyConfig(**safety),
            lambda kind, **fields: self.events.append({"kind": kind} | fields),
        )
        self.now_s = 100.0
        self.measurement = Measurement(
            time_s=100.0,
            joint_position_rad=FOLDED_RAD.copy(),
            joint_velocity_rad_s=np.zeros(12),
            orientation_wxyz=np.array([1.0, 0.0, 0.0, 0.0]),
            angular_velocity_rad_s=np.zeros(3),
            linear_acceleration_m_s2=np.zeros(3),
            foot_force_n=np.zeros(4),
        )

    @property
    def state(self):
        return self.supervisor.state

    def tick(self, count=1, fresh=True, sent_after_s=0.003, **measured):
        for _ in range(count):
            self.now_s += PERIOD_S
            if fresh:
                self.measurement = dataclasses.replace(self.measurement, time_s=self.now_s, **measured)
            state = self.supervisor.begin_tick(self.now_s, self.measurement)
            if state is SafetyState.RUNNING:
                command = self.supervisor.command(A1.stand_pose_rad)
            else:
                command = self.supervisor.command_without_policy()
            self.supervisor.watchdogs.command_sent(self.now_s, self.now_s + sent_after_s)
        return command

    def run(self):
        """Activated and at work."""
        self.supervisor.activate()
        while self.state is not SafetyState.RUNNING:
            self.tick()
        return self

    def watchdogs(self):
        return [(event["name"], event["action"]) for event in self.events if event["kind"] == "watchdog"]


def test_it_starts_stopped_and_sends_nothing():
    rig = Rig()
    assert rig.tick() is None and rig.state is SafetyState.STOPPED


@pytest.mark.parametrize("pose, end_rad", [("rest", A1.rest_pose_rad), ("stand", A1.stand_pose_rad)])
def test_the_ramp_goes_slowly_from_the_measured_pose_and_ends_at_the_robots_pose(pose, end_rad):
    rig = Rig(ramp_pose=pose, ramp_speed_rad_s=1.0)
    rig.supervisor.activate()
    commands = []
    assert rig.tick().damping  # nothing departs from an angle that has been said once
    while rig.state is not SafetyState.RUNNING:
        commands.append(rig.tick().position_rad)
    path = np.array(commands[:-1])
    way_rad = np.abs(end_rad - FOLDED_RAD).max()
    np.testing.assert_allclose(path[0], FOLDED_RAD)
    assert np.abs(path[-1] - end_rad).max() < 0.05
    assert np.abs(np.diff(path, axis=0)).max() <= 1.5 * PERIOD_S + 1e-9
    assert len(path) * PERIOD_S == pytest.approx(way_rad / 1.0, abs=2 * PERIOD_S)


def test_a_stale_state_holds_then_damps_and_fresh_ones_lead_back_through_the_ramp():
    rig = Rig().run()
    last = rig.tick()
    assert rig.tick(3, fresh=False).flags == 0
    held = rig.tick(2, fresh=False)
    assert rig.state is SafetyState.HOLDING
    assert held.flags == SAFETY_FLAGS["state_stale"] | SAFETY_FLAGS["holding"]
    assert np.abs(held.position_rad - last.position_rad).max() < 1.0
    damped = rig.tick(17, fresh=False)
    assert rig.state is SafetyState.DAMPING and damped.damping and np.all(np.isnan(damped.position_rad))
    rig.tick()
    assert rig.state is SafetyState.RAMPING
    assert rig.watchdogs() == [("state_stale", "hold"), ("state_lost", "damp")]


def test_fresh_states_after_a_hold_go_on_without_a_ramp():
    rig = Rig().run()
    rig.tick(8, fresh=False)
    rig.tick()
    assert rig.state is SafetyState.RUNNING and rig.supervisor.runs == 2


def test_a_hold_in_mid_ramp_leads_back_to_the_ramp():
    rig = Rig()
    rig.supervisor.activate()
    rig.tick(3)
    rig.tick(6, fresh=False)
    assert rig.state is SafetyState.HOLDING
    rig.tick()
    assert rig.state is SafetyState.RAMPING


def test_stale_before_any_command_damps_because_there_is_no_pose_to_hold():
    rig = Rig()
    rig.tick()
    rig.tick(5, fresh=False)
    rig.supervisor.activate()
    assert rig.tick(fresh=False).damping and rig.state is SafetyState.DAMPING


def test_numbers_that_are_not_finite_hold_at_once():
    rig = Rig().run()
    rig.tick(joint_velocity_rad_s=np.full(12, np.nan))
    assert rig.state is SafetyState.HOLDING


def test_commands_that_leave_late_trip_only_in_a_row_and_are_forgiven_after_a_second():
    rig = Rig(command_late_s=0.03, command_late_count=3, command_late_action="hold").run()
    rig.tick(2, sent_after_s=0.04)
    rig.tick(2)
    assert rig.state is SafetyState.RUNNING
    rig.tick(4, sent_after_s=0.04)
    assert rig.state is SafetyState.HOLDING and rig.watchdogs() == [("command_late", "hold")]
    rig.tick(25)
    assert rig.state is SafetyState.RUNNING


def test_a_loop_that_stood_still_departs_from_where_the_robot_is():
    rig = Rig(loop_gap_s=0.2).run()
    rig.tick(10)
    rig.now_s += 0.5
    command = rig.tick()
    assert rig.watchdogs() == [("loop_overrun", "hold")] and rig.supervisor.runs == 2
    assert np.abs(command.position_rad - FOLDED_RAD).max() < 0.3


def test_a_loop_that_stood_still_for_long_goes_through_the_ramp():
    rig = Rig().run()
    rig.now_s += 2.0
    rig.tick()
    assert rig.state is SafetyState.RAMPING
    assert [event["after"] for event in rig.events if event["kind"] == "safety_state"][-2:] == ["damping", "ramping"]


@pytest.mark.parametrize("action, state", [("warn", "running"), ("hold", "holding"), ("damp", "damping")])
@pytest.mark.parametrize(
    "name, heartbeat, threshold",
    [("learner_silent", "learner_s", "learner_silent_s"), ("policy_too_old", "policy_s", "policy_old_s")],
)
def test_silence_of_the_learner_and_age_of_the_policy_do_what_is_configured(name, heartbeat, threshold, action, state):
    key = {"learner_silent": "learner_silent_action", "policy_too_old": "policy_old_action"}[name]
    rig = Rig(**{threshold: 2.0, key: action}).run()
    heartbeats = rig.supervisor.watchdogs.heartbeats
    setattr(heartbeats, heartbeat, rig.now_s)
    rig.tick(38)
    assert not rig.watchdogs() and rig.state is SafetyState.RUNNING
    rig.tick(4)
    assert rig.watchdogs() == [(name, action)] and rig.state == state
    setattr(heartbeats, heartbeat, rig.now_s)
    rig.tick()
    assert not rig.supervisor.watchdogs.raised


def test_an_operator_who_resumes_accepts_the_policy_there_is():
    rig = Rig(policy_old_s=2.0, policy_old_action="hold").run()
    rig.supervisor.watchdogs.heartbeats.policy_s = rig.now_s
    rig.tick(45)
    assert rig.state is SafetyState.HOLDING
    rig.supervisor.resume(rig.now_s)
    rig.tick(30)
    assert rig.state is SafetyState.RUNNING
    rig.tick(20)
    assert rig.state is SafetyState.HOLDING


def test_a_joint_out_of_control_is_damped_but_not_for_a_jerk():
    rig = Rig(over_speed_s=0.2, encoder_stuck_s=10.0).run()  # of a joint that is fast but stays where it is
    fast = np.zeros(12)
    fast[4] = -A1.limits.velocity_rad_s[4] - 1.0
    rig.tick(4, joint_velocity_rad_s=fast)
    rig.tick(joint_velocity_rad_s=np.zeros(12))
    assert rig.state is SafetyState.RUNNING
    rig.tick(6, joint_velocity_rad_s=fast)
    assert rig.state is SafetyState.DAMPING and rig.watchdogs() == [("over_speed", "damp")]


@pytest.mark.parametrize(
    "field, course",
    [
        (
            "temperature_c",  # damped until it has cooled by five degrees
            [
                (69.0, SafetyState.RUNNING),
                (71.0, SafetyState.DAMPING),
                (66.0, SafetyState.DAMPING),
                (60.0, SafetyState.RUNNING),
            ],
        ),
        (
            "battery_fraction",  # held until it is charged
            [(0.09, SafetyState.HOLDING), (0.12, SafetyState.HOLDING), (0.2, SafetyState.RUNNING)],
        ),
    ],
)
def test_a_hot_motor_and_a_low_battery_stop_the_robot_until_they_are_well_again(field, course):
    rig = Rig().run()
    for value, expected in course:
        rig.tick(40, **{field: value})
        assert rig.state is expected, value


def test_a_parent_that_is_gone_is_recorded():
    rig = Rig().run()
    rig.supervisor.watchdogs.parent_gone()
    assert rig.watchdogs() == [("parent_gone", "damp")]
    rig.tick()
    assert rig.state is SafetyState.DAMPING


@pytest.mark.parametrize("before", [SafetyState.STOPPED, SafetyState.RAMPING, SafetyState.RUNNING, SafetyState.HOLDING])
def test_the_emergency_stop_damps_and_stays_until_it_is_reset(before):
    rig = Rig()
    if before is SafetyState.RAMPING:
        rig.supervisor.activate()
        rig.tick()
    elif before is not SafetyState.STOPPED:
        rig.run()
    if before is SafetyState.HOLDING:
        rig.supervisor.pause()
    assert rig.state is before
    assert rig.supervisor.emergency_stop("test")
    assert rig.tick().damping
    # Whatever happens to a latched supervisor, it damps.
    rig.supervisor.activate()
    rig.supervisor.resume(rig.now_s)
    rig.supervisor.deactivate()
    rig.now_s += 3.0
    assert rig.tick(fresh=False).damping and rig.tick(30).damping
    assert rig.state is SafetyState.EMERGENCY_STOPPED
    assert rig.supervisor.emergency_reset() and rig.tick() is None
    assert rig.supervisor.resume(rig.now_s)
    np.testing.assert_allclose(rig.tick().position_rad, FOLDED_RAD)


def test_a_pause_holds_until_resumed_whatever_watchdogs_clear_meanwhile():
    rig = Rig().run()
    assert rig.supervisor.pause() and not rig.supervisor.pause()
    rig.tick(8, fresh=False)
    held = rig.tick(8)
    assert rig.state is SafetyState.HOLDING and held.flags == SAFETY_FLAGS["holding"]
    assert rig.supervisor.resume(rig.now_s)
    rig.tick()
    assert rig.state is SafetyState.RUNNING


def test_a_stalled_loop_is_noticed_once_by_another_thread():
    now_s, stalls = [0.0], []
    watch = StallWatch(1.0, stalls.append, lambda: now_s[0])
    now_s[0] = 5.0
    watch.look()
    assert stalls == []  # nothing is commanded yet
    watch.alive()
    now_s[0] = 5.9
    watch.look()
    assert stalls == []
    for now_s[0] in (6.1, 6.2):
        watch.look()
    assert stalls == [pytest.approx(1.1)]
    watch.alive()
    watch.rest()
    now_s[0] = 9.0
    watch.look()
    assert len(stalls) == 1
