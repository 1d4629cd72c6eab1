"""Whether who acts gets nowhere: nothing has been paid for a while."""

from __future__ import annotations

from daydreamer.experience.step import Step
from daydreamer.spec import RobotSpec

PATIENCE_EPISODES = 3
"""In so many an operator has seen that it is not for how they begin."""
LEAST_PATIENCE_S, MOST_PATIENCE_S = 180.0, 600.0
"""Who places a cube in one of ten episodes of 15 s is seldom without for three minutes; nobody waits for ten."""


class Stuck:
    """Whether an episode gets nowhere: it has paid nothing, no reward above 0, for a while.

    Attributes:
      unpaid_steps: since it began to count, or since a reward.
    """

    def __init__(self, after_steps: int) -> None:
        """`after_steps` is the while."""
        self._after_steps = after_steps
        self.unpaid_steps = 0

    def begin(self) -> None:
        """Counts anew."""
        self.unpaid_steps = 0

    def add(self, step: Step) -> bool:
        """Takes the next step into account, and says whether it is stuck."""
        self.unpaid_steps = 0 if step.reward > 0.0 else self.unpaid_steps + 1
        return self.unpaid_steps >= self._after_steps


class StuckWatch:
    """Whether a policy that acts live is stuck, so that its operator does well to intervene.

    Over episodes, only what the policy itself has chosen counts; a reward ends it, whoever earned it, and so does an
    operator who intervenes. A step that costs something says nothing: where every step does, as one that pays by how
    near the robot is, the least cost is what is sought, and a policy is never known to be stuck.

    Attributes:
      stuck_s: robot time in which nothing was paid; None unless that is long. Any thread may read it.
    """

    def __init__(self, spec: RobotSpec, patience_s: float) -> None:
        """`patience_s` is how long is long, see `patience_s`."""
        self.stuck_s: float | None = None
        self._period_s = spec.control_period_s
        self._stuck = Stuck(max(1, spec.steps(patience_s)))

    def add(self, step: Step) -> None:
        """Takes the step that has just been logged into account."""
        if step.intervention or step.reward > 0.0:
            self._stuck.begin()
            self.stuck_s = None
        elif step.policy_version > 0 and step.reward == 0.0 and self._stuck.add(step):
            self.stuck_s = self._stuck.unpaid_steps * self._period_s


def patience_s(spec: RobotSpec) -> float:
    """How long a policy that is paid nothing is let go on before its operator is asked to help."""
    episode_s = spec.episode_steps * spec.control_period_s
    return min(max(PATIENCE_EPISODES * episode_s, LEAST_PATIENCE_S), MOST_PATIENCE_S)
