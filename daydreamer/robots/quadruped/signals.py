"""What the robot observes, in units that people read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from daydreamer.robots.quadruped.description import JOINT_NAMES, Quadruped
from daydreamer.robots.quadruped.task import VELOCITY_SCALE_M_S


def signals(robot: Quadruped, observation: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Quantities worth a look, by plot and name, each `[steps]`.

    Args:
      observation: `joint_position`, `gravity_up` and `velocity` as in `QuadrupedWalkTask`, each `[steps, ...]`.
    """
    angles_deg = np.rad2deg(robot.joint_range.denormalise(np.asarray(observation["joint_position"], np.float64)))
    up = np.asarray(observation["gravity_up"], np.float64)
    joints = {
        name.removesuffix("_joint").replace("_", " "): angles_deg[:, index] for index, name in enumerate(JOINT_NAMES)
    }
    return {
        "joints": joints,
        # 0 with the trunk level, 180 on the back; roll would jump there.
        "attitude": {
            "tilt": np.rad2deg(np.arccos(np.clip(up[:, 2], -1.0, 1.0))),
            "nose up": np.rad2deg(np.arctan2(up[:, 0], np.hypot(up[:, 1], up[:, 2]))),
        },
        "speed": {"forward": VELOCITY_SCALE_M_S * np.asarray(observation["velocity"], np.float64)[:, 0]},
    }
