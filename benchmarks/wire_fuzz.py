"""Random policy outputs and wrong measurements, through supervisor and driver to the last byte: what leaves the limits?

    python benchmarks/wire_fuzz.py --outputs 1000000 [--workers 2] [--chunks FIRST END] [--json FILE]

Each life of a few thousand control periods has a robot whose joints move as they are told and pushed, a supervisor and
a driver, both real, and between them real messages, serialised, and real UDP packets over loopback (the A1; the Go2's
messages are filled, not sent). What leaves is read again by `wire.py` and compared with where the joints really are.
Meanwhile measurements are not finite or leap, packets are lost, late, doubled, damaged or random, strangers command,
and operators press anything. `--fault NAME` breaks something on purpose, to see that it is found out.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import contextlib
import dataclasses
import itertools
import json
import socket
import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import wire
from rclpy.serialization import deserialize_message, serialize_message
from safety_fuzz import any_targets_rad, press_anything

from daydreamer.config import ActorConfig, SafetyConfig, TwinConfig
from daydreamer.contract.limits import MotorGains
from daydreamer.contract.signals import Measurement
from daydreamer.robots.a1 import driver_node as a1_driver_node
from daydreamer.robots.a1 import low_level
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.go2 import driver_node as go2_driver_node
from daydreamer.robots.go2.constants import GO2
from daydreamer.robots.go2.low_level import fill_low_command
from daydreamer.robots.quadruped.description import JOINT_NAMES, JOINTS
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.robots.quadruped.twin import leg_motors
from daydreamer.robots.quadruped.unitree import impossible_joints, unitree_crc
from daydreamer.safety import motor_guard
from daydreamer.safety.flags import SAFETY_FLAGS
from daydreamer.safety.states import SafetyState
from daydreamer.safety.supervisor import SafetySupervisor
from daydreamer.safety.watchdogs import OUTSIDE_RAD
from ros_nodes import command_intake, topics

PERIOD_S = 0.05
ERRING = 0.16
"""Share of the control periods with a wrong measurement and wrong samples at the driver."""

LIFE_STEPS = 1_000
CHUNK_OUTPUTS = 2_000
LIMIT_TOLERANCE, STEP_TOLERANCE = 1e-6, 1e-5  # packets have 32 bits
WRONG = np.array([np.nan, np.inf, -np.inf, 3.39e38, -1e154, 1e6, 30.0, 6.283, -6.283, 3.5, -2.0, 0.5])
IMU_AT_REST = np.array([1.0, 0, 0, 0, 0, 0, 0, 0, 0, 9.81])  # quaternion, gyroscope, accelerometer
DAMPING_N_M_S_RAD = {"a1": a1_driver_node.DAMPING_N_M_S_RAD, "go2": go2_driver_node.DAMPING_N_M_S_RAD}


class Joints:
    """Where the joints really are: they go where the motors pull them, and are pushed.

    Attributes:
      position_rad, velocity_rad_s: `[12]`.
    """

    def __init__(self, robot, random: np.random.Generator):
        self.position_rad = np.array(robot.stand_pose_rad) + random.uniform(-0.1, 0.1, JOINTS)
        self.velocity_rad_s = np.zeros(JOINTS)
        self._limits = robot.limits
        self._random = random
        self._push_rad_s = np.zeros(JOINTS)

    def advance(self, seconds: float, target_rad: np.ndarray | None) -> None:
        random, limits = self._random, self._limits
        if random.random() < 0.02:
            self._push_rad_s = random.choice([0.0, 0.0, 3.0, -3.0], JOINTS)
            if random.random() < 0.1:  # harder than motors can follow
                self._push_rad_s[random.integers(JOINTS)] = random.choice([1, -1]) * 0.95 * limits.velocity_rad_s.min()
        pull = 0.0 if target_rad is None else 15.0 * (target_rad - self.position_rad)
        speed = np.clip(pull + self._push_rad_s, -limits.velocity_rad_s, limits.velocity_rad_s)
        before = self.position_rad
        # End stops give a little.
        self.position_rad = np.clip(before + speed * seconds, limits.lower_rad - 0.05, limits.upper_rad + 0.05)
        self.velocity_rad_s = (self.position_rad - before) / max(seconds, 1e-9)


@dataclasses.dataclass
class Sample:
    """What is said of the joints and the IMU, true or not."""

    position_rad: np.ndarray
    velocity_rad_s: np.ndarray
    imu: np.ndarray


class Senses:
    """Samples of the joints, now and then wrong ones.

    Attributes:
      shifted: `[12]`, joints whose encoder says something else for longer than a glitch.
    """

    def __init__(self, random: np.random.Generator):
        self._random = random
        self._offset_rad = np.zeros(JOINTS)
        self._offset_samples = self._forgotten = 0
        self.shifted = np.zeros(JOINTS, bool)

    def sample(self, joints: Joints, erring: bool) -> Sample:
        random = self._random
        position = joints.position_rad + self._offset() + random.normal(0.0, 0.002, JOINTS)
        velocity = joints.velocity_rad_s + random.normal(0.0, 0.1, JOINTS)
        imu = IMU_AT_REST + random.normal(0.0, 0.01, 10)
        if erring:
            kind, joint = random.integers(6), random.integers(JOINTS)
            if kind == 0:
                position[joint] = random.choice(WRONG)
            elif kind == 1:
                position[joint] += random.choice([-1, 1]) * random.uniform(0.1, 7.0)
            elif kind == 2:
                position[joint] += random.uniform(-3, 3)
                velocity[joint] = random.choice([random.normal(0, 50), *WRONG])
            elif kind == 3:
                velocity[joint] = random.choice(WRONG)
                imu[random.integers(10)] = random.choice(WRONG)
            elif kind == 4:  # a bit of any float
                for values in (position, velocity, imu):
                    bits = np.float32(values).view(np.uint32)
                    bits[random.integers(len(bits))] ^= np.uint32(1 << random.integers(32))
                    values[:] = bits.view(np.float32)
            elif self._offset_samples or random.random() < 0.9:
                position[joint] = joints.position_rad[joint] + random.choice([-1, 1]) * random.uniform(0.3, 3.0)
            else:
                self._offset_rad[joint] = random.uniform(-4, 4)
                self._offset_samples = int(random.integers(2, 60))
        return Sample(position, velocity, imu)

    def _offset(self) -> np.ndarray:
        if self._offset_samples:
            self._offset_samples -= 1
            self._forgotten = 20
            if not self._offset_samples:
                self._offset_rad = np.zeros(JOINTS)
            else:
                self.shifted = self.shifted | (self._offset_rad != 0.0)
        elif self.shifted.any():  # until what was believed is forgotten
            self._forgotten -= 1
            if not self._forgotten:
                self.shifted = np.zeros(JOINTS, bool)
        return self._offset_rad


class MotorWire:
    """A driver's motor loop, and the robot's end of it; time is the caller's."""

    def __init__(self, robot, random: np.random.Generator, period_s: float, figures: Figures):
        gains = robot.limits.gains
        self.robot, self.figures = robot, figures
        self.stiffness = gains.stiffness_n_m_rad
        self.damping = np.tile(DAMPING_N_M_S_RAD[robot.name], 4)
        self.guard = motor_guard.MotorGuard(
            JOINT_NAMES,
            robot.limits,
            stiffness_n_m_rad=self.stiffness,
            max_target_error_rad=gains.max_target_error_rad[0],
            interpolate_s=0.05,
            command_timeout_s=0.25,
            period_s=period_s,
        )
        self._random = random
        self._tick = 0
        self._sent: collections.deque[bytes] = collections.deque(maxlen=4)
        self._sockets = contextlib.ExitStack()
        if robot is A1:
            self._motors = self._sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            self._motors.bind(("127.0.0.1", 0))
            self._motors.settimeout(5.0)
            port = self._motors.getsockname()[1]
            self._controller = a1_driver_node.MotorController("127.0.0.1", port, 0)
            self._sockets.callback(self._controller.close)
            self._controller.send(b"")
            self._driver_address = self._motors.recvfrom(2048)[1]

    def close(self) -> None:
        self._sockets.close()

    def report(self, sample: Sample, erring: bool, time_s: float) -> bool:
        """A state comes at the driver, or is lost on the way; whether the true one has come."""
        self._tick += 4
        kind = self._random.integers(8) if erring else 8
        if kind == 0:
            return False
        if self.robot is A1:
            state = self._over_udp(sample, kind)
        else:
            state = go2_driver_node.driver_state(wire.go2_state(sample.position_rad, sample.velocity_rad_s, sample.imu))
        # As `UnitreeDriver.take_in` does.
        if state is not None:
            if impossible_joints(state, self.robot.limits):
                self.figures.counts["states refused"] += 1
            else:
                self.guard.measured(state.joint_position_rad, state.joint_velocity_rad_s, time_s)
        return not erring

    def command(self, target_rad: np.ndarray | None) -> wire.MotorCommand:
        """The driver sends; what arrived at the motors."""
        if self.robot is GO2:
            message = fill_low_command(wire.go2_command(), target_rad, self.stiffness, self.damping)
            return wire.read_go2_command(message, self.stiffness, self.damping)
        self._controller.send(low_level.encode_command(target_rad, self.stiffness, self.damping))
        packet = self._motors.recv(2048)
        return wire.read_a1_command(packet, self.stiffness, self.damping, check_crc=self._tick % 1024 == 0)

    def _over_udp(self, sample: Sample, kind: int):
        random = self._random
        packet = wire.a1_state(sample.position_rad, sample.velocity_rad_s, sample.imu, self._tick)
        if kind == 1:  # random, with the right checksum
            packet[1:] = random.bytes(len(packet) - 1)
        if kind == 2:
            packet[random.integers(len(packet))] ^= 1 << random.integers(8)
        struct.pack_into("<I", packet, 767, unitree_crc(bytes(packet[:764])))
        if kind == 3:
            packet[random.integers(len(packet))] ^= 1 << random.integers(8)
        if kind == 4:
            packet = packet[: random.integers(len(packet))]
        if kind in (5, 6) and self._sent:  # an older one, after the new one or in its place
            if kind == 5:
                self._motors.sendto(packet, self._driver_address)
            packet = self._sent[0]
        self._sent.append(bytes(packet))
        self._motors.sendto(packet, self._driver_address)
        fresh = self._controller.receive()
        return a1_driver_node.driver_state(self._controller.state) if fresh else None


