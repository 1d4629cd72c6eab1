"""The six servos of an SO-101: whether they are those that they should be, what they say, and what they are told.

Nothing moves here before a target is given. NOT YET RUN ON AN ARM: units and signs are of the servo's memory table.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from daydreamer.errors import UserError
from daydreamer.robots.so101 import feetech
from daydreamer.robots.so101.bus import DRIVEN, ArmNames, NoAnswer, ServoBus
from daydreamer.robots.so101.constants import (
    COUNT_RAD,
    COUNTS_PER_TURN,
    GRIPPER,
    GRIPPER_TORQUE_N_M,
    JOINTS,
    LIMITS,
    STALL_TORQUE_N_M,
)

SERVOS = (1, 2, 3, 4, 5, 6)
"""Their ids, in the order of the joints, as the arm's owners give them."""

ROLL = 4
"""The joint that turns all around, of which a calibration has no range."""

RANGE = (0.75, 1.2)
"""Of a joint's published range, what the calibration of an arm can come to."""

HANDLE_RANGE = (0.3, 1.2)
"""Likewise of the gripper's range, where a handle is in its place: its owners print several."""

LEAST_V = 4.5
"""Below it the servos have no power but that of the adapter."""

STALL_A, AMPERE_COUNTS = 2.7, 0.0065
"""Of a servo that gives its stall torque; and of the number that it says."""

GAINS = {feetech.P_GAIN: 32, feetech.I_GAIN: 0, feetech.D_GAIN: 32}
"""Of the servos' own control, which the twin's stiffness is that of."""


@dataclasses.dataclass(frozen=True)
class ArmState:
    """What all servos say.

    Attributes:
      position_rad, velocity_rad_s, effort_n_m, temperature_c, voltage_v: `[6]`.
      faults: of each that says that something is wrong, in words, by joint.
    """

    position_rad: NDArray[np.float64]
    velocity_rad_s: NDArray[np.float64]
    effort_n_m: NDArray[np.float64]
    temperature_c: NDArray[np.float64]
    voltage_v: NDArray[np.float64]
    faults: dict[str, str]


class _Calibrated(msgspec.Struct, frozen=True):
    """Of one servo, as LeRobot keeps it; what else stands there is not looked at."""

    id: int
    homing_offset: Annotated[int, Meta(ge=-COUNTS_PER_TURN, le=COUNTS_PER_TURN)]
    range_min: Annotated[int, Meta(ge=-COUNTS_PER_TURN, le=COUNTS_PER_TURN)]
    range_max: Annotated[int, Meta(ge=-COUNTS_PER_TURN, le=COUNTS_PER_TURN)]


