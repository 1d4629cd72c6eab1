"""When a robot has reached its milestones: for long enough that it is no accident."""

from __future__ import annotations

import collections
import math
from collections.abc import Callable, Mapping, Sequence

from daydreamer.experience.step import Step
from daydreamer.presentation import Milestone
from daydreamer.telemetry.quantities import of_step


class Milestones:
    """Notes when each milestone is first reached; each is judged on its own, in whatever order they come.

    A running mean counts from its first whole span on. As the means of a hold cover it without a gap, the mean over all
    of it is above the threshold too. A value that is not finite breaks the hold of its milestone.

    Attributes:
      quantities: that are judged.
      reached_s: robot seconds at the end of the stretch that first achieved a milestone, by name. A new mapping each
        time one is reached, so other threads may read it.
    """

    def __init__(
        self,
        milestones: Sequence[Milestone],
        control_period_s: float,
        earlier_s: float = 0.0,
        earlier_reached_s: Mapping[str, float] | None = None,
    ):
        """Starts with nothing held.

        Args:
          milestones: to be reached.
          control_period_s: time between two steps.
          earlier_s: robot seconds of the session before the first step.
          earlier_reached_s: what had been reached by then, as in `reached_s`.
        """
        self._period_s = control_period_s
        self._earlier_s = earlier_s
        self._steps = 0
        self._holds = [(milestone, _Hold(milestone, control_period_s)) for milestone in milestones]
        self.quantities = tuple(dict.fromkeys(milestone.quantity for milestone in milestones))
        self.reached_s: dict[str, float] = dict(earlier_reached_s or {})

    def update(self, values: Mapping[str, float]) -> tuple[str, ...]:
        """Takes one more step into account.

        Args:
          values: by quantity, NaN if it is unknown.

        Returns:
          The names of the milestones that this step reached first.
        """
        self._steps += 1
        held = [milestone.name for milestone, hold in self._holds if hold.update(values[milestone.quantity])]
        reached = tuple(name for name in held if name not in self.reached_s)
        if reached:
            self.reached_s = self.reached_s | dict.fromkeys(reached, self._earlier_s + self._steps * self._period_s)
        return reached

    def interrupt(self) -> None:
        """The steps before and after are not continuous in time: every hold starts anew."""
        for _, hold in self._holds:
            hold.clear()


class MilestoneRecorder:
    """Judges the steps of a session as they are logged, and reports each milestone once as an event."""

    def __init__(self, milestones: Milestones, on_event: Callable[..., None], shown: bool = False):
        """Nothing has been added yet.

        Args:
          on_event: called as `on_event("milestone", name=..., robot_seconds=...)`.
          shown: what an operator or a teacher comes to counts, as no policy is to act. Otherwise the reward of an
            episode is of nobody from where one of them intervenes.
        """
        self._milestones = milestones
        self._on_event = on_event
        self._shown = shown
        self._episode_goes_on = self._is_taken_over = False

    @property
    def reached_s(self) -> dict[str, float]:
        """See `Milestones`; may be read from any thread."""
        return self._milestones.reached_s

    def add(self, step: Step, truth: Mapping[str, float] | None = None) -> None:
        """Takes the next logged step into account.

        Args:
          step: what it does not have of a milestone's quantity never reaches it.
          truth: what a simulator knows, by quantity; it is judged in place of what the robot measured.
        """
        if step.is_first and self._episode_goes_on:
            # An episode without a last step: the measurements were interrupted.
            self._milestones.interrupt()
        self._episode_goes_on = not step.is_last
        self._is_taken_over = step.intervention or (self._is_taken_over and not step.is_first)
        values = {quantity: of_step(step, quantity) for quantity in self._milestones.quantities} | dict(truth or {})
        if self._is_taken_over and not self._shown:
            values["reward"] = math.nan
        for name in self._milestones.update(values):
            self._on_event("milestone", name=name, robot_seconds=self.reached_s[name])


class _Hold:
    """Whether the running mean of a signal has been at or above a threshold at every step of a while."""

    def __init__(self, milestone: Milestone, period_s: float):
        self._window: collections.deque[float] = collections.deque(maxlen=max(1, round(milestone.mean_s / period_s)))
        self._threshold_sum = milestone.at_least * self._window.maxlen
        self._hold_steps = max(1, round(milestone.hold_s / period_s))
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
