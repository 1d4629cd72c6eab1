"""The MuJoCo twin of the TurtleBot3 Burger, in a room with a post or in an arena with a camera above."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from importlib import resources

import numpy as np

from daydreamer.config import TwinConfig
from daydreamer.contract.frames import quaternion_heading_rad
from daydreamer.contract.signals import (
    ANGULAR_VELOCITY,
    CAMERA,
    JOINT_POSITION,
    JOINT_VELOCITY,
    LINEAR_ACCELERATION,
    ODOMETRY_POSE,
    ODOMETRY_TWIST,
    ORIENTATION,
)
from daydreamer.robots.burger.constants import (
    ARENA_M,
    BASE_LINK_HEIGHT_M,
    COMMAND_STEP,
    GOAL,
    STALL_TORQUE_N_M,
    TWIST_OF_WHEELS,
    WHEEL_RADIUS_M,
    WHEELS_OF_TWIST,
)
from daydreamer.robots.burger.embodiment import ABOVE
from daydreamer.robots.burger.presets import IN_A_ROOM, IN_AN_ARENA
from daydreamer.robots.burger.reach_from_above import DISTANCE
from sim.description import Camera, InitialState, Randomised, Sensor, Stage, TwinDescription
from sim.exposure import Exposure
from sim.motors import VelocityMotors, speed_targets
from sim.twin import Twin, TwinTruth

ROOM_HALF_M, POST_CLEAR_M = 1.0, 0.5
"""Where it begins: at most so far from the room's middle either way, and so far from the post."""

ARENA_MIDDLE_M = np.array((10.0, 0.0))
ARENA_HALF_M = 0.35
MARKER_AHEAD_M = -0.017
"""Of base_link, to the middle of the marker on top."""


def _motors(config: TwinConfig) -> VelocityMotors:
    return VelocityMotors(
        speed_targets(config),
        gain_n_m_s_rad=np.full(2, 0.1),
        torque_limit_n_m=np.full(2, STALL_TORQUE_N_M),
        acceleration_rad_s2=np.full(2, 100.0),
    )


def _to_wheels(twist: np.ndarray) -> np.ndarray:
    """Wheel speeds, of commands cut off to what the driver passes on."""
    return WHEELS_OF_TWIST @ (np.trunc(np.round(twist / COMMAND_STEP, 6)) * COMMAND_STEP)


def _in_a_room(twin: Twin, random: np.random.Generator) -> None:
    """Anywhere but at the post, looking anywhere."""
    place_m = np.zeros(2)
    while np.linalg.norm(place_m) < POST_CLEAR_M:
        place_m = random.uniform(-ROOM_HALF_M, ROOM_HALF_M, 2)
    _place(twin, place_m, random)


def _in_an_arena(twin: Twin, random: np.random.Generator) -> None:
    _place(twin, ARENA_MIDDLE_M + random.uniform(-ARENA_HALF_M, ARENA_HALF_M, 2), random)


def _place(twin: Twin, place_m: np.ndarray, random: np.random.Generator) -> None:
    heading_rad = random.uniform(-math.pi, math.pi)
    orientation_wxyz = np.array((math.cos(heading_rad / 2), 0.0, 0.0, math.sin(heading_rad / 2)))
    twin.place_base(np.array((*place_m, BASE_LINK_HEIGHT_M)), orientation_wxyz)


class ArenaTruth(TwinTruth):
    """Of a robot in the arena: how far it really is from the goal, in arena units."""

    @property
    def quantities(self) -> dict[str, float]:
        ahead_m = MARKER_AHEAD_M * np.array((math.cos(self.yaw_rad), math.sin(self.yaw_rad)))
        right_m, up_m = self.position_m[:2] + ahead_m - ARENA_MIDDLE_M
        place = np.array((0.5 + right_m / ARENA_M, 0.5 - up_m / ARENA_M))
        return {DISTANCE: float(np.linalg.norm(place - GOAL))}


def _arena_truth(twin: Twin) -> TwinTruth:
    truth = twin.base_truth()
    return ArenaTruth(truth.position_m, truth.velocity_m_s, truth.up_z, truth.yaw_rad)


