"""Whether what the SO-101 says of its motors can go on."""

from __future__ import annotations

import numpy as np

from daydreamer.contract.embodiment import Finding
from daydreamer.contract.signals import JOINT_EFFORT, JOINT_VELOCITY, Measurement
from daydreamer.robots.so101.constants import GRIPPER, GRIPPER_TORQUE_N_M, JOINTS, STALL_TORQUE_N_M

STALL_S = 2.0
STALL_SHARE, STALL_RAD_S = 0.45, 0.1
"""A motor of the arm that gives more than this share of its stall torque for so long, and stands still, is stalled. The
weight of the arm itself takes up to 0.35 of it, and what the guard lets a blocked joint be asked for beside that is
0.56. The gripper is there to press."""

STALL_CURE = "Take away what blocks it; it goes on by itself from its rest."

PRESS_SHARE, PRESS_S = 1.3, 0.5
"""Of the torque that the gripper may press with, beyond which for so long its limit is not in force."""

PRESS_CURE = "Switch the arm off and on again, so that its driver sets the gripper's torque limit anew."


class EffortCheck:
    """A `PlausibilityCheck`: finds a motor that is stalled, and a gripper that presses harder than it may."""

    def __init__(self, stall_s: float = STALL_S) -> None:
        """A motor is stalled after `stall_s`."""
        self._limit_s = stall_s
        self.forget()

    def forget(self) -> None:
        """See `PlausibilityCheck.forget`."""
        self._stalled_s = np.zeros(len(JOINTS))
        self._press_s = 0.0

    def update(self, elapsed_s: float, measurement: Measurement, commanded: np.ndarray | None) -> Finding:
        """See `PlausibilityCheck.update`."""
        effort_n_m = measurement.get(JOINT_EFFORT)
        if effort_n_m is None:
            return Finding(False, 0.0, self._limit_s, "effort")
        effort_n_m = np.abs(effort_n_m)
        stalled = (effort_n_m > STALL_SHARE * STALL_TORQUE_N_M) & (np.abs(measurement[JOINT_VELOCITY]) < STALL_RAD_S)
        stalled[GRIPPER] = False
        self._stalled_s = np.where(stalled, self._stalled_s + elapsed_s, 0.0)
        presses = effort_n_m[GRIPPER] > PRESS_SHARE * GRIPPER_TORQUE_N_M
        self._press_s = self._press_s + elapsed_s if presses else 0.0
        if self._press_s > PRESS_S:
            subject = "the gripper presses harder than it may"
            return Finding(True, float(effort_n_m[GRIPPER]), GRIPPER_TORQUE_N_M, subject, PRESS_CURE)
        worst = int(self._stalled_s.argmax())
        longest_s = float(self._stalled_s[worst])
        return Finding(longest_s > self._limit_s, longest_s, self._limit_s, f"{JOINTS[worst]} is stalled", STALL_CURE)