class ArmServos:
    """The arm on its bus.

    Attributes:
      silent: joints that have not answered at the last tick.
      newest_rad: `[6]`, angle of each joint when it answered last; NaN of one that never has.
    """

    def __init__(
        self, bus: ServoBus, calibration: Path | None = None, names: ArmNames = DRIVEN, handle: bool = False
    ) -> None:
        """Makes sure that these are the servos of a calibrated SO-101; nothing moves.

        Args:
          calibration: LeRobot's file of this arm, to compare with what the servos have; None compares nothing.
          names: for errors.
          handle: a handle is in the gripper's place: whatever its range, it is taken for the gripper's.

        Raises:
          UserError: a servo is missing, there is another one with its id, it is none of this kind, has no power or no
            calibration, or one of another arm.
        """
        self._bus = bus
        self._names = names
        self.silent: tuple[str, ...] = ()
        self.newest_rad = np.full(len(SERVOS), np.nan)
        self._find()
        ranges = self._ranges(HANDLE_RANGE if handle else RANGE)
        self._rad, self._zero = _scale(ranges, handle)
        if calibration is not None:
            self._compare(calibration, ranges)
        self._torque_on = False

    def prepare(self) -> None:
        """Sets gains and torque limits, with torque off: an arm that is not lying falls.

        Raises:
          UserError: a servo does not take them.
        """
        try:
            for joint, servo in enumerate(SERVOS):
                self._bus.write(servo, feetech.TORQUE_ENABLE, 0)
                for register, value in GAINS.items():
                    self._bus.write(servo, register, value)
                limit_n_m = GRIPPER_TORQUE_N_M if joint == GRIPPER else STALL_TORQUE_N_M
                self._bus.write(servo, feetech.TORQUE_LIMIT, _torque_limit(limit_n_m))
        except NoAnswer as error:
            raise self._unheard(error) from error

    def with_torque(self) -> list[str]:
        """The servos that have torque, for people.

        Raises:
          UserError: one does not answer.
        """
        try:
            return [_name(servo) for servo in SERVOS if self._bus.read(servo, feetech.TORQUE_ENABLE)]
        except NoAnswer as error:
            raise self._unheard(error) from error

    def state(self) -> ArmState | None:
        """What the servos say now; None if one of them does not answer.

        Raises:
          OSError: the adapter is gone.
        """
        answers = self._bus.states(SERVOS)
        self.silent = tuple(name for name, servo in zip(JOINTS, SERVOS, strict=True) if servo not in answers)
        found = {servo: feetech.state_of(answer.content) for servo, answer in answers.items()}
        for joint, servo in enumerate(SERVOS):
            if servo in found:
                self.newest_rad[joint] = (found[servo][feetech.POSITION] - self._zero[joint]) * self._rad[joint]
        if self.silent:
            return None
        states = [found[servo] for servo in SERVOS]
        columns = {each: np.array([state[each] for state in states], np.float64) for each in feetech.STATE}
        load_n_m = columns[feetech.LOAD] / 1000.0 * STALL_TORQUE_N_M
        by_current_n_m = np.abs(columns[feetech.CURRENT]) * AMPERE_COUNTS / STALL_A * STALL_TORQUE_N_M
        faults = {
            name: feetech.fault_names(answers[servo].faults | int(columns[feetech.STATUS][joint]))
            for joint, (name, servo) in enumerate(zip(JOINTS, SERVOS, strict=True))
        }
        return ArmState(
            position_rad=self.newest_rad.copy(),
            velocity_rad_s=columns[feetech.VELOCITY] * self._rad,
            # Duty without current is a joint that moves freely, and current without duty one that is moved.
            effort_n_m=np.sign(load_n_m) * np.minimum(np.abs(load_n_m), by_current_n_m),
            temperature_c=columns[feetech.TEMPERATURE],
            voltage_v=columns[feetech.VOLTAGE] / 10.0,
            faults={name: text for name, text in faults.items() if text},
        )

    def drive(self, target_rad: NDArray[np.float64] | None, gripper_n_m: float = GRIPPER_TORQUE_N_M) -> None:
        """Tells the servos where to be `[6]`; None takes their torque off.

        Args:
          gripper_n_m: torque that the gripper may give.

        Raises:
          OSError: the adapter is gone.
        """
        if target_rad is None:
            # Again at every tick: nobody answers to it.
            self._bus.write_all(feetech.TORQUE_ENABLE, dict.fromkeys(SERVOS, 0))
            self._torque_on = False
            return
        # Again at every tick, likewise; a servo whose power was off for a moment has forgotten it.
        self._bus.write_all(feetech.TORQUE_LIMIT, {SERVOS[GRIPPER]: _torque_limit(gripper_n_m)})
        counts = np.rint(target_rad / self._rad + self._zero).clip(0, COUNTS_PER_TURN - 1)
        self._bus.write_all(feetech.GOAL_POSITION, dict(zip(SERVOS, counts.astype(int).tolist(), strict=True)))
        if not self._torque_on:
            # Only once they know where: with torque they go where they were told last.
            self._bus.write_all(feetech.TORQUE_ENABLE, dict.fromkeys(SERVOS, 1))
            self._torque_on = True

    def _find(self) -> None:
        unheard: list[NoAnswer] = []
        for servo in SERVOS:
            try:
                self._bus.ping(servo)
            except NoAnswer as error:
                unheard.append(error)
        if doubled := [each for each in unheard if each.several or each.garbled]:
            missing = ", ".join(_name(each.servo) for each in unheard if each not in doubled)
            of_these = f", perhaps {missing}, which does not answer" if missing else ""
            raise UserError(
                f"Two servos of {self._names.arm} seem to have the id of {_name(doubled[0].servo)}: both answer at "
                f"once. Give one of them its own{of_these}: alone on the bus, with Feetech's program or "
                "lerobot-setup-motors."
            )
        if unheard:
            if len(unheard) == len(SERVOS):
                raise UserError(
                    f"No servo of {self._names.arm} answers; switch its power on, and see whether its cable is in the "
                    "adapter."
                )
            raise self._unheard(unheard[0])
        try:
            for servo in SERVOS:
                if (model := self._bus.read(servo, feetech.MODEL)) != feetech.MODEL_STS3215:
                    raise UserError(
                        f"Servo {_name(servo)} is of model {model}, not an STS3215 ({feetech.MODEL_STS3215}); put one "
                        f"in its place, or give {self._names.port} the adapter of an SO-101."
                    )
                if (volts := self._bus.read(servo, feetech.VOLTAGE) / 10.0) < LEAST_V:
                    raise UserError(f"Servo {_name(servo)} has {volts:.1f} V; switch {self._names.arm}'s power on.")
        except NoAnswer as error:
            raise self._unheard(error) from error

    def _ranges(self, of_gripper: tuple[float, float]) -> list[tuple[int, int, int]]:
        """What the servos have: homing offset, lower and upper limit of each.

        Args:
          of_gripper: see `RANGE`.
        """
        ranges = []
        registers = (feetech.HOMING_OFFSET, feetech.LOWER_LIMIT, feetech.UPPER_LIMIT)
        try:
            for joint, servo in enumerate(SERVOS):
                offset, lower, upper = (self._bus.read(servo, register) for register in registers)
                ranges.append((offset, lower, upper))
                width_rad = (upper - lower) * COUNT_RAD
                published_rad = LIMITS.upper_rad[joint] - LIMITS.lower_rad[joint]
                low, high = of_gripper if joint == GRIPPER else RANGE
                if joint != ROLL and not low * published_rad <= width_rad <= high * published_rad:
                    raise UserError(
                        f"Servo {_name(servo)} has limits {width_rad:.2f} rad apart, where the joint has "
                        f"{published_rad:.2f}: it has not been calibrated, or as another joint. Calibrate "
                        f"{self._names.arm}, as with lerobot-calibrate."
                    )
        except NoAnswer as error:
            raise self._unheard(error) from error
        return ranges

    def _compare(self, path: Path, ranges: list[tuple[int, int, int]]) -> None:
        file = read_calibration(path)
        for name, servo, own in zip(JOINTS, SERVOS, ranges, strict=True):
            said = file[name]
            if (said.homing_offset, said.range_min, said.range_max) != own or said.id != servo:
                raise UserError(
                    f"{path} is the calibration of another arm: for {name} it has id {said.id}, homing offset "
                    f"{said.homing_offset} and limits {said.range_min} to {said.range_max}, the servo {servo}, "
                    f"{own[0]} and {own[1]} to {own[2]}. Give {self._names.calibration} the file of this arm, "
                    "or calibrate it."
                )

    def _unheard(self, error: NoAnswer) -> UserError:
        return UserError(
            f"Servo {_name(error.servo)} of {self._names.arm} does not answer; see whether its cable is in, and "
            "whether it has that id."
        )


