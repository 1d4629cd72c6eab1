"""The supervisor on a clock of the test's own: state machine, watchdogs and ramp together."""

import dataclasses

import numpy as np
import pytest

from daydreamer.config import ActorConfig, SafetyConfig
from daydreamer.contract.signals import Measurement
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.description import JOINT_NAMES
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.safety.flags import SAFETY_FLAGS
from daydreamer.safety.states import SafetyState
from daydreamer.safety.supervisor import SafetySupervisor
from daydreamer.safety.watchdogs import StallWatch
from daydreamer.timing import suspended_s

PERIOD_S = 0.05
FOLDED_RAD = np.array([0.1, 2.0, -2.0] * 4)
TASK = QuadrupedWalkTask(A1)


class Rig:
    """A robot that does not move, looked at twenty times a second."""

    def __init__(self, task=TASK, **safety):
        self.events = []
        self.supervisor = SafetySupervisor(
            task,
            ActorConfig(),
            SafetyConfig(**safety),
            lambda kind, **fields: self.events.append({"kind": kind} | fields),
        )
        self.now_s, self.picture_s = 100.0, None
        self.measurement = Measurement(
            time_s=100.0,
            values=dict(
                joint_position_rad=FOLDED_RAD.copy(),
                joint_velocity_rad_s=np.zeros(12),
                orientation_wxyz=np.array([1.0, 0.0, 0.0, 0.0]),
                angular_velocity_rad_s=np.zeros(3),
                linear_acceleration_m_s2=np.zeros(3),
                foot_force_n=np.zeros(4),
            ),
        )

    @property
    def state(self):
        return self.supervisor.state

    def tick(self, count=1, fresh=True, sent_after_s=0.003, picture_s=None, **measured):
        for _ in range(count):
            self.now_s += PERIOD_S
            if fresh:
                self.picture_s = picture_s or self.picture_s
                received_s = {} if self.picture_s is None else {"camera": self.picture_s}
                self.measurement = Measurement(self.now_s, self.measurement.values | measured, received_s)
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
    assert rig.tick().relaxes  # nothing departs from an angle that has been said once
    while rig.state is not SafetyState.RUNNING:
        commands.append(rig.tick().setpoint)
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
    assert np.abs(held.setpoint - last.setpoint).max() < 1.0
    damped = rig.tick(17, fresh=False)
    assert rig.state is SafetyState.DAMPING and damped.relaxes and np.all(np.isnan(damped.setpoint))
    assert not rig.supervisor.lets_go  # it goes on by itself
    rig.tick()
    assert rig.state is SafetyState.RAMPING
    assert rig.watchdogs() == [("state_stale", "hold"), ("state_lost", "damp")]


def test_a_camera_slower_than_the_control_loop_holds_only_when_its_picture_is_older_than_its_own_timeout():
    rig = Rig(QuadrupedWalkTask(A1, camera=True)).run()
    for _ in range(20):  # a picture every 0.5 s, ten times the control period
        rig.tick(10, picture_s=rig.now_s)
    assert rig.state is SafetyState.RUNNING and ("image_stale", "hold") not in rig.watchdogs()
    assert rig.supervisor.watchdogs.image_age_s == pytest.approx(0.5)
    rig.tick(10)
    assert rig.state is SafetyState.RUNNING
    rig.tick(40)
    # However long: a robot without eyes stands, and is not let go.
    assert rig.state is SafetyState.HOLDING and rig.watchdogs().count(("image_stale", "hold")) == 1
    rig.tick(picture_s=rig.now_s)
    assert rig.state is SafetyState.RUNNING


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
    assert rig.tick(fresh=False).relaxes and rig.state is SafetyState.DAMPING


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
    assert np.abs(command.setpoint - FOLDED_RAD).max() < 0.3


def test_a_machine_that_was_suspended_is_a_loop_that_stood_still():
    """The clock of the loop stands still meanwhile, and the robot may be anywhere."""
    rig = Rig(loop_gap_s=0.2, latching=("suspended",))
    rig.supervisor.watchdogs.heartbeats.suspended_s = 500.0  # before this session began
    rig.run()
    rig.tick(10)
    assert rig.state is SafetyState.RUNNING and not rig.watchdogs()
    rig.supervisor.watchdogs.heartbeats.suspended_s += 3600.0
    rig.tick(40)
    assert rig.watchdogs()[0] == ("suspended", "damp")
    assert rig.state is SafetyState.DAMPING and "suspended, latched" in rig.supervisor.cause
    assert -0.01 < suspended_s() < 1e9


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