class Figures:
    """What was tried and what came of it, by name.

    Attributes:
      violations: what left the limits.
      found: the same by chunk and life, for `--chunks`.
      counts: of what was done; states: periods by the supervisor's state; flags: commands by safety flag.
    """

    NAMES = ("violations", "found", "counts", "states", "flags")

    def __init__(self):
        self.violations: collections.Counter[str] = collections.Counter()
        self.found: collections.Counter[str] = collections.Counter()
        self.counts: collections.Counter[str] = collections.Counter()
        self.states: collections.Counter[str] = collections.Counter()
        self.flags: collections.Counter[str] = collections.Counter()

    def add(self, other: Figures) -> None:
        for name in self.NAMES:
            getattr(self, name).update(getattr(other, name))


class Life:
    """One life of a supervisor and a driver: robot, interface, rates, filter and gains drawn anew."""

    def __init__(self, random: np.random.Generator, figures: Figures, period_s: float | None = None):
        self.random, self.figures = random, figures
        self.robot = robot = A1 if random.random() < 0.75 else GO2
        self.forward = random.random() < 0.25
        self.joints, self.senses = Joints(robot, random), Senses(random)
        task = QuadrupedWalkTask(robot)
        if random.random() < 0.3:  # a driver that follows any target, so that the supervisor has to limit torque
            far = MotorGains(robot.limits.gains.stiffness_n_m_rad, np.full(JOINTS, np.inf))
            limits = dataclasses.replace(robot.limits, gains=far)
            task.embodiment = dataclasses.replace(task.embodiment, limits=limits)
        self.task = task
        # Latching would end most lives within seconds.
        safety = SafetyConfig(trips=10**6, latching=())
        self.supervisor = SafetySupervisor(task, ActorConfig(low_pass_cutoff_hz=random.choice([0.0, 1.5, 9.0])), safety)
        # Of the motors' ticks; most lives have the fewest that there may be, so that there is time for more of them.
        self.period_s = period_s or float(random.choice([PERIOD_S, 1 / 50, 1 / 250], p=[0.85, 0.12, 0.03]))
        self.usurped = 0
        self.usurper_rad = np.zeros(JOINTS)
        self.now_s = 100.0
        self.sent_rad: np.ndarray | None = None
        if self.forward:
            self.twin_driver = leg_motors(TwinConfig(), robot.limits.torque_n_m)
            self.wire = None
        else:
            self.wire = MotorWire(robot, random, self.period_s, figures)
        self.told_rad: np.ndarray | None = None
        self.sent_s = self.packet_s = self.now_s
        self.heard_s = collections.deque([self.now_s], maxlen=2)  # the last but one: one may be passed over

    def run(self, outputs: int) -> None:
        """Lives until the policy has been asked so often, or ten times as many periods have passed."""
        end = self.figures.counts["policy outputs"] + outputs
        for _ in range(10 * outputs):
            if self.figures.counts["policy outputs"] >= end:
                break
            erring = bool(self.random.random() < ERRING)
            self._control(erring)
            if self.forward:
                self._twin_ticks()
            else:
                self._motor_ticks(erring)
        if self.wire is not None:
            self.wire.close()

    def _control(self, erring: bool) -> None:
        """One control period of the actor."""
        random, supervisor, counts = self.random, self.supervisor, self.figures.counts
        if random.random() < 0.001:
            self.now_s += random.exponential(0.5)
        sample = self.senses.sample(self.joints, erring)
        measurement = Measurement(
            time_s=self.now_s if random.random() > 0.005 else self.now_s - random.exponential(0.3),
            values=dict(
                joint_position_rad=sample.position_rad,
                joint_velocity_rad_s=sample.velocity_rad_s,
                orientation_wxyz=sample.imu[:4],
                angular_velocity_rad_s=sample.imu[4:7],
                linear_acceleration_m_s2=sample.imu[7:],
                foot_force_n=np.zeros(4),
                temperature_c=float(random.uniform(20, 71)) if random.random() < 0.001 else 50.0,
            ),
        )
        if press_anything(supervisor, random, self.now_s, restart=True):
            self._send(np.full(JOINTS, np.nan), lets_go=True)  # at once, as the live actor does
        state = supervisor.begin_tick(self.now_s, measurement)
        self.figures.states[str(state)] += 1
        if state is SafetyState.RUNNING:
            counts["policy outputs"] += 1
            counts["of them with a measurement that is not finite or leaps"] += erring
            command = supervisor.command(any_targets_rad(self.task, self.random))
        else:
            command = supervisor.command_without_policy()
        if command is None:
            return
        for name, bit in SAFETY_FLAGS.items():
            self.figures.flags[name] += bool(command.flags & bit)
        if self.now_s - self.sent_s > 1.5 * PERIOD_S:
            self.sent_rad = None  # after a gap it departs from where the robot is
        self._send(command.setpoint, supervisor.lets_go)
        if random.random() < 0.02:
            self._stray()
        if random.random() < 0.002:
            self.usurped, self.usurper_rad = 40, random.uniform(-1, 1, JOINTS) * random.choice([2.0, 8.0, 1e6])

    def _send(self, position_rad: np.ndarray, lets_go: bool) -> None:
        """The actor sends; its message is read again as bytes, and taken in."""
        interface = topics.COMMAND_INTERFACES[self.forward]
        self.sent_s = self.now_s
        message = topics.joint_command_message(
            interface, topics.Time(), JOINT_NAMES, position_rad, self.supervisor.stand_in_rad, lets_go
        )
        if message is None:
            return
        cdr = serialize_message(message)
        self._check_message(cdr, damping=bool(np.isnan(position_rad).any()))
        if self.usurped:  # somebody else commands in its place
            self.usurped -= 1
            position = self.usurper_rad.tolist()
            named = topics.JointState(name=JOINT_NAMES, position=position)
            self._take_in(topics.Float64MultiArray(data=position) if self.forward else named)
            return
        self._take_in(deserialize_message(cdr, topics.command_type(interface)))

    def _check_message(self, cdr: bytes, damping: bool) -> None:
        violations, limits = self.figures.violations, self.robot.limits
        self.figures.counts["messages"] += 1
        try:
            position = wire.read_message(cdr, self.forward)
        except ValueError as error:
            violations[f"message: {error}"] += 1
            return
        if position is None:
            violations["message: damps unasked"] += not damping
            self.sent_rad = None
            return
        position = np.array(position)
        if len(position) != JOINTS or not np.isfinite(position).all():
            violations["message: not finite"] += 1
            self.sent_rad = None
            return
        outside = (position < limits.lower_rad - LIMIT_TOLERANCE) | (position > limits.upper_rad + LIMIT_TOLERANCE)
        violations["message: limits"] += bool(outside.any())
        if self.sent_rad is not None and not damping:
            step = limits.command_rate_rad_s * PERIOD_S + STEP_TOLERANCE
            violations["message: rate"] += bool((np.abs(position - self.sent_rad) > step).any())
        self.sent_rad = None if damping else position

    def _take_in(self, message) -> None:
        try:
            target_rad = command_intake.joint_command_of(message, JOINT_NAMES, self.robot.limits)
        except command_intake.BadCommand:
            self.figures.counts["messages refused by the driver"] += 1
            return
        if self.forward:
            self.twin_driver.command(target_rad, self.now_s)
        else:
            if target_rad is None and command_intake.lets_go(message):
                self.wire.guard.begin_anew()
            self.wire.guard.command(target_rad, self.now_s)

    def _stray(self) -> None:
        """Somebody else's message, which a driver has let in."""
        random = self.random
        names = list(JOINT_NAMES)
        position = random.choice(
            [any_targets_rad(self.task, self.random), np.degrees(A1.stand_pose_rad), random.uniform(-6, 6, JOINTS)]
        )
        kind = random.integers(4)
        if self.forward:
            data = position[: random.integers(JOINTS + 1)] if kind == 0 else position
            self._take_in(topics.Float64MultiArray(data=data.tolist()))
            return
        if kind == 0:
            names[random.integers(JOINTS)] = "gripper_joint"
        if kind == 1:
            names[random.integers(JOINTS)] = names[random.integers(JOINTS)]
        if kind == 2:
            position = position[: random.integers(JOINTS + 1)]
        self._take_in(topics.JointState(name=names, position=position.tolist()))

    def _motor_ticks(self, erring: bool) -> None:
        end_s = self.now_s + PERIOD_S
        while self.now_s < end_s:
            elapsed_s = self.period_s * (self.random.uniform(0.5, 1.5) if self.random.random() > 0.02 else 3.0)
            self.now_s += elapsed_s
            self.joints.advance(elapsed_s, self.told_rad)
            wrong = erring and self.random.random() < 0.4
            if self.wire.report(self.senses.sample(self.joints, wrong), wrong, self.now_s):
                self.heard_s.append(self.now_s)
            told = self.wire.command(self.wire.guard.target(self.now_s))
            self._check_motors(told, elapsed_s)

    def _check_motors(self, told: wire.MotorCommand, elapsed_s: float) -> None:
        violations, limits, true_rad = self.figures.violations, self.robot.limits, self.joints.position_rad
        self.figures.counts["packets"] += 1
        since_s, self.packet_s = (
            self.now_s - self.packet_s,
            self.now_s,
        )  # longer where the actor stood still
        for fault in told.faults:
            violations[f"packet: {fault}"] += 1
        before_rad, self.told_rad = self.told_rad, told.position_rad
        if told.position_rad is None:
            return
        self.figures.counts["packets with targets"] += 1
        target = told.position_rad
        if not np.isfinite(target).all():
            violations["packet: not finite"] += 1
            return
        # How far off the driver may take a joint to be that it has not heard of, or not believed, for a while.
        unbelieved_s = min(self.wire.guard.belief.age_s(self.now_s), 1.5 * motor_guard.STATE_TIMEOUT_S)
        unheard_s = max(self.now_s - self.heard_s[0], unbelieved_s) + elapsed_s
        unheard_rad = 0.07 + limits.velocity_rad_s * unheard_s
        beyond = np.maximum(limits.lower_rad - target, target - limits.upper_rad)
        joint_beyond = np.maximum(limits.lower_rad - true_rad, true_rad - limits.upper_rad)
        # A joint that is found outside is brought in, and where an encoder lies that is found which it says.
        if before_rad is None:
            may_be = np.maximum(joint_beyond + unheard_rad, np.where(self.senses.shifted, OUTSIDE_RAD, 0.0))
        else:
            may_be = np.maximum(limits.lower_rad - before_rad, before_rad - limits.upper_rad)
        violations["packet: limits"] += bool((beyond > np.maximum(may_be, 0.0) + LIMIT_TOLERANCE).any())
        change_rad = limits.command_rate_rad_s * min(since_s, 2 * self.period_s) + STEP_TOLERANCE
        known = ~self.senses.shifted
        if before_rad is not None:
            violations["packet: rate"] += bool((np.abs(target - before_rad) > change_rad).any())
        else:
            off_rad = np.abs(target - true_rad)
            violations["packet: departs elsewhere"] += bool((off_rad > change_rad + unheard_rad)[known].any())
        error_rad = np.maximum(np.abs(target - true_rad) - unheard_rad, 0.0)
        torque = limits.gains.stiffness_n_m_rad * error_rad
        violations["packet: torque"] += bool((torque > limits.torque_n_m + 0.1)[known].any())

    def _twin_ticks(self) -> None:
        for _ in range(3):
            self.now_s += PERIOD_S / 3
            torque = self.twin_driver.torque(self.now_s, self.joints.position_rad, self.joints.velocity_rad_s)
            good = np.abs(torque) <= self.robot.limits.torque_n_m
            self.figures.counts["torques of the twin's driver"] += 1
            self.figures.violations["twin: torque"] += not good.all()
            error = self.twin_driver.targets.error(self.now_s, self.joints.position_rad)
            self.joints.advance(PERIOD_S / 3, None if error is None else self.joints.position_rad + error)


