"""What the MuJoCo twins of quadrupeds have in common: names, initial states, motors, and what may happen to a leg."""

from __future__ import annotations

import functools
import math
from importlib.resources.abc import Traversable

import numpy as np

from daydreamer.config import TwinConfig
from daydreamer.contract.signals import (
    ANGULAR_VELOCITY,
    CAMERA,
    FOOT_FORCE,
    JOINT_POSITION,
    JOINT_VELOCITY,
    LINEAR_ACCELERATION,
    ORIENTATION,
)
from daydreamer.robots.quadruped.description import FOOT_NAMES, JOINT_NAMES, JOINTS, LEG_NAMES, Quadruped
from daydreamer.robots.quadruped.task import IMAGE_SHAPE
from daydreamer.safety.target_stream import TargetStream
from sim.description import (
    Camera,
    IncidentKind,
    InitialState,
    Randomised,
    RehearsalPolicy,
    Sensor,
    TwinDescription,
)
from sim.incidents import Incident
from sim.motors import PositionMotors
from sim.twin import Twin

CAMERA_PERIOD_S = 0.05

POSE_SPREAD_RAD = 0.05
"""How far the joints of an initial state lie from its pose at most."""

SENSORS = (
    Sensor(JOINT_POSITION, tuple(f"{name}_position" for name in JOINT_NAMES), "joint_position_noise_rad"),
    Sensor(JOINT_VELOCITY, tuple(f"{name}_velocity" for name in JOINT_NAMES), "joint_velocity_noise_rad_s"),
    Sensor(ORIENTATION, ("orientation",), "orientation_noise_rad"),
    Sensor(ANGULAR_VELOCITY, ("angular_velocity",), "angular_velocity_noise_rad_s"),
    Sensor(LINEAR_ACCELERATION, ("linear_acceleration",), "linear_acceleration_noise_m_s2"),
    Sensor(FOOT_FORCE, tuple(f"{name}_force" for name in FOOT_NAMES)),
)


def _stop_leg(twin: Twin, incident: Incident) -> None:
    first = 3 * LEG_NAMES.index(incident.target)
    twin.driver.strength[first : first + 3] = 0.0


INCIDENTS = {
    "leg_stops": IncidentKind(
        "the three motors of a leg give no torque", target="leg", targets=LEG_NAMES, effect=_stop_leg
    ),
}
"""What may happen to quadrupeds, beyond `sim.incidents.KINDS`."""


def describe_quadruped(
    robot: Quadruped, model: Traversable, *, back_height_m: float, back_pose_rad: np.ndarray
) -> TwinDescription:
    """The twin of a quadruped whose model calls everything as the A1's does.

    It begins 'on_its_back', damped, or 'standing', with the stand pose commanded; heading anywhere.

    Args:
      model: in MJCF.
      back_height_m: of base_link above the floor, somewhat above where it comes to rest on its back.
      back_pose_rad: `[12]`, its legs folded, as on a robot that was switched off and turned over.
    """
    on_its_back = functools.partial(_place, back_pose_rad, back_height_m, True)
    standing = functools.partial(_place, robot.stand_pose_rad, robot.stand_height_m, False)
    links = tuple(f"{leg}_{part}" for leg in LEG_NAMES for part in ("hip", "thigh", "calf"))
    height, width, _ = IMAGE_SHAPE
    return TwinDescription(
        robot=robot.name,
        model=model,
        base="trunk",
        motors=JOINT_NAMES,
        make_motors=functools.partial(leg_motors, torque_limit_n_m=robot.limits.torque_n_m),
        sensors=SENSORS,
        cameras=(Camera(signal=CAMERA, name="front", height=height, width=width, period_s=CAMERA_PERIOD_S),),
        initial_states={
            "on_its_back": InitialState(on_its_back),
            "standing": InitialState(standing, command=robot.stand_pose_rad),
        },
        randomised=Randomised(bodies=("trunk", *links), payload_body="trunk", friction_geoms=FOOT_NAMES),
        incidents=INCIDENTS,
        # The action 0 stands.
        rehearsal=RehearsalPolicy(
            initial_state="standing", ramp_pose="stand", act=lambda observation: np.zeros(JOINTS)
        ),
    )


def leg_motors(config: TwinConfig, torque_limit_n_m: np.ndarray) -> PositionMotors:
    """The motors of four legs with the driver's habits and gains of the configuration; without a target they damp."""
    damping = (config.damping_hip_n_m_s_rad, config.damping_upper_n_m_s_rad, config.damping_lower_n_m_s_rad)
    targets = TargetStream(
        latency_s=config.command_latency_s,
        interpolate_s=config.interpolate_s,
        timeout_s=config.command_timeout_s,
        max_error_rad=config.max_target_error_rad,
    )
    return PositionMotors(
        targets,
        stiffness_n_m_rad=np.full(JOINTS, config.stiffness_n_m_rad),
        damping_n_m_s_rad=np.array(damping * len(LEG_NAMES)),
        torque_limit_n_m=torque_limit_n_m,
    )


def _place(pose_rad: np.ndarray, height_m: float, overturned: bool, twin: Twin, random: np.random.Generator) -> None:
    yaw_rad = random.uniform(-math.pi, math.pi)
    twin.place_joints(pose_rad + POSE_SPREAD_RAD * random.uniform(-1, 1, JOINTS))
    cosine, sine = math.cos(yaw_rad / 2), math.sin(yaw_rad / 2)
    # On its back: a half turn about x, then the heading about z.
    orientation_wxyz = (0.0, cosine, sine, 0.0) if overturned else (cosine, 0.0, 0.0, sine)
    twin.place_base(np.array((0.0, 0.0, height_m)), np.array(orientation_wxyz))
