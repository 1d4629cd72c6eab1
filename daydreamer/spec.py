"""What a robot senses and what it can be told: the contract between robot, log, policy and learner."""

from __future__ import annotations

import hashlib
import math
from typing import Any, TypeVar

import msgspec
import numpy as np

_Values = TypeVar("_Values", bound=Any)

MOST_HZ = 10_000.0
MOST_ELEMENTS = 1 << 24
"""Of an observation and an action together: five large camera images."""
MOST_DIMENSIONS = 8


class Space(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shape and type of one observation key or of the action.

    Attributes:
      shape: without batch or time dimension.
      dtype: 'float32' or 'uint8' (images, height x width x channels).
      low, high: bounds that hold for every element; None where there are none.
      classes: number of choices of a discrete space (shape is then `()`), 0 for a continuous one.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    low: float | None = None
    high: float | None = None
    classes: int = 0

    @property
    def size(self) -> int:
        """Elements in one sample."""
        return math.prod(self.shape)

    @property
    def is_image(self) -> bool:
        return self.dtype == "uint8" and len(self.shape) == 3

    @property
    def is_discrete(self) -> bool:
        return self.classes > 0

    def zeros(self) -> np.ndarray:
        return np.zeros(self.shape, "int32" if self.is_discrete else self.dtype)


class RobotSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything a policy or a log depends on; a change of it is a change of robot.

    Attributes:
      robot: name of the robot's folder.
      task: name of the task the reward belongs to.
      control_rate_hz: nominal rate of the control loop.
      episode_steps: control steps between two episode boundaries (a time limit, never terminal).
      joint_names: in the order of every joint array; topics are matched by these names.
      foot_names: in the order of every foot array.
      observation: by key, in the order in which keys are concatenated.
      action: what the policy outputs; continuous actions lie in [-1, 1].
      reward_terms: names of the logged terms.
      info: names of further logged scalars that are not shown to the policy (units in the names).
      mirror: for a robot that is the same left and right, what its mirror image would sense and do: for 'action' and
        for every vector observation where each element comes from, counted from 1, negative if its sign changes.
        (1, -2) keeps the first element and turns the second. Images are turned left to right. Empty if it is not
        symmetric.
      setpoint_names: of the elements of what the robot is told, where that is not a position for each joint.
    """

    robot: str
    task: str
    control_rate_hz: float
    episode_steps: int
    joint_names: tuple[str, ...]
    foot_names: tuple[str, ...]
    observation: dict[str, Space]
    action: Space
    reward_terms: tuple[str, ...]
    info: tuple[str, ...] = ()
    mirror: dict[str, tuple[int, ...]] = {}
    setpoint_names: tuple[str, ...] = ()

    def mirror_image(self, key: str, values: _Values) -> _Values:
        """What the mirror image of the robot would sense or do.

        Args:
          key: 'action', or of a vector observation; it is in `mirror`.
          values: `[..., size]`, of NumPy or of JAX, and so is what is returned.
        """
        sources = np.array(self.mirror[key])
        mirrored: _Values = values[..., np.abs(sources) - 1] * np.sign(sources).astype(np.float32)
        return mirrored

    def check(self) -> None:
        """Raises ValueError for what no robot can be: a specification may be read from a stranger's file."""
        if not 0.0 < self.control_rate_hz <= MOST_HZ:
            raise ValueError(f"a control rate of {self.control_rate_hz} Hz is not between 0 and {MOST_HZ:g}")
        if not 1 <= self.episode_steps < 1 << 31:
            raise ValueError(f"an episode of {self.episode_steps} steps")
        spaces = self.observation | {"action": self.action}
        for name, space in spaces.items():
            if len(space.shape) > MOST_DIMENSIONS or min(space.shape, default=0) < 0 or space.classes < 0:
                raise ValueError(f"'{name}' has shape {space.shape} and {space.classes} classes")
        names = (self.joint_names, self.foot_names, self.reward_terms, self.info, self.setpoint_names, spaces)
        if sum(space.size + space.classes for space in spaces.values()) + sum(map(len, names)) > MOST_ELEMENTS:
            raise ValueError(f"more than {MOST_ELEMENTS} elements are observed or done at a time")

    @property
    def control_period_s(self) -> float:
        return 1.0 / self.control_rate_hz

    def steps(self, seconds: float) -> int:
        """Control steps in a span of robot time."""
        return round(seconds * self.control_rate_hz)

    @property
    def hash(self) -> str:
        """Twelve hex digits that change whenever anything above does."""
        # The round trip makes 20 and 20.0 the same rate, as they are once a file has been read back.
        normalised = msgspec.convert(msgspec.to_builtins(self), RobotSpec)
        return hashlib.sha256(msgspec.json.encode(normalised, order="sorted")).hexdigest()[:12]


def spec_difference(ours: RobotSpec, theirs: RobotSpec) -> str:
    """What distinguishes two specifications, in words for an error message; empty if nothing does.

    Of another robot, or of another task, that alone: everything else follows from it.
    """
    differences = []
    others = [name for name in ("robot", "task") if getattr(ours, name) != getattr(theirs, name)]
    for name in others or RobotSpec.__struct_fields__:
        mine, other = getattr(ours, name), getattr(theirs, name)
        if name != "observation":
            if mine != other:
                differences.append(f"{name} is {_short(mine)} here and {_short(other)} there")
            continue
        for key in sorted(mine.keys() | other.keys()):
            if key not in other:
                differences.append(f"observation '{key}' exists only here")
            elif key not in mine:
                differences.append(f"observation '{key}' exists only there")
            elif mine[key] != other[key]:
                differences.append(f"observation '{key}' is {_short(mine[key])} here and {_short(other[key])} there")
        if mine == other and list(mine) != list(other):
            differences.append(f"the observation keys are ordered {list(mine)} here and {list(other)} there")
    return "; ".join(differences)


def _short(value: object) -> str:
    if isinstance(value, Space):
        kind = f"{value.classes} classes" if value.is_discrete else f"{value.dtype}{list(value.shape)}"
        return kind if value.low is None and value.high is None else f"{kind} in [{value.low}, {value.high}]"
    return f"({', '.join(map(str, value))})" if isinstance(value, tuple) else repr(value)
