"""What the Burger's own checks find, and what they let pass."""

import sys
from pathlib import Path

import numpy as np
import pytest

from daydreamer.robots.burger.plausibility import OdometryCheck, WheelsCheck
from daydreamer.robots.camera_check import CameraCheck

sys.path.append(str(Path(__file__).parent))
from burger_rig import GREY, measured

PERIOD_S = 0.05


def watch(check, measurements, commanded=None):
    """What is found at last."""
    for number, measurement in enumerate(measurements):
        finding = check.update(PERIOD_S if number else 0.0, measurement, commanded)
    return finding


@pytest.mark.parametrize(
    "commanded, wheels_rad_s, wrong",
    [
        ((0.22, 0.0), (6.6, 6.6), False),
        ((0.22, 0.0), (6.6, 0.0), True),  # a dead motor
        ((0.0, 1.5), (3.6, -3.6), True),  # swapped wheels
        ((0.0, 0.0), (3.0, 3.0), True),  # it drives without having been told
        (None, (0.5, -0.5), False),  # it rolls out
        ((0.05, 0.0), (0.2, 0.2), False),  # too slow to tell
    ],
)
def test_wheels_that_do_not_turn_as_they_are_told(commanded, wheels_rad_s, wrong):
    rows = [measured(wheels_rad_s=wheels_rad_s)] * 40
    commanded = None if commanded is None else np.array(commanded)
    check = WheelsCheck()
    assert not watch(check, rows[:20], commanded).wrong  # a second is for speeding up
    assert watch(check, rows, commanded).wrong is wrong
    check.forget()
    assert not watch(check, rows[:20], commanded).wrong


def driving(steps):
    return [measured((0.2, 0.0), pose=(0.01 * step, 0.0, 0.0)) for step in range(steps)]


def test_odometry_that_is_reset():
    check = OdometryCheck()
    assert not watch(check, driving(100)).wrong
    finding = check.update(PERIOD_S, measured(pose=(0.0, 0.0, 0.0)), None)
    assert finding.wrong and finding.value == pytest.approx(0.99) and "place" in finding.subject
    assert not check.update(PERIOD_S, measured(pose=(0.01, 0.0, 0.0)), None).wrong
    assert "heading" in check.update(PERIOD_S, measured(pose=(0.01, 0.0, 1.5)), None).subject


def test_a_heading_that_passes_half_a_turn_is_no_leap():
    rows = [measured((0.0, 2.0), pose=(0.0, 0.0, np.remainder(0.1 * i + np.pi, 2 * np.pi) - np.pi)) for i in range(80)]
    check = OdometryCheck()
    assert not any(check.update(PERIOD_S, row, None).wrong for row in rows)


def test_odometry_that_stands_still_while_the_robot_drives():
    assert watch(OdometryCheck(), [measured((0.2, 0.0))] * 40).wrong
    assert not watch(OdometryCheck(), [measured((0.0, 1.0))] * 40).wrong


def pictures(make, seconds, period_s):
    """A measurement each tick, with a new picture every `period_s`."""
    rows, picture = [], None
    for tick in range(round(seconds / PERIOD_S)):
        if tick % round(period_s / PERIOD_S) == 0:
            picture = make()
        rows.append(measured(picture=picture, time_s=tick * PERIOD_S))
        rows[-1].received_s["camera"] = (tick - tick % round(period_s / PERIOD_S)) * PERIOD_S
    return rows


def noise(random=np.random.default_rng(0)):
    return random.integers(80, 100, (64, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize("period_s", [0.05, 0.2])
def test_a_camera_that_has_stopped_or_is_dark(period_s):
    assert not watch(CameraCheck("camera"), pictures(noise, 4.0, period_s)).wrong
    finding = watch(CameraCheck("camera"), pictures(GREY.copy, 4.0, period_s))
    assert finding.wrong and "the same picture" in finding.subject
    black = watch(CameraCheck("camera"), pictures(lambda: noise() // 40, 1.0, period_s))
    assert black.wrong and "black" in black.subject


def test_one_picture_for_long_is_no_frozen_camera():
    """It is a silent one, and grows stale."""
    assert not watch(CameraCheck("camera"), pictures(GREY.copy, 10.0, 100.0)).wrong
