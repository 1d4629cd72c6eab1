"""The MuJoCo twin of the UR5e at a table with two trays and a cube."""

from __future__ import annotations

import math
from importlib import resources

import numpy as np

from daydreamer.config import TwinConfig
from daydreamer.contract.signals import JOINT_POSITION, JOINT_VELOCITY
from daydreamer.robots.arm.sight import ABOVE
from daydreamer.robots.arm.twin import ArmTwin, initial_states
from daydreamer.robots.ur5e.constants import (
    CAMERA_PERIOD_S,
    JOINTS,
    LIMITS,
    READY_RAD,
    REST_RAD,
    TABLE,
)
from daydreamer.safety.target_stream import TargetStream
from sim.description import Camera, Randomised, Sensor, TwinDescription
from sim.motors import PositionMotors
from sim.twin import Twin

STIFFNESS_SHARES = np.array((1.0, 1.0, 1.0, 0.2, 0.2, 0.2, 0.04))
"""Of `TwinConfig.stiffness_n_m_rad`, which is that of the largest joints: ours."""


def _motors(config: TwinConfig) -> PositionMotors:
    targets = TargetStream(
        latency_s=config.command_latency_s,
        interpolate_s=config.interpolate_s,
        timeout_s=config.command_timeout_s,
        max_error_rad=math.inf,
    )
    return PositionMotors(
        targets,
        stiffness_n_m_rad=config.stiffness_n_m_rad * STIFFNESS_SHARES,
        damping_n_m_s_rad=np.zeros(len(JOINTS)),  # the model's joints have it
        torque_limit_n_m=LIMITS.torque_n_m,
    )


TWIN = TwinDescription(
    robot="ur5e",
    model=resources.files(__package__) / "ur5e.xml",
    base="base",
    motors=JOINTS,
    make_motors=_motors,
    sensors=(
        Sensor(JOINT_POSITION, tuple(f"{name}_angle" for name in JOINTS), noise=0.0001),
        Sensor(JOINT_VELOCITY, tuple(f"{name}_speed" for name in JOINTS), noise=0.005),
    ),
    cameras=(Camera(signal=ABOVE, name="above", height=64, width=64, period_s=CAMERA_PERIOD_S),),
    initial_states=initial_states(TABLE, READY_RAD, REST_RAD),
    randomised=Randomised(
        bodies=("upper_arm", "lower_arm", "wrist_1", "wrist_2", "wrist_3", "cube"),
        friction_geoms=("cube", "left_pad", "right_pad"),
    ),
)


def make_twin(config: TwinConfig, seed: int) -> Twin:
    """The UR5e as `config.initial_state` says, by default above its trays; see `Twin`."""
    return ArmTwin(TWIN, config, seed, TABLE)
