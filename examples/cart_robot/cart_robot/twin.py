"""The cart's MuJoCo twin: what is called what in `cart.xml`, and how its wheels are driven."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import resources

import numpy as np

from cart_robot.constants import CAMERA_PERIOD_S, TWIST_OF_WHEELS, WHEEL_RADIUS_M, WHEELS_OF_TWIST
from daydreamer.config import TwinConfig
from daydreamer.contract.signals import ANGULAR_VELOCITY, CAMERA, ODOMETRY_TWIST
from sim.description import Camera, InitialState, Randomised, Sensor, TwinDescription
from sim.motors import VelocityMotors, speed_targets
from sim.twin import Twin

WHEEL_SPEED = "wheel_speed_rad_s"

TORQUE_LIMIT_N_M = 0.05
"""At a wall the wheels stand still before they slip, so that the cart notices."""


def _motors(config: TwinConfig) -> VelocityMotors:
    return VelocityMotors(
        speed_targets(config),
        gain_n_m_s_rad=np.full(2, 0.1),
        torque_limit_n_m=np.full(2, TORQUE_LIMIT_N_M),
        acceleration_rad_s2=np.full(2, 60.0),
    )


def _odometry(signals: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {ODOMETRY_TWIST: TWIST_OF_WHEELS @ signals[WHEEL_SPEED]}


def _park(twin: Twin, random: np.random.Generator) -> None:
    """A metre from the post, looking anywhere."""
    place_rad, heading_rad = random.uniform(-math.pi, math.pi, 2)
    position_m = np.array((math.cos(place_rad), math.sin(place_rad), WHEEL_RADIUS_M))
    twin.place_base(position_m, np.array((math.cos(heading_rad / 2), 0.0, 0.0, math.sin(heading_rad / 2))))


TWIN = TwinDescription(
    robot="cart",
    model=resources.files(__package__) / "cart.xml",
    base="chassis",
    motors=("left_wheel", "right_wheel"),
    make_motors=_motors,
    to_motors=lambda twist: WHEELS_OF_TWIST @ twist,
    sensors=(
        Sensor(WHEEL_SPEED, ("left_speed", "right_speed"), noise=0.05),
        Sensor(ANGULAR_VELOCITY, ("gyroscope",), "angular_velocity_noise_rad_s"),
    ),
    derive=_odometry,
    cameras=(Camera(signal=CAMERA, name="front", height=64, width=64, period_s=CAMERA_PERIOD_S),),
    initial_states={"parked": InitialState(_park, settle_s=0.2)},
    randomised=Randomised(bodies=("chassis",), friction_geoms=("left_tyre", "right_tyre")),
)


def make_twin(config: TwinConfig, seed: int) -> Twin:
    """The cart, parked; see `Twin`."""
    return Twin(TWIN, config, seed)
