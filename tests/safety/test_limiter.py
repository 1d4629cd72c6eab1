import dataclasses

import hypothesis
import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest

from daydreamer.contract.limits import JointLimits, MotorGains, WorkspaceBox
from daydreamer.errors import UserError
from daydreamer.robots.a1.constants import A1
from daydreamer.safety.flags import SAFETY_FLAGS
from daydreamer.safety.limiter import POSITION_MARGIN_RAD, TORQUE_SHARE, CommandLimiter, check_limits

RATE_HZ = 20.0
LIMITS = JointLimits(
    lower_rad=np.array([-0.8, -1.0, -2.7]),
    upper_rad=np.array([0.8, 4.2, -0.9]),
    command_rate_rad_s=np.array([5.0, 5.0, 5.0]),
    velocity_rad_s=np.full(3, 21.0),
    torque_n_m=np.full(3, 33.5),
    gains=MotorGains(np.full(3, 80.0), np.full(3, 0.2)),
    temperature_c=70.0,
    battery_fraction=0.1,
)
FOLLOWS_ANY_TARGET = MotorGains(np.full(3, 80.0), np.full(3, np.inf))
LARGEST_ERROR_RAD = TORQUE_SHARE * 33.5 / 80.0
STAND = np.array([0.0, 0.9, -1.8])


def make(low_pass_cutoff_hz=1.5, **limits) -> CommandLimiter:
    return CommandLimiter(dataclasses.replace(LIMITS, **limits), low_pass_cutoff_hz, RATE_HZ)


def test_a_harmless_request_arrives_unchanged_without_a_filter():
    command = make(low_pass_cutoff_hz=0.0).command(STAND + 0.1, STAND)
    np.testing.assert_allclose(command.setpoint, STAND + 0.1)
    assert command.flags == 0


def test_the_first_command_departs_from_the_measured_pose():
    command = make(low_pass_cutoff_hz=0.0).command(STAND + [0.5, 0.0, 0.0], STAND)
    np.testing.assert_allclose(command.setpoint, STAND + [5.0 / RATE_HZ, 0.0, 0.0])
    assert command.flags == SAFETY_FLAGS["rate_clipped"]


def test_the_rate_is_limited_from_the_previous_command_not_from_the_measurement():
    limiter = make(low_pass_cutoff_hz=0.0)
    for step in range(1, 4):
        command = limiter.command(STAND + [0.7, 0.0, 0.0], STAND)
        np.testing.assert_allclose(command.setpoint[0], min(0.7, step * 5.0 / RATE_HZ))


