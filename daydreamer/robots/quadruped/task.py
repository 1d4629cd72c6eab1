"""A quadruped learning to roll over, stand up and walk forward."""

from __future__ import annotations

import numpy as np

from daydreamer.config import ActorConfig
from daydreamer.contract.embodiment import Embodiment, FootSensing
from daydreamer.contract.frames import GRAVITY_M_S2, rotation_matrix
from daydreamer.contract.signals import (
    ANGULAR_VELOCITY,
    CAMERA,
    JOINT_POSITION,
    JOINT_VELOCITY,
    ORIENTATION,
    Measurement,
    camera_signal,
    foot_signals,
    health_signals,
    imu_signals,
    joint_signals,
)
from daydreamer.contract.task import Task, TaskState
from daydreamer.errors import UserError
from daydreamer.robots.quadruped import reward
from daydreamer.robots.quadruped.description import FOOT_NAMES, JOINT_NAMES, JOINTS, LEG_NAMES, Quadruped
from daydreamer.robots.quadruped.exploration import Explorer
from daydreamer.robots.quadruped.odometry import CONTACT_FORCE_N, LegOdometry
from daydreamer.robots.quadruped.presentation import WALK
from daydreamer.safety.limiter import CommandLimiter
from daydreamer.spec import RobotSpec, Space

# Of Wu et al. 2022, DayDreamer.
CONTROL_RATE_HZ = 20.0
EPISODE_STEPS = 250

ANGULAR_VELOCITY_SCALE_RAD_S = 5.0
JOINT_VELOCITY_SCALE_RAD_S = 10.0
VELOCITY_SCALE_M_S = 0.5
IMAGE_SHAPE = (64, 64, 3)

CURVE = 5
"""Power of the action in the curve to joint targets, beyond its linear part, which reaches as far as walking does."""

OPERATOR_REACH = 0.5
"""Of the action's range, at the end of a gamepad's stick."""

VELOCITY_WINDOW_STEPS = 5
"""The rewarded velocity is a mean over 0.25 s, about a step's length, as in the published velocity estimator: it
takes out the trunk's sway, which would otherwise count as not walking straight."""

INFO = (
    "forward_velocity_m_s",
    "lateral_velocity_m_s",
    "vertical_velocity_m_s",
    "up_z",
    "published_reward",
    "feet_in_contact",
)


def embodiment(robot: Quadruped, camera: bool = False) -> Embodiment:
    """A robot with legs, as the control loop and its guard see it."""
    signals = joint_signals(JOINTS) | imu_signals() | foot_signals(len(FOOT_NAMES)) | health_signals()
    return Embodiment(
        name=robot.name,
        signals=signals | ({CAMERA: camera_signal()} if camera else {}),
        setpoint_kind="joint_position",
        setpoint_names=JOINT_NAMES,
        limits=robot.limits,
        make_guard=CommandLimiter,
        # The one it can take on its belly and on its back, and the other on its feet.
        poses={"rest": robot.rest_pose_rad, "stand": robot.stand_pose_rad},
        foot_sensing=FootSensing(CONTACT_FORCE_N, robot.mass_kg * GRAVITY_M_S2),
    )


