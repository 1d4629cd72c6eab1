"""`daydreamer demonstrate` with the robot that has a teacher, in its twin and with its camera."""

import json

import pytest

from daydreamer.cli.begin import Beginning
from daydreamer.cli.demonstrate import demonstrate
from daydreamer.errors import UserError
from daydreamer.experience.tail import ExperienceTail
from daydreamer.report.history import read_history
from daydreamer.report.verdict import judge_session
from daydreamer.session.directory import Session
from daydreamer.session.new import configure, resumable_session
from daydreamer.session.status import read_status


def show(out, robot="so101"):
    settings = {"robot": robot, "task": None, "out": out, "episodes": 1, "seed": 0, "twin_file": None}
    return demonstrate(**settings, overrides=[], as_json=True)


def test_an_episode_is_shown_and_is_a_session_that_can_be_learned_from(tmp_path, capsys):
    assert show(tmp_path / "shown") == 0
    told = json.loads(capsys.readouterr().out)
    session = Session.open(tmp_path / "shown")
    steps = ExperienceTail(session.experience, session.spec).read()
    assert told["steps"] == [len(steps)] == [100]
    assert told["returns"] == [sum(step.reward for step in steps)] and told["returns"][0] > 80.0
    assert all(step.intervention and step.policy_version == 0 for step in steps)
    assert steps[0].is_first and steps[-1].is_last
    status = read_status(session)
    assert (status["state"], status["episodes"], status["intervention_steps"]) == ("stopped", 1, 100)
    verdict = judge_session(read_history(session))
    assert "a scripted teacher showed the task" in verdict.learned[0] and "--demonstrations" in verdict.advice[-1]
    with pytest.raises(UserError, match="a scripted teacher has shown a task; nobody learns.*--demonstrations"):
        resumable_session(session.path)
    beginning = Beginning(None, None, [session.path], 0.25)
    chosen = {"robot": "so101", "minutes": 1.0, "seed": 0, "preset": "tiny"}
    child = beginning.make(tmp_path / "child", configure(**chosen, overrides=beginning.overrides, is_shown=True))
    assert child.config.learner.demonstration_share == 0.25
    assert "Learns from 100 steps that were shown in" in capsys.readouterr().out.replace("\n", " ")


def test_a_robot_without_a_teacher_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(UserError, match="Nobody teaches 'a1' the task 'walk'; there are teachers of so101 pick_place"):
        show(tmp_path / "shown", "a1")
    assert not (tmp_path / "shown").exists()
