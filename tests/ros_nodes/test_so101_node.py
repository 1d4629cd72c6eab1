"""The SO-101's driver as a process, with servos that are played on a pseudo-terminal."""

import contextlib
import dataclasses
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

pytest.importorskip("rclpy")

from sensor_msgs.msg import Temperature

sys.path.append(str(Path(__file__).parents[1] / "robots"))
from feetech_stand_in import FeetechStandIn

from daydreamer.errors import UserError
from daydreamer.robots.so101 import driver_node, feetech
from daydreamer.robots.so101.bus import SerialPort, ServoBus
from daydreamer.robots.so101.constants import JOINTS, LIMITS, READY_RAD, REST_RAD, STALL_TORQUE_N_M, carried
from daydreamer.robots.so101.servos import ArmServos, ArmState
from ros_nodes import topics

RAISED_RAD = REST_RAD + (-0.2, 0.1, 0.0, -0.9, 0.0, 0.3)
AWAY_RAD = READY_RAD + (0.5, 0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.fixture
def arm():
    with contextlib.closing(FeetechStandIn()) as arm:
        yield arm


class Bench:
    """The driver without processes, on a clock of the test's own; nobody ever lets go of the arm.

    Attributes:
      told: what the servos were told at each tick, None for no torque.
    """

    def __init__(self, monkeypatch):
        self.now_s, self.told = 100.0, []
        monkeypatch.setattr(driver_node, "time", SimpleNamespace(monotonic=lambda: self.now_s))
        self.node, self.servos = MagicMock(), MagicMock(silent=(), newest_rad=READY_RAD.copy())
        self.node.get_clock().now().to_msg.return_value = topics.Time()
        self.servos.drive = lambda target_rad, *torque: self.told.append(target_rad)
        self.driver = driver_node.ArmDriver(
            self.node, self.servos, rate_hz=50.0, command_timeout_s=0.25, interpolate_s=0.05
        )

    def tick(self, count, share=0.0, temperature_c=30.0):
        """With the elbow at this share of its stall torque, and at this temperature."""
        elbow = np.arange(len(JOINTS)) == 2
        effort_n_m, warm_c = share * STALL_TORQUE_N_M * elbow, np.where(elbow, temperature_c, 25.0)
        for _ in range(count):
            self.now_s += 0.02
            still, volts = np.zeros(len(JOINTS)), np.full(len(JOINTS), 12.0)
            self.servos.state.return_value = ArmState(READY_RAD, still, effort_n_m, warm_c, volts, {})
            self.driver.guard.command(AWAY_RAD, self.now_s)
            self.driver.tick()

    @property
    def said(self):
        return [call.args[0] for call in self.node.get_logger().error.call_args_list]


def test_heat_lays_it_down_until_it_has_cooled_and_ends_no_stop(monkeypatch):
    bench = Bench(monkeypatch)
    bench.tick(50)
    assert not bench.driver.lowers
    bench.tick(50, temperature_c=64.0)
    assert bench.driver.lowers and "The arm lies down: elbow_flex has 64 °C" in bench.said[0]
    bench.tick(1, temperature_c=61.0)
    assert bench.driver.lowers
    bench.tick(1, temperature_c=60.0)
    assert not bench.driver.lowers
    assert bench.told[-1][0] - READY_RAD[0] <= 0.02 * LIMITS.command_rate_rad_s[0] + 1e-9  # it departs from the joint
    bench.tick(200, share=0.6)
    assert "elbow_flex is stalled" in bench.driver.guard.stopped and bench.driver.lowers
    bench.tick(3, temperature_c=64.0)
    bench.tick(50, temperature_c=59.0)
    assert "elbow_flex is stalled" in bench.driver.guard.stopped and bench.driver.lowers
    assert len(bench.said) == 2 and "has let go" in bench.said[1]


def test_a_single_wrong_angle_moves_no_target_of_an_arm_that_lies_down(monkeypatch):
    bench = Bench(monkeypatch)
    bench.tick(50)
    bench.driver.tick(ends=True)
    bench.now_s += 0.02
    wrong_rad = READY_RAD.copy()
    wrong_rad[0] += 1.0
    before = bench.told[-1]
    state = bench.servos.state.return_value
    bench.servos.state.return_value = dataclasses.replace(state, position_rad=wrong_rad)
    bench.servos.newest_rad[:] = wrong_rad
    bench.driver.tick(ends=True)
    np.testing.assert_allclose(bench.told[-1], before, atol=0.05)


def test_an_error_that_nobody_thought_of_lays_the_arm_down(monkeypatch):
    bench = Bench(monkeypatch)
    bench.tick(5)
    spinner = MagicMock()
    ended = []

    def tick(ends=False):
        ended.append(ends)
        if not ends:
            raise ZeroDivisionError
        bench.driver._lowering.rest()

    monkeypatch.setattr(bench.driver, "tick", tick)
    monkeypatch.setattr(driver_node, "put_robot_first", lambda priority: "")  # of this process
    with pytest.raises(ZeroDivisionError):
        bench.driver.run(spinner, [])
    assert ended[-2:] == [False, True]


def test_a_held_arm_of_which_not_every_servo_has_said_where_it_is_is_held_on(monkeypatch):
    bench = Bench(monkeypatch)
    bench.servos.with_torque.return_value = ["3 (elbow_flex)"]
    assert bench.driver.take_over() and not bench.driver.at_rest
    bench.servos.state.return_value, bench.servos.silent = None, ("wrist_roll",)
    bench.servos.newest_rad[4] = np.nan
    bench.driver.tick(ends=True)
    assert not bench.told and not bench.driver.at_rest
    bench.servos.newest_rad[4] = READY_RAD[4]
    bench.driver.tick(ends=True)
    np.testing.assert_allclose(bench.told, [carried(READY_RAD)])


def start(rig, arm):
    # The servos live in this process, which may be busy.
    parameters = ("-p", f"port:={arm.port}", "-p", "answer_timeout_s:=0.15")
    command = [sys.executable, "-m", "daydreamer.robots.so101.driver_node", "--ros-args", *parameters]
    with open(rig.directory / "driver.log", "wb") as log:
        process = subprocess.Popen(command, env=rig.environment, stdout=log, stderr=log)
    rig.processes.append(process)
    return process


class Commander:
    """Commands a raised arm, as long as it is not silent, or lets go; hears what the driver says."""

    def __init__(self, rig):
        self.silent, self.states, self.temperatures, self.pose_rad = False, [], {}, RAISED_RAD.copy()
        self._clock = rig.node.get_clock()
        self._publisher = rig.node.create_publisher(topics.JointState, topics.JOINT_COMMAND, topics.RELIABLE)
        rig.node.create_timer(0.03, self._command)
        rig.node.create_subscription(topics.JointState, topics.JOINT_STATES, self.states.append, 100)
        rig.node.create_subscription(Temperature, topics.TEMPERATURE, self._hear, 100)

    def _command(self):
        if not self.silent:
            stamp = self._clock.now().to_msg()
            interface = topics.COMMAND_INTERFACES[0]
            message = topics.joint_command_message(interface, stamp, JOINTS, self.pose_rad, None, lets_go=True)
            self._publisher.publish(message)

    def _hear(self, message):
        self.temperatures[message.header.frame_id] = message.temperature


def is_raised(arm):
    return all(arm.torque) and np.abs(arm.joints_rad() - RAISED_RAD).max() < 0.06


def is_at_rest(arm):
    return np.abs(arm.joints_rad() - REST_RAD)[:5].max() < 0.06


def test_it_obeys_lies_down_when_nobody_commands_and_outlives_what_a_bus_does(make_rig, arm):
    rig = make_rig(46)
    commander = Commander(rig)
    commander.silent = True
    arm.lost, arm.damaged = 0.01, 0.01
    arm.hold(RAISED_RAD)
    driver = start(rig, arm)

    def raised():
        return is_raised(arm)

    def lies():
        return not any(arm.torque) and is_at_rest(arm)

    # Nobody has commanded yet, but somebody had: the arm does not fall.
    rig.until(lies)
    assert "Held since before this driver: 1 (shoulder_pan)" in rig.output("driver")
    rig.until(lambda: len(commander.states) > 5 and len(commander.temperatures) == len(JOINTS))
    np.testing.assert_allclose(commander.states[-1].position[:5], REST_RAD[:5], atol=0.06)
    assert list(commander.states[-1].name) == list(JOINTS) and len(commander.states[-1].effort) == len(JOINTS)
    commander.silent = False
    rig.until(raised)
    # Whoever commands is gone: the arm lies down, still with torque, and lets go only there.
    commander.silent = True
    rig.until(lambda: arm.joints_rad()[3] > RAISED_RAD[3] + 0.1)
    assert all(arm.torque)
    rig.until(lies)
    # The bus is silent for a while, and the driver goes on by itself.
    commander.silent = False
    rig.until(raised)
    arm.silent = True
    rig.until(lambda: "Servos do not answer" in rig.output("driver"))
    arm.silent = False
    rig.until(raised)
    # It ends: the arm lies down first.
    driver.send_signal(signal.SIGTERM)
    assert rig.until_exit(driver) == 0, rig.output("driver")
    assert lies() and "requests again" in rig.output("driver")


def test_it_spares_its_motors_whoever_commands(make_rig, arm):
    rig = make_rig(48)
    commander = Commander(rig)
    driver = start(rig, arm)
    gripper, elbow = arm.servos[6], arm.servos[3]
    rig.until(lambda: is_raised(arm))
    # The gripper closes on a bar: it may press hard for a moment only, and again once the bar is gone.
    gripper.stops = (gripper.position, 4095.0)
    commander.pose_rad[5] -= 0.3
    rig.until(lambda: gripper.share == -0.5)
    rig.until(lambda: gripper.share == -0.25)
    gripper.free()
    rig.until(lambda: gripper.get(feetech.TORQUE_LIMIT) == 500)
    # A joint is blocked, and somebody goes on commanding it: the arm lies down, whatever it presses on meanwhile.
    elbow.block()
    commander.pose_rad[2] -= 0.3
    rig.until(lambda: "The arm lies down: elbow_flex is stalled" in rig.output("driver"))
    rig.until(lambda: not any(arm.torque) and elbow.share == 0.0)
    elbow.free()
    rig.spin(0.5)
    assert not any(arm.torque)  # until whoever commands has looked at it, and let go
    commander.pose_rad[:] = np.nan
    heard = len(commander.states)
    rig.until(lambda: len(commander.states) > heard + 10)
    commander.pose_rad[:] = RAISED_RAD
    rig.until(lambda: is_raised(arm))
    # Nobody hears anything for longer than the arm would take to lie down; it must not be let go where it stands.
    arm.unplugged = commander.silent = True
    rig.spin(3.0)
    assert is_raised(arm)
    arm.unplugged = False
    rig.until(lambda: not any(arm.torque))
    assert is_at_rest(arm) and driver.poll() is None


def test_an_adapter_that_is_gone_and_a_servo_that_is_missing_end_it_with_a_sentence(make_rig, arm):
    rig = make_rig(47)
    missing = arm.servos.pop(6)
    assert rig.until_exit(start(rig, arm)) == 2
    assert "Servo 6 (gripper) of the arm does not answer" in rig.output("driver")
    arm.servos[6] = missing
    driver, states = start(rig, arm), Commander(rig).states
    rig.until(lambda: len(states) > 3)
    arm.close()
    assert rig.until_exit(driver) == 2
    assert "The adapter of the arm is gone" in rig.output("driver")


def test_an_adapter_that_is_gone_before_the_first_answer_is_told_likewise(arm):
    with contextlib.closing(SerialPort(arm.port)) as port:
        arm.close()
        with pytest.raises(UserError, match="The adapter of the arm is gone"), driver_node.adapter_there():
            ArmServos(ServoBus(port))