class QuadrupedWalkTask(Task):
    """A quadruped on the way from its back to a walk.

    The policy sees `gravity_up` (the world's up in base_link), `angular_velocity` (gyroscope, in units of 5 rad/s),
    `joint_position` (in units of the range), `joint_velocity` (in units of 10 rad/s), `joint_target` (the last
    command in units of the range: it lags behind the actions, because they are low-pass filtered), `velocity` (in
    units of 0.5 m/s) and, if asked for, `camera`. The velocity, which is also what is rewarded, is the mean over the
    last 0.25 s of `LegOdometry`, base_link frame.

    Attributes:
      spec, presentation, embodiment: see `Task`.
      get_up_actions: `[actions, action]`, which one after the other lead from the belly onto the feet.
    """

    def __init__(self, robot: Quadruped, camera: bool = False) -> None:
        """Makes the task.

        Args:
          robot: who does it.
          camera: the policy also sees the 64x64 image of the robot's camera.
        """
        self.spec = _spec(robot.name, camera)
        self.embodiment = embodiment(robot, camera)
        self.presentation = WALK
        self._robot = robot
        self._stand_rad = robot.joint_range.denormalise(robot.reward_stand_pose)
        self._reach_up_rad = robot.action_upper_rad - self._stand_rad
        self._reach_down_rad = self._stand_rad - robot.action_lower_rad
        self.get_up_actions = np.stack([self._action_towards(robot.rest_pose_rad), self.spec.action.zeros()])
        self._camera = camera
        self._odometry = LegOdometry(robot)
        self.reset()

    def reset(self) -> None:
        self._odometry.reset()
        self._velocities_m_s = np.zeros((VELOCITY_WINDOW_STEPS, 3))
        self._velocity_index = 0

    def observe(self, measurement: Measurement, sent: np.ndarray) -> TaskState:
        rotation = rotation_matrix(measurement[ORIENTATION])
        velocity = self._mean_velocity(self._odometry.update(measurement, rotation))
        normalise = self._robot.joint_range.normalise
        joint_position = normalise(measurement[JOINT_POSITION])
        up = rotation[2]
        observation = {
            "gravity_up": up.astype(np.float32),
            "angular_velocity": (measurement[ANGULAR_VELOCITY] / ANGULAR_VELOCITY_SCALE_RAD_S).astype(np.float32),
            "joint_position": joint_position.astype(np.float32),
            "joint_velocity": (measurement[JOINT_VELOCITY] / JOINT_VELOCITY_SCALE_RAD_S).astype(np.float32),
            "joint_target": normalise(sent).astype(np.float32),
            "velocity": (velocity / VELOCITY_SCALE_M_S).astype(np.float32),
        }
        if self._camera:
            observation["camera"] = _image(measurement)
        up_z = float(up[2])
        errors = reward.pose_errors(joint_position, self._robot.reward_stand_pose)
        total, terms = reward.walk_reward(up_z, errors, velocity)
        published = reward.published_reward(up_z, errors, velocity)
        info = (*velocity.tolist(), up_z, published, float(self._odometry.feet_in_contact))
        return TaskState(observation, total, terms, dict(zip(INFO, info, strict=True)))

    def setpoint(self, action: np.ndarray, measurement: Measurement, sent: np.ndarray) -> np.ndarray:
        return self.joint_targets(action)

    def make_behavior(self, config: ActorConfig, generator: np.random.Generator) -> Explorer:
        return Explorer(self.spec, config, generator, self.get_up_actions)

    def joint_targets(self, action: np.ndarray) -> np.ndarray:
        """Targets `[12]` in rad of an action: the rewarded pose at 0, the whole range at -1 and 1, fine around 0.

        This is prior knowledge of what legs are for: a policy that has learned nothing yet, and answers 0, stands, and
        one that errs a little still does.
        """
        action = np.clip(action, -1.0, 1.0)
        near_rad = self._robot.near_rad
        reach_rad = np.where(action > 0, self._reach_up_rad, self._reach_down_rad)
        return self._stand_rad + near_rad * action + (reach_rad - near_rad) * action**CURVE

    def _action_towards(self, pose_rad: np.ndarray) -> np.ndarray:
        """The inverse of `joint_targets`, `[action]`; as far as the range of actions reaches."""
        actions = np.linspace(-1.0, 1.0, 2001)
        targets_rad = self.joint_targets(np.tile(actions[:, None], JOINTS))
        found = [np.interp(pose, target, actions) for pose, target in zip(pose_rad, targets_rad.T, strict=True)]
        return np.array(found, np.float32)

    def operator_action(self, axes: np.ndarray) -> np.ndarray:
        """The rewarded pose, and around it: left stick up lowers the trunk, left stick sideways leans it, right stick
        up pitches its nose down. See `Task.operator_action`.
        """
        sideways, lower, _, nose_down = OPERATOR_REACH * np.clip(axes[:4], -1.0, 1.0)
        bend = np.array([lower + nose_down, lower + nose_down, lower - nose_down, lower - nose_down])
        action = np.zeros((4, 3))
        action[:, 0] = sideways
        action[:, 1] = bend
        action[:, 2] = -bend
        return np.clip(action, -1.0, 1.0).ravel().astype(np.float32)

    def _mean_velocity(self, velocity_m_s: np.ndarray) -> np.ndarray:
        self._velocities_m_s[self._velocity_index] = velocity_m_s
        self._velocity_index = (self._velocity_index + 1) % VELOCITY_WINDOW_STEPS
        return self._velocities_m_s.sum(axis=0) / VELOCITY_WINDOW_STEPS


def _spec(robot: str, camera: bool) -> RobotSpec:
    observation = {
        "gravity_up": Space((3,)),
        "angular_velocity": Space((3,)),
        "joint_position": Space((JOINTS,)),
        "joint_velocity": Space((JOINTS,)),
        "joint_target": Space((JOINTS,)),
        "velocity": Space((3,)),
    }
    if camera:
        observation["camera"] = Space(IMAGE_SHAPE, "uint8", 0, 255)
    return RobotSpec(
        robot=robot,
        task="walk",
        control_rate_hz=CONTROL_RATE_HZ,
        episode_steps=EPISODE_STEPS,
        joint_names=JOINT_NAMES,
        foot_names=FOOT_NAMES,
        observation=observation,
        action=Space((JOINTS,), low=-1.0, high=1.0),
        reward_terms=reward.TERMS,
        info=INFO,
        mirror=_mirror(),
    )


def _mirror() -> dict[str, tuple[int, ...]]:
    """Left for right: legs swap in pairs, and what turns or points sideways changes its sign."""
    legs = {name: index for index, name in enumerate(LEG_NAMES)}
    other_side = {"FR": "FL", "FL": "FR", "RR": "RL", "RL": "RR"}
    joints = tuple(
        sign * (3 * legs[other_side[leg]] + joint) for leg in LEG_NAMES for joint, sign in ((1, -1), (2, 1), (3, 1))
    )
    sideways, turning = (1, -2, 3), (-1, 2, -3)
    return {
        "gravity_up": sideways,
        "angular_velocity": turning,
        "joint_position": joints,
        "joint_velocity": joints,
        "joint_target": joints,
        "velocity": sideways,
        "action": joints,
    }


def _image(measurement: Measurement) -> np.ndarray:
    image = measurement.get(CAMERA)
    if image is None:
        raise UserError(
            "The policy needs the camera but no image has arrived; start the camera driver on camera/image_raw, "
            "or train without the camera."
        )
    if image.shape != IMAGE_SHAPE or image.dtype != np.uint8:
        raise UserError(
            f"The camera sends {image.dtype} images of shape {image.shape}; the policy needs uint8 {IMAGE_SHAPE}, "
            "which is what the actor node makes of them."
        )
    return image
