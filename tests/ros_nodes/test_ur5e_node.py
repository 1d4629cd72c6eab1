"""The UR5e's driver as a process, with ros2_control's position controllers played by a node of the test's."""

import signal
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from builtin_interfaces.msg import Time
from std_msgs.msg import Float64MultiArray

from daydreamer.robots.arm.position_driver_node import PositionDriver
from daydreamer.robots.ur5e.constants import CLOSED_RAD, CONTROLLERS, JOINTS, LIMITS, READY_RAD
from daydreamer.robots.ur5e.embodiment import make_embodiment
from ros_nodes import topics

PERIOD_S = 0.01
AIM_RAD = READY_RAD + (0.5, -0.2, 0.1, 0.1, 0.0, 0.0, CLOSED_RAD)
HELD_RAD = 0.4
"""The gripper's angle on something between its fingers."""


class Controllers:
    """An arm under controllers that forward positions: it goes where it was told last, however long ago that was.

    Attributes:
      told: what came for the arm and for the gripper, each with the joints as they were then.
      blocked: something stands in the arm's way.
      reports: whether the joints' states are published; of `reported` joints.
    """

    def __init__(self, rig):
        self.node = rig.node
        self.joints_rad, self.reference_rad = READY_RAD.copy(), READY_RAD.copy()
        self.told, self.blocked, self.reports, self.reported = [], False, True, len(JOINTS)
        self._noise = np.random.default_rng(0)
        for controller, joints in CONTROLLERS.items():
            self._forward(controller, [JOINTS.index(joint) for joint in joints])
        self._states = rig.node.create_publisher(topics.JointState, topics.JOINT_STATES, topics.RELIABLE)
        rig.node.create_timer(PERIOD_S, self._update)

    def _forward(self, controller, joints):
        def take(message):
            if len(message.data) == len(joints):  # others are refused, as there
                self.reference_rad[joints] = message.data
                self.told.append((self.reference_rad.copy(), self.joints_rad.copy()))

        self.node.create_subscription(Float64MultiArray, f"{controller}/commands", take, 100)

    def _update(self):
        before_rad = self.joints_rad.copy()
        largest_rad = LIMITS.velocity_rad_s * PERIOD_S
        if not self.blocked:
            self.joints_rad += np.clip(self.reference_rad - before_rad, -largest_rad, largest_rad)
        self.joints_rad[6] = min(self.joints_rad[6], HELD_RAD)
        if self.reports:
            noise_rad, names = self._noise.normal(0.0, 1e-4, len(JOINTS)), list(JOINTS)[: self.reported]
            speed_rad_s = (self.joints_rad - before_rad) / PERIOD_S
            stamp = self.node.get_clock().now().to_msg()
            position_rad = (self.joints_rad + noise_rad)[: self.reported]
            self._states.publish(topics.joint_state_message(stamp, names, position_rad, speed_rad_s[: self.reported]))


class Commander:
    """Commands as the actor does, twenty times a second, towards `aim_rad`; None lets go, unless it is `silent`."""

    def __init__(self, rig):
        self.aim_rad, self.silent, self._node = AIM_RAD, True, rig.node
        self._command_rad = READY_RAD.copy()
        self._publisher = rig.node.create_publisher(topics.JointState, topics.JOINT_COMMAND, topics.RELIABLE)
        rig.node.create_timer(0.05, self._command)

    def _command(self):
        if self.silent:
            return
        target_rad = np.full(len(JOINTS), np.nan)
        if self.aim_rad is not None:
            step_rad = LIMITS.command_rate_rad_s * 0.05 / 2
            self._command_rad += np.clip(self.aim_rad - self._command_rad, -step_rad, step_rad)
            target_rad = self._command_rad
        stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(topics.joint_command_message("joint_state", stamp, JOINTS, target_rad, None))


def start(rig, *parameters):
    command = [sys.executable, "-m", "daydreamer.robots.ur5e.driver_node"]
    if parameters:
        command += ["--ros-args", *parameters]
    with open(rig.directory / "driver.log", "wb") as log:
        process = subprocess.Popen(command, env=rig.environment, stdout=log, stderr=log)
    rig.processes.append(process)
    return process


