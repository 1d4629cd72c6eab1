"""What a report concludes in words."""

import msgspec
import pytest

from daydreamer.report.film import moments_s
from daydreamer.report.history import read_history
from daydreamer.report.verdict import judge_session
from daydreamer.session.parentage import Parentage


@pytest.fixture
def recorder(record_session):
    return record_session()


def verdict(recorder):
    return judge_session(read_history(recorder.session))


def test_a_robot_that_walks(recorder, record_dreams):
    recorder.log(60.0)
    recorder.write_metrics(20.0)
    recorder.write_status(actor={"milestones_s": {"walking": 1800.0, "upright": 90.0, "standing": 600.0}})
    record_dreams(recorder, (0.3,))
    told = verdict(recorder)
    assert told.learned[0].startswith("The robot held itself upright after 1.5, stood after 10.0 and walked after 30.0")
    assert any("+0.30 m/s" in sentence for sentence in told.learned)
    assert any("predicted well" in sentence for sentence in told.learned)
    assert told.wrong == [] and "daydreamer compare" in told.advice[0]


def test_a_session_that_began_with_another_says_so_first(recorder):
    parent = Parentage(
        path="/sessions/rehearsed",
        digest="a" * 64,
        checkpoint="b" * 64,
        robot="a1",
        body="twin",
        seed=0,
        gradient_step=2025,
        env_steps=7200,
        lived_s=360.0,
    )
    recorder.session.record = msgspec.structs.replace(recorder.session.record, parent=parent)
    recorder.log(20.0)
    assert verdict(recorder).learned[0] == (
        "It did not begin at nothing, but with what /sessions/rehearsed (a1, twin) had learned by gradient step 2025, "
        "in 6.0 robot minutes."
    )


def test_falls_and_advice_are_told(recorder):
    """Upright, with a fall every ten seconds; a wobble is none."""

    def fall(step):
        second = step.sequence / 20
        step.info["up_z"] = -0.5 if second % 10 > 8 else 0.3 if second % 10 > 7 else 0.9

    recorder.log(45.0, fall)
    recorder.write_metrics(20.0, {"learner/behavior/randomness": lambda share: 0.0})
    recorder.write_status(actor={"milestones_s": {}})
    told = verdict(recorder)
    assert any("It fell 4 times, last at minute 0.6" in sentence for sentence in told.wrong)
    assert told.wrong[0].startswith("Entropy collapsed.") and told.advice[0].startswith("Entropy collapsed")
    assert "not yet held itself upright" in told.learned[0]


def test_milestones_are_taken_from_the_events_of_a_session_that_was_killed(recorder):
    recorder.log(20.0)
    recorder.events.record("milestone", "actor", name="upright", robot_seconds=12.0)
    assert read_history(recorder.session).milestones_s == {"upright": 12.0}


@pytest.mark.parametrize(
    "minutes, expected",
    [(60.0, (5, 20, 40, 60)), (59.99, (5, 20, 40, 59.99)), (8.0, (2, 4, 6, 8)), (0.2, (0.05, 0.1, 0.15, 0.2))],
)
def test_scenes_are_at_fixed_moments(minutes, expected):
    assert [second / 60 for second in moments_s(minutes)] == pytest.approx(expected)


def test_what_is_paid_rarely_is_told_with_digits_that_say_something(recorder):
    def pay(step):
        step.info["published_reward"] = float(step.sequence % (300 if step.sequence < 600 else 150) == 0)

    recorder.log(60.0, pay)
    (sentence,) = [each for each in verdict(recorder).learned if "mean reward" in each]
    assert "rose: from 0.0033 in" in sentence and "to 0.0067 in the last" in sentence


def test_a_clock_that_was_set_back_is_named_and_events_keep_their_order(recorder):
    recorder.log(20.0)

    def earlier(step):
        step.wall_ns -= 3_600_000_000_000

    recorder.log(20.0, earlier)
    history = read_history(recorder.session)
    assert any("set back by 36" in problem for problem in history.problems)
    minutes = [history.robot_minutes({"wall_s": wall_ns * 1e-9}) for wall_ns in history.steps.wall_ns[:400:20]]
    assert minutes == sorted(minutes)
