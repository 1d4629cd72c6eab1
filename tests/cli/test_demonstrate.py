"""`daydreamer demonstrate` with the robot that has a teacher, in its twin and with its camera."""

import json
import os
import pty
import re
import select
import signal
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

sys.path.append(str(Path(__file__).parents[1] / "robots"))
from feetech_stand_in import FeetechStandIn

from daydreamer.cli.begin import Beginning, Chosen, FromOthers
from daydreamer.cli.demonstrate import Lesson, Onlooking, demonstrate, demonstrate_by_hand
from daydreamer.cli.main import app
from daydreamer.errors import UserError
from daydreamer.experience.tail import ExperienceTail
from daydreamer.report.history import read_history
from daydreamer.report.verdict import judge_session
from daydreamer.robots.arm.cells import BACK, FORWARD, GRIP, LIFT
from daydreamer.robots.so101 import kinematics
from daydreamer.robots.so101.constants import OPEN_RAD, READY_TOOL_M
from daydreamer.robots.so101.pick_place_fine import BEGIN_YAW_RAD
from daydreamer.session.directory import Session
from daydreamer.session.new import resumable_session
from daydreamer.session.status import read_status


def lesson(out, robot="so101"):
    return Lesson(Chosen(robot, None, seed=0), out, episodes=1, as_json=True)


def test_an_episode_is_shown_and_is_a_session_that_can_be_learned_from(tmp_path, capsys):
    assert demonstrate(lesson(tmp_path / "shown")) == 0
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
    beginning = Beginning(FromOthers(demonstrations=[session.path], demonstration_share=0.25))
    config = Chosen("so101", None, seed=0, preset="tiny").configure(1.0, beginning=beginning)
    child = beginning.make(tmp_path / "child", config)
    assert child.config.learner.demonstration_share == 0.25
    assert "Learns from 100 steps that were shown in" in capsys.readouterr().out.replace("\n", " ")


def test_a_robot_without_a_teacher_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(UserError, match="Nobody teaches 'a1' the task 'walk'; there are teachers of so101 pick_place"):
        demonstrate(lesson(tmp_path / "shown", "a1"))
    for by, error in (
        ("keyboard", "no terminal"),
        ("thought", "by 'thought'; choose --by scripted, keyboard, gamepad"),
    ):
        with pytest.raises(UserError, match=error):
            demonstrate_by_hand(lesson(tmp_path / "shown"), by, "xbox", Onlooking(False, "127.0.0.1", None, False))
    assert not (tmp_path / "shown").exists()


@pytest.mark.parametrize(
    "options, error",
    [
        ("--leader-port /dev/ttyACM1", "--leader-port is for --by leader, not for --by scripted"),
        ("--by keyboard --layout xbox", "--layout is for --by gamepad, not for --by keyboard"),
        ("--by leader --layout xbox --port 9090", "--layout is for --by gamepad, not for --by leader"),
        (
            "--no-dashboard --address 127.0.0.1",
            "--no-dashboard is for --by keyboard or gamepad or leader, --address is for --by keyboard",
        ),
        ("--by thought --layout xbox", "Nobody shows anything by 'thought'"),
    ],
)
def test_an_option_that_means_nothing_there_is_an_error(tmp_path, options, error):
    command = ["demonstrate", "so101", *options.split(), "--out", str(tmp_path / "shown")]
    assert str(CliRunner().invoke(app, command).exception).startswith(error)
    assert not (tmp_path / "shown").exists()


