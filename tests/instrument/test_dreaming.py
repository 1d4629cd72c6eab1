"""A dream that is driven: by policy or person, rewound, branched; and the command around it."""

import math

import numpy as np
import pytest

from daydreamer.actor.gamepad import LAYOUTS
from daydreamer.cli import dream as command
from daydreamer.cli import hands
from daydreamer.cli.dream_gamepad import DreamGamepad
from daydreamer.cli.dream_keys import REWIND_S, DreamKeys
from daydreamer.cli.dream_screen import Screen
from daydreamer.cli.hands import GamepadHand
from daydreamer.cli.terminal import Terminal
from daydreamer.errors import UserError
from daydreamer.instrument import dreaming
from daydreamer.instrument.dreaming import Dream, DreamModel, Ever
from daydreamer.instrument.logged import find_window, read_logged
from daydreamer.learner.learned import read_learned
from daydreamer.policy.policy import Policy
from daydreamer.robots.registry import make_task
from daydreamer.session.directory import Session
from daydreamer.telemetry.measured_policies import choose_policy
from daydreamer.telemetry.quantities import known_figures


@pytest.fixture(scope="module")
def session(learner_compiled):
    return Session.open(learner_compiled)


@pytest.fixture(scope="module")
def model(session):
    policy = Policy.load(choose_policy(session, "newest").path, session.spec, 0, 0.0)
    return DreamModel(read_learned(session.path), policy, read_logged(session), None, seed=0)


@pytest.fixture
def dream(session, model, monkeypatch):
    monkeypatch.setattr(dreaming, "OVER", 0.0)  # a model that knows nothing expects an end at any time
    return Dream(model, make_task(session.config).operator_action)


def advanced(dream, steps=5):
    for _ in range(steps):
        dream.advance()
    return dream.frame


def same(one, other):
    return all(np.array_equal(one.observation[key], other.observation[key]) for key in one.observation)


def test_it_begins_with_what_was_logged_and_the_same_comes_again(session, dream):
    steps = read_logged(session)
    first = dream.frame.robot
    assert first.reward == steps.rows["reward"][-1]
    np.testing.assert_array_equal(first.observation["velocity"], steps.rows["observation/velocity"][-1])
    frame = advanced(dream)
    assert frame.step == 5 and not frame.robot.operated and frame.other is None
    assert frame.robot.figures.keys() >= {"info/forward_velocity_m_s"}
    assert dream.rewind(0.1) == pytest.approx(0.1) and dream.frame.step == 3
    assert same(advanced(dream, 2).robot, frame.robot)
    assert dream.rewind(60.0) == pytest.approx(0.25) and dream.frame.robot is first


def test_what_differs_from_the_other_robot_comes_of_what_was_done(dream):
    advanced(dream)
    dream.branch()
    frame = advanced(dream)
    assert same(frame.robot, frame.other)
    dream.steer(1, 1.0)
    parted = advanced(dream)
    assert parted.robot.operated and not parted.other.operated and not same(parted.robot, parted.other)
    dream.rewind(0.25)
    dream.operated = False
    assert same(advanced(dream).robot, parted.other) and dream.frame.other is None


def test_the_other_robot_can_be_gone_on_with(session, model, dream):
    again = Dream(model, make_task(session.config).operator_action)
    for each in (dream, again):
        each.branch()
        each.steer(1, 1.0)
        advanced(each)
    again.exchange()
    assert not again.operated
    kept, exchanged = advanced(dream), advanced(again)
    assert not exchanged.robot.operated and exchanged.other.operated
    assert same(exchanged.robot, kept.other) and same(exchanged.other, kept.robot)


def test_nothing_is_dreamed_that_is_beyond_what_was_ever_measured(model, dream, monkeypatch):
    size = model._ever.lowest.size
    nothing = Ever.of(np.zeros((2, size)), size)
    monkeypatch.setattr(model, "_ever", nothing)
    robot = advanced(dream, 2).robot
    assert robot.outside and not any(values.any() for values in robot.observation.values())
    monkeypatch.setattr(model, "_ever", Ever(*(sign * np.full(size, np.inf) for sign in (-1.0, 1.0, -1.0, 1.0))))
    robot = advanced(dream, 2).robot
    assert not robot.outside and all(values.any() for values in robot.observation.values())


