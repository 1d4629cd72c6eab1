"""What a robot did, out of the log of a session: stretches of motion that a twin can be asked to repeat."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable

import numpy as np

from daydreamer.contract.frames import rotation_matrix
from daydreamer.contract.signals import ANGULAR_VELOCITY, JOINT_POSITION, JOINT_VELOCITY, ORIENTATION, Measurement
from daydreamer.experience.step import Step

COMMANDS_BEFORE = 2
"""A stretch needs so many commands before it: the driver is still on its way from one to the other."""
STRETCH_STEPS = 3
"""How far a twin is to foresee; further ahead chance decides, by which foot touches down first."""
UPRIGHT = 0.8
"""Cosine of the tilt up to which a robot stands on its feet."""
MOVES_RAD = 0.05
"""By how much a target has to change within a stretch, for a robot at rest says nothing."""
STILL_RAD_S, FEWEST_RESTS = 0.3, 20
"""Joints rest if none is faster, which noise alone may be; and so many rests tell how large it is."""
BLOCK_S = 30.0
"""Log is held out in blocks of this length, every third one: neighbours resemble each other."""


@dataclasses.dataclass(frozen=True)
class LoggedMotion:
    """A log as arrays, `[steps, ...]`; what is not known is NaN.

    Attributes:
      position_rad, velocity_rad_s: of the joints.
      orientation_wxyz: from base_link into the world; the heading is unknown, and 0.
      angular_velocity_rad_s: of base_link, in base_link.
      sent_rad: joint targets that were sent at each step; NaN where joints were damped.
      follows: whether a step follows the one before it, without a gap or another actor life.
      period_s: between two steps.
    """

    position_rad: np.ndarray
    velocity_rad_s: np.ndarray
    orientation_wxyz: np.ndarray
    angular_velocity_rad_s: np.ndarray
    sent_rad: np.ndarray
    follows: np.ndarray
    period_s: float

    @classmethod
    def of(cls, steps: Iterable[tuple[Step, Measurement]], period_s: float) -> LoggedMotion:
        """Steps in the order of the log, each with the measurement behind its observation."""
        rows: dict[str, list[np.ndarray]] = {
            name: [] for name in (JOINT_POSITION, JOINT_VELOCITY, ORIENTATION, ANGULAR_VELOCITY)
        }
        sent, follows, before = [], [], (-1, -1)
        for step, measurement in steps:
            for name, values in rows.items():
                values.append(measurement[name])
            sent.append(step.action_sent)
            follows.append((step.actor_life, step.sequence - 1) == before)
            before = (step.actor_life, step.sequence)
        arrays = {name: np.array(values, np.float64) for name, values in rows.items()}
        return cls(
            position_rad=arrays[JOINT_POSITION],
            velocity_rad_s=arrays[JOINT_VELOCITY],
            orientation_wxyz=arrays[ORIENTATION],
            angular_velocity_rad_s=arrays[ANGULAR_VELOCITY],
            sent_rad=np.array(sent, np.float64),
            follows=np.array(follows, bool),
            period_s=period_s,
        )

    def __len__(self) -> int:
        return len(self.follows)

    @functools.cached_property
    def up(self) -> np.ndarray:
        """The world's up in base_link, `[steps, 3]`."""
        return np.array([rotation_matrix(orientation)[2] for orientation in self.orientation_wxyz]).reshape(-1, 3)

    def stretches(self) -> np.ndarray:
        """Steps at which one may begin: on its feet, driven all the time, and moving."""
        length = COMMANDS_BEFORE + STRETCH_STEPS + 1
        if len(self) < length:
            return np.zeros(0, int)
        finite = (
            np.isfinite(self.sent_rad).all(1)
            & np.isfinite(self.position_rad).all(1)
            & np.isfinite(self.velocity_rad_s).all(1)
            & np.isfinite(self.angular_velocity_rad_s).all(1)
        )
        good = finite & (self.up[:, 2] > UPRIGHT)
        changes = np.abs(np.diff(self.sent_rad, axis=0, prepend=self.sent_rad[:1])).max(1)

        def windows(values: np.ndarray) -> np.ndarray:
            return np.lib.stride_tricks.sliding_window_view(values, length)

        usable = windows(good).all(1) & windows(self.follows)[:, 1:].all(1)
        moves = np.nanmax(windows(np.where(finite, changes, 0.0))[:, 1:-1], 1) > MOVES_RAD
        return np.flatnonzero(usable & moves) + COMMANDS_BEFORE

    def position_noise_rad(self) -> float | None:
        """Standard deviation of the encoders' noise, by joints at rest; None if they never rested long enough."""
        length = 3
        if len(self) < length:
            return None
        still = np.abs(self.velocity_rad_s).max(1) < STILL_RAD_S
        windows = np.lib.stride_tricks.sliding_window_view
        rests = windows(still, length).all(1) & windows(self.follows, length)[:, 1:].all(1)
        bends = np.diff(self.position_rad, 2, axis=0)[rests]
        # Of noise alone, the second difference has six times its variance.
        return float(np.median(bends.std(0)) / np.sqrt(6.0)) if len(bends) >= FEWEST_RESTS else None

    def held_out(self, starts: np.ndarray) -> np.ndarray:
        """Which of the stretches that begin there are kept to judge by."""
        return (starts * self.period_s // BLOCK_S).astype(int) % 3 == 2