class Operator:
    """Sits at a terminal in which a command runs."""

    def __init__(self, *arguments):
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            # As a shell of that terminal has it, whatever these tests run under: nohup would have it ignored.
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            os.environ |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "COLUMNS": "160", "TERM": "xterm"}
            os.execv(sys.executable, [sys.executable, "-m", "daydreamer.cli.main", *map(str, arguments)])

    def modes(self):
        """Local ones of the terminal, as whether it echoes."""
        return termios.tcgetattr(self._terminal)[3]

    def read_until(self, wanted):
        """What is said from now on, up to this."""
        text, end_s = "", time.monotonic() + 120.0
        while not re.search(wanted, text):
            assert time.monotonic() < end_s, text
            if select.select([self._terminal], [], [], 0.1)[0]:
                text += os.read(self._terminal, 65536).decode()
        return text

    def type(self, keys, wanted):
        os.write(self._terminal, keys)
        return self.read_until(wanted)

    def wait(self):
        """The exit status."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def leave(self):
        """What still runs in the terminal ends with it."""
        os.close(self._terminal)


def test_an_operator_shows_it_by_the_keys_of_a_terminal_until_that_is_gone(tmp_path):
    path = tmp_path / "shown"
    operator = Operator("demonstrate", "so101", "pick_place", "--by", "keyboard", "--no-dashboard", "--out", path)
    try:
        said = operator.read_until("drive to begin")
        assert "w s = forward, back" in said and "Backspace = forget it" in said
        operator.type(b"s", "0.5 of 50 s")
        operator.type(b"\x7f", "Forgotten; episode 1 begins anew")
        operator.read_until("drive to begin")
        operator.type(b"w", " 0.5 of 50 s.*holds nothing")
        operator.type(b"\x1b[B", "1.0 of 50 s")
        operator.type(b"\x1b[D", "1.5 of 50 s")
        operator.type(b"\n", "Episode 1: ended by you after 2.0 s, return 0.00. It is kept unless you forget it")
        said = operator.type(b"\n", "drive to begin")
        assert "episode   1 of 20  return     0.00  4 steps" in said
        operator.type(b"w", "episode 2 of 20 .*0.5 of 50 s")
        operator.type(b"\n", "Episode 2: ended by you after 1.0 s")
    finally:
        operator.leave()  # as when the network is lost; what has ended is kept
    assert operator.wait() == 130
    session = Session.open(path)
    steps = ExperienceTail(session.experience, session.spec).read()
    assert [int(step.action_requested) for step in steps[:3]] == [FORWARD, LIFT, GRIP]
    assert int(steps[3].action_requested) in (FORWARD, BACK)
    assert all(step.intervention for step in steps) and not any(step.is_terminal for step in steps)
    assert [step.sequence for step in steps if step.is_last] == [3, 5] and len(steps) == 6
    assert read_status(session)["state"] == "stopped"
    with pytest.raises(UserError, match="an operator at the keyboard has shown a task; nobody learns"):
        resumable_session(path)


def test_a_terminal_is_given_back_by_a_command_that_is_ended_while_it_starts(tmp_path):
    operator = Operator("demonstrate", "so101", "--by", "keyboard", "--no-dashboard", "--out", tmp_path / "shown")
    try:
        before = operator.modes()
        operator.read_until("Ctrl-C = end")
        os.kill(operator.pid, signal.SIGTERM)
        assert "Stopping after this step" in operator.read_until("No episode was shown") and operator.wait() == 130
        assert operator.modes() == before and before & termios.ECHO
    finally:
        operator.leave()


class LeaderInHand:
    """A leader arm that an operator moves as the terminal tells them to."""

    ways = dict(
        zip(("forward", "left", "up", "back", "right", "down"), np.vstack((np.eye(3), -np.eye(3))), strict=True)
    )

    def __init__(self, arm, operator):
        self._arm, self._operator = arm, operator
        self._tool_m = READY_TOOL_M.copy()
        self.move(0.0, 0.0, 0.0)

    def move(self, *metres):
        self._tool_m += metres
        self._arm.move((*kinematics.downwards(self._tool_m, BEGIN_YAW_RAD), OPEN_RAD))

    def lead(self):
        """Goes where it is told to, until it is followed."""
        while not re.search("hold it there|0.[1-9] of 15 s  return", said := self._read()):
            told = re.findall(r"([0-9.]+) cm (\w+)", said.split("leader: ")[-1])
            self.move(*sum(float(centimetres) / 100 * self.ways[way] for centimetres, way in told))
        self._operator.read_until("0.[2-9] of 15 s  return")

    def _read(self):
        time.sleep(0.3)  # what is said by then is of where it is now
        return self._operator.read_until("leader: .*return|0.[1-9] of 15 s  return")


def test_a_leader_arm_shows_it_and_what_is_kept_stays_when_its_bus_is_lost(tmp_path):
    path, arm = tmp_path / "shown", FeetechStandIn()
    arguments = ("so101", "pick_place_fine", "--by", "leader", "--leader-port", arm.port, "--out", path)
    operator = Operator("demonstrate", *arguments, "--episodes", "2", "--no-dashboard")
    try:
        hand = LeaderInHand(arm, operator)
        assert "Bring the leader to where the robot is" in operator.read_until("leader: .*return")
        hand.lead()
        for _ in range(3):
            hand.move(0.0, 0.0, -0.008)
        operator.read_until("(0.[7-9]|1.[0-9]) of 15 s  return")
        operator.type(b"\n", "Episode 1: ended by you after .* return 0.00")
        operator.type(b"\n", "episode   1 of 2")
        hand.lead()
        arm.close()
        said = operator.read_until("--demonstrations may be repeated")
        assert "The leader is gone (Input/output error)" in said and "1 episode: return 0.00" in said
        assert operator.wait() == 2
    finally:
        operator.leave()
        arm.close()
    session = Session.open(path)
    steps = ExperienceTail(session.experience, session.spec).read()
    actions = np.array([step.action_requested for step in steps[:-1]])
    assert actions[:, 2].min() < -0.5 and np.abs(actions[-1]).max() < 0.2  # and there it stayed
    assert [step.is_last for step in steps] == [False] * len(actions) + [True]
    assert all(step.intervention for step in steps)
    with pytest.raises(UserError, match="an operator with a leader arm has shown a task"):
        resumable_session(path)
