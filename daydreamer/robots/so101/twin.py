"""The MuJoCo twin of the SO-101 at a table with two trays and a cube."""

from __future__ import annotations

import math
from importlib import resources

import numpy as np

from daydreamer.config import TwinConfig
from daydreamer.contract.signals import JOINT_EFFORT, JOINT_POSITION, JOINT_VELOCITY, TEMPERATURE
from daydreamer.robots.so101.constants import (
    BACKLASH_RAD,
    CAMERA_PERIOD_S,
    COUNT_RAD,
    CUBE_M,
    GRIPPER_TORQUE_N_M,
    JOINTS,
    READY_RAD,
    REST_RAD,
    SLOPE_HEIGHT_M,
    STALL_TORQUE_N_M,
    TRAY_X_M,
    TRAY_Y_M,
    carried,
)
from daydreamer.robots.so101.embodiment import ABOVE, WRIST
from daydreamer.robots.so101.lowering import LoweringTargets
from sim.description import Camera, InitialState, Randomised, Sensor, TwinDescription
from sim.exposure import Exposure
from sim.motors import PositionMotors
from sim.twin import Twin

ROOM_C, STALLED_C, WARMING_S = 25.0, 100.0, 200.0
"""Of a motor that has long done nothing, of one that has long given its stall torque, and about how long that takes:
ours, of the order of what the servo's owners see."""

CUBE_MARGIN_M = 0.01
"""Beyond half its size, of a cube that is put into a tray, from where the sides begin."""

LOST_M = SLOPE_HEIGHT_M + 0.008
"""Beyond the flat part of the trays, where a cube's middle is outside them: the sides are as wide as they are high."""


def _motors(config: TwinConfig) -> PositionMotors:
    targets = LoweringTargets(
        latency_s=config.command_latency_s,
        interpolate_s=config.interpolate_s,
        timeout_s=config.command_timeout_s,
        max_error_rad=math.inf,
    )
    joints = len(JOINTS)
    return PositionMotors(
        targets,
        stiffness_n_m_rad=np.full(joints, config.stiffness_n_m_rad),
        damping_n_m_s_rad=np.zeros(joints),  # the model's joints have it
        torque_limit_n_m=np.array((*(STALL_TORQUE_N_M,) * (joints - 1), GRIPPER_TORQUE_N_M)),
        backlash_rad=np.full(joints, BACKLASH_RAD),
    )


def _ready(twin: Twin, random: np.random.Generator) -> None:
    twin.place_joints(READY_RAD)
    _place_cube(twin, random)


def _at_rest(twin: Twin, random: np.random.Generator) -> None:
    twin.place_joints(REST_RAD)
    _place_cube(twin, random)


def _place_cube(twin: Twin, random: np.random.Generator) -> None:
    """Anywhere in either tray, turned anyhow."""
    margin_m = CUBE_M / 2 + CUBE_MARGIN_M
    low_m, high_m = TRAY_Y_M[random.integers(2)]
    x_m = random.uniform(TRAY_X_M[0] + margin_m, TRAY_X_M[1] - margin_m)
    y_m = random.uniform(low_m + margin_m, high_m - margin_m)
    turn_rad = random.uniform(-math.pi, math.pi)
    pose = (x_m, y_m, CUBE_M / 2, math.cos(turn_rad / 2), 0.0, 0.0, math.sin(turn_rad / 2))
    twin.data.joint("cube").qpos[:] = pose


def _is_outside(cube_m: np.ndarray) -> bool:
    """Whether a cube with its middle there `[3]` lies outside both trays."""
    x_m, y_m, _ = cube_m
    (_, far_left_m), (far_right_m, _) = TRAY_Y_M
    inside = TRAY_X_M[0] - LOST_M < x_m < TRAY_X_M[1] + LOST_M and far_right_m - LOST_M < y_m < far_left_m + LOST_M
    return not inside


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
    initial_states={
        "ready": InitialState(_ready, command=READY_RAD, settle_s=0.5),
        "at_rest": InitialState(_at_rest, settle_s=0.5),
    },
    randomised=Randomised(
        bodies=("upper_arm", "lower_arm", "wrist", "gripper", "cube"),
        friction_geoms=("cube", *(f"{jaw}_pad_{number}" for jaw in ("fixed", "moving") for number in range(1, 5))),
    ),
)


class So101Twin(Twin):
    """An SO-101 whose servos count angles in steps and get warm, and whose pictures have noise.

    Attributes:
      put_back: how often somebody has put the cube back into a tray, see `TwinConfig.attended_s`.
    """

    def reset(self, state: str | None = None, seed: int | None = None) -> None:
        """See `Twin.reset`; the motors are cold."""
        self._exposure = Exposure()
        self._warm_c = np.full(len(JOINTS), ROOM_C)
        self._read_s = self._lost_s = 0.0
        self.put_back = 0
        super().reset(state, seed)
        self._read_s = self.data.time

    def read(self) -> dict[str, np.ndarray]:
        """See `Twin.read`."""
        elapsed_s, self._read_s = self.data.time - self._read_s, self.data.time
        self._attend(elapsed_s)
        signals = super().read()
        signals[JOINT_POSITION] = np.round(signals[JOINT_POSITION] / COUNT_RAD) * COUNT_RAD
        self._warm(elapsed_s, signals[JOINT_EFFORT])
        signals[TEMPERATURE] = self._warm_c.max()
        self._exposure.expose(self.cameras, signals, self._random)
        return signals

    @property
    def cube_m(self) -> np.ndarray:
        """`[3]` of its middle."""
        return self.data.joint("cube").qpos[:3].copy()

    @property
    def cube_yaw_rad(self) -> float:
        """By how much one of the cube's upright faces is turned about the upright, if the cube lies flat: within a
        quarter turn, after which it looks the same.
        """
        axes = self.data.body("cube").xmat.reshape(3, 3)
        level = axes[:, int(np.abs(axes[2]).argmin())]
        return math.atan2(level[1], level[0]) % (math.pi / 2)

    def _attend(self, elapsed_s: float) -> None:
        """Puts the cube back once it has been out of the trays for a while, as whoever reads the notice would."""
        self._lost_s = self._lost_s + elapsed_s if _is_outside(self.cube_m) else 0.0
        if 0.0 < self.config.attended_s < self._lost_s:
            _place_cube(self, self._random)
            self.data.joint("cube").qvel[:] = 0.0
            self._lost_s = 0.0
            self.put_back += 1

    def _warm(self, elapsed_s: float, effort_n_m: np.ndarray) -> None:
        end_c = ROOM_C + (STALLED_C - ROOM_C) * (effort_n_m / STALL_TORQUE_N_M) ** 2
        self._warm_c += (end_c - self._warm_c) * -math.expm1(-elapsed_s / WARMING_S)


def make_twin(config: TwinConfig, seed: int) -> Twin:
    """The SO-101 as `config.initial_state` says, by default above its trays; see `Twin`."""
    return So101Twin(TWIN, config, seed)
