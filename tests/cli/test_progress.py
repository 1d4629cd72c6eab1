"""What an operator sees on the terminal."""

import io

import pytest
from rich.console import Console

from daydreamer.cli.progress import ProgressView, sparkline, summarise
from daydreamer.session.status import read_status


@pytest.fixture
def running(record_session):
    recorder = record_session()
    recorder.log(90.0)
    recorder.write_status({"state": "running", "reward_recent": 8.25, "control_rate_hz": 12.0}, {"state": "running"})
    return recorder.session


def show(session, terminal, status_change=None, dashboard=None):
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=110, color_system=None)
    with ProgressView(console, session, 60.0) as view:
        view.show(read_status(session) | (status_change or {}), dashboard)
        shown = output.getvalue()
        view.say("The learner was killed.")
    return shown, output.getvalue()


def test_a_terminal_shows_clock_state_learning_and_what_is_bad(running):
    shown, after = show(running, terminal=True, dashboard="http://127.0.0.1:9090")
    for part in ("1:30 of 60 min", "RUNNING", "reward 8.25", "● upright 1.0 min", "○ walking", "12.0 Hz", "9090"):
        assert part in shown, part
    # However the line is folded, which a long path decides.
    assert f"daydreamerstatus{running.path}" in "".join(shown.split()).replace("│", "")
    assert "The learner was killed." in after


def test_the_supervisor_state_is_shown_while_the_actor_runs(running):
    shown, _ = show(running, terminal=True, status_change={"safety_state": "emergency_stopped"})
    assert "EMERGENCY STOPPED" in shown


def test_without_a_terminal_there_are_plain_lines(running):
    shown, _ = show(running, terminal=False, dashboard="http://127.0.0.1:9090")
    first, second = shown.splitlines()
    assert first == "Dashboard: http://127.0.0.1:9090"
    assert second.startswith("1.5 of 60 robot minutes, reward 8.25, ") and "\x1b" not in shown


@pytest.mark.parametrize(
    "processes, why",
    [
        ({}, "the actor is not running"),
        ({"actor": {"state": "stopped"}}, "the actor is not running"),
        ({"actor": {"state": "waiting"}}, "waiting for the robot"),
    ],
)
def test_a_robot_that_nobody_controls_is_said_to_be_so(running, processes, why):
    shown, _ = show(running, terminal=False, status_change={"processes": processes, "safety_state": "stopped"})
    assert shown.startswith(f"1.5 of 60 robot minutes, {why}, ")


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("state", ["waiting", "running"])
def test_what_the_actor_wants_its_operator_to_know_is_shown(running, terminal, state):
    notices = ["waits for you: press r, then Y, here", "/joint_states has 2 publishers: /a1, /arm"]
    change = {"processes": {"actor": {"state": state}}, "notices": notices, "safety_state": "stopped"}
    shown, _ = show(running, terminal=terminal, status_change=change)
    shown = " ".join(shown.replace("│", " ").split())
    assert "waits for you: press r, then Y, here; /joint_states has 2 publishers: /a1, /arm" in shown


@pytest.mark.parametrize(
    "raised, starting, why",
    [
        ({}, True, "learner starting, "),
        ({}, False, ""),
        ({"learner_silent": "warn"}, False, "learner silent!, "),
        ({"learner_silent": "warn"}, True, "learner silent!, learner starting, "),
    ],
)
def test_a_learner_that_starts_is_told_from_one_that_is_silent(running, raised, starting, why):
    change = {"watchdogs_raised": raised, "learner_starting": starting}
    shown, _ = show(running, terminal=False, status_change=change)
    assert shown.startswith(f"1.5 of 60 robot minutes, {why}reward 8.25, ")


def test_a_session_in_which_the_robot_never_set_out_is_summed_up(running):
    status = read_status(running) | {"env_steps": 0, "robot_seconds": 0.0, "imagined_per_real_step": None}
    assert summarise(status)[0] == "0 steps logged (0.0 robot minutes)"


def test_a_session_without_anything_is_shown_too(record_session):
    shown, _ = show(record_session().session, terminal=True)
    assert "0:00 of 60 min" in shown and "STARTING" in shown


def test_a_sparkline_rises_with_its_values():
    assert sparkline([0.0, 0.5, 1.0], 0.0, 1.0) == "▁▅█"
    assert sparkline([3.0], 3.0, 3.0) == "▁"