def _scale(ranges: list[tuple[int, int, int]], handle: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Angle of a count, and counts at angle 0, `[6]` each, of what the servos have."""
    _, lower, upper = np.array(ranges, np.float64).T
    rad, zero = np.full(len(SERVOS), COUNT_RAD), (lower + upper) / 2
    if handle:
        published_rad = LIMITS.upper_rad[GRIPPER] - LIMITS.lower_rad[GRIPPER]
        rad[GRIPPER] = published_rad / (upper[GRIPPER] - lower[GRIPPER])
    zero[GRIPPER] = lower[GRIPPER] - LIMITS.lower_rad[GRIPPER] / rad[GRIPPER]
    return rad, zero


def read_calibration(path: Path) -> Mapping[str, _Calibrated]:
    """LeRobot's file of an arm's calibration, by joint.

    Raises:
      UserError: it cannot be read, is none, or lacks a joint.
    """
    try:
        file = msgspec.json.decode(path.read_bytes(), type=dict[str, _Calibrated])
    except OSError as error:
        raise UserError(f"The calibration {path} cannot be read ({error.strerror}).") from error
    except msgspec.DecodeError as error:
        raise UserError(f"{path} is no calibration as LeRobot keeps it ({error}).") from error
    if missing := [name for name in JOINTS if name not in file]:
        raise UserError(f"The calibration {path} is of another kind of arm: it lacks {', '.join(missing)}.")
    return file


def _torque_limit(torque_n_m: float) -> int:
    """As the servo has it."""
    return round(1000 * torque_n_m / STALL_TORQUE_N_M)


def _name(servo: int) -> str:
    return f"{servo} ({JOINTS[SERVOS.index(servo)]})"
