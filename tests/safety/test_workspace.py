"""An arm's tool stays in its workspace, slides along its faces, and is no faster than it may be."""

import dataclasses

import numpy as np
import pytest

from daydreamer.robots.so101 import kinematics
from daydreamer.robots.so101.constants import LIMITS, OPEN_RAD, READY_RAD, READY_TOOL_M, REST_RAD, TOOL_SPEED_M_S
from daydreamer.safety.flags import SAFETY_FLAGS
from daydreamer.safety.limiter import CommandLimiter
from daydreamer.safety.workspace import ROUNDING_M, beyond_m

RATE_HZ = 20.0
BOX = LIMITS.workspace


@pytest.fixture
def limiter():
    limiter = CommandLimiter(LIMITS, 0.0, RATE_HZ)
    limiter.depart(READY_RAD)
    return limiter


def at(tool_m):
    return np.array((*kinematics.downwards(np.array(tool_m)), OPEN_RAD))


def follow(limiter, requested_rad, ticks):
    """Tools `[ticks, 3]` that are told, to an arm that goes where it is told."""
    told = [limiter.command(requested_rad, limiter.setpoint).setpoint for _ in range(ticks)]
    return np.array([kinematics.tool_position_m(joints_rad) for joints_rad in told])


def test_it_goes_straight_and_no_faster_than_it_may(limiter):
    aim_m = np.array((0.16, 0.06, 0.03))
    tools_m = follow(limiter, at(aim_m), 20)
    np.testing.assert_allclose(tools_m[-1], aim_m, atol=1e-9)
    steps_m = np.linalg.norm(np.diff(tools_m, axis=0), axis=1)
    assert steps_m.max() <= TOOL_SPEED_M_S / RATE_HZ + 1e-9 and steps_m[0] == pytest.approx(steps_m[3])
    way = (aim_m - READY_TOOL_M) / np.linalg.norm(aim_m - READY_TOOL_M)
    beside_m = (tools_m - READY_TOOL_M) - np.outer((tools_m - READY_TOOL_M) @ way, way)
    assert np.abs(beside_m).max() < 1e-9
    assert not any(limiter.counts.values())


def test_what_lies_outside_is_slid_along_the_face_and_not_refused(limiter):
    follow(limiter, at((0.19, -0.026, 0.012)), 20)
    tools_m = follow(limiter, at((0.19, 0.07, -0.02)), 20)  # along the table, and into it
    np.testing.assert_allclose(tools_m[-1], (0.19, 0.07, BOX.lower_m[2]), atol=1e-9)
    assert limiter.counts["workspace_clipped"] == 20


def test_whatever_is_asked_for_and_measured_the_tool_stays_inside(limiter):
    random, request = np.random.default_rng(0), READY_RAD
    moved = 0
    for _ in range(600):
        if random.random() < 0.2:
            request = random.uniform(1.2 * LIMITS.lower_rad, 1.2 * LIMITS.upper_rad)
        before = limiter.setpoint
        command = limiter.command(request, before + random.normal(0.0, 0.05, 6))
        assert beyond_m(BOX, command.setpoint) <= ROUNDING_M
        assert np.all(np.abs(command.setpoint - before) <= LIMITS.command_rate_rad_s / RATE_HZ + 1e-9)
        moved += np.any(command.setpoint[:5] != before[:5])
    assert moved > 300


def test_from_outside_it_only_ever_comes_nearer(limiter):
    outside_rad = at((0.19, -0.026, 0.11)) - (0.0, 0.25, 0.0, 0.0, 0.0, 0.0)
    limiter.depart(outside_rad)
    beyond = [beyond_m(BOX, outside_rad)]
    assert beyond[0] > 0.01
    for _ in range(20):
        beyond.append(beyond_m(BOX, limiter.command(READY_RAD, limiter.setpoint).setpoint))
    assert np.all(np.diff(beyond) <= ROUNDING_M) and beyond[-1] == 0.0


def test_a_gripper_that_is_held_open_does_not_hold_up_the_arm(limiter):
    limiter.command(at((0.17, 0.0335, 0.065)), READY_RAD)
    measured = READY_RAD.copy()
    for _ in range(20):
        measured[:5] = limiter.setpoint[:5]
        limiter.command(np.array((*at((0.17, 0.0335, 0.065))[:5], -0.16)), measured)
    np.testing.assert_allclose(kinematics.tool_position_m(limiter.setpoint), (0.17, 0.0335, 0.065), atol=1e-9)
    assert READY_RAD[5] - limiter.setpoint[5] < 0.15  # what it may press with


def test_the_way_to_a_named_pose_may_leave_the_workspace_but_not_sink_into_the_table(limiter):
    for share in np.linspace(0.0, 1.0, 60):
        limiter.follow(READY_RAD + share * (REST_RAD - READY_RAD), limiter.setpoint)
    np.testing.assert_allclose(limiter.setpoint, REST_RAD)
    assert beyond_m(BOX, REST_RAD) > 0.05
    low_rad = REST_RAD + (0.0, 0.0, 0.0, 0.4, 0.0, 0.0)
    for _ in range(40):
        limiter.follow(low_rad, limiter.setpoint)
    assert kinematics.tool_position_m(low_rad)[2] < 0.0
    assert kinematics.tool_position_m(limiter.setpoint)[2] >= BOX.lower_m[2]
    assert limiter.counts["workspace_clipped"]


def test_an_arm_that_does_not_reach_the_corner_stays_in_the_box():
    box = dataclasses.replace(BOX, upper_m=np.array((0.6, 0.6, 0.6)))
    limiter = CommandLimiter(dataclasses.replace(LIMITS, workspace=box), 0.0, RATE_HZ)
    limiter.depart(READY_RAD)
    stretched = READY_RAD * (1.0, 0.0, 0.0, 0.0, 1.0, 1.0)
    tools_m = follow(limiter, stretched, 80)
    assert np.all(tools_m >= box.lower_m - 1e-9) and tools_m[-1][0] > READY_TOOL_M[0] + 0.1
    assert limiter.command(stretched * np.nan, READY_RAD).flags & SAFETY_FLAGS["action_not_finite"]
