"""A log is begun as the session's settings have it, and says itself how: these may change between two lives."""

import sys
from pathlib import Path

import numpy as np

from daydreamer.config import ActorConfig, SessionConfig
from daydreamer.experience.header import read_header
from daydreamer.experience.log import list_logs
from daydreamer.session.directory import Session
from daydreamer.session.progress import logged_steps
from daydreamer.session.recording import begin_log
from daydreamer.telemetry.columns import read_columns

sys.path.append(str(Path(__file__).parents[1]))
from toy_robots import ROVER, ROVER_PRESENTATION, ToyRecorder

STEPS = 8


def test_each_life_stores_pictures_as_it_was_told_and_all_are_read(tmp_path):
    config = SessionConfig(actor=ActorConfig(picture_format="png"))
    recorder = ToyRecorder(tmp_path / "session", ROVER, ROVER_PRESENTATION, config)
    settings, random, seen = recorder.session.path / "session.yaml", np.random.default_rng(0), []
    for life, name in enumerate(("png", "raw", "png"), 1):
        text = settings.read_text()
        settings.write_text(text.replace("picture_format: png", "picture_format: raw").replace(": raw", f": {name}"))
        session = Session.open(recorder.session.path)
        with begin_log(session) as writer:
            assert writer.actor_life == life
            for sequence in range(STEPS):
                step = recorder.step(life, sequence, random)
                writer.append(step)
                seen.append(step.observation["camera"])
        assert read_header(writer.path).pictures == name
    assert len(list_logs(session.experience)) == 3 and logged_steps(session) == len(seen)
    np.testing.assert_array_equal(read_columns(session).observation["camera"], seen)
    # A log whose beginning is damaged counts for nothing, and does not keep the robot from going on.
    first = list_logs(session.experience)[1]
    content = first.read_bytes()
    first.write_bytes(bytes(4096) + content[4096:])
    assert logged_steps(session) == len(seen) - STEPS
    first.write_bytes(content)
    # Part of one life, and the whole of the others.
    for count in (3, STEPS + 3, 2 * STEPS + 3):
        np.testing.assert_array_equal(read_columns(session, count).observation["camera"], seen[-count:])