ROOM = TwinDescription(
    robot="burger",
    model=resources.files(__package__) / "burger.xml",
    base="base_link",
    motors=("wheel_left", "wheel_right"),
    make_motors=_motors,
    to_motors=_to_wheels,
    sensors=(
        Sensor(JOINT_POSITION, ("left_angle", "right_angle"), noise=0.0004),  # 4096 steps a turn
        Sensor(JOINT_VELOCITY, ("left_speed", "right_speed"), "joint_velocity_noise_rad_s"),
        Sensor(ORIENTATION, ("orientation",), "orientation_noise_rad"),
        Sensor(ANGULAR_VELOCITY, ("gyroscope",), "angular_velocity_noise_rad_s"),
        Sensor(LINEAR_ACCELERATION, ("accelerometer",), "linear_acceleration_noise_m_s2"),
    ),
    cameras=(Camera(signal=CAMERA, name="front", height=64, width=64, period_s=0.2),),
    initial_states={
        IN_A_ROOM: InitialState(_in_a_room, settle_s=0.3),
        IN_AN_ARENA: InitialState(_in_an_arena, settle_s=0.3),
    },
    randomised=Randomised(bodies=("base_link",), payload_body="base_link", friction_geoms=("left_tyre", "right_tyre")),
    # As balloons that pass over the robot, which is 0.19 m high; they may hide the post.
    stage=Stage(
        low_m=(-1.1, -1.1, 0.31),
        high_m=(1.1, 1.1, 0.40),
        size_m=(0.06, 0.12),
        floor_geoms=("tiles",),
        floor_material="tiles",
        floor_repeats_per_m=4.0,
        task_channel=0,
    ),
)

ARENA = dataclasses.replace(
    ROOM,
    cameras=(Camera(signal=ABOVE, name="above", height=64, width=64, period_s=0.5),),
    truth=_arena_truth,
    # The robot drives over them, and its marker is always seen.
    stage=Stage(
        low_m=(9.5, -0.5, 0.002),
        high_m=(10.5, 0.5, 0.004),
        size_m=(0.04, 0.10),
        flat=True,
        floor_geoms=("floor",),
        floor_material="tiles",
        floor_repeats_per_m=4.0,
        task_channel=1,
    ),
)


class BurgerTwin(Twin):
    """A Burger with what its computer makes of its sensors: odometry that believes the wheels, and pictures with noise.

    The odometry knows nothing of tyres that slip. Distance is of the wheels, heading of the IMU, as turtlebot3_node has
    it with `odometry.use_imu`.
    """

    def reset(self, state: str | None = None, seed: int | None = None) -> None:
        """See `Twin.reset`; the odometry begins at zero."""
        self._pose = np.zeros(3)
        self._wheels_rad: np.ndarray | None = None
        self._first_yaw_rad = 0.0
        self._exposure = Exposure()
        super().reset(state, seed)

    def read(self) -> dict[str, np.ndarray]:
        """See `Twin.read`."""
        signals = super().read()
        signals |= self._odometry(signals)
        self._exposure.expose(self.cameras, signals, self._random)
        return signals

    def _odometry(self, signals: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        wheels_rad, yaw_rad = signals[JOINT_POSITION], quaternion_heading_rad(*signals[ORIENTATION].tolist())
        if self._wheels_rad is None:
            self._wheels_rad, self._first_yaw_rad = wheels_rad, yaw_rad
        moved_m = WHEEL_RADIUS_M * float((wheels_rad - self._wheels_rad).mean())
        heading_rad = math.remainder(yaw_rad - self._first_yaw_rad, math.tau)
        x_m, y_m, _ = self._pose
        self._wheels_rad = wheels_rad
        self._pose = np.array(
            (x_m + moved_m * math.cos(heading_rad), y_m + moved_m * math.sin(heading_rad), heading_rad)
        )
        forward_m_s = float((TWIST_OF_WHEELS @ signals[JOINT_VELOCITY])[0])
        twist = np.array((forward_m_s, signals[ANGULAR_VELOCITY][2]))
        return {ODOMETRY_TWIST: twist, ODOMETRY_POSE: self._pose.copy()}


def make_twin(config: TwinConfig, seed: int) -> Twin:
    """The Burger where `config.initial_state` says, by default in the room; see `Twin`."""
    return BurgerTwin(ARENA if config.initial_state == IN_AN_ARENA else ROOM, config, seed)
