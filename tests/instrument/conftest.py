"""A session whose model has learned a little: more than that nothing changes."""

import contextlib

import pytest

from daydreamer.learner.learner import Learner
from daydreamer.policy.snapshot import published_snapshots

UPDATES = 150
SECONDS = 60.0
LIES_S = 10.0


@pytest.fixture(scope="session")
def learned(tmp_path_factory, learner_compiled, session_recorder):
    """An A1 that lies, then walks, and a model of that with two policies; nobody changes it."""
    recorder = session_recorder(tmp_path_factory.mktemp("learned") / "walked", preset="tiny", minutes=1.0)

    def begin_on_the_back(step):
        if step.sequence < recorder.spec.steps(LIES_S):
            step.observation["gravity_up"] *= -1
            step.info["up_z"], step.reward = -1.0, 5.0
        step.info["up_z"] = float(step.observation["gravity_up"][2])
        step.info["forward_velocity_m_s"] = 0.5 * float(step.observation["velocity"][0])

    recorder.log(SECONDS, begin_on_the_back)
    with contextlib.closing(Learner(recorder.session, lambda kind, **fields: None)) as learner:
        learner.ingest()
        learner.publish()
        for _ in range(UPDATES):
            learner.update()
        learner.publish()
        learner.checkpoint()
    assert len(published_snapshots(recorder.session.policy)) == 2
    return recorder.session
