"""The keyboard of `walk` on a real pseudo-terminal, with a process of its own in its foreground."""

import os
import pty
import select
import sys
import time

from daydreamer.cli.keyboard import KEYS

SCRIPT = """
import os, sys, time
from daydreamer.cli.keyboard import Keyboard
def tell(*words):  # in one piece, because two threads do
    os.write(1, (" ".join(words) + "\\n").encode())
with Keyboard(lambda request: tell("got", request.value), lambda line: tell("said", line)):
    while not os.path.exists(sys.argv[1]):
        time.sleep(0.05)
import termios
tell("echo", str(bool(termios.tcgetattr(0)[3] & termios.ECHO)))
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
        help_line = read_until(terminal, "intervene.")
        assert "space = emergency stop" in help_line
        os.write(terminal, b"q" + "".join(KEYS).encode())
        text = read_until(terminal, "got intervene")
        got = [line.split()[1] for line in text.splitlines() if line.startswith("got")]
        assert got == [request.value for request in KEYS.values()]
        end.touch()
        assert "echo True" in read_until(terminal, "echo True")
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)


def test_without_a_terminal_nothing_is_read(tmp_path):
    end = tmp_path / "end"
    end.touch()
    read_end, write_end = os.pipe()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", SCRIPT.rsplit("import termios", 1)[0], str(end)],
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