def test_where_the_episode_is_over_it_begins_anew(dream, monkeypatch):
    dream.branch()
    monkeypatch.setattr(dreaming, "OVER", 0.99)
    assert advanced(dream, 1).step == 1 and not dream.branched
    assert advanced(dream, 1).step == 0


def test_it_begins_at_a_minute_of_the_log_or_says_which_there_are(session):
    steps = read_logged(session)
    window = find_window(session, steps, 20, 0.2)
    assert steps.minute(window + 20) == pytest.approx(0.2, abs=0.02)
    with pytest.raises(UserError, match=r"robot minutes 0.00 to 0.33; choose --minute"):
        find_window(session, steps, 20, 3.0)
    with pytest.raises(UserError, match="no stretch of 20.0 s without a gap in its log; let it run on.*resume"):
        find_window(session, steps, 400, None)


def test_keys_drive(dream):
    keys = DreamKeys()
    keys.take("w\x1b[A\x1bOD\x1b[200~io?", 0.0)
    assert list(keys.obey(dream)) == ["You drive."] and dream.stick.tolist() == [0.25, 0.5, 0.0, 0.25, -0.25, 0.0]
    advanced(dream)
    keys.take(" tpr", 0.0)
    assert [each.split()[0] for each in keys.obey(dream)] == ["The", "Paused.", "Rewound"]
    assert keys.paused and not dream.operated and not dream.stick.any() and dream.frame.step == 0
    keys.take("pcbcq", 0.0)
    assert [each.split()[0] for each in keys.obey(dream)] == ["On", "What", "Changed"]
    assert keys.ended and (keys.rewinds, keys.branches) == (1, 1) and REWIND_S == 5.0


def test_a_gamepad_drives_while_its_button_is_held_and_gives_back_to_the_policy(session, dream, pad, monkeypatch):
    layout = LAYOUTS["xbox"]
    keys = DreamGamepad(GamepadHand(make_task(session.config), layout, pad))

    def after(*buttons, up=0.0):
        if buttons:
            pad.messages.append(([0.0, up], [int(button in buttons) for button in range(11)]))
        return [each.split()[0] for each in keys.obey(dream)]

    nothing = 10
    assert not after() and not after(nothing, up=1.0) and not dream.operated
    assert after(layout.deadman, up=0.5) == ["You"] and dream.stick.tolist() == [0.0, 0.5, 0.0, 0.0, 0.0, 0.0]
    keys.take("dt", 0.0)
    assert after() == ["The", "You"] and dream.operated and dream.stick[0] == 0.0  # the keys have not the last word
    assert advanced(dream).robot.operated
    assert after(layout.deadman, layout.keep) == ["What"] and dream.branched
    assert not after(layout.deadman, layout.keep)
    assert after(nothing) == ["The"] and not dream.operated and not dream.stick.any()
    keys.take("w", 0.0)
    assert after() == ["You"] and dream.operated and not after(nothing)
    assert after(nothing, layout.discard) == ["Rewound"] and not dream.branched
    assert not after(layout.deadman, up=-1.0) and dream.stick[1] == -1.0
    monkeypatch.setattr(hands, "GAMEPAD_TIMEOUT_S", -1.0)
    assert after() == ["The"] and not dream.operated


def test_a_line_says_what_comes_and_whose_action_it_is(session, dream, capsys):
    screen = Screen(Terminal(width=200), known_figures(session.presentation, session.spec), 7)
    dream.branch()
    dream.steer(0, 0.25)
    screen.show_dream(advanced(dream, 1), dream, 20.4, session.spec.control_period_s)
    line = capsys.readouterr().out
    assert "m/s forward  you" in line and "20 frames/s  stick +0.25" in line
    assert "what if: reward" in line and "policy 7" in line


def test_the_command_ends_by_itself_and_tells_programs(session, run_dream):
    told, said = run_dream(session.path, minute=0.2)
    assert (told["frames"], told["dreamed_s"], told["operated"]) == (20, 1.0, 0.0)
    assert told["minute"] == pytest.approx(0.2, abs=0.02) and told["frames_per_s"] > 0.0
    assert "no better than 'nothing changes'" in told["warnings"][0] and f"policy {told['policy']}" in said


def test_a_speed_is_a_word_or_a_factor():
    assert [command.parse_speed(each) for each in ("real", "max", "0.5")] == [1.0, math.inf, 0.5]
    for wrong in ("fast", "0", "inf", "nan"):
        with pytest.raises(UserError, match="choose real, max"):
            command.parse_speed(wrong)
