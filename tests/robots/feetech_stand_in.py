"""Six servos that speak Feetech's protocol on a real pseudo-terminal, on a thread; packets get lost and damaged."""

import os
import pty
import select
import threading
import time
import tty

import numpy as np

from daydreamer.robots.so101 import feetech
from daydreamer.robots.so101.constants import (
    COUNT_RAD,
    JOINTS,
    LIMITS,
    REST_RAD,
    ROOM_C,
    STALL_TORQUE_N_M,
    STALLED_C,
    STIFFNESS_N_M_RAD,
    WARMING_S,
)
from daydreamer.robots.so101.servos import AMPERE_COUNTS, STALL_A

MIDDLE = 2048
SPEED_COUNTS_S = 3000.0
GRIPPER_LOWER = 1500
FULL_COUNTS = STALL_TORQUE_N_M / STIFFNESS_N_M_RAD / COUNT_RAD
"""From its goal, at which a servo gives all it can."""


def calibration():
    """Homing offset, lower and upper limit of each joint, as an arm has them whose zeros are in the middle."""
    half = (LIMITS.upper_rad - LIMITS.lower_rad) / COUNT_RAD / 2
    ranges = [(MIDDLE - round(each), MIDDLE + round(each)) for each in half[:4]]
    ranges += [(0, 4095), (GRIPPER_LOWER, GRIPPER_LOWER + round(2 * half[5]))]
    return [(100 * joint - 250, *limits) for joint, limits in enumerate(ranges)]


def counts(joints_rad):
    """Where servos are whose joints are at these angles."""
    found = np.rint(MIDDLE + np.asarray(joints_rad) / COUNT_RAD).astype(int)
    found[4] = round(2047.5 + joints_rad[4] / COUNT_RAD)
    found[5] = round(GRIPPER_LOWER + (joints_rad[5] - LIMITS.lower_rad[5]) / COUNT_RAD)
    return found


class Servo:
    """What one servo has in its registers, and where it is.

    Attributes:
      stops: counts between which its joint can be; it presses on the one that is in its way.
      share: of its stall torque, what it gives.
    """

    def __init__(self, joint, count):
        self.memory = bytearray(128)
        self.position = float(count)
        offset, lower, upper = calibration()[joint]
        for register, value in (
            (feetech.MODEL, feetech.MODEL_STS3215),
            (feetech.HOMING_OFFSET, offset),
            (feetech.LOWER_LIMIT, lower),
            (feetech.UPPER_LIMIT, upper),
            (feetech.VOLTAGE, 121),
            (feetech.TEMPERATURE, 30),
            (feetech.TORQUE_LIMIT, 1000),
            (feetech.GOAL_POSITION, 0),  # a servo with torque and no goal goes there
        ):
            self.set(register, value)
        self.stops = (0.0, 4095.0)
        self.share = self._warmer_c = 0.0

    def get(self, register):
        return register.decode(bytes(self.memory[register.address : register.address + register.size]))

    def set(self, register, value):
        self.memory[register.address : register.address + register.size] = register.encode(value)

    def block(self):
        """Its joint stays where it is."""
        self.stops = (self.position, self.position)

    def free(self):
        self.stops = (0.0, 4095.0)

    def advance(self, seconds):
        before, left = self.position, 0.0
        if self.get(feetech.TORQUE_ENABLE):
            farthest = SPEED_COUNTS_S * seconds
            goal = self.get(feetech.GOAL_POSITION)
            self.position = float(np.clip(before + np.clip(goal - before, -farthest, farthest), *self.stops))
            left = goal - self.position
        self.set(feetech.POSITION, round(self.position))
        self.set(feetech.VELOCITY, round((self.position - before) / max(seconds, 1e-6)))
        limit = self.get(feetech.TORQUE_LIMIT) / 1000
        before, self.share = self.share, float(np.clip(left / FULL_COUNTS, -limit, limit))
        if self.share != before:
            self.set(feetech.LOAD, round(1000 * self.share))
            self.set(feetech.CURRENT, round(abs(self.share) * STALL_A / AMPERE_COUNTS))
        self._warm(seconds)

    def _warm(self, seconds):
        """As the twin's motors do; it says whole degrees, from whatever it was set to."""
        rise_c = (STALLED_C - ROOM_C) * self.share**2 - self._warmer_c
        before_c = round(self._warmer_c)
        self._warmer_c -= rise_c * np.expm1(-seconds / WARMING_S)
        if (warmer_c := round(self._warmer_c) - before_c) != 0:
            self.set(feetech.TEMPERATURE, self.get(feetech.TEMPERATURE) + warmer_c)