def test_position_limits_hold_with_their_margin():
    limiter = make(low_pass_cutoff_hz=0.0)
    for _ in range(40):
        command = limiter.command(np.array([9.0, -9.0, 9.0]), STAND)
    assert command.flags & SAFETY_FLAGS["position_clipped"]
    expected = [0.8 - POSITION_MARGIN_RAD, -1.0 + POSITION_MARGIN_RAD, -0.9 - POSITION_MARGIN_RAD]
    np.testing.assert_allclose(command.setpoint, expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_action_that_is_not_finite_holds_the_last_command(bad):
    limiter = make()
    last = limiter.command(STAND + 0.1, STAND)
    command = limiter.command(np.array([0.0, bad, 0.0]), STAND + 0.3)
    np.testing.assert_array_equal(command.setpoint, last.setpoint)
    assert command.flags == SAFETY_FLAGS["action_not_finite"] | SAFETY_FLAGS["holding"]
    assert limiter.counts["action_not_finite"] == limiter.counts["holding"] == 1


def test_after_damping_it_departs_from_where_the_robot_has_fallen_to():
    limiter = make(low_pass_cutoff_hz=0.0)
    limiter.command(STAND, STAND)
    limiter.relax()
    fallen = STAND + [0.5, 1.5, -0.5]
    np.testing.assert_allclose(limiter.command(fallen, fallen).setpoint, fallen)


def test_a_target_asks_for_no_more_torque_than_the_motor_has():
    limiter = make(low_pass_cutoff_hz=0.0, gains=FOLLOWS_ANY_TARGET, command_rate_rad_s=np.full(3, np.inf))
    command = limiter.command(STAND + [0.0, 2.0, 0.0], STAND)
    np.testing.assert_allclose(command.setpoint, STAND + [0.0, LARGEST_ERROR_RAD, 0.0])
    assert command.flags == SAFETY_FLAGS["torque_clipped"]


def test_a_driver_that_keeps_targets_near_needs_no_torque_limit():
    limiter = make(low_pass_cutoff_hz=0.0, command_rate_rad_s=np.full(3, np.inf))
    command = limiter.command(STAND + [0.0, 2.0, 0.0], STAND)
    np.testing.assert_allclose(command.setpoint, STAND + [0.0, 2.0, 0.0])
    assert command.flags == 0


def test_a_command_that_would_leave_the_workspace_stays_where_it_is():
    box = WorkspaceBox(np.full(3, -1.0), np.array([0.05, 1.0, 1.0]), lambda joints: joints - STAND)
    limiter = make(low_pass_cutoff_hz=0.0, workspace=box)
    inside = limiter.command(STAND + [0.04, 0.0, 0.0], STAND)
    assert inside.flags == 0
    command = limiter.command(STAND + [0.2, 0.0, 0.0], STAND)
    np.testing.assert_array_equal(command.setpoint, inside.setpoint)
    assert command.flags == SAFETY_FLAGS["workspace_clipped"]


def test_the_a1_states_every_limit():
    check_limits(A1.limits, 12)


@pytest.mark.parametrize(
    "name, value",
    [
        ("command_rate_rad_s", None),
        ("velocity_rad_s", np.array([1.0, np.nan, 1.0])),
        ("torque_n_m", np.full(2, 33.5)),
        ("torque_n_m", np.zeros(3)),
        ("upper_rad", LIMITS.lower_rad),
        ("temperature_c", None),
        ("battery_fraction", None),
    ],
)
def test_a_limit_that_is_not_stated_is_refused_by_name(name, value):
    with pytest.raises(UserError, match=f"robot's folder .*{name}"):
        make(**{name: value})


requests = st.lists(
    arrays.arrays(np.float64, 3, elements=st.floats(allow_nan=True, allow_infinity=True)), min_size=1, max_size=30
)


@hypothesis.given(
    requests=requests,
    measured=arrays.arrays(np.float64, 3, elements=st.floats(-10, 10)),
    gains=st.sampled_from([LIMITS.gains, FOLLOWS_ANY_TARGET]),
    actions=st.lists(st.sampled_from(["command", "follow", "hold", "damp"]), min_size=30, max_size=30),
    cutoff_hz=st.sampled_from([0.0, 1.5, 9.0]),
)
@hypothesis.settings(max_examples=200, deadline=None)
def test_no_input_whatever_leaves_the_limits(requests, measured, gains, actions, cutoff_hz):
    limiter = make(low_pass_cutoff_hz=cutoff_hz, gains=gains)
    previous = None
    for requested, action in zip(requests, actions, strict=False):
        if action == "damp" or (action == "hold" and not limiter.has_setpoint):
            assert np.all(np.isnan(limiter.relax().setpoint))
            previous = None
            continue
        if action == "hold":
            command = limiter.hold()
        elif action == "follow":
            command = limiter.follow(np.nan_to_num(requested), measured)
        else:
            command = limiter.command(requested, measured)
        position = command.setpoint
        assert np.all(position >= LIMITS.lower_rad) and np.all(position <= LIMITS.upper_rad)
        gives_way = command.flags & SAFETY_FLAGS["torque_clipped"]
        if previous is not None and not gives_way:
            assert np.all(np.abs(position - previous) <= 5.0 / RATE_HZ + 1e-9)
        if gains is FOLLOWS_ANY_TARGET and not command.flags & SAFETY_FLAGS["holding"]:
            reachable = np.clip(measured, LIMITS.lower_rad, LIMITS.upper_rad)
            assert np.all(np.abs(position - reachable) <= LARGEST_ERROR_RAD + POSITION_MARGIN_RAD + 1e-9)
        previous = position
