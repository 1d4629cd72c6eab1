"""An emergency stop and the death of the process that was told of it, live."""

import subprocess
import sys

import pytest

pytest.importorskip("rclpy")

from daydreamer.session.status import read_status
from daydreamer.session.stop_latch import StopLatch


def start_actor(rig):
    """With an operator at its standard input."""
    command = [sys.executable, "-m", "ros_nodes.actor_node", "--session", str(rig.session.path), "--operator-input"]
    process = subprocess.Popen(command, env=rig.environment, stdin=subprocess.PIPE, text=True)
    rig.processes.append(process)
    return process


def say(actor, request):
    actor.stdin.write(f"{request}\n")
    actor.stdin.flush()


def test_an_actor_that_is_started_again_is_still_stopped(make_rig, damping):
    rig = make_rig(29, ["actor.random_s=0.5"])
    rig.start("twin")
    actor = start_actor(rig)
    rig.until(lambda: len(rig.steps()) >= 3)
    say(actor, "emergency_stop")
    rig.until(lambda: StopLatch(rig.session).stopped)
    actor.kill()
    rig.until_exit(actor)
    actor = start_actor(rig)
    before = len(rig.commands)
    rig.until(lambda: len(rig.commands) >= before + 40)
    assert read_status(rig.session)["safety_state"] == "emergency_stopped"
    assert all(damping(command) for command in rig.commands[before:])
    say(actor, "emergency_reset")
    rig.until(lambda: read_status(rig.session)["safety_state"] == "stopped")
    assert not rig.steps(life=2)
    say(actor, "resume")
    rig.until(lambda: len(rig.steps(life=2)) >= 3)
