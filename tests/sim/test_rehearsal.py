"""What the supervisor makes of each incident. Times are simulated, so that a busy machine changes nothing."""

import msgspec
import numpy as np
import pytest

from daydreamer.config import IncidentConfig, SessionConfig
from daydreamer.robots.a1 import constants as a1
from daydreamer.robots.a1.task import A1WalkTask
from sim.incidents import KINDS
from sim.rehearsal import rehearse

TICK_S = A1WalkTask().spec.control_period_s
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
    assert all(command is None or not np.isnan(command.position_rad).any() for _, command in result.commands)


def test_a_hot_motor_damps_within_a_control_period_and_cools_down():
    result = play("motor_over_temperature")
    assert result.reactions[0] == "damping: over_temperature" and result.reaction_s <= TICK_S
    assert result.damping_s <= TICK_S + STATE_S
    assert result.reactions[1:] == ["ramping: all clear", "running: ramp"]


@pytest.mark.parametrize("kind", ["push", "leg_stops", "frozen_encoder", "swapped_joint_names", "imu_bias"])
def test_what_the_policy_has_to_bear_leaves_every_command_within_the_limits(kind):
    """Nothing in the messages is out of order, so the supervisor does not stop the robot; its limits hold."""
    result = play(kind)
    assert result.reactions == []
    positions = np.array([command.position_rad for _, command in result.commands if command is not None])
    assert np.all((positions >= a1.JOINT_LOWER_RAD) & (positions <= a1.JOINT_UPPER_RAD))
    speeds = np.abs(np.diff(positions, axis=0)) / TICK_S
    assert np.all(speeds <= a1.MOTOR_SPEED_RAD_S + 1e-6)


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
    for kind in KINDS:
        assert play(kind, seconds=4.5, duration_s=0.5).state_at_end == "running", kind