# What was once wrong, put back, each to be found out.


def _driver_as_it_was() -> None:
    """Targets near whatever angle was said last, without limits of joint and rate."""

    def measured(self, position_rad, velocity_rad_s, time_s):
        self.newest_rad = position_rad
        self._targets._max_error_rad = float(self._reach_rad.min())

    def target(self, time_s):
        position_rad = getattr(self, "newest_rad", None)
        error_rad = None if position_rad is None else self._targets.error(time_s, position_rad)
        return None if error_rad is None else position_rad + error_rad

    motor_guard.MotorGuard.measured, motor_guard.MotorGuard.target = measured, target


def _has_no_joint_limits() -> None:
    limits_of = motor_guard.MotorGuard.__init__

    def without(self, *arguments, **named):
        limits_of(self, *arguments, **named)
        self._lower_rad, self._upper_rad = np.full(JOINTS, -np.inf), np.full(JOINTS, np.inf)

    motor_guard.MotorGuard.__init__ = without
    command_intake.joint_command_of = lambda message, names, limits: (
        np.array(message.data if hasattr(message, "data") else message.position) if _is_finite(message) else None
    )


def _is_finite(message) -> bool:
    values = np.array(message.data if hasattr(message, "data") else message.position)
    return len(values) == JOINTS and bool(np.isfinite(values).all())


