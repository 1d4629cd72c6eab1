"""What a robot's folder says of its twin: what is called what in its model, how it begins, and what may go wrong.

    TWIN = TwinDescription(
        robot="cart",
        model=resources.files(__package__) / "cart.xml",
        base="chassis",
        motors=("left_wheel", "right_wheel"),
        make_motors=lambda config: VelocityMotors(...),
        sensors=(Sensor("joint_velocity_rad_s", ("left_speed", "right_speed"), noise=0.05),),
        cameras=(Camera(signal="image", name="front", height=64, width=64, period_s=0.2),),
        initial_states={"parked": InitialState(lambda twin, random: None)},
    )

    def make_twin(config: TwinConfig, seed: int) -> Twin:
        return Twin(TWIN, config, seed)

What cannot be said so, as signals that are computed of others (an odometry), is for a subclass of `Twin`, which
`make_twin` may as well return.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

import numpy as np

from daydreamer.config import TwinConfig
from daydreamer.errors import UserError
from sim.motors import MotorModel

if TYPE_CHECKING:
    from sim.incidents import Incident
    from sim.twin import Twin, TwinTruth


@dataclasses.dataclass(frozen=True)
class Sensor:
    """One signal that the robot reports, made of sensors of the model.

    `joint_position_rad` and `joint_velocity_rad_s` are those of the motors' joints, in the order of the motors: a stuck
    encoder shows in them.

    Attributes:
      signal: its name, as in the robot's `Embodiment`.
      names: sensors of the model, whose values follow one another in the signal. A sensor of an orientation (framequat,
        ballquat) is alone in its signal, a quaternion (w, x, y, z).
      noise: standard deviation of its white noise in the signal's unit, in rad about each axis for an orientation: the
        field of `TwinConfig` that has it, or the figure itself; None for a signal without noise.
    """

    signal: str
    names: tuple[str, ...]
    noise: str | float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Camera:
    """One camera that the robot reports, with a rate of its own; drawn if `twin.camera` is on.

    Attributes:
      signal: its name, of a picture `[height, width, 3]`, uint8.
      name: of the model's camera.
      height, width: pixels.
      period_s: simulated time between two pictures.
    """

    signal: str
    name: str
    height: int
    width: int
    period_s: float


def chosen_cameras(description: TwinDescription, config: TwinConfig) -> tuple[Camera, ...]:
    """Those that are drawn.

    Raises:
      UserError: the robot has no such camera; lists those it has.
    """
    extra = {camera.signal: camera for camera in description.extra_cameras}
    for name in config.extra_cameras:
        if name not in extra:
            raise UserError(
                f"The twin of '{description.robot}' has no camera '{name}' for twin.extra_cameras; it has "
                f"{', '.join(extra) or 'none'}."
            )
    if not config.camera:
        return ()
    return description.cameras + tuple(extra[name] for name in dict.fromkeys(config.extra_cameras))


@dataclasses.dataclass(frozen=True)
class InitialState:
    """How the world may begin.

    Attributes:
      place: puts the robot down in a world that was reset, by `Twin.place_base` and `Twin.place_joints`; the generator
        is the twin's own, for what differs from one beginning to the next.
      command: what the motors are told until everything has come to rest; None lets them damp.
      settle_s: how long that takes.
    """

    place: Callable[[Twin, np.random.Generator], None]
    command: np.ndarray | None = None
    settle_s: float = 1.0


@dataclasses.dataclass(frozen=True)
class Randomised:
    """What of the model domain randomisation changes; see `RandomisationConfig`. Motors and noise always are.

    Attributes:
      bodies: masses and inertias of these.
      payload_body: carries the payload; None if the robot carries none.
      friction_geoms: sliding friction of these.
    """

    bodies: tuple[str, ...] = ()
    payload_body: str | None = None
    friction_geoms: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """Where distractors may be, so that they hide nothing that the task needs; see `sim.distractors`.

    Attributes:
      low_m, high_m: corners (x, y, z) of the box in which the middles of bodies wander, in the world.
      size_m: half of a body's width, from the least to the largest.
      flat: they lie on the floor, and are as good as painted on it.
      floor_geoms: of the model, which get another texture.
      floor_material: has a texture of 2D type, which becomes the other one.
      floor_repeats_per_m: of that texture.
      task_channel: 0, 1 or 2 for red, green or blue, by which the task finds what it looks for.
    """

    low_m: tuple[float, float, float]
    high_m: tuple[float, float, float]
    size_m: tuple[float, float]
    flat: bool = False
    floor_geoms: tuple[str, ...]
    floor_material: str
    floor_repeats_per_m: float
    task_channel: int


@dataclasses.dataclass(frozen=True)
class IncidentKind:
    """What can go wrong.

    Attributes:
      description: what it does, with the unit of the magnitude.
      target: what it happens to: 'joint', 'two joints', one of `targets` by the name that the robot has for such, as
        'leg', or nothing.
      duration_s, magnitude: (lowest, usual, highest); random incidents lie between the ends, uniformly.
      signals: that the robot must have for it to happen.
      targets: names, where `target` is neither nothing nor joints.
      effect: of an incident on the twin's motors and biases, in a kind of the robot's own. It is called anew whenever
        an incident begins or ends, when motors and biases are as they are without incidents.
    """

    description: str
    target: str = ""
    duration_s: tuple[float, float, float] = (1.0, 2.0, 5.0)
    magnitude: tuple[float, float, float] = (0.0, 0.0, 0.0)
    signals: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    effect: Callable[[Twin, Incident], None] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RehearsalPolicy:
    """What takes the place of the learned policy where incidents are rehearsed (`sim.rehearsal`).

    Attributes:
      initial_state: in which the robot begins.
      ramp_pose: of `SafetyConfig`, to which the supervisor then moves it.
      act: observation by key to action.
    """

    initial_state: str
    ramp_pose: str
    act: Callable[[Mapping[str, np.ndarray]], np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwinDescription:
    """Everything in which one robot's twin differs from another's.

    Attributes:
      robot: name of the robot's folder.
      model: the file in MJCF, made of primitive shapes alone, as nothing else is read.
      base: body that is base_link; pushes act on it.
      motors: actuators of the model, in the order of commands; each is a plain `<motor>` on a joint with one degree of
        freedom, because what is between a command and a torque is computed here.
      make_motors: the motor model for a configuration.
      to_motors: targets `[motors]` of what the robot is told `[setpoint]`; None where they are the same.
      sensors: the signals that the robot reports.
      derive: of the signals so far, those that the robot computes of them, as wheel odometry; None for none.
      cameras: likewise.
      extra_cameras: likewise, of those that `TwinConfig.extra_cameras` names.
      stage: of distractors; None for a robot that has none.
      initial_states: by name; the first one is that of a new twin.
      randomised: by domain randomisation.
      incidents: that only this robot knows, by name; what every robot knows is in `sim.incidents.KINDS`.
      truth: what evaluation may know, if that is more than where the base is: an instance of a subclass of `TwinTruth`.
      rehearsal: None for a robot that cannot be rehearsed.
    """

    robot: str
    model: Traversable
    base: str
    motors: tuple[str, ...]
    make_motors: Callable[[TwinConfig], MotorModel]
    to_motors: Callable[[np.ndarray], np.ndarray] | None = None
    sensors: tuple[Sensor, ...]
    derive: Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]] | None = None
    cameras: tuple[Camera, ...] = ()
    extra_cameras: tuple[Camera, ...] = ()
    stage: Stage | None = None
    initial_states: Mapping[str, InitialState]
    randomised: Randomised = Randomised()
    incidents: Mapping[str, IncidentKind] = dataclasses.field(default_factory=dict)
    truth: Callable[[Twin], TwinTruth] | None = None
    rehearsal: RehearsalPolicy | None = None