def test_it_streams_holds_the_arm_when_commands_cease_and_says_nothing_of_an_arm_it_does_not_hear(make_rig):
    rig = make_rig(52)
    arm, commander = Controllers(rig), Commander(rig)
    driver = start(rig)

    def rests():
        """Waits until nothing more is sent; what the controllers were told last."""
        count = -1
        while count != len(arm.told):
            count = len(arm.told)
            rig.spin(0.4)
        return arm.reference_rad.copy()

    def moves_on(share):
        way_rad = abs(AIM_RAD[0] - READY_RAD[0])
        rig.until(lambda: abs(arm.joints_rad[0] - READY_RAD[0]) > share * way_rad)

    rig.until(lambda: "Scheduling" in rig.output("driver"))
    rig.spin(0.3)
    assert not arm.told  # nobody has commanded yet
    commander.silent = False
    moves_on(0.4)
    # More finely than it is commanded, no faster than it may be, and within reach of where the arm is.
    references_rad = np.array([reference_rad for reference_rad, _ in arm.told])
    steps_rad = np.abs(np.diff(references_rad, axis=0))
    assert np.all(steps_rad <= LIMITS.command_rate_rad_s * 2.0 / 125.0 + 1e-9)
    assert np.count_nonzero(steps_rad[:, 0]) > 15
    # Something stands in its way: it is not told to be far beyond, or it would leap once that is gone.
    arm.blocked = True
    rig.until(lambda: (arm.reference_rad - arm.joints_rad)[0] > 0.15)
    rig.spin(0.3)
    assert max(np.abs(reference_rad - joints_rad)[:6].max() for reference_rad, joints_rad in arm.told) < 0.21
    # Whoever commands is gone in the middle of it: the arm stays where it is, and so does what the gripper was told.
    commander.silent = True
    np.testing.assert_allclose(rests()[:6], arm.joints_rad[:6], atol=1e-3)
    assert "it is held where it is" in rig.output("driver") and arm.reference_rad[6] > HELD_RAD
    assert 0.1 < np.abs(AIM_RAD - arm.joints_rad)[0] < 0.4
    arm.blocked = False
    # It is told to let go, which a position cannot say: likewise.
    commander.silent = False
    count = len(arm.told)
    rig.until(lambda: len(arm.told) > count + 20)
    commander.aim_rad = None
    np.testing.assert_allclose(rests()[:6], arm.joints_rad[:6], atol=1e-3)
    # The states cease while it is commanded: nothing more is sent until they are there again.
    commander.aim_rad = READY_RAD
    count = len(arm.told)
    rig.until(lambda: len(arm.told) > count + 20)
    arm.reports = False
    frozen_rad = rests()
    assert "hold what they were told last" in rig.output("driver")
    rig.spin(0.3)
    assert np.array_equal(arm.reference_rad, frozen_rad)
    arm.reports = True
    rig.until(lambda: np.abs(arm.joints_rad - READY_RAD)[:6].max() < 0.01)
    # It is ended in the middle of the way.
    commander.aim_rad = AIM_RAD
    moves_on(0.2)
    driver.send_signal(signal.SIGTERM)
    assert rig.until_exit(driver) == 0, rig.output("driver")
    np.testing.assert_allclose(rests()[:6], arm.joints_rad[:6], atol=1e-3)
    assert abs(arm.joints_rad[0] - AIM_RAD[0]) > 0.05


def test_what_it_cannot_work_with_is_said(make_rig):
    rig = make_rig(53)
    assert rig.until_exit(start(rig, "-p", "command_timeout_s:=0")) == 2
    assert "Parameter command_timeout_s is 0; give a number from 0.02 to 2" in rig.output("driver")
    arm, commander = Controllers(rig), Commander(rig)
    arm.reported, commander.silent = len(JOINTS) - 1, False
    start(rig)
    rig.until(lambda: "joint_states lacks joints: robotiq_85_left_knuckle_joint" in rig.output("driver"))
    assert not arm.told


@pytest.mark.long  # the next one guards the same, without processes
def test_it_follows_nobody_who_commanded_before_and_holds_the_arm_where_two_say_where_it_is(make_rig):
    """As a session with a twin, which is forgotten in the same domain."""
    rig = make_rig(58, discovery_s=15)  # a busy machine discovers late
    arm, commander = Controllers(rig), Commander(rig)
    commander.silent = False
    rig.spin(0.5)
    driver = start(rig)
    rig.until(lambda: driver.poll() is not None)
    assert driver.returncode == 2 and "Somebody commands already" in rig.output("driver") and not arm.told
    commander.silent = True
    start(rig)
    rig.until(lambda: "Scheduling" in rig.output("driver"))
    commander.silent = False
    rig.until(lambda: len(arm.told) > 20)
    other = rclpy.create_node("twin", context=rig.node.context)
    states = other.create_publisher(topics.JointState, topics.JOINT_STATES, topics.RELIABLE)
    stamp = rig.node.get_clock().now().to_msg()
    rig.node.create_timer(
        0.02, lambda: states.publish(topics.joint_state_message(stamp, list(JOINTS), READY_RAD, np.zeros(len(JOINTS))))
    )
    rig.until(lambda: "two publishers on joint_states say where" in rig.output("driver"))
    rig.spin(0.5)
    held_rad = arm.reference_rad.copy()
    rig.spin(0.5)
    np.testing.assert_allclose(arm.reference_rad[:6], held_rad[:6], atol=1e-3)
    other.destroy_node()


def test_two_who_say_where_a_joint_is_are_noticed_and_so_are_commands(make_rig):
    driver = PositionDriver(make_rig(58).node, make_embodiment(), CONTROLLERS)
    stamp, still = Time(), np.zeros(len(JOINTS))
    states = topics.joint_state_message(stamp, list(JOINTS), READY_RAD, still)
    gripper = topics.joint_state_message(stamp, [JOINTS[-1]], READY_RAD[-1:], still[-1:])
    arm = topics.joint_state_message(stamp, list(JOINTS[:-1]), READY_RAD[:-1], still[:-1])
    for message, publisher in ((arm, b"arm"), (gripper, b"gripper"), (arm, b"arm"), (gripper, b"gripper")):
        driver._on_joint_states(message, {"publisher_gid": publisher})
    assert driver.guard.stopped is None and not driver.commanded
    driver._on_joint_states(states, {"publisher_gid": b"twin"})
    assert "two publishers on joint_states say where" in driver.guard.stopped
    driver._on_command(None)
    assert not driver.commanded
    driver._on_command(READY_RAD)
    assert driver.commanded
