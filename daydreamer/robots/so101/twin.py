"""The MuJoCo twin of the SO-101 at a table with two trays and a cube."""

from __future__ import annotations

import math
from importlib import resources

import numpy as np

from daydreamer.config import TwinConfig
from daydreamer.contract.signals import JOINT_EFFORT, JOINT_POSITION, JOINT_VELOCITY, TEMPERATURE
from daydreamer.robots.arm.sight import ABOVE
from daydreamer.robots.arm.twin import ArmTwin, initial_states
from daydreamer.robots.so101.constants import (
    BACKLASH_RAD,
    CAMERA_PERIOD_S,
    COUNT_RAD,
    GRIPPER,
    GRIPPER_TORQUE_N_M,
    JOINTS,
    READY_RAD,
    REST_RAD,
    ROOM_C,
    STALL_TORQUE_N_M,
    STALLED_C,
    TABLE,
    WARMING_S,
    carried,
)
from daydreamer.robots.so101.easing import Easing
from daydreamer.robots.so101.embodiment import WRIST
from daydreamer.robots.so101.lowering import LoweringTargets
from sim.description import Camera, Randomised, Sensor, TwinDescription
from sim.motors import PositionMotors
from sim.twin import Twin


class _Servos(PositionMotors):
    """Servos whose gripper is eased, as the driver does it."""

    def reset(self) -> None:
        """See `MotorModel.reset`."""
        super().reset()
        self._easing = Easing()

    def torque(self, time_s: float, position_rad: np.ndarray, velocity_rad_s: np.ndarray) -> np.ndarray:
        """See `MotorModel.torque`."""
        torque_n_m = super().torque(time_s, position_rad, velocity_rad_s)
        asked_n_m = torque_n_m[GRIPPER] / self.strength[GRIPPER]
        self.torque_limit_n_m[GRIPPER] = self._easing.torque_n_m(time_s, asked_n_m, velocity_rad_s[GRIPPER])
        return torque_n_m


def _motors(config: TwinConfig) -> PositionMotors:
    targets = LoweringTargets(
        latency_s=config.command_latency_s,
        interpolate_s=config.interpolate_s,
        timeout_s=config.command_timeout_s,
        max_error_rad=math.inf,
    )
    joints = len(JOINTS)
    return _Servos(
        targets,
        stiffness_n_m_rad=np.full(joints, config.stiffness_n_m_rad),
        damping_n_m_s_rad=np.zeros(joints),  # the model's joints have it
        torque_limit_n_m=np.array((*(STALL_TORQUE_N_M,) * (joints - 1), GRIPPER_TORQUE_N_M)),
        backlash_rad=np.full(joints, BACKLASH_RAD),
    )


TWIN = TwinDescription(
    robot="so101",
    model=resources.files(__package__) / "so101.xml",
    base="base",
    motors=JOINTS,
    make_motors=_motors,
    to_motors=carried,
    sensors=(
        Sensor(JOINT_POSITION, tuple(f"{name}_angle" for name in JOINTS), noise=0.0004),
        Sensor(JOINT_VELOCITY, tuple(f"{name}_speed" for name in JOINTS), noise=0.02),
        Sensor(JOINT_EFFORT, tuple(f"{name}_effort" for name in JOINTS), noise=0.02),
    ),
    cameras=(Camera(signal=ABOVE, name="above", height=64, width=64, period_s=CAMERA_PERIOD_S),),
    extra_cameras=(Camera(signal=WRIST, name="wrist", height=64, width=64, period_s=CAMERA_PERIOD_S),),
    initial_states=initial_states(TABLE, READY_RAD, REST_RAD),
    randomised=Randomised(
        bodies=("upper_arm", "lower_arm", "wrist", "gripper", "cube"),
        friction_geoms=("cube", *(f"{jaw}_pad_{number}" for jaw in ("fixed", "moving") for number in range(1, 5))),
    ),
)


class So101Twin(ArmTwin):
    """An SO-101 whose servos count angles in steps and get warm."""

    def reset(self, state: str | None = None, seed: int | None = None) -> None:
        """See `Twin.reset`; the motors are cold."""
        self._warm_c = np.full(len(JOINTS), ROOM_C)
        self._read_s = 0.0
        super().reset(state, seed)
        self._read_s = self.data.time

    def read(self) -> dict[str, np.ndarray]:
        """See `Twin.read`."""
        signals = super().read()
        signals[JOINT_POSITION] = np.round(signals[JOINT_POSITION] / COUNT_RAD) * COUNT_RAD
        self._warm(signals[JOINT_EFFORT])
        signals[TEMPERATURE] = self._warm_c.max()
        return signals

    def _warm(self, effort_n_m: np.ndarray) -> None:
        elapsed_s, self._read_s = self.data.time - self._read_s, self.data.time
        end_c = ROOM_C + (STALLED_C - ROOM_C) * (effort_n_m / STALL_TORQUE_N_M) ** 2
        self._warm_c += (end_c - self._warm_c) * -math.expm1(-elapsed_s / WARMING_S)


def make_twin(config: TwinConfig, seed: int) -> Twin:
    """The SO-101 as `config.initial_state` says, by default above its trays; see `Twin`."""
    return So101Twin(TWIN, config, seed, TABLE)
