"""When a robot that learns to walk is upright, stands and walks: for long enough that it is no accident."""

from __future__ import annotations

import collections
import math
from collections.abc import Callable, Mapping

from daydreamer.experience.step import Step

UPRIGHT = "upright"
STANDING = "standing"
WALKING = "walking"
MILESTONES = (UPRIGHT, STANDING, WALKING)

UPRIGHT_TERM = 0.9
"""Least reward term `r_upright`, which is 0 on the back and 1 with the trunk level: at most 37 degrees off level."""

UPRIGHT_HOLD_S = 10.0

STANDING_REWARD = 9.0
"""Least published reward per step. Standing still in exactly the rewarded pose gives 9.0."""

WALKING_SPEED_M_S = 0.3
"""Least forward speed: the published target."""

HOLD_S = 30.0
"""How long a robot must stand or walk."""

MEAN_S = 5.0
"""Span of the running means of reward and speed, a few gait cycles, so that the trunk's sway does not count."""


class Milestones:
    """Notes when each milestone is first reached; each is judged on its own, in whatever order they come.

    - 'upright': `r_upright` is at least `UPRIGHT_TERM` at every step of `UPRIGHT_HOLD_S`.
    - 'standing': the reward, as its mean over the last `MEAN_S`, is at least `STANDING_REWARD` at every step of
      `HOLD_S`. This is strict: a robot at rest gets 9.0 only in exactly the rewarded pose, and in any other must
      make up for the difference with some forward motion.
    - 'walking': the forward speed, as the same mean, is at least `WALKING_SPEED_M_S` at every step of `HOLD_S`.

    A mean counts from the first `MEAN_S` on. As the means of the last `HOLD_S` cover it without a gap, the mean over
    all of it is above the threshold too. A value that is not finite breaks the hold of its milestone.

    Attributes:
      reached_s: robot seconds at the end of the stretch that first achieved a milestone, by name. A new mapping each
        time one is reached, so other threads may read it.
    """

    def __init__(
        self, control_period_s: float, earlier_s: float = 0.0, earlier_reached_s: Mapping[str, float] | None = None
    ):
        """Starts with nothing held.

        Args:
          control_period_s: time between two steps.
          earlier_s: robot seconds of the session before the first step.
          earlier_reached_s: what had been reached by then, as in `reached_s`.
        """
        self._period_s = control_period_s
        self._earlier_s = earlier_s
        self._steps = 0
        self._upright = _Hold(UPRIGHT_TERM, control_period_s, UPRIGHT_HOLD_S, mean_s=control_period_s)
        self._standing = _Hold(STANDING_REWARD, control_period_s, HOLD_S, MEAN_S)
        self._walking = _Hold(WALKING_SPEED_M_S, control_period_s, HOLD_S, MEAN_S)
        self.reached_s: dict[str, float] = dict(earlier_reached_s or {})

    def update(self, r_upright: float, reward: float, forward_velocity_m_s: float) -> tuple[str, ...]:
        """Takes one more step into account.

        Args:
          r_upright: the term of the published reward for being upright, 0 to 1.
          reward: published reward of the step, whatever reward the robot is trained on.
          forward_velocity_m_s: of the base, in base_link; NaN if it is unknown.

        Returns:
          The names of the milestones that this step reached first.
        """
        self._steps += 1
        upright = self._upright.update(r_upright)
        standing = self._standing.update(reward)
        walking = self._walking.update(forward_velocity_m_s)
        if not (upright or standing or walking):
            return ()
        held = zip(MILESTONES, (upright, standing, walking), strict=True)
        reached = tuple(name for name, is_held in held if is_held and name not in self.reached_s)
        if reached:
            self.reached_s = self.reached_s | dict.fromkeys(reached, self._earlier_s + self._steps * self._period_s)
        return reached

    def interrupt(self) -> None:
        """The steps before and after are not continuous in time: every hold starts anew."""
        self._upright.clear()
        self._standing.clear()
        self._walking.clear()


class MilestoneRecorder:
    """Judges the steps of a session as they are logged, and reports each milestone once as an event."""

    def __init__(self, milestones: Milestones, on_event: Callable[..., None]):
        """`on_event` is called as `on_event("milestone", name=..., robot_seconds=...)`."""
        self._milestones = milestones
        self._on_event = on_event
        self._episode_goes_on = False

    @property
    def reached_s(self) -> dict[str, float]:
        """See `Milestones`; may be read from any thread."""
        return self._milestones.reached_s

    def add(self, step: Step, forward_velocity_m_s: float) -> None:
        """Takes the next logged step into account.

        Args:
          step: judged by 'published_reward' of its info, or by its reward if there is none. A task without the
            term 'r_upright' is never upright.
          forward_velocity_m_s: of the base, in base_link; NaN if it is unknown.
        """
        if step.is_first and self._episode_goes_on:
            # An episode without a last step: the measurements were interrupted.
            self._milestones.interrupt()
        self._episode_goes_on = not step.is_last
        r_upright = step.reward_terms.get("r_upright", math.nan)
        reward = step.info.get("published_reward", step.reward)
        for name in self._milestones.update(r_upright, reward, forward_velocity_m_s):
            self._on_event("milestone", name=name, robot_seconds=self.reached_s[name])


class _Hold:
    """Whether the running mean of a signal has been at or above a threshold at every step of a while."""

    def __init__(self, threshold: float, period_s: float, hold_s: float, mean_s: float):
        self._window: collections.deque[float] = collections.deque(maxlen=round(mean_s / period_s))
        self._threshold_sum = threshold * self._window.maxlen
        self._hold_steps = round(hold_s / period_s)
        self._held_steps = 0

    def update(self, value: float) -> bool:
        self._window.append(value if math.isfinite(value) else math.nan)
        # Summed anew, in microseconds: a sum carried along would drift, and never lose a NaN.
        full = len(self._window) == self._window.maxlen
        self._held_steps = self._held_steps + 1 if full and math.fsum(self._window) >= self._threshold_sum else 0
        return self._held_steps >= self._hold_steps

    def clear(self) -> None:
        self._window.clear()
        self._held_steps = 0
