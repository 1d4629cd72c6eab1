"""The MuJoCo twin of any robot: physics with sensors, noise and motor drivers, but without ROS."""

from __future__ import annotations

import dataclasses
import logging
import math

import mujoco
import numpy as np

from daydreamer.config import TwinConfig
from daydreamer.contract.signals import JOINT_POSITION, JOINT_VELOCITY, Measurement
from daydreamer.errors import SimulationUnstable, UserError
from sim.cameras import Cameras
from sim.description import TwinDescription, chosen_cameras
from sim.distractors import make_distractors
from sim.motors import MeteredMotors
from sim.names import all_names, find, selection
from sim.randomisation import DrawnRobot, draw_robot
from sim.sensors import Sensors

SETTLE_COMMAND_PERIOD_S = 0.05

_BAD_STATE = (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)
_ONE_DEGREE = (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)


# Without this MuJoCo writes its warnings to a file in whatever directory the program was started in.
mujoco.set_mju_user_warning(logging.getLogger("mujoco").warning)


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

    @property
    def quantities(self) -> dict[str, float]:
        """What is true of quantities that tasks may measure, by their names, see `daydreamer.presentation`."""
        return {"info/forward_velocity_m_s": float(self.velocity_m_s[0]), "info/up_z": self.up_z}


class FixedBaseTruth(TwinTruth):
    """Of a robot whose base is fixed: nothing that it measures is to be known of its base."""

    @property
    def quantities(self) -> dict[str, float]:
        return {}


