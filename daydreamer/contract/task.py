"""What a robot learns to do."""

from __future__ import annotations

import abc
import dataclasses
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from daydreamer.contract.embodiment import Embodiment
from daydreamer.contract.signals import Measurement
from daydreamer.presentation import Presentation
from daydreamer.spec import RobotSpec

if TYPE_CHECKING:
    from daydreamer.config import ActorConfig

Ending = Literal["success", "failure"]

OperatorStick = Literal["rate", "pose"]

OPERATOR_AXES = 6
"""An operator steers with so many, see `Task.operator_action`."""
OPERATOR_PUSHED = 0.5
"""An axis that is pushed so far asks something of a robot that does one thing at a time."""


@dataclasses.dataclass(slots=True)
class TaskState:
    """What a task makes of one measurement.

    Attributes:
      observation: by key, matches `RobotSpec.observation`.
      reward: sum that the agent maximises.
      reward_terms: by name, matches `RobotSpec.reward_terms`.
      info: by name, matches `RobotSpec.info`.
      ending: why the episode ends here for good; None where it goes on, or ends by its time alone, which is no end to
        the learner.
    """

    observation: dict[str, np.ndarray]
    reward: float
    reward_terms: dict[str, float]
    info: dict[str, float]
    ending: Ending | None = None


class Behavior(Protocol):
    """Chooses actions in the policy's place, to explore or to get out of trouble."""

    def choose(self, reward: float, env_steps: int, has_policy: bool) -> np.ndarray | None:
        """The action of this step `[action]`; None if the policy is to act.

        Args:
          reward: of this step.
          env_steps: of the session before this one.
          has_policy: whether there is one; until then an action must be chosen.
        """


class Teacher(Protocol):
    """Shows how a task is done; in a twin it may know what the robot does not."""

    def action(self) -> np.ndarray:
        """The action of this step `[action]`, after what the task has just observed."""


class Hindsight(Protocol):
    """What was done, as if it had been what was wished for."""

    def __call__(self, observation: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        """Observations with other wishes in them, and what they would have paid `[batch, time]`; a pure JAX function.

        Args:
          observation: replayed sequences by key, `[batch, time, ...]`.
        """


class Task(abc.ABC):
    """One robot doing one task. Not thread-safe; called from the control loop only.

    Attributes:
      spec: what the learner is to know.
      embodiment: the robot.
      presentation: what it is judged by, and what is shown of it; by default the reward alone.
      hindsight: of a task that is wished for, how its experience is replayed with other wishes; None for others.
      operator_axes: what each of an operator's axes does, as 'forward, back'; empty where one does nothing, or where a
        task does not say.
      operator_stick: what a stick that is pushed asks for: 'rate', a motion that ends where the robot is when it is let
        go; or 'pose', from which the robot springs back. A key pushes it all the way for one step: live, that steers
        'rate' alone.
    """

    spec: RobotSpec
    embodiment: Embodiment
    presentation: Presentation = Presentation()
    hindsight: Hindsight | None = None
    operator_axes: tuple[str, ...] = ()
    operator_stick: OperatorStick = "pose"

    @abc.abstractmethod
    def observe(self, measurement: Measurement, sent: np.ndarray) -> TaskState:
        """Observation and reward after `measurement`, which must be one control period after the last one.

        Args:
          sent: `[setpoint]`, the command that the robot has been following since the last one; where it is if it had
            none.
        """

    @abc.abstractmethod
    def setpoint(self, action: np.ndarray, measurement: Measurement, sent: np.ndarray) -> np.ndarray:
        """What a policy's action asks of the robot `[setpoint]`, before filter and guard.

        Args:
          action: finite, or a class.
          measurement, sent: as of `observe`, for actions that are relative to where the robot is or was told to be.
        """

    def reset(self) -> None:  # noqa: B027
        """Forgets filters and odometry; called when the stream of measurements was interrupted."""

    def restart(self, measurement: Measurement, elapsed_s: float) -> np.ndarray | None:
        """What the robot does by itself to begin an episode `[setpoint]`, through the same guard; None once it may.

        What happens meanwhile is not experience, and an operator's action waits for it.

        Args:
          elapsed_s: since the last episode's end, or since the robot was set out.
        """
        return None

    def make_behavior(self, config: ActorConfig, generator: np.random.Generator) -> Behavior | None:
        """What explores, and rescues, beside the policy; None for random actions to begin with and nothing later."""
        return None

    def operator_action(self, axes: np.ndarray) -> np.ndarray:
        """The action `[action]` that an intervening operator asks for.

        Args:
          axes: `[6]` of a gamepad in [-1, 1]: left stick left and up, right stick left and up, cross left and up
            (REP-103 signs); zeros while an operator wants nothing.
        """
        return self.spec.action.zeros()

    def taken_over(self) -> None:  # noqa: B027
        """Somebody else chooses the action of this step in the policy's place.

        What the episode comes to from here on is not the policy's, and no success of it. Not called where a task is
        shown and no policy is to act.
        """

    def operator_note(self) -> str:
        """What an operator is to know of the newest observation beside reward and time, as 'holds it'; may be empty."""
        return ""