def _has_no_rate_limit() -> None:
    guard_of = motor_guard.MotorGuard.__init__

    def without(self, names, limits, **named):
        guard_of(self, names, dataclasses.replace(limits, command_rate_rad_s=np.full(JOINTS, 1e3)), **named)

    motor_guard.MotorGuard.__init__ = without


def _lets_nan_stand_in() -> None:
    SafetySupervisor.stand_in_rad = property(lambda self: self.measurement["joint_position_rad"])
    message_of = topics.joint_command_message

    def without(interface, stamp, names, position_rad, stand_in_rad, lets_go=False):
        if interface == "forward_position" and stand_in_rad is not None and np.isnan(position_rad).any():
            return topics.Float64MultiArray(data=stand_in_rad.tolist())
        return message_of(interface, stamp, names, position_rad, stand_in_rad, lets_go)

    topics.joint_command_message = without


def _supervisor_is_too_fast() -> None:
    from daydreamer.safety import limiter

    limiter_of = limiter.CommandLimiter.__init__

    def without(self, *arguments, **named):
        limiter_of(self, *arguments, **named)
        self._largest_change_rad = 1.3 * self._largest_change_rad

    limiter.CommandLimiter.__init__ = without


FAULTS: Mapping[str, Callable[[], None]] = {
    "driver as it was": _driver_as_it_was,
    "driver has no joint limits": _has_no_joint_limits,
    "driver has no rate limit": _has_no_rate_limit,
    "measured angles stand in for damping": _lets_nan_stand_in,
    "supervisor is a third too fast": _supervisor_is_too_fast,
}