@pytest.mark.parametrize("action, state", [("warn", "running"), ("hold", "holding"), ("damp", "damping")])
def test_a_learner_that_starts_may_be_silent_for_longer_but_not_for_ever(action, state):
    rig = Rig(learner_silent_s=2.0, learner_silent_action=action, **STANDS).run()
    heartbeats = rig.supervisor.watchdogs.heartbeats
    heartbeats.learner_s, heartbeats.learner_starting_s = rig.now_s, 10.0
    rig.tick(198)
    assert not rig.watchdogs() and rig.state is SafetyState.RUNNING
    rig.tick(4)
    assert rig.watchdogs() == [("learner_silent", action)] and rig.state == state
    heartbeats.learner_s, heartbeats.learner_starting_s = rig.now_s, None
    rig.tick()
    assert not rig.supervisor.watchdogs.raised


def test_a_robot_that_a_silent_learner_holds_is_not_let_go_by_that_learners_end():
    rig = Rig(learner_silent_s=2.0, learner_silent_action="hold", **STANDS).run()
    heartbeats = rig.supervisor.watchdogs.heartbeats
    heartbeats.learner_s = rig.now_s
    rig.tick(42)
    heartbeats.learner_starting_s = 10.0  # it has been killed, and another one starts
    rig.tick(42)
    assert rig.state is SafetyState.HOLDING
    heartbeats.learner_s, heartbeats.learner_starting_s = rig.now_s, None
    rig.tick()
    assert rig.state is SafetyState.RUNNING


@pytest.mark.parametrize("trips", [20, 1])
def test_an_operator_who_resumes_accepts_the_policy_there_is(trips):
    """Also where it has kept the robot so often that it is latched."""
    rig = Rig(policy_old_s=2.0, policy_old_action="hold", trips=trips).run()
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
                (64.0, SafetyState.RAMPING),
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
    assert rig.tick().relaxes
    # Whatever happens to a latched supervisor, it damps.
    rig.supervisor.activate()
    rig.supervisor.resume(rig.now_s)
    rig.supervisor.deactivate()
    rig.now_s += 3.0
    assert rig.tick(fresh=False).relaxes and rig.tick(30).relaxes
    assert rig.state is SafetyState.EMERGENCY_STOPPED and rig.supervisor.lets_go
    assert rig.supervisor.emergency_reset() and rig.tick() is None
    assert rig.supervisor.resume(rig.now_s)
    np.testing.assert_allclose(rig.tick().setpoint, FOLDED_RAD)


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


STANDS = {"not_following_s": 600.0, "blocked_s": 600.0}  # the rig's robot stays where it is, whatever it is told
CALF = 5
CALF_NAME = JOINT_NAMES[CALF]


def folded(joint, change_rad):
    pose_rad = FOLDED_RAD.copy()
    pose_rad[joint] += change_rad
    return pose_rad


def rate_limit_holds(commands, first_rad):
    path = np.array([first_rad, *(command.setpoint for command in commands if not command.relaxes)])
    return np.abs(np.diff(path, axis=0)).max() <= 21.0 * PERIOD_S + 1e-9


@pytest.mark.parametrize(
    "beyond_rad, hint", [(0.5, "0.50 rad beyond"), (np.pi * 2 - 1.08, "off by 1 turn"), (38.0, "off by 6 turns")]
)
@pytest.mark.parametrize("looked_at", [False, True])
def test_a_joint_far_beyond_its_limit_is_named_and_nothing_sets_out(beyond_rad, hint, looked_at):
    rig = Rig()
    rig.measurement["joint_position_rad"][CALF] = A1.limits.upper_rad[CALF] + beyond_rad
    if looked_at:
        rig.tick(2)
        assert not rig.supervisor.activate()
    else:  # found out before anything but damping has been sent
        assert rig.supervisor.activate()
        assert rig.tick().relaxes
        command = rig.tick()
        assert command is None or command.relaxes
    assert rig.tick(5) is None or rig.tick().relaxes
    assert rig.state is not SafetyState.RUNNING
    rig.supervisor.deactivate()
    assert not rig.supervisor.activate()
    assert CALF_NAME in rig.supervisor.refusal and hint in rig.supervisor.refusal
    assert rig.tick() is None and not rig.supervisor.resume(rig.now_s)
    rig.tick(2, joint_position_rad=FOLDED_RAD)
    assert rig.supervisor.resume(rig.now_s)


def test_a_joint_slightly_beyond_its_limit_is_led_inside_without_a_leap():
    rig = Rig()
    outside_rad = FOLDED_RAD.copy()
    outside_rad[CALF] = A1.limits.upper_rad[CALF] + 0.1
    rig.measurement["joint_position_rad"] = outside_rad
    rig.tick(2)
    assert rig.supervisor.activate()
    commands = [rig.tick() for _ in range(20)]
    assert commands[0].setpoint[CALF] == pytest.approx(A1.limits.upper_rad[CALF], abs=0.011)
    assert rate_limit_holds(commands, outside_rad)


