"""The MuJoCo twin: a robot with sensors, noise and a motor driver, but without ROS."""

from __future__ import annotations

import dataclasses
import logging
import math
from importlib import resources

import mujoco
import numpy as np

from daydreamer.config import TwinConfig
from daydreamer.errors import UserError
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.base import Measurement
from daydreamer.robots.quadruped.description import JOINTS
from sim.driver import MotorDriver
from sim.randomisation import DrawnRobot, draw_robot
from sim.rendering import Renderer

TRUNK = 1
"""Index of the body; 0 is the world."""

IMAGE_SIZE = 64
CAMERA_PERIOD_S = 0.05

SETTLE_S = 1.0
SETTLE_COMMAND_PERIOD_S = 0.05
BACK_HEIGHT_M = 0.1
REST_POSE_RAD = np.array([0.0, 1.5, -2.65] * 4)
"""Legs folded, as on a robot that was switched off and turned over."""
REST_POSE_SPREAD_RAD = 0.05

_BAD_STATE = (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)


# Without this MuJoCo writes its warnings to a file in whatever directory the program was started in.
mujoco.set_mju_user_warning(logging.getLogger("mujoco").warning)


class SimulationUnstable(RuntimeError):
    """The physics gave a state that is not finite or impossibly fast."""


@dataclasses.dataclass(frozen=True)
class TwinTruth:
    """What only a simulator knows; for evaluation, never for observation or reward.

    Attributes:
      position_m: `[3]` of base_link in the world.
      velocity_m_s: `[3]` of base_link, base_link frame (forward, left, up).
      up_z: cosine of the angle between the robot's up and the world's.
      yaw_rad: heading.
    """

    position_m: np.ndarray
    velocity_m_s: np.ndarray
    up_z: float
    yaw_rad: float

    @property
    def height_m(self) -> float:
        """Of base_link above the floor."""
        return float(self.position_m[2])


