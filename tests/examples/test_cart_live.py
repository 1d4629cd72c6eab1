"""The cart in real time: its twin, actor and learner as processes over ROS 2."""

import numpy as np
import pytest

from daydreamer.experience.tail import ExperienceTail
from daydreamer.session.directory import Session


@pytest.mark.long
def test_it_learns_live(installed, cart_compiled, tmp_path):
    path = tmp_path / "session"
    status, output = installed.daydreamer(
        *("learn", "cart", "reach_by_blob", "--preset", "tiny", "--minutes", "0.25", "--no-dashboard"),
        *("--set", "learner.train_ratio=4"),
        *("--session", str(path)),
        env=installed.environment | {"ROS_DOMAIN_ID": "61"},
        timeout=300,
    )
    assert status == 0, output
    session = Session.open(path)
    tail = ExperienceTail(session.experience, session.spec)
    steps = tail.read()
    assert tail.problems == [] and [step.sequence for step in steps] == list(range(len(steps))) and len(steps) >= 75
    sent = np.stack([step.action_sent for step in steps])
    assert np.isfinite(sent).all() and np.ptp(sent, axis=0).min() > 0.1  # it drives, and turns
    moved = np.stack([step.observation["motion"] for step in steps])
    assert np.ptp(moved, axis=0).min() > 0.1  # and senses it
