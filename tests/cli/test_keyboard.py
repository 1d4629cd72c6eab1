"""The keyboard of `walk`: what is typed by somebody who means it, by somebody who does not, and by the terminal."""

import os
import pty
import select
import signal
import sys
import termios
import threading
import time

import pytest

from daydreamer.actor.operator import OperatorRequest
from daydreamer.cli.keyboard import ALONE_S, CONFIRM_S, KeyReader, Voice

RESET, RESUME = OperatorRequest.EMERGENCY_RESET, OperatorRequest.RESUME
STOP, PAUSE, INTERVENE = OperatorRequest.EMERGENCY_STOP, OperatorRequest.PAUSE, OperatorRequest.INTERVENE


class Typist:
    """Types by a clock of its own, and looks on as the thread does."""

    def __init__(self):
        self.got, self.said, self.now_s = [], [], 1000.0
        self.reader = KeyReader(self.got.append, self.said.append)

    def burst(self, characters, pause_s=ALONE_S + 0.1):
        self.reader.take(characters, self.now_s)
        self.wait(pause_s)

    def wait(self, seconds):
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.reader.look(self.now_s)
            self.now_s += 0.05
        self.reader.look(self.now_s)

    def type(self, text, pause_s):
        for character in text:
            self.burst(character, pause_s)
        self.wait(1.0)


@pytest.fixture
def typist():
    return Typist()


def test_keys_that_come_alone_act_and_those_that_move_the_robot_ask_first(typist):
    typist.burst("p")
    typist.burst("i")
    assert typist.got == [PAUSE, INTERVENE] and not typist.said
    typist.burst("x")
    assert typist.got == [PAUSE, INTERVENE] and "Press Y" in typist.said[-1]
    typist.burst("Y")
    typist.burst("r")
    typist.burst("Y")
    assert typist.got == [PAUSE, INTERVENE, RESET, RESUME]


@pytest.mark.parametrize("characters", [" ", "asdf jkl", "      ", "x Y", "\x1b[1 q", "export ROS_DOMAIN_ID=1\n"])
def test_the_stop_acts_at_once_wherever_it_stands_and_nothing_else_does(typist, characters):
    typist.reader.take(characters, typist.now_s)
    assert typist.got == [STOP]
    typist.wait(10.0)
    assert typist.got == [STOP]


@pytest.mark.parametrize(
    "characters",
    [
        "xterm",
        "xterm\n",
        "rosbag",
        "xY",
        "rY",
        "Yx",
        "xxYY",
        "x\x7fr",
        "\x1b[2;1;1;112;112;1;0x",  # the answer to DECREQTPARM
        "\x1b[?62;22c",
        "\x1b[I",
        "\x1b]11;rgb:0000/0000/0000\x1b\\",
        "\x1bOx",
        "\x1b[200~r\x1b[201~",
        "pppp",
        "ip",
        "é" * 30,
        "x" * 5000,
    ],
)
def test_pasted_text_and_what_a_terminal_answers_act_on_nothing(typist, characters):
    typist.burst(characters)
    typist.burst(characters)
    typist.wait(10.0)
    assert not typist.got


@pytest.mark.parametrize("pause_s", [0.02, 0.1, 0.25])
@pytest.mark.parametrize(
    "words",
    ["xterm", "proxy", "try\n", "galaxy", "tar\nY", "exit\n", "reboot\n", "pip", "export\n", "r\n", "x\n", "RY"],
)
def test_words_that_are_typed_act_on_nothing(typist, words, pause_s):
    typist.type(words, pause_s)
    assert not typist.got


@pytest.mark.parametrize("between", ["y", "p", "\n", "\x1b[A", "n"])
def test_a_confirmation_is_the_very_next_key(typist, between):
    typist.burst("r")
    typist.burst(between)
    typist.burst("Y")
    assert RESUME not in typist.got


def test_a_confirmation_comes_soon_or_not_at_all(typist):
    typist.burst("x")
    typist.wait(CONFIRM_S + 1.0)
    assert typist.said[-1] == "Not confirmed; nothing has changed."
    typist.burst("Y")
    assert not typist.got


def test_a_confirmation_does_not_come_with_something_else(typist):
    for burst in ("Yes", "Y\n", "aY"):
        typist.burst("x")
        typist.burst(burst)
    typist.burst("x")
    typist.burst("Y", 0.1)
    typist.burst("e")
    assert not typist.got