class Twin:
    """A simulated A1 on a flat floor. Time passes only in `advance`. Repeatable for a seed.

    Attributes:
      drawn: what domain randomisation made of the robot; None without it.
      driver: of the motors.
      frozen_rad: `[12]`, what a stuck encoder says, to the driver and to the sensors; NaN where it is in order.
      gyroscope_bias_rad_s: `[3]`, and orientation_bias_rad `[3]` (a rotation vector in base_link): sensor errors.
    """

    def __init__(self, config: TwinConfig, seed: int, robot: str = "a1") -> None:
        """Loads the model and puts the robot on its back.

        Args:
          config: physics, driver and sensors.
          seed: of the initial state and the sensor noise, and of domain randomisation.
          robot: name of the robot's folder.

        Raises:
          UserError: no such robot, an unusable time step, or a camera is wanted and there is no working OpenGL.
        """
        if robot != "a1":
            raise UserError(f"There is no twin of '{robot}'; there is one of a1.")
        if not 0.0 < config.physics_timestep_s <= 0.005:
            raise UserError(
                f"twin.physics_timestep_s={config.physics_timestep_s} cannot work; choose a value up to 0.005 s, "
                "as 0.002."
            )
        self.drawn: DrawnRobot | None = draw_robot(config.randomisation, seed) if config.randomisation.enabled else None
        if self.drawn:
            config = self.drawn.changed(config)
        self.config = config
        self.model = mujoco.MjModel.from_xml_string((resources.files("sim") / robot / f"{robot}.xml").read_text())
        self.model.opt.timestep = config.physics_timestep_s
        self.data = mujoco.MjData(self.model)
        self.driver = MotorDriver(config, A1.limits.torque_n_m)
        if self.drawn:
            self.drawn.apply(self.model)
            self.driver.strength[:] = self.drawn.motor_strength
        self.frozen_rad = np.full(JOINTS, math.nan)
        self.gyroscope_bias_rad_s = np.zeros(3)
        self.orientation_bias_rad = np.zeros(3)
        self._random = np.random.default_rng(seed)
        self._joint_position = self.data.qpos[7:]
        self._joint_velocity = self.data.qvel[6:]
        self._noise_scale = np.repeat(
            (
                config.joint_position_noise_rad,
                config.joint_velocity_noise_rad_s,
                config.orientation_noise_rad,
                config.angular_velocity_noise_rad_s,
                config.linear_acceleration_noise_m_s2,
            ),
            (JOINTS, JOINTS, 3, 3, 3),
        )
        self._renderers: dict[tuple[int, int], Renderer] = {}
        self.reset()
        if config.camera:
            self._update_image()

    @property
    def time_s(self) -> float:
        """Simulated time since the last reset."""
        return self.data.time

    def reset(self, standing: bool = False) -> None:
        """Puts the robot down, heading anywhere, and lets it come to rest.

        Args:
          standing: on its feet, with the stand pose commanded; otherwise on its back with folded legs, damped.
        """
        mujoco.mj_resetData(self.model, self.data)
        self.driver.reset()
        yaw = self._random.uniform(-math.pi, math.pi)
        pose = A1.stand_pose_rad if standing else REST_POSE_RAD
        self._joint_position[:] = pose + REST_POSE_SPREAD_RAD * self._random.uniform(-1, 1, JOINTS)
        if standing:
            self.data.qpos[2] = A1.stand_height_m
            self.data.qpos[3:7] = (math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))
        else:
            self.data.qpos[2] = BACK_HEIGHT_M
            # A half turn about x, then the heading about z.
            self.data.qpos[3:7] = (0.0, math.cos(yaw / 2), math.sin(yaw / 2), 0.0)
        self._steps_owed = 0.0
        self._image: np.ndarray | None = None
        self._image_time_s = -math.inf
        mujoco.mj_step1(self.model, self.data)
        for _ in range(round(SETTLE_S / SETTLE_COMMAND_PERIOD_S)):
            if standing:
                self.command(pose)
            self.advance(SETTLE_COMMAND_PERIOD_S)

    def command(self, joint_targets_rad: np.ndarray | None) -> None:
        """A command arrives at the driver now: joint targets `[12]` in rad, or None to damp."""
        self.driver.command(joint_targets_rad, self.data.time)

    def push(self, force_n: np.ndarray) -> None:
        """From now on `force_n` `[3]`, in the world, acts on the middle of the trunk; zero ends it."""
        self.data.xfrc_applied[TRUNK, :3] = force_n

    def advance(self, seconds: float) -> None:
        """Lets time pass, in whole physics steps; a remainder is kept for the next call.

        Raises:
          SimulationUnstable: the physics broke down.
        """
        self._steps_owed += seconds / self.config.physics_timestep_s
        steps = math.floor(self._steps_owed + 1e-6)
        self._steps_owed -= steps
        self.step_physics(steps)

    def step_physics(self, steps: int) -> None:
        """`advance`, counted in physics steps."""
        model, data, control = self.model, self.data, self.data.ctrl
        position, velocity, torque = self._joint_position, self._joint_velocity, self.driver.torque
        stuck = not np.isnan(self.frozen_rad).all()
        for _ in range(steps):
            control[:] = torque(data.time, *(self._encoders(position, velocity) if stuck else (position, velocity)))
            # This order leaves positions, velocities and their sensors up to date after the last step.
            mujoco.mj_step2(model, data)
            mujoco.mj_step1(model, data)
        if not np.isfinite(data.qpos).all() or any(data.warning[kind].number for kind in _BAD_STATE):
            raise SimulationUnstable(
                f"the simulation became unstable at {data.time:.3f} s; try a smaller twin.physics_timestep_s "
                f"than {self.config.physics_timestep_s} or a lower twin.stiffness_n_m_rad."
            )

    def measure(self) -> Measurement:
        """What the sensors say now, with noise; `time_s` is the simulated time.

        The camera delivers a new image every `CAMERA_PERIOD_S`; between them `image` is the same object.
        """
        sensors = self.data.sensordata
        noise = self._noise_scale * self._random.standard_normal(33)
        if self.config.camera:
            self._update_image()
        position_rad, velocity_rad_s = self._encoders(sensors[0:12] + noise[0:12], sensors[12:24] + noise[12:24])
        return Measurement(
            time_s=self.data.time,
            joint_position_rad=position_rad,
            joint_velocity_rad_s=velocity_rad_s,
            orientation_wxyz=_turned(sensors[24:28], noise[24:27] + self.orientation_bias_rad),
            angular_velocity_rad_s=sensors[28:31] + noise[27:30] + self.gyroscope_bias_rad_s,
            linear_acceleration_m_s2=sensors[31:34] + noise[30:33],
            foot_force_n=sensors[34:38].copy(),
            image=self._image,
        )

    def truth(self) -> TwinTruth:
        """The simulator's own state."""
        rotation = self.data.xmat[TRUNK].reshape(3, 3)
        return TwinTruth(
            position_m=self.data.qpos[:3].copy(),
            # A free joint's linear velocity is in the world frame.
            velocity_m_s=self.data.qvel[:3] @ rotation,
            up_z=float(rotation[2, 2]),
            yaw_rad=math.atan2(rotation[1, 0], rotation[0, 0]),
        )

    def render(self, height: int = 240, width: int = 320, camera: str = "side") -> np.ndarray:
        """Picture `[height, width, 3]`, uint8, from the camera 'side' (follows the robot) or 'front' (the robot's).

        Raises:
          UserError: there is no working OpenGL.
        """
        size = (height, width)
        if size not in self._renderers:
            self._renderers[size] = Renderer(self.model, height, width)
        return self._renderers[size](self.data, camera)

    def close(self) -> None:
        """Frees the renderers."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()

    def _encoders(self, position_rad: np.ndarray, velocity_rad_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the encoders say where the joints are at `position_rad` and move at `velocity_rad_s`."""
        stuck = ~np.isnan(self.frozen_rad)
        return np.where(stuck, self.frozen_rad, position_rad), np.where(stuck, 0.0, velocity_rad_s)

    def _update_image(self) -> None:
        if self.data.time - self._image_time_s >= CAMERA_PERIOD_S - 1e-6:
            self._image = self.render(IMAGE_SIZE, IMAGE_SIZE, "front")
            self._image_time_s = self.data.time


def _turned(orientation_wxyz: np.ndarray, rotation_vector_rad: np.ndarray) -> np.ndarray:
    """The orientation, turned by a small rotation vector; normalised."""
    w, x, y, z = orientation_wxyz.tolist()
    a, b, c = (0.5 * rotation_vector_rad).tolist()
    turned = np.array(
        (
            w - x * a - y * b - z * c,
            x + w * a + y * c - z * b,
            y + w * b + z * a - x * c,
            z + w * c + x * b - y * a,
        )
    )
    return turned / math.sqrt(turned @ turned)
