"""What is said of a session under ros2 launch, by a real process over a recorded session."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

TIMEOUT_S = 250.0


class Narration:
    """The process and the lines it has printed so far."""

    def __init__(self, session):
        command = [sys.executable, "-m", "daydreamer.cli.narrator", "--session", str(session.path), "--minutes", "60"]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        self.lines = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def wait_for(self, *words):
        """Until a line has all the words; returns it."""
        end_s = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end_s:
            for line in list(self.lines):
                if all(word in line for word in words):
                    return line
            time.sleep(0.05)
        raise AssertionError((words, self.lines))

    def end(self):
        """All lines."""
        assert self.process.wait(TIMEOUT_S) == 0
        self._thread.join()
        return self.lines


@pytest.fixture
def recorder(record_session):
    recorder = record_session()
    recorder.session.launch_record.write_bytes(b'{"robot": "twin"}')
    recorder.log(90.0)
    recorder.write_metrics(1.5)
    recorder.write_status({"milestones_s": {}}, {})
    return recorder


@pytest.fixture
def narration(recorder):
    narration = Narration(recorder.session)
    yield narration
    narration.process.kill()


def test_progress_milestones_and_faults_are_told_as_they_come_and_a_verdict_at_the_end(recorder, narration):
    narration.wait_for(
        "1.5 of 60 robot minutes, the actor is not running, reward 12.00", "1000 gradient steps", "policy 40, 4 s old"
    )
    recorder.write_status({"milestones_s": {"upright": 60.0}, "deadline_misses": 600}, {})
    narration.wait_for("Milestone: upright after 1.0 robot minutes.")
    narration.wait_for("Control loop late: 600 of 1800 control ticks", "Leave a core free")
    narration.wait_for("1.5 of 60 robot minutes", "wrong: Control loop late")
    assert sum(line.startswith("Control loop late:") for line in narration.lines) == 1
    narration.process.send_signal(signal.SIGINT)
    lines = narration.end()
    assert f"Session: {recorder.session.path}" in lines
    assert f"Go on with: ros2 launch daydreamer walk.launch.py resume:={recorder.session.path}" in lines
    assert any(line.startswith("The robot held itself upright after 1.0 of 1.5 robot minutes") for line in lines)
    page = recorder.session.report / "report.html"
    assert f"Open {page} in a browser." in lines and page.is_file()
    assert sum(line.startswith("Milestone") for line in lines) == 1


def test_the_verdict_waits_for_the_others_and_a_second_signal_goes_without_a_report(recorder, narration):
    # Of this process, which is alive: the session is still at work.
    recorder.write_status({"state": "running"}, {})
    narration.wait_for("1.5 of 60 robot minutes")
    narration.process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        narration.process.wait(2.0)
    assert not any("steps logged" in line for line in narration.lines)
    narration.process.send_signal(signal.SIGINT)
    lines = narration.end()
    assert "1800 steps logged (1.5 robot minutes)" in lines
    assert not (recorder.session.report / "report.html").exists()
