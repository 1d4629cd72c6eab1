import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("rclpy")

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.contract.frames import rotation_matrix
from daydreamer.experience.header import read_header
from daydreamer.experience.log import ExperienceWriter, list_logs
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.a1.twin import make_twin
from daydreamer.robots.quadruped.replayed import replayed_measurement
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from ros_nodes import replay_node, topics

STEPS = 30


@pytest.fixture
def recorded(make_rig):
    """A rig whose session has a short life in it, and what was measured and commanded."""
    rig = make_rig(44, discovery_s=3.5)
    twin, task = make_twin(rig.session.config.twin, seed=0), QuadrupedWalkTask(A1)
    measurements, commands = [], []
    with ExperienceWriter(rig.session.experience, task.spec, 1, 1.0) as writer:
        loop = ControlLoop(task, rig.session.config.actor, writer, actor_life=1, seed=0, clock=lambda: twin.time_s)
        for _ in range(STEPS):
            measurement = twin.measure()
            command = loop.step(measurement, twin.time_s)
            twin.command(command.setpoint)
            twin.advance(0.05)
            measurements.append(measurement)
            commands.append(command.setpoint)
    return rig, measurements, commands


def test_an_observation_is_turned_back_into_its_measurement(recorded):
    rig, measurements, _ = recorded
    for step, measured in zip(rig.steps(), measurements, strict=True):
        replayed = replayed_measurement(A1, step.observation, 0.0)
        for field in ("joint_position_rad", "joint_velocity_rad_s", "angular_velocity_rad_s"):
            np.testing.assert_allclose(replayed[field], measured[field], atol=1e-5)
        # All but the heading: the world's up, in the robot.
        np.testing.assert_allclose(
            rotation_matrix(replayed["orientation_wxyz"])[2],
            rotation_matrix(measured["orientation_wxyz"])[2],
            atol=1e-6,
        )


def test_what_is_damaged_is_left_out_and_the_rest_of_a_life_played(recorded, capsys, monkeypatch):
    session = recorded[0].session
    (path,) = list_logs(session.experience).values()
    content, start = bytearray(path.read_bytes()), read_header(path).size
    content[start + (len(content) - start) // 3] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(replay_node, "READ_STEPS", 4)
    (steps,) = replay_node.logged_lives(session, 0)
    assert len(list(steps)) == STEPS - 1 and "is damaged at byte" in capsys.readouterr().out


def test_a_session_is_played_back_where_no_robot_listens(recorded):
    rig, measurements, commands = recorded
    states, told = [], []
    rig.node.create_subscription(topics.JointState, "replay/joint_states", states.append, 100)
    rig.node.create_subscription(topics.JointState, "replay/joint_command", told.append, 100)

    def play():
        command = [sys.executable, "-m", "ros_nodes.replay_node", "--session", str(rig.session.path)]
        with open(rig.directory / "replay.log", "ab") as log:
            process = subprocess.Popen(
                [*command, "--ros-args", "-p", "speed:=4.0"], env=rig.environment, stdout=log, stderr=log
            )
        rig.processes.append(process)
        assert rig.until_exit(process) == 0, rig.output("replay")

    play()
    # Discovery may take the first few of them.
    assert STEPS / 2 < len(states) <= STEPS
    np.testing.assert_allclose(states[-1].position, measurements[-1]["joint_position_rad"], atol=1e-5)
    np.testing.assert_allclose(told[-1].position, commands[-1], atol=1e-5)
    assert not rig.commands
