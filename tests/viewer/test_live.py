"""A robot that is driven live, as it is drawn."""

import math

import numpy as np
import pytest

pytest.importorskip("rerun")

from daydreamer.viewer.live import LiveView
from daydreamer.viewer.titles import DREAM


def test_both_robots_and_what_is_foreseen_are_drawn(record_session, print_recording, tmp_path):
    recorder = record_session()
    view = LiveView(recorder.session, DREAM, tmp_path / "dream.rrd")
    random = np.random.default_rng(0)
    for frame in range(14):
        observation = recorder.step(1, frame, random).observation
        other = observation if frame < 7 else None
        reward = (12.0, 11.0 if other else math.nan)
        speed = {"info/forward_velocity_m_s": 0.3}
        view.show(0.1 * frame, (observation, other), reward, (speed, speed if other else {}))
    view.tell(0.7, "You drive.")
    view.close()
    text = print_recording(tmp_path / "dream.rrd", "-vvv")
    for path in (
        "/robot/dream",
        "/robot/other",
        "/dream/reward",
        "/learning/figures/info-forward_velocity_m_s",
        "/dream/signals/joints/1/reality",
        "/events",
    ):
        assert path in text, path
    assert "You drive." in text