@pytest.mark.parametrize("change_rad", [2.35, -6.0, np.nan])
def test_one_wrong_angle_moves_no_command(change_rad):
    """A driver that does not clip would have followed the sample with all that its motors can give."""
    far = dataclasses.replace(A1.limits.gains, max_target_error_rad=np.full(12, np.inf))
    task = QuadrupedWalkTask(A1)
    limits = dataclasses.replace(A1.limits, gains=far)
    task.embodiment = dataclasses.replace(task.embodiment, limits=limits)
    rigs = []
    for change in (0.0, change_rad):
        rig = Rig()
        rig.supervisor = SafetySupervisor(task, ActorConfig(), SafetyConfig())
        rig.run().tick(40)
        before = rig.tick()
        during = rig.tick(joint_position_rad=folded(4, change))
        after = rig.tick(joint_position_rad=FOLDED_RAD)
        rigs.append((before, during, after))
    for (_, good, _), (before, during, after) in [rigs]:
        assert rate_limit_holds([during, after], before.setpoint)
        assert np.abs(during.setpoint - good.setpoint).max() < 0.1


def test_torque_gives_way_no_faster_than_the_rate_limit():
    far = dataclasses.replace(A1.limits.gains, max_target_error_rad=np.full(12, np.inf))
    task = QuadrupedWalkTask(A1)
    limits = dataclasses.replace(A1.limits, gains=far)
    task.embodiment = dataclasses.replace(task.embodiment, limits=limits)
    rig = Rig()
    rig.supervisor = SafetySupervisor(task, ActorConfig(), SafetyConfig())
    rig.run().tick(40)
    before = rig.tick()
    commands = [rig.tick(joint_position_rad=folded(4, 2.1)) for _ in range(4)]  # it persists, so it is believed
    assert rate_limit_holds(commands, before.setpoint)


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize(
    "wrong",
    [
        {"linear_acceleration_m_s2": np.array([3.39e38, 0.0, 9.81])},
        {"linear_acceleration_m_s2": np.array([0.0, 1e154, 9.81])},
        {"angular_velocity_rad_s": np.array([0.0, 1e154, 0.0])},
        {"orientation_wxyz": np.zeros(4)},
    ],
)
def test_numbers_that_no_sensor_can_say_hold_for_as_long_as_they_come(wrong, count):
    rig = Rig(imu_action="damp").run()
    good = {name: rig.measurement[name] for name in wrong}
    rig.tick(10)
    rig.tick(count, **wrong)
    assert rig.state is SafetyState.HOLDING and sum(rig.supervisor.refused.values()) == count
    rig.tick(**good)
    assert rig.state is SafetyState.RUNNING
    rig.tick(60)
    assert rig.state is SafetyState.RUNNING


def test_a_joint_that_is_too_fast_whenever_the_policy_runs_is_given_up_after_a_few_times():
    rig = Rig(encoder_stuck_s=600.0, trips=5, **STANDS).run()
    fast = np.zeros(12)
    fast[4] = 40.0
    runs = 0
    for _ in range(40):
        if rig.state is SafetyState.RUNNING:
            runs += 1
            rig.tick(6, joint_velocity_rad_s=fast)
        rig.tick(60, joint_velocity_rad_s=np.zeros(12))
    assert runs == rig.supervisor.watchdogs.trips["over_speed"] == 5
    assert rig.state is SafetyState.DAMPING and "over_speed, latched" in rig.supervisor.cause
    assert rig.supervisor.resume(rig.now_s)
    rig.tick(60)
    assert rig.state is SafetyState.RUNNING


def test_trips_that_are_rare_latch_nothing():
    rig = Rig(encoder_stuck_s=600.0, trips=3, trips_window_s=60.0, **STANDS).run()
    fast = np.zeros(12)
    fast[4] = 40.0
    for _ in range(6):
        rig.tick(6, joint_velocity_rad_s=fast)
        rig.tick(40 * 20, joint_velocity_rad_s=np.zeros(12))
        assert rig.state is SafetyState.RUNNING


def test_a_robot_that_was_silent_waits_for_an_operator_where_that_is_asked_for():
    rig = Rig(latching=("state_lost",)).run()
    rig.tick(30, fresh=False)
    rig.tick(100)
    assert rig.state is SafetyState.DAMPING and "state_lost, latched" in rig.supervisor.cause
    assert rig.supervisor.lets_go
    assert rig.supervisor.resume(rig.now_s)
    rig.tick()
    assert rig.state is SafetyState.RAMPING and not rig.supervisor.lets_go