def test_keys_that_steer_are_passed_on_at_once_and_change_nothing_else():
    got, steered = [], []
    reader = KeyReader(got.append, lambda sentence: None, steered.append)
    for now_s, characters in ((1.0, "w"), (1.03, "w"), (1.1, "\x1b["), (1.2, "A"), (1.3, "xq"), (2.0, "p"), (3.0, " ")):
        reader.take(characters, now_s)
        reader.look(now_s + 0.4)
    assert steered == ["w", "w", "up", "q"] and got == [PAUSE, STOP]


SCRIPT = """
import os, sys, termios, time
from daydreamer.cli.keyboard import Keyboard
def tell(*words):  # in one piece, because two threads do
    os.write(1, (" ".join(words) + "\\n").encode())
with Keyboard(lambda request: tell("got", request.value), lambda line: tell("said", line)):
    if os.isatty(0):
        tell("ixon", str(bool(termios.tcgetattr(0)[0] & termios.IXON)))
    while not os.path.exists(sys.argv[1]):
        time.sleep(0.05)
tell("echo", str(bool(termios.tcgetattr(0)[3] & termios.ECHO)))
"""


LINE = """
import time
from daydreamer.cli.interrupts import interrupts
from daydreamer.cli.keyboard import Keyboard, remember_terminal
from daydreamer.cli.live import LiveLine
from daydreamer.cli.terminal import Terminal
line = LiveLine(Terminal())
with interrupts("Stopping.", remember_terminal()), Keyboard(print, line.say), line:
    line.show(lambda: "goes on")
    time.sleep(60.0)  # which neither signal cuts short: each is handled meanwhile
"""


def read_until(descriptor, wanted):
    text, end_s = "", time.monotonic() + 60.0
    while wanted not in text:
        assert time.monotonic() < end_s, text
        if select.select([descriptor], [], [], 0.1)[0]:
            text += os.read(descriptor, 4096).decode()
    return text


def test_keys_become_requests_and_the_terminal_is_given_back(tmp_path):
    end = tmp_path / "end"
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        os.execv(sys.executable, [sys.executable, "-c", SCRIPT, str(end)])
    try:
        # Ctrl-S stops nobody who has something to say.
        assert "space = emergency stop" in read_until(terminal, "ixon False")
        os.write(terminal, b"xterm -e reset\n")
        assert "got emergency_stop" in read_until(terminal, "got emergency_stop")
        time.sleep(3 * ALONE_S)
        os.write(terminal, b"r")
        text = read_until(terminal, "Press Y")
        time.sleep(2 * ALONE_S)
        os.write(terminal, b"Y")
        text += read_until(terminal, "got resume")
        end.touch()
        text += read_until(terminal, "echo True")
        assert [line.split()[1] for line in text.splitlines() if line.startswith("got")] == ["resume"]
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)


def test_a_terminal_is_given_back_by_what_is_ended_at_once():
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TERM": "xterm"}
        os.execv(sys.executable, [sys.executable, "-c", LINE])
    try:
        before = termios.tcgetattr(terminal)[3]
        assert "\x1b[?25l" in read_until(terminal, "goes on")
        assert not termios.tcgetattr(terminal)[3] & termios.ECHO
        os.kill(pid, signal.SIGINT)
        read_until(terminal, "Stopping.")
        os.kill(pid, signal.SIGINT)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGINT
        assert termios.tcgetattr(terminal)[3] == before and before & termios.ECHO
        assert "\x1b[?25h" in read_until(terminal, "\x1b[?25h")
    finally:
        os.close(terminal)


def test_without_a_terminal_nothing_is_read(tmp_path):
    end = tmp_path / "end"
    end.touch()
    read_end, write_end = os.pipe()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", SCRIPT.rsplit("tell(", 1)[0], str(end)],
        os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, write_end, 1),
        ],
    )
    os.close(write_end)
    assert os.waitpid(pid, 0)[1] == 0
    with open(read_end) as output:
        assert output.read() == ""


def test_a_terminal_that_shows_nothing_any_more_keeps_no_key_from_being_heard():
    frozen, said, got = threading.Event(), [], []

    def say(sentence):
        frozen.wait(30.0)
        said.append(sentence)

    with Voice(say) as voice:
        reader = KeyReader(lambda request: (got.append(request), voice.say(request.value)), voice.say)
        for now_s, key in ((10.0, "p"), (20.0, "r"), (30.0, " ")):
            reader.take(key, now_s)
            reader.look(now_s + ALONE_S + 0.1)
        assert got == [PAUSE, STOP] and not said
        frozen.set()
    assert said[0] == "pause" and said[-1] == "emergency_stop"
