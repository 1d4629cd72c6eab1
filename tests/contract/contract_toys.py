"""Robots unlike a quadruped, as small as they can be: tasks of the real contract, without a twin."""

import numpy as np

from daydreamer.contract.embodiment import Embodiment
from daydreamer.contract.limits import JointLimits, TwistLimits
from daydreamer.contract.signals import (
    CAMERA,
    JOINT_POSITION,
    JOINT_VELOCITY,
    ODOMETRY_TWIST,
    Measurement,
    Signal,
    camera_signal,
    joint_signals,
)
from daydreamer.contract.task import Task, TaskState
from daydreamer.safety.limiter import CommandLimiter
from daydreamer.safety.twist_limiter import TwistLimiter
from daydreamer.spec import RobotSpec, Space

JOINTS = ("shoulder", "elbow")
MOVE_RAD = 0.1
GOAL_RAD, BEYOND_RAD = 0.55, -0.55
HOME_RAD = np.zeros(2)


def arm(rate_hz=2.0, **changes):
    """Two joints of a vendor's controller, which keeps its gains to itself; no IMU, no feet."""
    return Embodiment(
        **{
            "name": "arm",
            "signals": joint_signals(2),
            "setpoint_kind": "joint_position",
            "setpoint_names": JOINTS,
            "limits": JointLimits(
                lower_rad=np.full(2, -2.0),
                upper_rad=np.full(2, 2.0),
                command_rate_rad_s=np.full(2, 1.0),
                velocity_rad_s=np.full(2, 5.0),
                torque_n_m=np.full(2, np.inf),
                gains=None,
                temperature_c=np.inf,
                battery_fraction=-np.inf,
            ),
            "make_guard": CommandLimiter,
            "poses": {"rest": HOME_RAD},
        }
        | changes
    )


class ArmTask(Task):
    """Chooses twice a second to move the shoulder by 0.1 rad, or not; succeeds at one end and fails at the other.

    It begins each episode by going home.
    """

    def __init__(self, rate_hz=2.0, goes_home=False, **changes):
        self.embodiment = arm(**changes)
        self.goes_home = goes_home
        self.spec = RobotSpec(
            robot="arm",
            task="nudge",
            control_rate_hz=rate_hz,
            episode_steps=50,
            joint_names=JOINTS,
            foot_names=(),
            observation={"joint_position": Space((2,))},
            action=Space((), classes=3),
            reward_terms=("near",),
        )

    def observe(self, measurement, sent):
        position_rad = measurement[JOINT_POSITION]
        ending = "success" if position_rad[0] > GOAL_RAD else "failure" if position_rad[0] < BEYOND_RAD else None
        near = -abs(GOAL_RAD - float(position_rad[0]))
        return TaskState({"joint_position": position_rad.astype(np.float32)}, near, {"near": near}, {}, ending)

    def setpoint(self, action, measurement, sent):
        return sent + np.array(((int(action) - 1) * MOVE_RAD, 0.0))

    def restart(self, measurement, elapsed_s):
        at_home = np.abs(measurement[JOINT_POSITION] - HOME_RAD).max() < 0.05
        return None if at_home or not self.goes_home else HOME_RAD


WHEELS = TwistLimits(
    forward_m_s=0.5,
    backward_m_s=0.2,
    turn_rad_s=2.0,
    acceleration_m_s2=1.0,
    turn_acceleration_rad_s2=8.0,
    temperature_c=np.inf,
    battery_fraction=-np.inf,
)


class CartTask(Task):
    """Drives by what its camera sees, and by nothing else; the camera has a rate of its own."""

    def __init__(self, rate_hz=5.0, camera_stale_s=1.0):
        self.embodiment = Embodiment(
            name="cart",
            signals={
                ODOMETRY_TWIST: Signal((2,), largest=100.0),
                CAMERA: camera_signal(stale_s=camera_stale_s),
            },
            setpoint_kind="twist",
            setpoint_names=("forward_m_s", "turn_rad_s"),
            limits=WHEELS,
            make_guard=TwistLimiter,
        )
        self.spec = RobotSpec(
            robot="cart",
            task="look",
            control_rate_hz=rate_hz,
            episode_steps=100,
            joint_names=(),
            foot_names=(),
            observation={"camera": Space((64, 64, 3), "uint8", 0, 255)},
            action=Space((2,), low=-1.0, high=1.0),
            reward_terms=(),
            setpoint_names=("forward_m_s", "turn_rad_s"),
        )

    def observe(self, measurement, sent):
        return TaskState({"camera": measurement[CAMERA]}, float(measurement[ODOMETRY_TWIST][0]), {}, {})

    def setpoint(self, action, measurement, sent):
        return np.clip(action, -1.0, 1.0) * (WHEELS.forward_m_s, WHEELS.turn_rad_s)


class Body:
    """Does what it is told, at once, and says so with a little noise."""

    def __init__(self, task, seed=0):
        self.task = task
        self.now_s = 100.0
        self.random = np.random.default_rng(seed)
        self.setpoint = np.zeros(len(task.embodiment.setpoint_names))
        self.stuck = np.full(self.setpoint.shape, np.nan)
        self.picture = np.zeros((64, 64, 3), np.uint8)
        self.picture_s = self.now_s

    def measure(self):
        said = self.setpoint + 0.001 * self.random.standard_normal(self.setpoint.shape)
        said = np.where(np.isnan(self.stuck), said, self.stuck)
        if self.task.embodiment.setpoint_kind == "twist":
            values = {ODOMETRY_TWIST: said, CAMERA: self.picture}
            return Measurement(self.now_s, values, {CAMERA: self.picture_s})
        return Measurement(self.now_s, {JOINT_POSITION: said, JOINT_VELOCITY: np.zeros(2)})

    def obey(self, command):
        if command is not None and not command.relaxes:
            self.setpoint = command.setpoint