def test_a_robot_that_fell_silent_before_it_was_told_to_set_out_waits_likewise():
    """As one that somebody has switched off after an emergency stop."""
    rig = Rig(latching=("state_lost",)).run()
    rig.supervisor.emergency_stop()
    rig.tick(30, fresh=False)
    assert rig.supervisor.emergency_reset() and rig.supervisor.resume(rig.now_s)
    rig.tick(30, fresh=False)
    rig.tick(100)
    assert rig.state is SafetyState.DAMPING and "state_lost, latched" in rig.supervisor.cause
    assert rig.supervisor.resume(rig.now_s)
    rig.tick()
    assert rig.state is SafetyState.RAMPING


def test_setting_out_anew_ends_what_was_latched():
    rig = Rig(latching=("state_lost",)).run()
    rig.tick(30, fresh=False)
    rig.tick(5)
    rig.supervisor.deactivate()
    assert rig.tick() is None
    assert rig.supervisor.activate()
    rig.tick(2)
    assert rig.state is SafetyState.RAMPING


@pytest.mark.parametrize("phase", np.linspace(0.0, 0.9, 4))
@pytest.mark.parametrize("frequency_hz", [2.5, 3.0, 4.1, 5.0, 6.3, 7.0])
def test_a_joint_that_swings_is_too_fast_whatever_the_phase(frequency_hz, phase):
    """40 rad/s at the peak where 28.6 are allowed, in messages at 100 Hz."""
    rig = Rig(encoder_stuck_s=10.0).run()
    peak = np.zeros(12)
    for tick in range(20):
        times_s = tick * PERIOD_S + 0.01 * np.arange(1, 6)
        speeds = 40.0 * np.sin(2 * np.pi * (frequency_hz * times_s + phase))
        newest, peak = np.zeros(12), np.zeros(12)
        newest[4], peak[4] = speeds[-1], np.abs(speeds).max()
        rig.tick(joint_velocity_rad_s=newest, peak_joint_speed_rad_s=peak)
    assert rig.watchdogs() == [("over_speed", "damp")]
    event = next(event for event in rig.events if event["kind"] == "watchdog")
    assert event["subject"] == JOINT_NAMES[4]


def test_an_operator_who_resumes_what_nothing_holds_up_wakes_no_watchdog():
    rig = Rig(policy_old_s=2.0, policy_old_action="warn", learner_silent_s=2.0, **STANDS).run()
    heartbeats = rig.supervisor.watchdogs.heartbeats
    heartbeats.policy_s = heartbeats.learner_s = rig.now_s
    for _ in range(10):  # a key that repeats
        assert not rig.supervisor.resume(rig.now_s)
        rig.tick(20)
    assert rig.watchdogs() == [("learner_silent", "warn"), ("policy_too_old", "warn")]
    assert not rig.supervisor.resume(rig.now_s)
    assert set(rig.supervisor.watchdogs.raised) == {"policy_too_old", "learner_silent"}


@pytest.mark.parametrize("field, good, wrong", [("temperature_c", 40.0, 127.0), ("battery_fraction", 0.8, 0.0)])
def test_one_report_that_is_wrong_is_a_glitch(field, good, wrong):
    rig = Rig(**STANDS)
    rig.tick(**{field: wrong})  # the first is as good as any
    rig.tick(10, **{field: good})
    rig.run()
    for _ in range(5):
        rig.tick(40, **{field: good})
        rig.tick(2, **{field: wrong})  # ten messages a second
    assert rig.state is SafetyState.RUNNING and not rig.watchdogs()
    rig.tick(20 * 20, **{field: wrong})
    assert rig.watchdogs()


def test_where_the_joints_are_is_finite_and_inside_the_limits_whatever_is_measured():
    rig = Rig()
    assert rig.supervisor.stand_in_rad is None  # a stop before the robot has spoken
    rig.supervisor.emergency_stop()
    assert rig.supervisor.stand_in_rad is None
    rig.tick(2)
    np.testing.assert_array_equal(rig.supervisor.stand_in_rad, FOLDED_RAD)
    for change_rad in (np.nan, 3.0, np.inf, -1e300):
        rig.tick(joint_position_rad=folded(4, change_rad))
        np.testing.assert_array_equal(rig.supervisor.stand_in_rad, FOLDED_RAD)
    rig.tick(5, joint_position_rad=folded(4, 9.0))
    assert rig.supervisor.stand_in_rad[4] <= A1.limits.upper_rad[4]


def test_nothing_that_was_decided_before_the_loop_stood_still_is_sent_after_it():
    rig = Rig().run()
    command = rig.tick()
    assert rig.supervisor.sendable(command, 0.1) is command
    assert rig.supervisor.sendable(command, 0.5) is None and rig.state is SafetyState.RUNNING
    assert rig.supervisor.sendable(command, 3.0).relaxes and rig.state is SafetyState.DAMPING
    rig.now_s += 3.0
    rig.tick()
    assert rig.state is SafetyState.RAMPING
