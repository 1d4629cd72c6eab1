"""Domain randomisation: a twin that differs from the published figures as one robot differs from another."""

from __future__ import annotations

import dataclasses

import msgspec
import mujoco
import numpy as np

from daydreamer.config import RandomisationConfig, TwinConfig
from daydreamer.errors import UserError
from sim.description import Randomised
from sim.names import find

_STREAM = 1
"""Draws have a random stream of their own: with and without them a seed gives the same initial state and noise."""

NOISES = (
    "joint_position_noise_rad",
    "joint_velocity_noise_rad_s",
    "orientation_noise_rad",
    "angular_velocity_noise_rad_s",
    "linear_acceleration_noise_m_s2",
)


@dataclasses.dataclass(frozen=True)
class DrawnRobot:
    """One robot out of the distribution; see `RandomisationConfig` for what the values mean.

    Attributes:
      mass_scale: of the bodies, in the order of the robot's description.
      motor_strength: of the motors, in the order of commands.
    """

    mass_scale: tuple[float, ...]
    payload_kg: float
    payload_forward_m: float
    payload_left_m: float
    friction: float
    motor_strength: tuple[float, ...]
    command_latency_s: float
    noise_scale: float

    def changed(self, config: TwinConfig) -> TwinConfig:
        """The configuration with this robot's latency and noise."""
        noises = {name: self.noise_scale * getattr(config, name) for name in NOISES}
        return msgspec.structs.replace(config, command_latency_s=self.command_latency_s, **noises)

    def apply(self, model: mujoco.MjModel, randomised: Randomised, robot: str) -> None:
        """Gives a freshly loaded model this robot's masses and friction.

        Args:
          randomised: what of it changes.
          robot: for errors.

        Raises:
          UserError: the model has no such body or geom.
        """
        scale, bodies = np.array(self.mass_scale), find(model, "body", randomised.bodies, robot)
        model.body_mass[bodies] *= scale
        model.body_inertia[bodies] *= scale[:, None]
        if randomised.payload_body is not None:
            (carrier,) = find(model, "body", [randomised.payload_body], robot)
            self._add_payload(model, carrier)
        model.geom_friction[find(model, "geom", randomised.friction_geoms, robot), 0] = self.friction
        # What MuJoCo derives from masses, as the subtree masses, follows.
        mujoco.mj_setConst(model, mujoco.MjData(model))

    def _add_payload(self, model: mujoco.MjModel, body: int) -> None:
        """A point mass at the height of the body's centre; the body's principal axes are kept, which is not exact."""
        mass, centre = model.body_mass[body], model.body_ipos[body].copy()
        place = np.array((self.payload_forward_m, self.payload_left_m, centre[2]))
        reduced_mass = mass * self.payload_kg / (mass + self.payload_kg)
        to_principal_axes, distance = np.zeros(4), np.zeros(3)
        mujoco.mju_negQuat(to_principal_axes, model.body_iquat[body])
        mujoco.mju_rotVecQuat(distance, place - centre, to_principal_axes)
        model.body_inertia[body] += reduced_mass * (distance @ distance - distance**2)
        model.body_ipos[body] = (mass * centre + self.payload_kg * place) / (mass + self.payload_kg)
        model.body_mass[body] += self.payload_kg


def draw_robot(config: RandomisationConfig, seed: int, bodies: int, motors: int) -> DrawnRobot:
    """The robot that a session of this seed has, in each of its lives.

    Args:
      bodies, motors: how many have a mass and a strength of their own.

    Raises:
      UserError: a range is upside down or cannot be.
    """
    for name in config.__struct_fields__:
        if name != "enabled":
            _check_range(name, *getattr(config, name))
    random = np.random.default_rng((seed, _STREAM))
    return DrawnRobot(
        mass_scale=tuple(random.uniform(*config.mass_scale, bodies).tolist()),
        payload_kg=random.uniform(*config.payload_kg),
        payload_forward_m=random.uniform(*config.payload_offset_m),
        payload_left_m=random.uniform(*config.payload_offset_m),
        friction=random.uniform(*config.friction),
        motor_strength=tuple(random.uniform(*config.motor_strength, motors).tolist()),
        command_latency_s=random.uniform(*config.command_latency_s),
        noise_scale=random.uniform(*config.noise_scale),
    )


def _check_range(name: str, low: float, high: float) -> None:
    negative = low < 0 and name != "payload_offset_m"
    weightless = low <= 0 and name == "mass_scale"
    if not low <= high or negative or weightless:
        raise UserError(
            f"twin.randomisation.{name}=[{low}, {high}] cannot be drawn from; give the lower end first, and no "
            f"{'value of 0 or less' if name == 'mass_scale' else 'negative value'}."
        )