class FeetechStandIn:
    """The bus.

    Attributes:
      port: path of the terminal that a driver opens.
      servos: by id.
      lost, damaged: probability that an answer is not sent, or has a wrong byte.
      doubled: ids at which two servos answer.
      silent: nobody answers.
      unplugged: nobody hears, either.
      received: packets that came, as bytes.
    """

    def __init__(self, joints_rad=REST_RAD, seed=0):
        self.servos = {joint + 1: Servo(joint, count) for joint, count in enumerate(counts(joints_rad))}
        self.lost = self.damaged = 0.0
        self.doubled, self.silent, self.unplugged, self.received = set(), False, False, []
        self._random = np.random.default_rng(seed)
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        if not self._ends.is_set():
            self._ends.set()
            self._thread.join()
            os.close(self._master)
            os.close(self._slave)

    def move(self, joints_rad):
        """As a hand does, to these angles."""
        for servo, count in zip(self.servos.values(), counts(joints_rad), strict=True):
            servo.position = float(count)

    def hold(self, joints_rad):
        """There, as a driver that was killed leaves it."""
        self.move(joints_rad)
        for servo in self.servos.values():
            servo.set(feetech.GOAL_POSITION, round(servo.position))
            servo.set(feetech.TORQUE_ENABLE, 1)

    def joints_rad(self):
        at = np.array([self.servos[joint + 1].position for joint in range(len(JOINTS))])
        zero = counts(np.zeros(len(JOINTS)))
        return (at - zero) * COUNT_RAD

    @property
    def torque(self):
        return [servo.get(feetech.TORQUE_ENABLE) for servo in self.servos.values()]

    def _serve(self):
        buffer, before_s = bytearray(), time.monotonic()
        while not self._ends.is_set():
            if select.select([self._master], [], [], 0.005)[0]:
                buffer += os.read(self._master, 4096)
            now_s = time.monotonic()
            for servo in self.servos.values():
                servo.advance(now_s - before_s)
            before_s = now_s
            while (request := self._taken(buffer)) is not None:
                self.received.append(request)
                if not self.unplugged:
                    self._obey(request)

    @staticmethod
    def _taken(buffer):
        if len(buffer) < 6 or len(buffer) < buffer[3] + 4:
            return None
        assert buffer[:2] == feetech.HEADER
        request = bytes(buffer[: buffer[3] + 4])
        del buffer[: len(request)]
        assert request[-1] == feetech.checksum(request[2:-1])
        return request

    def _obey(self, request):
        servo, instruction, parameters = request[2], request[4], request[5:-1]
        if instruction == feetech.SYNC_WRITE:
            address, size = parameters[:2]
            for begin in range(2, len(parameters), size + 1):
                self._write(parameters[begin], address, parameters[begin + 1 : begin + 1 + size])
        elif instruction == feetech.SYNC_READ:
            address, size, *wanted = parameters
            for each in wanted:
                self._answer(each, address, size)
        elif instruction == feetech.READ:
            self._answer(servo, *parameters)
        else:
            if instruction == feetech.WRITE:
                self._write(servo, parameters[0], parameters[1:])
            self._answer(servo, 0, 0)

    def _write(self, servo, address, content):
        if servo in self.servos:
            self.servos[servo].memory[address : address + len(content)] = content

    def _answer(self, servo, address, size):
        if servo not in self.servos or self.silent or self._random.random() < self.lost:
            return
        content = bytearray(feetech.answer(servo, bytes(self.servos[servo].memory[address : address + size])))
        if self._random.random() < self.damaged:
            content[self._random.integers(2, len(content))] ^= 1 << self._random.integers(8)
        os.write(self._master, bytes(content) * (2 if servo in self.doubled else 1))