def fuzz(
    seed: int,
    outputs: int,
    fault: str | None = None,
    life_steps: int = LIFE_STEPS,
    period_s: float | None = None,
) -> Figures:
    """So many policy outputs, in lives of `life_steps`; with a fault, in a process of its own only.

    `period_s` of the motors' ticks is drawn if it is None.
    """
    if fault is not None:
        FAULTS[fault]()
    random, figures = np.random.default_rng(seed), Figures()
    with np.errstate(all="ignore"):
        for life in itertools.count():
            if (left := outputs - figures.counts["policy outputs"]) <= 0:
                break
            before = figures.violations.copy()
            Life(random, figures, period_s).run(min(life_steps, left))
            for reason, count in (figures.violations - before).items():
                figures.found[f"seed {seed}, life {life}: {reason}"] = count
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--chunks", type=int, nargs=2, metavar=("FIRST", "END"), help="these parts of the whole alone")
    parser.add_argument("--fault", choices=FAULTS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures, begin_s = Figures(), time.perf_counter()
    chunks = range(*options.chunks) if options.chunks else range(-(-options.outputs // CHUNK_OUTPUTS))
    outputs = min(CHUNK_OUTPUTS, options.outputs)
    with concurrent.futures.ProcessPoolExecutor(options.workers) as pool:
        work = [pool.submit(fuzz, options.seed * 100_000 + chunk, outputs, options.fault) for chunk in chunks]
        for done in concurrent.futures.as_completed(work):
            figures.add(done.result())
            report = {"seconds": round(time.perf_counter() - begin_s, 1), "fault put back": options.fault}
            report |= {name: dict(getattr(figures, name)) for name in Figures.NAMES}
            text = json.dumps(report | {"violations in all": figures.violations.total()}, indent=2)
            if options.json:  # as it goes: it takes long
                options.json.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
