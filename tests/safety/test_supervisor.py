import hypothesis
import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest

from daydreamer.config import ActorConfig
from daydreamer.experience.step import SAFETY_FLAGS
from daydreamer.robots.base import JointLimits
from daydreamer.safety.supervisor import POSITION_MARGIN_RAD, SafetySupervisor

RATE_HZ = 20.0
LIMITS = JointLimits(
    lower_rad=np.array([-0.8, -1.0, -2.7]),
    upper_rad=np.array([0.8, 4.2, -0.9]),
    command_rate_rad_s=np.array([5.0, 5.0, 5.0]),
    velocity_rad_s=np.full(3, 21.0),
    torque_n_m=np.full(3, 33.5),
)
STAND = np.array([0.0, 0.9, -1.8])


def make(**config) -> SafetySupervisor:
    return SafetySupervisor(LIMITS, ActorConfig(**config), RATE_HZ)


def test_a_harmless_request_arrives_unchanged_without_a_filter():
    command = make(low_pass_cutoff_hz=0.0).command(STAND + 0.1, STAND)
    np.testing.assert_allclose(command.position_rad, STAND + 0.1)
    assert command.flags == 0


def test_the_first_command_departs_from_the_measured_pose():
    command = make(low_pass_cutoff_hz=0.0).command(STAND + [0.5, 0.0, 0.0], STAND)
    np.testing.assert_allclose(command.position_rad, STAND + [5.0 / RATE_HZ, 0.0, 0.0])
    assert command.flags == SAFETY_FLAGS["rate_clipped"]


def test_the_rate_is_limited_from_the_previous_command_not_from_the_measurement():
    supervisor = make(low_pass_cutoff_hz=0.0)
    for step in range(1, 4):
        command = supervisor.command(STAND + [0.7, 0.0, 0.0], STAND)
        np.testing.assert_allclose(command.position_rad[0], min(0.7, step * 5.0 / RATE_HZ))


def test_position_limits_hold_with_their_margin():
    supervisor = make(low_pass_cutoff_hz=0.0)
    for _ in range(40):
        command = supervisor.command(np.array([9.0, -9.0, 9.0]), STAND)
    assert command.flags & SAFETY_FLAGS["position_clipped"]
    expected = [0.8 - POSITION_MARGIN_RAD, -1.0 + POSITION_MARGIN_RAD, -0.9 - POSITION_MARGIN_RAD]
    np.testing.assert_allclose(command.position_rad, expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_action_that_is_not_finite_holds_the_last_command(bad):
    supervisor = make()
    last = supervisor.command(STAND + 0.1, STAND)
    command = supervisor.command(np.array([0.0, bad, 0.0]), STAND + 0.3)
    np.testing.assert_array_equal(command.position_rad, last.position_rad)
    assert command.flags == SAFETY_FLAGS["action_not_finite"] | SAFETY_FLAGS["holding"]
    assert supervisor.counts["action_not_finite"] == supervisor.counts["holding"] == 1


def test_a_stale_state_holds_and_an_old_one_damps():
    supervisor = make(state_timeout_s=0.2, damp_timeout_s=1.0)
    last = supervisor.command(STAND, STAND)
    assert not supervisor.is_stale(0.19) and supervisor.is_stale(0.21)
    held = supervisor.command_stale(0.5)
    np.testing.assert_array_equal(held.position_rad, last.position_rad)
    assert held.flags == SAFETY_FLAGS["state_stale"] | SAFETY_FLAGS["holding"] and not held.damping
    damped = supervisor.command_stale(1.1)
    assert damped.damping and np.all(np.isnan(damped.position_rad))


def test_after_damping_it_departs_from_where_the_robot_has_fallen_to():
    supervisor = make(low_pass_cutoff_hz=0.0)
    supervisor.command(STAND, STAND)
    supervisor.damp()
    fallen = STAND + [0.5, 1.5, -0.5]
    np.testing.assert_allclose(supervisor.command(fallen, fallen).position_rad, fallen)


def test_stale_before_any_command_damps_because_there_is_no_pose_to_hold():
    assert make().command_stale(0.3).damping


requests = st.lists(
    arrays.arrays(np.float64, 3, elements=st.floats(allow_nan=True, allow_infinity=True)), min_size=1, max_size=30
)


@hypothesis.given(
    requests=requests,
    measured=arrays.arrays(np.float64, 3, elements=st.floats(-10, 10)),
    ages=st.lists(st.floats(0, 2), min_size=30, max_size=30),
    cutoff_hz=st.sampled_from([0.0, 1.5, 9.0]),
)
@hypothesis.settings(max_examples=200, deadline=None)
def test_no_input_whatever_leaves_the_limits(requests, measured, ages, cutoff_hz):
    supervisor = make(low_pass_cutoff_hz=cutoff_hz)
    previous = None
    for requested, age_s in zip(requests, ages, strict=False):
        stale = supervisor.is_stale(age_s)
        command = supervisor.command_stale(age_s) if stale else supervisor.command(requested, measured)
        if command.damping:
            assert np.all(np.isnan(command.position_rad))
            previous = None
            continue
        assert np.all(command.position_rad >= LIMITS.lower_rad) and np.all(command.position_rad <= LIMITS.upper_rad)
        if previous is not None:
            assert np.all(np.abs(command.position_rad - previous) <= 5.0 / RATE_HZ + 1e-9)
        previous = command.position_rad
