"""A second SO-101 without torque, which an operator moves by hand: the tool of the first one follows its tool.

Nothing is ever written to its servos. Its gripper is a handle: shut, it is at the lower end of its range. NOT YET TRIED
WITH AN ARM.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator

import numpy as np

from daydreamer.contract.leader import Lead, LeaderOptions
from daydreamer.errors import UserError
from daydreamer.robots.so101.bus import ArmNames, SerialPort, ServoBus, known_ports
from daydreamer.robots.so101.constants import CLOSED_RAD, GRIPPER, JOINTS, LIMITS, OPEN_RAD
from daydreamer.robots.so101.pick_place_fine import STEP_M, STEP_YAW_RAD, PickPlaceFine
from daydreamer.robots.so101.recorded import motions
from daydreamer.robots.so101.servos import ArmServos

NAMES = ArmNames(arm="the leader arm", port="--leader-port", calibration="--calibration")

ANSWER_S = 0.05
"""Within which its servos have answered: longer than the driver waits, as nobody falls if they are late."""

SILENT_S = 0.3
"""After which an arm that does not answer is not where it was."""

NEAR_STEPS = 2.0
"""Of the task's largest steps, in each direction, from where the robot was told to be."""

LEAP_RAD = 0.15
"""And beyond the servos' largest speed, how far a joint may seem to have come."""

WAYS = (
    (100.0 * STEP_M, "{:.1f} cm back", "{:.1f} cm forward"),
    (100.0 * STEP_M, "{:.1f} cm right", "{:.1f} cm left"),
    (100.0 * STEP_M, "{:.1f} cm down", "{:.1f} cm up"),
    (math.degrees(STEP_YAW_RAD), "turned {:.0f}° right", "turned {:.0f}° left"),
    (1.0, "close it", "open it"),
)
"""Of each number of an action, in how many units it is a step, and where a leader has to go that is off by more, or by
less than nothing."""


class LeaderArm:
    """The leader of `pick_place_fine`."""

    def __init__(self, servos: ArmServos, task: PickPlaceFine, clock: Callable[[], float] = time.monotonic) -> None:
        self._servos = servos
        self._task = task
        self._clock = clock
        self._joints_rad: np.ndarray | None = None
        self._heard_s = -math.inf

    def look(self) -> Lead:
        """See `Leader`."""
        state, now_s = self._servos.state(), self._clock()
        leapt = ""
        if state is not None:
            leapt = self._leap(state.position_rad, now_s)
            self._joints_rad, self._heard_s = state.position_rad, now_s
        if self._joints_rad is None or now_s - self._heard_s > SILENT_S:
            silent = self._servos.silent
            who = "no servo answers" if len(silent) == len(JOINTS) else f"{', '.join(silent)} does not answer"
            return Lead(motion=None, way=f"{who}; see its cable and power")
        led_rad = self._joints_rad.copy()
        led_rad[GRIPPER] = np.clip(led_rad[GRIPPER], CLOSED_RAD, OPEN_RAD)
        motion = motions(np.stack((self._task.told_rad, led_rad)))[0]
        return Lead(motion=motion, way=self._way(motion), leapt=leapt)

    def _leap(self, joints_rad: np.ndarray, now_s: float) -> str:
        if self._joints_rad is None:
            return ""
        moved_rad = np.abs(joints_rad - self._joints_rad)
        beyond_rad = moved_rad - LIMITS.velocity_rad_s * (now_s - self._heard_s) - LEAP_RAD
        joint = int(beyond_rad.argmax())
        if beyond_rad[joint] <= 0.0:
            return ""
        return f"{JOINTS[joint]} by {math.degrees(moved_rad[joint]):.0f}° at once"

    def _way(self, motion: np.ndarray) -> str:
        off = motion.copy()
        if self._task.holds:
            off[-1] = max(off[-1], 0.0)  # a gripper that holds something cannot be told to be as narrow as the handle
        return ", ".join(
            (less if steps > 0.0 else more).format(abs(steps) * unit)
            for steps, (unit, less, more) in zip(off.tolist(), WAYS, strict=True)
            if abs(steps) > NEAR_STEPS
        )


@contextlib.contextmanager
def open_leader(task: PickPlaceFine, options: LeaderOptions) -> Iterator[LeaderArm]:
    """The arm at a port, inside the block.

    Raises:
      UserError: no port is named, it cannot be opened, or what is there is no leader, see `ArmServos`.
    """
    if options.port is None:
        raise UserError(f"Give {NAMES.port} the adapter of {NAMES.arm}; {known_ports()}.")
    with contextlib.closing(SerialPort(options.port, NAMES)) as port:
        try:
            servos = ArmServos(ServoBus(port, ANSWER_S), options.calibration, NAMES, handle=True)
            stiff = servos.with_torque()
        except OSError as error:
            raise UserError(f"The adapter of {NAMES.arm} is gone ({error.strerror}); plug it in.") from error
        if stiff:
            raise UserError(
                f"Servo {stiff[0]} at {options.port} has torque: this arm is driven, or another program holds it. Give "
                f"{NAMES.port} that of {NAMES.arm}; if it is this one, hold it, and switch its power off and on."
            )
        yield LeaderArm(servos, task)
