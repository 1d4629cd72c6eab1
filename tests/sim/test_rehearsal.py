"""What the supervisor makes of each incident. Times are simulated, so that a busy machine changes nothing."""

import msgspec
import numpy as np
import pytest

from daydreamer.config import IncidentConfig, SessionConfig, resolve
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.robots.quadruped.twin import INCIDENTS
from daydreamer.safety.watchdogs import REPORT_LASTS_S
from sim.incidents import KINDS
from sim.rehearsal import rehearse

TICK_S = QuadrupedWalkTask(A1).spec.control_period_s
STATE_S = 0.01  # between two states of the twin
HELD = ["holding: state_stale", "running: all clear"]


def play(kind, seconds=3.0, start_s=0.52, config=None, **fields):
    return rehearse(IncidentConfig(kind=kind, start_s=start_s, **fields), seconds=seconds, config=config)


def within(moment_s, threshold_s):
    """Whether something that is due after `threshold_s` without news came at one of the next two ticks."""
    return moment_s is not None and threshold_s - STATE_S <= moment_s <= threshold_s + TICK_S + STATE_S


@pytest.mark.parametrize("start_s", [0.51, 0.53, 0.55])
def test_a_network_stall_of_300_ms_is_held_through(start_s):
    result = play("network_stall", start_s=start_s)
    assert result.reactions == HELD
    assert within(result.reaction_s, 0.2)
    # No command gets through either: the driver damps by its own timeout of 0.25 s, counted from the last command.
    assert 0.2 - TICK_S <= result.damping_s <= 0.25 + 2 * STATE_S
    assert result.lowest_height_m > 0.2


def test_a_robot_that_falls_silent_is_held_then_damped_then_ramped():
    result = play("state_stops")
    assert result.reactions == [
        "holding: state_stale",
        "damping: state_lost",
        "ramping: all clear",
        "running: ramp",
    ]
    assert within(result.reaction_s, 0.2) and within(result.damping_s, 1.0)


def test_late_messages_are_held_through_until_they_flow_again():
    result = play("delayed_messages")
    assert result.reactions == HELD and within(result.reaction_s, 0.2)


def test_lost_messages_are_held_through_when_too_many():
    result = play("dropped_messages", magnitude=0.97)
    assert result.reactions[0] == HELD[0]
    assert set(result.reactions) <= {*HELD, "damping: state_lost", "ramping: all clear", "running: ramp"}
    assert result.state_at_end in ("running", "ramping")


def test_a_state_that_is_not_finite_is_never_acted_on():
    result = play("state_not_finite")
    assert result.reactions == HELD and result.reaction_s <= TICK_S
    # The first one damps, until it is certain where the robot is.
    assert all(command is None or not np.isnan(command.setpoint).any() for _, command in result.commands[1:])


def test_a_hot_motor_damps_once_it_has_said_so_for_long_enough_and_cools_down():
    result = play("motor_over_temperature", seconds=6.0)
    assert result.reactions[0] == "damping: over_temperature"
    assert REPORT_LASTS_S <= result.reaction_s <= result.damping_s <= REPORT_LASTS_S + 3 * TICK_S
    assert result.reactions[1:] == ["ramping: all clear", "running: ramp"]


@pytest.mark.parametrize("kind", ["push", "leg_stops", "swapped_joint_names", "imu_bias"])
def test_what_the_policy_has_to_bear_leaves_every_command_within_the_limits(kind):
    """The supervisor does not stop the robot for it, or not yet; its limits hold."""
    result = play(kind)
    assert result.reactions == []
    assert_within_limits(result)


def assert_within_limits(result):
    positions = np.array([command.setpoint for _, command in result.commands if command is not None])
    positions = positions[~np.isnan(positions).any(1)]
    assert np.all((positions >= A1.limits.lower_rad) & (positions <= A1.limits.upper_rad))
    speeds = np.abs(np.diff(positions, axis=0)) / TICK_S
    assert np.all(speeds <= A1.limits.command_rate_rad_s + 1e-6)


def test_a_stuck_encoder_damps_and_the_robot_goes_on_two_seconds_after_it_works_again():
    result = play("frozen_encoder", seconds=6.0)
    assert result.reactions == ["damping: encoder_stuck", "ramping: all clear", "running: ramp"]
    # The first frozen angle is a new one.
    assert within(result.reaction_s, 0.5 + TICK_S)
    moments = [moment_s - result.incident.start_s for moment_s, state, _ in result.states if state == "ramping"]
    assert moments[-1] == pytest.approx(2.0 + 2.0, abs=2 * TICK_S)


def test_a_biased_imu_is_noticed():
    ((moment_s, name),) = play("imu_bias").noticed
    assert name == "imu_inconsistent" and moment_s < 1.5


def test_joints_that_are_called_by_each_others_names_are_noticed_where_neither_can_be():
    result = play("swapped_joint_names", duration_s=5.0, target="FR_hip_joint FR_calf_joint", seconds=5.0)
    assert result.reactions[0] == "damping: joint_outside" and result.reaction_s <= 3 * TICK_S
    assert_within_limits(result)


def test_a_leg_without_torque_is_noticed_once_it_has_lain_there_for_long():
    """It throws a standing robot over within a second, and a robot on its back may lie on its legs for long."""
    config = resolve({"safety": {"blocked_s": 4.0}})
    ((moment_s, name),) = play("leg_stops", duration_s=20.0, target="RR", seconds=6.0, config=config).noticed
    assert name == "joint_blocked" and 4.0 < moment_s < 6.0


def test_a_push_throws_the_robot_over():
    assert play("push", magnitude=250.0, duration_s=0.3).lowest_up_z < 0.7


def test_only_a_driver_with_a_timeout_damps_a_robot_that_gets_no_commands():
    """The supervisor damps after 1 s, but on a dead network nobody hears it."""

    def stall(timeout_s):
        config = SessionConfig()
        config = msgspec.structs.replace(config, twin=msgspec.structs.replace(config.twin, command_timeout_s=timeout_s))
        return play("network_stall", duration_s=2.0, seconds=1.9, config=config)

    with_timeout, without = stall(0.25), stall(0.0)
    assert with_timeout.reactions == without.reactions == ["holding: state_stale", "damping: state_lost"]
    assert with_timeout.damping_s < 0.3
    assert without.damping_s is None and without.lowest_height_m > 0.24


def test_every_kind_has_a_rehearsal_and_the_robot_runs_again_in_the_end():
    for kind in KINDS | INCIDENTS:
        assert play(kind, seconds=4.5, duration_s=0.5).state_at_end == "running", kind