class Twin:
    """A simulated robot. Time passes only in `advance` and `step_physics`. Repeatable for a seed.

    Attributes:
      description: what it is made from.
      config: of physics, driver and sensors, after domain randomisation.
      model, data: MuJoCo's own.
      joint_names: of the motors' joints, in the order of commands.
      drawn: what domain randomisation made of the robot; None without it.
      cameras: that are drawn.
      driver: of the motors.
      frozen_rad: `[motors]`, what a stuck encoder says, to the driver and to the sensors; NaN where it is in order.
      biases: sensor errors by signal, one for each signal but the cameras'; see `Sensors`.
      base: number of the body that is base_link.
      position_at, velocity_at: where in MuJoCo's `qpos` and `qvel` the motors' joints are.
      base_velocity_at: where in `qvel` the linear velocity of the base is; None if the base does not move freely.
    """

    def __init__(self, description: TwinDescription, config: TwinConfig, seed: int) -> None:
        """Loads the model and puts the robot into `config.initial_state`.

        Args:
          description: of the robot.
          config: physics, driver and sensors.
          seed: of the initial state and the sensor noise, and of domain randomisation.

        Raises:
          UserError: the model lacks something that the description names, an unusable time step, distractors of a robot
            that has none, or a camera is wanted and there is no working OpenGL.
        """
        if not 0.0 < config.physics_timestep_s <= 0.005:
            raise UserError(
                f"twin.physics_timestep_s={config.physics_timestep_s} cannot work; choose a value up to 0.005 s, "
                "as 0.002."
            )
        robot, randomised = description.robot, description.randomised
        self.drawn: DrawnRobot | None = None
        if config.randomisation.enabled:
            self.drawn = draw_robot(config.randomisation, seed, len(randomised.bodies), len(description.motors))
            config = self.drawn.changed(config)
        self.description = description
        self.config = config
        self.model = mujoco.MjModel.from_xml_string(description.model.read_text())
        self.model.opt.timestep = config.physics_timestep_s
        self.data = mujoco.MjData(self.model)
        (self.base,) = find(self.model, "body", [description.base], robot).tolist()
        self._find_motors()
        self.driver = description.make_motors(config)
        if self.drawn:
            self.drawn.apply(self.model, randomised, robot)
            self.driver.strength[:] = self.drawn.motor_strength
        self.frozen_rad = np.full(len(self.joint_names), math.nan)
        noise_scale = self.drawn.noise_scale if self.drawn else 1.0
        self._sensors = Sensors(self.model, description.sensors, config, noise_scale, robot)
        self.biases = self._sensors.biases
        for signal in {JOINT_POSITION, JOINT_VELOCITY} & self.biases.keys():
            if len(self.biases[signal]) != len(self.joint_names):
                raise UserError(f"The signal '{signal}' of the twin of '{robot}' must have a sensor for each motor.")
        distractors = make_distractors(config.distractors, description.stage, seed, robot)
        if distractors is not None:
            distractors.lay_floor(self.model, robot)
        self.cameras = chosen_cameras(description, config)
        self._cameras = Cameras(self.model, self.data, self.cameras, robot, distractors)
        self._random = np.random.default_rng(seed)
        self.reset()
        self._cameras.read()

    @property
    def time_s(self) -> float:
        """Simulated time since the last reset."""
        return self.data.time

    def reset(self, state: str | None = None, seed: int | None = None) -> None:
        """Begins anew, somewhat differently each time, and lets everything come to rest.

        Args:
          state: name of one of the robot's initial states; None takes `config.initial_state`, or else the first.
          seed: of the beginning and of the noise after it, as that of a new twin; domain randomisation keeps the first
            one. None goes on with the random numbers.

        Raises:
          UserError: there is no such state; lists those there are.
        """
        states = self.description.initial_states
        state = state or self.config.initial_state
        if state is not None and state not in states:
            robot = self.description.robot
            raise UserError(f"The twin of '{robot}' cannot begin '{state}'; choose one of {', '.join(states)}.")
        initial = states[next(iter(states)) if state is None else state]
        if seed is not None:
            self._random = np.random.default_rng(seed)
        mujoco.mj_resetData(self.model, self.data)
        self.driver.reset()
        self._cameras.forget()
        self._steps_owed = 0.0
        initial.place(self, self._random)
        mujoco.mj_step1(self.model, self.data)
        for _ in range(round(initial.settle_s / SETTLE_COMMAND_PERIOD_S)):
            if initial.command is not None:
                self.command(initial.command)
            self.advance(SETTLE_COMMAND_PERIOD_S)

    def place_joints(self, position_rad: np.ndarray) -> None:
        """Sets the angles `[motors]` of the motors' joints; for `InitialState.place`."""
        self.data.qpos[self.position_at] = position_rad

    def place_base(self, position_m: np.ndarray, orientation_wxyz: np.ndarray) -> None:
        """Sets where base_link is, if it moves freely; for `InitialState.place`."""
        first = self.model.jnt_qposadr[self.model.body_jntadr[self.base]]
        self.data.qpos[first : first + 3] = position_m
        self.data.qpos[first + 3 : first + 7] = orientation_wxyz

    def command(self, setpoint: np.ndarray | None) -> None:
        """A command arrives at the driver now: `[setpoint]` as of the robot's embodiment, or None to relax."""
        targets = setpoint
        if setpoint is not None and self.description.to_motors is not None:
            targets = self.description.to_motors(setpoint)
        self.driver.command(targets, self.data.time)

    def push(self, force_n: np.ndarray) -> None:
        """From now on `force_n` `[3]`, in the world, acts on the middle of the base; zero ends it."""
        self.data.xfrc_applied[self.base, :3] = force_n

    def count_work(self) -> np.ndarray:
        """From now on the work that the motors do is counted: the result `[motors]`, in J, grows."""
        metered = MeteredMotors(self.driver, self.config.physics_timestep_s)
        self.driver = metered
        return metered.work_j

    @property
    def mass_kg(self) -> float:
        """Of all that the base carries, and of itself."""
        return float(self.model.body_subtreemass[self.base])

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
        model, data, torque = self.model, self.data, self.driver.torque
        positions, velocities, controls = data.qpos, data.qvel, data.ctrl
        position_at, velocity_at, control_at = self.position_at, self.velocity_at, self._control_at
        stuck = ~np.isnan(self.frozen_rad)
        any_stuck = stuck.any()
        for _ in range(steps):
            position, velocity = positions[position_at], velocities[velocity_at]
            if any_stuck:
                position, velocity = np.where(stuck, self.frozen_rad, position), np.where(stuck, 0.0, velocity)
            controls[control_at] = torque(data.time, position, velocity)
            # This order leaves positions, velocities and their sensors up to date after the last step.
            mujoco.mj_step2(model, data)
            mujoco.mj_step1(model, data)
        if not np.isfinite(data.qpos).all() or any(data.warning[kind].number for kind in _BAD_STATE):
            raise SimulationUnstable(
                f"the simulation became unstable at {data.time:.3f} s; try a smaller twin.physics_timestep_s "
                f"than {self.config.physics_timestep_s} or a lower twin.stiffness_n_m_rad."
            )

    def read(self) -> dict[str, np.ndarray]:
        """All signals by name, as the sensors have them now, with noise, and the newest picture of each camera.

        Until a camera's next picture is due, its signal is the same object.
        """
        signals = self._sensors.read(self.data.sensordata, self._random)
        stuck = ~np.isnan(self.frozen_rad)
        for name, frozen in ((JOINT_POSITION, self.frozen_rad), (JOINT_VELOCITY, 0.0)):
            if name in signals:
                signals[name] = np.where(stuck, frozen, signals[name])
        if self.description.derive is not None:
            signals |= self.description.derive(signals)
        return signals | self._cameras.read()

    def measure(self) -> Measurement:
        """See `read`; times are simulated ones."""
        return Measurement(self.data.time, self.read(), self._cameras.drawn_s)

    def truth(self) -> TwinTruth:
        """The simulator's own state."""
        return self.base_truth() if self.description.truth is None else self.description.truth(self)

    def base_truth(self) -> TwinTruth:
        """Where the base is and how it moves; a base that is fixed does not."""
        rotation = self.data.xmat[self.base].reshape(3, 3)
        velocity_m_s = np.zeros(3)
        kind: type[TwinTruth] = FixedBaseTruth
        if self.base_velocity_at is not None:
            # A free joint's linear velocity is in the world frame.
            velocity_m_s, kind = self.data.qvel[self.base_velocity_at] @ rotation, TwinTruth
        return kind(
            position_m=self.data.xpos[self.base].copy(),
            velocity_m_s=velocity_m_s,
            up_z=float(rotation[2, 2]),
            yaw_rad=math.atan2(rotation[1, 0], rotation[0, 0]),
        )

    def render(self, height: int = 240, width: int = 320, camera: str = "side") -> np.ndarray:
        """Picture `[height, width, 3]`, uint8, from a camera of the model; by custom 'side' is one beside the robot.

        Raises:
          UserError: there is no such camera, or no working OpenGL.
        """
        return self._cameras.render(height, width, camera)

    def close(self) -> None:
        """Frees the renderers."""
        self._cameras.close()

    def _find_motors(self) -> None:
        """Where in MuJoCo's arrays the motors and their joints are, and the base, if it moves freely."""
        model, description = self.model, self.description
        motors = find(model, "actuator", description.motors, description.robot)
        for name, motor in zip(description.motors, motors, strict=True):
            if not _is_plain_motor(model, motor):
                raise UserError(
                    f"The actuator '{name}' of the twin of '{description.robot}' is no plain motor; make it a <motor> "
                    "without gear, on a joint with one degree of freedom."
                )
        joints = model.actuator_trnid[motors, 0]
        names = all_names(model, "joint")
        self.joint_names = tuple(names[joint] for joint in joints)
        self._control_at = selection(motors)
        self.position_at = selection(model.jnt_qposadr[joints])
        self.velocity_at = selection(model.jnt_dofadr[joints])
        self.base_velocity_at: slice | None = None
        root = model.body_jntadr[self.base]
        if root >= 0 and model.jnt_type[root] == mujoco.mjtJoint.mjJNT_FREE:
            first = int(model.jnt_dofadr[root])
            self.base_velocity_at = slice(first, first + 3)


def _is_plain_motor(model: mujoco.MjModel, motor: int) -> bool:
    """Whether an actuator gives the torque it is told, on a hinge or slide."""
    return bool(
        model.actuator_trntype[motor] == mujoco.mjtTrn.mjTRN_JOINT
        and int(model.jnt_type[model.actuator_trnid[motor, 0]]) in _ONE_DEGREE
        and model.actuator_gaintype[motor] == mujoco.mjtGain.mjGAIN_FIXED
        and model.actuator_biastype[motor] == mujoco.mjtBias.mjBIAS_NONE
        and model.actuator_dyntype[motor] == mujoco.mjtDyn.mjDYN_NONE
        and model.actuator_gainprm[motor, 0] == model.actuator_gear[motor, 0] == 1.0
    )
