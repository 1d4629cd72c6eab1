"""`daydreamer train --teacher-after`: the SO-101's teacher stands by in its twin; nobody has learned anything yet."""

import pytest
from typer.testing import CliRunner

from daydreamer.cli.main import app
from daydreamer.cli.supervise import require_live
from daydreamer.errors import UserError
from daydreamer.experience.tail import ExperienceTail
from daydreamer.lockstep import REPORT_STEPS
from daydreamer.replay import to_rows
from daydreamer.report.history import read_history
from daydreamer.report.verdict import judge_session
from daydreamer.session.directory import Session
from daydreamer.session.events import read_events
from daydreamer.session.new import configure
from daydreamer.session.status import read_status

ARM = ["train", "so101", "pick_place_fine", "--steps", str(REPORT_STEPS)]


def test_what_the_teacher_shows_where_the_policy_is_stuck_is_an_operators_and_no_success_of_the_policys(tmp_path):
    out = tmp_path / "taught"
    result = CliRunner().invoke(
        app,
        [*ARM, "--teacher-after", "2", "--set", "learner.minimum_s=1000", "--out", str(out)],
        catch_exceptions=False,
    )
    assert result.exit_code == 0
    session = Session.open(out)
    assert session.config.actor.teacher_after_s == 2.0 and session.config.learner.shown_scale > 0.0
    steps = ExperienceTail(session.experience, session.spec).read()
    shown = [step.intervention for step in steps]
    assert shown[:20] == [False] * 20 and all(shown[20 : 20 + 10])
    assert to_rows(steps, session.spec)["shown"].tolist() == shown
    assert sum(step.reward for step in steps) >= 1.0, "the teacher places it"
    assert {step.info["success_percent"] for step in steps} == {0.0}
    events = list(read_events(session.events))
    assert all(event["taken_over"] for event in events if event["kind"] == "episode_end")
    assert [event["begins"] for event in events if event["kind"] == "intervention"][:3] == [True, False, True]
    assert read_status(session)["intervention_steps"] == sum(shown)
    said = " ".join(result.output.split())
    assert f"policy's success 0 % teacher {sum(shown) / len(shown):.0%} of the steps" in said
    sentence = f"chose {sum(shown) / len(shown):.0%} of the steps, in"
    assert f"The teacher {sentence}" in said
    history = read_history(session)
    assert any(sentence in each and "not the policy's" in each for each in judge_session(history).learned)
    assert len(history.telemetry.series("teacher/step_share").value) == 1


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["train", "a1", "walk", "--steps", "10"], "Nobody teaches 'a1' the task 'walk'"),
        ([*ARM, "--set", "actor.teacher_after_s=15"], "never does in episodes of 15 s"),
    ],
)
def test_refuses_where_nobody_would_intervene_before_anything_is_made(tmp_path, arguments, words):
    out = tmp_path / "taught"
    result = CliRunner().invoke(app, [*arguments, "--teacher-after", "2", "--out", str(out)])
    assert isinstance(result.exception, UserError) and words in str(result.exception)
    assert not out.exists()


def test_refuses_it_in_real_time():
    config = configure(
        robot="so101", task="pick_place_fine", minutes=1.0, seed=0, overrides=["actor.teacher_after_s=8"]
    )
    with pytest.raises(UserError, match="in lock-step alone; use 'daydreamer train'"):
        require_live(config)
