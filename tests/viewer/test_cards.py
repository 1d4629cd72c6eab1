"""What can be read from two metres: the state by its colour, what is bad in red."""

import io

import numpy as np
import pytest

pytest.importorskip("PIL")

from PIL import Image, ImageColor

from daydreamer.robots.quadruped.presentation import WALK
from daydreamer.telemetry.health import Reading
from daydreamer.telemetry.rules import Advice
from daydreamer.viewer.cards import BAD, GOOD, WARN, banner, health

STATUS = {
    "robot_seconds": 1043.0,
    "processes": {"actor": {"state": "running"}},
    "safety_state": "running",
    "safety_cause": None,
    "watchdogs_raised": {},
    "reward_recent": 8.3,
    "figures_recent": {"info/forward_velocity_m_s": 0.1},
    "milestones_s": {},
}


def share(png, colour):
    """Of the pixels that are about of this colour."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    return (np.abs(pixels - ImageColor.getrgb(colour)).sum(-1) < 40).mean()


@pytest.mark.parametrize(
    "state, colour", [("running", GOOD), ("holding", WARN), ("damping", BAD), ("emergency_stopped", BAD)]
)
def test_the_state_of_the_robot_is_a_large_field_of_its_colour(state, colour):
    png = banner(STATUS | {"safety_state": state, "safety_cause": "a test"}, WALK, 60.0)
    assert share(png, colour) > 0.1
    assert all(share(png, other) < 0.02 for other in {GOOD, WARN, BAD} - {colour})


def test_a_process_that_is_gone_is_shown_before_its_last_state():
    png = banner(STATUS | {"processes": {"actor": {"state": "crashed"}}}, WALK, 60.0)
    assert share(png, BAD) > 0.1


def test_clock_and_milestones_are_on_the_banner():
    assert banner(STATUS, WALK, 60.0) != banner(STATUS | {"robot_seconds": 1044.0}, WALK, 60.0)
    reached = banner(STATUS | {"milestones_s": {"upright": 60.0}}, WALK, 60.0)
    assert share(reached, GOOD) > share(banner(STATUS, WALK, 60.0), GOOD)


def test_what_is_bad_is_red_and_advice_that_does_not_fit_is_announced():
    good, bad = Reading("control rate", "20.0 Hz", "good"), Reading("control rate", "12.0 Hz", "bad")
    assert share(health([good], []), BAD) == 0 and share(health([good], []), GOOD) > 0
    assert share(health([bad], []), BAD) > 0
    advice = Advice(rule="late", level="bad", title="Control loop late", finding="Far too long. " * 30, cure="Rest.")
    assert share(health([good], [advice]), BAD) > 0
    assert health([good], [advice] * 9) == health([good], [advice] * 10)
