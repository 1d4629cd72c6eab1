"""What may be wished of a quadruped beside walking, in the terms that its rewards are made of.

It is imported when somebody wishes: signals and rewards are computed by JAX.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import jax.numpy as jnp
from jax import Array

from daydreamer.contract.wishes import Signals, Wish, Wishables
from daydreamer.robots.quadruped.description import JOINT_NAMES, Quadruped
from daydreamer.robots.quadruped.reward import UPRIGHT_RAMP, VELOCITY_WEIGHT, posture_terms, ramps
from daydreamer.robots.quadruped.task import (
    ANGULAR_VELOCITY_SCALE_RAD_S,
    JOINT_VELOCITY_SCALE_RAD_S,
    VELOCITY_SCALE_M_S,
)

MISS_M_S, MISS_RAD_S, MISS_M = 0.6, 1.2, 0.15
"""What a speed, a turn rate or a height may be missed by until nothing is paid for it any more."""
CROUCHES = 2.0 / 3.0
"""Of the height that it stands at."""


def make_wishables(robot: Quadruped) -> Wishables:
    """What may be wished of one of them."""
    go = functools.partial(_move, robot)
    low_m, high_m = 0.4 * robot.stand_height_m, robot.stand_height_m
    return Wishables(
        signals=functools.partial(signals, robot),
        wishes={
            "forwards": Wish(
                summary="goes forwards at {value:g} m/s",
                reward=lambda told, value: go(told, forward=value),
                usual=0.3,
                limits=(0.0, 1.0),
                signal="forward_velocity_m_s",
            ),
            "backwards": Wish(
                summary="goes backwards at {value:g} m/s",
                reward=lambda told, value: go(told, forward=-value),
                usual=0.3,
                limits=(0.0, 1.0),
                signal="forward_velocity_m_s",
                target=lambda value: -value,
            ),
            "sideways": Wish(
                summary="goes sideways at {value:g} m/s, to its left",
                reward=lambda told, value: go(told, left=value),
                usual=0.2,
                limits=(-1.0, 1.0),
                signal="left_velocity_m_s",
            ),
            "turn": Wish(
                summary="turns on the spot at {value:g} rad/s, to its left",
                reward=lambda told, value: go(told, turn=value),
                usual=0.6,
                limits=(-2.0, 2.0),
                signal="turn_rate_rad_s",
            ),
            "crouch": Wish(
                summary="crouches, its middle {value:g} m above its feet",
                reward=_crouch,
                usual=round(CROUCHES * robot.stand_height_m, 2),
                limits=(round(low_m, 2), round(high_m, 2)),
                signal="height_m",
            ),
        },
        begins="standing",
    )


def signals(robot: Quadruped, observation: Mapping[str, Array]) -> dict[str, Array]:
    """Numbers by name, each `[...]`, of what `QuadrupedWalkTask` observes `[..., size]`; base_link frame.

    The height is that of base_link over the lowest foot, which is all that a robot can know of it.
    """
    up = observation["gravity_up"]
    turning = ANGULAR_VELOCITY_SCALE_RAD_S * observation["angular_velocity"]
    velocity = VELOCITY_SCALE_M_S * observation["velocity"]
    joint_rad = robot.joint_range.denormalise(observation["joint_position"])
    joint_rad_s = JOINT_VELOCITY_SCALE_RAD_S * observation["joint_velocity"]
    return {
        "forward_velocity_m_s": velocity[..., 0],
        "left_velocity_m_s": velocity[..., 1],
        "up_velocity_m_s": velocity[..., 2],
        "turn_rate_rad_s": (up * turning).sum(-1),
        "roll_rate_rad_s": turning[..., 0],
        "pitch_rate_rad_s": turning[..., 1],
        "up_x": up[..., 0],
        "up_y": up[..., 1],
        "up_z": up[..., 2],
        "height_m": height_m(robot, up, joint_rad),
        **{f"{name}_rad": joint_rad[..., index] for index, name in enumerate(JOINT_NAMES)},
        **{f"{name}_rad_s": joint_rad_s[..., index] for index, name in enumerate(JOINT_NAMES)},
    }


def height_m(robot: Quadruped, up: Array, joint_rad: Array) -> Array:
    """Of base_link over the ground `[...]`, if the lowest foot is on it.

    Args:
      up: `[..., 3]`, the world's up.
      joint_rad: `[..., 12]`.
    """
    angles = joint_rad.reshape(*joint_rad.shape[:-1], 4, 3)
    hip, thigh, calf = angles[..., 0], angles[..., 1], angles[..., 1] + angles[..., 2]
    along = -robot.thigh_length_m * jnp.sin(thigh) - robot.calf_length_m * jnp.sin(calf)
    down = -robot.thigh_length_m * jnp.cos(thigh) - robot.calf_length_m * jnp.cos(calf)
    aside = robot.thigh_offset_m * jnp.cos(hip) - down * jnp.sin(hip)
    below = robot.thigh_offset_m * jnp.sin(hip) + down * jnp.cos(hip)
    foot = robot.hip_position_m + jnp.stack((along, aside, below), -1)
    return robot.foot_radius_m - (foot * up[..., None, :]).sum(-1).min(-1)


def _move(robot: Quadruped, told: Signals, forward: float = 0.0, left: float = 0.0, turn: float = 0.0) -> Array:
    """0 to 9: as that of walking, but what going forwards pays there is paid for these speeds all at once."""
    joint_rad = jnp.stack([told[f"{name}_rad"] for name in JOINT_NAMES], -1)
    posture = posture_terms(told["up_z"], robot.joint_range.normalise(joint_rad), robot.reward_stand_pose)
    paid = _paid(told["forward_velocity_m_s"], forward, MISS_M_S) * _paid(told["left_velocity_m_s"], left, MISS_M_S)
    paid *= _paid(told["turn_rate_rad_s"], turn, MISS_RAD_S)
    return sum(posture) + VELOCITY_WEIGHT * ramps(posture[-1]) * paid


def _crouch(told: Signals, value: float) -> Array:
    """0 to 6, for being level, at this height and at rest."""
    upright = told["up_z"] / 2 + 0.5
    paid = _paid(told["forward_velocity_m_s"], 0.0, MISS_M_S) * _paid(told["left_velocity_m_s"], 0.0, MISS_M_S)
    paid *= _paid(told["turn_rate_rad_s"], 0.0, MISS_RAD_S) * _paid(told["height_m"], value, MISS_M)
    return upright + VELOCITY_WEIGHT * ramps(upright, UPRIGHT_RAMP) * paid


def _paid(value: Array, wished: float, miss: float) -> Array:
    """1 where it is as wished, falling evenly to 0."""
    return jnp.maximum(1.0 - jnp.abs(value - wished) / miss, 0.0)
